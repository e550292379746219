//! Fills blocks: one open set of columns for each account and day, cut into parts before they grow
//! too large.
//!
//! Memory stays flat however large a file is: when all open blocks together pass the limit, the
//! largest is encoded and handed on.

use std::collections::BTreeMap;

use domain::{Account, Charge, Feed};
use jiff::civil::Date;

use crate::charge_block::ChargeColumns;

/// When blocks are cut.
#[derive(Debug, Clone, Copy)]
pub struct BlockLimits {
    /// Most rows in one block.
    pub rows_max: usize,
    /// Most bytes that open blocks may take together, about.
    pub open_bytes_max: usize,
}

impl Default for BlockLimits {
    fn default() -> BlockLimits {
        BlockLimits { rows_max: 16_384, open_bytes_max: 24 << 20 }
    }
}

/// A finished block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedBlock {
    /// The account that was billed.
    pub account: Account,
    /// The UTC day.
    pub day: Date,
    /// 0, 1, 2… within the account and day.
    pub part: u32,
    /// How many charges.
    pub row_count: u32,
    /// SHA-256 over the content.
    pub digest: [u8; 32],
    /// Columns for queries.
    pub core: Vec<u8>,
    /// All other columns.
    pub detail: Vec<u8>,
}

/// Rows between two looks at the memory taken; a look costs a walk over all columns.
const MEASURE_EVERY_ROWS: usize = 1024;

/// Turns charges into blocks.
pub struct BlockWriter {
    limits: BlockLimits,
    extra_names: Vec<String>,
    open: BTreeMap<(Account, Date), Open>,
    current: Option<((Account, Date), Open)>,
    rows_since_measure: usize,
}

#[derive(Default)]
struct Open {
    columns: ChargeColumns,
    next_part: u32,
}

impl BlockWriter {
    /// A writer for charges of one feed. `extra_names` are the billing file's own columns, in
    /// order.
    #[must_use]
    pub fn new(limits: BlockLimits, extra_names: Vec<String>) -> BlockWriter {
        let open = BTreeMap::new();
        BlockWriter { limits, extra_names, open, current: None, rows_since_measure: 0 }
    }

    /// Adds a charge of `account`; finished blocks go to `emit`.
    pub fn push(
        &mut self,
        account: &Account,
        charge: &Charge<'_>,
        extra: &[Option<&str>],
        emit: &mut dyn FnMut(EncodedBlock),
    ) {
        let day = charge.day();
        let is_current =
            self.current.as_ref().is_some_and(|(key, _)| key.1 == day && key.0 == *account);
        if !is_current {
            self.switch_to((account.clone(), day));
        }
        let (key, open) = self.current.as_mut().expect("a block was just made current");
        open.columns.push(charge, extra);
        if open.columns.row_count() >= self.limits.rows_max {
            emit(flush(key, open, &self.extra_names));
        }
        self.rows_since_measure += 1;
        if self.rows_since_measure >= MEASURE_EVERY_ROWS {
            self.rows_since_measure = 0;
            self.keep_within_memory(emit);
        }
    }

    /// Hands on whatever is still open, in order of account and day.
    pub fn finish(mut self, emit: &mut dyn FnMut(EncodedBlock)) {
        self.put_current_away();
        for (key, open) in &mut self.open {
            if open.columns.row_count() > 0 {
                emit(flush(key, open, &self.extra_names));
            }
        }
    }

    fn switch_to(&mut self, key: (Account, Date)) {
        self.put_current_away();
        let open = self.open.remove(&key).unwrap_or_default();
        self.current = Some((key, open));
    }

    fn put_current_away(&mut self) {
        if let Some((key, open)) = self.current.take() {
            self.open.insert(key, open);
        }
    }

    fn keep_within_memory(&mut self, emit: &mut dyn FnMut(EncodedBlock)) {
        self.put_current_away();
        let mut sizes: Vec<_> =
            self.open.iter().map(|(key, open)| (open.columns.size_bytes(), key.clone())).collect();
        let mut total: usize = sizes.iter().map(|(size, _)| size).sum();
        sizes.sort();
        while total > self.limits.open_bytes_max
            && let Some((size, key)) = sizes.pop()
            && let Some(open) = self.open.get_mut(&key)
        {
            emit(flush(&key, open, &self.extra_names));
            total = total.saturating_sub(size);
        }
    }
}

fn flush(key: &(Account, Date), open: &mut Open, extra_names: &[String]) -> EncodedBlock {
    let columns = std::mem::take(&mut open.columns);
    let row_count = u32::try_from(columns.row_count()).expect("a block has fewer than 2^32 rows");
    let part = open.next_part;
    open.next_part += 1;
    let encoded = columns.encode(extra_names);
    let (account, day) = (key.0.clone(), key.1);
    EncodedBlock {
        account,
        day,
        part,
        row_count,
        digest: encoded.digest,
        core: encoded.core,
        detail: encoded.detail,
    }
}

impl EncodedBlock {
    /// The block of a day that was read and had no charges.
    #[must_use]
    pub fn empty(account: Account, day: Date) -> EncodedBlock {
        flush(&(account, day), &mut Open::default(), &[])
    }

    /// The feed and key text by which logs name a block.
    #[must_use]
    pub fn label(&self, feed: &Feed) -> String {
        format!("{}/{}/{feed}/{}/{}", self.account.provider, self.account.id, self.day, self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChargeRows;
    use domain::{Currency, ProviderId, Quantity};
    use jiff::Timestamp;
    use std::borrow::Cow;

    fn account(id: &str) -> Account {
        Account { provider: ProviderId::parse("openai").unwrap(), id: id.to_owned() }
    }

    fn charge(day: i64, femtos: i128) -> Charge<'static> {
        let start = Timestamp::from_second(day * 86_400).unwrap();
        let end = Timestamp::from_second((day + 1) * 86_400).unwrap();
        Charge {
            model: Some(Cow::Borrowed("gpt-4o")),
            billed_cost: Some(femtos),
            pricing_quantity: Quantity::from_count(7),
            sku: Some(Cow::Owned(format!("gpt-4o, {femtos}"))),
            ..Charge::empty(start, end, Currency::USD)
        }
    }

    fn write(limits: BlockLimits, charges: &[(&str, Charge<'_>)]) -> Vec<EncodedBlock> {
        let mut blocks = Vec::new();
        let mut writer = BlockWriter::new(limits, vec!["Tags".to_owned()]);
        for (id, charge) in charges {
            writer.push(&account(id), charge, &[Some("{}")], &mut |block| blocks.push(block));
        }
        writer.finish(&mut |block| blocks.push(block));
        blocks
    }

    #[test]
    fn charges_read_back_as_they_were_from_the_block_of_their_day() {
        let charges: Vec<_> = (0..50).map(|n| ("a", charge(n % 3, i128::from(n)))).collect();
        let blocks = write(BlockLimits::default(), &charges);
        assert_eq!(blocks.len(), 3);
        for block in &blocks {
            let rows = ChargeRows::decode(&block.core, &block.detail).unwrap();
            let expected = charges.iter().filter(|(_, charge)| charge.day() == block.day);
            for (row, (_, charge)) in expected.enumerate() {
                assert_eq!(rows.get(row).as_ref(), Some(charge));
                assert_eq!(rows.extra(row).collect::<Vec<_>>(), [("Tags", "{}")]);
            }
        }
    }

    #[test]
    fn parts_are_cut_by_rows_and_by_memory_and_lose_nothing() {
        let charges: Vec<_> =
            (0..5000).map(|n| ("a", charge(i64::from(n % 2), i128::from(n)))).collect();
        for limits in [
            BlockLimits { rows_max: 100, open_bytes_max: usize::MAX },
            BlockLimits { rows_max: usize::MAX, open_bytes_max: 1 },
        ] {
            let blocks = write(limits, &charges);
            assert!(blocks.len() > 2, "{limits:?}");
            assert_eq!(blocks.iter().map(|block| block.row_count).sum::<u32>(), 5000);
            let mut keys: Vec<_> = blocks.iter().map(|block| (block.day, block.part)).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), blocks.len(), "every part has its own number");
        }
    }

    #[test]
    fn the_same_charges_have_the_same_digest_and_others_do_not() {
        let one = write(BlockLimits::default(), &[("a", charge(0, 1))]);
        assert_eq!(one, write(BlockLimits::default(), &[("a", charge(0, 1))]));
        let other = write(BlockLimits::default(), &[("a", charge(0, 2))]);
        assert_ne!(one[0].digest, other[0].digest);
        assert_ne!(EncodedBlock::empty(account("a"), one[0].day).digest, one[0].digest);
    }

    #[test]
    fn damaged_blocks_are_errors_and_never_panics() {
        let block = write(BlockLimits::default(), &[("a", charge(0, 1)), ("a", charge(0, 2))]);
        let core = &block[0].core;
        for length in 0..core.len() {
            assert!(ChargeRows::decode(&core[..length], &block[0].detail).is_err());
        }
        for at in 0..core.len() {
            let mut changed = core.clone();
            changed[at] ^= 0x41;
            if let Ok(rows) = ChargeRows::decode(&changed, &block[0].detail) {
                for row in 0..rows.len() {
                    let _charge = rows.get(row);
                }
            }
        }
    }
}
