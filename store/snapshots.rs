//! Snapshots: a shard's whole state at one place of its journal, so that not everything has to be
//! replayed.
//!
//! A snapshot is written chunk by chunk and counts from the moment its manifest is stored.

use crate::{Result, journal::Shard};

/// What a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The journal's incarnation.
    pub incarnation: u32,
    /// The last entry that the state has in it.
    pub seq: u64,
    /// That entry's batch.
    pub batch: u128,
    /// The format of the bytes.
    pub format: u32,
    /// How many chunks there are, from 0 on.
    pub chunk_count: u32,
    /// All bytes together.
    pub byte_count: u64,
    /// SHA-256 of all bytes in order.
    pub sha256: [u8; 32],
}

/// Snapshots.
#[async_trait::async_trait]
pub trait Snapshots {
    /// Stores a chunk (at most 8 MiB) of the snapshot at `seq`. A repeat replaces it, unless the
    /// manifest is stored: then nothing is changed.
    async fn put_snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
        bytes: &[u8],
    ) -> Result<()>;

    /// Makes the snapshot count. Where there is one at this place already, nothing is changed.
    async fn put_manifest(&self, shard: Shard, manifest: &Manifest) -> Result<()>;

    /// The newest snapshot of the incarnation that counts.
    async fn newest_snapshot(&self, shard: Shard, incarnation: u32) -> Result<Option<Manifest>>;

    /// A chunk of a snapshot that counts; `None` where it was removed meanwhile.
    async fn snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
    ) -> Result<Option<Vec<u8>>>;

    /// Removes all of older incarnations, and snapshots (and chunks without a manifest) of places
    /// before `seq`. The newest that counts always stays, and so does what lies after it, which may
    /// be in the making; nothing goes while no snapshot of this incarnation counts.
    async fn remove_snapshots_before(&self, shard: Shard, incarnation: u32, seq: u64)
    -> Result<()>;
}
