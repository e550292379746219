//! Sums of what was booked, by quarter hour UTC and everything that costs are asked by.
//!
//! Sums only ever add up: a correction is negative, blocks may be merged in any order, and the sum
//! of sums is the sum of events. An adjustment is kept apart from what was reported.

use std::collections::BTreeMap;

use engine::command::Micros;
use engine::policy::Unit;
use serde::{Deserialize, Serialize};
use store::facts::FactsBlock;

use super::row_columns::{Column, Numbers, at, from_steps, steps};
use super::{FactsError, sealed};
use crate::detail::{CallSite, UnitName};

const FORMAT: u8 = 1;

/// How long a sum is for: every zone's hours, and all days but those of long ago, begin with one.
pub const QUARTER_MICROS: Micros = 900 * 1_000_000;

/// What a sum is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumKey {
    /// Which quarter hour, counted from 1970 in UTC.
    pub quarter: i64,
    /// Reported, or adjusted.
    pub kind: SumKind,
    /// Where.
    pub path: String,
    /// Who sold it.
    pub service: String,
    /// The canonical model.
    pub model: String,
    /// The API key that reported it.
    pub key: Option<u128>,
    /// Where in the code it was made.
    pub call_site: Option<CallSite>,
    /// The customer's number.
    pub end_user: Option<u64>,
    /// Tags, in the order of their names.
    pub tags: Vec<(String, String)>,
}

/// Why something was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SumKind {
    /// An application reported it.
    Reported,
    /// A bill exceeds what was reported.
    Adjustment,
}

/// A sum, as the engine counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sum {
    /// Femtodollars.
    pub cost: i128,
    /// Millicredits.
    pub credits: i128,
    /// Calls.
    pub requests: i128,
    /// Tokens.
    pub tokens: i128,
    /// Events; one that was reversed is none.
    pub event_count: i64,
    /// Of them: those that have no price, or not for everything.
    pub unpriced_count: i64,
    /// What was consumed, by unit, in millionths.
    pub quantities: BTreeMap<UnitName, i128>,
}

/// Sums by what they are of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums(BTreeMap<SumKey, Sum>);

/// Several blocks as one, with the same sums. The order does not matter.
///
/// # Errors
/// [`FactsError`] where one is damaged, or there is none.
pub fn merge_sums(blocks: &[FactsBlock]) -> Result<FactsBlock, FactsError> {
    let mut sums = Sums::default();
    let (first, rest) = blocks.split_first().ok_or(FactsError::Damaged("there are no blocks"))?;
    let mut merged = FactsBlock { bytes: vec![], ..first.clone() };
    sums.merge(Sums::decode(&first.bytes)?);
    for block in rest {
        sums.merge(Sums::decode(&block.bytes)?);
        merged.first_seq = merged.first_seq.min(block.first_seq);
        merged.last_seq = merged.last_seq.max(block.last_seq);
        merged.at_min = merged.at_min.min(block.at_min);
        merged.at_max = merged.at_max.max(block.at_max);
        merged.arrived_min = merged.arrived_min.min(block.arrived_min);
        merged.arrived_max = merged.arrived_max.max(block.arrived_max);
    }
    merged.row_count = u32::try_from(sums.len()).unwrap_or(u32::MAX);
    merged.bytes = sums.encode();
    Ok(merged)
}

/// The quarter hour that an instant lies in.
#[must_use]
pub fn quarter_of(at: Micros) -> i64 {
    at.div_euclid(QUARTER_MICROS)
}

impl SumKey {
    /// The first instant of its quarter hour.
    #[must_use]
    pub fn start(&self) -> Micros {
        self.quarter.saturating_mul(QUARTER_MICROS)
    }

    /// The first instant after.
    #[must_use]
    pub fn end(&self) -> Micros {
        self.start().saturating_add(QUARTER_MICROS)
    }
}

impl Sum {
    /// Adds another.
    pub fn add(&mut self, other: &Sum) {
        self.cost = self.cost.saturating_add(other.cost);
        self.credits = self.credits.saturating_add(other.credits);
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.event_count = self.event_count.saturating_add(other.event_count);
        self.unpriced_count = self.unpriced_count.saturating_add(other.unpriced_count);
        for (unit, quantity) in &other.quantities {
            if let Some(sum) = self.quantities.get_mut(unit) {
                *sum = sum.saturating_add(*quantity);
            } else {
                self.quantities.insert(unit.clone(), *quantity);
            }
        }
    }

    /// What a policy of this unit counts of it.
    #[must_use]
    pub fn of(&self, unit: Unit) -> i128 {
        match unit {
            Unit::Usd => self.cost,
            Unit::Credits => self.credits,
            Unit::Requests => self.requests,
            Unit::Tokens => self.tokens,
        }
    }
}

impl Sums {
    /// Adds to one of the sums.
    pub fn add(&mut self, key: SumKey, sum: &Sum) {
        self.0.entry(key).or_default().add(sum);
    }

    /// Adds others.
    pub fn merge(&mut self, other: Sums) {
        for (key, sum) in other.0 {
            self.add(key, &sum);
        }
    }

    /// The sums in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&SumKey, &Sum)> {
        self.0.iter()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The block's bytes: of the same sums always the same.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        sealed::seal(FORMAT, &Columns::of(&self.0))
    }

    /// Reads a block.
    ///
    /// # Errors
    /// [`FactsError`] where it is damaged, or of another release.
    pub fn decode(bytes: &[u8]) -> Result<Sums, FactsError> {
        sealed::open::<Columns>(FORMAT, bytes)?.sums()
    }
}

/// The block in columns.
#[derive(Serialize, Deserialize)]
struct Columns {
    quarters: Vec<i64>,
    kinds: Column<SumKind>,
    paths: Column<String>,
    services: Column<String>,
    models: Column<String>,
    keys: Column<Option<u128>>,
    call_sites: Column<Option<CallSite>>,
    end_users: Column<Option<u64>>,
    tags: Column<Vec<(String, String)>>,
    costs: Numbers,
    credits: Numbers,
    requests: Numbers,
    tokens: Numbers,
    event_counts: Vec<i64>,
    unpriced_counts: Vec<i64>,
    units: Column<Vec<UnitName>>,
    /// Row after row, unit after unit.
    quantities: Numbers,
}

impl Columns {
    fn of(sums: &BTreeMap<SumKey, Sum>) -> Columns {
        let (keys, rows) = (|| sums.keys(), || sums.values());
        let units: Vec<Vec<_>> =
            rows().map(|sum| sum.quantities.keys().cloned().collect()).collect();
        Columns {
            quarters: steps(keys().map(|key| key.quarter)),
            kinds: Column::of(keys().map(|key| &key.kind)),
            paths: Column::of(keys().map(|key| &key.path)),
            services: Column::of(keys().map(|key| &key.service)),
            models: Column::of(keys().map(|key| &key.model)),
            keys: Column::of(keys().map(|key| &key.key)),
            call_sites: Column::of(keys().map(|key| &key.call_site)),
            end_users: Column::of(keys().map(|key| &key.end_user)),
            tags: Column::of(keys().map(|key| &key.tags)),
            costs: Numbers::of(rows().map(|sum| sum.cost)),
            credits: Numbers::of(rows().map(|sum| sum.credits)),
            requests: Numbers::of(rows().map(|sum| sum.requests)),
            tokens: Numbers::of(rows().map(|sum| sum.tokens)),
            event_counts: rows().map(|sum| sum.event_count).collect(),
            unpriced_counts: rows().map(|sum| sum.unpriced_count).collect(),
            units: Column::of(units.iter()),
            quantities: Numbers::of(rows().flat_map(|sum| sum.quantities.values().copied())),
        }
    }

    fn sums(&self) -> Result<Sums, FactsError> {
        let mut sums = Sums::default();
        let mut next_quantity = 0;
        for (row, quarter) in from_steps(&self.quarters).into_iter().enumerate() {
            let key = SumKey {
                quarter,
                kind: *self.kinds.get(row)?,
                path: self.paths.get(row)?.clone(),
                service: self.services.get(row)?.clone(),
                model: self.models.get(row)?.clone(),
                key: *self.keys.get(row)?,
                call_site: self.call_sites.get(row)?.clone(),
                end_user: *self.end_users.get(row)?,
                tags: self.tags.get(row)?.clone(),
            };
            let mut quantities = BTreeMap::new();
            for unit in self.units.get(row)? {
                quantities.insert(unit.clone(), self.quantities.get(next_quantity)?);
                next_quantity += 1;
            }
            let sum = Sum {
                cost: self.costs.get(row)?,
                credits: self.credits.get(row)?,
                requests: self.requests.get(row)?,
                tokens: self.tokens.get(row)?,
                event_count: at(&self.event_counts, row)?,
                unpriced_count: at(&self.unpriced_counts, row)?,
                quantities,
            };
            sums.add(key, &sum);
        }
        Ok(sums)
    }
}
