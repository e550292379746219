//! Walks an organization's audit log and says whether its chain of hashes holds.

use domain::{AuditEntry, OrganizationId};
use store::Store;

use crate::{IdentityError, Result};

const PAGE_ENTRIES: usize = 500;

/// What a walk over the log has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainVerdict {
    /// Every entry is what was written, in its place. To see later that none was cut off the end,
    /// keep `last_hash` elsewhere and compare.
    Intact {
        /// How many entries.
        entry_count: u64,
        /// The newest entry's hash; zeros for an empty log.
        last_hash: [u8; 32],
    },
    /// The chain breaks.
    Broken {
        /// The first place whose entry is missing, changed, or not the one that was written there.
        sequence: u64,
    },
}

/// Reads the whole log, page by page, and checks each entry against the one before.
///
/// # Errors
/// [`IdentityError::Store`] where the log cannot be read.
pub async fn verify_audit_chain(
    store: &dyn Store,
    organization: OrganizationId,
) -> Result<ChainVerdict> {
    let mut walk = Walk { organization, last: None };
    loop {
        let page = store
            .audit_entries(organization, walk.entry_count(), PAGE_ENTRIES)
            .await
            .map_err(|source| IdentityError::Store { doing: "reading the audit log", source })?;
        if page.is_empty() {
            return Ok(walk.intact());
        }
        for entry in page {
            if let Err(broken) = walk.step(entry) {
                return Ok(broken);
            }
        }
    }
}

/// A walk as far as the chain has held.
struct Walk {
    organization: OrganizationId,
    last: Option<AuditEntry>,
}

impl Walk {
    fn entry_count(&self) -> u64 {
        self.last.as_ref().map_or(0, |entry| entry.sequence)
    }

    fn step(&mut self, entry: AuditEntry) -> std::result::Result<(), ChainVerdict> {
        let is_ours = entry.event.organization == self.organization;
        if !is_ours || !entry.follows(self.last.as_ref()) {
            return Err(ChainVerdict::Broken { sequence: self.entry_count() + 1 });
        }
        self.last = Some(entry);
        Ok(())
    }

    fn intact(&self) -> ChainVerdict {
        let last_hash = self.last.as_ref().map_or([0; 32], |entry| entry.hash);
        ChainVerdict::Intact { entry_count: self.entry_count(), last_hash }
    }
}

#[cfg(test)]
mod tests {
    use domain::AuditEvent;
    use jiff::Timestamp;

    use super::*;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn log(length: u64) -> Vec<AuditEntry> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        for number in 0..length {
            let event = AuditEvent {
                organization: organization(1),
                actor: "system".into(),
                action: "connection.created".into(),
                target: format!("conn_{number}"),
                ip: None,
                at: Timestamp::UNIX_EPOCH,
            };
            entries.push(AuditEntry::following(entries.last(), event));
        }
        entries
    }

    fn verdict(entries: Vec<AuditEntry>) -> ChainVerdict {
        let mut walk = Walk { organization: organization(1), last: None };
        match entries.into_iter().try_for_each(|entry| walk.step(entry)) {
            Ok(()) => walk.intact(),
            Err(broken) => broken,
        }
    }

    #[test]
    fn an_untouched_log_is_intact() {
        let entries = log(5);
        let last_hash = entries[4].hash;
        assert_eq!(verdict(entries), ChainVerdict::Intact { entry_count: 5, last_hash });
        assert_eq!(
            verdict(Vec::new()),
            ChainVerdict::Intact { entry_count: 0, last_hash: [0; 32] }
        );
    }

    #[test]
    fn the_first_touched_place_is_named() {
        type Change = fn(&mut Vec<AuditEntry>);
        let changes: [(&str, Change, u64); 6] = [
            ("changed", |entries| entries[2].event.actor = "somebody".into(), 3),
            ("removed", |entries| drop(entries.remove(2)), 3),
            ("removed at the start", |entries| drop(entries.remove(0)), 1),
            ("swapped", |entries| entries.swap(1, 2), 2),
            ("repeated", |entries| entries.insert(2, entries[1].clone()), 3),
            ("renumbered", |entries| entries[3].sequence = 9, 4),
        ];
        for (name, change, sequence) in changes {
            let mut entries = log(5);
            change(&mut entries);
            assert_eq!(verdict(entries), ChainVerdict::Broken { sequence }, "{name}");
        }
    }

    #[test]
    fn a_rewritten_entry_breaks_the_one_after_it() {
        let mut entries = log(5);
        let mut event = entries[1].event.clone();
        event.target = "conn_other".into();
        entries[1] = AuditEntry::following(Some(&entries[0]), event);
        assert_eq!(verdict(entries), ChainVerdict::Broken { sequence: 3 });
    }

    #[test]
    fn another_organizations_entry_does_not_belong() {
        let mut entries = log(1);
        let mut event = entries[0].event.clone();
        event.organization = organization(2);
        entries.push(AuditEntry::following(Some(&entries[0]), event));
        assert_eq!(verdict(entries), ChainVerdict::Broken { sequence: 2 });
    }
}
