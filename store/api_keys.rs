//! API keys by their hash: made, listed, revoked, and one put in another's place.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, organization::Environment};
use jiff::Timestamp;

use crate::{Created, PageQuery, Result};

/// What became of revoking a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// It is revoked, now or before: as it is stored.
    Revoked(Box<ApiKey>),
    /// It is the last key that manages all of its organization's keys. Nothing was changed.
    LastAdmin,
    /// There is no such key.
    Unknown,
}

/// What became of putting a key in another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The new key is stored, and the old one ends when it was asked to.
    Rotated,
    /// A key of the new one's id is there already; this is it. Nothing was changed.
    Exists(ApiKey),
    /// The old key is revoked, expired or rotated already; this is it. Nothing was changed.
    Ended(ApiKey),
    /// There is no such old key.
    Unknown,
}

/// A key that takes another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The old key.
    pub old: KeyId,
    /// The new key, of the same organization.
    pub new: ApiKey,
    /// Now.
    pub at: Timestamp,
    /// Until when the old key stays good, unless it expires before. Where that is not after `at`,
    /// it is revoked.
    pub old_ends_at: Timestamp,
}

impl Rotation {
    /// The old key as the rotation leaves it; `None` where it cannot be rotated any more.
    #[must_use]
    pub fn applied_to(&self, old: &ApiKey) -> Option<ApiKey> {
        if !old.is_valid_at(self.at) || old.rotated_to.is_some() {
            return None;
        }
        let mut changed = old.clone();
        changed.rotated_to = Some(self.new.id);
        if self.old_ends_at <= self.at {
            changed.revoked_at = Some(self.at);
        } else {
            let ends_at = old.expires_at.map_or(self.old_ends_at, |at| at.min(self.old_ends_at));
            changed.expires_at = Some(ends_at);
        }
        Some(changed)
    }
}

/// API keys. The key itself is never stored.
#[async_trait::async_trait]
pub trait ApiKeys {
    /// Adds a key. The same id again answers `Exists` and changes nothing.
    async fn create_api_key(&self, key: &ApiKey, audit: &AuditEvent) -> Result<Created<ApiKey>>;

    /// The key with this SHA-256, revoked or not.
    async fn api_key_by_hash(&self, sha256: &[u8; 32]) -> Result<Option<ApiKey>>;

    /// One key of an organization, revoked or not.
    async fn api_key(&self, organization: OrganizationId, id: KeyId) -> Result<Option<ApiKey>>;

    /// An organization's keys, in id order; those of one environment where one is named.
    async fn api_keys(
        &self,
        organization: OrganizationId,
        environment: Option<Environment>,
        page: &PageQuery,
    ) -> Result<Vec<ApiKey>>;

    /// Revokes a key; a second time changes nothing. Of several at once that would together leave
    /// no key that manages all keys, one is refused.
    async fn revoke_api_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
        at: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Revoked>;

    /// Puts a new key in an old one's place. Of many at once exactly one does.
    async fn rotate_api_key(&self, rotation: &Rotation, audit: &AuditEvent) -> Result<Rotated>;
}
