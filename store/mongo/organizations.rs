//! Organizations on MongoDB: one document each.
//!
//! The first one carries a mark that a unique index allows once in the whole store, so that of many
//! processes starting at once only one can have made it. Those from before schema 3 lack the fields
//! of their settings, which stand in `settings`, a document within the document.

use domain::{
    ApiKey, AuditEvent, Currency, Organization, OrganizationId,
    time::{parse_weekday, weekday_name},
};
use futures::TryStreamExt as _;
use mongodb::{ClientSession, Collection, bson::doc};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    api_keys::StoredApiKey,
    failure::Attempt,
    stored::{count, instant, known, stored_count},
    transaction::atomically,
};
use crate::{Organizations, Result, organizations::SettingsPatch};

#[derive(Serialize, Deserialize)]
struct StoredOrganization {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    time_zone: String,
    created_at: i64,
    is_first: bool,
    #[serde(default)]
    settings: Option<StoredSettings>,
}

/// Settings that came after the first schema.
#[derive(Serialize, Deserialize)]
struct StoredSettings {
    week_start: String,
    reset_hour: i32,
    fiscal_year_start_month: i32,
    currency: Option<String>,
    retention_days: i64,
    auto_create_paths: bool,
    capture_bodies: bool,
    revision: i64,
}

impl StoredOrganization {
    fn first(organization: &Organization) -> Result<StoredOrganization> {
        Ok(StoredOrganization {
            id: organization.id.to_string(),
            name: organization.name.clone(),
            time_zone: organization.time_zone.clone(),
            created_at: organization.created_at.as_microsecond(),
            is_first: true,
            settings: Some(StoredSettings::new(organization)?),
        })
    }

    fn read(self) -> Result<Organization> {
        let id = known(OrganizationId::parse(&self.id).ok(), "an organization's id")?;
        let plain = Organization::new(id, self.name, instant(self.created_at)?);
        let plain = Organization { time_zone: self.time_zone, ..plain };
        self.settings.map_or(Ok(plain.clone()), |settings| settings.read(plain))
    }
}

impl StoredSettings {
    fn new(organization: &Organization) -> Result<StoredSettings> {
        Ok(StoredSettings {
            week_start: weekday_name(organization.week_start).to_owned(),
            reset_hour: organization.reset_hour.into(),
            fiscal_year_start_month: organization.fiscal_year_start_month.into(),
            currency: organization.currency.map(|currency| currency.to_string()),
            retention_days: organization.retention_days.into(),
            auto_create_paths: organization.auto_create_paths,
            capture_bodies: organization.capture_bodies,
            revision: stored_count(organization.settings_revision)?,
        })
    }

    fn read(self, plain: Organization) -> Result<Organization> {
        let currency = |code: String| known(Currency::parse(&code), "an organization's currency");
        let week_start = parse_weekday(&self.week_start);
        let small = |number: i32| known(u8::try_from(number).ok(), "an organization's setting");
        let days = u32::try_from(self.retention_days).ok();
        Ok(Organization {
            week_start: known(week_start, "an organization's week")?,
            reset_hour: small(self.reset_hour)?,
            fiscal_year_start_month: small(self.fiscal_year_start_month)?,
            currency: self.currency.map(currency).transpose()?,
            retention_days: known(days, "an organization's retention")?,
            auto_create_paths: self.auto_create_paths,
            capture_bodies: self.capture_bodies,
            settings_revision: count(self.revision)?,
            ..plain
        })
    }
}

impl MongoStore {
    fn organization_documents(&self) -> Collection<StoredOrganization> {
        self.collection("organizations")
    }

    async fn try_change_settings(
        &self,
        session: &mut ClientSession,
        id: OrganizationId,
        patch: &SettingsPatch,
        audit: &AuditEvent,
    ) -> Attempt<Option<Organization>> {
        let documents = self.organization_documents();
        let this = doc! { "_id": id.to_string() };
        let found = documents.find_one(this.clone()).session(&mut *session).await?;
        let Some(mut document) = found else { return Ok(None) };
        let is_first = document.is_first;
        let stored = document.read()?;
        let changed = patch.applied_to(&stored);
        if changed != stored {
            document = StoredOrganization { is_first, ..StoredOrganization::first(&changed)? };
            documents.replace_one(this, document).session(&mut *session).await?;
            self.append(session, audit).await?;
        }
        Ok(Some(changed))
    }
}

#[async_trait::async_trait]
impl Organizations for MongoStore {
    async fn create_first_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let documents = self.organization_documents();
        atomically!(self, |session| async {
            if documents.find_one(doc! {}).session(&mut *session).await?.is_some() {
                return Ok(false);
            }
            let first = StoredOrganization::first(organization)?;
            documents.insert_one(first).session(&mut *session).await?;
            let key = StoredApiKey::new(key);
            self.key_documents().insert_one(key).session(&mut *session).await?;
            self.append(session, audit).await?;
            Ok(true)
        })
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>> {
        let this = doc! { "_id": id.to_string() };
        let found = self.organization_documents().find_one(this).await?;
        found.map(StoredOrganization::read).transpose()
    }

    async fn change_settings(
        &self,
        id: OrganizationId,
        patch: &SettingsPatch,
        audit: &AuditEvent,
    ) -> Result<Option<Organization>> {
        atomically!(self, |session| self.try_change_settings(session, id, patch, audit))
    }

    async fn organizations(&self) -> Result<Vec<Organization>> {
        let found = self.organization_documents().find(doc! {}).sort(doc! { "_id": 1 }).await?;
        let organizations: Vec<_> = found.try_collect().await?;
        organizations.into_iter().map(StoredOrganization::read).collect()
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::deserialize_from_document;

    use super::*;

    #[test]
    fn an_organization_from_before_its_settings_has_the_defaults() {
        let stored: StoredOrganization = deserialize_from_document(doc! {
            "_id": "org_00000000000000000000000001",
            "name": "Acme",
            "time_zone": "Europe/Berlin",
            "created_at": 1_i64,
            "is_first": true,
        })
        .unwrap();
        let organization = stored.read().unwrap();
        let plain = Organization::new(organization.id, "Acme".into(), organization.created_at);
        assert_eq!(organization, Organization { time_zone: "Europe/Berlin".into(), ..plain });
    }
}
