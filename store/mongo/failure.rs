//! What the driver's errors mean to callers of the store.
//!
//! Messages are ours, so that no document's content and no connection string reaches an error's
//! text; the driver's error goes along as the source.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::{StoreError, StoreErrorKind};

/// Why an attempt at a transaction ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver says so; another attempt may succeed.
    Driver(Error),
    /// We say so: stored data that cannot be read, a caller's mistake.
    Store(StoreError),
}

/// What one attempt at a transaction returns.
pub(super) type Attempt<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

/// For single operations, which `?` then turns into the store's error.
impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        // With retryable writes the driver has tried twice. It reports "no server" only where it
        // sent nothing; every other failure may have come after the write.
        let certainly_aborted = matches!(*error.kind, ErrorKind::ServerSelection { .. });
        store_error(error, certainly_aborted)
    }
}

/// The store's error for a driver's one, where the caller knows whether the write surely did not
/// happen.
pub(super) fn store_error(error: Error, certainly_aborted: bool) -> StoreError {
    let (kind, message) = meaning(&error);
    // What a person must change, or what the server refused outright, was not written either.
    let refused = matches!(kind, StoreErrorKind::Misconfigured | StoreErrorKind::Corrupt);
    StoreError::new(kind, certainly_aborted || refused, message).caused_by(error)
}

fn meaning(error: &Error) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Bug, Corrupt, Misconfigured, Timeout, Unavailable};
    match &*error.kind {
        ErrorKind::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut => {
            (Timeout, "MongoDB did not answer in time")
        }
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => {
            (Unavailable, "the connection to MongoDB broke")
        }
        ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. } => {
            (Unavailable, "no primary of the replica set can be reached")
        }
        ErrorKind::Authentication { .. } => {
            (Misconfigured, "MongoDB refuses the user name or password of the store's URL")
        }
        ErrorKind::InvalidTlsConfig { .. } | ErrorKind::InvalidArgument { .. } => {
            (Misconfigured, "the driver refuses the options of the store's URL")
        }
        ErrorKind::IncompatibleServer { .. } | ErrorKind::SessionsNotSupported => {
            (Misconfigured, "the MongoDB server is too old, or no replica set")
        }
        ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } => {
            (Corrupt, "a stored document is not of the expected form")
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
            (Timeout, "a majority of the replica set did not confirm in time")
        }
        _ if is_temporary(error) => (Unavailable, "the replica set has no steady primary"),
        _ => code(error).map_or((Bug, "MongoDB failed in an unexpected way"), meaning_of_code),
    }
}

/// Codes of <https://www.mongodb.com/docs/manual/reference/error-codes/>.
fn meaning_of_code(code: i32) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Bug, Misconfigured, Timeout, Unavailable};
    match code {
        13 | 18 | 33 => (Misconfigured, "the store's user may not do this on MongoDB"),
        20 | 263 => (Misconfigured, "MongoDB must run as a replica set"),
        24 | 50 | 262 => (Timeout, "MongoDB did not answer in time"),
        6 | 7 | 89 | 91 | 112 | 134 | 189 | 251 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436 => {
            (Unavailable, "the replica set has no steady primary")
        }
        14031 => (Unavailable, "MongoDB's disk is full"),
        _ => (Bug, "MongoDB refused an operation"),
    }
}

fn is_temporary(error: &Error) -> bool {
    use mongodb::error::{RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR};
    error.contains_label(RETRYABLE_WRITE_ERROR) || error.contains_label(TRANSIENT_TRANSACTION_ERROR)
}

/// Whether a unique index refused the write: somebody else was there first.
pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(11000)
}

/// The server's error code, wherever the driver has put it.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::InsertMany(many) => Some(many.write_errors.as_ref()?.first()?.code),
        _ => None,
    }
}
