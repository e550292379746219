//! Writing a snapshot of a state, under whichever incarnation of its journal.

use sha2::{Digest, Sha256};
use store::journal::Shard;
use store::snapshots::Manifest;

use crate::error::ShardError;
use crate::load::Loaded;
use crate::parts::Parts;

/// Stores what was loaded as a snapshot of `incarnation`. A repeat changes nothing.
pub(crate) async fn put_snapshot(
    parts: &Parts,
    shard: Shard,
    incarnation: u32,
    loaded: &Loaded,
) -> Result<(), ShardError> {
    let seq = loaded.state.seq();
    let bytes = loaded.state.encode();
    let mut count = 0;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        parts.store.put_snapshot_chunk(shard, incarnation, seq, count, chunk).await?;
        count += 1;
    }
    let manifest = Manifest {
        incarnation,
        seq,
        batch: loaded.last_batch,
        format: u32::from(engine::snapshot::SNAPSHOT_FORMAT),
        chunk_count: count,
        byte_count: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: Sha256::digest(&bytes).into(),
    };
    Ok(parts.store.put_manifest(shard, &manifest).await?)
}

const CHUNK_BYTES: usize = 8 << 20;
