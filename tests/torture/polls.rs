//! Connections of one round: made, polled and hindered, and compared with the providers' books.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::{ToSpan, civil::Date};
use product::{Client, Provider, books, until};
use reqwest::Method;
use sandbox::Fault;
use serde_json::json;
use tokio::time::sleep;

use crate::{dice::Dice, servers::Servers};

/// How many whole days back a restatement is still polled. The connector promises as many.
const RESTATED_DAYS_MAX: u64 = 3;

const ASKED_EVERY: Duration = Duration::from_secs(10);

/// A provider and how far back it is read.
pub(crate) struct Polled {
    pub(crate) provider: Provider,
    backfill_days: u32,
}

impl Polled {
    /// A provider whose account is `number`'s.
    pub(crate) async fn start(number: u64, dice: &mut Dice) -> Result<Polled> {
        let backfill_days = u32::try_from(dice.between(20, 365))?;
        Ok(Polled { provider: Provider::start(number).await?, backfill_days })
    }

    /// The days that its connection reads.
    pub(crate) fn days(&self) -> Result<(Date, Date)> {
        let (_, today) = self.provider.sandbox.days();
        Ok((today.checked_sub(i64::from(self.backfill_days).days())?, today))
    }

    /// Connects it, with one idempotency key for however many tries it takes; the connection's id.
    pub(crate) async fn connect(&self, servers: &Servers<'_>, mut dice: Dice) -> Result<String> {
        let key = format!("connect-{}", self.provider.url);
        let body = json!({
            "provider": "openai",
            "name": "Sandbox",
            "credentials": {"admin_key": self.provider.key},
            "base_url": self.provider.url,
            "backfill_days": self.backfill_days,
        });
        until("the provider was not connected", async || {
            let request = servers.any(&mut dice).request(Method::POST, "/v1/connections");
            let response = request.header("idempotency-key", &key).json(&body).send().await?;
            let answer: serde_json::Value = response.error_for_status()?.json().await?;
            Ok(Some(answer["id"].as_str().context("an id")?.to_owned()))
        })
        .await
    }

    /// Restates days and fails requests, for ever.
    pub(crate) async fn hinder(&self, mut dice: Dice) -> Result<()> {
        loop {
            sleep(Duration::from_millis(dice.between(50, 1500))).await;
            if dice.happens(40) {
                let back = i64::try_from(dice.between(1, RESTATED_DAYS_MAX + 1))?;
                let (_, today) = self.provider.sandbox.days();
                let seed = dice.between(1, u64::MAX);
                self.provider.sandbox.restate(today.checked_sub(back.days())?, Some(seed))?;
                continue;
            }
            let status = *dice.pick(&[429, 500, 502, 503]);
            self.provider.sandbox.fail_next(Fault {
                status,
                count: u32::try_from(dice.between(1, 5))?,
                path: None,
                retry_after_seconds: (status == 429).then_some(1),
                body: dice.happens(30).then(|| "<html>bad gateway".to_owned()),
            });
        }
    }
}

/// Asks for syncs at random, for ever. Nobody listens to the answers.
pub(crate) async fn nudge(
    servers: &Servers<'_>,
    connections: &[String],
    mut dice: Dice,
) -> Result<()> {
    loop {
        sleep(Duration::from_millis(dice.between(50, 800))).await;
        let path = format!("/v1/connections/{}/sync", dice.pick(connections));
        drop(servers.any(&mut dice).post(&path, &json!({})).await);
    }
}

/// Lets what is open end, polls once more, and compares with the books.
pub(crate) async fn compare(client: &Client, connection: &str, polled: &Polled) -> Result<()> {
    let path = format!("/v1/connections/{connection}");
    let mut asked_at = Instant::now();
    until(&format!("{connection} does not come to rest"), async || {
        let syncs = crate::files::all_pages(client, &format!("{path}/syncs?limit=1000")).await?;
        let is_open = |state| matches!(state, Some("queued" | "running"));
        if syncs.iter().any(|sync| is_open(sync["state"].as_str())) {
            // After failures the next try waits for minutes, unless somebody asks. But whoever
            // asks during a run gets one more after it, so asking all the time has no end.
            if asked_at.elapsed() > ASKED_EVERY {
                asked_at = Instant::now();
                client.post(&format!("{path}/sync"), &json!({})).await?;
            }
            sleep(Duration::from_millis(200)).await;
            return Ok(None);
        }
        Ok(Some(()))
    })
    .await?;
    client.sync(connection).await?;
    let (from, today) = polled.days()?;
    let filter = format!("connection={connection}");
    books::compare_where(client, &filter, &polled.provider, from, today)
        .await
        .with_context(|| format!("{connection} of {}", polled.provider.url))
}
