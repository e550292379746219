//! Upkeep of a shard, done by its projector between chunks: entering what a new policy's window had
//! used before, merging runs of ids and blocks of sums, writing snapshots, truncating the journal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::command::{PolicyNo, WindowNo};
use engine::policy::Policy;
use engine::{Command, Request};
use store::facts::IdRunRecord;
use tokio::time::Instant;

use crate::caps::{Group, Lane};
use crate::error::ShardError;
use crate::facts;
use crate::ids::{merge_policy, merge_runs};
use crate::live::{Live, entries_of};
use crate::load::{Loaded, READ_BYTES};
use crate::merge_sums::SumBlocks;
use crate::node::wait_for;
use crate::snapshot::put_snapshot;

/// Upkeep of one shard.
pub(crate) struct Upkeep {
    live: Arc<Live>,
    /// Policies whose past is being entered, each with the entry that made it.
    entered: BTreeSet<(u128, u64)>,
    sums: SumBlocks,
    snapshot_seq: Option<u64>,
    /// How many decisions the state had followed at that snapshot.
    snapshot_followed: u64,
    truncated_at: Option<Instant>,
}

impl Upkeep {
    pub(crate) fn new(live: Arc<Live>) -> Upkeep {
        Upkeep {
            live,
            entered: BTreeSet::new(),
            sums: SumBlocks::default(),
            snapshot_seq: None,
            snapshot_followed: 0,
            truncated_at: None,
        }
    }

    /// Does what is to be done now.
    pub(crate) async fn tend(&mut self, shadow: &Loaded) -> Result<(), ShardError> {
        self.enter_bases(shadow).await?;
        self.merge_ids().await?;
        self.sums.merge(&self.live, shadow).await?;
        self.write_snapshot(shadow).await?;
        self.truncate().await
    }

    /// Enters what windows had used before their policies were made. The chunk before ended with
    /// the entry that made the policy, so the blocks up to it are exactly what came before.
    async fn enter_bases(&mut self, shadow: &Loaded) -> Result<(), ShardError> {
        let opening = shadow.state.policies().filter(|(_, policy)| policy.opening);
        let which =
            |(number, policy): (PolicyNo, &Policy)| (number, policy.record.id, policy.made_seq);
        let opening: Vec<_> = opening.map(which).collect();
        for (number, policy, made_seq) in opening {
            if !self.entered.insert((policy, made_seq)) {
                continue;
            }
            let parts = self.base(number, shadow).await?;
            let command = Command::EnterBase { policy, made_seq, parts };
            let live = Arc::clone(&self.live);
            let request = Request { once: None, actor: vec![], command };
            tokio::spawn(async move { enter(&live, request).await });
        }
        Ok(())
    }

    /// What a policy's windows had used when it was made.
    async fn base(
        &self,
        number: PolicyNo,
        shadow: &Loaded,
    ) -> Result<Vec<(WindowNo, i128)>, ShardError> {
        let Some(mut base) = facts::Base::of(number, &shadow.state) else { return Ok(vec![]) };
        let mut query = base.query(BLOCKS_AT_ONCE);
        loop {
            let blocks = self.live.parts.store.sum_blocks(self.live.shard, query).await?;
            let Some(oldest) = blocks.last() else { return Ok(base.finish()) };
            query.before_seq = oldest.last_seq;
            for block in &blocks {
                base.add(block).map_err(|error| ShardError::Internal(error.to_string()))?;
            }
        }
    }

    /// Merges runs of ids until there is nothing to merge, and lets go of those that have expired.
    async fn merge_ids(&self) -> Result<(), ShardError> {
        let live = &*self.live;
        let (store, shard) = (&live.parts.store, live.shard);
        let expired = live.core().ids.expired(live.parts.now());
        if !expired.is_empty() {
            store.merge_id_runs(shard, &expired, None).await?;
            live.reload_ids().await?;
        }
        loop {
            let ids = Arc::clone(&live.core().ids);
            let headers: Vec<_> = ids.runs().iter().map(|run| run.header()).collect();
            let Some(range) = merge_policy(&headers) else { return Ok(()) };
            let parts = &ids.runs()[range];
            let keys: Vec<u64> = parts.iter().map(|run| run.key()).collect();
            let mut bodies = Vec::with_capacity(keys.len());
            for run in parts {
                let (entries, length) = (entries_of(run), run.header().run_bytes());
                match store.id_run_piece(shard, entries, 0, length).await? {
                    Some(body) => bodies.push(body),
                    None => drop(live.reload_ids().await?),
                }
            }
            if bodies.len() != keys.len() {
                continue;
            }
            let merged = merged(bodies).await?;
            store.merge_id_runs(shard, &keys, Some(&merged)).await?;
            live.reload_ids().await?;
        }
    }

    /// Writes a snapshot of the projector's own state when enough has happened since the last one.
    async fn write_snapshot(&mut self, shadow: &Loaded) -> Result<(), ShardError> {
        let live = &*self.live;
        let (store, shard) = (&live.parts.store, live.shard);
        let (incarnation, seq) = (shadow.incarnation, shadow.state.seq());
        let last = match self.snapshot_seq {
            Some(last) => last,
            None => {
                let newest = store.newest_snapshot(shard, incarnation).await?;
                *self.snapshot_seq.insert(newest.map_or(0, |manifest| manifest.seq))
            }
        };
        let limits = &live.parts.limits;
        // Fewer than then: the state was loaded anew.
        let then = Some(self.snapshot_followed).filter(|then| *then <= shadow.followed_count);
        let decisions = shadow.followed_count.saturating_sub(then.unwrap_or(0));
        let is_soon = seq.saturating_sub(last) < limits.snapshot_entries
            && decisions < limits.snapshot_decisions;
        if is_soon || shadow.skips.is_early(seq) {
            return Ok(());
        }
        put_snapshot(&live.parts, shard, incarnation, shadow).await?;
        store.remove_snapshots_before(shard, incarnation, seq).await?;
        (self.snapshot_seq, self.snapshot_followed) = (Some(seq), shadow.followed_count);
        Ok(())
    }

    /// Lets go of entries that are old, in a snapshot, and in the tables. Looked at once an hour.
    async fn truncate(&mut self) -> Result<(), ShardError> {
        if self.truncated_at.is_some_and(|at| at.elapsed() < TRUNCATE_EVERY) {
            return Ok(());
        }
        self.truncated_at = Some(Instant::now());
        let live = &*self.live;
        let (store, shard) = (&live.parts.store, live.shard);
        let tail = store.tail(shard).await?;
        let newest = store.newest_snapshot(shard, tail.incarnation).await?;
        let Some(snapshot) = newest else { return Ok(()) };
        let most = snapshot.seq.min(store.checkpoint(shard).await?.seq);
        let keep = i64::try_from(live.parts.limits.keep_entries.as_micros()).unwrap_or(i64::MAX);
        let before = live.parts.now().saturating_sub(keep);
        let (mut floor, mut read_to) = (tail.floor, tail.floor);
        'reading: loop {
            let entries = store.entries(shard, tail.incarnation, read_to, READ_BYTES).await?;
            let Some(last) = entries.last() else { break };
            read_to = last.seq;
            for entry in entries {
                if entry.seq > most {
                    break 'reading;
                }
                // One that nobody can read was passed over: it goes with what is after it.
                let Ok(decoded) = live.parts.formats.decode(&entry.bytes) else { continue };
                if decoded.time >= before {
                    break 'reading;
                }
                floor = entry.seq;
            }
        }
        if floor > tail.floor {
            store.truncate(shard, tail.incarnation, floor).await?;
        }
        Ok(())
    }
}

/// Runs as one. What is little is not worth a thread.
async fn merged(bodies: Vec<Vec<u8>>) -> Result<IdRunRecord, ShardError> {
    let is_little = bodies.iter().map(Vec::len).sum::<usize>() < MERGED_HERE_BYTES;
    let merge = move || {
        let runs: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        merge_runs(&runs).map(|run| facts::run_record(&run))
    };
    let merged = match is_little {
        true => merge(),
        false => tokio::task::spawn_blocking(merge)
            .await
            .map_err(|error| ShardError::Internal(error.to_string()))?,
    };
    merged.map_err(|error| ShardError::Internal(error.to_string()))
}

/// Enters a base, however often it takes. Entered twice it counts once.
async fn enter(live: &Live, request: Request) {
    for _ in 0..ENTER_TRIES {
        let group = Group {
            requests: vec![request.clone()],
            id_days: vec![],
            lane: Lane::Interactive,
            patience: Duration::from_secs(5),
            with_blocked: false,
        };
        match wait_for(live, group).await {
            Ok(_) | Err(ShardError::Stopped { .. }) => return,
            Err(error) => {
                tracing::warn!(shard = ?live.shard, error = %error, "a base was not entered");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

const BLOCKS_AT_ONCE: usize = 256;
/// What is merged without a thread of its own.
pub(crate) const MERGED_HERE_BYTES: usize = 256 << 10;
const ENTER_TRIES: usize = 100;
const TRUNCATE_EVERY: Duration = Duration::from_secs(3600);
