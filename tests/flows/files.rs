//! Billing files: exact sums, no doubling, undo, and one source for each account's day.

use anyhow::{Context, Result, ensure};
use product::{Backend, Home, Product};
use serde_json::Value;

use crate::{OUTLAY, flows};

flows![FLOWS:
    the_public_sample_sums_to_the_last_digit_and_importing_it_twice_changes_nothing,
    deleting_a_file_takes_its_charges_out_and_uncovers_the_one_before,
    a_file_without_accounts_warns_where_its_days_are_covered_already,
];

/// An excerpt of the public FOCUS sample data; its billed costs add up to [`SAMPLE_TOTAL`].
pub(crate) const SAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/parsers/fixtures/focus/focus_1.0_sample_excerpt.csv");
/// By Python's `decimal`: `sum(Decimal(row["BilledCost"]) for row in
/// csv.DictReader(open(SAMPLE)))`.
pub(crate) const SAMPLE_TOTAL: &str = "9.44532991675";

async fn total(product: &Product) -> Result<Vec<String>> {
    let costs = product.get("/v1/costs?from=2020-01-01&granularity=total").await?;
    let totals = costs["totals"].as_array().context("totals")?;
    let text = |total: &Value| {
        format!(
            "{} {}",
            total["total"].as_str().unwrap_or("null"),
            total["currency"].as_str().unwrap_or("")
        )
    };
    Ok(totals.iter().map(text).collect())
}

/// A small FOCUS file of one day; `account` may be empty.
pub(crate) fn small_file(account: &str, costs: &[&str]) -> Vec<u8> {
    let mut text = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,\
                    ChargePeriodEnd,ServiceName,ProviderName,BillingAccountId\n"
        .to_owned();
    for cost in costs {
        text.push_str(&format!(
            "{cost},{cost},USD,Usage,2026-05-03T00:00:00Z,2026-05-04T00:00:00Z,\
             API,OpenAI,{account}\n"
        ));
    }
    text.into_bytes()
}

async fn the_public_sample_sums_to_the_last_digit_and_importing_it_twice_changes_nothing(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let file = product.import("focus_1.0_sample_excerpt.csv", std::fs::read(SAMPLE)?, &[]).await?;
    ensure!(file["state"] == "done", "{file}");
    ensure!(file["rows"] == 667 && file["charges"] == 667, "{file}");
    ensure!(file["totals"][0]["billed_cost"] == SAMPLE_TOTAL, "{file}");
    ensure!(total(&product).await? == [format!("{SAMPLE_TOTAL} USD")]);

    let (status, again) = product.upload("renamed.csv", std::fs::read(SAMPLE)?, &[]).await?;
    ensure!(status == 200 && again["duplicate"] == true && again["id"] == file["id"], "{again}");
    ensure!(total(&product).await? == [format!("{SAMPLE_TOTAL} USD")]);

    let mut lines = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/charges?from=2020-01-01&limit=250{cursor}");
        let page = product.get(&path).await?;
        lines += page["data"].as_array().context("a list")?.len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(lines == 667, "{lines} charges are listed");
    product.stop().await
}

async fn deleting_a_file_takes_its_charges_out_and_uncovers_the_one_before(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let first = product.import("may.csv", small_file("org-1", &["1.5", "2"]), &[]).await?;
    ensure!(total(&product).await? == ["3.5 USD"]);
    let second = product.import("may-restated.csv", small_file("org-1", &["4"]), &[]).await?;
    ensure!(total(&product).await? == ["4 USD"], "the newest file of an account's day counts");
    let charges = product.get("/v1/charges?from=2020-01-01").await?;
    let superseded = charges["data"].as_array().context("a list")?;
    let superseded = superseded.iter().filter(|line| line["superseded"] == true).count();
    ensure!(superseded == 2, "the older lines stay readable: {charges}");

    product.delete(&format!("/v1/files/{}", second["id"].as_str().context("an id")?)).await?;
    ensure!(total(&product).await? == ["3.5 USD"]);
    product.delete(&format!("/v1/files/{}", first["id"].as_str().context("an id")?)).await?;
    ensure!(total(&product).await?.is_empty());
    let again = product.import("may.csv", small_file("org-1", &["1.5", "2"]), &[]).await?;
    ensure!(again["state"] == "done" && total(&product).await? == ["3.5 USD"]);
    product.stop().await
}

async fn a_file_without_accounts_warns_where_its_days_are_covered_already(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    product.import("named.csv", small_file("org-1", &["1"]), &[]).await?;
    let unnamed = product.import("unnamed.csv", small_file("", &["2"]), &[]).await?;
    let has_warning = |file: &Value| {
        let warnings = file["warnings"].as_array().into_iter().flatten();
        warnings.into_iter().any(|warning| warning["code"] == "possible_overlap")
    };
    ensure!(has_warning(&unnamed), "{unnamed}");
    ensure!(total(&product).await? == ["3 USD"], "nothing is dropped in silence");
    product.delete(&format!("/v1/files/{}", unnamed["id"].as_str().context("an id")?)).await?;
    let fields = [("account", "org-1")];
    let named = product.import("unnamed.csv", small_file("", &["2"]), &fields).await?;
    ensure!(!has_warning(&named) && total(&product).await? == ["2 USD"], "{named}");
    product.stop().await
}
