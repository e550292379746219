//! The provider beside a product: its sandbox, served by the test's own process.

use anyhow::Result;
use sandbox::{Sandbox, SandboxOptions};
use tokio::net::TcpListener;

/// The sandbox, served on loopback in this process.
#[derive(Debug)]
pub struct Provider {
    /// Its books and its moods.
    pub sandbox: Sandbox,
    /// Where it listens.
    pub url: String,
    /// An admin key that it takes.
    pub key: String,
}

impl Provider {
    /// A sandbox whose today is the real one, so that its newest days are as provisional as a
    /// provider's.
    ///
    /// # Errors
    /// Where there is no port.
    pub async fn start(seed: u64) -> Result<Provider> {
        let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
        Provider::start_with(SandboxOptions::new(seed, today)).await
    }

    /// A sandbox of these options.
    ///
    /// # Errors
    /// Where there is no port.
    pub async fn start_with(options: SandboxOptions) -> Result<Provider> {
        let sandbox = Sandbox::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = sandbox.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Provider { sandbox, url, key: "sk-admin-flow".to_owned() })
    }
}
