//! The engine's file can fail once. A log whose sync has failed may or may not be on the disk, and
//! asking again proves nothing (<https://www.usenix.org/conference/atc20/presentation/rebello>), so
//! from then on nothing is believed but a restart.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Result, StoreError, StoreErrorKind};

/// Whether the file has failed; all clones tell the same.
#[derive(Clone)]
pub(super) struct Failure(Arc<watch::Sender<bool>>);

impl Failure {
    pub(super) fn new() -> Failure {
        Failure(Arc::new(watch::Sender::new(false)))
    }

    /// Refuses for good, and wakes whoever ends the process.
    pub(super) fn raise(&self, cause: &StoreError) {
        tracing::error!(error = %cause, source = ?std::error::Error::source(cause),
            "the journal's file has failed; the process must end");
        self.0.send_replace(true);
    }

    /// An error where the file has failed. What was asked for may have happened.
    pub(super) fn check(&self) -> Result<()> {
        if *self.0.borrow() { Err(refusal()) } else { Ok(()) }
    }

    /// Ends when the file has failed.
    pub(super) fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.0.subscribe();
        async move {
            if told.wait_for(|failed| *failed).await.is_err() {
                // The store was closed without a failure.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What every call gets once the file has failed.
pub(super) fn refusal() -> StoreError {
    let message = "the journal's file has failed; start the process anew";
    StoreError::new(StoreErrorKind::Unavailable, false, message)
}
