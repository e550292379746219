//! The durable table of what is due, what runs, what ran and what was missed, and the leases on it.
//!
//! A job is a kind and a subject: (`sync_connection`, `conn_…`). Whoever claims it holds a lease
//! with a fence number that only grows; a holder that lost its lease can neither finish the run nor
//! commit charges.

use jiff::Timestamp;

use crate::Result;

/// What is to be run: the name of a job and the id of what it works on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// The job's name: `sync_connection`, `import_file`.
    pub kind: String,
    /// The id of what it works on.
    pub subject: String,
}

/// The right to run a job until `expires_at`, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What may be run.
    pub key: JobKey,
    /// Larger than every earlier lease's of the same job.
    pub fence: u64,
    /// Until when, unless renewed.
    pub expires_at: Timestamp,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The lease.
    pub lease: Lease,
    /// When it had been due.
    pub due_at: Timestamp,
    /// How often it has failed in a row before.
    pub failure_count: u32,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Why it failed; `None` where it ended well.
    pub error: Option<String>,
    /// How many earlier times it should have run but nobody did (the process was down).
    pub missed_count: u32,
    /// When it is due again; `None` takes it off the schedule.
    pub next_due_at: Option<Timestamp>,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What ran.
    pub key: JobKey,
    /// The lease's fence number.
    pub fence: u64,
    /// How it ended.
    pub end: RunEnd,
}

/// A job on the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledJob {
    /// What is to be run.
    pub key: JobKey,
    /// When.
    pub due_at: Timestamp,
    /// How often it has failed in a row.
    pub failure_count: u32,
    /// Until when somebody holds its lease, if anybody does.
    pub leased_until: Option<Timestamp>,
}

/// The schedule.
#[async_trait::async_trait]
pub trait Schedule {
    /// Puts a job on the schedule, or brings it forward to `due_at` where it would be later; never
    /// postpones.
    async fn make_due(&self, key: &JobKey, due_at: Timestamp) -> Result<()>;

    /// Claims the job that has been due longest at `now` and that nobody holds, for
    /// `lease_seconds`. `make_due` during a run keeps it due: see [`Schedule::finish_run`].
    async fn claim_due(&self, now: Timestamp, lease_seconds: u32) -> Result<Option<Claim>>;

    /// Prolongs a lease to `expires_at`; `false` where it is lost (expired *and* claimed by
    /// another, released, or the job is gone).
    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<bool>;

    /// Ends a run: records it, frees the lease, and sets the next due time. Where somebody called
    /// `make_due` during the run, that earlier time wins. The failure count grows with an error and
    /// else becomes 0. `false`, and nothing changes, where the lease is lost. Records of the last
    /// 100 runs of a job are kept.
    async fn finish_run(&self, lease: &Lease, end: &RunEnd) -> Result<bool>;

    /// Gives a lease back unfinished, as on shutdown; the job stays due. A lost lease changes
    /// nothing.
    async fn release_lease(&self, lease: &Lease) -> Result<()>;

    /// The schedule of one kind of job, in order of due time.
    async fn scheduled_jobs(&self, kind: &str) -> Result<Vec<ScheduledJob>>;

    /// The last runs of a job, newest first, at most `limit`.
    async fn runs(&self, key: &JobKey, limit: usize) -> Result<Vec<Run>>;
}
