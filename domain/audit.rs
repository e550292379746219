//! The audit log's entries and the hash chain that shows whether one was changed, removed or
//! slipped in.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::OrganizationId;

/// Who did what to which thing. It never holds a secret, nor a value that a person typed beyond
/// names and, of an operator's own act, the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Owner.
    pub organization: OrganizationId,
    /// Who: an API key's id, or `system`.
    pub actor: String,
    /// What: `connection.created`.
    pub action: String,
    /// To which thing: its id.
    pub target: String,
    /// From which IP address, where there was one.
    pub ip: Option<String>,
    /// When, in whole microseconds.
    pub at: Timestamp,
}

/// An event in its place: numbered from 1 without a gap, holding its predecessor's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Place in the organization's log, from 1.
    pub sequence: u64,
    /// What happened.
    pub event: AuditEvent,
    /// Hash of the entry before; zeros for the first.
    pub previous_hash: [u8; 32],
    /// SHA-256 over this entry's fields and `previous_hash`.
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// The entry that follows `previous` in a log.
    #[must_use]
    pub fn following(previous: Option<&AuditEntry>, event: AuditEvent) -> AuditEntry {
        let sequence = previous.map_or(1, |entry| entry.sequence.saturating_add(1));
        let previous_hash = previous.map_or([0; 32], |entry| entry.hash);
        let hash = chain_hash(sequence, &event, &previous_hash);
        AuditEntry { sequence, event, previous_hash, hash }
    }

    /// Whether this entry is intact and stands right after `previous`.
    #[must_use]
    pub fn follows(&self, previous: Option<&AuditEntry>) -> bool {
        *self == AuditEntry::following(previous, self.event.clone())
    }
}

/// Each field is preceded by its length, so that no two entries have the same bytes.
fn chain_hash(sequence: u64, event: &AuditEvent, previous: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"outlay audit 1");
    hasher.update(sequence.to_be_bytes());
    hasher.update(previous);
    hasher.update(event.at.as_microsecond().to_be_bytes());
    let organization = event.organization.to_string();
    let ip = event.ip.as_deref().unwrap_or("");
    for field in [&organization, &event.actor, &event.action, &event.target, ip] {
        hasher.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(target: &str) -> AuditEvent {
        AuditEvent {
            organization: OrganizationId::from_uuid(uuid::Uuid::from_u128(1)),
            actor: "system".into(),
            action: "connection.created".into(),
            target: target.into(),
            ip: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_changed_or_removed_entry_breaks_the_chain() {
        let first = AuditEntry::following(None, event("a"));
        let second = AuditEntry::following(Some(&first), event("b"));
        let third = AuditEntry::following(Some(&second), event("c"));
        assert!(
            first.follows(None) && second.follows(Some(&first)) && third.follows(Some(&second))
        );
        assert!(!third.follows(Some(&first)), "an entry is missing");
        let mut changed = second.clone();
        changed.event.target = "x".into();
        assert!(!changed.follows(Some(&first)));
    }
}
