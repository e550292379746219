//! The store as one node sees it: everything of [`Stored`], through bad weather.
//!
//! Every call has two places at which it may stay for good: before it is done, and after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::facts::{
    BlockQuery, Checkpoint, CrossingRecord, FactsBlock, FactsChunk, IdRunRecord, Projected,
    WindowRecord,
};
use store::journal::{Appended, JournalEntry, Shard, Tail};
use store::nodes::Node;
use store::snapshots::Manifest;
use store::{Facts, Journal, Nodes, Result, Snapshots, StoreError, StoreErrorKind};
use tokio::sync::watch;

use crate::node::SimClock;
use crate::stored::Stored;
use crate::stored_facts::StoredFacts;
use crate::trace::Trace;
use crate::weather::{Fate, Weather};

/// What all nodes share.
pub type Shared = Arc<Mutex<Stored>>;

/// The store as one node sees it, in one life of its process.
pub struct FaultyStore {
    node: usize,
    shared: Shared,
    weather: Arc<Mutex<Weather>>,
    /// The store's own clock.
    clock: SimClock,
    trace: Trace,
    gone: watch::Sender<bool>,
}

/// More calls of one node than any run makes: somebody goes round in circles.
const CALLS_MAX: u64 = 400_000;

/// How long nobody hears of a call before it is given up.
const TIMEOUT: Duration = Duration::from_millis(700);

impl FaultyStore {
    /// The store for a process of `node` that begins now.
    #[must_use]
    pub fn new(
        node: usize,
        shared: Shared,
        weather: Arc<Mutex<Weather>>,
        clock: SimClock,
        trace: Trace,
    ) -> FaultyStore {
        FaultyStore { node, shared, weather, clock, trace, gone: watch::Sender::new(false) }
    }

    /// Ends the process: no call of it comes back any more.
    pub fn end(&self) {
        self.gone.send_replace(true);
    }

    /// Waits until the process is gone.
    pub async fn ended(&self) {
        let mut gone = self.gone.subscribe();
        if gone.wait_for(|gone| *gone).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn alive(&self) {
        if *self.gone.borrow() {
            std::future::pending::<()>().await;
        }
    }

    async fn crash(&self) {
        self.end();
        std::future::pending::<()>().await;
    }

    /// On the way to the store.
    async fn depart(&self, call: &'static str, is_write: bool) -> Fate {
        self.alive().await;
        let (fate, delay) = {
            let mut weather = self.weather();
            assert!(weather.call_count < CALLS_MAX, "node {} goes in circles: {call}", self.node);
            (weather.fate(call, is_write), weather.delay())
        };
        if fate != Fate::Fine {
            self.trace.note(|| format!("n{} {call} {fate:?}", self.node));
        }
        tokio::time::sleep(delay).await;
        match fate {
            Fate::CrashesBefore => self.crash().await,
            Fate::BeginsAfter(more) => tokio::time::sleep(more).await,
            _ => {}
        }
        self.alive().await;
        fate
    }

    /// On the way back.
    async fn arrive(&self, fate: Fate) {
        let delay = self.weather().delay();
        tokio::time::sleep(delay).await;
        match fate {
            Fate::CrashesAfter => self.crash().await,
            Fate::AnswersAfter(more) => tokio::time::sleep(more).await,
            _ => {}
        }
        self.alive().await;
    }

    async fn read<T: Send>(
        &self,
        call: &'static str,
        look: impl FnOnce(&mut Stored) -> T + Send,
    ) -> Result<T> {
        let fate = self.depart(call, false).await;
        if fate == Fate::Fails {
            return Err(StoreError::new(StoreErrorKind::Unavailable, true, "it cannot be reached"));
        }
        let seen = look(&mut self.stored());
        self.arrive(fate).await;
        Ok(seen)
    }

    async fn write<T: Send + std::fmt::Debug + 'static>(
        &self,
        call: &'static str,
        act: impl FnOnce(&mut Stored) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let fate = self.depart(call, true).await;
        match fate {
            Fate::Fails => {
                let why = "it was not even begun";
                return Err(StoreError::new(StoreErrorKind::Unavailable, true, why));
            }
            Fate::NeverLands => return Err(self.no_answer().await),
            Fate::LandsLater(later) => {
                let (shared, trace, node) = (self.shared.clone(), self.trace.clone(), self.node);
                tokio::spawn(async move {
                    tokio::time::sleep(later).await;
                    let landed = act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
                    trace.note(|| format!("n{node} {call} landed late: {landed:?}"));
                });
                return Err(self.no_answer().await);
            }
            _ => {}
        }
        let done = act(&mut self.stored());
        self.trace.note(|| format!("n{} {call} {done:?}", self.node));
        if fate == Fate::LosesAnswer {
            return Err(self.no_answer().await);
        }
        self.arrive(fate).await;
        done
    }

    async fn no_answer(&self) -> StoreError {
        tokio::time::sleep(TIMEOUT).await;
        self.alive().await;
        StoreError::new(StoreErrorKind::Timeout, false, "no answer in time")
    }
}

#[async_trait::async_trait]
impl Journal for FaultyStore {
    async fn append(
        &self,
        shard: Shard,
        incarnation: u32,
        entry: &JournalEntry,
    ) -> Result<Appended> {
        let (entry, clock) = (entry.clone(), self.clock.clone());
        self.trace.note(|| {
            let (node, seq, batch) = (self.node, entry.seq, entry.batch >> 96);
            format!("n{node} appends {:?} {seq} {batch:x}", shard.environment)
        });
        self.write("append", move |all| all.append(shard, incarnation, &entry, clock.micros()))
            .await
    }

    async fn entries(
        &self,
        shard: Shard,
        incarnation: u32,
        after: u64,
        bytes_max: usize,
    ) -> Result<Vec<JournalEntry>> {
        self.read("entries", |all| all.shard(shard).entries(incarnation, after, bytes_max)).await
    }

    async fn tail(&self, shard: Shard) -> Result<Tail> {
        self.read("tail", |all| all.shard(shard).tail()).await
    }

    async fn is_free(&self, shard: Shard, incarnation: u32, seq: u64) -> Result<bool> {
        self.read("is_free", |all| all.shard(shard).is_free(incarnation, seq)).await
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        self.read("shards", |all| all.with_journal()).await
    }

    async fn truncate(&self, shard: Shard, incarnation: u32, floor: u64) -> Result<()> {
        self.trace.note(|| format!("n{} truncates {:?} {floor}", self.node, shard.environment));
        self.write("truncate", move |all| {
            let stored = all.shard(shard);
            let snapshot = stored.newest_snapshot(incarnation).map_or(0, |newest| newest.seq);
            let most = snapshot.min(stored.facts.checkpoint.seq);
            stored.truncate(incarnation, floor);
            if floor > most {
                all.broken.push(format!("truncated to {floor}, needed from {most} on"));
            }
            Ok(())
        })
        .await
    }

    async fn begin_incarnation(
        &self,
        shard: Shard,
        from: u32,
        seq: u64,
        batch: u128,
    ) -> Result<bool> {
        self.write("begin_incarnation", move |all| {
            Ok(all.shard(shard).begin_incarnation(from, seq, batch))
        })
        .await
    }

    async fn store_time_micros(&self) -> Result<i64> {
        let clock = self.clock.clone();
        self.read("store_time", move |_| clock.micros()).await
    }
}

#[async_trait::async_trait]
impl Snapshots for FaultyStore {
    async fn put_snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
        bytes: &[u8],
    ) -> Result<()> {
        let bytes = bytes.to_vec();
        self.write("put_chunk", move |all| {
            all.shard(shard).put_chunk((incarnation, seq), index, bytes);
            Ok(())
        })
        .await
    }

    async fn put_manifest(&self, shard: Shard, manifest: &Manifest) -> Result<()> {
        let manifest = manifest.clone();
        self.write("put_manifest", move |all| {
            let stored = all.shard(shard);
            let checkpoint = stored.facts.checkpoint;
            let seq = manifest.seq;
            stored.put_manifest(manifest);
            if seq > checkpoint.seq {
                all.broken.push(format!("a snapshot of {seq} is ahead of {checkpoint:?}"));
            }
            Ok(())
        })
        .await
    }

    async fn newest_snapshot(&self, shard: Shard, incarnation: u32) -> Result<Option<Manifest>> {
        self.read("newest_snapshot", |all| all.shard(shard).newest_snapshot(incarnation)).await
    }

    async fn snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
    ) -> Result<Option<Vec<u8>>> {
        self.read("snapshot_chunk", |all| all.shard(shard).chunk((incarnation, seq), index)).await
    }

    async fn remove_snapshots_before(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
    ) -> Result<()> {
        self.write("remove_snapshots", move |all| {
            all.shard(shard).remove_snapshots_before(incarnation, seq);
            Ok(())
        })
        .await
    }
}

#[async_trait::async_trait]
impl Facts for FaultyStore {
    async fn checkpoint(&self, shard: Shard) -> Result<Checkpoint> {
        self.read("checkpoint", |all| all.shard(shard).facts.checkpoint).await
    }

    async fn project(
        &self,
        shard: Shard,
        from: Checkpoint,
        to: Checkpoint,
        chunk: &FactsChunk,
    ) -> Result<Projected> {
        let chunk = chunk.clone();
        self.trace.note(|| {
            let run = chunk.ids.as_ref().map(|run| (run.first_seq, run.last_seq));
            format!("n{} projects {} to {}, ids {run:?}", self.node, from.seq, to.seq)
        });
        self.write("project", move |all| {
            let tail = all.shard(shard).tail();
            if (to.incarnation, to.seq) > (tail.incarnation, tail.seq) {
                all.broken.push(format!("facts of {to:?}, beyond the journal's {}", tail.seq));
            }
            all.shard(shard).facts.project(from, to, chunk)
        })
        .await
    }

    async fn event_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>> {
        self.read("event_blocks", |all| StoredFacts::blocks(&all.shard(shard).facts.events, query))
            .await
    }

    async fn event_block_of(&self, shard: Shard, seq: u64) -> Result<Option<FactsBlock>> {
        self.read("event_block_of", |all| {
            let next = all.shard(shard).facts.events.range(seq..).next();
            next.map(|(_, block)| block.clone()).filter(|block| block.first_seq <= seq)
        })
        .await
    }

    async fn sum_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>> {
        self.read("sum_blocks", |all| StoredFacts::blocks(&all.shard(shard).facts.sums, query))
            .await
    }

    async fn merge_sums(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: &FactsBlock,
    ) -> Result<bool> {
        let (replaced, merged) = (replaced.to_vec(), merged.clone());
        let merge =
            move |all: &mut Stored| Ok(all.shard(shard).facts.merge_sums(&replaced, merged));
        self.write("merge_sums", merge).await
    }

    async fn remove_event_blocks(&self, shard: Shard, arrived_before: i64) -> Result<u64> {
        self.write("remove_events", move |all| {
            let events = &mut all.shard(shard).facts.events;
            let before = events.len();
            events.retain(|_, block| block.arrived_max >= arrived_before);
            Ok(u64::try_from(before - events.len()).expect("a count fits"))
        })
        .await
    }

    async fn id_runs(&self, shard: Shard) -> Result<(Checkpoint, Vec<IdRunRecord>)> {
        self.read("id_runs", |all| all.shard(shard).facts.id_runs()).await
    }

    async fn id_run_piece(
        &self,
        shard: Shard,
        entries: (u64, u64),
        offset: usize,
        length: usize,
    ) -> Result<Option<Vec<u8>>> {
        let look = |all: &mut Stored| all.shard(shard).facts.id_run_piece(entries, offset, length);
        self.read("id_run_piece", look).await
    }

    async fn merge_id_runs(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: Option<&IdRunRecord>,
    ) -> Result<bool> {
        let (replaced, merged) = (replaced.to_vec(), merged.cloned());
        self.trace.note(|| {
            let run = merged.as_ref().map(|run| (run.first_seq, run.last_seq));
            format!("n{} merges ids {replaced:?} to {run:?}", self.node)
        });
        self.write("merge_ids", move |all| all.shard(shard).facts.merge_id_runs(&replaced, merged))
            .await
    }

    async fn windows(
        &self,
        shard: Shard,
        policy: u32,
        before: i64,
        limit: usize,
    ) -> Result<Vec<WindowRecord>> {
        self.read("windows", |all| {
            let found = all.shard(shard).facts.windows.range((policy, i64::MIN)..(policy, before));
            found.rev().take(limit).map(|(_, record)| record.clone()).collect()
        })
        .await
    }

    async fn crossings(
        &self,
        shard: Shard,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<CrossingRecord>> {
        self.read("crossings", |all| {
            let all = all.shard(shard).facts.crossings.iter();
            let later = all.filter(|(place, _)| **place > after);
            later.take(limit).map(|(_, crossing)| crossing.clone()).collect()
        })
        .await
    }
}

#[async_trait::async_trait]
impl Nodes for FaultyStore {
    async fn beat(&self, node: &Node) -> Result<()> {
        let node = Node { seen_at: self.clock.micros(), ..node.clone() };
        self.write("beat", move |all| {
            all.nodes.insert(node.id, node);
            Ok(())
        })
        .await
    }

    async fn live_nodes(&self, micros: i64) -> Result<Vec<Node>> {
        let since = self.clock.micros() - micros;
        let is_alive = move |node: &&Node| node.seen_at >= since;
        let look = move |all: &mut Stored| all.nodes.values().filter(is_alive).cloned().collect();
        self.read("live_nodes", look).await
    }

    async fn remove_node(&self, id: u128) -> Result<()> {
        self.write("remove_node", move |all| {
            all.nodes.remove(&id);
            Ok(())
        })
        .await
    }

    async fn cluster_secret(&self, offered: &[u8]) -> Result<Vec<u8>> {
        let offered = offered.to_vec();
        self.write("secret", move |all| Ok(all.secret.get_or_insert(offered).clone())).await
    }
}
