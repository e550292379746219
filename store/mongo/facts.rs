//! Facts on MongoDB. A chunk and its checkpoint are one transaction. Heads and bodies are different
//! documents: a body is cut into pieces, because a document holds 16 MB, and has a name of its own,
//! so that a piece never comes from another body than the one whose head was read.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection,
    bson::{Document, doc},
};
use uuid::Uuid;

use super::{
    MongoStore,
    fact_documents::{
        Kind, PieceId, RunId, StoredBlock, StoredCheckpoint, StoredCrossing, StoredPiece,
        StoredRun, StoredWindow, WindowId, block_place, crossing_place, piece_place, run_place,
        window_place,
    },
    failure::Attempt,
    stored::{binary, bound, bug, corrupt, count, limit as at_most, shard_id, stored_count},
    transaction::atomically,
};
use crate::{
    Facts, Result,
    facts::{
        BlockQuery, Checkpoint, CrossingRecord, FactsBlock, FactsChunk, IdRunRecord, Projected,
        WindowChange, WindowRecord, is_after, stored_i128,
    },
    journal::Shard,
};

const PIECE_BYTES: usize = 1 << 20;
/// How many blocks one transaction removes.
const REMOVED_COUNT_MAX: usize = 16;

impl MongoStore {
    fn fact_checkpoints(&self) -> Collection<StoredCheckpoint> {
        self.collection("fact_checkpoints")
    }

    fn fact_blocks(&self) -> Collection<StoredBlock> {
        self.collection("fact_blocks")
    }

    fn fact_bodies(&self) -> Collection<StoredPiece> {
        self.collection("fact_bodies")
    }

    fn fact_id_runs(&self) -> Collection<StoredRun> {
        self.collection("fact_id_runs")
    }

    fn fact_windows(&self) -> Collection<StoredWindow> {
        self.collection("fact_windows")
    }

    fn fact_crossings(&self) -> Collection<StoredCrossing> {
        self.collection("fact_crossings")
    }

    async fn try_checkpoint(
        &self,
        session: &mut ClientSession,
        shard: Shard,
    ) -> Attempt<Checkpoint> {
        let checkpoints = self.fact_checkpoints();
        let found = checkpoints.find_one(doc! { "_id": shard_id(shard) }).session(session).await?;
        Ok(found.map_or(Ok(Checkpoint::BEGINNING), StoredCheckpoint::read)?)
    }

    async fn try_project(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        (from, to): (Checkpoint, Checkpoint),
        chunk: &FactsChunk,
    ) -> Attempt<Projected> {
        if !self.move_checkpoint(session, shard, from, to).await? {
            return Ok(Projected::Elsewhere(self.try_checkpoint(session, shard).await?));
        }
        if let Some(block) = &chunk.events {
            self.insert_block(session, shard, Kind::Events, block).await?;
        }
        if let Some(block) = &chunk.sums {
            self.insert_block(session, shard, Kind::Sums, block).await?;
        }
        if let Some(run) = &chunk.ids {
            self.insert_run(session, shard, run).await?;
        }
        self.add_to_windows(session, shard, &chunk.windows).await?;
        let crossings = chunk.crossings.iter().map(|crossing| StoredCrossing::new(shard, crossing));
        let crossings = crossings.collect::<Result<Vec<_>>>()?;
        if !crossings.is_empty() {
            self.fact_crossings().insert_many(crossings).session(&mut *session).await?;
        }
        self.append_all(session, &chunk.audit).await?;
        Ok(Projected::Done)
    }

    /// Moves the checkpoint, only where it is at `from`.
    async fn move_checkpoint(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        from: Checkpoint,
        to: Checkpoint,
    ) -> Attempt<bool> {
        let checkpoints = self.fact_checkpoints();
        let (to_incarnation, to_seq) = (i64::from(to.incarnation), stored_count(to.seq)?);
        let this = doc! {
            "_id": shard_id(shard),
            "incarnation": i64::from(from.incarnation),
            "seq": bound(from.seq),
        };
        let moved = doc! { "$set": { "incarnation": to_incarnation, "seq": to_seq } };
        let moved = checkpoints.update_one(this, moved).session(&mut *session).await?;
        if moved.matched_count > 0 || from != Checkpoint::BEGINNING {
            return Ok(moved.matched_count > 0);
        }
        let id = doc! { "_id": shard_id(shard) };
        if checkpoints.find_one(id).session(&mut *session).await?.is_some() {
            return Ok(false);
        }
        let new =
            StoredCheckpoint { shard: shard_id(shard), incarnation: to_incarnation, seq: to_seq };
        checkpoints.insert_one(new).session(session).await?;
        Ok(true)
    }

    async fn insert_body(&self, session: &mut ClientSession, bytes: &[u8]) -> Attempt<String> {
        let body = Uuid::new_v4().simple().to_string();
        let pieces = (0..).zip(bytes.chunks(PIECE_BYTES)).map(|(piece, bytes)| StoredPiece {
            id: PieceId { body: body.clone(), piece },
            bytes: binary(bytes),
        });
        let pieces: Vec<_> = pieces.collect();
        if !pieces.is_empty() {
            self.fact_bodies().insert_many(pieces).session(session).await?;
        }
        Ok(body)
    }

    async fn remove_bodies(&self, session: &mut ClientSession, bodies: &[String]) -> Attempt<()> {
        for body in bodies {
            let range = doc! { "$gte": piece_place(body, 0), "$lte": piece_place(body, i64::MAX) };
            self.fact_bodies().delete_many(doc! { "_id": range }).session(&mut *session).await?;
        }
        Ok(())
    }

    async fn insert_block(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        kind: Kind,
        block: &FactsBlock,
    ) -> Attempt<()> {
        let body = self.insert_body(session, &block.bytes).await?;
        let stored = StoredBlock::new(shard, kind, block, body)?;
        self.fact_blocks().insert_one(stored).session(session).await?;
        Ok(())
    }

    /// Heads of blocks.
    async fn find_blocks(
        &self,
        session: &mut ClientSession,
        which: Document,
        order: i32,
        most: usize,
    ) -> Attempt<Vec<StoredBlock>> {
        let blocks = self.fact_blocks();
        let found = blocks.find(which).sort(doc! { "_id": order }).limit(at_most(most));
        let mut found = found.session(&mut *session).await?;
        Ok(found.stream(session).try_collect().await?)
    }

    async fn try_read_blocks(
        &self,
        session: &mut ClientSession,
        which: Document,
        order: i32,
        most: usize,
    ) -> Attempt<Vec<FactsBlock>> {
        let mut blocks = Vec::new();
        for head in self.find_blocks(session, which, order, most).await? {
            let body = &head.body;
            let range = doc! { "$gte": piece_place(body, 0), "$lte": piece_place(body, i64::MAX) };
            let bodies = self.fact_bodies();
            let found = bodies.find(doc! { "_id": range }).sort(doc! { "_id": 1 });
            let mut found = found.session(&mut *session).await?;
            let pieces: Vec<StoredPiece> = found.stream(&mut *session).try_collect().await?;
            blocks.push(head.read(joined(pieces))?);
        }
        Ok(blocks)
    }

    async fn read_blocks(
        &self,
        shard: Shard,
        kind: Kind,
        query: BlockQuery,
    ) -> Result<Vec<FactsBlock>> {
        // To the server a limit of 0 means none.
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let which = doc! {
            "_id": {
                "$gte": block_place(shard, kind, 0),
                "$lt": block_place(shard, kind, query.before_seq),
            },
            "at_max": { "$gte": query.start },
            "at_min": { "$lt": query.end },
        };
        atomically!(self, |session| self.try_read_blocks(session, which.clone(), -1, query.limit))
    }

    async fn try_merge_sums(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        replaced: &[u64],
        merged: &FactsBlock,
    ) -> Attempt<bool> {
        let which = doc! {
            "_id": {
                "$gte": block_place(shard, Kind::Sums, merged.first_seq),
                "$lte": block_place(shard, Kind::Sums, u64::MAX),
            },
            "first_seq": { "$lte": bound(merged.last_seq) },
        };
        let stored = self.find_blocks(session, which, 1, replaced.len().saturating_add(1)).await?;
        let places = stored.iter().map(|block| block.id.last_seq);
        let are_these = places.eq(replaced.iter().map(|last_seq| bound(*last_seq)));
        let mut within =
            stored.iter().map(|block| block.is_within(merged.first_seq, merged.last_seq));
        if replaced.is_empty() || !are_these || !within.all(|is_within| is_within) {
            return Ok(false);
        }
        self.delete_blocks_of(session, shard, Kind::Sums, &stored).await?;
        self.insert_block(session, shard, Kind::Sums, merged).await?;
        Ok(true)
    }

    async fn delete_blocks_of(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        kind: Kind,
        blocks: &[StoredBlock],
    ) -> Attempt<()> {
        let places = blocks.iter().map(|block| count(block.id.last_seq));
        let ids = places.map(|place| Ok(block_place(shard, kind, place?)));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let these = doc! { "_id": { "$in": ids } };
        self.fact_blocks().delete_many(these).session(&mut *session).await?;
        let bodies: Vec<_> = blocks.iter().map(|block| block.body.clone()).collect();
        self.remove_bodies(session, &bodies).await
    }

    async fn try_remove_events(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        arrived_before: i64,
    ) -> Attempt<usize> {
        let which = doc! {
            "_id": {
                "$gte": block_place(shard, Kind::Events, 0),
                "$lte": block_place(shard, Kind::Events, u64::MAX),
            },
            "arrived_max": { "$lt": arrived_before },
        };
        let old = self.find_blocks(session, which, 1, REMOVED_COUNT_MAX).await?;
        self.delete_blocks_of(session, shard, Kind::Events, &old).await?;
        Ok(old.len())
    }

    async fn insert_run(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        run: &IdRunRecord,
    ) -> Attempt<()> {
        let body = self.insert_body(session, &run.body).await?;
        let body_bytes = i64::try_from(run.body.len()).map_err(|_| bug("a run is too large"))?;
        let stored = StoredRun {
            id: RunId { shard: shard_id(shard), last_seq: stored_count(run.last_seq)? },
            first_seq: stored_count(run.first_seq)?,
            arrived_max: run.arrived_max,
            body,
            body_bytes,
            head: binary(&run.head),
        };
        self.fact_id_runs().insert_one(stored).session(session).await?;
        Ok(())
    }

    async fn try_id_runs(
        &self,
        session: &mut ClientSession,
        shard: Shard,
    ) -> Attempt<(Checkpoint, Vec<IdRunRecord>)> {
        let range = doc! { "$gte": run_place(shard, 0), "$lte": run_place(shard, u64::MAX) };
        let runs = self.fact_id_runs();
        let found = runs.find(doc! { "_id": range }).sort(doc! { "_id": 1 });
        let mut found = found.session(&mut *session).await?;
        let stored: Vec<StoredRun> = found.stream(&mut *session).try_collect().await?;
        let runs = stored.into_iter().map(StoredRun::read).collect::<Result<_>>()?;
        Ok((self.try_checkpoint(session, shard).await?, runs))
    }

    async fn try_merge_runs(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        replaced: &[u64],
        merged: Option<&IdRunRecord>,
    ) -> Attempt<bool> {
        let ids: Vec<_> = replaced.iter().map(|last_seq| run_place(shard, *last_seq)).collect();
        let these = doc! { "_id": { "$in": ids } };
        let runs = self.fact_id_runs();
        let mut found = runs.find(these.clone()).session(&mut *session).await?;
        let stored: Vec<StoredRun> = found.stream(&mut *session).try_collect().await?;
        if stored.len() != replaced.len() {
            return Ok(false);
        }
        let has_name = |run: &IdRunRecord| {
            let name = (bound(run.first_seq), bound(run.last_seq));
            stored.iter().any(|stored| (stored.first_seq, stored.id.last_seq) == name)
        };
        if merged.is_some_and(has_name) {
            return Err(bug("a merged run of ids has the name of one that it replaces").into());
        }
        runs.delete_many(these).session(&mut *session).await?;
        let bodies: Vec<_> = stored.into_iter().map(|run| run.body).collect();
        self.remove_bodies(session, &bodies).await?;
        if let Some(merged) = merged {
            self.insert_run(session, shard, merged).await?;
        }
        Ok(true)
    }

    /// The server's integers are too small for the sums.
    async fn add_to_windows(
        &self,
        session: &mut ClientSession,
        shard: Shard,
        changes: &[WindowChange],
    ) -> Attempt<()> {
        let place = |change: &WindowChange| window_place(shard, change.policy, change.start_at);
        let ids: Vec<_> = changes.iter().map(place).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let these = doc! { "_id": { "$in": ids } };
        let windows = self.fact_windows();
        let mut found = windows.find(these.clone()).session(&mut *session).await?;
        let mut sums = BTreeMap::new();
        while let Some(stored) = found.next(&mut *session).await.transpose()? {
            sums.insert((stored.id.policy, stored.id.start_at), stored.read()?);
        }
        for change in changes {
            let key = (i64::from(change.policy), change.start_at);
            let sum = change.added_to(sums.remove(&key))?;
            sums.insert(key, sum);
        }
        let new = sums.into_iter().map(|((policy, start_at), sum)| StoredWindow {
            id: WindowId { shard: shard_id(shard), policy, start_at },
            end_at: sum.end_at,
            used: binary(&stored_i128(sum.used)),
            late: binary(&stored_i128(sum.late)),
        });
        windows.delete_many(these).session(&mut *session).await?;
        windows.insert_many(new).session(session).await?;
        Ok(())
    }
}

fn joined(pieces: Vec<StoredPiece>) -> Vec<u8> {
    let pieces: Vec<_> = pieces.into_iter().map(|piece| piece.bytes.bytes).collect();
    pieces.concat()
}

#[async_trait::async_trait]
impl Facts for MongoStore {
    async fn checkpoint(&self, shard: Shard) -> Result<Checkpoint> {
        let found = self.fact_checkpoints().find_one(doc! { "_id": shard_id(shard) }).await?;
        found.map_or(Ok(Checkpoint::BEGINNING), StoredCheckpoint::read)
    }

    async fn project(
        &self,
        shard: Shard,
        from: Checkpoint,
        to: Checkpoint,
        chunk: &FactsChunk,
    ) -> Result<Projected> {
        if !is_after(to, from) {
            return Err(bug("a checkpoint would move back"));
        }
        atomically!(self, |session| self.try_project(session, shard, (from, to), chunk))
    }

    async fn event_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>> {
        self.read_blocks(shard, Kind::Events, query).await
    }

    async fn event_block_of(&self, shard: Shard, seq: u64) -> Result<Option<FactsBlock>> {
        let which = doc! {
            "_id": {
                "$gte": block_place(shard, Kind::Events, seq),
                "$lte": block_place(shard, Kind::Events, u64::MAX),
            },
        };
        let found: Vec<FactsBlock> =
            atomically!(self, |session| self.try_read_blocks(session, which.clone(), 1, 1))?;
        Ok(found.into_iter().find(|block| block.first_seq <= seq))
    }

    async fn sum_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>> {
        self.read_blocks(shard, Kind::Sums, query).await
    }

    async fn merge_sums(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: &FactsBlock,
    ) -> Result<bool> {
        atomically!(self, |session| self.try_merge_sums(session, shard, replaced, merged))
    }

    async fn remove_event_blocks(&self, shard: Shard, arrived_before: i64) -> Result<u64> {
        let mut removed_count = 0;
        loop {
            let removed: usize = atomically!(self, |session| {
                self.try_remove_events(session, shard, arrived_before)
            })?;
            removed_count += u64::try_from(removed).expect("a count fits");
            if removed < REMOVED_COUNT_MAX {
                return Ok(removed_count);
            }
        }
    }

    async fn id_runs(&self, shard: Shard) -> Result<(Checkpoint, Vec<IdRunRecord>)> {
        atomically!(self, |session| self.try_id_runs(session, shard))
    }

    async fn id_run_piece(
        &self,
        shard: Shard,
        (first_seq, last_seq): (u64, u64),
        offset: usize,
        length: usize,
    ) -> Result<Option<Vec<u8>>> {
        let this = doc! { "_id": run_place(shard, last_seq), "first_seq": bound(first_seq) };
        let runs = self.fact_id_runs();
        let Some(run) = runs.find_one(this).await? else { return Ok(None) };
        let end = offset.saturating_add(length);
        let piece = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
        let from = piece_place(&run.body, piece(offset / PIECE_BYTES));
        let to = piece_place(&run.body, piece(end.div_ceil(PIECE_BYTES)));
        let bodies = self.fact_bodies();
        let found = bodies.find(doc! { "_id": { "$gte": from, "$lt": to } });
        let pieces = joined(found.sort(doc! { "_id": 1 }).await?.try_collect().await?);
        let bytes: Vec<u8> = pieces.into_iter().skip(offset % PIECE_BYTES).take(length).collect();
        // Fewer than the head says: the run was merged in between.
        let body_bytes = usize::try_from(run.body_bytes).map_err(|_| corrupt("a run"))?;
        let is_whole = bytes.len() == length.min(body_bytes.saturating_sub(offset));
        Ok(is_whole.then_some(bytes))
    }

    async fn merge_id_runs(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: Option<&IdRunRecord>,
    ) -> Result<bool> {
        atomically!(self, |session| self.try_merge_runs(session, shard, replaced, merged))
    }

    async fn windows(
        &self,
        shard: Shard,
        policy: u32,
        before: i64,
        limit: usize,
    ) -> Result<Vec<WindowRecord>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let from = window_place(shard, policy, i64::MIN);
        let range = doc! { "$gte": from, "$lt": window_place(shard, policy, before) };
        let windows = self.fact_windows();
        let found = windows.find(doc! { "_id": range }).sort(doc! { "_id": -1 });
        let stored: Vec<_> = found.limit(at_most(limit)).await?.try_collect().await?;
        stored.iter().map(StoredWindow::read).collect()
    }

    async fn crossings(
        &self,
        shard: Shard,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<CrossingRecord>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let to = crossing_place(shard, (u64::MAX, u32::MAX));
        let range = doc! { "$gt": crossing_place(shard, after), "$lte": to };
        let crossings = self.fact_crossings();
        let found = crossings.find(doc! { "_id": range }).sort(doc! { "_id": 1 });
        let stored: Vec<StoredCrossing> = found.limit(at_most(limit)).await?.try_collect().await?;
        stored.into_iter().map(StoredCrossing::read).collect()
    }
}
