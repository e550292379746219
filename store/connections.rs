//! Connections, made and changed together with their sealed credentials, first sync and audit
//! entry.

use domain::{
    AuditEvent, Connection, ConnectionError, ConnectionId, ConnectionStatus, OrganizationId,
    connection::Sync as SyncRun,
};
use jiff::Timestamp;

use crate::{Created, PageQuery, Result, secrets::SealedSecret};

/// A connection with all that is stored with it in one step.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// The connection.
    pub connection: Connection,
    /// Its credentials, sealed.
    pub secrets: Vec<SealedSecret>,
    /// Its first sync, queued.
    pub sync: SyncRun,
}

/// What a person may change. `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPatch {
    /// New name.
    pub name: Option<String>,
    /// New minutes between syncs.
    pub interval_minutes: Option<u32>,
    /// `Some(true)` pauses, `Some(false)` resumes (status `syncing`, due at once).
    pub paused: Option<bool>,
}

/// How a sync left its connection.
#[derive(Debug, Clone)]
pub struct ConnectionHealth {
    /// New status; a paused connection stays paused whatever is said here.
    pub status: ConnectionStatus,
    /// The provider's account, once known; `None` keeps what is stored.
    pub account: Option<String>,
    /// When a sync ended well; `None` keeps what is stored.
    pub last_sync_at: Option<Timestamp>,
    /// Everything before is read and final; `None` keeps, and an earlier instant than the stored
    /// one too.
    pub complete_through: Option<Timestamp>,
    /// What is wrong; `None` clears it.
    pub error: Option<ConnectionError>,
}

/// Connections.
#[async_trait::async_trait]
pub trait Connections {
    /// Stores a connection, its credentials, its queued sync and its schedule entry
    /// (`sync_connection`, due at the sync's `created_at`). The same id again answers `Exists`.
    async fn create_connection(
        &self,
        new: &NewConnection,
        audit: &AuditEvent,
    ) -> Result<Created<Connection>>;

    /// One connection of an organization.
    async fn connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
    ) -> Result<Option<Connection>>;

    /// A connection by its id alone, for the runner, which works for every organization.
    async fn connection_by_id(&self, id: ConnectionId) -> Result<Option<Connection>>;

    /// A page of an organization's connections.
    async fn connections(
        &self,
        organization: OrganizationId,
        page: &PageQuery,
    ) -> Result<Vec<Connection>>;

    /// Changes a connection; `None` where there is none. Resuming makes its schedule entry due at
    /// `audit.at`. A patch that changes nothing is not audited; resuming what is not paused changes
    /// nothing.
    async fn update_connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        patch: &ConnectionPatch,
        audit: &AuditEvent,
    ) -> Result<Option<Connection>>;

    /// Replaces all credentials, clears the error, sets `syncing` unless paused, and makes the
    /// connection due at `audit.at`. Sealed values that are stored already, byte for byte, are a
    /// repeat and not audited again.
    async fn replace_credentials(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        secrets: &[SealedSecret],
        audit: &AuditEvent,
    ) -> Result<Option<Connection>>;

    /// Records how a sync left the connection. A connection deleted meanwhile is left alone.
    async fn record_connection_health(
        &self,
        id: ConnectionId,
        health: &ConnectionHealth,
    ) -> Result<()>;

    /// Removes a connection with its credentials, schedule entry and syncs; with `delete_charges`
    /// its committed and staged batches too, as [`crate::Charges::remove_batches`] does. Returns
    /// whether there was one.
    async fn delete_connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        delete_charges: bool,
        audit: &AuditEvent,
    ) -> Result<bool>;
}
