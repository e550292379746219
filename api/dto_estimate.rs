//! Estimates as plain data.

use std::num::NonZeroU32;

use domain::Money;
use prices::{Confidence, Dispute, Estimate, Factor, Line, Note, Rate, Status, Used};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{json_number::Number, raw_usage::Said, schemas, usage_input::CUSTOM};

/// One of a currency in its smallest steps.
const ONE_FEMTOS: i64 = 1_000_000_000_000_000;

/// What a call costs. A cost of null is unknown, which is not zero.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EstimateView {
    /// `priced`: the cost is whole. `partial`: it is the sum of the lines that have a rate.
    /// `unpriced`: there is none.
    #[schema(value_type = schemas::PriceStatus)]
    status: &'static str,
    /// Decimal; null where it is unpriced.
    cost: Option<String>,
    /// ISO 4217 code of all amounts here but `stated_cost`; null where there is no price.
    currency: Option<String>,
    /// Disjoint parts of the call, whose costs add up to `cost`.
    lines: Vec<LineView>,
    /// What kept the cost from being whole: `model`, `service`, a unit without a rate, a condition
    /// without a row.
    missing: Vec<String>,
    /// What a reader should know about a cost, whole or not.
    notes: Vec<String>,
    /// Names like that of an unknown model: a hint for a person, never used.
    nearest: Vec<String>,
    /// The price that was used; null where there is none.
    price: Option<PriceView>,
    /// What the provider says in `raw_usage` that the call costs; decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    stated_cost: Option<String>,
    /// ISO 4217 code of `stated_cost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stated_currency: Option<String>,
    /// `stated_cost` minus `cost`; decimal. Absent where the two cannot be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
    /// What people should know about `raw_usage`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<FlagView>,
}

/// One part of a call.
#[derive(Debug, Serialize, ToSchema)]
struct LineView {
    /// What is counted: `input_tokens`, `custom:tasks`.
    unit: String,
    quantity: Number,
    /// What one costs, multiplier included; decimal, cut after 30 digits where it has no end.
    rate: String,
    /// What `per` of them cost, as price lists say it; decimal, without the multiplier.
    price: String,
    /// Of how many `price` is.
    per: u32,
    /// What `price` is multiplied with, for the place or by an own discount; absent where nothing
    /// is.
    #[serde(skip_serializing_if = "Option::is_none")]
    multiplier: Option<String>,
    /// Decimal, rounded once.
    cost: String,
}

/// Where a price comes from, and how sure it is.
#[derive(Debug, Serialize, ToSchema)]
struct PriceView {
    /// Who sells.
    service: String,
    /// The model by its canonical name.
    model: String,
    /// The row's name, which every cost keeps.
    row: String,
    /// Whether the row is an own price and not a built-in one.
    own: bool,
    /// The row of an own discount or multiplier that changed the built-in price.
    adjusted_by: Option<String>,
    /// Which catalogues say so, with their versions; `own`.
    source: Option<String>,
    /// Where that can be read.
    link: Option<String>,
    /// On which day it was read.
    read_on: Option<String>,
    /// First instant; null: from the beginning.
    #[schema(format = DateTime)]
    effective_from: Option<String>,
    /// First instant after; null: still in force.
    #[schema(format = DateTime)]
    effective_until: Option<String>,
    /// `agreed`, `single`, `ruled`, `inferred`, `disputed` or `own`.
    #[schema(value_type = schemas::Confidence)]
    confidence: &'static str,
    /// Rates of the row that another source gives otherwise.
    disputed: Vec<DisputeView>,
    /// Which built-in catalogue was used.
    catalogue: String,
}

/// A rate that another source gives otherwise.
#[derive(Debug, Serialize, ToSchema)]
struct DisputeView {
    /// The rate's key: `cache_read`.
    rate: &'static str,
    /// The threshold of the card that it stands in, where it is not the base card.
    over: Option<u64>,
    /// What the other source says, for as many as `per`; null where it has no such rate.
    figure: Option<String>,
    /// The other source.
    source: String,
}

/// Something that people should know about a block of usage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagView {
    /// What kind of thing: `assumed`, `lower_bound`.
    pub(crate) kind: &'static str,
    /// JSON pointer into the request.
    pub(crate) pointer: String,
    /// What it is, and what was made of it.
    pub(crate) detail: String,
}

/// What an estimate is shown with.
pub(crate) struct Shown<'a> {
    /// The catalogue's id.
    pub(crate) catalogue: &'a str,
    /// The canonical name of the model, where the catalogue knows one.
    pub(crate) canonical: Option<&'a str>,
    /// The model that was priced.
    pub(crate) model: &'a str,
    /// Notes beside the estimate's.
    pub(crate) notes: Vec<String>,
    /// Names like that of the model.
    pub(crate) nearest: Vec<String>,
    /// What the provider's own block says besides its counts.
    pub(crate) said: Option<Said>,
}

impl EstimateView {
    /// An estimate as clients see it.
    pub(crate) fn new(estimate: &Estimate<'_>, shown: Shown<'_>) -> EstimateView {
        let price = estimate.used.map(|used| PriceView::new(&used, &estimate.notes, &shown));
        let notes = estimate.notes.iter().map(ToString::to_string);
        let said = shown.said.unwrap_or_default();
        let whole = estimate.cost.filter(|_| estimate.status == Status::Priced);
        let difference = said.cost.zip(whole).and_then(|(stated, cost)| stated.checked_sub(cost));
        EstimateView {
            status: estimate.status.as_str(),
            cost: estimate.cost.as_ref().map(Money::to_string),
            currency: estimate.used.map(|used| used.row.currency.code().to_owned()),
            lines: estimate.lines.iter().map(LineView::new).collect(),
            missing: estimate.missing.iter().map(ToString::to_string).collect(),
            notes: shown.notes.into_iter().chain(notes).collect(),
            nearest: shown.nearest,
            price,
            stated_cost: said.cost.as_ref().map(Money::to_string),
            stated_currency: said.cost.map(|cost| cost.currency().code().to_owned()),
            difference: difference.as_ref().map(Money::to_string),
            flags: said.flags,
        }
    }
}

impl LineView {
    fn new(line: &Line<'_>) -> LineView {
        let unit = match line.is_custom {
            true => format!("{CUSTOM}{}", line.unit),
            false => line.unit.to_owned(),
        };
        // One of something that costs 1: the multiplier by itself.
        let one = Rate { femtos: ONE_FEMTOS, per: NonZeroU32::MIN };
        LineView {
            unit,
            quantity: Number(line.quantity),
            rate: line.rate.of_one(line.factor),
            price: line.rate.figure(),
            per: line.rate.per.get(),
            multiplier: (line.factor != Factor::ONE).then(|| one.of_one(line.factor)),
            cost: line.cost.to_string(),
        }
    }
}

impl PriceView {
    fn new(used: &Used<'_>, notes: &[Note], shown: &Shown<'_>) -> PriceView {
        let (row, is_own) = (used.row, used.row.confidence == Confidence::Own);
        let adjusted_by = notes.iter().find_map(|note| match note {
            Note::Adjusted(row) => Some(row.clone()),
            _ => None,
        });
        // A pattern is no model's name.
        let model = match used.model.id.contains('*') {
            true => shown.canonical.unwrap_or(shown.model),
            false => &used.model.id,
        };
        let provenance = &row.provenance;
        let own = || is_own.then(|| Confidence::Own.as_str().to_owned());
        PriceView {
            service: used.service.to_owned(),
            model: model.to_owned(),
            row: used.row_name(),
            own: is_own,
            adjusted_by,
            source: provenance.source.clone().or_else(own),
            link: provenance.link.clone(),
            read_on: provenance.read_on.clone(),
            effective_from: row.from.map(|from| from.to_string()),
            effective_until: row.until.map(|until| until.to_string()),
            confidence: used.confidence.as_str(),
            disputed: row.disputed.iter().map(DisputeView::from).collect(),
            catalogue: shown.catalogue.to_owned(),
        }
    }
}

impl From<&Dispute> for DisputeView {
    fn from(dispute: &Dispute) -> DisputeView {
        DisputeView {
            rate: dispute.rate.as_str(),
            over: dispute.over,
            figure: dispute.figure.clone(),
            source: dispute.source.clone(),
        }
    }
}
