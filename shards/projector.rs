//! The projector of a shard: brings what is durable in the journal into the tables, chunk by chunk,
//! in its own time. It follows the journal on a state of its own, which is also what snapshots are
//! written from.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use engine::Entry;
use store::facts::{Checkpoint, Projected};
use store::journal::{JournalEntry, Shard};
use tokio::time::Instant;

use crate::error::ShardError;
use crate::facts;
use crate::live::Live;
use crate::load::{Loaded, load_until, stopped};
use crate::parts::Parts;
use crate::upkeep::Upkeep;

/// The projector of a shard.
pub(crate) struct Projector {
    live: Arc<Live>,
    /// Where the tables were when they were last looked at.
    from: Checkpoint,
}

impl Projector {
    pub(crate) fn new(live: Arc<Live>) -> Projector {
        Projector { live, from: Checkpoint::BEGINNING }
    }

    /// Works until the shard is given up.
    pub(crate) async fn run(mut self) {
        loop {
            match self.project_on().await {
                // Somebody else gave the shard up.
                Ok(()) if self.live.why_stopped().is_some() => return,
                Ok(()) => {}
                Err(error @ (ShardError::Stopped { .. } | ShardError::Internal(_))) => {
                    if self.is_overtaken().await {
                        continue;
                    }
                    self.live.stop(&error);
                    return;
                }
                Err(error) => {
                    tracing::warn!(shard = ?self.live.shard, error = %error, "projecting failed");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Projects from where the tables are, until something goes wrong or somebody else is quicker.
    async fn project_on(&mut self) -> Result<(), ShardError> {
        let live = Arc::clone(&self.live);
        let mut from = live.parts.store.checkpoint(live.shard).await?;
        self.from = from;
        let mut shadow = shadow_at(&live.parts, live.shard, from).await?;
        let mut upkeep = Upkeep::new(Arc::clone(&self.live));
        live.projected.send_replace(from.seq);
        let mut kept = live.kept.subscribe();
        let mut begin_at = Instant::now();
        loop {
            upkeep.tend(&shadow).await?;
            let is_begun_anew = || live.position().incarnation > shadow.incarnation;
            let wait = kept.wait_for(|kept| *kept > from.seq || is_begun_anew());
            match tokio::time::timeout(IDLE, wait).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) if live.why_stopped().is_some() => return Ok(()),
                Err(_) => continue,
            }
            if live.position().incarnation > shadow.incarnation {
                return Ok(());
            }
            // A chunk costs as much for one entry as for many: under load some gather first. One
            // that comes after a pause is not kept waiting.
            tokio::time::sleep_until(begin_at).await;
            begin_at = Instant::now() + CHUNK_EVERY;
            match self.project_next(&mut shadow, from).await? {
                Some(to) => {
                    if live.position().seq > to.seq.saturating_add(BACKLOG) {
                        begin_at = Instant::now();
                    }
                    (from, self.from) = (to, to);
                }
                None => return Ok(()),
            }
        }
    }

    /// Whether somebody else has brought the tables further, and let go of what was read here.
    async fn is_overtaken(&self) -> bool {
        loop {
            match self.live.parts.store.checkpoint(self.live.shard).await {
                Ok(now) => return now != self.from,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Projects one chunk. None where somebody else has moved the checkpoint.
    async fn project_next(
        &self,
        shadow: &mut Loaded,
        from: Checkpoint,
    ) -> Result<Option<Checkpoint>, ShardError> {
        let live = &*self.live;
        let parts = &live.parts;
        let (chunk, to, is_ours) = match project_chunk(parts, live.shard, shadow, from).await? {
            Step::Done { chunk, to, is_ours } => (chunk, to, is_ours),
            Step::Elsewhere => return Ok(None),
            Step::Nothing => {
                // There are some, but not in this incarnation.
                tokio::time::sleep(Duration::from_millis(200)).await;
                return Ok(None);
            }
        };
        match is_ours {
            true => self.add_ids(&chunk, from.seq).await?,
            false => drop(live.reload_ids().await?),
        }
        live.projected.send_replace(to.seq);
        Ok(Some(to))
    }

    /// Lets look-ups see the ids of a chunk after `from_seq`. An index that is not as of there has
    /// missed a chunk, and would go on without its ids.
    async fn add_ids(&self, chunk: &facts::Chunk, from_seq: u64) -> Result<(), ShardError> {
        let live = &*self.live;
        let mut ids = (*live.core().ids).clone();
        if ids.as_of() != from_seq {
            return live.reload_ids().await.map(drop);
        }
        let added: Result<Vec<_>, _> = chunk.facts.ids.iter().map(facts::load_run).collect();
        let added = added.map_err(|error| ShardError::Internal(error.to_string()))?;
        match ids.replace(&[], added, chunk.to_seq, live.parts.now()) {
            Ok(()) => live.set_ids(&Arc::new(ids)),
            // Somebody else changed the runs meanwhile.
            Err(_) => drop(live.reload_ids().await?),
        }
        Ok(())
    }
}

/// How soon after a chunk's beginning the next one begins.
const CHUNK_EVERY: Duration = Duration::from_millis(20);

/// With more entries than that behind, nobody waits for more to gather.
const BACKLOG: u64 = 32;

/// How long nothing happens before upkeep is looked at again.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes of stored entries that are read for one chunk: most chunks are full before.
const CHUNK_READ_BYTES: usize = 512 << 10;

/// What came of projecting.
pub(crate) enum Step {
    /// There is no entry after the state's place.
    Nothing,
    /// Somebody else has moved the checkpoint.
    Elsewhere,
    /// A chunk is in the tables, written by ours or, cut as it may be, by somebody else.
    Done { chunk: Box<facts::Chunk>, to: Checkpoint, is_ours: bool },
}

/// Projects one chunk of the journal after `from`, where `shadow` is. After a restore `from` is of
/// the incarnation before.
pub(crate) async fn project_chunk(
    parts: &Parts,
    shard: Shard,
    shadow: &mut Loaded,
    from: Checkpoint,
) -> Result<Step, ShardError> {
    let incarnation = shadow.incarnation;
    let stored = parts.store.entries(shard, incarnation, from.seq, CHUNK_READ_BYTES).await?;
    let Some(first) = stored.first() else { return Ok(Step::Nothing) };
    let entries = read_all(shadow, &stored, from.seq);
    let chunk = match projected(shard, shadow, &entries) {
        Some(chunk) => chunk,
        None => {
            // Which one it is shows one by one, and what is said of it where it was loaded.
            *shadow = shadow_at(parts, shard, from).await?;
            let entries = [(first.seq, shadow.read(first, from.seq, shadow.last_batch)?)];
            let fault = || stopped(first.seq, "it cannot be projected");
            projected(shard, shadow, &entries).ok_or_else(fault)?
        }
    };
    let last = stored.iter().rev().find(|entry| entry.seq <= chunk.to_seq);
    shadow.last_batch = last.map_or(shadow.last_batch, |entry| entry.batch);
    let to = Checkpoint { incarnation, seq: chunk.to_seq };
    // The state has followed: this very chunk is written, however often it takes.
    let is_ours = loop {
        match parts.store.project(shard, from, to, &chunk.facts).await {
            Ok(Projected::Done) => break true,
            // An earlier try of ours, or others' chunks that may be cut otherwise.
            Ok(Projected::Elsewhere(at)) if at == to => break false,
            Ok(Projected::Elsewhere(_)) => return Ok(Step::Elsewhere),
            Err(error) => {
                tracing::warn!(?shard, error = %error, "a chunk was not written");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    Ok(Step::Done { chunk, to, is_ours })
}

/// A state as of the place that the tables are at.
pub(crate) async fn shadow_at(
    parts: &Parts,
    shard: Shard,
    at: Checkpoint,
) -> Result<Loaded, ShardError> {
    let shadow = load_until(parts, shard, at.seq).await?;
    match shadow.state.seq() == at.seq {
        true => Ok(shadow),
        false => Err(stopped(at.seq, "the tables are ahead of the journal")),
    }
}

/// The entries after `after` that can be read, as many as a chunk takes.
fn read_all(shadow: &Loaded, stored: &[JournalEntry], after: u64) -> Vec<(u64, Entry)> {
    let mut entries = vec![];
    let (mut after, mut batch) = (after, shadow.last_batch);
    let mut room = facts::Room::default();
    for entry in stored {
        let Ok(content) = shadow.read(entry, after, batch) else { break };
        // A little that is stored may be much to unpack: no more than a chunk takes.
        if !room.takes(&content) {
            break;
        }
        entries.push((entry.seq, content));
        (after, batch) = (entry.seq, entry.batch);
    }
    entries
}

/// What entries become; nothing where there is none, or one cannot be followed.
fn projected(
    shard: Shard,
    shadow: &mut Loaded,
    entries: &[(u64, Entry)],
) -> Option<Box<facts::Chunk>> {
    let state = &mut shadow.state;
    let project = AssertUnwindSafe(|| Box::new(facts::project(shard, state, entries)));
    let chunk = (!entries.is_empty()).then(|| catch_unwind(project).ok()).flatten()?;
    for (_, entry) in entries.iter().filter(|(seq, _)| *seq <= chunk.to_seq) {
        shadow.count_followed(entry);
    }
    Some(chunk)
}
