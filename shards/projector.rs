//! The projector of a shard: brings what is durable in the journal into the tables, chunk by chunk,
//! in its own time. It follows the journal on a state of its own, which is also what snapshots are
//! written from.

use std::sync::Arc;
use std::time::Duration;

use engine::Entry;
use store::facts::{Checkpoint, Projected};
use store::journal::Shard;

use crate::error::ShardError;
use crate::facts;
use crate::live::Live;
use crate::load::{Loaded, READ_BYTES, checked, load_until, stopped};
use crate::parts::Parts;
use crate::upkeep::Upkeep;

/// The projector of a shard.
pub(crate) struct Projector {
    live: Arc<Live>,
}

impl Projector {
    pub(crate) fn new(live: Arc<Live>) -> Projector {
        Projector { live }
    }

    /// Works until the shard is given up.
    pub(crate) async fn run(self) {
        loop {
            match self.project_on().await {
                Ok(()) => {}
                Err(error @ (ShardError::Stopped { .. } | ShardError::Internal(_))) => {
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
    async fn project_on(&self) -> Result<(), ShardError> {
        let live = &*self.live;
        let mut from = live.parts.store.checkpoint(live.shard).await?;
        let mut shadow = load_until(&live.parts, live.shard, from.seq).await?;
        if shadow.state.seq() != from.seq {
            return Err(stopped(from.seq, "the tables are ahead of the journal"));
        }
        let mut upkeep = Upkeep::new(Arc::clone(&self.live));
        live.projected.send_replace(from.seq);
        let mut kept = live.kept.subscribe();
        loop {
            upkeep.tend(&shadow).await?;
            let is_begun_anew = || live.position().incarnation > shadow.incarnation;
            let wait = kept.wait_for(|kept| *kept > from.seq || is_begun_anew());
            match tokio::time::timeout(IDLE, wait).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => continue,
            }
            if live.position().incarnation > shadow.incarnation {
                return Ok(());
            }
            match self.project_next(&mut shadow, from).await? {
                Some(to) => from = to,
                None => return Ok(()),
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
        match project_chunk(&live.parts, live.shard, shadow, from).await? {
            Step::Nothing => {
                // What is kept belongs to another incarnation, which the writer has yet to hear of.
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(Some(from))
            }
            Step::Elsewhere => Ok(None),
            Step::Done(chunk, to) => {
                self.add_ids(&chunk, to.seq).await?;
                live.projected.send_replace(to.seq);
                Ok(Some(to))
            }
        }
    }

    /// Lets look-ups see the chunk's ids.
    async fn add_ids(&self, chunk: &facts::Chunk, to_seq: u64) -> Result<(), ShardError> {
        let live = &*self.live;
        let mut ids = (*live.core().ids).clone();
        let added: Result<Vec<_>, _> = chunk.facts.ids.iter().map(facts::load_run).collect();
        let added = added.map_err(|error| ShardError::Internal(error.to_string()))?;
        match ids.replace(&[], added, to_seq, live.parts.now()) {
            Ok(()) => live.set_ids(&Arc::new(ids)),
            // Somebody else changed the runs meanwhile.
            Err(_) => drop(live.reload_ids().await?),
        }
        Ok(())
    }
}

/// How long nothing happens before upkeep is looked at again.
const IDLE: Duration = Duration::from_secs(30);

/// What came of projecting.
pub(crate) enum Step {
    /// There is no entry after the state's place.
    Nothing,
    /// Somebody else has moved the checkpoint.
    Elsewhere,
    /// A chunk is in the tables.
    Done(Box<facts::Chunk>, Checkpoint),
}

/// Projects one chunk of the journal after `from`, which is the place of `shadow`.
pub(crate) async fn project_chunk(
    parts: &Parts,
    shard: Shard,
    shadow: &mut Loaded,
    from: Checkpoint,
) -> Result<Step, ShardError> {
    let incarnation = shadow.incarnation;
    let stored = parts.store.entries(shard, incarnation, from.seq, READ_BYTES).await?;
    let mut entries: Vec<(u64, Entry)> = Vec::with_capacity(stored.len());
    let (mut after, mut batch) = (from.seq, shadow.last_batch);
    for entry in &stored {
        entries.push((entry.seq, checked(entry, after, batch)?));
        (after, batch) = (entry.seq, entry.batch);
    }
    if entries.is_empty() {
        return Ok(Step::Nothing);
    }
    let chunk = facts::project(shard, &mut shadow.state, &entries);
    let last = stored.iter().rev().find(|entry| entry.seq <= chunk.to_seq);
    shadow.last_batch = last.map_or(shadow.last_batch, |entry| entry.batch);
    let to = Checkpoint { incarnation, seq: chunk.to_seq };
    // The state has followed: this very chunk is written, however often it takes.
    loop {
        match parts.store.project(shard, from, to, &chunk.facts).await {
            Ok(Projected::Done) => break,
            Ok(Projected::Elsewhere(at)) if at == to => break,
            Ok(Projected::Elsewhere(_)) => return Ok(Step::Elsewhere),
            Err(error) => {
                tracing::warn!(?shard, error = %error, "a chunk was not written");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(Step::Done(Box::new(chunk), to))
}
