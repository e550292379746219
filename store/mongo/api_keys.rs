//! API keys on MongoDB: one document each, found by a unique index on the hash.
//!
//! Whatever changes a key appends to its organization's audit log in the same transaction, and of
//! two that append at once one starts over. So no two can each leave the other's key as the last.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, Path, Scope, organization::Environment};
use jiff::Timestamp;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    read_page,
    stored::{binary, digest, instant, instant_if_any, known, micros_if_any},
    transaction::atomically,
};
use crate::{
    ApiKeys, Created, PageQuery, Result,
    api_keys::{Revoked, Rotated, Rotation},
};

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
    // Keys that were made before schema 3 lack these.
    #[serde(default)]
    path_prefix: Option<String>,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    rotated_to: Option<String>,
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
            path_prefix: key.path_prefix.as_ref().map(ToString::to_string),
            expires_at: micros_if_any(key.expires_at),
            rotated_to: key.rotated_to.map(|id| id.to_string()),
        }
    }

    fn read(self) -> Result<ApiKey> {
        let scope = |name: &String| known(Scope::parse(name), "a key's scope");
        let path = |text: String| known(Path::parse(&text).ok(), "a key's path");
        let successor = |text: String| known(KeyId::parse(&text).ok(), "a key's successor");
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
            path_prefix: self.path_prefix.map(path).transpose()?,
            expires_at: instant_if_any(self.expires_at)?,
            rotated_to: self.rotated_to.map(successor).transpose()?,
        })
    }
}

impl MongoStore {
    pub(super) fn key_documents(&self) -> Collection<StoredApiKey> {
        self.collection("api_keys")
    }

    async fn find_key(
        &self,
        session: &mut ClientSession,
        which: Document,
    ) -> Attempt<Option<ApiKey>> {
        let found = self.key_documents().find_one(which).session(session).await?;
        Ok(found.map(StoredApiKey::read).transpose()?)
    }

    async fn try_revoke(
        &self,
        session: &mut ClientSession,
        this: Document,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Attempt<Revoked> {
        let Some(mut key) = self.find_key(session, this).await? else {
            return Ok(Revoked::Unknown);
        };
        if key.revoked_at.is_none() {
            if key.manages_all_keys_at(at) && !self.has_another(session, &key, at).await? {
                return Ok(Revoked::LastAdmin);
            }
            key.revoked_at = Some(at);
            self.end_key(session, &key).await?;
            self.append(session, audit).await?;
        }
        Ok(Revoked::Revoked(Box::new(key)))
    }

    /// Whether another key of the same organization manages all keys.
    async fn has_another(
        &self,
        session: &mut ClientSession,
        key: &ApiKey,
        at: Timestamp,
    ) -> Attempt<bool> {
        let others = doc! {
            "organization": key.organization.to_string(),
            "_id": { "$ne": key.id.to_string() },
            "revoked_at": null,
        };
        let mut others = self.key_documents().find(others).session(&mut *session).await?;
        while let Some(other) = others.next(session).await.transpose()? {
            if other.read()?.manages_all_keys_at(at) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn try_rotate(
        &self,
        session: &mut ClientSession,
        rotation: &Rotation,
        audit: &AuditEvent,
    ) -> Attempt<Rotated> {
        let new = doc! { "_id": rotation.new.id.to_string() };
        if let Some(stored) = self.find_key(session, new).await? {
            return Ok(Rotated::Exists(stored));
        }
        let old = of(rotation.new.organization, rotation.old);
        let Some(old) = self.find_key(session, old).await? else { return Ok(Rotated::Unknown) };
        let Some(changed) = rotation.applied_to(&old) else { return Ok(Rotated::Ended(old)) };
        self.end_key(session, &changed).await?;
        let new = StoredApiKey::new(&rotation.new);
        self.key_documents().insert_one(new).session(&mut *session).await?;
        self.append(session, audit).await?;
        Ok(Rotated::Rotated)
    }

    /// Stores when and for which other key a key ends. Nothing else of a key ever changes.
    async fn end_key(&self, session: &mut ClientSession, key: &ApiKey) -> Attempt<()> {
        let this = doc! { "_id": key.id.to_string() };
        let change = doc! { "$set": {
            "expires_at": micros_if_any(key.expires_at),
            "revoked_at": micros_if_any(key.revoked_at),
            "rotated_to": key.rotated_to.map(|id| id.to_string()),
        } };
        self.key_documents().update_one(this, change).session(session).await?;
        Ok(())
    }
}

fn of(organization: OrganizationId, id: KeyId) -> Document {
    doc! { "_id": id.to_string(), "organization": organization.to_string() }
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

    async fn api_key(&self, organization: OrganizationId, id: KeyId) -> Result<Option<ApiKey>> {
        let found = self.key_documents().find_one(of(organization, id)).await?;
        found.map(StoredApiKey::read).transpose()
    }

    async fn api_keys(
        &self,
        organization: OrganizationId,
        environment: Option<Environment>,
        page: &PageQuery,
    ) -> Result<Vec<ApiKey>> {
        let mut which = doc! { "organization": organization.to_string() };
        if let Some(environment) = environment {
            which.insert("environment", environment.as_str());
        }
        let keys = read_page(&self.key_documents(), which, page).await?;
        keys.into_iter().map(StoredApiKey::read).collect()
    }

    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Revoked> {
        let this = of(organization, id);
        atomically!(self, |session| self.try_revoke(session, this.clone(), at, audit))
    }

    async fn rotate_api_key(&self, rotation: &Rotation, audit: &AuditEvent) -> Result<Rotated> {
        atomically!(self, |session| self.try_rotate(session, rotation, audit))
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::deserialize_from_document;

    use super::*;

    #[test]
    fn a_key_from_before_paths_and_expiry_is_read() {
        let stored: StoredApiKey = deserialize_from_document(doc! {
            "_id": "key_00000000000000000000000001",
            "organization": "org_00000000000000000000000001",
            "name": "owner",
            "environment": "live",
            "scopes": ["read", "admin"],
            "sha256": binary(&[1; 32]),
            "created_at": 1_i64,
            "revoked_at": null,
        })
        .unwrap();
        let key = stored.read().unwrap();
        assert_eq!((key.path_prefix, key.expires_at, key.rotated_to), (None, None, None));
    }
}
