//! API keys on MongoDB: one document each, found by a unique index on the hash.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, Scope, organization::Environment};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{binary, digest, instant, instant_if_any, known, micros_if_any},
    transaction::atomically,
};
use crate::{ApiKeys, Created, Result};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredApiKey {
    #[serde(rename = "_id")]
    id: String,
    organization: String,
    name: String,
    environment: String,
    scopes: Vec<String>,
    sha256: Binary,
    created_at: i64,
    revoked_at: Option<i64>,
}

impl StoredApiKey {
    pub(super) fn new(key: &ApiKey) -> StoredApiKey {
        StoredApiKey {
            id: key.id.to_string(),
            organization: key.organization.to_string(),
            name: key.name.clone(),
            environment: key.environment.as_str().to_owned(),
            scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            sha256: binary(&key.sha256),
            created_at: key.created_at.as_microsecond(),
            revoked_at: micros_if_any(key.revoked_at),
        }
    }

    fn read(self) -> Result<ApiKey> {
        let scope = |name: &String| known(Scope::parse(name), "a key's scope");
        Ok(ApiKey {
            id: known(KeyId::parse(&self.id).ok(), "a key's id")?,
            organization: known(
                OrganizationId::parse(&self.organization).ok(),
                "a key's organization",
            )?,
            name: self.name,
            environment: known(Environment::parse(&self.environment), "a key's environment")?,
            scopes: self.scopes.iter().map(scope).collect::<Result<_>>()?,
            sha256: digest(&self.sha256)?,
            created_at: instant(self.created_at)?,
            revoked_at: instant_if_any(self.revoked_at)?,
        })
    }
}

impl MongoStore {
    pub(super) fn key_documents(&self) -> Collection<StoredApiKey> {
        self.collection("api_keys")
    }

    async fn try_revoke(
        &self,
        session: &mut ClientSession,
        (organization, id): (OrganizationId, KeyId),
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Attempt<Option<ApiKey>> {
        let this = doc! { "_id": id.to_string(), "organization": organization.to_string() };
        let found = self.key_documents().find_one(this.clone()).session(&mut *session).await?;
        let Some(mut key) = found else { return Ok(None) };
        if key.revoked_at.is_none() {
            key.revoked_at = Some(at.as_microsecond());
            let change = doc! { "$set": { "revoked_at": key.revoked_at } };
            self.key_documents().update_one(this, change).session(&mut *session).await?;
            self.append(session, audit).await?;
        }
        Ok(Some(key.read()?))
    }
}

#[async_trait::async_trait]
impl ApiKeys for MongoStore {
    async fn create_api_key(&self, key: &ApiKey, audit: &AuditEvent) -> Result<Created<ApiKey>> {
        let this = doc! { "_id": key.id.to_string() };
        atomically!(self, |session| async {
            let found = self.key_documents().find_one(this.clone()).session(&mut *session).await?;
            if let Some(found) = found {
                return Ok(Created::Exists(found.read()?));
            }
            let new = StoredApiKey::new(key);
            self.key_documents().insert_one(new).session(&mut *session).await?;
            self.append(session, audit).await?;
            Ok(Created::Created)
        })
    }

    async fn api_key_by_hash(&self, sha256: &[u8; 32]) -> Result<Option<ApiKey>> {
        let found = self.key_documents().find_one(doc! { "sha256": binary(sha256) }).await?;
        found.map(StoredApiKey::read).transpose()
    }

    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKey>> {
        let theirs = doc! { "organization": organization.to_string() };
        let keys = self.key_documents().find(theirs).sort(doc! { "_id": 1 }).await?;
        let keys: Vec<_> = keys.try_collect().await?;
        keys.into_iter().map(StoredApiKey::read).collect()
    }

    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Option<ApiKey>> {
        let which = (organization, id);
        atomically!(self, |session| self.try_revoke(session, which, at, audit))
    }
}
