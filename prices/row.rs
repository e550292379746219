//! Price rows as they are used: checked, exact, with the condition and the time they hold for.

use std::{cmp::Ordering, fmt};

use domain::{Currency, Processing, ServiceTier, Speed};
use jiff::Timestamp;

use crate::{Factor, Hours, Rate, RateKey};

/// The rates of one card: at most one for each key, and those of custom units.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Card {
    pub(crate) rates: [Option<Rate>; RateKey::COUNT],
    pub(crate) custom: Vec<(String, Rate)>,
}

impl Card {
    /// The rate of a key.
    #[must_use]
    pub fn rate(&self, key: RateKey) -> Option<Rate> {
        self.rates[key as usize]
    }

    /// The rates that are there, in the order of the text form.
    pub fn rates(&self) -> impl Iterator<Item = (RateKey, Rate)> {
        RateKey::ALL.into_iter().filter_map(|key| Some((key, self.rate(key)?)))
    }

    /// Units of a custom service and what one costs.
    #[must_use]
    pub fn custom(&self) -> &[(String, Rate)] {
        &self.custom
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.custom.is_empty() && self.rates.iter().all(Option::is_none)
    }
}

/// A card for requests with much input. It is for every token of such a request.
#[derive(Debug, Clone, PartialEq)]
pub struct LongContext {
    /// Input tokens, cached ones included.
    pub threshold: u64,
    /// Whether a request of exactly `threshold` tokens is priced by this card.
    pub at_threshold: bool,
    /// Its rates.
    pub card: Card,
}

impl LongContext {
    pub(crate) fn is_reached_by(&self, input_tokens: u64) -> bool {
        match input_tokens.cmp(&self.threshold) {
            Ordering::Greater => true,
            Ordering::Equal => self.at_threshold,
            Ordering::Less => false,
        }
    }
}

/// The condition that a row holds under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct When {
    /// At once or in a batch.
    pub processing: Processing,
    /// The tier.
    pub service_tier: ServiceTier,
    /// The speed.
    pub speed: Speed,
}

impl When {
    /// The list price: no condition.
    pub const STANDARD: When = When {
        processing: Processing::Standard,
        service_tier: ServiceTier::Standard,
        speed: Speed::Standard,
    };
}

/// `standard`, or what differs from it: `processing=batch`, `service_tier=flex&speed=fast`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == When::STANDARD {
            return f.write_str("standard");
        }
        let mut separator = "";
        for (name, word, differs) in [
            ("processing", self.processing.as_str(), self.processing != Processing::Standard),
            ("service_tier", self.service_tier.as_str(), {
                self.service_tier != ServiceTier::Standard
            }),
            ("speed", self.speed.as_str(), self.speed != Speed::Standard),
        ] {
            if differs {
                write!(f, "{separator}{name}={word}")?;
                separator = "&";
            }
        }
        Ok(())
    }
}

/// How sure the catalogue is of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Two sources or more say the same.
    Agreed,
    /// One source says so.
    Single,
    /// Sources differ, and a rule that is cited decides.
    Ruled,
    /// No source says so for this time; carried over from one that it does say.
    Inferred,
    /// Sources differ, and nothing decides.
    Disputed,
    /// An organization's or operator's own price.
    Own,
}

impl Confidence {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Confidence::Agreed => "agreed",
            Confidence::Single => "single",
            Confidence::Ruled => "ruled",
            Confidence::Inferred => "inferred",
            Confidence::Disputed => "disputed",
            Confidence::Own => "own",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Confidence> {
        let known = [
            Confidence::Agreed,
            Confidence::Single,
            Confidence::Ruled,
            Confidence::Inferred,
            Confidence::Disputed,
        ];
        known.into_iter().find(|confidence| confidence.as_str() == word)
    }
}

/// A rate that another source gives otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispute {
    /// Whose rate.
    pub rate: RateKey,
    /// The threshold of the card, for a long-context rate.
    pub over: Option<u64>,
    /// What the other source says, in the text form's unit.
    pub figure: Option<String>,
    /// The other source.
    pub source: String,
}

/// Where a row comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provenance {
    /// Catalogues, with their versions.
    pub source: Option<String>,
    /// Where they point to.
    pub link: Option<String>,
    /// The day on which they were read.
    pub read_on: Option<String>,
    /// Why, where a rule decides.
    pub rule: Option<String>,
}

/// One price row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// First instant; from the beginning if absent.
    pub from: Option<Timestamp>,
    /// First instant after; still in force if absent.
    pub until: Option<Timestamp>,
    /// The condition.
    pub when: When,
    /// Days and times; always if empty.
    pub hours: Vec<Hours>,
    /// What rates are in.
    pub currency: Currency,
    /// Rates, unless the row is an adjustment.
    pub card: Card,
    /// Cards for much input, by rising threshold.
    pub over: Vec<LongContext>,
    /// Of an own row that adjusts the built-in price: how many times that price.
    pub adjustment: Option<Factor>,
    /// Multipliers of token rates by the place where data stay.
    pub data_residency: Vec<(String, Factor)>,
    /// Multiplier of token rates on Vertex endpoints of a named region.
    pub vertex_regional: Option<Factor>,
    /// Audio is billed as at least this many seconds a call.
    pub minimum_audio_seconds: Option<domain::Quantity>,
    /// An allowance that no single call can show.
    pub free_web_searches: Option<String>,
    /// What usage has no word for.
    pub not_computable: Vec<String>,
    /// The source says that this costs nothing.
    pub is_free: bool,
    /// How sure the catalogue is.
    pub confidence: Confidence,
    /// Rates that another source gives otherwise.
    pub disputed: Vec<Dispute>,
    /// Where the row comes from.
    pub provenance: Provenance,
}

impl Row {
    /// Whether the row is in force at `at`: its dates are half-open.
    #[must_use]
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && (self.hours.is_empty() || self.hours.iter().any(|hours| hours.contains(at)))
    }

    /// The card for a request of so many input tokens, and its threshold.
    #[must_use]
    pub fn card_for(&self, input_tokens: u64) -> (&Card, Option<u64>) {
        let reached = self.over.iter().rev().find(|over| over.is_reached_by(input_tokens));
        reached.map_or((&self.card, None), |over| (&over.card, Some(over.threshold)))
    }

    /// What tells the row from others of its model: condition, start and hours.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = self.when.to_string();
        if let Some(from) = self.from {
            key.push_str(&format!("&from={from}"));
        }
        if !self.hours.is_empty() {
            key.push_str("&hours");
        }
        key
    }
}

/// A model and its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The canonical name at its seller.
    pub id: String,
    /// Other exact names.
    pub names: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

impl Model {
    /// The row with rates for a condition and an instant. One that is for certain hours goes before
    /// one that is for all.
    #[must_use]
    pub fn row(&self, when: When, at: Timestamp) -> Option<&Row> {
        let mut found = None;
        let holds = |row: &&Row| row.when == when && row.adjustment.is_none() && row.holds_at(at);
        for row in self.rows.iter().filter(holds) {
            if !row.hours.is_empty() {
                return Some(row);
            }
            found = Some(row);
        }
        found
    }
}
