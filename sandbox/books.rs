//! The truth: what the organization used and what it cost, without HTTP, pages or groups.
//!
//! A client that read everything must arrive at these numbers to the last digit. Costs are as the
//! provider tells them at this moment (late ones are missing here too); quantities come from usage.

use std::collections::BTreeMap;

use domain::{Currency, Money, Unit};
use jiff::civil::Date;

use crate::{
    costs,
    day::{DAY_SECONDS, DayTotals},
    query::Bucket,
    world::World,
};

/// The costs and quantities of a span of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// Always US dollars.
    pub currency: Currency,
    /// The sum of all rows.
    pub total: Money,
    /// Sorted by date and model; rows without a model come first in their day.
    pub rows: Vec<BooksRow>,
}

/// One model on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooksRow {
    /// The connector's id of the provider: `openai`.
    pub provider: &'static str,
    /// The UTC day.
    pub date: Date,
    /// The line items' text before their last comma; `None` for those without one.
    pub model: Option<String>,
    /// What the provider bills for it at this moment.
    pub cost: Money,
    /// Unit and count, in the vocabulary of [`Unit`]; units of which there is none are left out.
    pub quantities: Vec<(&'static str, u64)>,
}

impl Books {
    /// Adds up the days from `from` until before `to`; days without data have no rows.
    pub(crate) fn of(world: &World, from: Date, to: Date) -> Books {
        let mut rows = Vec::new();
        let (from, to) = (from.max(world.first_day), to.min(world.today));
        for day in from.series(jiff::Span::new().days(1)).take_while(|day| *day < to) {
            rows.extend(day_rows(world, day));
        }
        let zero = Money::zero(Currency::USD);
        let total = rows.iter().try_fold(zero, |sum, row| sum.checked_add(row.cost));
        let total = total.expect("the sandbox's organization is not that rich");
        Books { currency: Currency::USD, total, rows }
    }
}

fn day_rows(world: &World, day: Date) -> Vec<BooksRow> {
    let mut models = BTreeMap::<Option<String>, (i128, DayTotals)>::new();
    for line in costs::lines(world, &Bucket::whole_day(day)) {
        let model = line.line_item.rsplit_once(", ").map(|(model, _)| model.to_owned());
        models.entry(model).or_default().0 += line.femtos;
    }
    for cell in world.cells(day) {
        let model = Some(cell.workload.model.name.to_owned());
        models.entry(model).or_default().1.add(&cell.totals.between(0, DAY_SECONDS));
    }
    let row = |(model, (femtos, used)): (Option<String>, (i128, DayTotals))| BooksRow {
        provider: "openai",
        date: day,
        model,
        cost: Money::from_femtos(femtos, Currency::USD).expect("a day costs a few dollars"),
        quantities: quantities(&used),
    };
    models.into_iter().map(row).collect()
}

fn quantities(used: &DayTotals) -> Vec<(&'static str, u64)> {
    let all = [
        (Unit::INPUT_TOKENS, used.input_tokens()),
        (Unit::CACHE_READ_TOKENS, used.cached_tokens),
        (Unit::OUTPUT_TOKENS, used.output_tokens),
        (Unit::REQUESTS, used.requests),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
