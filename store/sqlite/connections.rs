//! Connections in SQLite. A change reads the row, changes the value and writes it back, within the
//! one writer's transaction.

use domain::{
    AuditEvent, Connection, ConnectionError, ConnectionId, ConnectionStatus, OrganizationId,
    ProviderId,
};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{
    SqliteStore, audit, charges,
    database::{Fields, all, change, first, micros, stored_count, to_json},
    schedule, secrets, syncs,
};
use crate::{
    Connections, Created, PageQuery, Result,
    charges::BatchSource,
    connections::{ConnectionHealth, ConnectionPatch, NewConnection},
    secrets::SealedSecret,
};

#[async_trait::async_trait]
impl Connections for SqliteStore {
    async fn create_connection(
        &self,
        new: &NewConnection,
        audit: &AuditEvent,
    ) -> Result<Created<Connection>> {
        let (new, audit) = (new.clone(), audit.clone());
        self.write(move |db| {
            if let Some(stored) = by_id(db, new.connection.id)? {
                return Ok(Created::Exists(stored));
            }
            insert(db, &new.connection)?;
            for secret in &new.secrets {
                secrets::insert(db, secret)?;
            }
            syncs::insert(db, &new.sync)?;
            schedule::make_due(db, &schedule::sync_of(new.connection.id), new.sync.created_at)?;
            audit::append(db, &audit)?;
            Ok(Created::Created)
        })
        .await
    }

    async fn connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
    ) -> Result<Option<Connection>> {
        self.read(move |db| owned(db, organization, id)).await
    }

    async fn connection_by_id(&self, id: ConnectionId) -> Result<Option<Connection>> {
        self.read(move |db| by_id(db, id)).await
    }

    async fn connections(
        &self,
        organization: OrganizationId,
        page: &PageQuery,
    ) -> Result<Vec<Connection>> {
        let (after, limit) = (page.after.clone().unwrap_or_default(), stored_count(page.limit)?);
        let sql = "SELECT * FROM connections WHERE organization = ? AND id > ? ORDER BY id LIMIT ?";
        self.read(move |db| {
            all(db, sql, params![organization.to_string(), after, limit], connection_of)
        })
        .await
    }

    async fn update_connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        patch: &ConnectionPatch,
        audit: &AuditEvent,
    ) -> Result<Option<Connection>> {
        let (patch, audit) = (patch.clone(), audit.clone());
        self.write(move |db| {
            let Some(stored) = owned(db, organization, id)? else { return Ok(None) };
            let changed = patched(&stored, &patch);
            if changed == stored {
                return Ok(Some(stored));
            }
            if stored.status == ConnectionStatus::Paused && changed.status != stored.status {
                schedule::make_due(db, &schedule::sync_of(id), audit.at)?;
            }
            update(db, &changed)?;
            audit::append(db, &audit)?;
            Ok(Some(changed))
        })
        .await
    }

    async fn replace_credentials(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        secrets: &[SealedSecret],
        audit: &AuditEvent,
    ) -> Result<Option<Connection>> {
        let (sealed, audit) = (secrets.to_vec(), audit.clone());
        self.write(move |db| {
            let Some(mut changed) = owned(db, organization, id)? else { return Ok(None) };
            let record = id.to_string();
            // Every sealing has its own nonce: the same ciphertext is a repeat of the same request.
            if !is_same(secrets::of_record(db, organization, &record)?, sealed.clone()) {
                secrets::remove(db, organization, &record)?;
                for secret in &sealed {
                    secrets::insert(db, secret)?;
                }
                audit::append(db, &audit)?;
            }
            changed.error = None;
            if changed.status != ConnectionStatus::Paused {
                changed.status = ConnectionStatus::Syncing;
            }
            update(db, &changed)?;
            schedule::make_due(db, &schedule::sync_of(id), audit.at)?;
            Ok(Some(changed))
        })
        .await
    }

    async fn record_connection_health(
        &self,
        id: ConnectionId,
        health: &ConnectionHealth,
    ) -> Result<()> {
        let health = health.clone();
        self.write(move |db| {
            let Some(mut changed) = by_id(db, id)? else { return Ok(()) };
            if changed.status != ConnectionStatus::Paused {
                changed.status = health.status;
            }
            changed.account = health.account.or(changed.account);
            changed.last_sync_at = health.last_sync_at.or(changed.last_sync_at);
            // `None` is less than every instant.
            changed.complete_through = changed.complete_through.max(health.complete_through);
            changed.error = health.error;
            update(db, &changed)
        })
        .await
    }

    async fn delete_connection(
        &self,
        organization: OrganizationId,
        id: ConnectionId,
        delete_charges: bool,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let audit = audit.clone();
        self.write(move |db| {
            if owned(db, organization, id)?.is_none() {
                return Ok(false);
            }
            change(db, "DELETE FROM connections WHERE id = ?", [id.to_string()])?;
            secrets::remove(db, organization, &id.to_string())?;
            schedule::remove(db, &schedule::sync_of(id))?;
            syncs::remove(db, id)?;
            if delete_charges {
                charges::remove(db, organization, BatchSource::Connection(id))?;
            }
            audit::append(db, &audit)?;
            Ok(true)
        })
        .await
    }
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

fn is_same(stored: Vec<SealedSecret>, mut sealed: Vec<SealedSecret>) -> bool {
    sealed.sort_by(|a, b| a.field.cmp(&b.field));
    stored == sealed
}

fn by_id(db: &rusqlite::Connection, id: ConnectionId) -> Result<Option<Connection>> {
    let sql = "SELECT * FROM connections WHERE id = ?";
    first(db, sql, [id.to_string()], connection_of)
}

fn owned(
    db: &rusqlite::Connection,
    organization: OrganizationId,
    id: ConnectionId,
) -> Result<Option<Connection>> {
    Ok(by_id(db, id)?.filter(|connection| connection.organization == organization))
}

fn insert(db: &rusqlite::Connection, connection: &Connection) -> Result<()> {
    change(
        db,
        "INSERT INTO connections
         (id, organization, provider, name, account, base_url, backfill_days, interval_minutes,
          status, last_sync_at, complete_through, error, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            connection.id.to_string(),
            connection.organization.to_string(),
            connection.provider.as_str(),
            connection.name,
            connection.account,
            connection.base_url,
            connection.backfill_days,
            connection.interval_minutes,
            connection.status.as_str(),
            connection.last_sync_at.map(micros),
            connection.complete_through.map(micros),
            error_text(connection.error.as_ref())?,
            micros(connection.created_at),
        ],
    )?;
    Ok(())
}

/// Writes what can change of a connection.
fn update(db: &rusqlite::Connection, connection: &Connection) -> Result<()> {
    change(
        db,
        "UPDATE connections SET name = ?2, account = ?3, interval_minutes = ?4, status = ?5,
             last_sync_at = ?6, complete_through = ?7, error = ?8
         WHERE id = ?1",
        params![
            connection.id.to_string(),
            connection.name,
            connection.account,
            connection.interval_minutes,
            connection.status.as_str(),
            connection.last_sync_at.map(micros),
            connection.complete_through.map(micros),
            error_text(connection.error.as_ref())?,
        ],
    )?;
    Ok(())
}

fn connection_of(row: &Fields<'_>) -> Result<Connection> {
    Ok(Connection {
        id: row.parsed("id", ConnectionId::parse)?,
        organization: row.parsed("organization", OrganizationId::parse)?,
        provider: row.parsed("provider", ProviderId::parse)?,
        name: row.get("name")?,
        account: row.get("account")?,
        base_url: row.get("base_url")?,
        backfill_days: row.get("backfill_days")?,
        interval_minutes: row.get("interval_minutes")?,
        status: row.named("status", ConnectionStatus::parse)?,
        last_sync_at: row.instant_or_none("last_sync_at")?,
        complete_through: row.instant_or_none("complete_through")?,
        error: error_of(row)?,
        created_at: row.instant("created_at")?,
    })
}

#[derive(Serialize, Deserialize)]
struct ErrorRow {
    code: String,
    message: String,
    what_to_do: String,
}

/// What is wrong with a connection or a sync, as its column `error` holds it.
pub(super) fn error_text(error: Option<&ConnectionError>) -> Result<Option<String>> {
    let text = |error: &ConnectionError| {
        let ConnectionError { code, message, what_to_do } = error.clone();
        to_json(&ErrorRow { code, message, what_to_do })
    };
    error.map(text).transpose()
}

/// What the column `error` of a connection or a sync holds.
pub(super) fn error_of(row: &Fields<'_>) -> Result<Option<ConnectionError>> {
    let error: Option<ErrorRow> = row.json_or_none("error")?;
    Ok(error.map(|ErrorRow { code, message, what_to_do }| ConnectionError {
        code,
        message,
        what_to_do,
    }))
}
