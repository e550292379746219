//! Syncs: runs of a connection's polls, at most one open for each connection.

use domain::{
    AuditEvent, ConnectionId, OrganizationId, SyncId,
    connection::{ConnectionError, Sync as SyncRun},
};
use jiff::Timestamp;

use crate::{Created, PageQuery, Result};

/// How a sync ended.
#[derive(Debug, Clone)]
pub struct SyncEnd {
    /// When.
    pub finished_at: Timestamp,
    /// Why it failed; `None` where it ended well.
    pub error: Option<ConnectionError>,
    /// What the provider could not or would not tell.
    pub issues: Vec<String>,
}

/// Runs of polls.
#[async_trait::async_trait]
pub trait Syncs {
    /// Queues `sync` unless its connection has an open one, which is then answered as `Exists`.
    /// With an audit event (a person asked) the connection's schedule entry becomes due at
    /// `sync.created_at`; the event is recorded only where a sync was queued.
    async fn request_sync(
        &self,
        sync: &SyncRun,
        audit: Option<&AuditEvent>,
    ) -> Result<Created<SyncRun>>;

    /// The connection's open sync.
    async fn open_sync(&self, connection: ConnectionId) -> Result<Option<SyncRun>>;

    /// Marks an open sync as running over `[from, to)`, with each feed starting at its
    /// `done_through`. Where the window is already set, as after a restart, nothing changes.
    /// Answers the stored sync, `None` where it is not open.
    async fn start_sync(
        &self,
        id: SyncId,
        from: Timestamp,
        to: Timestamp,
        feeds: &[String],
    ) -> Result<Option<SyncRun>>;

    /// Ends an open sync; one that has ended stays as it is.
    async fn finish_sync(&self, id: SyncId, end: &SyncEnd) -> Result<()>;

    /// A page of a connection's syncs, oldest first.
    async fn syncs(
        &self,
        organization: OrganizationId,
        connection: ConnectionId,
        page: &PageQuery,
    ) -> Result<Vec<SyncRun>>;
}
