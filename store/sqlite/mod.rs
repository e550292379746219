//! The store on two SQLite files, for a single server: `NAME.engine` for journals and snapshots,
//! `NAME` for everything else.
//!
//! For each file one thread writes and a few connections read beside it, and a lock file makes this
//! process the only one. Each repository is the file of the same name as its trait; the machinery
//! is in `database`, and in `engine` what the second file has of its own.

mod api_keys;
mod audit;
mod backup;
mod bodies;
mod charges;
mod connections;
mod database;
mod end_users;
mod engine;
mod facts;
mod files;
mod idempotency;
mod journal;
mod nodes;
mod organizations;
mod own_prices;
mod schedule;
mod secrets;
mod snapshots;
mod syncs;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;

pub use backup::Restoring;

use crate::{Result, Store, StoreError, StoreErrorKind};
use database::{Holder, Readers, Spool, Writer};
use engine::Engine;

/// A store in two files. Dropping it waits for what is being written, then lets go of the files.
pub struct SqliteStore {
    // In this order: the lock goes last, when nobody writes any more.
    engine: Engine,
    writer: Writer,
    readers: Readers,
    spool: Arc<Spool>,
    holder: Holder,
}

impl SqliteStore {
    /// Opens the store at `path`, makes it where there is none, and brings its schema up to date.
    /// As the only process that may have it open, it also ends what a killed one left: leases,
    /// tries, half uploads.
    ///
    /// # Errors
    /// `misconfigured` where another process holds the file, a newer version wrote it, or it is not
    /// ours.
    pub async fn open(path: &Path) -> Result<SqliteStore> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(&path)).await;
        let stopped = |error| {
            StoreError::new(StoreErrorKind::Bug, true, "opening stopped early").caused_by(error)
        };
        opened.map_err(stopped)?
    }

    /// Where the lock file of the store at `path` is.
    #[must_use]
    pub fn lock_path(path: &Path) -> PathBuf {
        database::lock_path(&resolved(path))
    }

    /// Tells other processes of this user how to reach the holder of the store: `text` is what
    /// [`read_holder`] gives them. It is gone when the store is dropped.
    ///
    /// # Errors
    /// `unavailable` where the lock file cannot be written.
    pub fn publish_holder(&self, text: &str) -> Result<()> {
        self.holder.publish(text)
    }

    /// Ends when the journal's file has failed: what was appended last may or may not be on the
    /// disk, and no later call is answered with anything but an error. End the process then; a
    /// restart trusts only the disk. It never ends while the file is sound.
    pub fn journal_failed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.engine.failed()
    }

    /// Runs `work` in a write transaction.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(work).await
    }

    /// Runs `work` on a snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.run(work).await
    }

    /// Runs `work` on the spool, on a thread that may block.
    async fn spool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let spool = Arc::clone(&self.spool);
        let stopped = |error| {
            StoreError::new(StoreErrorKind::Bug, false, "a file was left early").caused_by(error)
        };
        tokio::task::spawn_blocking(move || work(&spool)).await.map_err(stopped)?
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn ping(&self) -> Result<()> {
        let answers = "SELECT 1";
        self.write(|db| database::first(db, answers, [], |_| Ok(()))).await?;
        self.read(|db| database::first(db, answers, [], |_| Ok(()))).await?;
        Ok(())
    }
}

/// What the process that holds the store at `path` published with [`SqliteStore::publish_holder`];
/// `None` where nobody holds the store, or nothing was published.
#[must_use]
pub fn read_holder(path: &Path) -> Option<String> {
    database::read_holder(&resolved(path))
}

fn open(path: &Path) -> Result<SqliteStore> {
    if let Some(folder) = path.parent() {
        let failed = |error| database::io_failure("make", folder, error);
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let path = resolved(path);
    let holder = Holder::take(&path)?;
    engine::require_both(&path, false)?;
    database::create_private_file(&path)?;
    let mut connection = database::writing_connection(&path)?;
    database::migrate(&mut connection)?;
    engine::require_both(&path, facts::has_any(&connection)?)?;
    let engine = Engine::open(&path)?;
    let spool = Spool::open(&path)?;
    take_over(&connection, &spool)?;
    let readers = Readers::open(&path)?;
    let writer = Writer::start(connection)?;
    Ok(SqliteStore { engine, writer, readers, spool: Arc::new(spool), holder })
}

/// Whatever the last process had begun, nobody goes on with it.
fn take_over(db: &Connection, spool: &Spool) -> Result<()> {
    schedule::free_all_leases(db)?;
    idempotency::end_all_tries(db)?;
    nodes::remove_all(db)?;
    let unneeded = files::without_needed(db, spool.uploads()?)?;
    unneeded.into_iter().try_for_each(|id| spool.delete(id))
}

/// The one name of a file that links may give several: the lock must be the same for all.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use domain::{FileId, OrganizationId};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Files, Idempotency, Schedule,
        idempotency::{Claimed, RequestClaim},
        schedule::JobKey,
    };

    fn job() -> JobKey {
        JobKey { kind: "sync_connection".to_owned(), subject: "conn_1".to_owned() }
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[tokio::test]
    async fn a_second_open_of_the_same_file_is_refused() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        let first = SqliteStore::open(&path).await.unwrap();
        let error = SqliteStore::open(&path).await.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        assert!(error.to_string().contains("in use by another process"), "{error}");
        drop(first);
        SqliteStore::open(&path).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_to_the_file_does_not_get_around_the_lock() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        let _first = SqliteStore::open(&path).await.unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(SqliteStore::open(&link).await.is_err());
    }

    #[tokio::test]
    async fn the_holder_can_be_read_while_it_holds() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        assert_eq!(read_holder(&path), None);
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(read_holder(&path), None);
        store.publish_holder("a longer text").unwrap();
        store.publish_holder("127.0.0.1:7070 token").unwrap();
        assert_eq!(read_holder(&path).as_deref(), Some("127.0.0.1:7070 token"));
        drop(store);
        assert_eq!(read_holder(&path), None);
        let left = std::fs::read(SqliteStore::lock_path(&path)).unwrap();
        assert_eq!(left, b"", "nothing stays in the file");
    }

    #[tokio::test]
    async fn what_a_killed_process_published_means_nothing() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        std::fs::write(SqliteStore::lock_path(&path), "127.0.0.1:7070 stale").unwrap();
        assert_eq!(read_holder(&path), None);
        let _store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(read_holder(&path), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_may_read_what_the_store_writes() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let path = folder.path().join("outlay.db");
        std::fs::write(SqliteStore::lock_path(&path), "").unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        store.publish_holder("token").unwrap();
        store.make_due(&job(), Timestamp::UNIX_EPOCH).await.unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        }
    }

    #[tokio::test]
    async fn reopening_keeps_everything_and_frees_leases_and_tries() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        let start = Timestamp::UNIX_EPOCH;
        let store = SqliteStore::open(&path).await.unwrap();
        store.make_due(&job(), start).await.unwrap();
        let lost = store.claim_due(start, 3600).await.unwrap().unwrap();
        assert_eq!(store.claim_due(start, 3600).await.unwrap(), None);
        let try_of = |seed| RequestClaim {
            key: [1; 32],
            body_sha256: [2; 32],
            seed: Uuid::from_u128(seed),
            at: start,
            pending_until: Timestamp::MAX,
            expires_at: Timestamp::MAX,
        };
        store.claim_request(&try_of(1)).await.unwrap();
        assert_eq!(store.claim_request(&try_of(2)).await.unwrap(), Claimed::Pending);
        drop(store);

        let store = SqliteStore::open(&path).await.unwrap();
        assert!(!store.renew_lease(&lost.lease, Timestamp::MAX).await.unwrap());
        let again = store.claim_due(start, 3600).await.unwrap().unwrap();
        assert_eq!(again.due_at, start);
        assert!(again.lease.fence > lost.lease.fence);
        let first_seed = Claimed::Go(Uuid::from_u128(1));
        assert_eq!(store.claim_request(&try_of(2)).await.unwrap(), first_seed);
    }

    #[tokio::test]
    async fn an_upload_that_no_row_speaks_of_is_swept_at_open() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        let half = FileId::from_uuid(Uuid::from_u128(1));
        let store = SqliteStore::open(&path).await.unwrap();
        store.spool_write(half, 0, "half".into()).await.unwrap();
        drop(store);
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(store.spool_read(half, 0).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_store_of_a_newer_version_is_refused_and_left_alone() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        drop(SqliteStore::open(&path).await.unwrap());
        let raw = Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 999).unwrap();
        drop(raw);
        let error = SqliteStore::open(&path).await.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        assert!(error.to_string().contains("newer version"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_corrupt() {
        let folder = folder();
        let path = folder.path().join("outlay.db");
        std::fs::write(&path, "not a database, but long enough for a header".repeat(100)).unwrap();
        let error = SqliteStore::open(&path).await.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn a_write_that_panics_does_not_stop_the_writer() {
        let folder = folder();
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap();
        let error = store.write::<()>(|_| panic!("on purpose")).await.unwrap_err();
        assert!(error.kind() == StoreErrorKind::Bug && error.is_certainly_aborted());
        store.ping().await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_fails_half_way_leaves_nothing() {
        let folder = folder();
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap();
        let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
        let half = store.write(move |db| {
            let sql = "INSERT INTO organizations VALUES (?, 'a', 'UTC', 0)";
            database::change(db, sql, [organization.to_string()])?;
            Err::<(), _>(StoreError::corrupt("on purpose"))
        });
        assert!(half.await.is_err());
        assert_eq!(crate::Organizations::organizations(&store).await.unwrap(), []);
    }
}
