//! One round on a fresh store: work and blows at the same time, then rest, then the count.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context, Result, ensure};
use domain::{Currency, Money};
use futures::future::try_join_all;
use product::{Backend, Client, Home};
use serde_json::Value;
use support::mongo::ReplicaSet;
use tokio::{time::sleep, try_join};

use crate::{
    OUTLAY,
    dice::Dice,
    files::{self, BillingFile, all_pages},
    polls::{self, Polled},
    servers::{Blow, Servers},
};

const CONNECTION_COUNT: u64 = 3;
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a round did.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) blows: Vec<Blow>,
    pub(crate) file_count: usize,
    pub(crate) row_count: u64,
    pub(crate) total: Money,
    pub(crate) audit_count: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { blows, file_count, row_count, total, audit_count } = self;
        write!(
            f,
            "{blows:?}; {file_count} files of {row_count} rows, {total} in all, {audit_count} \
             audit entries"
        )
    }
}

/// What the world outside knows, and the product must tell.
struct Truth {
    connections: Vec<(String, Polled)>,
    files: BTreeMap<String, BillingFile>,
}

/// Plays the round of a seed.
pub(crate) async fn play(seed: u64, set: Option<&ReplicaSet>) -> Result<Tally> {
    let mut dice = Dice::new(seed);
    let backend = match set {
        Some(set) => Backend::Mongo(set.uri("torture")),
        None => Backend::Sqlite,
    };
    let home = Home::new(OUTLAY, &backend)?;
    let count = if set.is_some() { 2 } else { 1 };
    let servers = Servers::start(&home, set, count, false).await?;
    match rounded(&servers, &mut dice).await {
        Ok(tally) => servers.stop().await.map(|()| tally),
        Err(error) => {
            let logs = servers.save_logs(&error).await?;
            Err(error.context(format!("the servers' logs are in {}", logs.display())))
        }
    }
}

async fn rounded(servers: &Servers<'_>, dice: &mut Dice) -> Result<Tally> {
    let (truth, blows) = work(servers, dice).await?;
    let clients = servers.each();
    for (connection, polled) in &truth.connections {
        polls::compare(dice.pick(&clients), connection, polled).await?;
    }
    let total = truth.total()?;
    let mut audit_count = 0;
    for client in &clients {
        files::compare(client, &truth.files).await?;
        let costs = client.get("/v1/costs?from=2020-01-01&granularity=total").await?;
        let told = costs["totals"][0]["total"].as_str().context("a total")?;
        ensure!(Money::parse_exact(told, Currency::USD)? == total, "{total} is true, {told} told");
        audit_count = audited(client, &truth).await?;
    }
    let row_count = truth.files.values().map(|file| file.rows).sum();
    Ok(Tally { blows, file_count: truth.files.len(), row_count, total, audit_count })
}

impl Truth {
    /// What everything cost.
    fn total(&self) -> Result<Money> {
        let mut costs: Vec<_> = self.files.values().map(|file| file.cost).collect();
        for (_, polled) in &self.connections {
            let (from, today) = polled.days()?;
            let rows = polled.provider.sandbox.books(from, today).rows.into_iter();
            costs.extend(rows.map(|row| row.cost));
        }
        let zero = Money::zero(Currency::USD);
        let sum = costs.into_iter().try_fold(zero, |sum, cost| sum.checked_add(cost));
        sum.context("a sum of some thousand dollars")
    }
}

/// Connects, polls and uploads while things are lost, until all is uploaded and enough was lost.
async fn work(servers: &Servers<'_>, dice: &mut Dice) -> Result<(Truth, Vec<Blow>)> {
    let mut polled = Vec::new();
    for number in 0..CONNECTION_COUNT {
        // The number names the account, and each is another: a day of an account has one source.
        let number = dice.between(1, 1 << 32) * CONNECTION_COUNT + number;
        polled.push(Polled::start(number, dice).await?);
    }
    let file_count = dice.between(2, 6);
    let [one, two, mut own] = [dice.fork(), dice.fork(), dice.fork()];
    let uploads = async {
        let first = files::upload_some(0, file_count, servers, one);
        let second = files::upload_some(file_count, file_count, servers, two);
        let (mut files, others) = try_join!(first, second)?;
        files.extend(others);
        Ok::<_, anyhow::Error>(files)
    };
    let connections = async {
        let connects: Vec<_> =
            polled.iter().map(|polled| polled.connect(servers, own.fork())).collect();
        let connections = try_join_all(connects).await?;
        tokio::select! {
            failed = polls::nudge(servers, &connections, own.fork()) => failed?,
            () = sleep(Duration::from_secs(own.between(5, 20))) => {}
        }
        Ok::<_, anyhow::Error>(connections)
    };
    let strikes = strike(servers, dice.fork());
    let hindrances: Vec<_> = polled.iter().map(|polled| polled.hinder(dice.fork())).collect();
    let (files, connections, blows) = tokio::select! {
        done = async { try_join!(uploads, connections, strikes) } => done?,
        failed = try_join_all(hindrances) => {
            failed?;
            unreachable!("hindering does not end by itself")
        }
    };
    for polled in &polled {
        polled.provider.sandbox.stop_failing();
    }
    let connections = connections.into_iter().zip(polled).collect();
    Ok((Truth { connections, files }, blows))
}

/// Loses something again and again.
pub(crate) async fn strike(servers: &Servers<'_>, mut dice: Dice) -> Result<Vec<Blow>> {
    let mut blows = Vec::new();
    for _ in 0..dice.between(3, 7) {
        // From the middle of the first request to well into the imports.
        sleep(Duration::from_millis(dice.between(5, 3000))).await;
        blows.push(servers.strike(&mut dice).await?);
    }
    Ok(blows)
}

/// Follows the audit log's chain back to its first entry, and looks for what was done; its length.
async fn audited(client: &Client, truth: &Truth) -> Result<usize> {
    let mut entries = all_pages(client, "/v1/audit-log?limit=7").await?;
    entries.reverse();
    let mut previous = ZEROS.to_owned();
    for (sequence, entry) in (1_u64..).zip(&entries) {
        ensure!(entry["sequence"] == sequence, "{sequence} is missing before {entry}");
        ensure!(entry["previous_hash"] == *previous, "the chain is broken before {entry}");
        entry["hash"].as_str().context("a hash")?.clone_into(&mut previous);
    }
    let times = |action: &str, target: &str| {
        let is_it = |entry: &&Value| entry["action"] == action && entry["target"] == target;
        entries.iter().filter(is_it).count()
    };
    for (connection, _) in &truth.connections {
        ensure!(times("connection.created", connection) == 1, "{connection} was made once");
    }
    for file in truth.files.keys() {
        ensure!(times("file.uploaded", file) == 1, "{file} was uploaded once");
    }
    let made = entries.iter().filter(|entry| entry["action"] == "connection.created").count();
    ensure!(made == truth.connections.len(), "{made} connections were made");
    Ok(entries.len())
}
