//! What can go wrong with a store, and whether the write surely did not happen.

use std::error::Error;

/// What kind of failure it is; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The store cannot be reached, or lost its primary. Trying again may help.
    Unavailable,
    /// No answer in time. Trying again may help.
    Timeout,
    /// Stored data is not what was written.
    Corrupt,
    /// A person must change something: the URL, rights, a lock held by another process.
    Misconfigured,
    /// A mistake of ours.
    Bug,
}

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[error("store {}: {message}", self.kind_name())]
pub struct StoreError {
    kind: StoreErrorKind,
    certainly_aborted: bool,
    message: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure of `kind`; `message` must hold no secret.
    #[must_use]
    pub fn new(kind: StoreErrorKind, certainly_aborted: bool, message: impl Into<String>) -> Self {
        StoreError { kind, certainly_aborted, message: message.into(), source: None }
    }

    /// Something a person must change.
    #[must_use]
    pub fn misconfigured(message: impl Into<String>) -> StoreError {
        StoreError::new(StoreErrorKind::Misconfigured, true, message)
    }

    /// Stored data that cannot be read.
    #[must_use]
    pub fn corrupt(message: impl Into<String>) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, true, message)
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> StoreError {
        self.source = Some(Box::new(source));
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the write surely did not happen. Where this is `false` it may have.
    #[must_use]
    pub const fn is_certainly_aborted(&self) -> bool {
        self.certainly_aborted
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::Timeout)
    }

    const fn kind_name(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Unavailable => "unavailable",
            StoreErrorKind::Timeout => "timeout",
            StoreErrorKind::Corrupt => "corrupt",
            StoreErrorKind::Misconfigured => "misconfigured",
            StoreErrorKind::Bug => "bug",
        }
    }
}
