//! API keys by their hash.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId};
use jiff::Timestamp;

use crate::{Created, Result};

/// API keys. The key itself is never stored.
#[async_trait::async_trait]
pub trait ApiKeys {
    /// Adds a key. The same id again answers `Exists` and changes nothing.
    async fn create_api_key(&self, key: &ApiKey, audit: &AuditEvent) -> Result<Created<ApiKey>>;

    /// The key with this SHA-256, revoked or not.
    async fn api_key_by_hash(&self, sha256: &[u8; 32]) -> Result<Option<ApiKey>>;

    /// An organization's keys, in id order.
    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKey>>;

    /// Revokes a key from `at` on; a second time changes nothing. `None` where there is no such
    /// key.
    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Option<ApiKey>>;
}
