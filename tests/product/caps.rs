//! Caps as a client of the product meets them: policies and their progress, holds, and events that
//! are reported until somebody has said that they are booked.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, future::BoxFuture, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Client, until};

/// Makes a policy on `path` that never resets; its id.
///
/// # Errors
/// Where it is refused.
pub async fn cap(
    client: &Client,
    path: &str,
    unit: &str,
    amount: &str,
    mode: &str,
) -> Result<String> {
    let body = json!({
        "path": path,
        "limit": {"unit": unit, "amount": amount},
        "window": {"kind": "total"},
        "mode": mode,
    });
    let made = client.post("/v1/policies", &body).await?;
    Ok(made["id"].as_str().context("an id")?.to_owned())
}

/// A policy with its progress.
///
/// # Errors
/// Where there is no answer.
pub async fn progress(client: &Client, policy: &str) -> Result<Value> {
    client.get(&format!("/v1/policies/{policy}")).await
}

/// Billionths: amounts as they are compared, by value and not by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub i128);

impl Nanos {
    /// An amount of an answer, whether text or number.
    ///
    /// # Errors
    /// Where it is none.
    pub fn of(value: &Value) -> Result<Nanos> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let part: String = part.chars().chain("000000000".chars()).take(9).collect();
        let number = format!("{whole}{part}").parse().with_context(|| text.clone())?;
        Ok(Nanos(number))
    }

    /// What a policy's progress, or a decision, says is used and held.
    ///
    /// # Errors
    /// Where it says neither.
    pub fn taken(said: &Value) -> Result<Nanos> {
        Ok(Nanos(Nanos::of(&said["used"])?.0 + Nanos::of(&said["held"])?.0))
    }
}

/// Asks for a hold; status and answer.
///
/// # Errors
/// Where there is no answer.
pub async fn reserve(
    client: &Client,
    path: &str,
    estimate: Value,
    ttl: u32,
) -> Result<(u16, Value)> {
    let body = json!({"path": path, "estimate": estimate, "ttl_seconds": ttl});
    let request = client.request(Method::POST, "/v1/reservations").json(&body);
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

/// What each id was acknowledged with, if it was.
pub type Told = BTreeMap<String, String>;

/// Ids of events.
#[must_use]
pub fn ids(count: usize, name: &str) -> Vec<String> {
    (0..count).map(|number| format!("{name}-{number}")).collect()
}

/// An event of one cent.
fn event(id: &str) -> Value {
    json!({"id": id, "path": "acme/chat", "service": "own", "cost": "0.01",
        "usage": {"input_tokens": 7}})
}

/// Reports events under these ids, many at once, in turn to each of these servers.
#[must_use]
pub fn report(clients: &[&Client], ids: &[String]) -> BoxFuture<'static, Told> {
    let clients: Vec<Client> = clients.iter().copied().cloned().collect();
    let batches: Vec<Vec<Value>> =
        ids.chunks(5).map(|ids| ids.iter().map(|id| event(id)).collect()).collect();
    Box::pin(async move {
        let mut told = Told::new();
        let sent = batches.into_iter().zip(clients.iter().cycle().cloned());
        let sent = sent.map(async |(events, client)| told_of(&client, &events).await);
        let mut answers = stream::iter(sent).buffer_unordered(16);
        while let Some(answer) = answers.next().await {
            told.extend(answer.unwrap_or_default());
        }
        told
    })
}

/// Reports events once; what became of each, where the batch was answered.
///
/// # Errors
/// Where it was not, or refused.
pub async fn told_of(client: &Client, events: &[Value]) -> Result<Told> {
    let answer = client.post("/v1/track", &json!({"events": events})).await?;
    let results = answer["results"].as_array().context("results")?;
    let told = results.iter().filter_map(|result| {
        Some((result["id"].as_str()?.to_owned(), result["status"].as_str()?.to_owned()))
    });
    Ok(told.collect())
}

/// Sends what was acknowledged again: each must be known.
///
/// # Errors
/// With what is not.
pub async fn kept(clients: &[&Client], acknowledged: &Told) -> Result<()> {
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged, so nothing was tried");
    let mut left: Vec<_> = acknowledged.keys().cloned().collect();
    let mut lost = vec![];
    until("not everything was answered", async || {
        let told = report(clients, &left).await;
        left.retain(|id| !told.contains_key(id));
        lost.extend(told.into_iter().filter(|(_, status)| status != "duplicate"));
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    ensure!(lost.is_empty(), "what was acknowledged is not there: {lost:?}");
    Ok(())
}

/// Sends everything again until it is acknowledged; what counts in the end must be each id once.
///
/// # Errors
/// Where one is lost, or counts twice.
pub async fn settled(clients: &[&Client], ids: &[String], policy: &str) -> Result<()> {
    let mut left = ids.to_vec();
    until("not everything was acknowledged", async || {
        let told = report(clients, &left).await;
        left.retain(|id| !told.contains_key(id));
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    let again = report(clients, ids).await;
    let is_duplicate = |id: &String| again.get(id).is_some_and(|status| status == "duplicate");
    ensure!(ids.iter().all(is_duplicate), "sent again, each is a duplicate");
    let progress = progress(clients[0], policy).await?;
    let expected = i128::try_from(ids.len())? * 10_000_000;
    ensure!(Nanos::of(&progress["used"])?.0 == expected, "each counts once: {progress}");
    Ok(())
}

/// Waits until a policy holds nothing.
///
/// # Errors
/// Where it still does after minutes.
pub async fn let_go(client: &Client, policy: &str) -> Result<()> {
    until("holds outlive their time", async || {
        let now = progress(client, policy).await?;
        ensure!(Nanos::of(&now["held"])?.0 == 0, "{now}");
        Ok(Some(()))
    })
    .await
}
