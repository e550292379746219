//! Why a shard could not answer. Being refused is an answer, not an error.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::StoreError;

/// Why a shard could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ShardError {
    /// Too much is waiting already; nothing was done.
    #[error("too many requests are waiting; try again in {retry_after:?}")]
    Overloaded {
        /// When there may be room.
        retry_after: Duration,
    },
    /// It may have been done or not: the same id or key again gets the answer.
    #[error("the store did not say in time whether it was written: repeat it with the same id")]
    OutcomeUnknown,
    /// Nothing was done: the store cannot be reached, or the shard is being loaded.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The shard was given up: an entry of its journal cannot be followed.
    #[error("the shard was stopped at entry {seq}: {why}")]
    Stopped {
        /// The entry.
        seq: u64,
        /// Why.
        why: String,
    },
    /// A fault of ours; nothing was done.
    #[error("a request could not be decided: {0}")]
    Internal(String),
}

impl From<StoreError> for ShardError {
    fn from(error: StoreError) -> ShardError {
        ShardError::Unavailable(error.to_string())
    }
}
