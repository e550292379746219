//! Data keys and sealed values in SQLite: ciphertext as it came. Connections write and remove
//! theirs through this file, in their own transactions.

use domain::OrganizationId;
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    database::{Fields, all, change, first},
};
use crate::{
    Created, Result, Secrets,
    secrets::{SealedSecret, WrappedDataKey},
};

#[async_trait::async_trait]
impl Secrets for SqliteStore {
    async fn create_data_key(&self, key: &WrappedDataKey) -> Result<Created<WrappedDataKey>> {
        let key = key.clone();
        self.write(move |db| {
            let organization = key.organization.to_string();
            let sql = "SELECT * FROM data_keys WHERE organization = ? AND version = ?";
            let stored = first(db, sql, params![organization, key.version], data_key_of)?;
            if let Some(stored) = stored {
                return Ok(Created::Exists(stored));
            }
            change(
                db,
                "INSERT INTO data_keys (organization, version, wrapped_by, ciphertext)
                 VALUES (?, ?, ?, ?)",
                params![organization, key.version, key.wrapped_by, key.ciphertext],
            )?;
            Ok(Created::Created)
        })
        .await
    }

    async fn data_keys(&self, organization: OrganizationId) -> Result<Vec<WrappedDataKey>> {
        let sql = "SELECT * FROM data_keys WHERE organization = ? ORDER BY version DESC";
        self.read(move |db| all(db, sql, [organization.to_string()], data_key_of)).await
    }

    async fn sealed_secrets(
        &self,
        organization: OrganizationId,
        record: &str,
    ) -> Result<Vec<SealedSecret>> {
        let record = record.to_owned();
        self.read(move |db| of_record(db, organization, &record)).await
    }
}

/// Everything sealed for a record, in field order.
pub(super) fn of_record(
    db: &Connection,
    organization: OrganizationId,
    record: &str,
) -> Result<Vec<SealedSecret>> {
    let sql = "SELECT * FROM sealed_secrets WHERE organization = ? AND record = ? ORDER BY field";
    all(db, sql, [&organization.to_string(), record], secret_of)
}

/// Stores a sealed value.
pub(super) fn insert(db: &Connection, secret: &SealedSecret) -> Result<()> {
    change(
        db,
        "INSERT INTO sealed_secrets (organization, record, field, data_key_version, ciphertext)
         VALUES (?, ?, ?, ?, ?)",
        params![
            secret.organization.to_string(),
            secret.record,
            secret.field,
            secret.data_key_version,
            secret.ciphertext,
        ],
    )?;
    Ok(())
}

/// Removes everything sealed for a record.
pub(super) fn remove(db: &Connection, organization: OrganizationId, record: &str) -> Result<()> {
    let sql = "DELETE FROM sealed_secrets WHERE organization = ? AND record = ?";
    change(db, sql, [&organization.to_string(), record])?;
    Ok(())
}

fn data_key_of(row: &Fields<'_>) -> Result<WrappedDataKey> {
    Ok(WrappedDataKey {
        organization: row.parsed("organization", OrganizationId::parse)?,
        version: row.get("version")?,
        wrapped_by: row.get("wrapped_by")?,
        ciphertext: row.get("ciphertext")?,
    })
}

fn secret_of(row: &Fields<'_>) -> Result<SealedSecret> {
    Ok(SealedSecret {
        organization: row.parsed("organization", OrganizationId::parse)?,
        record: row.get("record")?,
        field: row.get("field")?,
        data_key_version: row.get("data_key_version")?,
        ciphertext: row.get("ciphertext")?,
    })
}
