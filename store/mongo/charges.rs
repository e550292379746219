//! Batches of charges on MongoDB: one document each, whose state decides whether its blocks are
//! seen.
//!
//! So a commit or a removal changes one document however many blocks there are. Blocks of a removed
//! batch are deleted afterwards; what a crash leaves of them is swept with the next removal or at
//! the next start.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::{AuditEvent, BatchId, ConnectionId, FileId, OrganizationId};
use futures::TryStreamExt as _;
use jiff::{Timestamp, civil::Date};
use mongodb::{
    ClientSession, Collection,
    bson::{Document, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::{Attempt, is_duplicate},
    stored::{count, known},
    syncs::Advance,
    transaction::atomically,
};
use crate::{
    Charges, Result,
    charges::{
        BatchSource, Block, BlockInfo, BlockKey, ColumnGroup, Commit, CommitWith, Committed,
        NewBatch,
    },
};

const STAGED: &str = "staged";
const COMMITTED: &str = "committed";
const REMOVED: &str = "removed";
/// How many removed batches are swept at a time.
const SWEEP_COUNT_MAX: i64 = 200;

#[derive(Serialize, Deserialize)]
struct StoredBatch {
    #[serde(rename = "_id")]
    id: String,
    organization: String,
    source: String,
    state: String,
    /// Its place in the organization's order of commits, once it has one.
    generation: Option<i64>,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredGeneration {
    last: i64,
}

/// A batch that is seen: its generation and source.
type Visible = (u64, BatchSource);

/// How many batches of a source were hidden.
pub(super) struct Hidden {
    visible_count: u64,
    staged_count: u64,
}

impl StoredBatch {
    fn new(batch: &NewBatch) -> StoredBatch {
        StoredBatch {
            id: batch.id.to_string(),
            organization: batch.organization.to_string(),
            source: source_text(batch.source),
            state: STAGED.to_owned(),
            generation: None,
            created_at: batch.created_at.as_microsecond(),
        }
    }

    fn read_visible(self) -> Result<(String, Visible)> {
        let generation = count(known(self.generation, "a batch's generation")?)?;
        Ok((self.id, (generation, known(source(&self.source), "a batch's source")?)))
    }
}

/// Ids say by their prefix what they are of.
fn source_text(source: BatchSource) -> String {
    match source {
        BatchSource::Connection(id) => id.to_string(),
        BatchSource::File(id) => id.to_string(),
    }
}

fn source(text: &str) -> Option<BatchSource> {
    let connection = ConnectionId::parse(text).ok().map(BatchSource::Connection);
    connection.or_else(|| FileId::parse(text).ok().map(BatchSource::File))
}

fn of(organization: OrganizationId, batch: BatchId) -> Document {
    doc! { "_id": batch.to_string(), "organization": organization.to_string() }
}

fn staged(organization: OrganizationId, batch: BatchId) -> Document {
    let mut this = of(organization, batch);
    this.insert("state", STAGED);
    this
}

impl MongoStore {
    fn batches(&self) -> Collection<StoredBatch> {
        self.collection("charge_batches")
    }

    fn generations(&self) -> Collection<StoredGeneration> {
        self.collection("generations")
    }

    /// Whether a batch is still staged; if so it stays that until this transaction is committed.
    pub(super) async fn keep_staged(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        batch: BatchId,
    ) -> Attempt<bool> {
        let touched = doc! { "$inc": { "put_count": 1_i64 } };
        let batches = self.batches();
        let update = batches.update_one(staged(organization, batch), touched);
        Ok(update.session(session).await?.matched_count == 1)
    }

    /// Makes all batches of a source unseen, as a part of a transaction.
    pub(super) async fn hide_batches(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        source: BatchSource,
    ) -> Attempt<Hidden> {
        let removed = doc! { "$set": { "state": REMOVED } };
        let mut which = doc! {
            "organization": organization.to_string(),
            "source": source_text(source),
            "state": COMMITTED,
        };
        let batches = self.batches();
        let update = batches.update_many(which.clone(), removed.clone());
        let visible_count = update.session(&mut *session).await?.modified_count;
        which.insert("state", STAGED);
        let update = batches.update_many(which, removed);
        let staged_count = update.session(session).await?.modified_count;
        Ok(Hidden { visible_count, staged_count })
    }

    /// Deletes what removed batches leave. It changes nothing that anybody sees, so a failure is no
    /// failure of the caller's: the next sweep goes on.
    pub(super) async fn sweep_batches(&self) {
        if let Err(error) = self.try_sweep().await {
            tracing::warn!(%error, "cannot delete the blocks of removed batches yet");
        }
    }

    async fn try_sweep(&self) -> Result<()> {
        loop {
            let documents = self.batches();
            let removed = documents.find(doc! { "state": REMOVED }).limit(SWEEP_COUNT_MAX);
            let batches: Vec<_> = removed.await?.try_collect().await?;
            if batches.is_empty() {
                return Ok(());
            }
            let ids: Vec<_> = batches.into_iter().map(|batch| batch.id).collect();
            self.delete_blocks(&ids).await?;
            // Last, so that a sweep that is cut short is taken up again.
            documents.delete_many(doc! { "_id": { "$in": ids } }).await?;
        }
    }

    async fn try_commit(&self, session: &mut ClientSession, commit: &Commit) -> Attempt<Committed> {
        if let Some(batch) = commit.batch {
            let this = of(commit.organization, batch);
            let found = self.batches().find_one(this).session(&mut *session).await?;
            match found.as_ref().map(|batch| batch.state.as_str()) {
                Some(COMMITTED) => return Ok(Committed::Committed),
                Some(STAGED) => {}
                _ => return Ok(Committed::Refused),
            }
        }
        // A refusal leaves nothing behind but a count on the job's document, which means nothing.
        let holds = self.hold(session, &commit.lease).await?;
        if !holds || !self.record_progress(session, commit).await? {
            return Ok(Committed::Refused);
        }
        if let Some(batch) = commit.batch {
            self.show_batch(session, commit.organization, batch).await?;
        }
        Ok(Committed::Committed)
    }

    /// What a commit changes besides its batch; `false` where the sync or file is not there to
    /// change.
    async fn record_progress(&self, session: &mut ClientSession, commit: &Commit) -> Attempt<bool> {
        match &commit.with {
            CommitWith::Sync { sync, feed, done_through, charges_written } => {
                let advance = Advance {
                    sync: *sync,
                    organization: commit.organization,
                    feed,
                    done_through: *done_through,
                    charges_written: *charges_written,
                    has_batch: commit.batch.is_some(),
                };
                self.advance_sync(session, &advance).await
            }
            CommitWith::File { file, report, finished_at } => {
                let of = (commit.organization, *file);
                self.finish_file(session, of, report, *finished_at).await
            }
        }
    }

    async fn show_batch(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        batch: BatchId,
    ) -> Attempt<()> {
        let theirs = doc! { "_id": organization.to_string() };
        let next = doc! { "$inc": { "last": 1_i64 } };
        let generation = self
            .generations()
            .find_one_and_update(theirs, next)
            .upsert(true)
            .return_document(ReturnDocument::After)
            .session(&mut *session)
            .await?;
        let generation = known(generation, "the count of generations")?.last;
        let shown = doc! { "$set": { "state": COMMITTED, "generation": generation } };
        let this = staged(organization, batch);
        self.batches().update_one(this, shown).session(session).await?;
        Ok(())
    }

    /// The batches among these that are seen.
    async fn visible_batches(
        &self,
        session: &mut ClientSession,
        ids: Vec<&str>,
    ) -> Attempt<BTreeMap<String, Visible>> {
        let seen = doc! { "_id": { "$in": ids }, "state": COMMITTED };
        let mut found = self.batches().find(seen).session(&mut *session).await?;
        let batches: Vec<_> = found.stream(session).try_collect().await?;
        Ok(batches.into_iter().map(StoredBatch::read_visible).collect::<Result<_>>()?)
    }

    async fn try_visible(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        (first, last): (Date, Date),
    ) -> Attempt<Vec<BlockInfo>> {
        let blocks = self.blocks_of_days(session, organization, first, last).await?;
        let mut ids: Vec<_> = blocks.iter().map(|block| block.batch.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let batches = self.visible_batches(session, ids).await?;
        let mut infos = Vec::with_capacity(blocks.len());
        for block in blocks {
            if let Some((generation, source)) = batches.get(&block.batch) {
                infos.push(block.read(*generation, *source)?);
            }
        }
        infos.sort_by(|a, b| (&a.key, a.generation).cmp(&(&b.key, b.generation)));
        Ok(infos)
    }
}

#[async_trait::async_trait]
impl Charges for MongoStore {
    async fn begin_batch(&self, batch: &NewBatch) -> Result<()> {
        match self.batches().insert_one(StoredBatch::new(batch)).await {
            Err(error) if !is_duplicate(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn put_blocks(
        &self,
        organization: OrganizationId,
        batch: BatchId,
        blocks: &[Block],
    ) -> Result<()> {
        self.stage_blocks(organization, batch, blocks).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed> {
        atomically!(self, |session| self.try_commit(session, commit))
    }

    async fn abandon_batch(&self, organization: OrganizationId, batch: BatchId) -> Result<()> {
        let removed = doc! { "$set": { "state": REMOVED } };
        self.batches().update_one(staged(organization, batch), removed).await?;
        self.sweep_batches().await;
        Ok(())
    }

    async fn abandon_staged(&self, source: BatchSource, before: Timestamp) -> Result<u64> {
        let left = doc! {
            "source": source_text(source),
            "state": STAGED,
            "created_at": { "$lt": before.as_microsecond() },
        };
        let removed = doc! { "$set": { "state": REMOVED } };
        let abandoned = self.batches().update_many(left, removed).await?;
        self.sweep_batches().await;
        Ok(abandoned.modified_count)
    }

    async fn remove_batches(
        &self,
        organization: OrganizationId,
        source: BatchSource,
        audit: &AuditEvent,
    ) -> Result<u64> {
        let count = atomically!(self, |session| async {
            let hidden = self.hide_batches(session, organization, source).await?;
            if hidden.visible_count + hidden.staged_count > 0 {
                self.append(session, audit).await?;
            }
            Ok(hidden.visible_count)
        })?;
        self.sweep_batches().await;
        Ok(count)
    }

    async fn visible_blocks(
        &self,
        organization: OrganizationId,
        first: Date,
        last: Date,
    ) -> Result<Vec<BlockInfo>> {
        let days = (first, last);
        atomically!(self, |session| self.try_visible(session, organization, days))
    }

    async fn block_columns(
        &self,
        organization: OrganizationId,
        blocks: &[(BatchId, BlockKey)],
        group: ColumnGroup,
    ) -> Result<Vec<Option<Bytes>>> {
        let mut ids: Vec<_> = blocks.iter().map(|(batch, _)| batch.to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        let theirs = doc! { "_id": { "$in": ids }, "organization": organization.to_string() };
        let batches: Vec<_> = self.batches().find(theirs).await?.try_collect().await?;
        let seen = batches.into_iter().filter(|batch| batch.state == COMMITTED);
        let seen: BTreeSet<_> = seen.map(|batch| batch.id).collect();
        self.read_columns(organization, blocks, group, &seen).await
    }
}
