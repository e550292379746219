//! Killing the process, or the database's primary, in the middle of a sync or an import loses and
//! doubles nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::ToSpan;
use product::{Backend, Home, Product, Provider, books::compare, until};
use support::mongo::ReplicaSet;

use crate::{OUTLAY, flows};

flows![FLOWS:
    a_killed_process_goes_on_with_its_sync_where_it_stood,
    a_killed_process_imports_a_file_once,
];
flows![ON_MONGODB: a_killed_primary_loses_and_doubles_nothing];

/// How many charges the connection's syncs have committed.
async fn written(product: &Product, connection: &str) -> Result<u64> {
    let syncs = product.get(&format!("/v1/connections/{connection}/syncs?limit=1000")).await?;
    let syncs = syncs["data"].as_array().context("a list")?;
    Ok(syncs.iter().filter_map(|sync| sync["charges_written"].as_u64()).sum())
}

async fn a_killed_process_goes_on_with_its_sync_where_it_stood(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let provider = Provider::start(21).await?;
    let product = Product::start(&home).await?;
    let connection = product.connect(&provider, 365).await?;
    // Kills right after something was committed, so that the next run must not write it again.
    until("nothing was committed", async || {
        Ok((written(&product, &connection).await? > 0).then_some(()))
    })
    .await?;
    let before = written(&product, &connection).await?;
    product.kill().await?;
    let product = Product::start(&home).await?;
    ensure!(written(&product, &connection).await? >= before, "what was committed is there");
    product.synced(&connection).await?;
    let (_, today) = provider.sandbox.days();
    compare(&product, &provider, today.checked_sub(365.days())?, today).await?;
    let syncs = product.get(&format!("/v1/connections/{connection}/syncs")).await?;
    ensure!(syncs["data"].as_array().context("a list")?.len() == 1, "one sync, resumed: {syncs}");
    product.stop().await
}

async fn a_killed_process_imports_a_file_once(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let costs = vec!["0.000001"; 200_000];
    let file = crate::files::small_file("org-1", &costs);
    let (status, answer) = product.upload("large.csv", file, &[]).await?;
    ensure!(status == 202, "{answer}");
    let id = answer["id"].as_str().context("an id")?.to_owned();
    until("the import did not begin", async || {
        let file = product.get(&format!("/v1/files/{id}")).await?;
        Ok((file["state"] != "queued").then_some(()))
    })
    .await?;
    product.kill().await?;
    let product = Product::start(&home).await?;
    let file = product.imported(&id).await?;
    ensure!(file["state"] == "done" && file["charges"] == 200_000, "{file}");
    let costs = product.get("/v1/costs?from=2020-01-01&granularity=total").await?;
    ensure!(costs["totals"][0]["total"] == "0.2", "{costs}");
    product.stop().await
}

async fn a_killed_primary_loses_and_doubles_nothing(backend: Backend) -> Result<()> {
    // A set of its own: the other flows need theirs alive.
    let set = ReplicaSet::start().await?;
    let mut home = Home::new(OUTLAY, &backend)?;
    home.store = set.uri("outlay");
    let provider = Provider::start(22).await?;
    let product = Product::start(&home).await?;
    let connection = product.connect(&provider, 365).await?;
    for _ in 0..2 {
        let before = written(&product, &connection).await.unwrap_or(0);
        let more = async || Ok((written(&product, &connection).await? > before).then_some(()));
        // The sync may have ended already; then the kill hits an idle server, which must survive
        // too.
        let _more = tokio::time::timeout(Duration::from_secs(5), until("no progress", more)).await;
        let killed = set.kill_primary().await?;
        until("no new primary", async || Ok(set.primary().await.map(drop))).await?;
        set.restart_member(killed).await?;
    }
    product.synced(&connection).await?;
    let (_, today) = provider.sandbox.days();
    compare(&product, &provider, today.checked_sub(365.days())?, today).await?;
    product.stop().await
}
