//! API keys in SQLite, found by the hash's unique index. Scopes are their names with spaces
//! between, because they are only ever read and written together.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, Path, Scope, organization::Environment};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{
    SqliteStore, audit,
    database::{Fields, all, change, first, micros, stored_count},
};
use crate::{
    ApiKeys, Created, PageQuery, Result, StoreError,
    api_keys::{Revoked, Rotated, Rotation},
};

#[async_trait::async_trait]
impl ApiKeys for SqliteStore {
    async fn create_api_key(&self, key: &ApiKey, audit: &AuditEvent) -> Result<Created<ApiKey>> {
        let (key, audit) = (key.clone(), audit.clone());
        self.write(move |db| {
            if let Some(stored) = by_id(db, key.id)? {
                return Ok(Created::Exists(stored));
            }
            insert(db, &key)?;
            audit::append(db, &audit)?;
            Ok(Created::Created)
        })
        .await
    }

    async fn api_key_by_hash(&self, sha256: &[u8; 32]) -> Result<Option<ApiKey>> {
        let (sql, sha256) = ("SELECT * FROM api_keys WHERE sha256 = ?", *sha256);
        self.read(move |db| first(db, sql, [sha256], key_of)).await
    }

    async fn api_key(&self, organization: OrganizationId, id: KeyId) -> Result<Option<ApiKey>> {
        self.read(move |db| owned(db, organization, id)).await
    }

    async fn api_keys(
        &self,
        organization: OrganizationId,
        environment: Option<Environment>,
        page: &PageQuery,
    ) -> Result<Vec<ApiKey>> {
        let (after, limit) = (page.after.clone().unwrap_or_default(), stored_count(page.limit)?);
        let environment = environment.map(Environment::as_str);
        let sql = "SELECT * FROM api_keys
                   WHERE organization = ? AND id > ? AND environment = coalesce(?, environment)
                   ORDER BY id LIMIT ?";
        self.read(move |db| {
            let which = params![organization.to_string(), after, environment, limit];
            all(db, sql, which, key_of)
        })
        .await
    }

    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Revoked> {
        let audit = audit.clone();
        self.write(move |db| {
            let Some(mut key) = owned(db, organization, id)? else { return Ok(Revoked::Unknown) };
            if key.revoked_at.is_none() {
                if key.manages_all_keys_at(at) && !has_another(db, &key, at)? {
                    return Ok(Revoked::LastAdmin);
                }
                key.revoked_at = Some(at);
                end(db, &key)?;
                audit::append(db, &audit)?;
            }
            Ok(Revoked::Revoked(Box::new(key)))
        })
        .await
    }

    async fn rotate_api_key(&self, rotation: &Rotation, audit: &AuditEvent) -> Result<Rotated> {
        let (rotation, audit) = (rotation.clone(), audit.clone());
        self.write(move |db| {
            if let Some(stored) = by_id(db, rotation.new.id)? {
                return Ok(Rotated::Exists(stored));
            }
            let Some(old) = owned(db, rotation.new.organization, rotation.old)? else {
                return Ok(Rotated::Unknown);
            };
            let Some(changed) = rotation.applied_to(&old) else { return Ok(Rotated::Ended(old)) };
            end(db, &changed)?;
            insert(db, &rotation.new)?;
            audit::append(db, &audit)?;
            Ok(Rotated::Rotated)
        })
        .await
    }
}

fn by_id(db: &Connection, id: KeyId) -> Result<Option<ApiKey>> {
    first(db, "SELECT * FROM api_keys WHERE id = ?", [id.to_string()], key_of)
}

fn owned(db: &Connection, organization: OrganizationId, id: KeyId) -> Result<Option<ApiKey>> {
    Ok(by_id(db, id)?.filter(|key| key.organization == organization))
}

/// Whether another key of the same organization manages all keys.
fn has_another(db: &Connection, key: &ApiKey, at: Timestamp) -> Result<bool> {
    let sql = "SELECT * FROM api_keys WHERE organization = ? AND id <> ? AND revoked_at IS NULL";
    let others = all(db, sql, params![key.organization.to_string(), key.id.to_string()], key_of)?;
    Ok(others.iter().any(|other| other.manages_all_keys_at(at)))
}

/// Stores when and for which other key a key ends. Nothing else of a key ever changes.
fn end(db: &Connection, key: &ApiKey) -> Result<()> {
    let sql = "UPDATE api_keys SET expires_at = ?, revoked_at = ?, rotated_to = ? WHERE id = ?";
    let rotated_to = key.rotated_to.map(|id| id.to_string());
    let (expires_at, revoked_at) = (key.expires_at.map(micros), key.revoked_at.map(micros));
    change(db, sql, params![expires_at, revoked_at, rotated_to, key.id.to_string()])?;
    Ok(())
}

/// Stores a key that is not there yet.
pub(super) fn insert(db: &Connection, key: &ApiKey) -> Result<()> {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    change(
        db,
        "INSERT INTO api_keys
         (id, organization, name, environment, scopes, path_prefix, sha256, created_at, expires_at,
          revoked_at, rotated_to)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            key.id.to_string(),
            key.organization.to_string(),
            key.name,
            key.environment.as_str(),
            scopes.join(" "),
            key.path_prefix.as_ref().map(Path::as_str),
            key.sha256,
            micros(key.created_at),
            key.expires_at.map(micros),
            key.revoked_at.map(micros),
            key.rotated_to.map(|id| id.to_string()),
        ],
    )?;
    Ok(())
}

fn key_of(row: &Fields<'_>) -> Result<ApiKey> {
    let scopes: String = row.get("scopes")?;
    let unknown = || StoreError::corrupt("a stored key has an unknown scope");
    let scope = |name| Scope::parse(name).ok_or_else(unknown);
    Ok(ApiKey {
        id: row.parsed("id", KeyId::parse)?,
        organization: row.parsed("organization", OrganizationId::parse)?,
        name: row.get("name")?,
        environment: row.named("environment", Environment::parse)?,
        scopes: scopes.split_whitespace().map(scope).collect::<Result<_>>()?,
        path_prefix: row.parsed_or_none("path_prefix", Path::parse)?,
        sha256: row.get("sha256")?,
        created_at: row.instant("created_at")?,
        expires_at: row.instant_or_none("expires_at")?,
        revoked_at: row.instant_or_none("revoked_at")?,
        rotated_to: row.parsed_or_none("rotated_to", KeyId::parse)?,
    })
}
