//! Wrapped data keys and sealed secrets on MongoDB: ciphertext, one document each.

use domain::OrganizationId;
use futures::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::{Attempt, is_duplicate},
    stored::{binary, corrupt, known},
};
use crate::{
    Created, Result, Secrets,
    secrets::{SealedSecret, WrappedDataKey},
};

#[derive(Serialize, Deserialize)]
struct StoredDataKey {
    organization: String,
    version: i64,
    wrapped_by: String,
    ciphertext: Binary,
}

impl StoredDataKey {
    fn new(key: &WrappedDataKey) -> StoredDataKey {
        StoredDataKey {
            organization: key.organization.to_string(),
            version: i64::from(key.version),
            wrapped_by: key.wrapped_by.clone(),
            ciphertext: binary(&key.ciphertext),
        }
    }

    fn read(self) -> Result<WrappedDataKey> {
        let organization = OrganizationId::parse(&self.organization).ok();
        Ok(WrappedDataKey {
            organization: known(organization, "a data key's organization")?,
            version: known(u32::try_from(self.version).ok(), "a data key's version")?,
            wrapped_by: self.wrapped_by,
            ciphertext: self.ciphertext.bytes,
        })
    }
}

#[derive(Serialize, Deserialize, PartialEq)]
struct StoredSecret {
    organization: String,
    record: String,
    field: String,
    data_key_version: i64,
    ciphertext: Binary,
}

impl StoredSecret {
    fn new(secret: &SealedSecret) -> StoredSecret {
        StoredSecret {
            organization: secret.organization.to_string(),
            record: secret.record.clone(),
            field: secret.field.clone(),
            data_key_version: i64::from(secret.data_key_version),
            ciphertext: binary(&secret.ciphertext),
        }
    }

    fn read(self) -> Result<SealedSecret> {
        let organization = OrganizationId::parse(&self.organization).ok();
        let version = u32::try_from(self.data_key_version).ok();
        Ok(SealedSecret {
            organization: known(organization, "a secret's organization")?,
            record: self.record,
            field: self.field,
            data_key_version: known(version, "a secret's data key")?,
            ciphertext: self.ciphertext.bytes,
        })
    }
}

impl MongoStore {
    fn data_key_documents(&self) -> Collection<StoredDataKey> {
        self.collection("data_keys")
    }

    fn secret_documents(&self) -> Collection<StoredSecret> {
        self.collection("sealed_secrets")
    }

    /// Puts these secrets in the place of all that a record had; `false` where they are there
    /// already. Every sealing has a nonce of its own, so the same ciphertext is a repetition of the
    /// same request.
    pub(super) async fn replace_secrets(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        record: &str,
        secrets: &[SealedSecret],
    ) -> Attempt<bool> {
        let theirs = doc! { "organization": organization.to_string(), "record": record };
        let documents = self.secret_documents();
        let mut found = documents.find(theirs.clone()).session(&mut *session).await?;
        let mut stored: Vec<_> = found.stream(&mut *session).try_collect().await?;
        let mut new: Vec<_> = secrets.iter().map(StoredSecret::new).collect();
        stored.sort_by(|a, b| a.field.cmp(&b.field));
        new.sort_by(|a, b| a.field.cmp(&b.field));
        if stored == new {
            return Ok(false);
        }
        documents.delete_many(theirs).session(&mut *session).await?;
        if !new.is_empty() {
            documents.insert_many(new).session(session).await?;
        }
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Secrets for MongoStore {
    async fn create_data_key(&self, key: &WrappedDataKey) -> Result<Created<WrappedDataKey>> {
        match self.data_key_documents().insert_one(StoredDataKey::new(key)).await {
            Ok(_) => Ok(Created::Created),
            Err(error) if is_duplicate(&error) => {
                let version = i64::from(key.version);
                let this =
                    doc! { "organization": key.organization.to_string(), "version": version };
                let found = self.data_key_documents().find_one(this).await?;
                let stored = found.ok_or_else(|| corrupt("the index of data keys"))?;
                Ok(Created::Exists(stored.read()?))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn data_keys(&self, organization: OrganizationId) -> Result<Vec<WrappedDataKey>> {
        let theirs = doc! { "organization": organization.to_string() };
        let found = self.data_key_documents().find(theirs).sort(doc! { "version": -1 }).await?;
        let keys: Vec<_> = found.try_collect().await?;
        keys.into_iter().map(StoredDataKey::read).collect()
    }

    async fn sealed_secrets(
        &self,
        organization: OrganizationId,
        record: &str,
    ) -> Result<Vec<SealedSecret>> {
        let theirs = doc! { "organization": organization.to_string(), "record": record };
        let found = self.secret_documents().find(theirs).sort(doc! { "field": 1 }).await?;
        let secrets: Vec<_> = found.try_collect().await?;
        secrets.into_iter().map(StoredSecret::read).collect()
    }
}
