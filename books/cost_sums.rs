//! The sums of one block, by dictionary index: the inner loop of every cost query.

use std::collections::HashMap;

use columns::{BlockError, BlockView, IntegerColumn, TextColumn, column};
use domain::{Currency, Granularity, time};
use jiff::Timestamp;

use crate::costs::{BlockOrigin, CostError, CostQuery, Dimension, GroupKey, Sum};

/// One way in which rows are told apart.
struct Axis<'a> {
    column: Option<TextColumn<'a>>,
    /// By index: whether the query wants it. Empty where it wants all.
    wanted: Vec<bool>,
    index_count: usize,
}

impl Axis<'_> {
    fn index(&self, row: usize) -> usize {
        self.column.as_ref().map_or(0, |column| column.index(row))
    }

    fn text(&self, index: usize) -> Option<&str> {
        self.column.as_ref()?.entry(index)
    }
}

/// One group of one block.
struct Slot {
    period_start: Timestamp,
    indexes: Vec<usize>,
    cost: Option<i128>,
    /// By index of the unit: the sum, `None` where no row of the unit was seen.
    quantities: Vec<Option<i128>>,
}

/// The sums of one block.
pub(crate) struct BlockSums<'a> {
    query: &'a CostQuery,
    origin: BlockOrigin<'a>,
    /// Axes of `group_by` that differ within a block, the currency last.
    axes: Vec<Axis<'a>>,
    unit: Option<TextColumn<'a>>,
    /// Which slot a combination of period and indexes has. Looked up for nearly every row, never
    /// walked.
    places: HashMap<(i64, u64), usize, foldhash::fast::FixedState>,
    last: Option<((i64, u64), usize)>,
    slots: Vec<Slot>,
}

/// The column of a dimension; `None` where a block has one value for all its rows.
const fn column_of(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Provider | Dimension::Connection => None,
        Dimension::Service => Some(column::SERVICE),
        Dimension::Model => Some(column::MODEL),
        Dimension::Unit => Some(column::CONSUMED_UNIT),
        Dimension::SubAccount => Some(column::SUB_ACCOUNT),
        Dimension::ApiKey => Some(column::API_KEY),
    }
}

impl<'a> BlockSums<'a> {
    pub(crate) fn of(
        query: &'a CostQuery,
        origin: BlockOrigin<'a>,
        core: &'a [u8],
    ) -> Result<BlockSums<'a>, CostError> {
        let view = BlockView::open(core)?;
        let mut axes = Vec::new();
        for name in query.group_by.iter().filter_map(|dimension| column_of(*dimension)) {
            axes.push(axis(&view, name, None)?);
        }
        let currency = query.currency.map(|currency| currency.to_string());
        axes.push(axis(&view, column::CURRENCY, currency.as_deref())?);
        let mut filters = Vec::new();
        for (dimension, value) in &query.filters {
            if let Some(name) = column_of(*dimension) {
                filters.push(axis(&view, name, Some(value))?);
            }
        }
        let mut sums = BlockSums {
            query,
            origin,
            axes,
            unit: view.texts(column::CONSUMED_UNIT)?,
            places: HashMap::default(),
            last: None,
            slots: Vec::new(),
        };
        sums.add_rows(&view, &filters)?;
        Ok(sums)
    }

    fn add_rows(&mut self, view: &BlockView<'a>, filters: &[Axis<'a>]) -> Result<(), CostError> {
        let costs = view.integers(column::BILLED_COST)?;
        let quantities = view.integers(column::CONSUMED_QUANTITY)?;
        let mut periods = Periods::open(self.query, view)?;
        let passes = |axis: &Axis<'_>, row| {
            axis.wanted.is_empty() || axis.wanted.get(axis.index(row)).copied().unwrap_or(false)
        };
        for row in 0..view.row_count() {
            let Some(period_start) = periods.of_row(row)? else { continue };
            let currency = self.axes.last().expect("the currency is always an axis");
            if !passes(currency, row) || !filters.iter().all(|axis| passes(axis, row)) {
                continue;
            }
            let slot = self.slot(period_start, row)?;
            if let Some(cost) = costs.as_ref().and_then(|column| column.get(row)) {
                let slot = &mut self.slots[slot];
                let sum = slot.cost.unwrap_or(0).checked_add(cost);
                slot.cost = Some(sum.ok_or(CostError::OutOfRange)?);
            }
            if let Some(quantity) = quantities.as_ref().and_then(|column| column.get(row)) {
                let unit = self.unit.as_ref().map_or(0, |column| column.index(row));
                let sum = &mut self.slots[slot].quantities[unit];
                let total = sum.unwrap_or(0).checked_add(quantity);
                *sum = Some(total.ok_or(CostError::OutOfRange)?);
            }
        }
        Ok(())
    }

    /// The slot of a row. Indexes are packed into one number, so that finding it compares integers
    /// only.
    fn slot(&mut self, period_start: Timestamp, row: usize) -> Result<usize, CostError> {
        let mut packed: u64 = 0;
        for axis in &self.axes {
            let packing = || CostError::Block(BlockError::Corrupt("too many combinations"));
            let count = u64::try_from(axis.index_count).map_err(|_| packing())?;
            let index = u64::try_from(axis.index(row)).map_err(|_| packing())?;
            packed = packed
                .checked_mul(count)
                .and_then(|packed| packed.checked_add(index))
                .ok_or_else(packing)?;
        }
        let key = (period_start.as_microsecond(), packed);
        if let Some((last, slot)) = self.last
            && last == key
        {
            return Ok(slot);
        }
        let next = self.slots.len();
        let slot = *self.places.entry(key).or_insert(next);
        if slot == next {
            let unit_count = self.unit.as_ref().map_or(1, TextColumn::index_count);
            self.slots.push(Slot {
                period_start,
                indexes: self.axes.iter().map(|axis| axis.index(row)).collect(),
                cost: None,
                quantities: vec![None; unit_count],
            });
        }
        self.last = Some((key, slot));
        Ok(slot)
    }

    /// The sums under the names of their groups.
    pub(crate) fn into_groups(self) -> Vec<(GroupKey, Sum)> {
        let mut groups = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let currency = self.axes.last().and_then(|axis| axis.text(*slot.indexes.last()?));
            // Every charge is written with a valid currency; a damaged one must not become another.
            let Some(currency) = currency.and_then(Currency::parse) else { continue };
            let key =
                GroupKey { period_start: slot.period_start, group: self.group_of(slot), currency };
            let mut sum = Sum { cost: slot.cost, ..Sum::default() };
            for (unit, quantity) in slot.quantities.iter().enumerate() {
                if let Some(quantity) = quantity {
                    let unit = self.unit.as_ref().and_then(|column| column.entry(unit));
                    sum.quantities.insert(unit.unwrap_or("").to_owned(), *quantity);
                }
            }
            groups.push((key, sum));
        }
        groups
    }

    fn group_of(&self, slot: &Slot) -> Vec<Option<String>> {
        let mut axes = self.axes.iter().zip(&slot.indexes);
        let value = |dimension: &Dimension| match dimension {
            Dimension::Provider => Some(self.origin.provider.to_owned()),
            Dimension::Connection => Some(self.origin.connection.to_owned()),
            _ => {
                let (axis, index) = axes.next().expect("each other dimension has an axis");
                axis.text(*index).map(str::to_owned)
            }
        };
        self.query.group_by.iter().map(value).collect()
    }
}

fn axis<'a>(view: &BlockView<'a>, name: &str, wanted: Option<&str>) -> Result<Axis<'a>, CostError> {
    let column = view.texts(name)?;
    let index_count = column.as_ref().map_or(1, TextColumn::index_count);
    let is_wanted = |index| {
        let text = column.as_ref().and_then(|column| column.entry(index));
        wanted.is_some() && text == wanted
    };
    let wanted = match wanted {
        Some(_) => (0..index_count).map(is_wanted).collect(),
        None => Vec::new(),
    };
    Ok(Axis { column, wanted, index_count })
}

/// The period of each row.
struct Periods<'a> {
    query: &'a CostQuery,
    starts: IntegerColumn<'a>,
    ends: IntegerColumn<'a>,
    /// The answer for the last pair of start and end: rows of a block mostly share one.
    last: Option<((i128, i128), Option<Timestamp>)>,
}

impl<'a> Periods<'a> {
    fn open(query: &'a CostQuery, view: &BlockView<'a>) -> Result<Periods<'a>, CostError> {
        let missing = CostError::Block(BlockError::Corrupt("it has no charge periods"));
        let starts = view.integers(column::PERIOD_START)?.ok_or(missing.clone())?;
        let ends = view.integers(column::PERIOD_END)?.ok_or(missing)?;
        Ok(Periods { query, starts, ends, last: None })
    }

    /// The start of the row's period; `None` where the row lies outside the query's window.
    fn of_row(&mut self, row: usize) -> Result<Option<Timestamp>, CostError> {
        let impossible = || CostError::Block(BlockError::Corrupt("a charge period is impossible"));
        let (Some(start), Some(end)) = (self.starts.get(row), self.ends.get(row)) else {
            return Err(impossible());
        };
        if let Some((pair, period)) = self.last
            && pair == (start, end)
        {
            return Ok(period);
        }
        let instant = |micros: i128| {
            let micros = i64::try_from(micros).map_err(|_| impossible())?;
            Timestamp::from_microsecond(micros).map_err(|_| impossible())
        };
        let period = self.period(instant(start)?, instant(end)?);
        self.last = Some(((start, end), period));
        Ok(period)
    }

    /// A line that covers whole UTC days belongs to the provider's day, whatever the organization's
    /// zone: in New York the provider's 1 April is still reported as 1 April. Finer lines belong to
    /// the local period.
    fn period(&self, start: Timestamp, end: Timestamp) -> Option<Timestamp> {
        let query = self.query;
        let is_whole_days = time::day_start(time::utc_day(start)) == start
            && time::day_start(time::utc_day(end)) == end;
        let local = match is_whole_days && query.granularity != Granularity::Hour {
            true => query.zone.local_midnight(time::utc_day(start)),
            false => start,
        };
        if !query.window.contains(local) {
            return None;
        }
        Some(match query.granularity {
            Granularity::Total => query.window.start,
            granularity => query.zone.period_start(local, granularity),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CostReport, CostSums};
    use columns::{BlockLimits, BlockWriter};
    use domain::{Account, Charge, ProviderId, Quantity, Window, Zone, fixed};
    use std::borrow::Cow;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn query(group_by: &[Dimension], granularity: Granularity, zone: &str) -> CostQuery {
        CostQuery {
            window: Window::new(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).unwrap(),
            granularity,
            zone: Zone::parse(zone).unwrap(),
            group_by: group_by.to_vec(),
            filters: Vec::new(),
            currency: None,
        }
    }

    /// `start end model cost currency quantity unit`, `-` for nothing.
    fn charges(lines: &str) -> Vec<Charge<'static>> {
        lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
                let word = |at: usize| (words[at] != "-").then(|| words[at].clone());
                let currency = Currency::parse(&words[4]).unwrap();
                let owned = |at: usize| word(at).map(Cow::Owned);
                Charge {
                    model: owned(2),
                    billed_cost: word(3).map(|text| fixed::parse_exact(&text).unwrap()),
                    consumed_quantity: word(5).map(|text| Quantity::parse_rounded(&text).unwrap()),
                    consumed_unit: owned(6),
                    ..Charge::empty(at(&words[0]), at(&words[1]), currency)
                }
            })
            .collect()
    }

    fn report(query: &CostQuery, lines: &str) -> CostReport {
        sums(query, lines).finish().unwrap()
    }

    fn sums(query: &CostQuery, lines: &str) -> CostSums {
        let account =
            Account { provider: ProviderId::parse("openai").unwrap(), id: "org".to_owned() };
        let mut sums = CostSums::new(query.clone());
        let mut writer = BlockWriter::new(BlockLimits::default(), Vec::new());
        let mut blocks = Vec::new();
        for charge in charges(lines) {
            writer.push(&account, &charge, &[], &mut |block| blocks.push(block));
        }
        writer.finish(&mut |block| blocks.push(block));
        for block in blocks {
            let origin = BlockOrigin { provider: "openai", connection: "conn_1" };
            sums.add_block(origin, &block.core).unwrap();
        }
        sums
    }

    /// One line a row: period, group, cost and currency, quantities.
    fn printed(report: &CostReport) -> Vec<String> {
        let print = |row: &crate::CostRow| {
            let group: Vec<_> =
                row.group.iter().map(|value| value.as_deref().unwrap_or("-")).collect();
            let cost = row.cost.map_or("-".to_owned(), |cost| cost.to_string());
            let quantities: String =
                row.quantities.iter().map(|(unit, many)| format!(" {many} {unit}")).collect();
            let group = group.join("/");
            format!("{} {group} {cost} {}{quantities}", row.period_start, row.currency)
        };
        report.rows.iter().map(print).collect()
    }

    const TWO_DAYS: &str = "
        2026-03-31T00:00:00Z 2026-04-01T00:00:00Z gpt-4o 0.1 USD - -
        2026-03-31T00:00:00Z 2026-04-01T00:00:00Z gpt-4o 0.2 USD - -
        2026-03-31T00:00:00Z 2026-04-01T00:00:00Z gpt-4o - USD 1000 input_tokens
        2026-04-01T00:00:00Z 2026-04-02T00:00:00Z gpt-4o 1 USD - -
        2026-04-01T00:00:00Z 2026-04-02T00:00:00Z - 5 EUR - -
        2026-04-01T00:00:00Z 2026-04-02T00:00:00Z o3 - USD 7 requests";

    #[test]
    fn costs_sum_exactly_by_group_period_and_currency() {
        let report = report(&query(&[Dimension::Model], Granularity::Day, "UTC"), TWO_DAYS);
        assert_eq!(
            printed(&report),
            [
                "2026-03-31T00:00:00Z gpt-4o 0.3 USD 1000 input_tokens",
                "2026-04-01T00:00:00Z - 5 EUR",
                "2026-04-01T00:00:00Z gpt-4o 1 USD",
                "2026-04-01T00:00:00Z o3 - USD 7 requests",
            ]
        );
        let totals: Vec<_> = report.totals.iter().map(|total| format!("{total:?}")).collect();
        assert_eq!(totals, ["5 EUR", "1.3 USD"]);
        assert_eq!(report.rows[3].requests(), Quantity::from_count(7).unwrap());
    }

    #[test]
    fn a_group_without_any_billed_cost_has_no_cost_rather_than_zero() {
        let mut o3 = query(&[], Granularity::Total, "UTC");
        o3.filters.push((Dimension::Model, "o3".to_owned()));
        assert_eq!(printed(&report(&o3, TWO_DAYS)), ["2026-01-01T00:00:00Z  - USD 7 requests"]);
    }

    #[test]
    fn a_providers_whole_day_keeps_its_date_in_every_zone_and_hours_are_local() {
        let by_day = |zone| query(&[], Granularity::Day, zone);
        let rows = printed(&report(&by_day("America/New_York"), TWO_DAYS));
        assert!(rows[0].starts_with("2026-03-31T04:00:00Z  0.3"), "{rows:?}");
        let hours = "
            2026-04-01T03:00:00Z 2026-04-01T04:00:00Z - 1 USD - -
            2026-04-01T04:00:00Z 2026-04-01T05:00:00Z - 2 USD - -";
        assert_eq!(
            printed(&report(&by_day("America/New_York"), hours)),
            ["2026-03-31T04:00:00Z  1 USD", "2026-04-01T04:00:00Z  2 USD"]
        );
    }

    #[test]
    fn filters_and_currency_leave_the_rest_out() {
        let mut euro = query(&[Dimension::Provider], Granularity::Month, "UTC");
        euro.currency = Currency::parse("EUR");
        assert_eq!(printed(&report(&euro, TWO_DAYS)), ["2026-04-01T00:00:00Z openai 5 EUR"]);
        let mut other = query(&[], Granularity::Total, "UTC");
        other.filters.push((Dimension::Provider, "aws".to_owned()));
        assert!(report(&other, TWO_DAYS).rows.is_empty());
        let mut none = query(&[], Granularity::Total, "UTC");
        none.filters.push((Dimension::Service, "openai".to_owned()));
        assert!(report(&none, TWO_DAYS).rows.is_empty(), "no charge names its service");
    }

    #[test]
    fn sums_beyond_the_range_are_refused() {
        let many = "2026-04-01T00:00:00Z 2026-04-02T00:00:00Z - 1000000000000000000 USD - -\n";
        let query = query(&[], Granularity::Total, "UTC");
        assert_eq!(sums(&query, &many.repeat(2)).finish(), Err(CostError::OutOfRange));
    }
}
