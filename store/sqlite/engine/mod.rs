//! The engine's own file, `NAME.engine`: journals and snapshots.
//!
//! Apart from the other tables, because a long read or an import in the same file would hold up
//! every append. (And not `NAME-journal`: SQLite takes that for the hot rollback journal of `NAME`
//! and deletes it, <https://www.sqlite.org/tempfiles.html>.) One thread writes, a few connections
//! read beside it, and a third party copies the write-ahead log into the file.

mod checkpointer;
mod failure;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::database::{self, Readers};
use crate::{
    Result, StoreError,
    journal::{Appended, JournalEntry, Shard},
};
use checkpointer::Checkpointer;
use failure::Failure;
pub(super) use writer::AppendRequest;
use writer::EngineWriter;

/// The file, open.
pub(super) struct Engine {
    writer: EngineWriter,
    readers: Readers,
    failure: Failure,
}

impl Engine {
    /// Opens the file that belongs to the store at `store`, and makes it where there is none.
    pub(super) fn open(store: &Path) -> Result<Engine> {
        let path = engine_path(store);
        database::create_private_file(&path)?;
        let mut connection = database::writing_connection(&path)?;
        // Only the checkpointer copies the log: in the append's path it would cost every shard.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        database::migrate_engine(&mut connection)?;
        let readers = Readers::open(&path)?;
        let failure = Failure::new();
        let checkpointer = Checkpointer::start(&path, failure.clone())?;
        let writer = EngineWriter::start(connection, checkpointer, failure.clone())?;
        Ok(Engine { writer, readers, failure })
    }

    /// Appends an entry, in one commit with everything else that waits.
    pub(super) async fn append(
        &self,
        shard: Shard,
        incarnation: u32,
        entry: &JournalEntry,
    ) -> Result<Appended> {
        self.writer.append(shard, incarnation, entry.clone()).await
    }

    /// Runs `work` in a write transaction of its own. Any error of it is fatal.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(work).await
    }

    /// Runs `work` on a snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.failure.check()?;
        self.readers.run(work).await
    }

    /// Ends when the file has failed, and not before.
    pub(super) fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.failure.wait()
    }
}

/// Where the engine's file of the store at `store` is.
pub(super) fn engine_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".engine");
    path.into()
}

/// The two files belong together: one without the other is half a store.
pub(super) fn require_both(store: &Path, has_facts: bool) -> Result<()> {
    let path = engine_path(store);
    let is_missing = |path: &Path| !path.metadata().is_ok_and(|found| found.len() > 0);
    let lonely = if is_missing(store) && !is_missing(&path) {
        (path.as_path(), store)
    } else if has_facts && is_missing(&path) {
        (store, path.as_path())
    } else {
        return Ok(());
    };
    Err(StoreError::misconfigured(format!(
        "`{}` is here without `{}`, which belongs to it; put both back from one backup",
        lonely.0.display(),
        lonely.1.display()
    )))
}

#[cfg(test)]
mod tests {
    use domain::{OrganizationId, organization::Environment};
    use futures::future::join_all;
    use rusqlite::OpenFlags;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Facts, Journal, Snapshots, StoreErrorKind,
        facts::{Checkpoint, FactsChunk, Projected},
        snapshots::Manifest,
        sqlite::SqliteStore,
    };

    fn shard(number: u128) -> Shard {
        let organization = OrganizationId::from_uuid(Uuid::from_u128(number));
        Shard { organization, environment: Environment::Live }
    }

    /// An entry whose batch is its place.
    fn entry(seq: u64) -> JournalEntry {
        let batch = u128::from(seq);
        JournalEntry { seq, batch, previous: batch - 1, bytes: vec![7; 300] }
    }

    async fn append(store: &SqliteStore, number: u128, seq: u64) -> Result<Appended> {
        store.append(shard(number), 1, &entry(seq)).await
    }

    /// A store with ten entries, a snapshot and a checkpoint.
    async fn filled(folder: &TempDir) -> SqliteStore {
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap();
        for seq in 1..=10 {
            assert_eq!(append(&store, 1, seq).await.unwrap(), Appended::Stored);
        }
        store.put_snapshot_chunk(shard(1), 1, 5, 0, &[1, 2, 3]).await.unwrap();
        store.put_manifest(shard(1), &manifest()).await.unwrap();
        let to = Checkpoint { incarnation: 1, seq: 5 };
        let chunk = FactsChunk::default();
        let projected = store.project(shard(1), Checkpoint::BEGINNING, to, &chunk).await.unwrap();
        assert_eq!(projected, Projected::Done);
        store
    }

    fn manifest() -> Manifest {
        Manifest {
            incarnation: 1,
            seq: 5,
            batch: 5,
            format: 1,
            chunk_count: 1,
            byte_count: 3,
            sha256: [0; 32],
        }
    }

    async fn assert_nothing_is_lost(path: &Path) {
        let store = SqliteStore::open(path).await.unwrap();
        let entries = store.entries(shard(1), 1, 0, usize::MAX).await.unwrap();
        assert_eq!(entries, (1..=10).map(entry).collect::<Vec<_>>());
        assert_eq!(store.newest_snapshot(shard(1), 1).await.unwrap(), Some(manifest()));
        assert_eq!(store.checkpoint(shard(1)).await.unwrap().seq, 5);
        assert_eq!(append(&store, 1, 11).await.unwrap(), Appended::Stored);
    }

    /// The files as a killed process leaves them: the logs are not in them yet.
    fn copy_of(from: &TempDir) -> TempDir {
        let to = tempfile::tempdir().unwrap();
        for name in ["outlay.db", "outlay.db-wal", "outlay.db.engine", "outlay.db.engine-wal"] {
            std::fs::copy(from.path().join(name), to.path().join(name)).unwrap();
        }
        to
    }

    /// Opens a file as SQLite itself does, and reads and writes it.
    fn touch(path: &Path) {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        db.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version; COMMIT").unwrap();
        let table_count = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
        assert!(table_count.is_ok_and(|count: i64| count > 0));
    }

    #[tokio::test]
    async fn a_store_that_was_closed_keeps_everything() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(&folder).await);
        assert_nothing_is_lost(&folder.path().join("outlay.db")).await;
    }

    #[tokio::test]
    async fn in_whichever_order_a_killed_stores_files_are_opened_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        for order in [["outlay.db", "outlay.db.engine"], ["outlay.db.engine", "outlay.db"]] {
            let killed = copy_of(&folder);
            order.iter().for_each(|name| touch(&killed.path().join(name)));
            assert_nothing_is_lost(&killed.path().join("outlay.db")).await;
        }
        let killed = copy_of(&folder);
        assert_nothing_is_lost(&killed.path().join("outlay.db")).await;
        drop(store);
    }

    #[tokio::test]
    async fn one_file_without_the_other_is_refused() {
        for lost in ["outlay.db", "outlay.db.engine"] {
            let folder = tempfile::tempdir().unwrap();
            drop(filled(&folder).await);
            std::fs::remove_file(folder.path().join(lost)).unwrap();
            let error = SqliteStore::open(&folder.path().join("outlay.db")).await.err().unwrap();
            assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
            assert!(error.to_string().contains("put both back from one backup"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_conflict_does_not_disturb_the_others_of_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        let appends = (1..=40).map(|number| {
            // Every other one is refused: taken, below the beginning, a gap, of no incarnation.
            let wrong = JournalEntry { batch: 999, ..entry(10) };
            let below = JournalEntry { seq: 0, ..entry(1) };
            let store = &store;
            async move {
                match number % 8 {
                    1 => store.append(shard(1), 1, &wrong).await.map(Some),
                    3 => store.append(shard(1), 1, &below).await.map(Some),
                    5 => Ok(append(store, 1000 + number, 2).await.ok()),
                    7 => store.append(shard(number), 2, &entry(1)).await.map(Some),
                    _ => append(store, number, 1).await.map(Some),
                }
            }
        });
        let outcomes = join_all(appends).await;
        for (number, outcome) in (1..).zip(outcomes) {
            let expected = match number % 8 {
                1 => Some(Appended::Taken),
                3 | 7 => Some(Appended::Void),
                5 => None,
                _ => Some(Appended::Stored),
            };
            assert_eq!(outcome.unwrap(), expected, "{number}");
        }
        assert_eq!(store.shards().await.unwrap().len(), 21, "a refused one has no journal");
    }

    #[tokio::test]
    async fn a_gap_and_a_wrong_predecessor_are_refused_and_write_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        let stranger = JournalEntry { previous: 7, ..entry(11) };
        let large = JournalEntry { bytes: vec![0; (1 << 20) + 1], ..entry(11) };
        for refused in [entry(12), stranger, large] {
            let error = store.append(shard(1), 1, &refused).await.unwrap_err();
            assert!(error.kind() == StoreErrorKind::Bug && error.is_certainly_aborted());
        }
        assert_eq!(store.tail(shard(1)).await.unwrap().seq, 10);
        assert_eq!(append(&store, 1, 11).await.unwrap(), Appended::Stored);
    }

    #[tokio::test]
    async fn a_journal_that_failed_once_is_never_believed_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder).await;
        let failed = tokio::spawn(store.journal_failed());
        let path = engine_path(&folder.path().join("outlay.db"));
        let raw = Connection::open(path).unwrap();
        raw.execute_batch("ALTER TABLE entries RENAME TO hidden").unwrap();
        let first = append(&store, 1, 11).await.unwrap_err();
        raw.execute_batch("ALTER TABLE hidden RENAME TO entries").unwrap();
        failed.await.unwrap();
        let later = [
            append(&store, 1, 11).await.unwrap_err(),
            store.tail(shard(1)).await.unwrap_err(),
            store.truncate(shard(1), 1, 5).await.unwrap_err(),
            store.put_manifest(shard(1), &manifest()).await.unwrap_err(),
        ];
        for error in later.iter().chain([&first]) {
            assert!(!error.is_certainly_aborted(), "{error}");
        }
        assert_eq!(store.checkpoint(shard(1)).await.unwrap().seq, 5, "the other file is sound");
        drop(store);
        assert_nothing_is_lost(&folder.path().join("outlay.db")).await;
    }

    #[tokio::test]
    async fn the_log_is_copied_in_the_background() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap();
        let path = engine_path(&folder.path().join("outlay.db"));
        let is_copied = || path.metadata().unwrap().len() > 8 << 20;
        // How soon after 16 MiB is up to the machine.
        for seq in (1..=1000).take_while(|_| !is_copied()) {
            let entry = JournalEntry { bytes: vec![1; 1 << 20], ..entry(seq) };
            assert_eq!(store.append(shard(1), 1, &entry).await.unwrap(), Appended::Stored);
        }
        assert!(is_copied());
    }
}
