//! `GET /v1/organization/costs`: what was billed, by day.
//!
//! See <https://platform.openai.com/docs/api-reference/usage/costs>. Amounts are JSON numbers in
//! dollars with many digits, and with an exponent where they are tiny, as the real ones are; each
//! is the exact sum of whole femtodollars. A line item is `model, meter`, or a bare name where no
//! model is concerned.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, extract::State, http::Uri};
use domain::{fixed, time};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    Sandbox,
    errors::Refusal,
    models::WEB_SEARCH_RATE,
    organization::KEYS,
    page::WirePage,
    query::{Bucket, Page, Parameters, Width},
    world::World,
};

const DAYS: [Width; 1] = [Width { name: "1d", seconds: 86_400, limit_default: 7, limit_max: 180 }];
const GROUPS: [&str; 3] = ["project_id", "line_item", "api_key_id"];
const PARAMETERS: [&str; 9] = [
    "start_time",
    "end_time",
    "bucket_width",
    "group_by",
    "limit",
    "page",
    "project_ids",
    "api_key_ids",
    "line_items",
];
const WEB_SEARCH: &str = "web search tool calls";
const CREDIT: &str = "Service credit";
/// Below a ten-thousandth of a dollar, numbers print with an exponent.
const EXPONENT_BELOW: u128 = fixed::ONE.unsigned_abs() / 10_000;

/// One cost, before any grouping.
#[derive(Debug)]
pub(crate) struct CostLine {
    /// Index of the key, and with it of the project; a credit belongs to none.
    key: Option<usize>,
    pub(crate) line_item: String,
    pub(crate) femtos: i128,
    quantity: Option<u64>,
    unit: Option<&'static str>,
}

/// All costs of a span.
pub(crate) fn lines(world: &World, bucket: &Bucket) -> Vec<CostLine> {
    let end = bucket.end_second.min(world.billed_seconds(bucket.day));
    let mut lines = Vec::new();
    for cell in world.cells(bucket.day) {
        let used = cell.totals.between(bucket.start_second, end);
        let workload = cell.workload;
        let rates = workload.model.rates(workload.is_batch);
        let mut push = |line_item: String, quantity: u64, rate: i128, unit| {
            if quantity > 0 {
                let femtos = i128::from(quantity) * rate;
                let (key, quantity) = (Some(workload.key), Some(quantity));
                lines.push(CostLine { key, line_item, femtos, quantity, unit });
            }
        };
        let tokens = Some("tokens");
        let name = workload.model.name;
        push(format!("{name}, input"), used.uncached_tokens, rates.input, tokens);
        push(format!("{name}, cached input"), used.cached_tokens, rates.cached_input, tokens);
        push(format!("{name}, output"), used.output_tokens, rates.output, tokens);
        push(WEB_SEARCH.to_owned(), used.searches, WEB_SEARCH_RATE, None);
    }
    if let Some(femtos) = world.credit(bucket.day).filter(|_| bucket.start_second == 0) {
        let line_item = CREDIT.to_owned();
        lines.push(CostLine { key: None, line_item, femtos, quantity: None, unit: None });
    }
    lines
}

#[derive(Debug, Serialize)]
pub(crate) struct WireCost {
    object: &'static str,
    amount: WireAmount,
    line_item: Option<String>,
    project_id: Option<String>,
    api_key_id: Option<String>,
    quantity: Option<u64>,
    quantity_unit: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct WireAmount {
    value: Box<RawValue>,
    currency: &'static str,
}

pub(crate) async fn list(
    State(sandbox): State<Sandbox>,
    uri: Uri,
) -> Result<Json<WirePage<WireCost>>, Refusal> {
    let world = sandbox.world();
    let parameters = Parameters::of(&uri, &PARAMETERS)?;
    let page = Page::of(&parameters, &DAYS, &world)?;
    let question = Question {
        groups: parameters.many_of("group_by", &GROUPS)?,
        projects: parameters.many("project_ids"),
        keys: parameters.many("api_key_ids"),
        line_items: parameters.many("line_items"),
    };
    if let Some(since) = sandbox.options().costs_by_key_since {
        let since = time::day_start(since).as_second();
        if question.groups.contains("api_key_id") && page.start().is_some_and(|at| at < since) {
            let message = format!("group_by=api_key_id is not supported before {since}.");
            return Err(Refusal::parameter("group_by", message));
        }
    }
    Ok(Json(WirePage::fill(page, |bucket| question.answer(&world, lines(&world, bucket)))))
}

/// What to keep, and what to keep apart.
struct Question<'a> {
    groups: BTreeSet<&'a str>,
    projects: BTreeSet<&'a str>,
    keys: BTreeSet<&'a str>,
    line_items: BTreeSet<&'a str>,
}

/// The grouping fields of one result: project, line item, key. Its order is that of the results.
type Group = (Option<String>, Option<String>, Option<String>);

#[derive(Default)]
struct Sum {
    femtos: i128,
    quantity: Option<u64>,
    unit: Option<&'static str>,
}

impl Question<'_> {
    fn answer(&self, world: &World, lines: Vec<CostLine>) -> Vec<WireCost> {
        let mut sums = BTreeMap::<Group, Sum>::new();
        for line in lines {
            let project = line.key.map(|key| world.ids.projects[KEYS[key].project].as_str());
            let key = line.key.map(|key| world.ids.keys[key].as_str());
            let is_kept = is_among(&self.projects, project)
                && is_among(&self.keys, key)
                && is_among(&self.line_items, Some(&line.line_item));
            if !is_kept {
                continue;
            }
            let kept = |field: &str, value: Option<&str>| {
                value.filter(|_| self.groups.contains(field)).map(str::to_owned)
            };
            let group = (
                kept("project_id", project),
                kept("line_item", Some(&line.line_item)),
                kept("api_key_id", key),
            );
            let sum = sums.entry(group).or_default();
            sum.femtos += line.femtos;
            sum.quantity = add(sum.quantity, line.quantity);
            sum.unit = line.unit;
        }
        sums.into_iter().map(|(group, sum)| self.write(group, &sum)).collect()
    }

    /// A quantity is told only by line item: otherwise it would add up different things.
    fn write(&self, group: Group, sum: &Sum) -> WireCost {
        let (project_id, line_item, api_key_id) = group;
        let by_line_item = self.groups.contains("line_item");
        WireCost {
            object: "organization.costs.result",
            amount: WireAmount { value: number(sum.femtos), currency: "usd" },
            line_item,
            project_id,
            api_key_id,
            quantity: sum.quantity.filter(|_| by_line_item),
            quantity_unit: sum.unit.filter(|_| by_line_item),
        }
    }
}

fn add(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum + more),
        (sum, more) => sum.or(more),
    }
}

/// Whether a filter lets a value pass; an empty one lets everything pass, even what has no value.
pub(crate) fn is_among(filter: &BTreeSet<&str>, value: Option<&str>) -> bool {
    filter.is_empty() || value.is_some_and(|value| filter.contains(value))
}

/// An amount as the JSON number it is, exact to the last digit.
fn number(femtos: i128) -> Box<RawValue> {
    let mut text = String::new();
    let magnitude = femtos.unsigned_abs();
    if magnitude == 0 || magnitude >= EXPONENT_BELOW {
        fixed::write_decimal(femtos, &mut text).expect("writing to a string succeeds");
    } else {
        let digits = magnitude.to_string();
        let places = usize::try_from(fixed::SCALE).expect("fifteen") + 1 - digits.len();
        let (first, rest) = digits.split_at(1);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if femtos < 0 { "-" } else { "" };
        text = format!("{sign}{first}{point}{rest}e-{places:02}");
    }
    RawValue::from_string(text).expect("a decimal is a JSON number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_json_numbers_that_read_back_exactly() {
        for (femtos, text) in [
            (0, "0"),
            (1, "1e-15"),
            (-20, "-2e-14"),
            (1_776_500_000, "1.7765e-06"),
            (99_999_999_999, "9.9999999999e-05"),
            (100_000_000_000, "0.0001"),
            (130_804_383_403_075, "0.130804383403075"),
            (-3 * fixed::ONE, "-3"),
        ] {
            assert_eq!(number(femtos).get(), text);
            assert_eq!(fixed::parse_exact(text), Ok(femtos));
        }
    }
}
