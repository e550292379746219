//! Housekeeping: forgets answers to requests whose idempotency keys have expired, and removes
//! uploaded bytes that a killed process left behind, and reported events that an organization does
//! not keep any longer, with their bodies. Their sums stay. Runs every hour.

use std::{sync::Arc, time::Duration};

use domain::{Clock, Organization, organization::Environment};
use jiff::{SignedDuration, Timestamp};
use store::{
    Store,
    journal::Shard,
    schedule::{Claim, JobKey},
};

use crate::{Job, JobError, JobOutcome, sweep_bodies::forget_bodies};

const EVERY: Duration = Duration::from_secs(3600);
/// Until then an upload may still be coming in, which nothing in the store tells from one that was
/// cut off. Longer than the API lets an upload take.
const UPLOAD_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);
/// Reported events are kept for as long as a commit that comes late may ask for its reservation.
const RETENTION_DAYS_MIN: u32 = 36;

/// The housekeeping job.
pub struct SweepStore {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl SweepStore {
    /// Its name on the schedule.
    pub const KIND: &'static str = "sweep_store";

    /// The job over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> SweepStore {
        SweepStore { store, clock }
    }

    /// What to put on the schedule at start.
    #[must_use]
    pub fn key() -> JobKey {
        JobKey { kind: SweepStore::KIND.to_owned(), subject: "store".to_owned() }
    }
}

#[async_trait::async_trait]
impl Job for SweepStore {
    fn kind(&self) -> &'static str {
        SweepStore::KIND
    }

    async fn run(&self, _claim: &Claim) -> Result<JobOutcome, JobError> {
        let now = self.clock.now();
        let forgotten = self.store.forget_requests(now).await;
        let count = forgotten.map_err(|error| JobError::store(&error))?;
        tracing::debug!(request_count = count, "expired idempotency keys forgotten");
        let before = now.checked_sub(UPLOAD_AGE_MIN).unwrap_or(Timestamp::MIN);
        let swept = self.store.sweep_spool(before).await;
        let count = swept.map_err(|error| JobError::store(&error))?;
        if count > 0 {
            tracing::info!(upload_count = count, "bytes of abandoned or ended uploads removed");
        }
        let organizations = self.store.organizations().await;
        for organization in organizations.map_err(|error| JobError::store(&error))? {
            self.forget_events(&organization, now).await?;
        }
        Ok(JobOutcome::Again(EVERY))
    }
}

impl SweepStore {
    /// Removes events that arrived before the organization's retention.
    async fn forget_events(
        &self,
        organization: &Organization,
        now: Timestamp,
    ) -> Result<(), JobError> {
        let days = organization.retention_days.max(RETENTION_DAYS_MIN);
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        let kept_from = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        for environment in [Environment::Live, Environment::Test] {
            let shard = Shard { organization: organization.id, environment };
            forget_bodies(&*self.store, shard, kept_from, now).await?;
            let before = kept_from.as_microsecond();
            let removed = self.store.remove_event_blocks(shard, before).await;
            let block_count = removed.map_err(|error| JobError::store(&error))?;
            if block_count > 0 {
                tracing::info!(?shard, block_count, "reported events were kept long enough");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::FileId;
    use store::{
        Facts as _, Files as _,
        facts::{BlockQuery, Checkpoint, FactsBlock, FactsChunk},
        schedule::Lease,
        sqlite::SqliteStore,
    };
    use uuid::Uuid;

    struct StoppedClock(Timestamp);

    impl Clock for StoppedClock {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    /// The id of an upload that was begun at an instant.
    fn begun_at(at: Timestamp) -> FileId {
        let millis = u128::try_from(at.as_millisecond()).unwrap();
        FileId::from_uuid(Uuid::from_u128(millis << 80 | 7))
    }

    #[tokio::test]
    async fn events_go_after_their_retention_and_their_sums_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap());
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let first = identity::first_start(&*store, &StoppedClock(now), "Acme").await.unwrap();
        let organization = first.unwrap().organization.id;
        let shard = Shard { organization, environment: Environment::Live };
        let day = 86_400_000_000;
        let mut from = Checkpoint::BEGINNING;
        for (seq, age) in [(1, 91), (2, 89)] {
            let arrived = now.as_microsecond() - age * day;
            let block = FactsBlock {
                first_seq: seq,
                last_seq: seq,
                row_count: 1,
                at_min: arrived,
                at_max: arrived,
                arrived_min: arrived,
                arrived_max: arrived,
                bytes: vec![1],
            };
            let chunk = FactsChunk {
                events: Some(block.clone()),
                sums: Some(block),
                ..FactsChunk::default()
            };
            let to = Checkpoint { incarnation: 1, seq };
            store.project(shard, from, to, &chunk).await.unwrap();
            from = to;
        }
        let job = SweepStore::new(store.clone(), Arc::new(StoppedClock(now)));
        let lease = Lease { key: SweepStore::key(), fence: 1, expires_at: Timestamp::MAX };
        job.run(&Claim { lease, due_at: now, failure_count: 0 }).await.unwrap();
        let all = BlockQuery { start: i64::MIN, end: i64::MAX, before_seq: u64::MAX, limit: 9 };
        let left = store.event_blocks(shard, all).await.unwrap();
        assert_eq!(left.iter().map(|block| block.last_seq).collect::<Vec<_>>(), [2]);
        assert_eq!(store.sum_blocks(shard, all).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn an_upload_may_go_on_for_a_day_before_its_bytes_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap());
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let day_old = begun_at(now - SignedDuration::from_hours(24));
        let older = begun_at(now - SignedDuration::from_millis(24 * 3_600_000 + 1));
        for id in [day_old, older] {
            store.spool_write(id, 0, "bytes".into()).await.unwrap();
        }
        let lease = Lease { key: SweepStore::key(), fence: 1, expires_at: Timestamp::MAX };
        let claim = Claim { lease, due_at: now, failure_count: 0 };
        let job = SweepStore::new(store.clone(), Arc::new(StoppedClock(now)));
        assert!(matches!(job.run(&claim).await, Ok(JobOutcome::Again(EVERY))));
        assert_eq!(store.spool_read(older, 0).await.unwrap(), None);
        assert_eq!(store.spool_read(day_old, 0).await.unwrap(), Some("bytes".into()));
    }
}
