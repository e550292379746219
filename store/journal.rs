//! The journal: what an engine decided, entry by entry, for each shard.
//!
//! The key (shard, incarnation, sequence) is unique, and that uniqueness is the only fence: of any
//! number of writers at one position exactly one wins, and everybody can tell which. The store does
//! not know what an entry's bytes mean.

use domain::{OrganizationId, organization::Environment};

use crate::Result;

/// Most bytes of an entry.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// One organization's environment: what one journal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Organization.
    pub organization: OrganizationId,
    /// Environment.
    pub environment: Environment,
}

/// One entry of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place, from 1 on, without gaps.
    pub seq: u64,
    /// Who wrote it: a new random number for each batch of decisions.
    pub batch: u128,
    /// The `batch` of the entry before; 0 for the first one.
    pub previous: u128,
    /// What was decided, at most [`ENTRY_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

/// What became of an append. Errors are either certainly aborted (nothing was written and nothing
/// will be) or of unknown outcome: then the same append is repeated until it gets a definite
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The entry is durable at its place.
    Stored,
    /// The same batch is durable at this place already: an earlier try of ours got through.
    Repeated,
    /// Another batch is at this place.
    Taken,
    /// The place lies at or below the floor, or belongs to another incarnation: nothing that is
    /// there counts, and the writer must load the shard anew.
    Void,
}

/// Where a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// How often the journal was begun anew (by a restore); entries of others do not count.
    pub incarnation: u32,
    /// The last entry's place; 0 where there is none.
    pub seq: u64,
    /// The last entry's batch; 0 where there is none.
    pub batch: u128,
    /// All entries up to this place may be gone.
    pub floor: u64,
}

/// Journals. On MongoDB every method reads and writes with majority concern on the primary.
#[async_trait::async_trait]
pub trait Journal {
    /// Makes `entry` durable at its place, only where nothing is there, and the place is above the
    /// floor of this incarnation.
    ///
    /// Whoever appends knows that `previous` is at the place before (or is what the incarnation was
    /// begun after): an entry that does not follow is a mistake of ours. SQLite refuses it;
    /// MongoDB, where looking would cost every append a read, takes it, and whoever reads the
    /// entries stops there.
    ///
    /// # Errors
    /// See [`Appended`] for what an error means.
    async fn append(
        &self,
        shard: Shard,
        incarnation: u32,
        entry: &JournalEntry,
    ) -> Result<Appended>;

    /// Entries after `after`, in order, at most `bytes_max` bytes of them (but at least one, where
    /// there is one). Empty where the journal ends at `after`. Entries of a former incarnation can
    /// be read until a truncation. At or below the floor there may be gaps, and on MongoDB entries
    /// whose writers were told that they are void.
    async fn entries(
        &self,
        shard: Shard,
        incarnation: u32,
        after: u64,
        bytes_max: usize,
    ) -> Result<Vec<JournalEntry>>;

    /// Where the journal ends. A shard that nobody wrote to has incarnation 1 and nothing else.
    async fn tail(&self, shard: Shard) -> Result<Tail>;

    /// Whether an entry could be appended at `seq`: nothing is there, it lies above the floor, and
    /// the incarnation counts. As of an instant after this was called: on MongoDB a linearizable
    /// read, so that an old primary cannot answer.
    async fn is_free(&self, shard: Shard, incarnation: u32, seq: u64) -> Result<bool>;

    /// Shards that have a journal, in order.
    async fn shards(&self) -> Result<Vec<Shard>>;

    /// Raises the floor to `floor` (never lowers it, nor raises it beyond the last entry), and then
    /// deletes all of former incarnations and what lies at or below the floor, in ascending order;
    /// the last entry always stays. A repeat goes on where a killed one stopped. Nothing happens
    /// where the incarnation does not count.
    async fn truncate(&self, shard: Shard, incarnation: u32, floor: u64) -> Result<()>;

    /// Begins the journal anew after a restore: the incarnation is one higher, the floor is `seq`,
    /// and the next entry follows `batch` there. `false` where the incarnation is not `from` any
    /// more: nothing was changed.
    async fn begin_incarnation(
        &self,
        shard: Shard,
        from: u32,
        seq: u64,
        batch: u128,
    ) -> Result<bool>;

    /// The store's clock in microseconds since 1970, to compare one's own with.
    async fn store_time_micros(&self) -> Result<i64>;
}
