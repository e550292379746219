//! End users on MongoDB: one document for each, and one for each shard's last number. Two calls
//! that number somebody new collide in the latter, so that the second sees what the first did.

use std::collections::{BTreeMap, BTreeSet};

use domain::AuditEvent;
use futures::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection,
    bson::{Document, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{bug, count, known, stored_count},
    transaction::atomically,
};
use crate::{EndUsers, Result, journal::Shard};

#[derive(Serialize, Deserialize)]
struct StoredEndUser {
    organization: String,
    environment: String,
    external_id: String,
    number: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredCounter {
    organization: String,
    environment: String,
    last_number: i64,
}

/// Numbers by external ids.
type Numbers = BTreeMap<String, u64>;

fn of(shard: Shard) -> Document {
    doc! {
        "organization": shard.organization.to_string(),
        "environment": shard.environment.as_str(),
    }
}

fn of_ids(shard: Shard, ids: &[String]) -> Document {
    let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut which = of(shard);
    which.insert("external_id", doc! { "$in": ids.into_iter().collect::<Vec<_>>() });
    which
}

fn of_id(shard: Shard, id: &str) -> Document {
    let mut which = of(shard);
    which.insert("external_id", id);
    which
}

/// The numbers of ids, in order, where all have one.
fn all_of(numbers: &Numbers, ids: &[String]) -> Option<Vec<u64>> {
    ids.iter().map(|id| numbers.get(id).copied()).collect()
}

fn numbers_of(users: Vec<StoredEndUser>) -> Result<Numbers> {
    users.into_iter().map(|user| Ok((user.external_id, count(user.number)?))).collect()
}

impl MongoStore {
    fn end_user_documents(&self) -> Collection<StoredEndUser> {
        self.collection("end_users")
    }

    fn end_user_counters(&self) -> Collection<StoredCounter> {
        self.collection("end_user_counters")
    }

    async fn try_number(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        ids: &[String],
    ) -> Attempt<Vec<u64>> {
        let users = self.end_user_documents();
        let mut found = users.find(of_ids(shard, ids)).session(&mut *session).await?;
        let found: Vec<_> = found.stream(session).try_collect().await?;
        let mut numbers = numbers_of(found)?;
        let unknown: BTreeSet<&String> =
            ids.iter().filter(|id| !numbers.contains_key(*id)).collect();
        if !unknown.is_empty() {
            let unknown_count = u64::try_from(unknown.len()).unwrap_or(u64::MAX);
            let next = doc! { "$inc": { "last_number": stored_count(unknown_count)? } };
            let counters = self.end_user_counters();
            let counter = counters.find_one_and_update(of(shard), next).upsert(true);
            let counter = counter.return_document(ReturnDocument::After).session(&mut *session);
            let last = count(known(counter.await?, "a counter of end users")?.last_number)?;
            let mut made = vec![];
            for (number, id) in
                (last.saturating_sub(unknown_count).saturating_add(1)..).zip(unknown)
            {
                numbers.insert(id.clone(), number);
                made.push(StoredEndUser {
                    organization: shard.organization.to_string(),
                    environment: shard.environment.as_str().to_owned(),
                    external_id: id.clone(),
                    number: stored_count(number)?,
                });
            }
            users.insert_many(made).session(session).await?;
        }
        let all = all_of(&numbers, ids);
        Ok(all.ok_or_else(|| bug("an end user was not numbered"))?)
    }

    async fn try_forget(
        &self,
        session: &mut ClientSession,
        which: Document,
        audit: &AuditEvent,
    ) -> Attempt<bool> {
        let gone = self.end_user_documents().delete_one(which).session(&mut *session).await?;
        if gone.deleted_count == 0 {
            return Ok(false);
        }
        self.append(session, audit).await?;
        Ok(true)
    }
}

#[async_trait::async_trait]
impl EndUsers for MongoStore {
    async fn end_user_numbers(&self, shard: Shard, external_ids: &[String]) -> Result<Vec<u64>> {
        let found = self.end_user_documents().find(of_ids(shard, external_ids)).await?;
        let numbers = numbers_of(found.try_collect().await?)?;
        if let Some(known) = all_of(&numbers, external_ids) {
            return Ok(known);
        }
        atomically!(self, |session| self.try_number(session, shard, external_ids))
    }

    async fn end_user_names(&self, shard: Shard, numbers: &[u64]) -> Result<Vec<Option<String>>> {
        // Numbers beyond are never given.
        let asked: BTreeSet<i64> =
            numbers.iter().filter_map(|number| i64::try_from(*number).ok()).collect();
        let mut which = of(shard);
        which.insert("number", doc! { "$in": asked.into_iter().collect::<Vec<_>>() });
        let found = self.end_user_documents().find(which).await?;
        let users: Vec<StoredEndUser> = found.try_collect().await?;
        let mut names = BTreeMap::new();
        for user in users {
            names.insert(count(user.number)?, user.external_id);
        }
        Ok(numbers.iter().map(|number| names.get(number).cloned()).collect())
    }

    async fn find_end_user(&self, shard: Shard, external_id: &str) -> Result<Option<u64>> {
        let found = self.end_user_documents().find_one(of_id(shard, external_id)).await?;
        found.map(|user| count(user.number)).transpose()
    }

    async fn forget_end_user(
        &self,
        shard: Shard,
        external_id: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let which = of_id(shard, external_id);
        atomically!(self, |session| self.try_forget(session, which.clone(), audit))
    }
}
