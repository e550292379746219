//! Cost reports as plain data.

use std::collections::BTreeMap;

use domain::{Currency, Money, Quantity};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    json_number::Number,
    reported_sums::{ReportedCosts, ReportedRow},
    reports::{CostReport, CostRow},
};

/// What was billed, or reported. A cost of null is unknown, which is not zero.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostsView {
    /// The sum of each currency.
    totals: Vec<CostTotalView>,
    /// Reported events without a price, or not for everything; none take part in billed costs.
    unpriced_events: u64,
    /// Before this instant every source has spoken finally; null where nothing is known, and for
    /// reported costs, which are what they are within a second.
    #[schema(format = DateTime)]
    complete_through: Option<String>,
    /// By period, then group.
    rows: Vec<CostRowView>,
}

/// The sum of one currency.
#[derive(Debug, Serialize, ToSchema)]
struct CostTotalView {
    /// ISO 4217 code.
    currency: String,
    /// Decimal; null where no cost is known.
    total: Option<String>,
}

/// One period, group and currency.
#[derive(Debug, Serialize, ToSchema)]
struct CostRowView {
    /// Start of the period.
    #[schema(format = DateTime)]
    period_start: String,
    /// The value of each dimension asked for; null where the source does not say.
    group: BTreeMap<String, Option<String>>,
    /// ISO 4217 code.
    currency: String,
    /// Decimal; null where no cost is known.
    cost: Option<String>,
    /// Calls, as far as sources count them.
    requests: Number,
    /// What was consumed.
    quantities: Vec<QuantityView>,
}

/// An amount of one unit.
#[derive(Debug, Serialize, ToSchema)]
struct QuantityView {
    /// `input_tokens`, or the provider's own word.
    unit: String,
    quantity: Number,
}

impl From<CostReport> for CostsView {
    fn from(report: CostReport) -> CostsView {
        let total = |(currency, total): (Currency, Option<Money>)| CostTotalView {
            currency: currency.to_string(),
            total: total.map(|total| total.to_string()),
        };
        CostsView {
            totals: report.totals.into_iter().map(total).collect(),
            unpriced_events: 0,
            complete_through: report.complete_through.map(|at| at.to_string()),
            rows: report.rows.into_iter().map(CostRowView::from).collect(),
        }
    }
}

impl From<ReportedCosts> for CostsView {
    fn from(costs: ReportedCosts) -> CostsView {
        let total = || CostTotalView {
            currency: Currency::USD.to_string(),
            total: costs.total.map(|total| total.to_string()),
        };
        CostsView {
            totals: costs.rows.first().map(|_| total()).into_iter().collect(),
            unpriced_events: costs.unpriced_count,
            complete_through: None,
            rows: costs.rows.into_iter().map(CostRowView::from).collect(),
        }
    }
}

impl From<ReportedRow> for CostRowView {
    fn from(row: ReportedRow) -> CostRowView {
        CostRowView {
            period_start: row.period_start.to_string(),
            group: row.group.into_iter().collect(),
            currency: Currency::USD.to_string(),
            cost: row.cost.map(|cost| cost.to_string()),
            requests: Number(row.requests),
            quantities: row.quantities.into_iter().map(quantity_view).collect(),
        }
    }
}

impl From<CostRow> for CostRowView {
    fn from(row: CostRow) -> CostRowView {
        let group = row.group.into_iter().map(|(name, value)| (name.as_str().to_owned(), value));
        CostRowView {
            period_start: row.period_start.to_string(),
            group: group.collect(),
            currency: row.currency.to_string(),
            cost: row.cost.map(|cost| cost.to_string()),
            requests: Number(row.requests),
            quantities: row.quantities.into_iter().map(quantity_view).collect(),
        }
    }
}

fn quantity_view((unit, quantity): (String, Quantity)) -> QuantityView {
    QuantityView { unit, quantity: Number(quantity) }
}
