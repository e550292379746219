//! Who spends in a round of caps: reporters and holders, who repeat everything until somebody has
//! said that it is done, and remember what they were told.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use product::{
    Client,
    caps::{Nanos, Told, told_of},
    until,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{join, sync::watch};

use crate::{dice::Dice, servers::Servers};

const NANOS_PER_MILLI: u64 = 1_000_000;
/// Where reports go. No strict cap is above, because what was spent is always booked.
const REPORTED: &[&str] = &["a/x", "a/x/deep/er", "a/y", "z"];
/// Where holds go.
const HELD: &[&str] = &["a/b/c/d", "a/b/c/d/e", "a/b/c", "a/b", "a/b/f", "a/x", "a/y", "z"];
/// How long what nobody ends is held.
const LEFT_SECONDS: u64 = 4;
/// Longer than any round: what is committed late is booked beyond any cap.
const ENDED_SECONDS: u64 = 3600;

/// Spend that somebody has said is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booked {
    pub(crate) path: String,
    pub(crate) cost: Nanos,
}

/// What became of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended with spend.
    Committed(Booked),
    /// It ended without.
    Released,
    /// Nobody ended it.
    Left,
}

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Reports by their ids.
    pub(crate) reports: BTreeMap<String, Booked>,
    /// Those of them that ended a hold, with its id.
    pub(crate) settled: BTreeMap<String, String>,
    /// Holds by their ids.
    pub(crate) holds: BTreeMap<String, End>,
    /// How many holds were refused.
    pub(crate) refused_count: u64,
}

impl Ledger {
    /// Takes the entries of another.
    pub(crate) fn extend(&mut self, other: Ledger) {
        self.reports.extend(other.reports);
        self.settled.extend(other.settled);
        self.holds.extend(other.holds);
        self.refused_count += other.refused_count;
    }

    /// Everything that was booked.
    pub(crate) fn booked(&self) -> impl Iterator<Item = &Booked> {
        let of_holds = self.holds.values().filter_map(|end| match end {
            End::Committed(booked) => Some(booked),
            End::Released | End::Left => None,
        });
        self.reports.values().chain(of_holds)
    }
}

/// An event as it is reported, the same each time.
pub(crate) fn event(id: &str, booked: &Booked, hold: Option<&String>) -> Value {
    let Booked { path, cost } = booked;
    let cost = format!("0.{:09}", cost.0);
    let mut event = json!({"id": id, "path": path, "service": "own", "cost": cost,
        "usage": {"input_tokens": 7}});
    if let Some(hold) = hold {
        event["reservation_id"] = json!(hold);
    }
    event
}

/// Reports until it is over: batches and single events, some of them to two servers at once.
pub(crate) async fn report(
    name: String,
    servers: &Servers<'_>,
    is_over: watch::Receiver<bool>,
    mut dice: Dice,
) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    while !*is_over.borrow() {
        let size = if dice.happens(40) { 1 } else { dice.between(2, 30) };
        let batch: BTreeMap<_, _> = (0..size)
            .map(|_| {
                let number = dice.between(0, u64::MAX);
                let cost = Nanos(i128::from(dice.between(0, 5 * NANOS_PER_MILLI)));
                let path = (*dice.pick(REPORTED)).to_owned();
                (format!("{name}-{number:016x}"), Booked { path, cost })
            })
            .collect();
        let events: Vec<_> = batch.iter().map(|(id, booked)| event(id, booked, None)).collect();
        if dice.happens(15) {
            let (one, two) = (servers.any(&mut dice), servers.any(&mut dice));
            let (one, two) = join!(told_of(&one, &events), told_of(&two, &events));
            never_twice(&one.unwrap_or_default(), &two.unwrap_or_default())?;
        }
        acknowledged(&events, servers, &mut dice).await?;
        ledger.reports.extend(batch);
        if dice.happens(25) {
            let told = told_of(&servers.any(&mut dice), &events).await.unwrap_or_default();
            let lost = told.iter().find(|(_, status)| *status != "duplicate");
            ensure!(lost.is_none(), "acknowledged, and not there: {lost:?}");
        }
    }
    Ok(ledger)
}

fn never_twice(one: &Told, two: &Told) -> Result<()> {
    let is_new = |told: &Told, id: &String| told.get(id).is_some_and(|status| status == "accepted");
    let twice = one.keys().find(|id| is_new(one, id) && is_new(two, id));
    ensure!(twice.is_none(), "booked twice: {twice:?}");
    Ok(())
}

/// Sends events until each is acknowledged.
pub(crate) async fn acknowledged(
    events: &[Value],
    servers: &Servers<'_>,
    dice: &mut Dice,
) -> Result<()> {
    until("events were not acknowledged", async || {
        let told = told_of(&servers.any(dice), events).await?;
        let is_booked = |status: &str| status == "accepted" || status == "duplicate";
        let refused = told.iter().find(|(_, status)| !is_booked(status));
        ensure!(refused.is_none() && told.len() == events.len(), "{refused:?}");
        Ok(Some(()))
    })
    .await
}

/// Holds and settles until it is over.
pub(crate) async fn hold(
    name: String,
    servers: &Servers<'_>,
    is_over: watch::Receiver<bool>,
    mut dice: Dice,
) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    while !*is_over.borrow() {
        let estimate = dice.between(1, 60 * NANOS_PER_MILLI);
        let path = (*dice.pick(HELD)).to_owned();
        let is_left = dice.happens(30);
        let key = format!("{name}-{:016x}", dice.between(0, u64::MAX));
        let body = json!({"path": path, "estimate": {"cost": format!("0.{estimate:09}")},
            "ttl_seconds": if is_left { LEFT_SECONDS } else { ENDED_SECONDS }});
        let (status, answer) =
            done("/v1/reservations", Some(&key), &body, servers, &mut dice).await?;
        if status == 402 {
            ensure!(answer["code"] == "quota_exceeded", "{answer}");
            let decision = &answer["decision"];
            let is_passed = Nanos::taken(decision)? > Nanos::of(&decision["limit"])?;
            ensure!(decision["mode"] != "strict" || !is_passed, "a limit was passed: {answer}");
            ledger.refused_count += 1;
            continue;
        }
        let id = answer["id"].as_str().context("an id")?.to_owned();
        let spent = if dice.happens(20) { estimate } else { dice.between(0, 1 + estimate / 8) };
        let booked = Booked { path, cost: Nanos(i128::from(spent)) };
        let end = match dice.between(0, 3) {
            _ if is_left => End::Left,
            0 => {
                let path = format!("/v1/reservations/{id}/release");
                done(&path, None, &json!({}), servers, &mut dice).await?;
                End::Released
            }
            1 => {
                let body = json!({"service": "own", "cost": format!("0.{spent:09}")});
                let path = format!("/v1/reservations/{id}/commit");
                let (_, answer) = done(&path, None, &body, servers, &mut dice).await?;
                ensure!(answer["late"].is_null(), "an hour is not over: {answer}");
                End::Committed(booked)
            }
            _ => {
                let event = event(&key, &booked, Some(&id));
                acknowledged(&[event], servers, &mut dice).await?;
                ledger.settled.insert(key.clone(), id.clone());
                ledger.reports.insert(key, booked.clone());
                // Its spend is among the reports.
                End::Committed(Booked { cost: Nanos(0), ..booked })
            }
        };
        ensure!(ledger.holds.insert(id, end).is_none(), "two holds of one id");
    }
    Ok(ledger)
}

/// Asks until it is done, or refused for want of room.
async fn done(
    path: &str,
    key: Option<&str>,
    body: &Value,
    servers: &Servers<'_>,
    dice: &mut Dice,
) -> Result<(u16, Value)> {
    until(&format!("{path} was not done"), async || {
        let mut request = servers.any(dice).request(Method::POST, path).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await?;
        match status {
            200 | 201 | 402 => Ok(Some((status, answer))),
            _ => bail!("{status}: {answer}"),
        }
    })
    .await
}

/// Looks at strict caps until it is over: none is ever passed, whichever server is asked.
pub(crate) async fn watch(
    policies: Vec<String>,
    servers: &Servers<'_>,
    is_over: watch::Receiver<bool>,
    mut dice: Dice,
) -> Result<u64> {
    let mut looked_count = 0;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(60));
    while !*is_over.borrow() {
        ticks.tick().await;
        let client: Client = servers.any(&mut dice);
        if let Ok(now) = product::caps::progress(&client, dice.pick::<String>(&policies)).await {
            ensure!(
                Nanos::taken(&now)? <= Nanos::of(&now["limit"]["amount"])?,
                "a limit was passed: {now}"
            );
            looked_count += 1;
        }
    }
    Ok(looked_count)
}
