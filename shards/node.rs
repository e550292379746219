//! The shards of this process: loaded when they are first asked for, each with its writer and its
//! projector.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::journal::Shard;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::caps::{Caps, Done, Group, Lane, Position, Reply};
use crate::error::ShardError;
use crate::live::Live;
use crate::parts::Parts;
use crate::projector::Projector;
use crate::question::{Question, ReservationView, Said};
use crate::queue::Waiting;
use crate::writer::Writer;

/// The shards of this process.
pub struct Shards {
    parts: Parts,
    slots: Mutex<BTreeMap<Shard, Arc<OnceCell<Arc<Live>>>>>,
    tasks: Mutex<JoinSet<()>>,
    /// A person said that this machine's clock is right.
    is_clock_accepted: AtomicBool,
}

impl Shards {
    /// Serves the shards of a store. Nothing is loaded before it is asked for.
    #[must_use]
    pub fn new(parts: Parts) -> Shards {
        Shards {
            parts,
            slots: Mutex::default(),
            tasks: Mutex::default(),
            is_clock_accepted: AtomicBool::new(false),
        }
    }

    /// A person says that the clock is right: until this process ends, shards are loaded also where
    /// their last entry is later than it. Their time stands still until the clock has caught up.
    pub fn accept_clock(&self) {
        self.is_clock_accepted.store(true, Ordering::Relaxed);
    }

    /// Stops at once, as a killed process would: whatever is under way is left where it is.
    pub fn kill(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Waits until everything that is durable is in the tables as well, for at most `patience`.
    pub async fn settle(&self, shard: Shard, patience: Duration) -> Result<(), ShardError> {
        let live = self.live(shard).await?;
        let seq = live.position().seq;
        let mut projected = live.projected.subscribe();
        let reached = projected.wait_for(|projected| *projected >= seq);
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(ShardError::Unavailable("the tables are behind".to_owned())),
        }
    }

    /// Takes nothing new, answers what is under way, and stops.
    pub async fn stop(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        let stopping = ShardError::Unavailable("the server is stopping".to_owned());
        for live in slots.values().filter_map(|slot| slot.get()) {
            let position = live.position();
            live.stop_quietly(&stopping);
            let mut projected = live.projected.subscribe();
            let reached = projected.wait_for(|projected| *projected >= position.seq);
            // Whatever is not in the tables yet will be after the next start.
            let _settled = tokio::time::timeout(Duration::from_secs(2), reached).await;
        }
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// The shard, loaded.
    pub(crate) async fn live(&self, shard: Shard) -> Result<Arc<Live>, ShardError> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(shard).or_default())
        };
        let live = slot.get_or_try_init(|| self.open(shard)).await?;
        let Some(error) = live.why_stopped() else { return Ok(Arc::clone(live)) };
        if live.is_healed().await {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever comes next loads it, unless somebody has begun to already.
            if slots.get(&shard).is_some_and(|current| Arc::ptr_eq(current, &slot)) {
                slots.remove(&shard);
            }
        }
        Err(error)
    }

    async fn open(&self, shard: Shard) -> Result<Arc<Live>, ShardError> {
        let is_accepted = self.is_clock_accepted.load(Ordering::Relaxed);
        let live = Arc::new(Live::open(&self.parts, shard, is_accepted).await?);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(Writer::new(Arc::clone(&live)).run());
        tasks.spawn(Projector::new(Arc::clone(&live)).run());
        Ok(live)
    }

    /// Makes sure that nothing newer is in the journal than what is in memory.
    async fn confirm(&self, live: &Live) -> Result<(), ShardError> {
        let group = Group {
            requests: vec![],
            id_days: vec![],
            lane: Lane::Interactive,
            patience: CONFIRM_PATIENCE,
            with_blocked: false,
        };
        wait_for(live, group).await.map(|_| ())
    }
}

/// When it is worth asking again whether the tables have caught up.
const UNPROJECTED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a question waits to be sure.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(1);

#[async_trait::async_trait]
impl Caps for Shards {
    async fn submit(&self, shard: Shard, group: Group) -> Result<Done, ShardError> {
        let live = self.live(shard).await?;
        let remembers = group.requests.iter().any(|request| request.once.is_some());
        let is_full = || {
            let core = live.core();
            let state = &core.loaded.state;
            // Where the tables are ahead of what is forgotten, the next batch forgets.
            state.remembered_count() >= live.parts.limits.unprojected_max
                && core.ids.as_of() <= state.forgotten_seq()
        };
        if remembers && is_full() {
            // The tables are behind: nothing more is taken that only memory could tell again.
            return Err(ShardError::Overloaded { retry_after: UNPROJECTED_RETRY_AFTER });
        }
        wait_for(&live, group).await
    }

    async fn ask(
        &self,
        shard: Shard,
        question: Question,
        least: Option<Position>,
    ) -> Result<Reply, ShardError> {
        let live = self.live(shard).await?;
        let is_behind = least.is_some_and(|least| live.position() < least);
        let limits = &live.parts.limits;
        let mut stale_ms = None;
        if is_behind || !limits.is_alone && live.age() > limits.fresh_for {
            match self.confirm(&live).await {
                Ok(()) => {}
                Err(error) if is_behind => return Err(error),
                Err(_) => stale_ms = Some(millis(live.age())),
            }
        }
        // What is not durable yet is nobody's to hear, unless it takes so long that nobody is sure.
        let settled = match live.settled.try_read() {
            Ok(settled) => Some(settled),
            Err(_) => tokio::time::timeout(limits.fresh_for, live.settled.read()).await.ok(),
        };
        if settled.is_none() {
            stale_ms = Some(millis(live.age()));
        }
        let (mut said, position, forgotten_seq) = {
            let core = live.core();
            let (state, incarnation) = (&core.loaded.state, core.loaded.incarnation);
            let position = Position { incarnation, seq: state.seq() };
            (question.ask(state, live.parts.now()), position, state.forgotten_seq())
        };
        drop(settled);
        if let (Question::Reservation(id), Said::Reservation(None)) = (&question, &said) {
            let ended = live.ended_long_ago(*id, forgotten_seq).await?;
            let core = live.core();
            said = Said::Reservation(
                ended.and_then(|ended| ReservationView::of_ended(&core.loaded.state, *id, &ended)),
            );
        }
        Ok(Reply { said, position, stale_ms })
    }
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// Queues a group and waits for its answers.
pub(crate) async fn wait_for(live: &Live, group: Group) -> Result<Done, ShardError> {
    let (reply, answered) = oneshot::channel();
    let deadline = Instant::now() + group.patience;
    live.queue.push(Waiting { group, answers: vec![], deadline, reply })?;
    match timeout_at(deadline, answered).await {
        Ok(Ok(done)) => done,
        // The writer is gone, or it is too late: what was under way may yet become durable.
        Ok(Err(_)) | Err(_) => Err(live.why_stopped().unwrap_or(ShardError::OutcomeUnknown)),
    }
}
