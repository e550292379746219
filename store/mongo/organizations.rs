//! Organizations on MongoDB: one document each.
//!
//! The first one carries a mark that a unique index allows once in the whole store, so that of many
//! processes starting at once only one can have made it.

use domain::{ApiKey, AuditEvent, Organization, OrganizationId};
use futures::TryStreamExt as _;
use mongodb::{Collection, bson::doc};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    api_keys::StoredApiKey,
    stored::{instant, known},
    transaction::atomically,
};
use crate::{Organizations, Result};

#[derive(Serialize, Deserialize)]
struct StoredOrganization {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    time_zone: String,
    created_at: i64,
    is_first: bool,
}

impl StoredOrganization {
    fn first(organization: &Organization) -> StoredOrganization {
        StoredOrganization {
            id: organization.id.to_string(),
            name: organization.name.clone(),
            time_zone: organization.time_zone.clone(),
            created_at: organization.created_at.as_microsecond(),
            is_first: true,
        }
    }

    fn read(self) -> Result<Organization> {
        Ok(Organization {
            id: known(OrganizationId::parse(&self.id).ok(), "an organization's id")?,
            name: self.name,
            time_zone: self.time_zone,
            created_at: instant(self.created_at)?,
        })
    }
}

impl MongoStore {
    fn organization_documents(&self) -> Collection<StoredOrganization> {
        self.collection("organizations")
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
            let first = StoredOrganization::first(organization);
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

    async fn organizations(&self) -> Result<Vec<Organization>> {
        let found = self.organization_documents().find(doc! {}).sort(doc! { "_id": 1 }).await?;
        let organizations: Vec<_> = found.try_collect().await?;
        organizations.into_iter().map(StoredOrganization::read).collect()
    }
}
