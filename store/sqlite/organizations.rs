//! Organizations in SQLite.
//!
//! There is one writer, so "only where there is none yet" is a look and an insert in its
//! transaction.

use domain::{ApiKey, AuditEvent, Organization, OrganizationId};
use rusqlite::params;

use super::{
    SqliteStore, api_keys, audit,
    database::{Fields, all, change, first, micros},
};
use crate::{Organizations, Result};

#[async_trait::async_trait]
impl Organizations for SqliteStore {
    async fn create_first_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let (organization, key, audit) = (organization.clone(), key.clone(), audit.clone());
        self.write(move |db| {
            if first(db, "SELECT 1 FROM organizations", [], |_| Ok(()))?.is_some() {
                return Ok(false);
            }
            let Organization { id, name, time_zone, created_at } = &organization;
            change(
                db,
                "INSERT INTO organizations (id, name, time_zone, created_at) VALUES (?, ?, ?, ?)",
                params![id.to_string(), name, time_zone, micros(*created_at)],
            )?;
            api_keys::insert(db, &key)?;
            audit::append(db, &audit)?;
            Ok(true)
        })
        .await
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>> {
        let sql = "SELECT * FROM organizations WHERE id = ?";
        self.read(move |db| first(db, sql, [id.to_string()], organization_of)).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>> {
        let sql = "SELECT * FROM organizations ORDER BY id";
        self.read(move |db| all(db, sql, [], organization_of)).await
    }
}

fn organization_of(row: &Fields<'_>) -> Result<Organization> {
    Ok(Organization {
        id: row.parsed("id", OrganizationId::parse)?,
        name: row.get("name")?,
        time_zone: row.get("time_zone")?,
        created_at: row.instant("created_at")?,
    })
}
