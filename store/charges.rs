//! Charges: batches of column blocks that become visible, or disappear, as a whole.
//!
//! A batch is one pull of a feed, or one file. It holds blocks, each for one account, feed and UTC
//! day; a day that was read and had no charges is a block with no rows. Blocks are staged one by
//! one, which nobody sees, and committed together, which everybody sees at once. A commit gives the
//! batch the organization's next generation number. Which generation counts for a day is decided by
//! `books`, not here.

use bytes::Bytes;
use domain::{
    Account, AuditEvent, BatchId, ConnectionId, Feed, FileId, OrganizationId, SyncId,
    file::FileReport,
};
use jiff::{Timestamp, civil::Date};

use crate::{Result, schedule::Lease};

/// Where a batch's charges came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchSource {
    /// A pull by a connection.
    Connection(ConnectionId),
    /// An uploaded file.
    File(FileId),
}

/// A batch that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Id, chosen by the caller.
    pub id: BatchId,
    /// Owner.
    pub organization: OrganizationId,
    /// Where the charges come from.
    pub source: BatchSource,
    /// When.
    pub created_at: Timestamp,
}

/// Which block of a batch: one account, feed and UTC day may need several parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    /// The account that was billed.
    pub account: Account,
    /// The feed that told it.
    pub feed: Feed,
    /// The UTC day.
    pub day: Date,
    /// 0, 1, 2… within the day.
    pub part: u32,
}

/// A block to be stored. `core` and `detail` are opaque here; at most 8 MiB each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Which one.
    pub key: BlockKey,
    /// How many charges.
    pub row_count: u32,
    /// Whether the provider will not say more about this day (as far as anybody knows).
    pub is_complete: bool,
    /// SHA-256 over the block's content, to see whether a day has changed.
    pub digest: [u8; 32],
    /// The columns that cost queries read.
    pub core: Bytes,
    /// All other columns.
    pub detail: Bytes,
}

/// A visible block, without its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// The batch it belongs to.
    pub batch: BatchId,
    /// The batch's place in the order of commits.
    pub generation: u64,
    /// Where the batch came from.
    pub source: BatchSource,
    /// Which block.
    pub key: BlockKey,
    /// How many charges.
    pub row_count: u32,
    /// Whether the provider has finished with this day.
    pub is_complete: bool,
    /// SHA-256 over its content.
    pub digest: [u8; 32],
}

/// Which half of a block's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnGroup {
    /// What cost queries read.
    Core,
    /// All the rest.
    Detail,
}

/// What else a commit changes, in the same step.
#[derive(Debug, Clone)]
pub enum CommitWith {
    /// The sync's feed is done through this instant, and so many charges were written.
    Sync {
        /// The sync; it must be open.
        sync: SyncId,
        /// Its feed.
        feed: String,
        /// Everything before is stored.
        done_through: Timestamp,
        /// Added to the sync's count.
        charges_written: u64,
    },
    /// The file's import has ended well: its state becomes `done`, with this report and all bytes
    /// parsed.
    File {
        /// The file.
        file: FileId,
        /// What the import found.
        report: Box<FileReport>,
        /// When.
        finished_at: Timestamp,
    },
}

/// A commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The batch. `None` where a pull found nothing new: only the rest of the commit happens.
    pub batch: Option<BatchId>,
    /// Owner.
    pub organization: OrganizationId,
    /// The lease under which it was read. A lost one commits nothing.
    pub lease: Lease,
    /// What else changes.
    pub with: CommitWith,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is visible (now, or since an earlier try of the same commit).
    Committed,
    /// Somebody else holds the lease, or the batch, sync or file is gone: nothing changed.
    Refused,
}

/// Batches and blocks of charges.
#[async_trait::async_trait]
pub trait Charges {
    /// Begins a batch, staged and unseen. The same id again changes nothing.
    async fn begin_batch(&self, batch: &NewBatch) -> Result<()>;

    /// Stages blocks of a batch that is not committed yet. A key that is there already is written
    /// over, so a repeated call leaves one block. A batch that was committed or is gone takes
    /// nothing, without an error: a worker that came too late learns it from its commit.
    async fn put_blocks(
        &self,
        organization: OrganizationId,
        batch: BatchId,
        blocks: &[Block],
    ) -> Result<()>;

    /// Makes a batch visible with the next generation, together with the progress it stands for.
    async fn commit(&self, commit: &Commit) -> Result<Committed>;

    /// Drops a staged batch; a committed one stays.
    async fn abandon_batch(&self, organization: OrganizationId, batch: BatchId) -> Result<()>;

    /// Drops batches that were staged before `before` and never committed: what a killed process
    /// left. Returns how many. Only for sources whose lease nobody holds, so call it with the job's
    /// lease in hand.
    async fn abandon_staged(&self, source: BatchSource, before: Timestamp) -> Result<u64>;

    /// Removes every batch of a source, visible or staged. What they covered counts again as it did
    /// before. Returns how many were visible. Where there was none at all nothing is audited.
    async fn remove_batches(
        &self,
        organization: OrganizationId,
        source: BatchSource,
        audit: &AuditEvent,
    ) -> Result<u64>;

    /// All visible blocks of the days `first` to `last`, both inclusive, ordered by key, then
    /// generation.
    async fn visible_blocks(
        &self,
        organization: OrganizationId,
        first: Date,
        last: Date,
    ) -> Result<Vec<BlockInfo>>;

    /// One half of the columns of each block asked for, in the order asked. A block that is gone
    /// meanwhile (its file was deleted), or not visible to this organization, is `None`.
    async fn block_columns(
        &self,
        organization: OrganizationId,
        blocks: &[(BatchId, BlockKey)],
        group: ColumnGroup,
    ) -> Result<Vec<Option<Bytes>>>;
}
