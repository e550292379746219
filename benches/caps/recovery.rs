//! How long a server takes from its start until it answers a check, after it was killed with so
//! many events booked.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use product::{Backend, Home, Product};

use super::{
    OUTLAY,
    litellm::resident_mib,
    load::{Load, measure},
    start, targets,
};

/// Batches at once.
const CONNECTIONS: usize = 8;
const EVENTS: usize = 500;

/// Books `count` events, kills the server and starts it again.
pub(crate) async fn recover(count: usize) -> Result<()> {
    let home = Home::new(OUTLAY, &Backend::Sqlite)?;
    let product = start(&home).await?;
    let find = |product: &Product, name: &str| -> Result<Load> {
        let found = targets(product).into_iter().find(|target| target.0.starts_with(name));
        Ok(found.context("it is there")?.2)
    };
    let load = find(&product, "track of 500")?;
    let begun_at = Instant::now();
    let (mut booked, mut waits) = (0, 0);
    while booked < count {
        match measure(&load, CONNECTIONS, Duration::from_secs(1)).await {
            Ok(measured) => booked += measured.count() * EVENTS,
            // The tables are behind: it says so, and takes more when they have caught up. What else
            // was booked in this second is not counted.
            Err(_) => {
                waits += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    println!(
        "at least {booked} events in {:?}, told to wait {waits} times, {} MiB",
        begun_at.elapsed(),
        resident_mib(product.pid()?)?
    );
    product.kill().await?;
    let killed_at = Instant::now();
    let product = Product::start_with(&home, &["--log", "info"]).await?;
    let listens_after = killed_at.elapsed();
    measure(&find(&product, "check")?, 1, Duration::ZERO).await?;
    println!(
        "killed: listens after {listens_after:?}, answers a check after {:?}, {} MiB",
        killed_at.elapsed(),
        resident_mib(product.pid()?)?,
    );
    product.stop().await
}
