//! What a call costs, line by line, and what is missing where it cannot be said.

use std::fmt;

use domain::{Currency, Money, Quantity, RateContext, ServiceTier, Usage, UsageError};
use jiff::Timestamp;

use crate::{
    Catalogue, Confidence, Factor, Model, OwnPrices, Rate, RateKey, Row, When, choice::Choice,
    lines::Lines, own::row_name,
};

/// A call to be priced.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who sold it, lower case.
    pub service: &'a str,
    /// The model, as the response (or else the request) names it.
    pub model: &'a str,
    /// What it consumed.
    pub usage: &'a Usage,
    /// What else changes its rates.
    pub context: &'a RateContext,
    /// What was billed besides and usage has no word for: `file_searches`.
    pub beyond: &'a [&'a str],
    /// When it began.
    pub at: Timestamp,
}

/// Whether a cost could be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Wholly.
    Priced,
    /// In part: the cost is the sum of the lines that have a rate.
    Partial,
    /// Not at all. This is not zero.
    Unpriced,
}

impl Status {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Priced => "priced",
            Status::Partial => "partial",
            Status::Unpriced => "unpriced",
        }
    }
}

/// One line of a cost. The parts of a call are disjoint, and their costs add up to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'c> {
    /// What is counted; a custom unit by its name.
    pub unit: &'c str,
    /// Whether `unit` is a unit of a custom service.
    pub is_custom: bool,
    /// How much.
    pub quantity: Quantity,
    /// The rate.
    pub rate: Rate,
    /// What the rate is multiplied with.
    pub factor: Factor,
    /// Femtos of the currency, rounded once.
    pub cost: Money,
}

/// What kept a cost from being whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nobody knows the model at this seller.
    Model,
    /// Nobody knows the seller.
    Service,
    /// No row of the model is in force at that time.
    RowAt(Timestamp),
    /// A unit that was consumed has no rate.
    Rate(String),
    /// A rate that the base card has and the long-context card has not.
    LongContextRate(&'static str, u64),
    /// The request is long and the row for its condition has no long-context card.
    LongContextRow(When, u64),
    /// No row is for this condition; the next simpler one was used.
    Condition(String),
    /// A word of the context that nobody knows.
    Context(&'static str, String),
    /// The seller charges by something that usage has no word for.
    NotComputable(String),
    /// Nothing was said about what was consumed.
    Usage,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Model => f.write_str("model"),
            Missing::Service => f.write_str("service"),
            Missing::RowAt(at) => write!(f, "price at {at}"),
            Missing::Rate(unit) => f.write_str(unit),
            Missing::LongContextRate(unit, over) => write!(f, "{unit} over {over} input tokens"),
            Missing::LongContextRow(when, over) => {
                write!(f, "{when} over {over} input tokens")
            }
            Missing::Condition(condition) => f.write_str(condition),
            Missing::Context(field, word) => write!(f, "{field}={word}"),
            Missing::NotComputable(what) => write!(f, "{what} (usage has no word for it)"),
            Missing::Usage => f.write_str("usage"),
        }
    }
}

/// What a reader of a cost should know, though it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The name means this model at that time.
    Alias(String),
    /// A prefix of the name says who sold it.
    SellerFromName(String),
    /// A geography prefix was removed: the in-region price.
    Geography(String),
    /// The seller has no row of its own; it charges the maker's price.
    MakersPrice(String),
    /// The unit has no rate of its own and is billed as plain input.
    AsInput(&'static str),
    /// Cached and audio or image tokens overlap, and nobody said by how much: the least that fits.
    LeastOverlap,
    /// `auto` is a wish; the response did not say which tier served it.
    TierNotSaid,
    /// The place has no multiplier: the list price.
    NoUplift(&'static str, String),
    /// The location of the endpoint was not said: the global price.
    LocationNotSaid,
    /// The list price, before an allowance that no single call can show.
    BeforeAllowance(String),
    /// Billed as at least so many seconds.
    MinimumSeconds(Quantity),
    /// Both tokens and this unit were said, and the price is by the token.
    PricedByToken(&'static str),
    /// A discount or multiplier of one's own.
    Adjusted(String),
    /// Sources differ and a rule decides.
    Ruled(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Alias(model) => write!(f, "the name means `{model}` at that time"),
            Note::SellerFromName(seller) => write!(f, "the name says that `{seller}` sold it"),
            Note::Geography(word) => write!(f, "in-region price, from the prefix `{word}`"),
            Note::MakersPrice(maker) => write!(f, "no row of its own: the price of `{maker}`"),
            Note::AsInput(unit) => write!(f, "`{unit}` have no rate of their own: billed as input"),
            Note::LeastOverlap => {
                f.write_str("how many cached tokens are audio or images was not said: the fewest")
            }
            Note::TierNotSaid => {
                f.write_str("`auto` is a wish; the tier that served it was not said: standard")
            }
            Note::NoUplift(field, place) => {
                write!(f, "no multiplier is listed for {field} `{place}`: list price")
            }
            Note::LocationNotSaid => {
                f.write_str("`vertex_location` was not said: the global price; regions cost more")
            }
            Note::BeforeAllowance(allowance) => {
                write!(f, "searches before the free allowance ({allowance})")
            }
            Note::MinimumSeconds(seconds) => {
                write!(f, "billed as {seconds} seconds, the least for one call")
            }
            Note::PricedByToken(unit) => write!(f, "`{unit}` not priced: tokens are"),
            Note::Adjusted(row) => write!(f, "adjusted by `{row}`"),
            Note::Ruled(rule) => f.write_str(rule),
        }
    }
}

/// The row that a cost was computed with.
#[derive(Debug, Clone, Copy)]
pub struct Used<'c> {
    /// The seller.
    pub service: &'c str,
    /// The model, by its canonical name.
    pub model: &'c Model,
    /// The row.
    pub row: &'c Row,
    /// How sure its rates are that were used.
    pub confidence: Confidence,
}

impl Used<'_> {
    /// The row's name, which a cost keeps: `openai/gpt-5.4?service_tier=flex&from=…`.
    #[must_use]
    pub fn row_name(&self) -> String {
        match self.row.confidence {
            Confidence::Own => row_name(self.service, self.model, self.row),
            _ => format!("{}/{}?{}", self.service, self.model.id, self.row.key()),
        }
    }
}

/// What a call costs.
#[derive(Debug, Clone)]
pub struct Estimate<'c> {
    /// Whether it could be said.
    pub status: Status,
    /// The sum of the lines; `None` where it is unpriced, which is not zero.
    pub cost: Option<Money>,
    /// Its lines, each of a disjoint part of the call.
    pub lines: Vec<Line<'c>>,
    /// What is missing.
    pub missing: Vec<Missing>,
    /// What else a reader should know.
    pub notes: Vec<Note>,
    /// The row that was used.
    pub used: Option<Used<'c>>,
}

/// Why a call cannot be priced at all: it is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// The usage contradicts itself.
    #[error("{0}")]
    Usage(#[source] UsageError),
    /// A part was said and its whole was not.
    #[error("`{part}` is a part of `{whole}`, which is not said")]
    WholeNotSaid {
        /// The part.
        part: &'static str,
        /// The whole.
        whole: &'static str,
    },
    /// The cost is beyond 10¹⁸.
    #[error("the cost is beyond 10^18")]
    OutOfRange,
}

impl Catalogue {
    /// What a call costs, with own prices before the built-in ones; the first of `own` goes first.
    ///
    /// # Errors
    /// [`EstimateError`] where the usage contradicts itself or the cost has no place in 10¹⁸.
    pub fn estimate<'c>(
        &'c self,
        own: &[&'c OwnPrices],
        call: &Call<'_>,
    ) -> Result<Estimate<'c>, EstimateError> {
        call.usage.check().map_err(EstimateError::Usage)?;
        check_wholes(call.usage)?;
        let mut choice = Choice::of(self, own, call);
        let Some((service, model, row)) = choice.chosen else {
            return Ok(Estimate::unpriced(choice.missing, choice.notes));
        };
        let mut lines = Lines::new(row, choice.standard, call, choice.factor);
        lines.price()?;
        choice.missing.extend(lines.missing);
        choice.missing.extend(call.beyond.iter().map(|what| Missing::Rate((*what).to_owned())));
        choice.notes.extend(lines.notes);
        let confidence = lines.confidence;
        let used = Used { service, model, row, confidence };
        finish(lines.lines, choice.missing, choice.notes, used)
    }

    /// Whether anybody has a price for a call at its time, whatever it consumes.
    #[must_use]
    pub fn has_price(&self, own: &[&OwnPrices], call: &Call<'_>) -> bool {
        let is_whole = |missing: &Missing| {
            matches!(missing, Missing::Model | Missing::Service | Missing::RowAt(_))
        };
        !Choice::of(self, own, call).missing.iter().any(is_whole)
    }
}

fn finish<'c>(
    lines: Vec<Line<'c>>,
    missing: Vec<Missing>,
    mut notes: Vec<Note>,
    used: Used<'c>,
) -> Result<Estimate<'c>, EstimateError> {
    if let Some(rule) = &used.row.provenance.rule {
        notes.push(Note::Ruled(rule.clone()));
    }
    if lines.is_empty() && !missing.is_empty() {
        return Ok(Estimate { used: Some(used), ..Estimate::unpriced(missing, notes) });
    }
    let cost = total(&lines, used.row.currency).ok_or(EstimateError::OutOfRange)?;
    let status = if missing.is_empty() { Status::Priced } else { Status::Partial };
    Ok(Estimate { status, cost: Some(cost), lines, missing, notes, used: Some(used) })
}

fn total(lines: &[Line<'_>], currency: Currency) -> Option<Money> {
    lines.iter().try_fold(Money::zero(currency), |sum, line| sum.checked_add(line.cost))
}

impl Estimate<'_> {
    /// How much more than ours a cost is that the seller states; `None` where ours is not whole or
    /// in another currency. A stated cost is what counts; ours stands beside it.
    #[must_use]
    pub fn difference(&self, stated: Money) -> Option<Money> {
        let whole = self.cost.filter(|_| self.status == Status::Priced)?;
        stated.checked_sub(whole)
    }

    fn unpriced(missing: Vec<Missing>, notes: Vec<Note>) -> Estimate<'static> {
        Estimate { status: Status::Unpriced, cost: None, lines: vec![], missing, notes, used: None }
    }
}

/// A part without its whole would be priced at whatever the whole is taken for.
fn check_wholes(usage: &Usage) -> Result<(), EstimateError> {
    let (input, output) = (RateKey::Input.unit(), RateKey::Output.unit());
    for (part, said, whole, whole_said) in [
        (RateKey::CacheRead, usage.cache_read_tokens, input, usage.input_tokens),
        (RateKey::CacheWrite5m, usage.cache_write_tokens, input, usage.input_tokens),
        (
            RateKey::CacheWrite1h,
            usage.cache_write_1h_tokens,
            RateKey::CacheWrite5m.unit(),
            usage.cache_write_tokens,
        ),
        (RateKey::InputAudio, usage.input_audio_tokens, input, usage.input_tokens),
        (RateKey::InputImage, usage.input_image_tokens, input, usage.input_tokens),
        (
            RateKey::CacheReadAudio,
            usage.cache_read_audio_tokens,
            RateKey::CacheRead.unit(),
            usage.cache_read_tokens,
        ),
        (
            RateKey::CacheReadImage,
            usage.cache_read_image_tokens,
            RateKey::CacheRead.unit(),
            usage.cache_read_tokens,
        ),
        (
            RateKey::CacheReadAudio,
            usage.cache_read_audio_tokens,
            RateKey::InputAudio.unit(),
            usage.input_audio_tokens,
        ),
        (
            RateKey::CacheReadImage,
            usage.cache_read_image_tokens,
            RateKey::InputImage.unit(),
            usage.input_image_tokens,
        ),
        (RateKey::OutputReasoning, usage.output_reasoning_tokens, output, usage.output_tokens),
        (RateKey::OutputAudio, usage.output_audio_tokens, output, usage.output_tokens),
        (RateKey::OutputImage, usage.output_image_tokens, output, usage.output_tokens),
    ] {
        if said.unwrap_or(0) > 0 && whole_said.is_none() {
            return Err(EstimateError::WholeNotSaid { part: part.unit(), whole });
        }
    }
    Ok(())
}

/// The tier that a context asks for, as a row can have it; `None` where no row can.
pub(crate) fn priced_tier(context: &RateContext) -> Option<ServiceTier> {
    match context.service_tier {
        None | Some(ServiceTier::Auto) => Some(ServiceTier::Standard),
        Some(ServiceTier::Committed) => None,
        Some(tier) => Some(tier),
    }
}
