//! Housekeeping: forgets answers to requests whose idempotency keys have expired. Runs every hour.

use std::{sync::Arc, time::Duration};

use domain::Clock;
use store::{
    Store,
    schedule::{Claim, JobKey},
};

use crate::{Job, JobError, JobOutcome};

const EVERY: Duration = Duration::from_secs(3600);

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
        let forgotten = self.store.forget_requests(self.clock.now()).await;
        let count = forgotten.map_err(|error| JobError::store(&error))?;
        tracing::debug!(request_count = count, "expired idempotency keys forgotten");
        Ok(JobOutcome::Again(EVERY))
    }
}
