//! Copies the engine's write-ahead log into its file, on a thread and a connection of its own.
//!
//! A passive checkpoint waits for nobody and nobody waits for it. While appends never pause it
//! never reaches the end of the log, so that the log would grow for ever; where it has become long,
//! the writer is asked to copy the little that is left, between two commits.
//! <https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files>

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

use super::failure::Failure;
use crate::{Result, StoreError, StoreErrorKind, sqlite::database};

/// About how much is written between two checkpoints.
const WRITTEN_BYTES_MAX: usize = 16 << 20;
/// How much an append writes besides its entry: a page of the tree, often two.
const APPEND_BYTES: usize = 8 << 10;
/// From so many pages of log on (128 MiB) the writer helps.
const LOG_PAGES_MAX: i64 = (128 << 20) / 4096;
/// So little (4 MiB) is copied in an instant.
const LITTLE_PAGES: i64 = (4 << 20) / 4096;
/// Each try copies what was appended during the one before, which is less each time.
const TRY_COUNT: u32 = 8;

/// The writer's end.
pub(super) struct Checkpointer {
    written_bytes: usize,
    nudge: Option<SyncSender<()>>,
    help: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, failure: Failure) -> Result<Checkpointer> {
        let connection = database::checkpointing_connection(path)?;
        let help = Arc::new(AtomicBool::new(false));
        let (nudge, nudges) = sync_channel(1);
        let asked = Arc::clone(&help);
        let body = move || work(&connection, &nudges, &asked, &failure);
        let thread = thread::Builder::new().name("sqlite-checkpoint".to_owned()).spawn(body);
        let failed = |error| {
            StoreError::new(StoreErrorKind::Unavailable, true, "no thread to copy the log")
                .caused_by(error)
        };
        let thread = Some(thread.map_err(failed)?);
        Ok(Checkpointer { written_bytes: 0, nudge: Some(nudge), help, thread })
    }

    /// Counts what a commit has written; called when everybody has their answers.
    pub(super) fn written(
        &mut self,
        db: &Connection,
        bytes: usize,
        append_count: usize,
    ) -> Result<()> {
        let more = append_count.saturating_mul(APPEND_BYTES).saturating_add(bytes);
        self.written_bytes = self.written_bytes.saturating_add(more);
        if self.written_bytes >= WRITTEN_BYTES_MAX
            && let Some(nudge) = &self.nudge
            && nudge.try_send(()).is_ok()
        {
            self.written_bytes = 0;
        }
        if self.help.swap(false, Ordering::Relaxed) {
            checkpoint(db)?;
        }
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.nudge.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's checkpointer ended in a panic");
        }
    }
}

fn work(db: &Connection, nudges: &Receiver<()>, help: &AtomicBool, failure: &Failure) {
    while nudges.recv().is_ok() {
        match catch_up(db) {
            // Not before the last try is over: two checkpoints at once exclude each other.
            Ok(log) => help.store(log.needs_help(), Ordering::Relaxed),
            Err(error) => return failure.raise(&error),
        }
    }
}

fn catch_up(db: &Connection) -> Result<Log> {
    let mut log = checkpoint(db)?;
    for _ in 1..TRY_COUNT {
        if log.left() <= LITTLE_PAGES {
            break;
        }
        log = checkpoint(db)?;
    }
    Ok(log)
}

/// The log after a checkpoint.
struct Log {
    page_count: i64,
    copied_count: i64,
}

impl Log {
    const fn left(&self) -> i64 {
        self.page_count.saturating_sub(self.copied_count)
    }

    /// The log begins anew only where a writer comes when nothing of it is left to copy.
    const fn needs_help(&self) -> bool {
        self.page_count > LOG_PAGES_MAX
    }
}

fn checkpoint(db: &Connection) -> Result<Log> {
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    let log = database::first(db, sql, [], |row| {
        Ok(Log { page_count: row.at(1)?, copied_count: row.at(2)? })
    })?;
    log.ok_or_else(|| StoreError::new(StoreErrorKind::Bug, false, "a checkpoint says nothing"))
}
