//! Uploaded files on MongoDB: one document each, and one for each chunk of the spool.
//!
//! A partial unique index on the SHA-256 of files that were not refused makes the same bytes one
//! file, also where two uploads of them end at the same moment.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::{
    AuditEvent, Currency, FileError, FileId, FileState, FileTotal, Money, OrganizationId,
    UploadedFile,
    file::{FileOptions, FileReport, OnError},
};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::{Attempt, is_duplicate},
    read_page,
    stored::{
        binary, corrupt, count, count_told, digest, instant, instant_if_any, known, micros_if_any,
        stored_count, told_count,
    },
    transaction::atomically,
};
use crate::{
    Files, PageQuery, Result,
    charges::BatchSource,
    files::{FileCreated, NEEDS_BYTES, first_id_at},
    schedule::{JobKey, Lease},
};

/// Chunks whose ids are read at once where the spool is swept.
const SWEPT_CHUNKS_MAX: i64 = 200;

#[derive(Serialize, Deserialize)]
struct StoredFile {
    #[serde(rename = "_id")]
    id: String,
    organization: String,
    name: String,
    size_bytes: i64,
    sha256: Binary,
    provider: Option<String>,
    account: Option<String>,
    skips_bad_rows: bool,
    state: String,
    /// Whether the same bytes again are a duplicate: says again what the state says, for the index.
    is_kept: bool,
    bytes_parsed: i64,
    report: StoredReport,
    created_at: i64,
    finished_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredReport {
    format: Option<String>,
    row_count: i64,
    charge_count: i64,
    totals: Vec<StoredTotal>,
    warnings: Vec<StoredFileError>,
    errors: Vec<StoredFileError>,
}

/// Amounts are decimal text: a count of 10⁻³⁰ units has more digits than any number of BSON.
#[derive(Serialize, Deserialize)]
struct StoredTotal {
    currency: String,
    billed_cost: String,
    residue: String,
}

#[derive(Serialize, Deserialize)]
struct StoredFileError {
    row: Option<i64>,
    column: Option<String>,
    code: String,
    message: String,
}

#[derive(Serialize, Deserialize)]
struct StoredChunk {
    #[serde(rename = "_id")]
    id: StoredChunkId,
    bytes: Binary,
}

#[derive(Serialize, Deserialize)]
struct StoredChunkId {
    file: String,
    chunk: i64,
}

/// A file or a chunk of which only the id was asked for.
#[derive(Deserialize)]
struct StoredId<T> {
    #[serde(rename = "_id")]
    id: T,
}

/// The part of a chunk's id that is in the index.
#[derive(Deserialize)]
struct ChunkOf {
    file: String,
}

impl StoredFile {
    fn new(file: &UploadedFile) -> Result<StoredFile> {
        Ok(StoredFile {
            id: file.id.to_string(),
            organization: file.organization.to_string(),
            name: file.name.clone(),
            size_bytes: stored_count(file.size_bytes)?,
            sha256: binary(&file.sha256),
            provider: file.options.provider.clone(),
            account: file.options.account.clone(),
            skips_bad_rows: file.options.on_error == OnError::Skip,
            state: file.state.as_str().to_owned(),
            is_kept: file.state != FileState::Failed,
            bytes_parsed: stored_count(file.bytes_parsed)?,
            report: StoredReport::new(&file.report),
            created_at: file.created_at.as_microsecond(),
            finished_at: micros_if_any(file.finished_at),
        })
    }

    fn read(self) -> Result<UploadedFile> {
        let organization = OrganizationId::parse(&self.organization).ok();
        let on_error = if self.skips_bad_rows { OnError::Skip } else { OnError::Reject };
        Ok(UploadedFile {
            id: known(FileId::parse(&self.id).ok(), "a file's id")?,
            organization: known(organization, "a file's organization")?,
            name: self.name,
            size_bytes: count(self.size_bytes)?,
            sha256: digest(&self.sha256)?,
            options: FileOptions { provider: self.provider, account: self.account, on_error },
            state: known(FileState::parse(&self.state), "a file's state")?,
            bytes_parsed: count(self.bytes_parsed)?,
            report: self.report.read()?,
            created_at: instant(self.created_at)?,
            finished_at: instant_if_any(self.finished_at)?,
        })
    }
}

impl StoredReport {
    fn new(report: &FileReport) -> StoredReport {
        StoredReport {
            format: report.format.clone(),
            row_count: told_count(report.row_count),
            charge_count: told_count(report.charge_count),
            totals: report.totals.iter().map(StoredTotal::new).collect(),
            warnings: report.warnings.iter().map(StoredFileError::new).collect(),
            errors: report.errors.iter().map(StoredFileError::new).collect(),
        }
    }

    fn read(self) -> Result<FileReport> {
        Ok(FileReport {
            format: self.format,
            row_count: count_told(self.row_count),
            charge_count: count_told(self.charge_count),
            totals: self.totals.iter().map(StoredTotal::read).collect::<Result<_>>()?,
            warnings: self.warnings.into_iter().map(StoredFileError::read).collect(),
            errors: self.errors.into_iter().map(StoredFileError::read).collect(),
        })
    }
}

impl StoredTotal {
    fn new(total: &FileTotal) -> StoredTotal {
        StoredTotal {
            currency: total.billed_cost.currency().to_string(),
            billed_cost: total.billed_cost.to_string(),
            residue: total.residue.to_string(),
        }
    }

    fn read(&self) -> Result<FileTotal> {
        let currency = known(Currency::parse(&self.currency), "a total's currency")?;
        let billed_cost = Money::parse_exact(&self.billed_cost, currency);
        Ok(FileTotal {
            billed_cost: billed_cost.map_err(|_| corrupt("a total"))?,
            residue: self.residue.parse().map_err(|_| corrupt("a total's residue"))?,
        })
    }
}

impl StoredFileError {
    fn new(error: &FileError) -> StoredFileError {
        StoredFileError {
            row: error.row.map(told_count),
            column: error.column.clone(),
            code: error.code.clone(),
            message: error.message.clone(),
        }
    }

    fn read(self) -> FileError {
        FileError {
            row: self.row.map(count_told),
            column: self.column,
            code: self.code,
            message: self.message,
        }
    }
}

/// The job that imports a file.
fn import_job(file: FileId) -> JobKey {
    JobKey { kind: "import_file".to_owned(), subject: file.to_string() }
}

fn chunk_id(file: FileId, chunk: u32) -> StoredChunkId {
    StoredChunkId { file: file.to_string(), chunk: i64::from(chunk) }
}

impl MongoStore {
    fn file_documents(&self) -> Collection<StoredFile> {
        self.collection("files")
    }

    fn chunks(&self) -> Collection<StoredChunk> {
        self.collection("spool_chunks")
    }

    /// The next uploads after one, in the order of their ids, that lie before `end`; none at the
    /// end. Only the index is read.
    async fn uploads_between(&self, after: &str, end: &str) -> Result<BTreeSet<String>> {
        let chunks = self.collection::<StoredId<ChunkOf>>("spool_chunks");
        let these = doc! { "_id.file": { "$gt": after, "$lt": end } };
        let found = chunks.find(these).sort(doc! { "_id.file": 1 }).limit(SWEPT_CHUNKS_MAX);
        let found = found.projection(doc! { "_id.file": 1 }).await?;
        Ok(found.map_ok(|chunk| chunk.id.file).try_collect().await?)
    }

    /// Which of these uploads' bytes a file needs.
    async fn needed(&self, uploads: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let files = self.collection::<StoredId<String>>("files");
        let these = doc! {
            "_id": { "$in": uploads.iter().collect::<Vec<_>>() },
            "state": { "$in": NEEDS_BYTES.map(FileState::as_str).to_vec() },
        };
        let found = files.find(these).projection(doc! { "_id": 1 }).await?;
        Ok(found.map_ok(|file| file.id).try_collect().await?)
    }

    async fn read_file(&self, this: Document) -> Result<Option<UploadedFile>> {
        self.file_documents().find_one(this).await?.map(StoredFile::read).transpose()
    }

    async fn try_create_file(
        &self,
        session: &mut ClientSession,
        file: &UploadedFile,
        audit: &AuditEvent,
    ) -> Attempt<FileCreated> {
        let this = doc! { "_id": file.id.to_string() };
        if self.file_documents().find_one(this).session(&mut *session).await?.is_some() {
            return Ok(FileCreated::Created);
        }
        let same_bytes = doc! {
            "organization": file.organization.to_string(),
            "sha256": binary(&file.sha256),
            "is_kept": true,
        };
        let found = self.file_documents().find_one(same_bytes).session(&mut *session).await?;
        if let Some(found) = found {
            return Ok(FileCreated::Duplicate(Box::new(found.read()?)));
        }
        let new = StoredFile::new(file)?;
        self.file_documents().insert_one(new).session(&mut *session).await?;
        self.schedule(session, &import_job(file.id), file.created_at).await?;
        self.append(session, audit).await?;
        Ok(FileCreated::Created)
    }

    /// Ends an import as a part of a transaction.
    async fn end_file(
        &self,
        session: &mut ClientSession,
        mut file: StoredFile,
        (state, report, finished_at): (FileState, &FileReport, Timestamp),
    ) -> Attempt<()> {
        file.state = state.as_str().to_owned();
        file.is_kept = state != FileState::Failed;
        file.report = StoredReport::new(report);
        file.finished_at = Some(finished_at.as_microsecond());
        if state == FileState::Done {
            file.bytes_parsed = file.size_bytes;
        }
        let this = doc! { "_id": &file.id };
        self.file_documents().replace_one(this, file).session(session).await?;
        Ok(())
    }

    /// Marks a file done, as a part of the commit of its charges; `false` where it is gone, or was
    /// refused: the same bytes may have come again since.
    pub(super) async fn finish_file(
        &self,
        session: &mut ClientSession,
        (organization, id): (OrganizationId, FileId),
        report: &FileReport,
        finished_at: Timestamp,
    ) -> Attempt<bool> {
        let this = doc! { "_id": id.to_string(), "organization": organization.to_string() };
        let found = self.file_documents().find_one(this).session(&mut *session).await?;
        let Some(file) = found else { return Ok(false) };
        match known(FileState::parse(&file.state), "a file's state")? {
            FileState::Done => return Ok(true),
            FileState::Failed => return Ok(false),
            FileState::Queued | FileState::Parsing | FileState::NeedsMapping => {}
        }
        self.end_file(session, file, (FileState::Done, report, finished_at)).await?;
        Ok(true)
    }

    async fn try_end_import(
        &self,
        session: &mut ClientSession,
        (lease, id): (&Lease, FileId),
        end: (FileState, &FileReport, Timestamp),
    ) -> Attempt<bool> {
        if !self.hold(session, lease).await? {
            return Ok(false);
        }
        let unfinished = doc! {
            "_id": id.to_string(),
            "state": { "$ne": FileState::Done.as_str() },
        };
        let found = self.file_documents().find_one(unfinished).session(&mut *session).await?;
        let Some(file) = found else { return Ok(false) };
        self.end_file(session, file, end).await?;
        Ok(true)
    }

    async fn try_delete_file(
        &self,
        session: &mut ClientSession,
        (organization, id): (OrganizationId, FileId),
        audit: &AuditEvent,
    ) -> Attempt<bool> {
        let this = doc! { "_id": id.to_string(), "organization": organization.to_string() };
        let deleted = self.file_documents().delete_one(this).session(&mut *session).await?;
        if deleted.deleted_count == 0 {
            return Ok(false);
        }
        self.unschedule(session, &import_job(id)).await?;
        self.hide_batches(session, organization, BatchSource::File(id)).await?;
        self.append(session, audit).await?;
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Files for MongoStore {
    async fn spool_write(&self, file: FileId, chunk: u32, bytes: Bytes) -> Result<()> {
        let new = StoredChunk { id: chunk_id(file, chunk), bytes: binary(&bytes) };
        match self.chunks().insert_one(new).await {
            Err(error) if !is_duplicate(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn spool_read(&self, file: FileId, chunk: u32) -> Result<Option<Bytes>> {
        let StoredChunkId { file, chunk } = chunk_id(file, chunk);
        let this = doc! { "_id": { "file": file, "chunk": chunk } };
        Ok(self.chunks().find_one(this).await?.map(|chunk| chunk.bytes.bytes.into()))
    }

    async fn spool_delete(&self, file: FileId) -> Result<()> {
        self.chunks().delete_many(doc! { "_id.file": file.to_string() }).await?;
        Ok(())
    }

    async fn sweep_spool(&self, before: Timestamp) -> Result<u64> {
        let end = first_id_at(before).to_string();
        let (mut after, mut swept) = (String::new(), 0_u64);
        loop {
            let uploads = self.uploads_between(&after, &end).await?;
            let Some(last) = uploads.last() else { return Ok(swept) };
            let needed = self.needed(&uploads).await?;
            for upload in uploads.difference(&needed) {
                self.chunks().delete_many(doc! { "_id.file": upload }).await?;
                swept = swept.saturating_add(1);
            }
            after.clone_from(last);
        }
    }

    async fn create_file(&self, file: &UploadedFile, audit: &AuditEvent) -> Result<FileCreated> {
        atomically!(self, |session| self.try_create_file(session, file, audit))
    }

    async fn file(&self, organization: OrganizationId, id: FileId) -> Result<Option<UploadedFile>> {
        let organization = organization.to_string();
        self.read_file(doc! { "_id": id.to_string(), "organization": organization }).await
    }

    async fn file_by_id(&self, id: FileId) -> Result<Option<UploadedFile>> {
        self.read_file(doc! { "_id": id.to_string() }).await
    }

    async fn files(
        &self,
        organization: OrganizationId,
        page: &PageQuery,
    ) -> Result<Vec<UploadedFile>> {
        let which = doc! { "organization": organization.to_string() };
        let files = read_page(&self.file_documents(), which, page).await?;
        files.into_iter().map(StoredFile::read).collect()
    }

    async fn record_file_progress(&self, id: FileId, bytes_parsed: u64) -> Result<()> {
        let open = [FileState::Queued, FileState::Parsing].map(FileState::as_str);
        let unfinished = doc! { "_id": id.to_string(), "state": { "$in": open.to_vec() } };
        let progress = doc! {
            "state": FileState::Parsing.as_str(),
            "bytes_parsed": stored_count(bytes_parsed)?,
        };
        self.file_documents().update_one(unfinished, doc! { "$set": progress }).await?;
        Ok(())
    }

    async fn end_import(
        &self,
        lease: &Lease,
        id: FileId,
        state: FileState,
        report: &FileReport,
        finished_at: Timestamp,
    ) -> Result<bool> {
        let end = (state, report, finished_at);
        atomically!(self, |session| self.try_end_import(session, (lease, id), end))
    }

    async fn delete_file(
        &self,
        organization: OrganizationId,
        id: FileId,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let which = (organization, id);
        let deleted = atomically!(self, |session| self.try_delete_file(session, which, audit))?;
        if deleted {
            self.spool_delete(id).await?;
            self.sweep_batches().await;
        }
        Ok(deleted)
    }
}
