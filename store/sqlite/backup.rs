//! Backup of the two files while a server writes to them, and their return.
//!
//! `VACUUM INTO` copies a file as of one instant, within one read transaction: it holds up no
//! writer, and unlike the online backup it need not begin again when another process writes
//! (<https://www.sqlite.org/backup.html>). It keeps `user_version` and `application_id`.
//!
//! The two files are copied at two instants, and a state is needed from which the tables can go on:
//! so the snapshots are copied first, the tables then, the journal last. Whatever the tables of the
//! copy have is in its journal, and its snapshots are not ahead of its tables. Only numbers of end
//! users go the other way: the copy gives none that the journal may have and the tables have not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};

use super::{
    SqliteStore,
    database::{Holder, first, lock_path, writing_connection},
    end_users,
    engine::engine_path,
    resolved,
};
use crate::{
    Result, StoreError, StoreErrorKind,
    backup::{self, NewBackup, Progress, failed, sync_folder},
};

const STORE_NAME: &str = "store.sqlite";
const ENGINE_NAME: &str = "engine.sqlite";
const PART_NAME: &str = "snapshots.part";
const SNAPSHOT_TABLES: [&str; 2] = ["manifests", "snapshot_pieces"];
/// A truncation in the middle of a backup is rare: one an hour, of what is a day old.
const TRY_COUNT: u32 = 3;

impl SqliteStore {
    /// Copies the store at `path` into `backup`, beside whoever has it open. Blocks.
    ///
    /// # Errors
    /// `misconfigured` where there is no store; `unavailable` where a file cannot be copied.
    pub fn back_up(path: &Path, backup: &mut NewBackup, progress: Progress<'_>) -> Result<()> {
        let store = resolved(path);
        let engine = engine_path(&store);
        for file in [&store, &engine] {
            if !file.exists() {
                let message = format!("`{}` is not there: name the store", file.display());
                return Err(StoreError::misconfigured(message));
            }
        }
        for _ in 0..TRY_COUNT {
            copy_snapshots(&engine, &create(backup, PART_NAME)?)?;
            progress(&format!("copying {}", store.display()));
            copy(&store, &create(backup, STORE_NAME)?)?;
            end_users::leave_room(&Connection::open(backup.path(STORE_NAME))?)?;
            progress(&format!("copying {}", engine.display()));
            copy(&engine, &create(backup, ENGINE_NAME)?)?;
            if put_snapshots_back(&backup.path(ENGINE_NAME), &backup.path(PART_NAME))? {
                remove(&backup.path(PART_NAME))?;
                backup.enter(STORE_NAME)?;
                return backup.enter(ENGINE_NAME);
            }
            progress("the journal was truncated meanwhile: copying again");
            for name in [PART_NAME, STORE_NAME, ENGINE_NAME] {
                remove(&backup.path(name))?;
            }
        }
        let message = "the journal was truncated each time: try again in a few minutes";
        Err(StoreError::new(StoreErrorKind::Unavailable, true, message))
    }
}

/// An empty file for SQLite to fill, with rights for its owner alone.
fn create(backup: &NewBackup, name: &str) -> Result<PathBuf> {
    drop(backup.create(name)?);
    Ok(backup.path(name))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// A connection beside a running server.
fn beside(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let Some(name) = to.to_str() else {
        return Err(StoreError::misconfigured("a backup's folder has a name in UTF-8"));
    };
    beside(from)?.execute("VACUUM INTO ?", [name])?;
    Ok(())
}

/// Copies the snapshots as of one instant.
fn copy_snapshots(engine: &Path, to: &Path) -> Result<()> {
    let mut source = beside(engine)?;
    let source = source.transaction()?;
    let mut target = Connection::open(to)?;
    let target = target.transaction()?;
    for table in SNAPSHOT_TABLES {
        let made = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?";
        let made: Option<String> = first(&source, made, [table], |row| row.get("sql"))?;
        let made = made.ok_or_else(|| StoreError::corrupt("the engine's file lacks a table"))?;
        target.execute_batch(&made)?;
        let mut rows = source.prepare(&format!("SELECT * FROM {table}"))?;
        let column_count = rows.column_count();
        let places = vec!["?"; column_count].join(", ");
        let mut put = target.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let values: rusqlite::Result<Vec<Value>> =
                (0..column_count).map(|index| row.get(index)).collect();
            put.execute(params_from_iter(values?))?;
        }
    }
    target.commit()?;
    Ok(())
}

/// Gives a copy of the engine's file the snapshots of an earlier instant. `false` where the journal
/// does not have all that comes after them any more.
fn put_snapshots_back(engine: &Path, snapshots: &Path) -> Result<bool> {
    let name = snapshots.to_str().expect("the other file of the folder was written by this name");
    let mut db = Connection::open(engine)?;
    db.execute("ATTACH ? AS earlier", [name])?;
    let transaction = db.transaction()?;
    for table in SNAPSHOT_TABLES {
        transaction.execute_batch(&format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM earlier.{table}"
        ))?;
    }
    let sql = "SELECT 1 FROM main.journals AS journal WHERE floor > 0
               AND incarnation = (SELECT max(incarnation) FROM main.journals AS other
                   WHERE (other.organization, other.environment)
                       = (journal.organization, journal.environment))
               AND NOT EXISTS (SELECT 1 FROM main.manifests AS manifest
                   WHERE (manifest.organization, manifest.environment, manifest.incarnation)
                       = (journal.organization, journal.environment, journal.incarnation)
                   AND manifest.seq >= journal.floor)";
    let is_cut = first(&transaction, sql, [], |_| Ok(()))?.is_some();
    transaction.commit()?;
    Ok(!is_cut)
}

/// A store that is being restored. Its files have names of their own until [`Restoring::finish`]:
/// whatever ends it before, the store at its path is not there.
pub struct Restoring {
    path: PathBuf,
    store: Arc<SqliteStore>,
    // Nobody starts a server there meanwhile.
    holder: Holder,
}

impl Restoring {
    /// Copies a backup that was [checked](backup::check) beside the store's path, and opens it.
    /// What an earlier, killed try left there is removed; one that was killed in its very last step
    /// is finished, and `None` says so.
    ///
    /// # Errors
    /// `misconfigured` where there is a store already, or somebody uses the path.
    pub async fn begin(path: &Path, folder: &Path) -> Result<Option<Restoring>> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| failed("make", parent, error))?;
        }
        let path = resolved(path);
        let holder = Holder::take(&path)?;
        let part = part_path(&path);
        let is_renamed_half = !path.exists()
            && engine_path(&path).exists()
            && part.exists()
            && !engine_path(&part).exists();
        if is_renamed_half {
            rename_last(&part, &path)?;
            return Ok(None);
        }
        require_nothing(&path)?;
        remove_part(&part)?;
        copy_private(&folder.join(STORE_NAME), &part)?;
        copy_private(&folder.join(ENGINE_NAME), &engine_path(&part))?;
        let store = Arc::new(SqliteStore::open(&part).await?);
        Ok(Some(Restoring { path, store, holder }))
    }

    /// The store, to be made ready.
    #[must_use]
    pub fn store(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.store)
    }

    /// Gives the files their names.
    ///
    /// # Errors
    /// `bug` where somebody else still has the store.
    pub fn finish(self) -> Result<()> {
        let Restoring { path, store, holder } = self;
        let bug = |_| StoreError::new(StoreErrorKind::Bug, true, "somebody still uses the store");
        drop(Arc::try_unwrap(store).map_err(bug)?);
        let part = part_path(&path);
        for file in [part.clone(), engine_path(&part)] {
            settle(&file)?;
        }
        let engine = engine_path(&path);
        let from = engine_path(&part);
        for file in [&path, &engine] {
            for ending in ["-wal", "-shm", "-journal"] {
                remove(&with_ending(file, ending))?;
            }
        }
        fs::rename(&from, &engine).map_err(|error| failed("rename", &from, error))?;
        rename_last(&part, &path)?;
        drop(holder);
        Ok(())
    }
}

/// Refuses where a store is, or a log of one: SQLite would take it for the restored file's.
fn require_nothing(path: &Path) -> Result<()> {
    for file in [path.to_owned(), engine_path(path)] {
        for ending in ["", "-wal", "-journal"] {
            let found = with_ending(&file, ending);
            if found.metadata().is_ok_and(|found| found.len() > 0) {
                return Err(StoreError::misconfigured(format!(
                    "`{}` is there already: a backup is restored into an empty store only; \
                     move it away, or name another",
                    found.display()
                )));
            }
        }
    }
    Ok(())
}

/// Brings all of a file's log into it, so that it can be renamed.
fn settle(path: &Path) -> Result<()> {
    let connection = writing_connection(path)?;
    let left = first(&connection, "PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.at::<i64>(0))?;
    drop(connection);
    if left != Some(0) {
        return Err(StoreError::new(StoreErrorKind::Bug, true, "a restored file is in use"));
    }
    let file = fs::File::open(path).map_err(|error| failed("open", path, error))?;
    file.sync_all().map_err(|error| failed("sync", path, error))
}

/// With this name the store is there.
fn rename_last(part: &Path, path: &Path) -> Result<()> {
    let fail = |error| failed("rename", part, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    sync_folder(folder).map_err(fail)?;
    fs::rename(part, path).map_err(fail)?;
    sync_folder(folder).map_err(fail)?;
    remove_part(part)
}

/// Where the store is until it is complete.
fn part_path(path: &Path) -> PathBuf {
    with_ending(path, ".restoring")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Removes what a try left, with everything that lies beside it.
fn remove_part(part: &Path) -> Result<()> {
    for file in [part.to_owned(), engine_path(part)] {
        for ending in ["", "-wal", "-shm", "-journal"] {
            remove(&with_ending(&file, ending))?;
        }
    }
    remove(&lock_path(part))?;
    let spool = with_ending(part, ".spool");
    match fs::remove_dir_all(&spool) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", &spool, error))
        }
        _ => Ok(()),
    }
}

fn copy_private(from: &Path, to: &Path) -> Result<()> {
    let mut source = fs::File::open(from).map_err(|error| failed("read", from, error))?;
    let fail = |error| failed("write", to, error);
    let mut target = backup::create_private(to).map_err(fail)?;
    io::copy(&mut source, &mut target).map_err(fail)?;
    target.sync_all().map_err(fail)
}

#[cfg(test)]
mod tests {
    use domain::{OrganizationId, organization::Environment};
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Facts, Journal, Snapshots,
        backup::{BackupManifest, MANIFEST_NAME, check},
        facts::{Checkpoint, FactsChunk, Projected},
        journal::{Appended, JournalEntry, Shard},
        snapshots::Manifest,
    };

    fn shard() -> Shard {
        let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
        Shard { organization, environment: Environment::Live }
    }

    fn entry(seq: u64) -> JournalEntry {
        let batch = u128::from(seq);
        JournalEntry { seq, batch, previous: batch - 1, bytes: vec![7; 300] }
    }

    async fn append(store: &SqliteStore, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            assert_eq!(store.append(shard(), 1, &entry(seq)).await.unwrap(), Appended::Stored);
        }
    }

    async fn project(store: &SqliteStore, from: u64, to: u64) {
        let [from, to] = [from, to].map(|seq| Checkpoint { incarnation: 1, seq });
        let done = store.project(shard(), from, to, &FactsChunk::default()).await.unwrap();
        assert_eq!(done, Projected::Done);
    }

    async fn put_snapshot(store: &SqliteStore, seq: u64) {
        let number = u8::try_from(seq).unwrap();
        store.put_snapshot_chunk(shard(), 1, seq, 0, &[number; 3]).await.unwrap();
        let manifest = Manifest {
            incarnation: 1,
            seq,
            batch: u128::from(seq),
            format: 1,
            chunk_count: 1,
            byte_count: 3,
            sha256: [0; 32],
        };
        store.put_manifest(shard(), &manifest).await.unwrap();
        store.remove_snapshots_before(shard(), 1, seq).await.unwrap();
    }

    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("outlay.db")
    }

    async fn back_up(store: PathBuf, folder: PathBuf) -> Result<BackupManifest> {
        let work = move || {
            let mut backup = NewBackup::begin(&folder, "sqlite", "1", String::new())?;
            SqliteStore::back_up(&store, &mut backup, &|_| {})?;
            backup.finish()
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_beside_writers_is_restored_with_all_that_was_kept_before_it() {
        let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Arc::new(SqliteStore::open(&path(&folder)).await.unwrap());
        append(&store, 1..=20).await;
        project(&store, 0, 10).await;
        put_snapshot(&store, 10).await;
        let writing = {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for seq in (21..=400).step_by(20) {
                    append(&store, seq..=seq + 19).await;
                    project(&store, if seq == 21 { 10 } else { seq - 1 }, seq + 19).await;
                    let seq = if seq < 200 { seq + 10 } else { 220 };
                    put_snapshot(&store, seq).await;
                }
            })
        };
        let backup = folder.path().join("backup");
        back_up(path(&folder), backup.clone()).await.unwrap();
        let kept_after = store.tail(shard()).await.unwrap().seq;
        writing.await.unwrap();
        drop(store);
        assert_eq!(names(&backup), [ENGINE_NAME, MANIFEST_NAME, STORE_NAME]);

        check(&backup, "sqlite", &|_| {}).unwrap();
        let restoring = Restoring::begin(&path(&target), &backup).await.unwrap().unwrap();
        assert!(!path(&target).exists(), "not before it is finished");
        restoring.finish().unwrap();
        assert_eq!(
            names(target.path()),
            ["outlay.db", "outlay.db.engine", "outlay.db.lock"],
            "nothing of the restore is left"
        );
        let store = SqliteStore::open(&path(&target)).await.unwrap();
        let entries = store.entries(shard(), 1, 0, usize::MAX).await.unwrap();
        let last = entries.last().unwrap().seq;
        assert!((20..=kept_after).contains(&last), "{last}");
        assert_eq!(entries, (1..=last).map(entry).collect::<Vec<_>>());
        let snapshot = store.newest_snapshot(shard(), 1).await.unwrap().unwrap();
        let chunk = store.snapshot_chunk(shard(), 1, snapshot.seq, 0).await.unwrap();
        assert_eq!(chunk, Some(vec![u8::try_from(snapshot.seq).unwrap(); 3]));
        let checkpoint = store.checkpoint(shard()).await.unwrap().seq;
        assert!(snapshot.seq <= checkpoint && checkpoint <= last, "{checkpoint}");
    }

    #[tokio::test]
    async fn a_copy_has_the_snapshots_from_before_its_tables() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&path(&folder)).await.unwrap();
        let source = engine_path(&path(&folder));
        let [early, whole] = ["early", "whole"].map(|name| folder.path().join(name));
        append(&store, 1..=20).await;
        project(&store, 0, 20).await;
        put_snapshot(&store, 10).await;
        store.truncate(shard(), 1, 5).await.unwrap();
        copy_snapshots(&source, &early).unwrap();
        put_snapshot(&store, 18).await;
        copy(&source, &whole).unwrap();
        assert!(put_snapshots_back(&whole, &early).unwrap());
        let db = Connection::open(&whole).unwrap();
        for table in SNAPSHOT_TABLES {
            let seqs = db.query_row(&format!("SELECT group_concat(seq) FROM {table}"), [], |row| {
                row.get::<_, String>(0)
            });
            assert_eq!(seqs.unwrap(), "10", "{table}");
        }

        store.truncate(shard(), 1, 15).await.unwrap();
        fs::remove_file(&whole).unwrap();
        copy(&source, &whole).unwrap();
        assert!(!put_snapshots_back(&whole, &early).unwrap(), "what follows 10 is gone");
    }

    #[tokio::test]
    async fn a_restore_into_what_is_there_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&path(&folder)).await.unwrap();
        append(&store, 1..=3).await;
        let backup = folder.path().join("backup");
        back_up(path(&folder), backup.clone()).await.unwrap();
        let in_use = Restoring::begin(&path(&folder), &backup).await.err().unwrap();
        assert!(in_use.to_string().contains("in use"), "{in_use}");
        drop(store);
        let there = Restoring::begin(&path(&folder), &backup).await.err().unwrap();
        assert!(there.to_string().contains("is there already"), "{there}");

        let target = tempfile::tempdir().unwrap();
        fs::write(target.path().join("outlay.db-wal"), b"the log of a lost store").unwrap();
        let log = Restoring::begin(&path(&target), &backup).await.err().unwrap();
        assert!(log.to_string().contains("outlay.db-wal"), "{log}");
        assert_eq!(names(target.path()), ["outlay.db-wal", "outlay.db.lock"]);
        let store = SqliteStore::open(&path(&folder)).await.unwrap();
        assert_eq!(store.tail(shard()).await.unwrap().seq, 3);
    }

    #[tokio::test]
    async fn a_killed_restore_is_finished_by_the_next() {
        let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = SqliteStore::open(&path(&folder)).await.unwrap();
        append(&store, 1..=3).await;
        let backup = folder.path().join("backup");
        back_up(path(&folder), backup.clone()).await.unwrap();
        let killed = Restoring::begin(&path(&target), &backup).await.unwrap().unwrap();
        drop(killed);
        let killed = Restoring::begin(&path(&target), &backup).await.unwrap().unwrap();
        drop(killed);
        // In the middle of the last step: one file has its name.
        let part = part_path(&path(&target));
        fs::rename(engine_path(&part), engine_path(&path(&target))).unwrap();
        assert!(Restoring::begin(&path(&target), &backup).await.unwrap().is_none());
        let store = SqliteStore::open(&path(&target)).await.unwrap();
        assert_eq!(store.tail(shard()).await.unwrap().seq, 3);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_may_read_a_backup() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let _store = SqliteStore::open(&path(&folder)).await.unwrap();
        let backup = folder.path().join("backup");
        back_up(path(&folder), backup.clone()).await.unwrap();
        for name in names(&backup) {
            let mode = backup.join(&name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name}");
        }
    }
}
