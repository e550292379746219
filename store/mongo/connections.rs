//! Connections on MongoDB: one document each.

use domain::{
    AuditEvent, Connection, ConnectionError, ConnectionId, ConnectionStatus, OrganizationId,
    ProviderId,
};
use mongodb::{
    ClientSession, Collection,
    bson::{Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    read_page,
    stored::{instant, instant_if_any, known, micros_if_any},
    syncs::StoredSync,
    transaction::atomically,
};
use crate::{
    Connections, Created, PageQuery, Result,
    charges::BatchSource,
    connections::{ConnectionHealth, ConnectionPatch, NewConnection},
    schedule::JobKey,
    secrets::SealedSecret,
};

#[derive(Serialize, Deserialize)]
struct StoredConnection {
    #[serde(rename = "_id")]
    id: String,
    organization: String,
    provider: String,
    name: String,
    account: Option<String>,
    base_url: Option<String>,
    backfill_days: i64,
    interval_minutes: i64,
    status: String,
    last_sync_at: Option<i64>,
    complete_through: Option<i64>,
    error: Option<StoredError>,
    created_at: i64,
}

/// What went wrong, of a connection or a sync.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredError {
    code: String,
    message: String,
    what_to_do: String,
}

impl StoredError {
    pub(super) fn new(error: &ConnectionError) -> StoredError {
        StoredError {
            code: error.code.clone(),
            message: error.message.clone(),
            what_to_do: error.what_to_do.clone(),
        }
    }

    /// The same for an update, which takes no types.
    pub(super) fn document(error: &ConnectionError) -> Document {
        doc! {
            "code": &error.code,
            "message": &error.message,
            "what_to_do": &error.what_to_do,
        }
    }

    pub(super) fn read(self) -> ConnectionError {
        ConnectionError { code: self.code, message: self.message, what_to_do: self.what_to_do }
    }
}

impl StoredConnection {
    fn new(connection: &Connection) -> StoredConnection {
        StoredConnection {
            id: connection.id.to_string(),
            organization: connection.organization.to_string(),
            provider: connection.provider.to_string(),
            name: connection.name.clone(),
            account: connection.account.clone(),
            base_url: connection.base_url.clone(),
            backfill_days: i64::from(connection.backfill_days),
            interval_minutes: i64::from(connection.interval_minutes),
            status: connection.status.as_str().to_owned(),
            last_sync_at: micros_if_any(connection.last_sync_at),
            complete_through: micros_if_any(connection.complete_through),
            error: connection.error.as_ref().map(StoredError::new),
            created_at: connection.created_at.as_microsecond(),
        }
    }

    fn read(self) -> Result<Connection> {
        let organization = OrganizationId::parse(&self.organization).ok();
        let provider = ProviderId::parse(&self.provider).ok();
        let small = |number: i64| known(u32::try_from(number).ok(), "a connection's number");
        Ok(Connection {
            id: known(ConnectionId::parse(&self.id).ok(), "a connection's id")?,
            organization: known(organization, "a connection's organization")?,
            provider: known(provider, "a connection's provider")?,
            name: self.name,
            account: self.account,
            base_url: self.base_url,
            backfill_days: small(self.backfill_days)?,
            interval_minutes: small(self.interval_minutes)?,
            status: known(ConnectionStatus::parse(&self.status), "a connection's status")?,
            last_sync_at: instant_if_any(self.last_sync_at)?,
            complete_through: instant_if_any(self.complete_through)?,
            error: self.error.map(StoredError::read),
            created_at: instant(self.created_at)?,
        })
    }
}

/// The job that polls a connection.
pub(super) fn sync_job(connection: ConnectionId) -> JobKey {
    JobKey { kind: "sync_connection".to_owned(), subject: connection.to_string() }
}

fn of(organization: OrganizationId, id: ConnectionId) -> Document {
    doc! { "_id": id.to_string(), "organization": organization.to_string() }
}

/// The connection as a patch leaves it.
fn patched(stored: &Connection, patch: &ConnectionPatch) -> Connection {
    let mut changed = stored.clone();
    changed.name = patch.name.clone().unwrap_or(changed.name);
    changed.interval_minutes = patch.interval_minutes.unwrap_or(changed.interval_minutes);
    changed.status = match (patch.paused, stored.status) {
        (Some(true), _) => ConnectionStatus::Paused,
        (Some(false), ConnectionStatus::Paused) => ConnectionStatus::Syncing,
        (_, status) => status,
    };
    changed
}

fn record_health(connection: &mut Connection, health: &ConnectionHealth) {
    if connection.status != ConnectionStatus::Paused {
        connection.status = health.status;
    }
    if health.account.is_some() {
        connection.account.clone_from(&health.account);
    }
    connection.last_sync_at = health.last_sync_at.or(connection.last_sync_at);
    // `None` is less than any instant, so neither it nor an earlier one takes the place of what is
    // stored.
    connection.complete_through = connection.complete_through.max(health.complete_through);
    connection.error.clone_from(&health.error);
}

impl MongoStore {
    fn connection_documents(&self) -> Collection<StoredConnection> {
        self.collection("connections")
    }

    async fn read_connection(&self, this: Document) -> Result<Option<Connection>> {
        let found = self.connection_documents().find_one(this).await?;
        found.map(StoredConnection::read).transpose()
    }

    /// Reads a connection within a transaction that is going to write it.
    async fn connection_in(
        &self,
        session: &mut ClientSession,
        this: Document,
    ) -> Attempt<Option<Connection>> {
        let found = self.connection_documents().find_one(this).session(session).await?;
        Ok(found.map(StoredConnection::read).transpose()?)
    }

    async fn write_connection(
        &self,
        session: &mut ClientSession,
        connection: &Connection,
    ) -> Attempt<()> {
        let this = of(connection.organization, connection.id);
        let new = StoredConnection::new(connection);
        self.connection_documents().replace_one(this, new).session(session).await?;
        Ok(())
    }

    async fn try_create(
        &self,
        session: &mut ClientSession,
        new: &NewConnection,
        audit: &AuditEvent,
    ) -> Attempt<Created<Connection>> {
        let connection = &new.connection;
        let this = doc! { "_id": connection.id.to_string() };
        if let Some(found) = self.connection_in(session, this).await? {
            return Ok(Created::Exists(found));
        }
        let document = StoredConnection::new(connection);
        self.connection_documents().insert_one(document).session(&mut *session).await?;
        let record = connection.id.to_string();
        self.replace_secrets(session, connection.organization, &record, &new.secrets).await?;
        let sync = StoredSync::new(&new.sync)?;
        self.sync_documents().insert_one(sync).session(&mut *session).await?;
        self.schedule(session, &sync_job(connection.id), new.sync.created_at).await?;
        self.append(session, audit).await?;
        Ok(Created::Created)
    }

    async fn try_update(
        &self,
        session: &mut ClientSession,
        this: Document,
        patch: &ConnectionPatch,
        audit: &AuditEvent,
    ) -> Attempt<Option<Connection>> {
        let Some(stored) = self.connection_in(session, this).await? else { return Ok(None) };
        let changed = patched(&stored, patch);
        if changed == stored {
            return Ok(Some(stored));
        }
        if stored.status == ConnectionStatus::Paused && changed.status != stored.status {
            self.schedule(session, &sync_job(stored.id), audit.at).await?;
        }
        self.write_connection(session, &changed).await?;
        self.append(session, audit).await?;
        Ok(Some(changed))
    }

    async fn try_replace_credentials(
        &self,
        session: &mut ClientSession,
        (organization, id): (OrganizationId, ConnectionId),
        secrets: &[SealedSecret],
        audit: &AuditEvent,
    ) -> Attempt<Option<Connection>> {
        let this = of(organization, id);
        let Some(mut connection) = self.connection_in(session, this).await? else {
            return Ok(None);
        };
        connection.error = None;
        if connection.status != ConnectionStatus::Paused {
            connection.status = ConnectionStatus::Syncing;
        }
        self.write_connection(session, &connection).await?;
        if self.replace_secrets(session, organization, &id.to_string(), secrets).await? {
            self.append(session, audit).await?;
        }
        self.schedule(session, &sync_job(id), audit.at).await?;
        Ok(Some(connection))
    }

    async fn try_delete(
        &self,
        session: &mut ClientSession,
        (organization, id): (OrganizationId, ConnectionId),
        delete_charges: bool,
        audit: &AuditEvent,
    ) -> Attempt<bool> {
        let this = of(organization, id);
        let deleted = self.connection_documents().delete_one(this).session(&mut *session).await?;
        if deleted.deleted_count == 0 {
            return Ok(false);
        }
        self.replace_secrets(session, organization, &id.to_string(), &[]).await?;
        self.unschedule(session, &sync_job(id)).await?;
        let its_syncs = doc! { "connection": id.to_string() };
        self.sync_documents().delete_many(its_syncs).session(&mut *session).await?;
        if delete_charges {
            let source = BatchSource::Connection(id);
            self.hide_batches(session, organization, source).await?;
        }
        self.append(session, audit).await?;
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Connections for MongoStore {
    async fn create_connection(
        &self,
        new: &NewConnection,
        audit: &AuditEvent,
    ) -> Result<Created<Connection>> {
        atomically!(self, |session| self.try_create(session, new, audit))
    }

    async fn connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
    ) -> Result<Option<Connection>> {
        self.read_connection(of(organization, id)).await
    }

    async fn connection_by_id(&self, id: ConnectionId) -> Result<Option<Connection>> {
        self.read_connection(doc! { "_id": id.to_string() }).await
    }

    async fn connections(
        &self,
        organization: OrganizationId,
        page: &PageQuery,
    ) -> Result<Vec<Connection>> {
        let which = doc! { "organization": organization.to_string() };
        let connections = read_page(&self.connection_documents(), which, page).await?;
        connections.into_iter().map(StoredConnection::read).collect()
    }

    async fn update_connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        patch: &ConnectionPatch,
        audit: &AuditEvent,
    ) -> Result<Option<Connection>> {
        let this = of(organization, id);
        atomically!(self, |session| self.try_update(session, this.clone(), patch, audit))
    }

    async fn replace_credentials(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        secrets: &[SealedSecret],
        audit: &AuditEvent,
    ) -> Result<Option<Connection>> {
        let which = (organization, id);
        atomically!(self, |session| self.try_replace_credentials(session, which, secrets, audit))
    }

    async fn record_connection_health(
        &self,
        id: ConnectionId,
        health: &ConnectionHealth,
    ) -> Result<()> {
        atomically!(self, |session| async {
            let this = doc! { "_id": id.to_string() };
            if let Some(mut connection) = self.connection_in(session, this).await? {
                record_health(&mut connection, health);
                self.write_connection(session, &connection).await?;
            }
            Ok(())
        })
    }

    async fn delete_connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        delete_charges: bool,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let which = (organization, id);
        let deleted =
            atomically!(self, |session| self.try_delete(session, which, delete_charges, audit))?;
        self.sweep_batches().await;
        Ok(deleted)
    }
}
