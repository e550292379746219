//! Beginning a shard's journal anew, after its store was restored from a backup.

use store::journal::Shard;

use crate::error::ShardError;
use crate::load::follow;
use crate::parts::Parts;
use crate::projector::{Step, project_chunk, shadow_at};
use crate::snapshot::put_snapshot;

/// Begins the shard's journal anew where it ends: its tables are brought up to its last entry, its
/// state becomes a snapshot of the next incarnation, and that one begins. A process that still
/// serves the journal as it was before is told that its next entry is void, and reloads; every
/// position that was ever told counts as reached.
///
/// Nobody else may write to the shard meanwhile. A killed one is finished by a repeat; a repeat
/// after the end begins yet another incarnation, which loses nothing.
///
/// # Errors
/// [`ShardError::Stopped`] where an entry cannot be followed, [`ShardError::Unavailable`] where the
/// store cannot be reached or somebody else writes to the shard. The journal is as it was.
pub async fn begin_anew(parts: &Parts, shard: Shard) -> Result<(), ShardError> {
    let store = &*parts.store;
    let mut at = store.checkpoint(shard).await?;
    let mut shadow = shadow_at(parts, shard, at).await?;
    loop {
        match project_chunk(parts, shard, &mut shadow, at).await? {
            Step::Done { to, .. } => at = to,
            Step::Nothing => break,
            Step::Elsewhere => return Err(in_use()),
        }
    }
    let (incarnation, seq) = (shadow.incarnation, shadow.state.seq());
    put_snapshot(parts, shard, incarnation.saturating_add(1), &shadow).await?;
    // Whoever wrote meanwhile would lose it.
    if follow(parts, shard, &mut shadow, u64::MAX).await? {
        return Err(in_use());
    }
    match store.begin_incarnation(shard, incarnation, seq, shadow.last_batch).await? {
        true => Ok(()),
        false => Err(in_use()),
    }
}

fn in_use() -> ShardError {
    let why = "another process writes to the shard: stop every server of the store, then repeat";
    ShardError::Unavailable(why.to_owned())
}
