//! The audit log as plain data.

use domain::AuditEntry;
use serde::Serialize;
use utoipa::ToSchema;

use crate::dto_file::hex;

/// Who did what to which thing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// Place in the log, from 1, without a gap.
    sequence: u64,
    /// An API key's id, `local` or `system`.
    actor: String,
    /// `connection.created`
    action: String,
    /// Id of the thing.
    target: String,
    /// From which address, where it is known.
    ip: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Hash of the entry before, in hexadecimal; zeros for the first.
    previous_hash: String,
    /// SHA-256 over this entry and `previous_hash`, in hexadecimal.
    hash: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> AuditView {
        AuditView {
            sequence: entry.sequence,
            actor: entry.event.actor,
            action: entry.event.action,
            target: entry.event.target,
            ip: entry.event.ip,
            at: entry.event.at.to_string(),
            previous_hash: hex(&entry.previous_hash),
            hash: hex(&entry.hash),
        }
    }
}
