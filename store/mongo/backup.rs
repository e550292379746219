//! Backup of a database as of one instant, and its return: each collection is a file of its
//! documents one after the other, as `mongodump` has it (<https://bsonspec.org/spec.html>: each
//! begins with its length).
//!
//! All is read at one cluster time, in a snapshot session, so that what belongs together is. The
//! server keeps that instant for `minSnapshotHistoryWindowInSeconds`, five minutes unless it is
//! told otherwise; a backup that takes longer fails, and says so.

use std::{
    fs::File,
    io::{BufReader, BufWriter, ErrorKind as IoErrorKind, Read, Write},
    path::Path,
    sync::Arc,
};

use mongodb::{
    ClientSession, Collection,
    bson::{Document, RawDocumentBuf, doc},
    error::{Error, ErrorKind},
    options::ReadConcern,
};

use super::{
    MongoStore,
    failure::{code, store_error},
};
use crate::{
    Result, StoreError, StoreErrorKind,
    backup::{BackupManifest, NewBackup, Progress, failed},
};

/// What is not worth a backup: who lived then, and what only a restore has.
const LEFT_OUT: [&str; 2] = ["nodes", RESTORES];
/// Says that a restore is under way, and of which backup.
const RESTORES: &str = "restores";
const MIGRATIONS: &str = "schema_migrations";
const ENDING: &str = ".bson";
/// The server takes documents of 16 MiB and a little more for its own.
const DOCUMENT_BYTES_MAX: usize = 17 << 20;
const BATCH_BYTES: usize = 8 << 20;
const BATCH_COUNT: usize = 1000;
const FILE_BUFFER_BYTES: usize = 1 << 20;
/// Codes of <https://www.mongodb.com/docs/manual/reference/error-codes/>.
const SNAPSHOT_TOO_OLD: i32 = 239;
const DUPLICATE_KEY: i32 = 11000;

impl MongoStore {
    /// Copies the database of `url` into `backup`, beside all servers that use it.
    ///
    /// # Errors
    /// `misconfigured` where there is no store, or its copy takes longer than the server keeps one
    /// instant; `unavailable` where there is no primary.
    pub async fn back_up(url: &str, backup: &mut NewBackup, progress: Progress<'_>) -> Result<()> {
        let store = MongoStore::connect(url).await?;
        let done = store.copy_all(backup, progress).await;
        store.close().await;
        done
    }

    async fn copy_all(&self, backup: &mut NewBackup, progress: Progress<'_>) -> Result<()> {
        self.require_no_restore().await?;
        let names = self.collections().await?;
        if !names.iter().any(|name| name == MIGRATIONS) {
            let name = self.database.name();
            let message = format!("the database `{name}` holds no store: name the store's");
            return Err(StoreError::misconfigured(message));
        }
        let mut session = self.client.start_session().snapshot(true).await?;
        for name in names.iter().filter(|name| !LEFT_OUT.contains(&name.as_str())) {
            progress(&format!("copying {name}"));
            self.copy_out(&mut session, name, backup).await?;
        }
        Ok(())
    }

    /// Names of collections, in order.
    async fn collections(&self) -> Result<Vec<String>> {
        let mut names = self.database.list_collection_names().await?;
        names.retain(|name| !name.starts_with("system."));
        names.sort_unstable();
        Ok(names)
    }

    async fn copy_out(
        &self,
        session: &mut ClientSession,
        name: &str,
        backup: &mut NewBackup,
    ) -> Result<()> {
        let file_name = format!("{name}{ENDING}");
        let path = backup.path(&file_name);
        let failed = |error| failed("write", &path, error);
        let mut file = BufWriter::with_capacity(FILE_BUFFER_BYTES, backup.create(&file_name)?);
        let documents: Collection<RawDocumentBuf> = self.collection(name);
        // The session's instant goes with its own read concern only.
        let found = documents.find(doc! {}).read_concern(ReadConcern::snapshot());
        let mut cursor = found.session(&mut *session).await.map_err(snapshot_failure)?;
        while cursor.advance(&mut *session).await.map_err(snapshot_failure)? {
            file.write_all(cursor.current().as_bytes()).map_err(failed)?;
        }
        file.flush().map_err(failed)?;
        drop(file);
        backup.enter(&file_name)
    }

    /// Refuses a database that a restore has not finished.
    pub(super) async fn require_no_restore(&self) -> Result<()> {
        match self.restores().find_one(doc! {}).await? {
            None => Ok(()),
            Some(_) => Err(StoreError::misconfigured(
                "a restore into this database was not finished: run the same `outlay restore` \
                 again, or drop the database",
            )),
        }
    }

    fn restores(&self) -> Collection<Document> {
        self.collection(RESTORES)
    }

    /// Whether nothing was ever stored here.
    async fn is_empty(&self) -> Result<bool> {
        for name in self.collections().await?.iter().filter(|name| *name != MIGRATIONS) {
            let documents: Collection<Document> = self.collection(name);
            if documents.find_one(doc! {}).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Enters that this backup is being restored. A killed try of the same is gone on with.
    async fn begin_restore(&self, manifest: &BackupManifest) -> Result<()> {
        let which = serde_json::to_string(manifest).expect("a manifest is plain data");
        if let Some(begun) = self.restores().find_one(doc! {}).await? {
            return match begun.get_str("backup").is_ok_and(|begun| begun == which) {
                true => Ok(()),
                false => Err(StoreError::misconfigured(
                    "a restore of another backup into this database was not finished: restore \
                     that one, or drop the database",
                )),
            };
        }
        if !self.is_empty().await? {
            return Err(StoreError::misconfigured(format!(
                "the database `{}` is not empty: a backup is restored into an empty store only; \
                 stop every server that uses it and drop it, or name another",
                self.database.name()
            )));
        }
        self.restores().insert_one(doc! { "_id": 1, "backup": which }).await?;
        Ok(())
    }

    /// Inserts a collection's documents; those that are there stay.
    async fn copy_in(&self, name: &str, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|error| failed("read", path, error))?;
        let mut file = BufReader::with_capacity(FILE_BUFFER_BYTES, file);
        let documents: Collection<RawDocumentBuf> = self.collection(name);
        let (mut batch, mut byte_count) = (Vec::new(), 0);
        loop {
            let next = next_document(&mut file, path)?;
            let is_last = next.is_none();
            byte_count += next.as_ref().map_or(0, |document| document.as_bytes().len());
            batch.extend(next);
            let is_full = batch.len() >= BATCH_COUNT || byte_count >= BATCH_BYTES;
            if !batch.is_empty() && (is_full || is_last) {
                match documents.insert_many(&batch).ordered(false).await {
                    Err(error) if !has_duplicates_only(&error) => return Err(error.into()),
                    _ => {}
                }
                batch.clear();
                byte_count = 0;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// The instant of a session is gone after a while.
fn snapshot_failure(error: Error) -> StoreError {
    match code(&error) {
        Some(SNAPSHOT_TOO_OLD) => StoreError::misconfigured(
            "the backup takes longer than the server keeps one instant: raise the server's \
             `minSnapshotHistoryWindowInSeconds` (300 by default), and begin again",
        )
        .caused_by(error),
        _ => store_error(error, true),
    }
}

fn has_duplicates_only(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::InsertMany(many) => {
            let errors = many.write_errors.iter().flatten();
            many.write_concern_error.is_none()
                && errors.clone().count() > 0
                && errors.clone().all(|error| error.code == DUPLICATE_KEY)
        }
        _ => false,
    }
}

/// The next document of a file; `None` at its end.
fn next_document(file: &mut impl Read, path: &Path) -> Result<Option<RawDocumentBuf>> {
    let corrupt = || StoreError::corrupt(format!("`{}` is cut off or damaged", path.display()));
    let mut length = [0; 4];
    let mut read_count = 0;
    while read_count < length.len() {
        match file.read(&mut length[read_count..]) {
            Ok(0) if read_count == 0 => return Ok(None),
            Ok(0) => return Err(corrupt()),
            Ok(count) => read_count += count,
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path, error)),
        }
    }
    let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if !(5..=DOCUMENT_BYTES_MAX).contains(&size) {
        return Err(corrupt());
    }
    let mut bytes = vec![0; size];
    bytes[..4].copy_from_slice(&length);
    file.read_exact(&mut bytes[4..]).map_err(|_| corrupt())?;
    RawDocumentBuf::from_bytes(bytes).map(Some).map_err(|_| corrupt())
}

/// A store that is being restored: until [`MongoRestoring::finish`] nobody else opens it.
pub struct MongoRestoring {
    store: Arc<MongoStore>,
}

impl MongoRestoring {
    /// Brings a backup that was [checked](crate::backup::check) into the database of `url`. A
    /// killed try of the same backup is gone on with.
    ///
    /// # Errors
    /// `misconfigured` where something is in the database, or a newer version made the backup.
    pub async fn begin(
        url: &str,
        folder: &Path,
        manifest: &BackupManifest,
        progress: Progress<'_>,
    ) -> Result<MongoRestoring> {
        require_known_schema(&folder.join(format!("{MIGRATIONS}{ENDING}")))?;
        let store = MongoStore::connect(url).await?;
        store.begin_restore(manifest).await?;
        for file in &manifest.files {
            let name = file.name.strip_suffix(ENDING).filter(|name| *name != MIGRATIONS);
            let Some(name) = name else { continue };
            progress(&format!("restoring {name}"));
            store.copy_in(name, &folder.join(&file.name)).await?;
        }
        progress("making indexes");
        store.migrate().await?;
        Ok(MongoRestoring { store: Arc::new(store) })
    }

    /// The store, to be made ready.
    #[must_use]
    pub fn store(&self) -> Arc<MongoStore> {
        Arc::clone(&self.store)
    }

    /// Lets servers open the database.
    ///
    /// # Errors
    /// Where the database cannot be reached; a repeat goes on.
    pub async fn finish(self) -> Result<()> {
        self.store.restores().delete_many(doc! {}).await?;
        self.store.close().await;
        Ok(())
    }
}

/// Refuses what a newer version wrote. Older documents are taken through all steps anew.
fn require_known_schema(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| failed("read", path, error))?;
    let mut file = BufReader::new(file);
    let mut newest = 0;
    while let Some(step) = next_document(&mut file, path)? {
        newest = newest.max(step.get_i32("_id").unwrap_or(i32::MAX));
    }
    match newest > super::migrations::LATEST {
        false => Ok(()),
        true => Err(StoreError::new(
            StoreErrorKind::Misconfigured,
            true,
            "the backup was made by a newer version of Outlay; run that version or a newer one",
        )),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;

    #[test]
    fn documents_are_read_one_after_the_other_and_damage_is_an_error() {
        let document = rawdoc! { "_id": 1, "text": "größer" };
        let bytes = [document.as_bytes(), document.as_bytes()].concat();
        let path = Path::new("a.bson");
        let mut file = bytes.as_slice();
        for _ in 0..2 {
            assert_eq!(next_document(&mut file, path).unwrap().unwrap(), document);
        }
        assert_eq!(next_document(&mut file, path).unwrap(), None);
        for cut in [1, 3, 4, 5, document.as_bytes().len() - 1] {
            assert!(next_document(&mut &bytes[..cut], path).is_err(), "{cut}");
        }
        for length in [-1_i32, 0, 4, i32::MAX] {
            assert!(next_document(&mut length.to_le_bytes().as_slice(), path).is_err());
        }
    }
}
