//! Organizations, and the first start of an empty store.

use domain::{ApiKey, AuditEvent, Organization, OrganizationId};

use crate::Result;

/// Tenants.
#[async_trait::async_trait]
pub trait Organizations {
    /// Makes the first organization and its owner's key, only where the store has no organization
    /// yet. Returns whether it did; of many processes starting at once exactly one does.
    async fn create_first_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        audit: &AuditEvent,
    ) -> Result<bool>;

    /// One organization.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>>;

    /// All organizations, in id order. (One so far; more can be made once people can sign up.)
    async fn organizations(&self) -> Result<Vec<Organization>>;
}
