//! Connections to the database file, and the settings that each needs.
//!
//! The write-ahead log lets readers go on beside the one writer. `synchronous=FULL` syncs the log
//! at every commit: what was answered survives a power cut. <https://www.sqlite.org/wal.html>

use std::{fs::OpenOptions, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::failure::io_failure;
use crate::{Result, StoreError};

/// Only a backup or a person's own tool can hold the file: this process has one writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_CACHE_SIZE: usize = 128;
const LOG_BYTES_MAX: i64 = 64 << 20;

/// The one connection that writes.
pub(in crate::sqlite) fn writing_connection(path: &Path) -> Result<Connection> {
    let connection = connect(path)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let message =
            "the store's folder cannot hold SQLite's write-ahead log; is it on a network?";
        return Err(StoreError::misconfigured(message));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    Ok(connection)
}

/// A connection that can only read.
pub(super) fn reading_connection(path: &Path) -> Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection that only copies the write-ahead log into the file.
pub(in crate::sqlite) fn checkpointing_connection(path: &Path) -> Result<Connection> {
    let connection = reading_connection(path)?;
    // Before it may be believed, what is copied must be on the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection> {
    // Not CREATE: the file is made beforehand, with rights for its owner alone.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_SIZE);
    // Plans do not follow the values that are bound. Else SQLite prepares most cached statements
    // anew whenever they are used again, which takes longer than what they do.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Makes an empty file that only its owner may read, unless there is one. SQLite gives the files
/// that it puts beside the database the same rights.
pub(in crate::sqlite) fn create_private_file(path: &Path) -> Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| io_failure("open", path, error))
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_cached_statement_is_prepared_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(create_private_file(&path).unwrap());
        let connection = writing_connection(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE t (a TEXT, b TEXT, n INTEGER, UNIQUE (a, n))")
            .unwrap();
        let sql = "SELECT * FROM t WHERE a = ? AND b = ? ORDER BY n DESC LIMIT ?";
        for round in 0..5 {
            let mut statement = connection.prepare_cached(sql).unwrap();
            assert!(!statement.exists(("a", "b", round)).unwrap());
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "round {round}");
        }
    }
}
