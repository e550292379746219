//! Rate cards before they are merged: which rates a source gives under which condition.

use prices::RateKey;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prices::form::{HoursForm, WhenForm};

use crate::decimal::Rate;

/// Rates by key. What is absent is unknown, never zero.
pub(crate) type Card = BTreeMap<RateKey, Rate>;

/// Where a card for much input begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bound {
    pub(crate) tokens: u64,
    /// At `tokens` already, not only above.
    pub(crate) inclusive: bool,
}

/// A card and its cards for much input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cards {
    pub(crate) base: Card,
    pub(crate) over: BTreeMap<Bound, Card>,
}

impl Cards {
    pub(crate) fn is_empty(&self) -> bool {
        self.base.is_empty() && self.over.is_empty()
    }

    /// The card of a bound, or the base card.
    pub(crate) fn at(&self, bound: Option<Bound>) -> Option<&Card> {
        match bound {
            None => Some(&self.base),
            Some(bound) => self.over.get(&bound),
        }
    }
}

/// Under which condition a card holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    List,
    Batch,
    Tier(String),
    Speed(String),
}

impl When {
    pub(crate) fn form(&self) -> WhenForm {
        let mut form = WhenForm::default();
        match self {
            Self::List => {}
            Self::Batch => form.processing = Some("batch".to_owned()),
            Self::Tier(tier) => form.service_tier = Some(tier.clone()),
            Self::Speed(speed) => form.speed = Some(speed.clone()),
        }
        form
    }
}

/// A stretch of time; open where an end is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Span {
    pub(crate) fn contains(self, instant: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= instant)
            && self.until.is_none_or(|until| instant < until)
    }

    /// What both have in common; `None` if that is nothing.
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let until = match (self.until, other.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let empty = matches!((from, until), (Some(from), Some(until)) if from >= until);
        (!empty).then_some(Self { from, until })
    }

    /// An instant inside: the given one if it is, else the first one known, else the last.
    pub(crate) fn instant_near(self, wish: Timestamp) -> Timestamp {
        if self.contains(wish) {
            return wish;
        }
        match (self.from, self.until) {
            (Some(from), _) => from,
            (None, Some(until)) => until - jiff::SignedDuration::from_secs(1),
            (None, None) => wish,
        }
    }
}

/// What one source says about one model under one condition for a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) span: Span,
    pub(crate) cards: Cards,
    /// Keys that the source gives for the list price only and lets apply here too.
    pub(crate) inherited: BTreeSet<RateKey>,
    /// The source gives the date on which this begins.
    pub(crate) dated: bool,
    pub(crate) free: bool,
    pub(crate) hours: Vec<HoursForm>,
}

/// What is said about a model besides rates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    pub(crate) data_residency: BTreeMap<String, Rate>,
    pub(crate) vertex_regional: Option<Rate>,
    pub(crate) minimum_audio_seconds: Option<String>,
    pub(crate) free_web_searches: Option<String>,
    pub(crate) not_computable: BTreeSet<String>,
}

/// Cheaper hours: the card for them and when they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffPeak {
    pub(crate) card: Card,
    pub(crate) hours: Vec<HoursForm>,
}

/// A rate that a source gives twice, and not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) when: When,
    pub(crate) key: RateKey,
    /// The figure that was not taken.
    pub(crate) rate: Rate,
    /// The row that gives it, as the source names it.
    pub(crate) row: String,
}

/// What one source says about one model of a seller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) id: String,
    pub(crate) names: BTreeSet<String>,
    pub(crate) lanes: BTreeMap<When, Vec<Row>>,
    pub(crate) extras: Extras,
    pub(crate) off_peak: Option<OffPeak>,
    /// The card of the dear hours, where the source knows hours without a date.
    pub(crate) peak: Option<Cards>,
    pub(crate) link: Option<String>,
    /// The source points to a page of the seller's own for this very model.
    pub(crate) cites_seller: bool,
    /// Rates that another row of the same source and name gives otherwise.
    pub(crate) contradicted: Vec<Contradiction>,
    /// A rule that has corrected the quote, with a public link.
    pub(crate) rule: Option<String>,
}

impl Quote {
    /// The cards of a row of the list price: the dear hours' where hours have no date.
    pub(crate) fn full_price<'a>(&'a self, row: &'a Row) -> &'a Cards {
        self.peak.as_ref().unwrap_or(&row.cards)
    }

    /// The list price in force at an instant.
    pub(crate) fn list_at(&self, instant: Timestamp) -> Option<&Row> {
        self.lane_at(&When::List, instant)
    }

    pub(crate) fn lane_at(&self, when: &When, instant: Timestamp) -> Option<&Row> {
        self.lanes.get(when)?.iter().find(|row| row.span.contains(instant))
    }
}

/// A name that means a model for a time, as a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatedName {
    pub(crate) name: String,
    /// Index of the quote that it means.
    pub(crate) quote: usize,
    pub(crate) span: Span,
    pub(crate) link: Option<String>,
}

/// All that one source says about one seller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SellerQuotes {
    pub(crate) quotes: Vec<Quote>,
    pub(crate) dated_names: Vec<DatedName>,
}
