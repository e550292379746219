//! `outlay prices show`: what a model costs, rate by rate, and what a call would, line by line.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    cli::{Output, PricesShowArgs},
    client::Client,
    output::{Listing, say},
};

/// The API's answer to `GET /v1/prices`.
#[derive(Deserialize)]
struct Prices {
    catalogue: String,
    data: Box<RawValue>,
    nearest: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    service: String,
    model: String,
    condition: String,
    hours: Vec<String>,
    currency: String,
    rates: Vec<Rate>,
    effective_from: Option<String>,
    effective_until: Option<String>,
    source: Option<String>,
    link: Option<String>,
    read_on: Option<String>,
    confidence: String,
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Rate {
    unit: String,
    price: String,
    per: serde_json::Number,
    over_input_tokens: Option<u64>,
    disputed: Option<String>,
}

/// The API's answer to `POST /v1/prices/estimate`.
#[derive(Deserialize)]
struct Estimate {
    status: String,
    cost: Option<String>,
    currency: Option<String>,
    lines: Box<RawValue>,
    missing: Vec<String>,
    notes: Vec<String>,
    #[serde(default)]
    nearest: Vec<String>,
    price: Option<Used>,
}

#[derive(Deserialize)]
struct Line {
    unit: String,
    quantity: serde_json::Number,
    price: String,
    per: serde_json::Number,
    multiplier: Option<String>,
    cost: String,
}

#[derive(Deserialize)]
struct Used {
    row: String,
    catalogue: String,
    source: Option<String>,
    link: Option<String>,
    read_on: Option<String>,
    effective_from: Option<String>,
    confidence: String,
    disputed: Vec<Dispute>,
}

#[derive(Deserialize)]
struct Dispute {
    rate: String,
    figure: Option<String>,
    source: String,
}

/// Prints a model's prices, or with a usage what it costs.
pub(crate) async fn run(client: &Client, args: &PricesShowArgs) -> Result<()> {
    match &args.usage {
        None => show_rows(client, args).await,
        Some(usage) => show_estimate(client, args, usage).await,
    }
}

async fn show_rows(client: &Client, args: &PricesShowArgs) -> Result<()> {
    let mut query = vec![("model", args.model.as_str())];
    query.extend(args.service.as_deref().map(|service| ("service", service)));
    query.extend(args.at.as_deref().map(|at| ("at", at)));
    let prices: Prices = client.get("/v1/prices", &query).await?;
    if args.output.output != Output::Table {
        return listing(&prices)?.print(args.output.output);
    }
    let rows: Vec<Row> = serde_json::from_str(prices.data.get())?;
    if rows.is_empty() {
        say(&format!("`{}` is unpriced: nobody in the catalogue sells it.", args.model));
        say_nearest(&prices.nearest);
        return Ok(());
    }
    for row in &rows {
        say_row(row);
    }
    say(&format!("Catalogue {}.", prices.catalogue));
    Ok(())
}

fn listing(prices: &Prices) -> Result<Listing<'_>> {
    let rows: Vec<Row> = serde_json::from_str(prices.data.get())?;
    let mut cells = vec![];
    for row in &rows {
        for rate in &row.rates {
            cells.push(vec![
                row.service.clone(),
                row.model.clone(),
                row.condition.clone(),
                rate.unit.clone(),
                rate.over_input_tokens.map_or_else(String::new, |over| over.to_string()),
                rate.price.clone(),
                rate.per.to_string(),
                row.currency.clone(),
                row.confidence.clone(),
            ]);
        }
    }
    let columns = vec![
        "service",
        "model",
        "condition",
        "unit",
        "over input tokens",
        ">price",
        ">per",
        "currency",
        "confidence",
    ];
    Ok(Listing { columns, rows: cells, json: &prices.data })
}

fn say_row(row: &Row) {
    let from = row.effective_from.as_deref().unwrap_or("the beginning");
    let until = row.effective_until.as_deref().map_or(String::new(), |at| format!(" until {at}"));
    let hours: String = row.hours.iter().map(|hours| format!(", {hours}")).collect();
    let of = format!("{}/{}, {}{hours}", row.service, row.model, row.condition);
    say(&format!("{of}, from {from}{until}"));
    let cells = row.rates.iter().map(|rate| {
        let over =
            rate.over_input_tokens.map_or(String::new(), |over| format!("over {over} input"));
        let disputed = rate.disputed.clone().unwrap_or_default();
        vec![rate.unit.clone(), over, rate.price.clone(), rate.per.to_string(), disputed]
    });
    let price = format!(">{}", row.currency);
    let columns = vec!["unit", "", price.as_str(), ">per", ""];
    let cells: Vec<_> = cells.collect();
    if !cells.is_empty() {
        say(&Listing { columns, rows: cells, json: RawValue::NULL }.table());
    }
    let read = row.read_on.as_deref().map_or(String::new(), |day| format!(", read {day}"));
    let sure = format!("({}{read})", row.confidence);
    let told = [row.source.as_deref(), row.link.as_deref()].into_iter().flatten();
    let told: Vec<&str> = told.collect();
    say(&match told.is_empty() {
        true => sure,
        false => format!("{} {sure}", told.join(", ")),
    });
    for note in &row.notes {
        say(note);
    }
    say("");
}

async fn show_estimate(client: &Client, args: &PricesShowArgs, usage: &str) -> Result<()> {
    let mut body = serde_json::Map::new();
    let json = |name: &str, text: &str| -> Result<serde_json::Value> {
        serde_json::from_str(text).with_context(|| format!("`--{name}` is not JSON"))
    };
    body.insert("service".to_owned(), args.service.clone().into());
    body.insert("model".to_owned(), args.model.clone().into());
    body.insert("usage".to_owned(), json("usage", usage)?);
    if let Some(context) = &args.context {
        body.insert("context".to_owned(), json("context", context)?);
    }
    if let Some(at) = &args.at {
        body.insert("at".to_owned(), at.clone().into());
    }
    let raw: Box<RawValue> = client.post("/v1/prices/estimate", &body.into()).await?;
    let estimate: Estimate = serde_json::from_str(raw.get())?;
    let lines: Vec<Line> = serde_json::from_str(estimate.lines.get())?;
    let rows = lines.iter().map(|line| {
        vec![
            line.unit.clone(),
            line.quantity.to_string(),
            line.price.clone(),
            line.per.to_string(),
            line.multiplier.clone().unwrap_or_else(|| "1".to_owned()),
            line.cost.clone(),
        ]
    });
    let columns = vec!["unit", ">quantity", ">price", ">per", ">times", ">cost"];
    let rows = rows.collect();
    match args.output.output {
        Output::Json => {
            say(to_raw_value(&raw)?.get());
            return Ok(());
        }
        Output::Csv => return Listing { columns, rows, json: &estimate.lines }.print(Output::Csv),
        Output::Table => say(&Listing { columns, rows, json: &estimate.lines }.table()),
    }
    say_end(&estimate);
    Ok(())
}

fn say_end(estimate: &Estimate) {
    let currency = estimate.currency.as_deref().unwrap_or_default();
    match &estimate.cost {
        Some(cost) => say(&format!("{}: {cost} {currency}", estimate.status)),
        None => say(&format!("{}: no cost can be said, which is not zero", estimate.status)),
    }
    for missing in &estimate.missing {
        say(&format!("missing: {missing}"));
    }
    for note in &estimate.notes {
        say(&format!("note: {note}"));
    }
    say_nearest(&estimate.nearest);
    if let Some(used) = &estimate.price {
        let parts = [
            Some(used.row.clone()),
            used.source.clone(),
            used.link.clone(),
            used.read_on.as_ref().map(|day| format!("read {day}")),
            used.effective_from.as_ref().map(|at| format!("in force from {at}")),
            Some(used.confidence.clone()),
            Some(format!("catalogue {}", used.catalogue)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        say(&format!("price: {}", parts.join(", ")));
        for dispute in used.disputed.iter().filter(|_| used.confidence == "disputed") {
            let figure = dispute.figure.as_deref().unwrap_or("no such rate");
            say(&format!("disputed: {} says {figure} for {}", dispute.source, dispute.rate));
        }
    }
}

fn say_nearest(nearest: &[String]) {
    if !nearest.is_empty() {
        say(&format!("Nearest names: {}.", nearest.join(", ")));
    }
}
