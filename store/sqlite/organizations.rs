//! Organizations in SQLite.
//!
//! There is one writer, so "only where there is none yet" is a look and an insert in its
//! transaction.

use domain::{
    ApiKey, AuditEvent, Currency, Organization, OrganizationId,
    time::{parse_weekday, weekday_name},
};
use rusqlite::{Connection, params};

use super::{
    SqliteStore, api_keys, audit,
    database::{Fields, all, change, first, micros, stored_count},
};
use crate::{Organizations, Result, StoreError, organizations::SettingsPatch};

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
            insert(db, &organization)?;
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

    async fn change_settings(
        &self,
        id: OrganizationId,
        patch: &SettingsPatch,
        audit: &AuditEvent,
    ) -> Result<Option<Organization>> {
        let (patch, audit) = (patch.clone(), audit.clone());
        self.write(move |db| {
            let sql = "SELECT * FROM organizations WHERE id = ?";
            let stored = first(db, sql, [id.to_string()], organization_of)?;
            let Some(stored) = stored else { return Ok(None) };
            let changed = patch.applied_to(&stored);
            if changed != stored {
                update(db, &changed)?;
                audit::append(db, &audit)?;
            }
            Ok(Some(changed))
        })
        .await
    }

    async fn organizations(&self) -> Result<Vec<Organization>> {
        let sql = "SELECT * FROM organizations ORDER BY id";
        self.read(move |db| all(db, sql, [], organization_of)).await
    }
}

fn insert(db: &Connection, organization: &Organization) -> Result<()> {
    let sql = "INSERT INTO organizations
               (id, name, time_zone, week_start, reset_hour, fiscal_year_start_month, currency,
                retention_days, auto_create_paths, capture_bodies, settings_revision, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    change(
        db,
        sql,
        params![
            organization.id.to_string(),
            organization.name,
            organization.time_zone,
            weekday_name(organization.week_start),
            organization.reset_hour,
            organization.fiscal_year_start_month,
            organization.currency.map(|currency| currency.to_string()),
            organization.retention_days,
            organization.auto_create_paths,
            organization.capture_bodies,
            stored_count(organization.settings_revision)?,
            micros(organization.created_at),
        ],
    )?;
    Ok(())
}

fn update(db: &Connection, organization: &Organization) -> Result<()> {
    let sql = "UPDATE organizations SET
               name = ?, time_zone = ?, week_start = ?, reset_hour = ?, fiscal_year_start_month = ?,
               currency = ?, retention_days = ?, auto_create_paths = ?, capture_bodies = ?,
               settings_revision = ?
               WHERE id = ?";
    change(
        db,
        sql,
        params![
            organization.name,
            organization.time_zone,
            weekday_name(organization.week_start),
            organization.reset_hour,
            organization.fiscal_year_start_month,
            organization.currency.map(|currency| currency.to_string()),
            organization.retention_days,
            organization.auto_create_paths,
            organization.capture_bodies,
            stored_count(organization.settings_revision)?,
            organization.id.to_string(),
        ],
    )?;
    Ok(())
}

fn organization_of(row: &Fields<'_>) -> Result<Organization> {
    let currency: Option<String> = row.get("currency")?;
    let unknown = || StoreError::corrupt("a stored organization has an unknown currency");
    let currency = currency.map(|code| Currency::parse(&code).ok_or_else(unknown)).transpose()?;
    Ok(Organization {
        id: row.parsed("id", OrganizationId::parse)?,
        name: row.get("name")?,
        time_zone: row.get("time_zone")?,
        week_start: row.named("week_start", parse_weekday)?,
        reset_hour: row.get("reset_hour")?,
        fiscal_year_start_month: row.get("fiscal_year_start_month")?,
        currency,
        retention_days: row.get("retention_days")?,
        auto_create_paths: row.get("auto_create_paths")?,
        capture_bodies: row.get("capture_bodies")?,
        settings_revision: row.count("settings_revision")?,
        created_at: row.instant("created_at")?,
    })
}
