//! What can go wrong while keys are made and logs are read.

use store::StoreError;

/// A failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    /// The store failed.
    #[error("the store failed while {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// How it failed.
        #[source]
        source: StoreError,
    },
}
