//! The audit log: appended with every mutation, in its step, and never changed.

use domain::{AuditEntry, AuditEvent, OrganizationId};

use crate::Result;

/// The audit log. Mutations of other repositories append to it themselves, in the same atomic step.
#[async_trait::async_trait]
pub trait AuditLog {
    /// Appends an event that belongs to no other mutation.
    async fn append_audit(&self, event: &AuditEvent) -> Result<AuditEntry>;

    /// At most `limit` entries whose sequence is greater than `after`, in order.
    async fn audit_entries(
        &self,
        organization: OrganizationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>>;

    /// At most `limit` entries whose sequence is less than `before` (`None`: from the end), newest
    /// first.
    async fn audit_entries_back(
        &self,
        organization: OrganizationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>>;
}
