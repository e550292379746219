#![doc = include_str!("README.md")]

mod frames;
mod import_file;
pub mod parse_worker;
mod pull_blocks;
mod runner;
mod sweep_bodies;
mod sweep_store;
mod sync_connection;
mod ticks;

use std::time::Duration;

use domain::Clock;
use store::{StoreError, schedule::Claim};
use uuid::Uuid;

pub use import_file::ImportFile;
pub use runner::{Runner, RunnerHandle};
pub use sweep_store::SweepStore;
pub use sync_connection::SyncConnection;
pub use ticks::Ticks;

/// A kind of work that the runner can do.
#[async_trait::async_trait]
pub trait Job: Send + Sync {
    /// The kind by which the schedule names it.
    fn kind(&self) -> &'static str;

    /// Does the work of one claim. May be dropped at any await, and may run twice: everything it
    /// stores is idempotent, and a commit checks the claim's lease.
    async fn run(&self, claim: &Claim) -> Result<JobOutcome, JobError>;
}

/// How a run ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is due again after this long.
    Again(Duration),
    /// There is nothing more to do for this subject.
    Finished,
}

/// How a run ended badly. The runner decides when to try again; the job only says whether that can
/// help.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Trying again may help: after `after` where the other side said so, else with growing pauses.
    #[error("{message}")]
    Retry {
        /// What went wrong.
        message: String,
        /// The pause that the other side asked for.
        after: Option<Duration>,
    },
    /// Trying again soon cannot help; a person must act.
    #[error("{message}")]
    Permanent {
        /// What went wrong.
        message: String,
        /// When to look again all the same; `None` takes it off the schedule.
        again: Option<Duration>,
    },
}

/// 128 bits for a new id.
fn new_bits(clock: &dyn Clock) -> Result<Uuid, JobError> {
    let bits = identity::new_uuid(clock.now());
    bits.map_err(|error| JobError::Retry { message: error.to_string(), after: None })
}

impl JobError {
    fn store(error: &StoreError) -> JobError {
        JobError::Retry { message: error.to_string(), after: None }
    }

    fn lease_lost() -> JobError {
        JobError::Retry { message: "the lease on this job was lost".to_owned(), after: None }
    }
}
