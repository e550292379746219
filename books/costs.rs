//! Cost queries: what a slice of the charges costs, by group, period and currency.
//!
//! Blocks are handed in one by one. Each is summed by dictionary index first, so that a million
//! charges cost a million additions and only as many text comparisons as there are distinct groups.
//! Sums are exact; a group in which no line has a billed cost has no cost, which is not the same as
//! a cost of zero.

use std::collections::BTreeMap;

use columns::BlockError;
use domain::{Currency, Granularity, Money, Quantity, Unit, Window, Zone};
use jiff::Timestamp;

use crate::cost_sums::BlockSums;

/// By what costs can be grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Who bills.
    Provider,
    /// Seller in the price catalogue.
    Service,
    /// Model as billed.
    Model,
    /// Unit consumed.
    Unit,
    /// The connection or file that told it.
    Connection,
    /// Project, workspace or sub-account.
    SubAccount,
    /// The provider's API key.
    ApiKey,
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Dimension; 7] = [
        Dimension::Provider,
        Dimension::Service,
        Dimension::Model,
        Dimension::Unit,
        Dimension::Connection,
        Dimension::SubAccount,
        Dimension::ApiKey,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Dimension::Provider => "provider",
            Dimension::Service => "service",
            Dimension::Model => "model",
            Dimension::Unit => "unit",
            Dimension::Connection => "connection",
            Dimension::SubAccount => "sub_account",
            Dimension::ApiKey => "api_key",
        }
    }

    /// The dimension of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Dimension> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == name)
    }
}

/// What to sum and how to cut it.
#[derive(Debug, Clone)]
pub struct CostQuery {
    /// Charges whose period starts inside.
    pub window: Window,
    /// How finely time is cut.
    pub granularity: Granularity,
    /// The zone of days, weeks and months.
    pub zone: Zone,
    /// By what to group; in the order of the answer.
    pub group_by: Vec<Dimension>,
    /// Only charges with this value in each of these dimensions.
    pub filters: Vec<(Dimension, String)>,
    /// Only charges in this currency.
    pub currency: Option<Currency>,
}

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// Start of the period; of the whole window where time is not cut.
    pub period_start: Timestamp,
    /// The group's value in each dimension asked for; `None` where the charges do not say.
    pub group: Vec<Option<String>>,
    /// Currency.
    pub currency: Currency,
    /// Sum of the billed costs; `None` where no line has one.
    pub cost: Option<Money>,
    /// Sums of the consumed quantities by unit.
    pub quantities: Vec<(String, Quantity)>,
}

impl CostRow {
    /// How many requests the quantities say.
    #[must_use]
    pub fn requests(&self) -> Quantity {
        let requests = self.quantities.iter().find(|(unit, _)| unit == Unit::REQUESTS);
        requests.map_or(Quantity::ZERO, |(_, quantity)| *quantity)
    }
}

/// The answer to a cost query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CostReport {
    /// What everything costs, in each currency that has a billed cost.
    pub totals: Vec<Money>,
    /// The sums, in order of period, group and currency.
    pub rows: Vec<CostRow>,
}

/// Why costs cannot be summed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// A stored block is damaged.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A sum is beyond 10¹⁸ units.
    #[error("a sum of costs is beyond 10^18 units of its currency")]
    OutOfRange,
}

/// Where a block's charges came from, as far as queries care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOrigin<'a> {
    /// Who bills.
    pub provider: &'a str,
    /// The connection's or file's id.
    pub connection: &'a str,
}

/// Which sum a charge goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    pub(crate) period_start: Timestamp,
    pub(crate) group: Vec<Option<String>>,
    pub(crate) currency: Currency,
}

/// One sum while it grows; counts are 10⁻¹⁵ units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    pub(crate) cost: Option<i128>,
    pub(crate) quantities: BTreeMap<String, i128>,
}

impl Sum {
    pub(crate) fn add_cost(&mut self, femtos: i128) -> Result<(), CostError> {
        let sum = self.cost.unwrap_or(0).checked_add(femtos).ok_or(CostError::OutOfRange)?;
        self.cost = Some(sum);
        Ok(())
    }

    pub(crate) fn add_quantity(&mut self, unit: &str, femtos: i128) -> Result<(), CostError> {
        let quantity = match self.quantities.get_mut(unit) {
            Some(quantity) => quantity,
            None => self.quantities.entry(unit.to_owned()).or_default(),
        };
        *quantity = quantity.checked_add(femtos).ok_or(CostError::OutOfRange)?;
        Ok(())
    }

    fn add(&mut self, other: Sum) -> Result<(), CostError> {
        if let Some(femtos) = other.cost {
            self.add_cost(femtos)?;
        }
        for (unit, femtos) in other.quantities {
            self.add_quantity(&unit, femtos)?;
        }
        Ok(())
    }
}

/// Sums blocks into a report.
pub struct CostSums {
    query: CostQuery,
    sums: BTreeMap<GroupKey, Sum>,
}

impl CostSums {
    /// Nothing yet.
    #[must_use]
    pub const fn new(query: CostQuery) -> CostSums {
        CostSums { query, sums: BTreeMap::new() }
    }

    /// Adds the charges of one block's core columns.
    ///
    /// # Errors
    /// [`CostError`] where the block is damaged or a sum grows too large.
    pub fn add_block(&mut self, origin: BlockOrigin<'_>, core: &[u8]) -> Result<(), CostError> {
        for (dimension, value) in &self.query.filters {
            let own = match dimension {
                Dimension::Provider => origin.provider,
                Dimension::Connection => origin.connection,
                _ => continue,
            };
            if own != value {
                return Ok(());
            }
        }
        let sums = BlockSums::of(&self.query, origin, core)?;
        self.add_all(sums.into_groups())
    }

    /// Adds what another worker has summed of the same query.
    ///
    /// # Errors
    /// [`CostError::OutOfRange`] where a sum grows too large.
    pub fn merge(&mut self, other: CostSums) -> Result<(), CostError> {
        self.add_all(other.sums)
    }

    fn add_all(
        &mut self,
        groups: impl IntoIterator<Item = (GroupKey, Sum)>,
    ) -> Result<(), CostError> {
        for (key, sum) in groups {
            self.sums.entry(key).or_default().add(sum)?;
        }
        Ok(())
    }

    /// The report.
    ///
    /// # Errors
    /// [`CostError::OutOfRange`] where a sum is too large to say.
    pub fn finish(self) -> Result<CostReport, CostError> {
        let mut totals: BTreeMap<Currency, Sum> = BTreeMap::new();
        let mut rows = Vec::with_capacity(self.sums.len());
        for (key, sum) in self.sums {
            if let Some(femtos) = sum.cost {
                totals.entry(key.currency).or_default().add_cost(femtos)?;
            }
            rows.push(row_of(key, sum)?);
        }
        let money = |(currency, sum): (Currency, Sum)| {
            Money::from_femtos(sum.cost.unwrap_or(0), currency).ok_or(CostError::OutOfRange)
        };
        Ok(CostReport { totals: totals.into_iter().map(money).collect::<Result<_, _>>()?, rows })
    }
}

fn row_of(key: GroupKey, sum: Sum) -> Result<CostRow, CostError> {
    let money = |femtos| Money::from_femtos(femtos, key.currency).ok_or(CostError::OutOfRange);
    let quantity = |(unit, femtos): (String, i128)| {
        Ok((unit, Quantity::from_femtos(femtos).ok_or(CostError::OutOfRange)?))
    };
    Ok(CostRow {
        cost: sum.cost.map(money).transpose()?,
        quantities: sum.quantities.into_iter().map(quantity).collect::<Result<_, CostError>>()?,
        period_start: key.period_start,
        group: key.group,
        currency: key.currency,
    })
}
