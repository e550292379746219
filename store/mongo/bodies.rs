//! Sealed bodies on MongoDB: one document each.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{big, binary, from_big, instant, known, limit as most},
    transaction::atomically,
};
use crate::{Bodies, Result, bodies::SealedBody, journal::Shard};

#[derive(Serialize, Deserialize)]
struct StoredBody {
    organization: String,
    environment: String,
    body: Binary,
    sealed_at: i64,
    is_claimed: bool,
    data_key_version: i64,
    ciphertext: Binary,
}

/// A body without what is sealed.
#[derive(Deserialize)]
struct StoredId {
    body: Binary,
    sealed_at: i64,
}

impl StoredBody {
    fn new(shard: Shard, body: &SealedBody) -> StoredBody {
        StoredBody {
            organization: shard.organization.to_string(),
            environment: shard.environment.as_str().to_owned(),
            body: big(body.id),
            sealed_at: body.sealed_at.as_microsecond(),
            is_claimed: false,
            data_key_version: i64::from(body.data_key_version),
            ciphertext: binary(&body.ciphertext),
        }
    }

    fn read(self) -> Result<SealedBody> {
        let version = u32::try_from(self.data_key_version).ok();
        Ok(SealedBody {
            id: from_big(&self.body)?,
            sealed_at: instant(self.sealed_at)?,
            data_key_version: known(version, "a body's data key")?,
            ciphertext: self.ciphertext.bytes,
        })
    }
}

fn of(shard: Shard) -> Document {
    doc! {
        "organization": shard.organization.to_string(),
        "environment": shard.environment.as_str(),
    }
}

fn of_ids(shard: Shard, ids: &[u128]) -> Document {
    let mut which = of(shard);
    which.insert("body", doc! { "$in": ids.iter().map(|id| big(*id)).collect::<Vec<_>>() });
    which
}

impl MongoStore {
    fn body_documents(&self) -> Collection<StoredBody> {
        self.collection("bodies")
    }

    fn body_ids(&self) -> Collection<StoredId> {
        self.collection("bodies")
    }

    async fn try_put_bodies(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        bodies: &[SealedBody],
    ) -> Attempt<()> {
        let ids: Vec<_> = bodies.iter().map(|body| body.id).collect();
        let documents = self.body_ids();
        let found = documents.find(of_ids(shard, &ids));
        let found = found.projection(doc! { "body": 1, "sealed_at": 1 });
        let mut found = found.session(&mut *session).await?;
        let mut seen = BTreeSet::new();
        while let Some(stored) = found.stream(&mut *session).try_next().await? {
            seen.insert(from_big(&stored.body)?);
        }
        let new = bodies.iter().filter(|body| seen.insert(body.id));
        let new: Vec<_> = new.map(|body| StoredBody::new(shard, body)).collect();
        if !new.is_empty() {
            self.body_documents().insert_many(new).session(session).await?;
        }
        Ok(())
    }

    async fn try_settle_bodies(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        claimed: &[u128],
        orphaned: &[u128],
    ) -> Attempt<()> {
        let claim = doc! { "$set": { "is_claimed": true } };
        let documents = self.body_documents();
        documents.update_many(of_ids(shard, claimed), claim).session(&mut *session).await?;
        let mut gone = of_ids(shard, orphaned);
        gone.insert("is_claimed", false);
        documents.delete_many(gone).session(session).await?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Bodies for MongoStore {
    async fn put_bodies(&self, shard: Shard, bodies: &[SealedBody]) -> Result<()> {
        if bodies.is_empty() {
            return Ok(());
        }
        atomically!(self, |session| self.try_put_bodies(session, shard, bodies))
    }

    async fn body(&self, shard: Shard, id: u128) -> Result<Option<SealedBody>> {
        let mut which = of(shard);
        which.insert("body", big(id));
        self.body_documents().find_one(which).await?.map(StoredBody::read).transpose()
    }

    async fn unclaimed_bodies(
        &self,
        shard: Shard,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(u128, Timestamp)>> {
        let mut which = of(shard);
        which.insert("is_claimed", false);
        which.insert("sealed_at", doc! { "$lt": before.as_microsecond() });
        let documents = self.body_ids();
        let found = documents.find(which).sort(doc! { "sealed_at": 1, "body": 1 });
        let found = found.projection(doc! { "body": 1, "sealed_at": 1 }).limit(most(limit));
        let found: Vec<StoredId> = found.await?.try_collect().await?;
        found.iter().map(|one| Ok((from_big(&one.body)?, instant(one.sealed_at)?))).collect()
    }

    async fn settle_bodies(&self, shard: Shard, claimed: &[u128], orphaned: &[u128]) -> Result<()> {
        atomically!(self, |session| self.try_settle_bodies(session, shard, claimed, orphaned))
    }

    async fn remove_bodies(&self, shard: Shard, before: Timestamp) -> Result<u64> {
        let mut which = of(shard);
        // Both values are named for the index's sake.
        which.insert("is_claimed", doc! { "$in": [false, true] });
        which.insert("sealed_at", doc! { "$lt": before.as_microsecond() });
        Ok(self.body_documents().delete_many(which).await?.deleted_count)
    }
}
