//! Wrapped data keys and sealed secrets: ciphertext only, the vault has the meaning.

use domain::OrganizationId;

use crate::{Created, Result};

/// An organization's data key, wrapped by a key-encryption key that the store never sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedDataKey {
    /// Owner.
    pub organization: OrganizationId,
    /// Which of the organization's data keys it is, from 1.
    pub version: u32,
    /// Names the key-encryption key that wrapped it.
    pub wrapped_by: String,
    /// The wrapped key.
    pub ciphertext: Vec<u8>,
}

/// One sealed value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSecret {
    /// Owner.
    pub organization: OrganizationId,
    /// The record it belongs to: an id such as `conn_…`.
    pub record: String,
    /// The field of that record.
    pub field: String,
    /// The data key that sealed it.
    pub data_key_version: u32,
    /// Nonce and ciphertext, as the vault made them.
    pub ciphertext: Vec<u8>,
}

/// Data keys and sealed values.
#[async_trait::async_trait]
pub trait Secrets {
    /// Stores a data key; where that version is there already, answers with the stored one, which
    /// wins.
    async fn create_data_key(&self, key: &WrappedDataKey) -> Result<Created<WrappedDataKey>>;

    /// An organization's data keys, newest version first.
    async fn data_keys(&self, organization: OrganizationId) -> Result<Vec<WrappedDataKey>>;

    /// Everything sealed for a record, in field order.
    async fn sealed_secrets(
        &self,
        organization: OrganizationId,
        record: &str,
    ) -> Result<Vec<SealedSecret>>;
}
