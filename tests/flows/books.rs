//! What Outlay says a provider billed equals the provider's own books, to the last digit.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use jiff::ToSpan;
use product::{
    Backend, Home, Product, Provider,
    books::{compare, told},
};

use crate::{OUTLAY, flows};

flows![FLOWS:
    costs_equal_the_providers_books_before_and_after_a_restated_day,
    a_connection_made_anew_goes_on_where_the_former_one_was_and_doubles_nothing,
];
flows![ON_SQLITE: an_embedded_store_has_one_holder];
flows![ON_MONGODB: two_servers_on_one_cluster_poll_a_connection_once_at_a_time];

/// Quantities per day and unit, over all models.
fn quantities(rows: &serde_json::Value) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for row in rows.as_array().into_iter().flatten() {
        for quantity in row["quantities"].as_array().into_iter().flatten() {
            let unit = quantity["unit"].as_str().unwrap_or("").to_owned();
            *sums.entry(unit).or_default() += quantity["quantity"].as_u64().unwrap_or(0);
        }
    }
    sums
}

async fn costs_equal_the_providers_books_before_and_after_a_restated_day(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let provider = Provider::start(11).await?;
    let product = Product::start(&home).await?;
    let connection = product.connect(&provider, 90).await?;
    product.synced(&connection).await?;
    let (_, today) = provider.sandbox.days();
    let from = today.checked_sub(90.days())?;
    compare(&product, &provider, from, today).await?;

    let path = format!("/v1/costs?from={from}&to={today}&granularity=total&group_by=provider");
    let costs = product.get(&path).await?;
    let mut kept_units: BTreeMap<String, u64> = BTreeMap::new();
    for row in provider.sandbox.books(from, today).rows {
        for (unit, quantity) in row.quantities {
            *kept_units.entry(unit.to_owned()).or_default() += quantity;
        }
    }
    let told_units = quantities(&costs["rows"]);
    // Only completions are polled so far; the sandbox also counts web searches.
    for unit in ["input_tokens", "cache_read_tokens", "output_tokens"] {
        ensure!(told_units.get(unit) == kept_units.get(unit), "{unit}: {told_units:?}");
    }

    let restated = today.checked_sub(2.days())?;
    let before = told(&product, "provider=openai", from, today).await?;
    provider.sandbox.restate(restated, Some(99))?;
    product.sync(&connection).await?;
    compare(&product, &provider, from, today).await?;
    let after = told(&product, "provider=openai", from, today).await?;
    let differs = |key: &(String, Option<String>)| before.get(key) != after.get(key);
    let changed: BTreeSet<_> =
        before.keys().chain(after.keys()).filter(|key| differs(key)).collect();
    ensure!(!changed.is_empty(), "the restatement changed nothing");
    let on_other_days = changed.iter().find(|(day, _)| *day != restated.to_string());
    ensure!(on_other_days.is_none(), "{on_other_days:?} changed too");
    product.stop().await
}

async fn a_connection_made_anew_goes_on_where_the_former_one_was_and_doubles_nothing(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let provider = Provider::start(12).await?;
    let product = Product::start(&home).await?;
    let (_, today) = provider.sandbox.days();
    let from = today.checked_sub(30.days())?;
    let first = product.connect(&provider, 30).await?;
    product.synced(&first).await?;
    product.delete(&format!("/v1/connections/{first}")).await?;
    compare(&product, &provider, from, today).await?;
    let second = product.connect(&provider, 30).await?;
    product.synced(&second).await?;
    compare(&product, &provider, from, today).await?;
    product.delete(&format!("/v1/connections/{second}?charges=delete")).await?;
    // The former connection's charges are uncovered again; it was deleted without its charges.
    compare(&product, &provider, from, today).await
}

async fn two_servers_on_one_cluster_poll_a_connection_once_at_a_time(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let provider = Provider::start(13).await?;
    let one = Product::start(&home).await?;
    let two = Product::start(&home).await?;
    let (_, today) = provider.sandbox.days();
    let from = today.checked_sub(60.days())?;
    let connection = one.connect(&provider, 60).await?;
    for _ in 0..5 {
        let path = format!("/v1/connections/{connection}/sync");
        let body = serde_json::json!({});
        let (left, right) = tokio::try_join!(one.post(&path, &body), two.post(&path, &body))?;
        ensure!(left["sync_id"].is_string() && right["sync_id"].is_string());
    }
    two.synced(&connection).await?;
    compare(&two, &provider, from, today).await?;
    compare(&one, &provider, from, today).await
}

async fn an_embedded_store_has_one_holder(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let second = home.command(&["serve", "--listen", "127.0.0.1:0"]).output().await?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(!second.status.success() && said.contains("in use"), "{said}");
    product.stop().await
}
