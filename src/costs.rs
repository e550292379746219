//! `outlay costs`: what was billed, by group and period.

use anyhow::Result;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::{
    cli::{CostsArgs, Output},
    client::Client,
    output::{Listing, say},
};

/// The API's answer, amounts as text.
#[derive(Deserialize)]
pub(crate) struct Costs {
    totals: Vec<Total>,
    complete_through: Option<String>,
    rows: Box<RawValue>,
}

#[derive(Deserialize)]
struct Total {
    currency: String,
    total: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    period_start: String,
    group: BTreeMap<String, Option<String>>,
    currency: String,
    cost: Option<String>,
}

/// Prints costs.
pub(crate) async fn run(client: &Client, args: &CostsArgs) -> Result<()> {
    let mut query =
        vec![("granularity", args.granularity.as_str()), ("group_by", args.group_by.as_str())];
    let optional = [
        ("from", &args.from),
        ("to", &args.to),
        ("provider", &args.provider),
        ("model", &args.model),
    ];
    query.extend(optional.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    let costs: Costs = client.get("/v1/costs", &query).await?;
    let dimensions: Vec<_> = args.group_by.split(',').filter(|name| !name.is_empty()).collect();
    let is_cut = args.granularity != "total";
    let listing = listing(&costs, &dimensions, is_cut)?;
    if args.output.output != Output::Table {
        return listing.print(args.output.output);
    }
    if !listing.rows.is_empty() {
        listing.print(Output::Table)?;
    }
    print_totals(&costs);
    Ok(())
}

/// The rows, each period's largest cost first where time is cut into none.
pub(crate) fn listing<'a>(
    costs: &'a Costs,
    dimensions: &[&'a str],
    is_cut: bool,
) -> Result<Listing<'a>> {
    let mut rows: Vec<Row> = serde_json::from_str(costs.rows.get())?;
    if !is_cut {
        rows.sort_by_key(|row| std::cmp::Reverse(femtos(row.cost.as_deref())));
    }
    let columns = columns_of(dimensions, is_cut);
    let cells = |row: Row| {
        let period = row.period_start.trim_end_matches("T00:00:00Z").to_owned();
        let group = dimensions.iter().map(|name| row.group.get(*name).cloned().flatten());
        let group = group.map(|value| value.unwrap_or_else(|| "–".to_owned()));
        let cost = [row.cost.unwrap_or_else(|| "–".to_owned()), row.currency];
        is_cut.then_some(period).into_iter().chain(group).chain(cost).collect()
    };
    Ok(Listing { columns, rows: rows.into_iter().map(cells).collect(), json: &costs.rows })
}

fn columns_of<'a>(dimensions: &[&'a str], is_cut: bool) -> Vec<&'a str> {
    let period = is_cut.then_some("period");
    period.into_iter().chain(dimensions.iter().copied()).chain([">cost", "currency"]).collect()
}

fn femtos(cost: Option<&str>) -> Option<i128> {
    domain::fixed::parse_exact(cost?).ok()
}

/// Prints what everything costs, and up to when that is final.
pub(crate) fn print_totals(costs: &Costs) {
    for total in &costs.totals {
        say(&format!("Total {} {}", total.total.as_deref().unwrap_or("–"), total.currency));
    }
    match &costs.complete_through {
        _ if costs.totals.is_empty() => {
            say("No charges in this period. Connect a provider (`outlay connect openai`) \
                 or import a file.");
        }
        Some(instant) => say(&format!("Complete through {instant}; later days may still change.")),
        None => {}
    }
}
