//! The role of whoever holds the key-encryption key: a file here, a key-management service
//! elsewhere.

use domain::OrganizationId;

use crate::{DataKey, Result, envelope::Context};

/// What a wrapped data key is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyContext {
    /// Owner of the data key.
    pub organization: OrganizationId,
    /// Which of its data keys, from 1.
    pub version: u32,
}

impl KeyContext {
    pub(crate) fn authenticated(&self) -> Context {
        Context::new("outlay data key")
            .and(self.organization.uuid().as_bytes())
            .and(&self.version.to_be_bytes())
    }
}

/// Wraps and unwraps data keys. The key-encryption key never leaves it.
#[async_trait::async_trait]
pub trait KeySource: Send + Sync {
    /// Names the key-encryption key, and changes with it. It is stored beside what the key wrapped,
    /// so it must tell nothing about the key.
    fn id(&self) -> &str;

    /// Encrypts a data key, bound to its context.
    ///
    /// # Errors
    /// [`crate::VaultError::KeySource`] where it cannot be reached.
    async fn wrap(&self, context: &KeyContext, key: &DataKey) -> Result<Vec<u8>>;

    /// The data key that [`KeySource::wrap`] encrypted under the same context.
    ///
    /// # Errors
    /// [`crate::VaultError::DamagedDataKey`] where anything has changed.
    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey>;
}
