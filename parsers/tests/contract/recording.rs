//! A sink that writes down what it is given, and the readings that the contract compares.

use std::{fmt::Write, io::Read};

use domain::{Charge, Money, Quantity, file::OnError, fixed};
use parsers::{
    ChargeAccount, ChargeSink, ParseError, ParseOptions, ParseReport, Parser, SinkError, detect,
};

/// Everything that a parser said about a file.
pub(crate) struct Reading {
    pub(crate) report: ParseReport,
    pub(crate) sink: Recording,
}

/// Charges as text, one entry each, and their sums.
#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) columns: Vec<String>,
    pub(crate) charges: Vec<String>,
    /// The other columns that are not null, sorted by name.
    pub(crate) extras: Vec<Vec<(String, String)>>,
    /// Billed cost per currency, summed without the parser's help.
    pub(crate) sums: Vec<Money>,
    columns_calls: u32,
}

impl ChargeSink for Recording {
    fn columns(&mut self, extra: &[String]) -> Result<(), SinkError> {
        assert!(self.charges.is_empty(), "columns come before any charge");
        self.columns_calls += 1;
        assert_eq!(self.columns_calls, 1, "columns come once");
        self.columns = extra.to_vec();
        Ok(())
    }

    fn push(
        &mut self,
        account: &ChargeAccount<'_>,
        charge: &Charge<'_>,
        extra: &[Option<&str>],
    ) -> Result<(), SinkError> {
        assert_eq!(extra.len(), self.columns.len(), "one value per announced column");
        assert!(charge.is_within_range());
        let pairs = self.columns.iter().zip(extra);
        let mut extras: Vec<(String, String)> =
            pairs.filter_map(|(name, value)| Some((name.clone(), (*value)?.to_owned()))).collect();
        extras.sort();
        self.extras.push(extras);
        self.charges.push(describe(account, charge));
        let femtos = charge.billed_cost.expect("a FOCUS charge has a cost");
        let cost = Money::from_femtos(femtos, charge.currency).expect("within range");
        add(&mut self.sums, cost);
        Ok(())
    }
}

/// Adds to the sum of its currency.
pub(crate) fn add(sums: &mut Vec<Money>, cost: Money) {
    match sums.iter_mut().find(|sum| sum.currency() == cost.currency()) {
        Some(sum) => *sum = sum.checked_add(cost).expect("within range"),
        None => sums.push(cost),
    }
}

/// The options that every test begins with.
pub(crate) fn options() -> ParseOptions {
    ParseOptions::new("2026-11-20T12:00:00Z".parse().expect("a fixed instant"))
}

/// Detects and reads a file.
pub(crate) fn read(bytes: &[u8]) -> Result<Reading, ParseError> {
    read_with(bytes, &options())
}

/// Detects and reads a file, keeping what can be read of it.
pub(crate) fn read_skipping(bytes: &[u8]) -> Result<Reading, ParseError> {
    read_with(bytes, &ParseOptions { on_error: OnError::Skip, ..options() })
}

/// Detects and reads a file.
pub(crate) fn read_with(bytes: &[u8], options: &ParseOptions) -> Result<Reading, ParseError> {
    let head = &bytes[..bytes.len().min(parsers::HEAD_BYTES)];
    read_as(detect("costs.csv", head)?, &mut &*bytes, options)
}

/// Reads a file with a given parser.
pub(crate) fn read_as(
    parser: &dyn Parser,
    mut input: impl Read,
    options: &ParseOptions,
) -> Result<Reading, ParseError> {
    let mut sink = Recording::default();
    let report = parser.parse(&mut input, options, &mut sink)?;
    Ok(Reading { report, sink })
}

fn describe(account: &ChargeAccount<'_>, charge: &Charge<'_>) -> String {
    let mut text = String::new();
    let (start, end) = (charge.period_start, charge.period_end);
    let category = charge.category.as_str();
    line(&mut text, &format!("{start} to {end}: {category}"));
    let who = [Some(account.provider.as_str()), account.account, charge.sub_account.as_deref()];
    line(&mut text, &format!("  who       {}", join(&who)));
    let what = [
        charge.service.as_deref(),
        charge.service_name.as_deref(),
        charge.model.as_deref(),
        charge.sku.as_deref(),
        charge.description.as_deref(),
    ];
    line(&mut text, &format!("  what      {}", join(&what)));
    let currency = charge.currency;
    for (name, cost) in [
        ("billed", charge.billed_cost),
        ("effective", charge.effective_cost),
        ("list", charge.list_cost),
    ] {
        line(&mut text, &format!("  {name:<9} {} {currency}", decimal(cost)));
    }
    for (name, quantity, unit) in [
        ("consumed", charge.consumed_quantity, &charge.consumed_unit),
        ("priced", charge.pricing_quantity, &charge.pricing_unit),
    ] {
        let unit = unit.as_deref().unwrap_or("-");
        let femtos = quantity.as_ref().map(Quantity::femtos);
        line(&mut text, &format!("  {name:<9} {} {unit}", decimal(femtos)));
    }
    if let Some(exact) = &charge.billed_cost_text {
        line(&mut text, &format!("  exactly   {exact}"));
    }
    text
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{}", content.trim_end()).expect("text takes text");
}

fn join(parts: &[Option<&str>]) -> String {
    parts.iter().map(|part| part.unwrap_or("-")).collect::<Vec<_>>().join(" | ")
}

fn decimal(femtos: Option<i128>) -> String {
    let mut text = String::new();
    match femtos {
        Some(femtos) => fixed::write_decimal(femtos, &mut text).expect("text takes text"),
        None => text.push('-'),
    }
    text
}
