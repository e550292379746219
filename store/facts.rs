//! Facts: what was decided, as tables that can be asked: reported events, their sums, their ids,
//! closed windows.
//!
//! They are written chunk by chunk from the journal, each chunk in one transaction with the
//! checkpoint that says how far the journal is in them. Blocks are immutable; the store does not
//! know what their bytes mean.

use domain::AuditEvent;

use crate::{Result, StoreError, StoreErrorKind, journal::Shard};

/// How far a shard's journal is in the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal's incarnation; 1 before the first chunk.
    pub incarnation: u32,
    /// The last entry that is in the facts; 0 before the first chunk.
    pub seq: u64,
}

impl Checkpoint {
    /// Before the first chunk.
    pub const BEGINNING: Checkpoint = Checkpoint { incarnation: 1, seq: 0 };
}

/// The events of a chunk, or their sums. Instants are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsBlock {
    /// The first journal entry with something in it.
    pub first_seq: u64,
    /// The last one: blocks of one kind never share an entry.
    pub last_seq: u64,
    /// How many events or sums.
    pub row_count: u32,
    /// The earliest event's time.
    pub at_min: i64,
    /// The latest event's time.
    pub at_max: i64,
    /// When the first of them arrived.
    pub arrived_min: i64,
    /// When the last of them arrived.
    pub arrived_max: i64,
    /// The rows.
    pub bytes: Vec<u8>,
}

/// A sorted run of ids, for telling what was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdRunRecord {
    /// Its name within the shard: the last journal entry of which it has ids. Merged runs have that
    /// of their newest part.
    pub last_seq: u64,
    /// The first journal entry of which it has ids.
    pub first_seq: u64,
    /// When the newest of its ids arrived, microseconds since 1970.
    pub arrived_max: i64,
    /// The run's filter and header, which stay in memory.
    pub head: Vec<u8>,
    /// The ids, which are read in pieces.
    pub body: Vec<u8>,
}

/// What is added to the record of a closed or open window of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowChange {
    /// The policy's number in its shard.
    pub policy: u32,
    /// The window's start, microseconds since 1970.
    pub start_at: i64,
    /// The window's end.
    pub end_at: i64,
    /// What is added to what was used, in the unit of the policy.
    pub used: i128,
    /// Of it: what came after the window had closed.
    pub late: i128,
}

/// A threshold that was crossed, to be told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossingRecord {
    /// Its place: journal entry, and number within it. Unique within the shard.
    pub seq: u64,
    /// Number within the entry.
    pub index: u32,
    /// When, microseconds since 1970.
    pub at: i64,
    /// What, opaque to the store.
    pub bytes: Vec<u8>,
}

/// Everything that one chunk of the journal becomes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FactsChunk {
    /// Events, where there are any.
    pub events: Option<FactsBlock>,
    /// Their sums by quarter hour and dimension, where there are any.
    pub sums: Option<FactsBlock>,
    /// Their ids, where there are any.
    pub ids: Option<IdRunRecord>,
    /// Windows.
    pub windows: Vec<WindowChange>,
    /// Thresholds.
    pub crossings: Vec<CrossingRecord>,
    /// What people and keys did.
    pub audit: Vec<AuditEvent>,
}

/// What became of projecting a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projected {
    /// It is in the facts.
    Done,
    /// The checkpoint is not where the chunk begins: somebody else was quicker, or this is a
    /// repeat. Nothing was changed; this is the checkpoint.
    Elsewhere(Checkpoint),
}

/// Which blocks: those that may have events in `[start, end)`, newest entries first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockQuery {
    /// First instant, microseconds since 1970.
    pub start: i64,
    /// First instant after.
    pub end: i64,
    /// Only blocks whose last entry is before this one; `u64::MAX` for all.
    pub before_seq: u64,
    /// Most blocks, at least 1.
    pub limit: usize,
}

/// A closed or open window as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRecord {
    /// Start, microseconds since 1970.
    pub start_at: i64,
    /// End.
    pub end_at: i64,
    /// What was used, late events included.
    pub used: i128,
    /// Of it: what came late.
    pub late: i128,
}

/// Whether a checkpoint may move so.
pub(crate) const fn is_after(to: Checkpoint, from: Checkpoint) -> bool {
    to.incarnation > from.incarnation || to.incarnation == from.incarnation && to.seq > from.seq
}

/// A signed number of 128 bits as both stores keep it: 16 bytes that sort as the numbers do.
pub(crate) const fn stored_i128(number: i128) -> [u8; 16] {
    (number.cast_unsigned() ^ (1 << 127)).to_be_bytes()
}

/// A number written by [`stored_i128`].
pub(crate) const fn i128_from_stored(bytes: [u8; 16]) -> i128 {
    (u128::from_be_bytes(bytes) ^ (1 << 127)).cast_signed()
}

impl WindowChange {
    /// What a window's record becomes.
    pub(crate) fn added_to(&self, stored: Option<WindowRecord>) -> Result<WindowRecord> {
        let (used, late) = stored.map_or((0, 0), |stored| (stored.used, stored.late));
        let sum = |stored: i128, added: i128| {
            let message = "a window's sum is beyond 128 bits";
            let bug = || StoreError::new(StoreErrorKind::Bug, true, message);
            stored.checked_add(added).ok_or_else(bug)
        };
        Ok(WindowRecord {
            start_at: self.start_at,
            end_at: self.end_at,
            used: sum(used, self.used)?,
            late: sum(late, self.late)?,
        })
    }
}

/// Facts.
#[async_trait::async_trait]
pub trait Facts {
    /// How far the journal is in the facts.
    async fn checkpoint(&self, shard: Shard) -> Result<Checkpoint>;

    /// Moves the checkpoint from `from` to `to` and writes the chunk, in one step, only where the
    /// checkpoint is at `from`. `to` comes after `from`; an incarnation may be left for a later one
    /// only. A window's end is that of its newest change.
    ///
    /// # Errors
    /// A `bug`, and nothing is changed, where `to` does not come after `from`, a place is taken, or
    /// a window's sum is beyond 128 bits.
    async fn project(
        &self,
        shard: Shard,
        from: Checkpoint,
        to: Checkpoint,
        chunk: &FactsChunk,
    ) -> Result<Projected>;

    /// Blocks of events.
    async fn event_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>>;

    /// The block of events that has the entry `seq` in it.
    async fn event_block_of(&self, shard: Shard, seq: u64) -> Result<Option<FactsBlock>>;

    /// Blocks of sums.
    async fn sum_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>>;

    /// Puts `merged` in the place of blocks of sums: in one step those that lie within its entries
    /// are gone and it is there. `false` where they are not exactly `replaced` (their last entries,
    /// ascending), or one lies there in part: nothing was changed. So a repeat gives `false`.
    async fn merge_sums(&self, shard: Shard, replaced: &[u64], merged: &FactsBlock)
    -> Result<bool>;

    /// Removes blocks of events that arrived before `arrived_before`; returns how many.
    async fn remove_event_blocks(&self, shard: Shard, arrived_before: i64) -> Result<u64>;

    /// All runs of ids without their bodies, in the order of entries, and the checkpoint that they
    /// are of, read as one.
    async fn id_runs(&self, shard: Shard) -> Result<(Checkpoint, Vec<IdRunRecord>)>;

    /// A piece of the body of the run with these first and last entries, shorter where the body
    /// ends; `None` where the run is gone (merged): read the runs again. (Not by the last entry
    /// alone: a merged run has the name of its newest part and other bytes.)
    async fn id_run_piece(
        &self,
        shard: Shard,
        entries: (u64, u64),
        offset: usize,
        length: usize,
    ) -> Result<Option<Vec<u8>>>;

    /// Puts `merged` (none where all have expired) in the place of runs, given by their last
    /// entries, in one step. `false` where one of `replaced` is not there any more: nothing was
    /// changed. `merged` must not have both the first and the last entry of one that it replaces.
    async fn merge_id_runs(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: Option<&IdRunRecord>,
    ) -> Result<bool>;

    /// Windows of a policy that start before `before`, newest first, at most `limit`.
    async fn windows(
        &self,
        shard: Shard,
        policy: u32,
        before: i64,
        limit: usize,
    ) -> Result<Vec<WindowRecord>>;

    /// Crossings after the place (`seq`, `index`), in order, at most `limit`.
    async fn crossings(
        &self,
        shard: Shard,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<CrossingRecord>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_read_back_and_sort_as_they_do() {
        let numbers = [i128::MIN, -1, 0, 1, i128::MAX];
        let stored = numbers.map(stored_i128);
        assert!(stored.is_sorted());
        assert_eq!(stored.map(i128_from_stored), numbers);
    }
}
