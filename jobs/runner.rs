//! The runner: claims what is due, runs a few jobs side by side, keeps their leases alive, records
//! how they end.
//!
//! It holds no schedule of its own. After a crash its leases expire and any process claims the work
//! again; until then nobody else does. A job whose lease is lost is dropped where it stands.

use std::{sync::Arc, time::Duration};

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use store::{
    Store,
    schedule::{Claim, RunEnd},
};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{Job, JobError, JobOutcome};

/// How long a lease lasts unless renewed: a crashed process's work waits this long.
const LEASE_SECONDS: u32 = 30;
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Jobs that one process runs at the same time.
const RUNNING_MAX: usize = 4;
const BACKOFF_MIN: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(3600);

/// Everything the runner needs; cloned into each run.
#[derive(Clone)]
pub struct Runner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    jobs: Arc<[Arc<dyn Job>]>,
}

/// A running runner.
pub struct RunnerHandle {
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunnerHandle {
    /// A function that makes the runner look for due work at once.
    #[must_use]
    pub fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let wake = self.wake.clone();
        Arc::new(move || wake.notify_one())
    }

    /// Stops claiming, gives running jobs' leases back, and returns when all have let go.
    pub async fn shut_down(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "the runner ended badly");
        }
    }
}

impl Runner {
    /// A runner of these jobs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, jobs: Vec<Arc<dyn Job>>) -> Runner {
        Runner { store, clock, jobs: jobs.into() }
    }

    /// Starts it in the background; it looks for work at every wake-up.
    #[must_use]
    pub fn start(self) -> RunnerHandle {
        let wake = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(self.run_until_stopped(wake.clone(), stopped));
        wake.notify_one();
        RunnerHandle { wake, stop, task }
    }

    async fn run_until_stopped(self, wake: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        let mut running = JoinSet::new();
        while !*stopped.borrow() {
            while running.len() < RUNNING_MAX
                && let Some(claim) = self.claim().await
            {
                running.spawn(self.clone().run(claim, stopped.clone()));
            }
            tokio::select! {
                () = wake.notified() => {}
                Some(_) = running.join_next() => {}
                _ = stopped.changed() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn claim(&self) -> Option<Claim> {
        match self.store.claim_due(self.clock.now(), LEASE_SECONDS).await {
            Ok(claim) => claim,
            Err(error) => {
                tracing::warn!(error = %error, "the schedule cannot be read; trying again later");
                None
            }
        }
    }

    async fn run(self, claim: Claim, mut stopped: watch::Receiver<bool>) {
        let kind = claim.lease.key.kind.clone();
        let Some(job) = self.jobs.iter().find(|job| job.kind() == kind).cloned() else {
            tracing::error!(job.kind = %kind, "a job of an unknown kind is due");
            return;
        };
        let started_at = self.clock.now();
        tokio::select! {
            result = job.run(&claim) => self.end(&claim, started_at, result).await,
            () = self.until_lease_lost(&claim) => {
                let subject = &claim.lease.key.subject;
                tracing::warn!(job.kind = %kind, job.subject = %subject, "lease lost");
            }
            () = until_stopped(&mut stopped) => self.release(&claim).await,
        }
    }

    async fn release(&self, claim: &Claim) {
        if let Err(error) = self.store.release_lease(&claim.lease).await {
            tracing::warn!(error = %error, "a lease was not given back; it will expire");
        }
    }

    /// Renews the lease until somebody else has it.
    async fn until_lease_lost(&self, claim: &Claim) {
        let mut ticks = tokio::time::interval(RENEW_EVERY);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let expires_at = self.clock.now() + SignedDuration::from_secs(i64::from(LEASE_SECONDS));
            match self.store.renew_lease(&claim.lease, expires_at).await {
                Ok(true) => {}
                Ok(false) => return,
                // Whether it is lost cannot be known now. Every commit checks the lease for itself.
                Err(error) => tracing::warn!(error = %error, "a lease could not be renewed"),
            }
        }
    }

    async fn end(
        &self,
        claim: &Claim,
        started_at: Timestamp,
        result: Result<JobOutcome, JobError>,
    ) {
        let finished_at = self.clock.now();
        let (pause, missed_count) = match &result {
            Ok(JobOutcome::Again(every)) => (Some(*every), missed(claim, started_at, *every)),
            Ok(JobOutcome::Finished) => (None, 0),
            Err(JobError::Retry { after, .. }) => {
                (Some(after.unwrap_or_else(|| backoff(claim.failure_count))), 0)
            }
            Err(JobError::Permanent { again, .. }) => (*again, 0),
        };
        let end = RunEnd {
            started_at,
            finished_at,
            error: result.as_ref().err().map(ToString::to_string),
            missed_count,
            next_due_at: pause.map(|pause| later(finished_at, pause)),
        };
        log_end(claim, &end);
        self.record(claim, &end).await;
    }

    async fn record(&self, claim: &Claim, end: &RunEnd) {
        match self.store.finish_run(&claim.lease, end).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(job.kind = %claim.lease.key.kind, "lease lost at the end"),
            Err(error) => tracing::warn!(error = %error, "a run's end was not recorded"),
        }
    }
}

/// A sender that is gone means stopping too.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    let _stopped = stopped.wait_for(|is_stopped| *is_stopped).await;
}

fn log_end(claim: &Claim, end: &RunEnd) {
    let key = &claim.lease.key;
    let duration_ms = end.finished_at.duration_since(end.started_at).as_millis();
    let result = if end.error.is_some() { "error" } else { "ok" };
    metrics::counter!("outlay_job_runs_total", "kind" => key.kind.clone(), "result" => result)
        .increment(1);
    match &end.error {
        None => tracing::info!(job.kind = %key.kind, job.subject = %key.subject, duration_ms,
            job.missed_count = end.missed_count, "job done"),
        Some(error) => {
            tracing::warn!(job.kind = %key.kind, job.subject = %key.subject, duration_ms,
            job.failure_count = claim.failure_count + 1, error = %error, "job failed")
        }
    }
}

/// How many times a recurring job should have run before this run, and did not.
fn missed(claim: &Claim, started_at: Timestamp, every: Duration) -> u32 {
    let late = started_at.duration_since(claim.due_at).as_secs().max(0).unsigned_abs();
    u32::try_from(late / every.as_secs().max(1)).unwrap_or(u32::MAX)
}

/// 5 s, 10 s, 20 s … an hour, by the number of failures in a row before this one.
fn backoff(failure_count: u32) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1_u32.checked_shl(failure_count.min(20)).unwrap_or(1));
    doubled.min(BACKOFF_MAX)
}

fn later(at: Timestamp, pause: Duration) -> Timestamp {
    SignedDuration::try_from(pause)
        .ok()
        .and_then(|pause| at.checked_add(pause).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::schedule::{JobKey, Lease};

    fn claim(due_at: &str) -> Claim {
        let key = JobKey { kind: "sync_connection".into(), subject: "conn_1".into() };
        let lease = Lease { key, fence: 1, expires_at: Timestamp::MAX };
        Claim { lease, due_at: due_at.parse().unwrap(), failure_count: 0 }
    }

    #[test]
    fn missed_runs_are_the_whole_intervals_that_passed_since_it_was_due() {
        let hour = Duration::from_secs(3600);
        for (started_at, count) in [
            ("2026-11-20T12:00:00Z", 0),
            ("2026-11-20T12:59:59Z", 0),
            ("2026-11-20T13:00:00Z", 1),
            ("2026-11-21T12:30:00Z", 24),
            ("2026-11-20T11:00:00Z", 0),
        ] {
            let started_at = started_at.parse().unwrap();
            assert_eq!(missed(&claim("2026-11-20T12:00:00Z"), started_at, hour), count);
        }
    }

    #[test]
    fn pauses_grow_and_stop_at_an_hour() {
        let seconds: Vec<_> = [0, 1, 2, 9, 10, 99].map(|count| backoff(count).as_secs()).into();
        assert_eq!(seconds, [5, 10, 20, 2560, 3600, 3600]);
    }
}
