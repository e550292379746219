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
const BODIES_MAX: usize = 200_000;
/// Bodies that are settled in one step.
const SETTLED_AT_ONCE: usize = 1000;
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
    let unclaimed = store.unclaimed_bodies(shard, before, BODIES_MAX).await;
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
    for claimed in claimed.chunks(SETTLED_AT_ONCE) {
        let settled = store.settle_bodies(shard, claimed, &[]).await;
        settled.map_err(|error| JobError::store(&error))?;
    }
    for orphaned in orphaned.chunks(SETTLED_AT_ONCE) {
        let settled = store.settle_bodies(shard, &[], orphaned).await;
        settled.map_err(|error| JobError::store(&error))?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{OrganizationId, organization::Environment};
    use shards::{EventDetail, facts::EventRow};
    use store::{
        Bodies as _, Facts as _,
        bodies::SealedBody,
        facts::{Checkpoint, FactsBlock, FactsChunk},
        sqlite::SqliteStore,
    };
    use uuid::Uuid;

    /// An entry with one event that arrived then and has this body, in the tables.
    async fn project(store: &SqliteStore, shard: Shard, seq: u64, arrived: Timestamp, body: u128) {
        let arrived = arrived.as_microsecond();
        let row = EventRow {
            seq,
            index: 0,
            at: arrived,
            arrived_at: arrived,
            identity: Default::default(),
            path_no: 0,
            path: String::new(),
            service: String::new(),
            model: String::new(),
            measures: Default::default(),
            counted: vec![],
            settled: None,
            corrects: None,
            flags: 0,
            detail: EventDetail { body: Some(body), ..EventDetail::default() },
        };
        let block = FactsBlock {
            first_seq: seq,
            last_seq: seq,
            row_count: 1,
            at_min: arrived,
            at_max: arrived,
            arrived_min: arrived,
            arrived_max: arrived,
            bytes: EventBlock { events: vec![row], ended: vec![] }.encode(),
        };
        let from = match seq {
            1 => Checkpoint::BEGINNING,
            _ => Checkpoint { incarnation: 1, seq: seq - 1 },
        };
        let to = Checkpoint { incarnation: 1, seq };
        let chunk = FactsChunk { events: Some(block), ..FactsChunk::default() };
        store.project(shard, from, to, &chunk).await.unwrap();
    }

    #[tokio::test]
    async fn orphans_go_after_a_day_once_their_event_would_be_known() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap();
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let ago = |hours| now - SignedDuration::from_hours(hours);
        let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
        let shard = Shard { organization, environment: Environment::Live };
        let kept_from = ago(24 * 90);
        let body = |id, hours| SealedBody {
            id,
            sealed_at: ago(hours),
            data_key_version: 1,
            ciphertext: vec![1],
        };
        let (claimed, orphan, fresh, old, late) = (1, 2, 3, 4, 5);
        let bodies = [
            body(claimed, 30),
            body(orphan, 30),
            body(fresh, 2),
            body(old, 24 * 91),
            body(late, 30),
        ];
        store.put_bodies(shard, &bodies).await.unwrap();
        let left = async || {
            let mut left = vec![];
            for id in [claimed, orphan, fresh, old, late] {
                left.extend(store.body(shard, id).await.unwrap().map(|body| body.id));
            }
            left
        };
        project(&store, shard, 1, ago(30), claimed).await;
        forget_bodies(&store, shard, kept_from, now).await.unwrap();
        let all = [claimed, orphan, fresh, late];
        assert_eq!(left().await, all, "their events may not be in the tables yet");
        project(&store, shard, 2, ago(20), late).await;
        project(&store, shard, 3, ago(1), 99).await;
        for _ in 0..2 {
            forget_bodies(&store, shard, kept_from, now).await.unwrap();
            assert_eq!(left().await, [claimed, fresh, late]);
        }
        let unclaimed = store.unclaimed_bodies(shard, now, 9).await.unwrap();
        assert_eq!(unclaimed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [fresh]);
    }
}
