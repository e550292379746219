//! Price rows as plain data.

use prices::{Confidence, LongContext, Rate, RateKey, Row};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// What is known about the price of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PricesView {
    /// The catalogue's name: the newest day on which a source was read, and a hash.
    pub(crate) catalogue: String,
    /// Rows: own ones first, then the catalogue's; empty where nobody sells the model.
    pub(crate) data: Vec<PriceRowView>,
    /// Names like that of an unknown model: a hint for a person, never used.
    pub(crate) nearest: Vec<String>,
}

/// All rates of a model over a span of time, under one condition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceRowView {
    /// Who sells.
    service: String,
    /// The model by its canonical name; of an own row, its name or pattern.
    model: String,
    /// `standard`, or what differs from it: `processing=batch`.
    condition: String,
    /// Days and times at which the row holds, in its seller's words; empty: always.
    hours: Vec<String>,
    /// Whether the row is an own one.
    own: bool,
    /// ISO 4217 code.
    currency: String,
    /// Its rates; empty where it is free, an adjustment, or not computable.
    rates: Vec<RateView>,
    /// First instant; null: from the beginning.
    #[schema(format = DateTime)]
    effective_from: Option<String>,
    /// First instant after; null: still in force.
    #[schema(format = DateTime)]
    effective_until: Option<String>,
    /// Which catalogues say so, with their versions.
    source: Option<String>,
    /// Where that can be read.
    link: Option<String>,
    /// On which day it was read.
    read_on: Option<String>,
    /// `agreed`, `single`, `ruled`, `inferred`, `disputed` or `own`.
    #[schema(value_type = schemas::Confidence)]
    confidence: &'static str,
    /// What else a reader should know.
    notes: Vec<String>,
}

/// One rate.
#[derive(Debug, Serialize, ToSchema)]
struct RateView {
    /// What is counted.
    unit: String,
    /// What `per` of them cost; decimal.
    price: String,
    /// Of how many `price` is.
    per: u32,
    /// For requests of more input tokens than this; null: for all others.
    over_input_tokens: Option<u64>,
    /// Whether a request of exactly that many is one of them.
    at_threshold: bool,
    /// What another source says.
    disputed: Option<String>,
}

impl PriceRowView {
    /// A row as clients see it.
    pub(crate) fn new(service: &str, model: &str, row: &Row) -> PriceRowView {
        let custom = row
            .card
            .custom()
            .iter()
            .map(|(name, rate)| rate_view(row, &format!("custom:{name}"), None, *rate, None));
        let base = rates(row, None).into_iter().chain(custom);
        let over = row.over.iter().flat_map(|over| rates(row, Some(over)));
        PriceRowView {
            service: service.to_owned(),
            model: model.to_owned(),
            condition: row.when.to_string(),
            hours: row.hours.iter().map(ToString::to_string).collect(),
            own: row.confidence == Confidence::Own,
            currency: row.currency.code().to_owned(),
            rates: base.chain(over).collect(),
            effective_from: row.from.map(|from| from.to_string()),
            effective_until: row.until.map(|until| until.to_string()),
            source: row.provenance.source.clone(),
            link: row.provenance.link.clone(),
            read_on: row.provenance.read_on.clone(),
            confidence: row.confidence.as_str(),
            notes: notes(row),
        }
    }
}

fn rates(row: &Row, over: Option<&LongContext>) -> Vec<RateView> {
    let card = over.map_or(&row.card, |over| &over.card);
    card.rates().map(|(key, rate)| rate_view(row, key.unit(), Some(key), rate, over)).collect()
}

fn rate_view(
    row: &Row,
    unit: &str,
    key: Option<RateKey>,
    rate: Rate,
    over: Option<&LongContext>,
) -> RateView {
    let threshold = over.map(|over| over.threshold);
    let dispute =
        row.disputed.iter().find(|dispute| Some(dispute.rate) == key && dispute.over == threshold);
    RateView {
        unit: unit.to_owned(),
        price: rate.figure(),
        per: rate.per.get(),
        over_input_tokens: threshold,
        at_threshold: over.is_some_and(|over| over.at_threshold),
        disputed: dispute.map(|dispute| {
            let figure = dispute.figure.as_deref().unwrap_or("no such rate");
            format!("{} says {figure}", dispute.source)
        }),
    }
}

fn notes(row: &Row) -> Vec<String> {
    let mut notes: Vec<String> = row.provenance.rule.clone().into_iter().collect();
    if row.is_free {
        notes.push("the source says that it is free".to_owned());
    }
    if let Some(factor) = row.adjustment {
        notes.push(format!("{factor} times the catalogue's price"));
    }
    for (place, factor) in &row.data_residency {
        notes.push(format!("tokens cost {factor} times as much with data residency `{place}`"));
    }
    if let Some(factor) = row.vertex_regional {
        notes.push(format!("tokens cost {factor} times as much at a named Vertex region"));
    }
    if let Some(seconds) = row.minimum_audio_seconds {
        notes.push(format!("audio is billed as {seconds} seconds at least"));
    }
    if let Some(allowance) = &row.free_web_searches {
        notes.push(format!("searches are free up to {allowance}, which one call cannot show"));
    }
    let not_computable = row.not_computable.iter();
    notes.extend(not_computable.map(|what| format!("also charged by {what}; usage has no word")));
    notes
}
