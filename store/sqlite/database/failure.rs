//! What SQLite's and the file system's errors mean to a caller.
//!
//! Codes: <https://www.sqlite.org/rescode.html>. A statement that fails leaves nothing behind,
//! because its transaction is rolled back; only a failed commit is in doubt.

use std::{io, path::Path};

use rusqlite::{Error, ErrorCode};

use crate::{StoreError, StoreErrorKind};

/// For everything before the commit: the transaction is rolled back, so nothing happened.
impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        StoreError::new(kind_of(&error), true, "the database refused a statement").caused_by(error)
    }
}

/// A commit that failed. Where the disk failed, the log may hold it nevertheless, whole.
pub(super) fn commit_failure(error: Error) -> StoreError {
    let kind = kind_of(&error);
    let certainly_aborted = matches!(kind, StoreErrorKind::Timeout | StoreErrorKind::Bug);
    StoreError::new(kind, certainly_aborted, "the database refused a commit").caused_by(error)
}

/// A file operation that failed.
pub(in crate::sqlite) fn io_failure(what: &str, path: &Path, error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory => StoreErrorKind::Misconfigured,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, true, format!("cannot {what} `{}`", path.display())).caused_by(error)
}

fn kind_of(error: &Error) -> StoreErrorKind {
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreErrorKind::Timeout,
            ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen => {
                StoreErrorKind::Unavailable
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreErrorKind::Corrupt,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreErrorKind::Misconfigured,
            _ => StoreErrorKind::Bug,
        },
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Bug,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn codes_become_kinds() {
        for (code, kind) in [
            (ffi::SQLITE_BUSY, StoreErrorKind::Timeout),
            (ffi::SQLITE_LOCKED, StoreErrorKind::Timeout),
            (ffi::SQLITE_IOERR_FSYNC, StoreErrorKind::Unavailable),
            (ffi::SQLITE_FULL, StoreErrorKind::Unavailable),
            (ffi::SQLITE_CANTOPEN, StoreErrorKind::Unavailable),
            (ffi::SQLITE_CORRUPT, StoreErrorKind::Corrupt),
            (ffi::SQLITE_NOTADB, StoreErrorKind::Corrupt),
            (ffi::SQLITE_READONLY, StoreErrorKind::Misconfigured),
            (ffi::SQLITE_CONSTRAINT, StoreErrorKind::Bug),
        ] {
            assert_eq!(StoreError::from(failure(code)).kind(), kind, "code {code}");
        }
    }

    #[test]
    fn only_a_commit_that_the_disk_failed_is_in_doubt() {
        assert!(StoreError::from(failure(ffi::SQLITE_IOERR)).is_certainly_aborted());
        assert!(commit_failure(failure(ffi::SQLITE_BUSY)).is_certainly_aborted());
        assert!(!commit_failure(failure(ffi::SQLITE_IOERR)).is_certainly_aborted());
        assert!(!commit_failure(failure(ffi::SQLITE_FULL)).is_certainly_aborted());
    }
}
