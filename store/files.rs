//! Uploaded files, and the spool that holds their bytes until they are parsed.

use bytes::Bytes;
use domain::{AuditEvent, FileId, FileState, OrganizationId, UploadedFile, file::FileReport};
use jiff::Timestamp;
use uuid::Uuid;

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

    /// Removes the bytes of uploads that were begun before an instant, as their ids say, and that
    /// no `queued`, `parsing` or `needs_mapping` file needs: whoever should have removed them was
    /// killed. Returns how many uploads that were. An upload that still goes on has no file yet, so
    /// `before` must lie further back than any upload takes.
    async fn sweep_spool(&self, before: Timestamp) -> Result<u64>;

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

/// States in which a file's bytes are still needed.
pub(crate) const NEEDS_BYTES: [FileState; 3] =
    [FileState::Queued, FileState::Parsing, FileState::NeedsMapping];

/// Where the ids made at an instant begin: a UUIDv7 starts with 48 bits of milliseconds since 1970
/// (<https://www.rfc-editor.org/rfc/rfc9562#section-5.7>).
pub(crate) fn first_id_at(at: Timestamp) -> FileId {
    let millis = u128::try_from(at.as_millisecond()).unwrap_or(0);
    FileId::from_uuid(Uuid::from_u128(millis << 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_before_an_instant_sort_before_its_first() {
        let id = |millis: u128, rest: u128| FileId::from_uuid(Uuid::from_u128(millis << 80 | rest));
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        assert!(id(1_700_000_000_122, (1 << 80) - 1) < first_id_at(at));
        assert!(id(1_700_000_000_123, 0) >= first_id_at(at));
        assert_eq!(first_id_at(Timestamp::MIN), id(0, 0));
        assert!(first_id_at(Timestamp::MAX) > first_id_at(at));
    }
}
