//! API keys in SQLite, found by the hash's unique index. Scopes are their names with spaces
//! between, because they are only ever read and written together.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, Scope, organization::Environment};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{
    SqliteStore, audit,
    database::{Fields, all, change, first, micros},
};
use crate::{ApiKeys, Created, Result, StoreError};

#[async_trait::async_trait]
impl ApiKeys for SqliteStore {
    async fn create_api_key(&self, key: &ApiKey, audit: &AuditEvent) -> Result<Created<ApiKey>> {
        let (key, audit) = (key.clone(), audit.clone());
        self.write(move |db| {
            let sql = "SELECT * FROM api_keys WHERE id = ?";
            if let Some(stored) = first(db, sql, [key.id.to_string()], key_of)? {
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

    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKey>> {
        let sql = "SELECT * FROM api_keys WHERE organization = ? ORDER BY id";
        self.read(move |db| all(db, sql, [organization.to_string()], key_of)).await
    }

    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Option<ApiKey>> {
        let audit = audit.clone();
        self.write(move |db| {
            let owned = params![id.to_string(), organization.to_string()];
            let sql = "SELECT * FROM api_keys WHERE id = ? AND organization = ?";
            let Some(mut key) = first(db, sql, owned, key_of)? else { return Ok(None) };
            if key.revoked_at.is_none() {
                let sql = "UPDATE api_keys SET revoked_at = ? WHERE id = ?";
                change(db, sql, params![micros(at), id.to_string()])?;
                audit::append(db, &audit)?;
                key.revoked_at = Some(at);
            }
            Ok(Some(key))
        })
        .await
    }
}

/// Stores a key that is not there yet.
pub(super) fn insert(db: &Connection, key: &ApiKey) -> Result<()> {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    change(
        db,
        "INSERT INTO api_keys
         (id, organization, name, environment, scopes, sha256, created_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            key.id.to_string(),
            key.organization.to_string(),
            key.name,
            key.environment.as_str(),
            scopes.join(" "),
            key.sha256,
            micros(key.created_at),
            key.revoked_at.map(micros),
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
        sha256: row.get("sha256")?,
        created_at: row.instant("created_at")?,
        revoked_at: row.instant_or_none("revoked_at")?,
    })
}
