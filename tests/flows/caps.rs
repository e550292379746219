//! Caps hold: however many ask at once and of whichever process, and whatever is killed meanwhile.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use product::{
    Backend, Client, Home, Product,
    caps::{Nanos, Told, cap, ids, kept, let_go, progress, report, reserve, settled},
    until,
};
use serde_json::{Value, json};
use support::mongo::ReplicaSet;

use crate::{OUTLAY, flows};

flows![FLOWS:
    of_twenty_holds_of_75_on_500_six_are_granted,
    of_a_thousand_holds_of_ten_cents_on_five_dollars_fifty_are_granted,
    a_tree_four_deep_never_passes_a_limit,
    open_block_and_strict_stop_an_application_each_in_its_way,
    what_was_acknowledged_survives_a_kill_and_counts_once,
];
flows![ON_MONGODB:
    three_processes_grant_as_many_as_one,
    a_report_counts_once_whichever_process_it_is_sent_to,
    what_was_acknowledged_survives_a_killed_primary,
    what_was_acknowledged_survives_a_process_and_a_primary_killed_at_once,
];

/// Asks `count` times, many at once, in turn of each of these servers; how many were granted.
async fn granted(clients: &[&Client], count: usize, path: &str, estimate: &Value) -> Result<usize> {
    let asked = (0..count).map(|index| {
        let client = clients[index % clients.len()];
        reserve(client, path, estimate.clone(), 3600)
    });
    let mut granted = 0;
    let mut answers = stream::iter(asked).buffer_unordered(64);
    while let Some(answer) = answers.next().await {
        let (status, answer) = answer?;
        match status {
            201 => granted += 1,
            402 => {
                ensure!(answer["code"] == "quota_exceeded", "{answer}");
                let decision = &answer["decision"];
                for field in ["policy_id", "limit", "used", "held", "remaining"] {
                    ensure!(!decision[field].is_null(), "`{field}` is not told: {answer}");
                }
            }
            _ => anyhow::bail!("{status}: {answer}"),
        }
    }
    Ok(granted)
}

async fn of_twenty_holds_of_75_on_500_six_are_granted(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    cap(&product, "acme", "requests", "500", "strict").await?;
    let estimate = json!({"usage": {"requests": 75}});
    let granted = granted(&[&product], 20, "acme/search", &estimate).await?;
    ensure!(granted == 6, "{granted} were granted");
    product.stop().await
}

async fn of_a_thousand_holds_of_ten_cents_on_five_dollars_fifty_are_granted(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let policy = cap(&product, "", "usd", "5", "strict").await?;
    let granted = granted(&[&product], 1_000, "acme/search", &json!({"cost": "0.10"})).await?;
    ensure!(granted == 50, "{granted} were granted");
    let progress = progress(&product, &policy).await?;
    ensure!(Nanos::of(&progress["held"])? == Nanos::of(&json!("5"))?, "{progress}");
    product.stop().await
}

async fn a_tree_four_deep_never_passes_a_limit(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let caps = [("", "4"), ("a", "3"), ("a/b", "2.5"), ("a/b/c", "2"), ("a/x", "0.75")];
    let mut policies = vec![];
    for (path, limit) in caps {
        policies.push((cap(&product, path, "usd", limit, "strict").await?, limit));
    }
    let paths = ["a/b/c", "a/b/c/d", "a/b", "a/x/y", "a", "z"];
    let calls = (0..600).map(|index| {
        let (client, path) = (&product, paths[index % paths.len()]);
        async move {
            let (status, held) = reserve(client, path, json!({"cost": "0.03"}), 600).await?;
            if status == 201 {
                let id = held["id"].as_str().context("an id")?;
                let end = match index % 3 {
                    0 => ("release", json!({})),
                    1 => ("commit", json!({"cost": "0.02"})),
                    _ => return Ok(()),
                };
                client.post(&format!("/v1/reservations/{id}/{}", end.0), &end.1).await?;
            }
            Ok::<(), anyhow::Error>(())
        }
    });
    let mut ended = stream::iter(calls).buffer_unordered(48);
    while let Some(call) = ended.next().await {
        call?;
        for (policy, limit) in &policies {
            let now = progress(&product, policy).await?;
            ensure!(Nanos::taken(&now)? <= Nanos::of(&json!(limit))?, "{now}");
        }
    }
    drop(ended);
    product.stop().await
}

async fn open_block_and_strict_stop_an_application_each_in_its_way(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    for mode in ["open", "block", "strict"] {
        cap(&product, mode, "requests", "2", mode).await?;
        for number in 0..3 {
            let event = json!({"id": format!("{mode}-{number}"), "path": mode,
                "service": "openai", "model": "gpt-4o", "usage": {"input_tokens": 10}});
            let told = product.post("/v1/track", &json!({"events": [event]})).await?;
            ensure!(told["accepted"] == 1, "money that has left is booked: {told}");
            let is_blocked = told["blocked"].as_array().is_some_and(|blocked| !blocked.is_empty());
            ensure!(is_blocked == (mode != "open" && number >= 1), "{mode} {number}: {told}");
        }
        let check = product.get(&format!("/v1/check?path={mode}&service=openai")).await?;
        ensure!(check["allowed"] == (mode == "open"), "{check}");
        ensure!(check["reservation_required"] == (mode == "strict"), "{check}");
    }
    product.stop().await
}

async fn what_was_acknowledged_survives_a_kill_and_counts_once(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let mut product = Product::start(&home).await?;
    let policy = cap(&product, "", "usd", "1000", "strict").await?;
    let ids = ids(1_500, "event");
    let mut acknowledged = Told::new();
    for part in ids.chunks(500) {
        let client: Client = (*product).clone();
        let reporting = tokio::spawn(report(&[&client], part));
        let (_, held) = reserve(&product, "acme/hold", json!({"cost": "1"}), 2).await?;
        ensure!(held["state"] == "held", "{held}");
        until("nothing was reported", async || {
            let now = progress(&product, &policy).await?;
            Ok((Nanos::of(&now["used"])?.0 > 0).then_some(()))
        })
        .await?;
        product.kill().await?;
        acknowledged.extend(reporting.await?);
        product = Product::start(&home).await?;
    }
    kept(&[&product], &acknowledged).await?;
    settled(&[&product], &ids, &policy).await?;
    let_go(&product, &policy).await?;
    product.stop().await
}

/// Servers on one store, each of which the others can reach.
async fn three(home: &Home) -> Result<Vec<Product>> {
    let mut products = vec![];
    for _ in 0..3 {
        products.push(Product::start_advertised(home).await?);
    }
    Ok(products)
}

async fn three_processes_grant_as_many_as_one(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let products = three(&home).await?;
    let clients: Vec<&Client> = products.iter().map(|product| &**product).collect();
    cap(clients[0], "acme", "requests", "500", "strict").await?;
    let estimate = json!({"usage": {"requests": 75}});
    let six = granted(&clients, 20, "acme/search", &estimate).await?;
    ensure!(six == 6, "{six} were granted");
    cap(clients[1], "beta", "usd", "5", "strict").await?;
    let fifty = granted(&clients, 1_000, "beta/search", &json!({"cost": "0.10"})).await?;
    ensure!(fifty == 50, "{fifty} were granted");
    for product in products {
        product.stop().await?;
    }
    Ok(())
}

async fn a_report_counts_once_whichever_process_it_is_sent_to(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let mut products = three(&home).await?;
    let policy = cap(&products[0], "", "usd", "1000", "block").await?;
    let ids = ids(300, "event");
    let clients: Vec<Client> = products.iter().map(|product| (**product).clone()).collect();
    let reporting = tokio::spawn(report(&clients.iter().collect::<Vec<_>>(), &ids));
    // Whoever is the home: one of them goes without a word.
    products.remove(0).kill().await?;
    let _some = reporting.await?;
    let left: Vec<&Client> = products.iter().map(|product| &**product).collect();
    settled(&left, &ids, &policy).await?;
    for product in products {
        product.stop().await?;
    }
    Ok(())
}

async fn what_was_acknowledged_survives_a_killed_primary(backend: Backend) -> Result<()> {
    // A set of its own: the other flows need theirs alive.
    let set = ReplicaSet::start().await?;
    let mut home = Home::new(OUTLAY, &backend)?;
    home.store = set.uri("outlay");
    let product = Product::start(&home).await?;
    let policy = cap(&product, "", "usd", "1000", "strict").await?;
    let ids = ids(400, "event");
    let client: Client = (*product).clone();
    let reporting = tokio::spawn(report(&[&client], &ids));
    let killed = set.kill_primary().await?;
    until("no new primary", async || Ok(set.primary().await.map(drop))).await?;
    set.restart_member(killed).await?;
    let acknowledged = reporting.await?;
    kept(&[&product], &acknowledged).await?;
    settled(&[&product], &ids, &policy).await?;
    tokio::time::timeout(Duration::from_secs(60), product.stop()).await?
}

async fn what_was_acknowledged_survives_a_process_and_a_primary_killed_at_once(
    backend: Backend,
) -> Result<()> {
    // A set of its own: the other flows need theirs alive.
    let set = ReplicaSet::start().await?;
    let mut home = Home::new(OUTLAY, &backend)?;
    home.store = set.uri("outlay");
    let product = Product::start(&home).await?;
    let policy = cap(&product, "", "usd", "1000", "strict").await?;
    let ids = ids(400, "event");
    let client: Client = (*product).clone();
    let reporting = tokio::spawn(report(&[&client], &ids));
    let (_, held) = reserve(&product, "acme/hold", json!({"cost": "1"}), 2).await?;
    ensure!(held["state"] == "held", "{held}");
    until("nothing was reported", async || {
        let now = progress(&product, &policy).await?;
        Ok((Nanos::of(&now["used"])?.0 > 0).then_some(()))
    })
    .await?;
    let primary = set.primary().await.context("there is a primary")?;
    tokio::try_join!(set.kill_member(primary), product.kill())?;
    let acknowledged = reporting.await?;
    until("no new primary", async || Ok(set.primary().await.map(drop))).await?;
    set.restart_member(primary).await?;
    let product = Product::start(&home).await?;
    kept(&[&product], &acknowledged).await?;
    settled(&[&product], &ids, &policy).await?;
    let_go(&product, &policy).await?;
    product.stop().await
}
