//! Removes captured bodies that an organization does not keep any longer, and orphans: those whose
//! event was refused, or had been booked before with a body of its own.
//!
//! What no event has among those that arrived around its time is an orphan, once the tables are so
//! far that its event would be in them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use shards::facts::EventBlock;
use store::{Store, facts::BlockQuery, journal::Shard};

use crate::JobError;

/// How long an entry that refers to a body may take to come: far longer than anybody waits.
const CLAIM_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How far the clock that decided may have been behind the one that sealed: far more than it may.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Bodies that one run looks for.
const BODIES_AT_ONCE: usize = 10_000;
/// Blocks that are in memory at once.
const BLOCKS_AT_ONCE: usize = 16;

/// Bodies of which nobody has said yet that an event has them.
struct Unclaimed {
    /// When each was sealed.
    left: BTreeMap<u128, Timestamp>,
    claimed: BTreeSet<u128>,
    /// When the last event that the tables have arrived.
    known_until: Timestamp,
}

/// Removes a shard's bodies sealed before `kept_from`, and its orphans.
pub(crate) async fn forget_bodies(
    store: &dyn Store,
    shard: Shard,
    kept_from: Timestamp,
    now: Timestamp,
) -> Result<(), JobError> {
    let removed = store.remove_bodies(shard, kept_from).await;
    let body_count = removed.map_err(|error| JobError::store(&error))?;
    if body_count > 0 {
        tracing::info!(?shard, body_count, "bodies of reported calls were kept long enough");
    }
    let before = now.checked_sub(CLAIM_MAX).unwrap_or(Timestamp::MIN);
    let unclaimed = store.unclaimed_bodies(shard, before, BODIES_AT_ONCE).await;
    let left: BTreeMap<_, _> =
        unclaimed.map_err(|error| JobError::store(&error))?.into_iter().collect();
    if left.is_empty() {
        return Ok(());
    }
    let (claimed, known_until) = (BTreeSet::new(), Timestamp::MIN);
    let found = claim(store, shard, Unclaimed { left, claimed, known_until }).await?;
    let is_known = |sealed_at: &Timestamp| {
        sealed_at.checked_add(CLAIM_MAX).is_ok_and(|latest| latest <= found.known_until)
    };
    let orphaned = found.left.iter().filter(|(_, sealed_at)| is_known(sealed_at));
    let orphaned: Vec<_> = orphaned.map(|(id, _)| *id).collect();
    let claimed: Vec<_> = found.claimed.into_iter().collect();
    let settled = store.settle_bodies(shard, &claimed, &orphaned).await;
    settled.map_err(|error| JobError::store(&error))?;
    if !orphaned.is_empty() {
        tracing::info!(?shard, body_count = orphaned.len(), "bodies that no event has removed");
    }
    Ok(())
}

/// Looks through the events of their time, the newest first, for those that have them.
async fn claim(
    store: &dyn Store,
    shard: Shard,
    mut unclaimed: Unclaimed,
) -> Result<Unclaimed, JobError> {
    let oldest = unclaimed.left.values().min().copied().unwrap_or(Timestamp::MAX);
    let oldest = oldest.checked_sub(CLOCKS_APART_MAX).unwrap_or(Timestamp::MIN).as_microsecond();
    let mut asked =
        BlockQuery { start: i64::MIN, end: i64::MAX, before_seq: u64::MAX, limit: BLOCKS_AT_ONCE };
    loop {
        let blocks = store.event_blocks(shard, asked).await;
        let blocks = blocks.map_err(|error| JobError::store(&error))?;
        let is_last = blocks.len() < asked.limit
            || blocks.last().is_some_and(|block| block.arrived_max < oldest);
        if let Some(block) = blocks.last() {
            asked.before_seq = block.first_seq;
        }
        if let Some(newest) = blocks.first() {
            let arrived_at = Timestamp::from_microsecond(newest.arrived_max);
            unclaimed.known_until = unclaimed.known_until.max(arrived_at.unwrap_or(Timestamp::MIN));
        }
        let looking = tokio::task::spawn_blocking(move || {
            for block in blocks {
                unclaimed.claim_in(&block.bytes)?;
            }
            Ok::<_, JobError>(unclaimed)
        });
        unclaimed = looking.await.map_err(|error| retry(error.to_string()))??;
        if is_last || unclaimed.left.is_empty() {
            return Ok(unclaimed);
        }
    }
}

impl Unclaimed {
    fn claim_in(&mut self, block: &[u8]) -> Result<(), JobError> {
        let block = EventBlock::decode(block).map_err(|error| retry(error.to_string()))?;
        for id in block.events.iter().filter_map(|row| row.detail.body) {
            if self.left.remove(&id).is_some() {
                self.claimed.insert(id);
            }
        }
        Ok(())
    }
}

fn retry(message: String) -> JobError {
    JobError::Retry { message, after: None }
}
