//! The ticking thread: a cron tick every few seconds that wakes the runner, and nothing more.
//!
//! tokio-cron-scheduler keeps no schedule of ours: its own job store does not run jobs again after
//! a restart, and its repeated jobs can stop for ever when the loop is late
//! (mvniekerk/tokio-cron-scheduler issues 73, 84 and 113). Cron-type ticks are sound, and a lost
//! tick is made good by the next.

use std::sync::Arc;

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// A running ticker. Dropping it does not stop it; [`Ticks::stop`] does.
pub struct Ticks(JobScheduler);

impl Ticks {
    /// Calls `wake` every five seconds.
    ///
    /// # Errors
    /// Where the scheduler cannot start.
    pub async fn start(wake: Arc<dyn Fn() + Send + Sync>) -> Result<Ticks, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        scheduler.add(Job::new("*/5 * * * * *", move |_, _| wake())?).await?;
        scheduler.start().await?;
        Ok(Ticks(scheduler))
    }

    /// Stops ticking.
    pub async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::warn!(error = %error, "the ticker did not stop cleanly");
        }
    }
}
