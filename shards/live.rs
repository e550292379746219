//! A shard that this process has in memory: its state, its queues, and how far its journal and its
//! tables are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Micros;
use engine::command::Seen;
use store::journal::Shard;
use tokio::sync::{RwLock, watch};
use tokio::time::Instant;

use crate::caps::Position;
use crate::error::ShardError;
use crate::ids::{IdIndex, Identity, LoadedRun, Lookup};
use crate::load::{Loaded, load, load_ids};
use crate::parts::Parts;
use crate::queue::Queue;
use crate::skip::Skips;

/// A shard in memory.
pub(crate) struct Live {
    pub(crate) shard: Shard,
    pub(crate) parts: Parts,
    pub(crate) queue: Queue,
    core: Mutex<Core>,
    /// Held for writing while the state has something in it that is not durable.
    pub(crate) settled: RwLock<()>,
    /// The last entry that is durable and in the state.
    pub(crate) kept: watch::Sender<u64>,
    /// The last entry that is in the tables.
    pub(crate) projected: watch::Sender<u64>,
    /// Why it was given up.
    stopped: watch::Sender<Option<ShardError>>,
    /// When it was last looked at whether there is no reason for that any more.
    looked_at: Mutex<Instant>,
}

/// What changes with every batch.
pub(crate) struct Core {
    pub(crate) loaded: Loaded,
    /// The runs of ids, as of a place that the tables had reached.
    pub(crate) ids: Arc<IdIndex>,
    /// When it was last sure that nothing newer is in the journal.
    pub(crate) confirmed_at: Instant,
}

impl Live {
    /// Loads a shard. A clock that is behind its last entry must have been accepted.
    pub(crate) async fn open(
        parts: &Parts,
        shard: Shard,
        is_clock_accepted: bool,
    ) -> Result<Live, ShardError> {
        let confirmed_at = Instant::now();
        // Ids first: identities of later entries are in the state then.
        let ids = load_ids(parts, shard).await?;
        let loaded = load(parts, shard).await?;
        let last = loaded.state.time();
        let ahead = last.saturating_sub(parts.now());
        if ahead > CLOCK_BEHIND_MAX && !is_clock_accepted {
            return Err(ShardError::Unavailable(format!(
                "this machine's clock is {} s behind the journal: set it, or run \
                 `outlay clock accept`",
                ahead / 1_000_000
            )));
        }
        let (kept, projected) = (loaded.state.seq(), ids.as_of());
        Ok(Live {
            shard,
            parts: parts.clone(),
            queue: Queue::new(parts.limits.queue_max),
            settled: RwLock::default(),
            core: Mutex::new(Core { loaded, ids: Arc::new(ids), confirmed_at }),
            kept: watch::Sender::new(kept),
            projected: watch::Sender::new(projected),
            stopped: watch::Sender::new(None),
            looked_at: Mutex::new(confirmed_at),
        })
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest place that the state has.
    pub(crate) fn position(&self) -> Position {
        let core = self.core();
        Position { incarnation: core.loaded.incarnation, seq: core.loaded.state.seq() }
    }

    /// How long ago it was sure that nothing newer is in the journal.
    pub(crate) fn age(&self) -> Duration {
        self.core().confirmed_at.elapsed()
    }

    /// Gives the shard up: everything that waits or comes hears why.
    pub(crate) fn stop(&self, error: &ShardError) {
        tracing::error!(shard = ?self.shard, error = %error, "a shard was stopped");
        self.stopped.send_replace(Some(error.clone()));
        for waiting in self.queue.close() {
            // Nobody listens any more where this fails.
            let _gone = waiting.reply.send(Err(error.clone()));
        }
    }

    /// Takes nothing more, because the process ends.
    pub(crate) fn stop_quietly(&self, error: &ShardError) {
        for waiting in self.queue.close() {
            // Nobody listens any more where this fails.
            let _gone = waiting.reply.send(Err(error.clone()));
        }
    }

    pub(crate) fn why_stopped(&self) -> Option<ShardError> {
        self.stopped.borrow().clone()
    }

    pub(crate) async fn until_stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // Whoever waits has the sender: this does not fail.
        let _stopped = stopped.wait_for(Option::is_some).await;
    }

    /// Whether the entry for which it was given up is passed over by now. Looked at now and then.
    pub(crate) async fn is_healed(&self) -> bool {
        let Some(ShardError::Stopped { seq, .. }) = self.why_stopped() else { return false };
        {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            if looked_at.elapsed() < LOOK_EVERY {
                return false;
            }
            *looked_at = Instant::now();
        }
        let (incarnation, mut skips) = (self.position().incarnation, Skips::default());
        let learned = skips.learn(&self.parts, self.shard, incarnation, seq, seq).await;
        learned.is_ok() && skips.has(seq)
    }

    /// What the tables know of identities, with the place that they were asked at. Where the state
    /// has forgotten later ones, the tables are read anew.
    pub(crate) async fn look_up(
        &self,
        lookups: &[Lookup],
        now: Micros,
    ) -> Result<(Vec<Option<Seen>>, u64), ShardError> {
        let mut ids = Arc::clone(&self.core().ids);
        loop {
            match look_up(&self.parts, self.shard, &ids, lookups, now).await? {
                Some(seen) => return Ok((seen, ids.as_of())),
                // A run was merged meanwhile.
                None => ids = self.reload_ids().await?,
            }
        }
    }

    /// Reads the runs of ids anew.
    pub(crate) async fn reload_ids(&self) -> Result<Arc<IdIndex>, ShardError> {
        let ids = Arc::new(load_ids(&self.parts, self.shard).await?);
        self.set_ids(&ids);
        Ok(ids)
    }

    /// Takes newer runs of ids over.
    pub(crate) fn set_ids(&self, ids: &Arc<IdIndex>) {
        let mut core = self.core();
        if ids.as_of() >= core.ids.as_of() {
            core.ids = Arc::clone(ids);
        }
    }
}

/// How often a shard that was given up is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How far the clock may be behind the journal's last time when a shard is loaded.
const CLOCK_BEHIND_MAX: Micros = 60 * 1_000_000;

/// The first and the last journal entry of which a run has ids: its name in the store.
pub(crate) fn entries_of(run: &LoadedRun) -> (u64, u64) {
    let meta = run.header().meta();
    (meta.from.saturating_add(1), meta.to)
}

/// What the runs know of identities; nothing where a run is gone.
async fn look_up(
    parts: &Parts,
    shard: Shard,
    ids: &IdIndex,
    lookups: &[Lookup],
    now: Micros,
) -> Result<Option<Vec<Option<Seen>>>, ShardError> {
    let mut seen = vec![None; lookups.len()];
    let candidates = ids.candidates_of(lookups, now);
    for candidate in candidates {
        let (index, run) = (candidate.index, candidate.run);
        let identity: &Identity = &lookups[index].identity;
        let Some(page) = run.page_of(identity) else { continue };
        let (offset, length) = (page.start, page.len());
        let piece = parts.store.id_run_piece(shard, entries_of(run), offset, length).await?;
        let Some(piece) = piece else { return Ok(None) };
        let damaged = |error| ShardError::Internal(format!("id run `{}`: {error}", run.key()));
        if let Some(found) = run.resolve(&piece, identity).map_err(damaged)? {
            seen[index] = Some(Seen { body: found.body.0, seq: found.position });
        }
    }
    Ok(Some(seen))
}
