//! Uploaded files, and the spool that holds their bytes until they are parsed.

use bytes::Bytes;
use domain::{AuditEvent, FileId, FileState, OrganizationId, UploadedFile, file::FileReport};
use jiff::Timestamp;

use crate::{PageQuery, Result, schedule::Lease};

/// Bytes of one spool chunk, but for the last.
pub const SPOOL_CHUNK_BYTES: usize = 1 << 20;

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileCreated {
    /// It is queued.
    Created,
    /// The same bytes came before and were not refused; this is that file.
    Duplicate(Box<UploadedFile>),
}

/// Uploaded files.
#[async_trait::async_trait]
pub trait Files {
    /// Adds one chunk of an upload to the spool, in order from 0; the same chunk again changes
    /// nothing. On SQLite the spool is a folder beside the store, on MongoDB a collection, so that
    /// any node may parse.
    async fn spool_write(&self, file: FileId, chunk: u32, bytes: Bytes) -> Result<()>;

    /// One chunk of an upload, `None` past its end.
    async fn spool_read(&self, file: FileId, chunk: u32) -> Result<Option<Bytes>>;

    /// Removes an upload's bytes; none there is fine.
    async fn spool_delete(&self, file: FileId) -> Result<()>;

    /// Stores a file whose bytes are spooled, and puts its import on the schedule (`import_file`,
    /// due at `created_at`), unless the organization has a file of the same SHA-256 in any state
    /// but `failed`. The same id again is `Created`.
    async fn create_file(&self, file: &UploadedFile, audit: &AuditEvent) -> Result<FileCreated>;

    /// One file of an organization.
    async fn file(&self, organization: OrganizationId, id: FileId) -> Result<Option<UploadedFile>>;

    /// A file by its id alone, for the runner, which works for every organization.
    async fn file_by_id(&self, id: FileId) -> Result<Option<UploadedFile>>;

    /// A page of an organization's files.
    async fn files(
        &self,
        organization: OrganizationId,
        page: &PageQuery,
    ) -> Result<Vec<UploadedFile>>;

    /// Notes that a file is being parsed and how far; only from `queued` or `parsing`.
    async fn record_file_progress(&self, id: FileId, bytes_parsed: u64) -> Result<()>;

    /// Ends an import badly (`failed`) or unfinished (`needs_mapping`), under its lease. Returns
    /// `false`, and changes nothing, where the lease is lost or the import has ended well before.
    async fn end_import(
        &self,
        lease: &Lease,
        id: FileId,
        state: FileState,
        report: &FileReport,
        finished_at: Timestamp,
    ) -> Result<bool>;

    /// Removes a file, its spool, its schedule entry and its charges. Returns whether there was
    /// one.
    async fn delete_file(
        &self,
        organization: OrganizationId,
        id: FileId,
        audit: &AuditEvent,
    ) -> Result<bool>;
}
