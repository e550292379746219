//! The audit log in SQLite. Every mutation appends through [`append`] in its own transaction, so an
//! entry and what it speaks of are stored together or not at all.

use domain::{AuditEntry, AuditEvent, OrganizationId};
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    database::{Fields, all, change, first, micros, stored_count},
};
use crate::{AuditLog, Result};

#[async_trait::async_trait]
impl AuditLog for SqliteStore {
    async fn append_audit(&self, event: &AuditEvent) -> Result<AuditEntry> {
        let event = event.clone();
        self.write(move |db| append(db, &event)).await
    }

    async fn audit_entries(
        &self,
        organization: OrganizationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let sql = "SELECT * FROM audit_entries WHERE organization = ? AND sequence > ?
                   ORDER BY sequence LIMIT ?";
        // Beyond the largest sequence there is nothing, so cutting the number there is exact.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = stored_count(limit)?;
        self.read(move |db| all(db, sql, params![organization.to_string(), after, limit], entry_of))
            .await
    }

    async fn audit_entries_back(
        &self,
        organization: OrganizationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let sql = "SELECT * FROM audit_entries WHERE organization = ? AND sequence < ?
                   ORDER BY sequence DESC LIMIT ?";
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
        let limit = stored_count(limit)?;
        self.read(move |db| {
            all(db, sql, params![organization.to_string(), before, limit], entry_of)
        })
        .await
    }
}

/// Appends an event, as part of the mutation that it speaks of.
pub(super) fn append(db: &Connection, event: &AuditEvent) -> Result<AuditEntry> {
    let sql = "SELECT * FROM audit_entries WHERE organization = ? ORDER BY sequence DESC LIMIT 1";
    let last = first(db, sql, [event.organization.to_string()], entry_of)?;
    let entry = AuditEntry::following(last.as_ref(), event.clone());
    let AuditEvent { organization, actor, action, target, ip, at } = &entry.event;
    change(
        db,
        "INSERT INTO audit_entries
         (organization, sequence, actor, action, target, ip, at, previous_hash, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            organization.to_string(),
            stored_count(entry.sequence)?,
            actor,
            action,
            target,
            ip,
            micros(*at),
            entry.previous_hash,
            entry.hash,
        ],
    )?;
    Ok(entry)
}

fn entry_of(row: &Fields<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        sequence: row.count("sequence")?,
        event: AuditEvent {
            organization: row.parsed("organization", OrganizationId::parse)?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            target: row.get("target")?,
            ip: row.get("ip")?,
            at: row.instant("at")?,
        },
        previous_hash: row.get("previous_hash")?,
        hash: row.get("hash")?,
    })
}
