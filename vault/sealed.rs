//! The vault: seals and opens an organization's secrets, and makes its data key when the first one
//! comes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use domain::{OrganizationId, Secret};
use store::{
    Created, Store,
    secrets::{SealedSecret, WrappedDataKey},
};
use zeroize::{Zeroize, Zeroizing};

use crate::{DataKey, KeyContext, KeySource, Result, VaultError, envelope, envelope::Context};

/// Unwrapped data keys kept in memory, so that a key-management service is not asked for each
/// secret.
const CACHED_KEYS_MAX: usize = 64;

type Cache = BTreeMap<(OrganizationId, u32), Arc<DataKey>>;

/// Seals and opens secrets.
pub struct Vault {
    store: Arc<dyn Store>,
    keys: Arc<dyn KeySource>,
    cache: Mutex<Cache>,
}

impl Vault {
    /// A vault over the data keys of `store`, wrapped by `keys`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keys: Arc<dyn KeySource>) -> Vault {
        Vault { store, keys, cache: Mutex::default() }
    }

    /// Opens the organization's newest data key, if it has one: at start this finds out whether the
    /// key-encryption key is the right one.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where it is not.
    pub async fn check(&self, organization: OrganizationId) -> Result<()> {
        match self.wrapped_keys(organization).await?.first() {
            Some(newest) => self.unwrap(newest).await.map(drop),
            None => Ok(()),
        }
    }

    /// Seals a value for one field of one record. Nothing is stored but, the first time, a data
    /// key.
    ///
    /// # Errors
    /// Where the data key cannot be had.
    pub async fn seal(
        &self,
        organization: OrganizationId,
        record: &str,
        field: &str,
        secret: &Secret,
    ) -> Result<SealedSecret> {
        let (data_key_version, key) = self.newest_key(organization).await?;
        let place = Place { organization, record, field, data_key_version };
        let ciphertext = envelope::seal(&key, &place.context(), secret.expose().as_bytes())?;
        Ok(SealedSecret {
            organization,
            record: record.to_owned(),
            field: field.to_owned(),
            data_key_version,
            ciphertext,
        })
    }

    /// Seals values of one field, each for its record and under a key of its own that is derived
    /// from the data key: there may be any number of them, where [`Vault::seal`] is for few.
    /// Nothing is stored but, the first time, a data key.
    ///
    /// # Errors
    /// Where the data key cannot be had.
    pub async fn seal_apart(
        &self,
        organization: OrganizationId,
        field: &str,
        secrets: &[(String, Secret)],
    ) -> Result<Vec<SealedSecret>> {
        let (data_key_version, key) = self.newest_key(organization).await?;
        let seal = |(record, secret): &(String, Secret)| {
            let place = Place { organization, record, field, data_key_version };
            let plain = secret.expose().as_bytes();
            let ciphertext = envelope::seal(&place.own_key(&key), &place.context(), plain)?;
            let (record, field) = (record.clone(), field.to_owned());
            Ok(SealedSecret { organization, record, field, data_key_version, ciphertext })
        };
        secrets.iter().map(seal).collect()
    }

    /// Opens a value that [`Vault::seal_apart`] sealed.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_apart(&self, sealed: &SealedSecret) -> Result<Secret> {
        let place = Place::of(sealed);
        let key = self.key(place.organization, place.data_key_version).await?;
        place.open(&place.own_key(&key), &sealed.ciphertext)
    }

    /// 256 bits for `purpose` and these parts: the same ones again while the organization's newest
    /// data key stays, and none that anybody without that key could say. Nothing is stored but, the
    /// first time, a data key.
    ///
    /// # Errors
    /// Where the data key cannot be had.
    pub async fn derive(
        &self,
        organization: OrganizationId,
        purpose: &str,
        parts: &[&[u8]],
    ) -> Result<Zeroizing<[u8; 32]>> {
        let (data_key_version, key) = self.newest_key(organization).await?;
        let context = Context::new("outlay derived")
            .and(organization.uuid().as_bytes())
            .and(&data_key_version.to_be_bytes())
            .and(purpose.as_bytes());
        Ok(envelope::derive(&key, &parts.iter().fold(context, |context, part| context.and(part))))
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where it was changed, or sealed for another organization, record or
    /// field.
    pub async fn open(&self, sealed: &SealedSecret) -> Result<Secret> {
        let place = Place::of(sealed);
        let key = self.key(place.organization, place.data_key_version).await?;
        place.open(&key, &sealed.ciphertext)
    }

    /// Opens all that is sealed for a record, by field.
    ///
    /// # Errors
    /// As [`Vault::open`]; one damaged field fails the whole.
    pub async fn open_record(
        &self,
        organization: OrganizationId,
        record: &str,
    ) -> Result<BTreeMap<String, Secret>> {
        let sealed = self
            .store
            .sealed_secrets(organization, record)
            .await
            .map_err(|source| VaultError::Store { doing: "reading sealed secrets", source })?;
        let mut secrets = BTreeMap::new();
        for value in sealed {
            // What was asked for counts, not what the stored row says about itself.
            let value = SealedSecret { organization, record: record.to_owned(), ..value };
            let secret = self.open(&value).await?;
            secrets.insert(value.field, secret);
        }
        Ok(secrets)
    }

    async fn newest_key(&self, organization: OrganizationId) -> Result<(u32, Arc<DataKey>)> {
        let stored = match self.wrapped_keys(organization).await?.into_iter().next() {
            Some(newest) => newest,
            None => self.create_key(organization).await?,
        };
        Ok((stored.version, self.unwrap(&stored).await?))
    }

    /// Makes the first data key. Where another process was faster, the stored key is the one that
    /// counts.
    async fn create_key(&self, organization: OrganizationId) -> Result<WrappedDataKey> {
        let version = 1;
        let fresh = DataKey::generate()?;
        let ciphertext = self.keys.wrap(&KeyContext { organization, version }, &fresh).await?;
        let wrapped_by = self.keys.id().to_owned();
        let wrapped = WrappedDataKey { organization, version, wrapped_by, ciphertext };
        let created = self.store.create_data_key(&wrapped).await;
        match created.map_err(|source| VaultError::Store { doing: "storing a data key", source })? {
            Created::Created => Ok(wrapped),
            Created::Exists(stored) => Ok(stored),
        }
    }

    async fn key(&self, organization: OrganizationId, version: u32) -> Result<Arc<DataKey>> {
        if let Some(key) = self.cache().get(&(organization, version)) {
            return Ok(key.clone());
        }
        let wrapped = self.wrapped_keys(organization).await?;
        match wrapped.iter().find(|key| key.version == version) {
            Some(wrapped) => self.unwrap(wrapped).await,
            None => Err(VaultError::MissingDataKey { organization, version }),
        }
    }

    async fn unwrap(&self, wrapped: &WrappedDataKey) -> Result<Arc<DataKey>> {
        let WrappedDataKey { organization, version, .. } = *wrapped;
        if let Some(key) = self.cache().get(&(organization, version)) {
            return Ok(key.clone());
        }
        if wrapped.wrapped_by != self.keys.id() {
            return Err(VaultError::WrongKey {
                present: self.keys.id().to_owned(),
                needed: wrapped.wrapped_by.clone(),
            });
        }
        let context = KeyContext { organization, version };
        let key = Arc::new(self.keys.unwrap(&context, &wrapped.ciphertext).await?);
        let mut cache = self.cache();
        while cache.len() >= CACHED_KEYS_MAX {
            cache.pop_first();
        }
        cache.insert((organization, version), key.clone());
        Ok(key)
    }

    async fn wrapped_keys(&self, organization: OrganizationId) -> Result<Vec<WrappedDataKey>> {
        self.store
            .data_keys(organization)
            .await
            .map_err(|source| VaultError::Store { doing: "reading data keys", source })
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().expect("nothing panics while it holds the cache")
    }
}

/// Where a sealed value belongs.
struct Place<'a> {
    organization: OrganizationId,
    record: &'a str,
    field: &'a str,
    data_key_version: u32,
}

impl Place<'_> {
    fn of(sealed: &SealedSecret) -> Place<'_> {
        Place {
            organization: sealed.organization,
            record: &sealed.record,
            field: &sealed.field,
            data_key_version: sealed.data_key_version,
        }
    }

    /// The key of this place alone.
    fn own_key(&self, key: &DataKey) -> DataKey {
        let context = Context::new("outlay key of one place")
            .and(self.organization.uuid().as_bytes())
            .and(self.record.as_bytes())
            .and(self.field.as_bytes())
            .and(&self.data_key_version.to_be_bytes());
        let bits = envelope::derive(key, &context);
        DataKey::from_bytes(&*bits).expect("256 bits are a key")
    }

    fn open(&self, key: &DataKey, ciphertext: &[u8]) -> Result<Secret> {
        let mut plain =
            envelope::open(key, &self.context(), ciphertext).ok_or_else(|| self.damaged())?;
        // The text takes the bytes over, so that no second copy stays in memory.
        match String::from_utf8(std::mem::take(&mut *plain)) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(self.damaged())
            }
        }
    }

    fn context(&self) -> Context {
        Context::new("outlay secret")
            .and(self.organization.uuid().as_bytes())
            .and(self.record.as_bytes())
            .and(self.field.as_bytes())
            .and(&self.data_key_version.to_be_bytes())
    }

    fn damaged(&self) -> VaultError {
        VaultError::Damaged { record: self.record.to_owned(), field: self.field.to_owned() }
    }
}
