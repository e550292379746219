//! The journal on MongoDB: one document for each entry, whose `_id` is its place, and one for each
//! shard with the incarnation that counts and the floor.
//!
//! No transactions: that `_id` is unique decides who wrote. An append is an insert with majority
//! and journal, followed in the same causally consistent session by a look at the shard's document:
//! without it a node that was paused through a truncation could write into the truncated past and
//! be believed. Fields of an `_id` have a fixed order and fixed types, because the server compares
//! it as a whole.

use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, DateTime, Document, doc},
    options::ReadConcern,
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::is_duplicate,
    stored::{big, binary, bound, bug, count, from_big, known, shard_id, shard_of, stored_count},
};
use crate::{
    Journal, Result, StoreError, StoreErrorKind,
    journal::{Appended, ENTRY_BYTES_MAX, JournalEntry, Shard, Tail},
};

/// Longer than the server waits for its majority: by then its answer is lost.
const APPEND_SECONDS_MAX: u64 = 20;
const READ_TIME_MAX: Duration = Duration::from_secs(10);
/// A linearizable read without a limit waits for ever where no majority is left.
const LINEARIZABLE_TIME_MAX: Duration = Duration::from_secs(5);
/// How many entries one delete of a truncation takes.
const TRUNCATED_COUNT_MAX: i64 = 1000;

#[derive(Serialize, Deserialize)]
struct EntryId {
    shard: String,
    incarnation: i64,
    seq: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    #[serde(rename = "_id")]
    id: EntryId,
    batch: Binary,
    previous: Binary,
    bytes: Binary,
}

impl StoredEntry {
    fn new(shard: Shard, incarnation: u32, entry: &JournalEntry) -> Result<StoredEntry> {
        let incarnation = i64::from(incarnation);
        Ok(StoredEntry {
            id: EntryId { shard: shard_id(shard), incarnation, seq: stored_count(entry.seq)? },
            batch: big(entry.batch),
            previous: big(entry.previous),
            bytes: binary(&entry.bytes),
        })
    }

    fn read(self) -> Result<JournalEntry> {
        Ok(JournalEntry {
            seq: count(self.id.seq)?,
            batch: from_big(&self.batch)?,
            previous: from_big(&self.previous)?,
            bytes: self.bytes.bytes,
        })
    }
}

/// An entry without its bytes.
#[derive(Deserialize)]
struct EntryHead {
    #[serde(rename = "_id")]
    id: EntryId,
    batch: Binary,
}

/// Which incarnation of a shard's journal counts, and its floor. Where it was begun anew, the floor
/// at first has the batch that its first entry follows.
#[derive(Serialize, Deserialize)]
struct StoredShard {
    #[serde(rename = "_id")]
    id: String,
    incarnation: i64,
    floor: i64,
    begun_after: i64,
    begun_after_batch: Binary,
}

impl StoredShard {
    fn new(shard: Shard) -> StoredShard {
        StoredShard {
            id: shard_id(shard),
            incarnation: 1,
            floor: 0,
            begun_after: 0,
            begun_after_batch: big(0),
        }
    }

    fn incarnation(&self) -> Result<u32> {
        known(u32::try_from(self.incarnation).ok(), "a journal's incarnation")
    }

    /// Whether an entry at this place would mean nothing.
    fn is_void(&self, incarnation: u32, seq: u64) -> bool {
        self.incarnation != i64::from(incarnation) || bound(seq) <= self.floor
    }
}

fn place(shard: Shard, incarnation: u32, seq: u64) -> Document {
    doc! { "shard": shard_id(shard), "incarnation": i64::from(incarnation), "seq": bound(seq) }
}

/// Places from after one to another.
fn places(from: Document, to: Document) -> Document {
    doc! { "_id": { "$gt": from, "$lte": to } }
}

impl MongoStore {
    fn journal(&self) -> Collection<StoredEntry> {
        self.collection("journal")
    }

    fn heads(&self) -> Collection<EntryHead> {
        self.collection("journal")
    }

    fn journal_shards(&self) -> Collection<StoredShard> {
        self.collection("journal_shards")
    }

    async fn journal_shard(&self, shard: Shard) -> Result<StoredShard> {
        let this = doc! { "_id": shard_id(shard) };
        let found = self.journal_shards().find_one(this).max_time(READ_TIME_MAX).await?;
        Ok(found.unwrap_or_else(|| StoredShard::new(shard)))
    }

    async fn try_append(self, shard: Shard, entry: StoredEntry) -> Result<Appended> {
        let incarnation = known(u32::try_from(entry.id.incarnation).ok(), "an incarnation")?;
        let seq = count(entry.id.seq)?;
        if incarnation == 1 && seq == 1 {
            // Before the entry: a shard that is listed and has none is harmless.
            self.list_shard(shard).await?;
        }
        let mut session = self.client.start_session().causal_consistency(true).await?;
        let appended = self.insert(&mut session, &entry).await?;
        let this = doc! { "_id": shard_id(shard) };
        let shards = self.journal_shards();
        let found = shards.find_one(this).max_time(READ_TIME_MAX).session(&mut session).await;
        // The entry is there, whatever became of the look at the floor.
        let found = found.map_err(|error| super::failure::store_error(error, false));
        let counts = found.map_err(|error| unsure(error.kind()).caused_by(error))?;
        let counts = counts.unwrap_or_else(|| StoredShard::new(shard));
        Ok(if counts.is_void(incarnation, seq) { Appended::Void } else { appended })
    }

    async fn insert(&self, session: &mut ClientSession, entry: &StoredEntry) -> Result<Appended> {
        match self.journal().insert_one(entry).session(&mut *session).await {
            Ok(_) => return Ok(Appended::Stored),
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error.into()),
        }
        // In the session, so that what was just found there is waited for until a majority has it.
        let id = &entry.id;
        let this = doc! {
            "_id": { "shard": &id.shard, "incarnation": id.incarnation, "seq": id.seq },
        };
        let stored = self.heads().find_one(this).max_time(READ_TIME_MAX).session(session).await;
        let stored = stored.map_err(|error| super::failure::store_error(error, false))?;
        // It was there and is not: rolled back, or truncated. Only a repetition tells.
        let stored = stored.ok_or_else(|| unsure(StoreErrorKind::Unavailable))?;
        let is_ours = stored.batch.bytes == entry.batch.bytes;
        Ok(if is_ours { Appended::Repeated } else { Appended::Taken })
    }

    async fn list_shard(&self, shard: Shard) -> Result<()> {
        let StoredShard { id, incarnation, floor, begun_after, begun_after_batch } =
            StoredShard::new(shard);
        let new = doc! {
            "incarnation": incarnation,
            "floor": floor,
            "begun_after": begun_after,
            "begun_after_batch": begun_after_batch,
        };
        let shards = self.journal_shards();
        let listed = shards.update_one(doc! { "_id": id }, doc! { "$setOnInsert": new });
        match listed.upsert(true).await {
            Err(error) if !is_duplicate(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The last entry after a place.
    async fn last_entry_after(
        &self,
        shard: Shard,
        incarnation: u32,
        after: u64,
    ) -> Result<Option<(u64, u128)>> {
        let range = places(place(shard, incarnation, after), place(shard, incarnation, u64::MAX));
        let heads = self.heads();
        let newest = heads.find_one(range).sort(doc! { "_id": -1 });
        let newest = newest.projection(doc! { "batch": 1 }).max_time(READ_TIME_MAX).await?;
        newest.map(|head| Ok((count(head.id.seq)?, from_big(&head.batch)?))).transpose()
    }

    /// Deletes the entries of these places, oldest first.
    async fn delete_entries(&self, from: Document, to: Document) -> Result<()> {
        loop {
            let heads = self.heads();
            let next = heads.find(places(from.clone(), to.clone())).sort(doc! { "_id": 1 });
            let next = next.limit(TRUNCATED_COUNT_MAX).projection(doc! { "batch": 1 }).await?;
            let oldest: Vec<_> = next.try_collect().await?;
            let Some(EntryHead { id: EntryId { shard, incarnation, seq }, .. }) = oldest.last()
            else {
                return Ok(());
            };
            let last = doc! { "shard": shard, "incarnation": incarnation, "seq": seq };
            let these = places(from.clone(), last);
            self.journal()
                .delete_many(these)
                .hint(mongodb::options::Hint::Keys(doc! { "_id": 1 }))
                .await?;
        }
    }
}

/// It may have happened.
fn unsure(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, false, "whether the entry is in the journal is not known")
}

/// An error where nothing certain came in time. The work itself is not cut off: the driver's
/// operations must not be.
async fn within_limit<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let limit = Duration::from_secs(APPEND_SECONDS_MAX);
    match tokio::time::timeout(limit, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(stopped)) => Err(unsure(StoreErrorKind::Bug).caused_by(stopped)),
        Err(elapsed) => Err(unsure(StoreErrorKind::Timeout).caused_by(elapsed)),
    }
}

#[async_trait::async_trait]
impl Journal for MongoStore {
    async fn append(
        &self,
        shard: Shard,
        incarnation: u32,
        entry: &JournalEntry,
    ) -> Result<Appended> {
        if entry.bytes.len() > ENTRY_BYTES_MAX {
            return Err(bug("an entry is too large"));
        }
        if entry.seq == 0 {
            return Ok(Appended::Void);
        }
        let entry = StoredEntry::new(shard, incarnation, entry)?;
        let this = MongoStore { client: self.client.clone(), database: self.database.clone() };
        within_limit(this.try_append(shard, entry)).await
    }

    async fn entries(
        &self,
        shard: Shard,
        incarnation: u32,
        after: u64,
        bytes_max: usize,
    ) -> Result<Vec<JournalEntry>> {
        let range = places(place(shard, incarnation, after), place(shard, incarnation, u64::MAX));
        let entries = self.journal();
        let found = entries.find(range).sort(doc! { "_id": 1 }).max_time(READ_TIME_MAX);
        let mut found = found.await?;
        let (mut entries, mut bytes_count) = (Vec::new(), 0_usize);
        while let Some(stored) = found.try_next().await? {
            bytes_count = bytes_count.saturating_add(stored.bytes.bytes.len());
            if bytes_count > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(stored.read()?);
        }
        Ok(entries)
    }

    async fn tail(&self, shard: Shard) -> Result<Tail> {
        let stored = self.journal_shard(shard).await?;
        let incarnation = stored.incarnation()?;
        // What somebody late wrote where the incarnation began, or before, means nothing.
        let begun_after = count(stored.begun_after)?;
        let last = self.last_entry_after(shard, incarnation, begun_after).await?;
        let (seq, batch) = match last {
            Some(last) => last,
            None => (begun_after, from_big(&stored.begun_after_batch)?),
        };
        Ok(Tail { incarnation, seq, batch, floor: count(stored.floor)? })
    }

    async fn is_free(&self, shard: Shard, incarnation: u32, seq: u64) -> Result<bool> {
        let this = doc! { "_id": place(shard, incarnation, seq) };
        let (heads, shards) = (self.heads(), self.journal_shards());
        let entry = heads.find_one(this).read_concern(ReadConcern::linearizable());
        let counts = shards.find_one(doc! { "_id": shard_id(shard) });
        let counts = counts.read_concern(ReadConcern::linearizable());
        let (entry, counts) = futures::future::try_join(
            entry.max_time(LINEARIZABLE_TIME_MAX).into_future(),
            counts.max_time(LINEARIZABLE_TIME_MAX).into_future(),
        )
        .await?;
        let counts = counts.unwrap_or_else(|| StoredShard::new(shard));
        Ok(entry.is_none() && !counts.is_void(incarnation, seq))
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        let found = self.journal_shards().find(doc! {}).await?;
        let stored: Vec<_> = found.try_collect().await?;
        let mut shards: Vec<_> =
            stored.iter().map(|stored| shard_of(&stored.id)).collect::<Result<_>>()?;
        shards.sort_unstable();
        Ok(shards)
    }

    async fn truncate(&self, shard: Shard, incarnation: u32, floor: u64) -> Result<()> {
        let stored = self.journal_shard(shard).await?;
        let last = self.last_entry_after(shard, incarnation, count(stored.begun_after)?).await?;
        let Some((last, _)) = last.filter(|_| stored.incarnation == i64::from(incarnation)) else {
            return Ok(());
        };
        // The floor first: whoever writes below it from now on is told so.
        let this = doc! { "_id": shard_id(shard), "incarnation": i64::from(incarnation) };
        let raised = doc! { "$max": { "floor": bound(floor.min(last)) } };
        if self.journal_shards().update_one(this, raised).await?.matched_count == 0 {
            return Ok(());
        }
        let floor = count(self.journal_shard(shard).await?.floor)?;
        let to = floor.min(last.saturating_sub(1));
        // Former incarnations sort before this one.
        self.delete_entries(place(shard, 0, 0), place(shard, incarnation, to)).await
    }

    async fn begin_incarnation(
        &self,
        shard: Shard,
        from: u32,
        seq: u64,
        batch: u128,
    ) -> Result<bool> {
        if from == 1 {
            self.list_shard(shard).await?;
        }
        let seq = stored_count(seq)?;
        let this = doc! { "_id": shard_id(shard), "incarnation": i64::from(from) };
        let next = doc! {
            "incarnation": i64::from(from) + 1,
            "floor": seq,
            "begun_after": seq,
            "begun_after_batch": big(batch),
        };
        let begun = self.journal_shards().update_one(this, doc! { "$set": next }).await?;
        Ok(begun.matched_count > 0)
    }

    async fn store_time_micros(&self) -> Result<i64> {
        let hello = self.database.run_command(doc! { "hello": 1 }).await?;
        let now = known(hello.get_datetime("localTime").ok(), "the server's clock")?;
        Ok(DateTime::timestamp_millis(*now).saturating_mul(1000))
    }
}
