//! One round of caps on a fresh store: a tree four levels deep, spend and holds from all sides,
//! blows meanwhile; then rest, then the count.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use product::{
    Backend, Client, Home,
    caps::{Nanos, cap, let_go, progress, told_of},
    until,
};
use serde_json::Value;
use support::mongo::ReplicaSet;
use tokio::{
    sync::watch::{self, Receiver},
    time::sleep,
    try_join,
};

use crate::{
    OUTLAY,
    dice::Dice,
    files::all_pages,
    round::strike,
    servers::{Blow, Servers},
    spenders::{self, Booked, End, Ledger},
};

/// Paths, modes and limits in dollars. Strict caps have nothing below that spends without a hold.
const CAPS: &[(&str, &str, &str)] = &[
    ("", "open", "1"),
    ("a", "block", "100000"),
    ("a/b", "strict", "3"),
    ("a/b/c", "strict", "1.5"),
    ("a/b/c/d", "strict", "0.5"),
    ("a/x", "block", "2"),
    ("a/y", "open", "0.5"),
];
const REPORTER_COUNT: usize = 4;
const HOLDER_COUNT: usize = 6;
/// What the events of one request may be.
const BATCH_MAX: usize = 500;

/// What a round did.
#[derive(Debug)]
pub(crate) struct CapTally {
    pub(crate) server_count: usize,
    pub(crate) blows: Vec<Blow>,
    pub(crate) report_count: usize,
    pub(crate) held_count: usize,
    pub(crate) left_count: usize,
    pub(crate) refused_count: u64,
    pub(crate) looked_count: u64,
    pub(crate) booked: Nanos,
}

impl fmt::Display for CapTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CapTally { server_count, blows, report_count, held_count, left_count, .. } = self;
        write!(
            f,
            "{server_count} servers, {blows:?}; {report_count} reports, {held_count} holds \
             ({left_count} left), {} refused, caps seen {} times, {} billionths booked",
            self.refused_count, self.looked_count, self.booked.0
        )
    }
}

/// A cap and what it may count at most.
struct Cap {
    path: &'static str,
    policy: String,
    /// Where it is strict.
    limit: Option<Nanos>,
}

/// Plays the round of a seed: one server or, on a replica set, every second time three.
pub(crate) async fn play(seed: u64, set: Option<&ReplicaSet>) -> Result<CapTally> {
    let mut dice = Dice::new(seed);
    let backend = match set {
        Some(set) => Backend::Mongo(set.uri("torture")),
        None => Backend::Sqlite,
    };
    let home = Home::new(OUTLAY, &backend)?;
    let server_count = if set.is_some() && seed.is_multiple_of(2) { 3 } else { 1 };
    let servers = Servers::start(&home, set, server_count, true).await?;
    match rounded(&servers, &mut dice, server_count).await {
        Ok(tally) => servers.stop().await.map(|()| tally),
        Err(error) => {
            let logs = servers.save_logs(&error).await?;
            Err(error.context(format!("the servers' logs are in {}", logs.display())))
        }
    }
}

async fn rounded(servers: &Servers<'_>, dice: &mut Dice, server_count: usize) -> Result<CapTally> {
    let mut caps = vec![];
    for (path, mode, limit) in CAPS {
        let policy = cap(&servers.any(dice), path, "usd", limit, mode).await?;
        let limit = (*mode == "strict").then(|| Nanos::of(&Value::from(*limit))).transpose()?;
        caps.push(Cap { path, policy, limit });
    }
    let (ledger, blows, looked_count) = work(servers, &caps, dice).await?;
    for client in servers.each() {
        counted(&client, &caps, &ledger).await?;
        listed(&client, &ledger).await?;
    }
    repeated(servers, &ledger, dice).await?;
    for client in servers.each() {
        counted(&client, &caps, &ledger).await?;
    }
    Ok(CapTally {
        server_count,
        blows,
        report_count: ledger.reports.len(),
        held_count: ledger.holds.len(),
        left_count: ledger.holds.values().filter(|end| **end == End::Left).count(),
        refused_count: ledger.refused_count,
        looked_count,
        booked: sum(ledger.booked()),
    })
}

/// Spends while things are lost, until enough was lost.
async fn work(
    servers: &Servers<'_>,
    caps: &[Cap],
    dice: &mut Dice,
) -> Result<(Ledger, Vec<Blow>, u64)> {
    let (over, is_over) = watch::channel(false);
    let of = |_: usize| -> (Receiver<bool>, Dice) { (is_over.clone(), dice.fork()) };
    let mut each = (0..=REPORTER_COUNT + HOLDER_COUNT).map(of).collect::<Vec<_>>().into_iter();
    let mut next = || each.next().expect("there is one for each");
    let reporters = (0..REPORTER_COUNT).map(|number| {
        let (is_over, dice) = next();
        spenders::report(format!("report-{number}"), servers, is_over, dice)
    });
    let reporters: Vec<_> = reporters.collect();
    let holders = (0..HOLDER_COUNT).map(|number| {
        let (is_over, dice) = next();
        spenders::hold(format!("hold-{number}"), servers, is_over, dice)
    });
    let holders: Vec<_> = holders.collect();
    let strict = caps.iter().filter(|cap| cap.limit.is_some()).map(|cap| cap.policy.clone());
    let (watch_over, watch_dice) = next();
    let watcher = spenders::watch(strict.collect(), servers, watch_over, watch_dice);
    let strikes = async {
        let blows = strike(servers, dice.fork()).await?;
        sleep(Duration::from_secs(1)).await;
        over.send_replace(true);
        Ok(blows)
    };
    let (reported, held, looked_count, blows) =
        try_join!(try_join_all(reporters), try_join_all(holders), watcher, strikes)?;
    let mut ledger = Ledger::default();
    for other in reported.into_iter().chain(held) {
        ledger.extend(other);
    }
    Ok((ledger, blows, looked_count))
}

fn sum<'b>(booked: impl Iterator<Item = &'b Booked>) -> Nanos {
    Nanos(booked.map(|booked| booked.cost.0).sum())
}

/// Each cap counts what was booked below it, once, and holds nothing any more.
async fn counted(client: &Client, caps: &[Cap], ledger: &Ledger) -> Result<()> {
    for cap in caps {
        let_go(client, &cap.policy).await?;
        let is_below = |booked: &&Booked| {
            let rest = booked.path.strip_prefix(cap.path);
            cap.path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let expected = sum(ledger.booked().filter(is_below));
        let told = progress(client, &cap.policy).await?;
        let used = Nanos::of(&told["used"])?;
        ensure!(used == expected, "{expected:?} was acknowledged, {told}");
        ensure!(cap.limit.is_none_or(|limit| used <= limit), "a limit was passed: {told}");
    }
    Ok(())
}

/// The tables have everything once, and nothing besides.
async fn listed(client: &Client, ledger: &Ledger) -> Result<()> {
    let total = sum(ledger.booked());
    until("the tables do not have everything", async || {
        let costs = client.get("/v1/costs?source=reported&granularity=total").await?;
        let told = Nanos::of(&costs["totals"][0]["total"])?;
        ensure!(told == total, "{total:?} was acknowledged, {told:?} is told");
        Ok(Some(()))
    })
    .await?;
    let (mut reports, mut commits) = (BTreeMap::new(), BTreeMap::new());
    for told in all_pages(client, "/v1/usage-events?limit=1000").await? {
        let path = told["path"].as_str().context("a path")?.to_owned();
        let booked = Booked { path, cost: Nanos::of(&told["cost"])? };
        let hold = told["reservation_id"].as_str();
        let id = told["event_id"].as_str();
        let (kind, id) = if told["source"] == "commit" {
            (&mut commits, hold.context("a commit is of a reservation")?)
        } else {
            let id = id.context("a report has an id")?;
            let settles = ledger.settled.get(id).map(String::as_str);
            ensure!(hold == settles, "{settles:?} was settled by {told}");
            (&mut reports, id)
        };
        ensure!(kind.insert(id.to_owned(), booked).is_none(), "listed twice: {told}");
    }
    same(&reports, &ledger.reports)?;
    let is_settled = |id: &String| ledger.settled.values().any(|settled| settled == id);
    let committed = ledger.holds.iter().filter_map(|(id, end)| match end {
        End::Committed(booked) if !is_settled(id) => Some((id.clone(), booked.clone())),
        _ => None,
    });
    same(&commits, &committed.collect())
}

fn same(told: &BTreeMap<String, Booked>, true_ones: &BTreeMap<String, Booked>) -> Result<()> {
    for (id, booked) in true_ones {
        ensure!(told.get(id) == Some(booked), "{id}: {booked:?} became {:?}", told.get(id));
    }
    let unknown = told.iter().find(|(id, _)| !true_ones.contains_key(*id));
    ensure!(unknown.is_none(), "nobody was told that this is booked: {unknown:?}");
    Ok(())
}

/// Whatever is sent again is known, and every hold ended as somebody was told.
async fn repeated(servers: &Servers<'_>, ledger: &Ledger, dice: &mut Dice) -> Result<()> {
    let event =
        |(id, booked): (&String, &Booked)| spenders::event(id, booked, ledger.settled.get(id));
    let events: Vec<_> = ledger.reports.iter().map(event).collect();
    for events in events.chunks(BATCH_MAX) {
        let told = told_of(&servers.any(dice), events).await?;
        let other = told.iter().find(|(_, status)| *status != "duplicate");
        ensure!(other.is_none() && told.len() == events.len(), "sent again: {other:?}");
    }
    for (id, end) in &ledger.holds {
        let told = servers.any(dice).get(&format!("/v1/reservations/{id}")).await?;
        let expected = match end {
            End::Committed(_) => "committed",
            End::Released => "released",
            End::Left => "expired",
        };
        ensure!(told["state"] == expected, "{id} was {expected}: {told}");
    }
    Ok(())
}
