//! The audit log on MongoDB: one document for each entry.
//!
//! The unique index on organization and sequence makes two appends at one place collide, whereupon
//! one of the two transactions starts over behind the other. So the chain has neither forks nor
//! gaps.

use std::collections::BTreeMap;

use domain::{AuditEntry, AuditEvent, OrganizationId};
use futures::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{binary, bound, count, digest, instant, known, limit as at_most, stored_count},
    transaction::atomically,
};
use crate::{AuditLog, Result};

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    organization: String,
    sequence: i64,
    actor: String,
    action: String,
    target: String,
    ip: Option<String>,
    at: i64,
    previous_hash: Binary,
    hash: Binary,
}

impl StoredEntry {
    fn new(entry: &AuditEntry) -> Result<StoredEntry> {
        let event = &entry.event;
        Ok(StoredEntry {
            organization: event.organization.to_string(),
            sequence: stored_count(entry.sequence)?,
            actor: event.actor.clone(),
            action: event.action.clone(),
            target: event.target.clone(),
            ip: event.ip.clone(),
            at: event.at.as_microsecond(),
            previous_hash: binary(&entry.previous_hash),
            hash: binary(&entry.hash),
        })
    }

    fn read(self) -> Result<AuditEntry> {
        let organization = OrganizationId::parse(&self.organization).ok();
        Ok(AuditEntry {
            sequence: count(self.sequence)?,
            event: AuditEvent {
                organization: known(organization, "an audit entry's organization")?,
                actor: self.actor,
                action: self.action,
                target: self.target,
                ip: self.ip,
                at: instant(self.at)?,
            },
            previous_hash: digest(&self.previous_hash)?,
            hash: digest(&self.hash)?,
        })
    }
}

/// The entry of an event in its place. An instant finer than what is stored would not give the same
/// hash when read back.
fn following(last: Option<&AuditEntry>, event: &AuditEvent) -> Result<AuditEntry> {
    let event = AuditEvent { at: instant(event.at.as_microsecond())?, ..event.clone() };
    Ok(AuditEntry::following(last, event))
}

impl MongoStore {
    fn entries(&self) -> Collection<StoredEntry> {
        self.collection("audit_entries")
    }

    /// Appends an event as a part of the transaction that does what it tells of.
    pub(super) async fn append(
        &self,
        session: &mut ClientSession,
        event: &AuditEvent,
    ) -> Attempt<AuditEntry> {
        let last = self.last_entry(session, event.organization).await?;
        let entry = following(last.as_ref(), event)?;
        self.entries().insert_one(StoredEntry::new(&entry)?).session(session).await?;
        Ok(entry)
    }

    /// Appends events in their order, of which each belongs to its organization's chain.
    pub(super) async fn append_all(
        &self,
        session: &mut ClientSession,
        events: &[AuditEvent],
    ) -> Attempt<()> {
        let mut last_ones = BTreeMap::new();
        let mut new = Vec::new();
        for event in events {
            let last = match last_ones.remove(&event.organization) {
                Some(last) => Some(last),
                None => self.last_entry(session, event.organization).await?,
            };
            let entry = following(last.as_ref(), event)?;
            new.push(StoredEntry::new(&entry)?);
            last_ones.insert(event.organization, entry);
        }
        if !new.is_empty() {
            self.entries().insert_many(new).session(session).await?;
        }
        Ok(())
    }

    async fn last_entry(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
    ) -> Attempt<Option<AuditEntry>> {
        let theirs = doc! { "organization": organization.to_string() };
        let entries = self.entries();
        let newest = entries.find_one(theirs).sort(doc! { "sequence": -1 });
        Ok(newest.session(session).await?.map(StoredEntry::read).transpose()?)
    }

    async fn read_entries(
        &self,
        which: Document,
        order: i32,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        // To the server a limit of 0 means none.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let entries = self.entries();
        let found = entries.find(which).sort(doc! { "sequence": order });
        let entries: Vec<_> = found.limit(at_most(limit)).await?.try_collect().await?;
        entries.into_iter().map(StoredEntry::read).collect()
    }
}

#[async_trait::async_trait]
impl AuditLog for MongoStore {
    async fn append_audit(&self, event: &AuditEvent) -> Result<AuditEntry> {
        atomically!(self, |session| self.append(session, event))
    }

    async fn audit_entries(
        &self,
        organization: OrganizationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let organization = organization.to_string();
        let which = doc! { "organization": organization, "sequence": { "$gt": bound(after) } };
        self.read_entries(which, 1, limit).await
    }

    async fn audit_entries_back(
        &self,
        organization: OrganizationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let mut which = doc! { "organization": organization.to_string() };
        if let Some(before) = before {
            which.insert("sequence", doc! { "$lt": bound(before) });
        }
        self.read_entries(which, -1, limit).await
    }
}
