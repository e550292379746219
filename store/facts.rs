//! Facts: what was decided, as tables that can be asked: reported events, their sums, their ids,
//! closed windows.
//!
//! They are written chunk by chunk from the journal, each chunk in one transaction with the
//! checkpoint that says how far the journal is in them. Blocks are immutable; the store does not
//! know what their bytes mean.

use domain::AuditEvent;

use crate::{Result, journal::Shard};

/// How far a shard's journal is in the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal's incarnation; 1 before the first chunk.
    pub incarnation: u32,
    /// The last entry that is in the facts; 0 before the first chunk.
    pub seq: u64,
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
    /// The checkpoint is not where the chunk begins: somebody else was quicker, or this is a repeat.
    /// Nothing was changed; this is the checkpoint.
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

/// Facts.
#[async_trait::async_trait]
pub trait Facts {
    /// How far the journal is in the facts.
    async fn checkpoint(&self, shard: Shard) -> Result<Checkpoint>;

    /// Moves the checkpoint from `from` to `to` and writes the chunk, in one step, only where the
    /// checkpoint is at `from`. An incarnation may be left for a later one only.
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
    /// ascending): nothing was changed.
    async fn merge_sums(&self, shard: Shard, replaced: &[u64], merged: &FactsBlock)
    -> Result<bool>;

    /// Removes blocks of events that arrived before `arrived_before`; returns how many.
    async fn remove_event_blocks(&self, shard: Shard, arrived_before: i64) -> Result<u64>;

    /// All runs of ids without their bodies, in the order of entries, and the checkpoint that they
    /// are of, read as one.
    async fn id_runs(&self, shard: Shard) -> Result<(Checkpoint, Vec<IdRunRecord>)>;

    /// A piece of a run's body; `None` where the run is gone (merged): read the runs again.
    async fn id_run_piece(
        &self,
        shard: Shard,
        last_seq: u64,
        offset: usize,
        length: usize,
    ) -> Result<Option<Vec<u8>>>;

    /// Puts `merged` (none where all have expired) in the place of runs, in one step. `false` where
    /// one of `replaced` is not there any more: nothing was changed.
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
