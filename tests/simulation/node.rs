//! A node: a process with a clock of its own that serves shards, is killed, and begins anew.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Clock;
use jiff::Timestamp;
use shards::packed::FORMAT;
use shards::{
    Caps, Done, Formats, Group, Limits, Parts, Position, Question, Reply, ShardError, Shards,
};
use store::journal::Shard;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::faulty_store::{FaultyStore, Shared};
use crate::trace::Trace;
use crate::weather::{Rates, Weather};

/// A clock in simulated time, which may go wrong.
#[derive(Debug, Clone)]
pub struct SimClock {
    begun_at: Instant,
    start: i64,
    skew: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that says `start`, in microseconds since 1970, now.
    #[must_use]
    pub fn new(start: i64) -> SimClock {
        SimClock { begun_at: Instant::now(), start, skew: Arc::default() }
    }

    /// Another clock of the same time with its own skew.
    #[must_use]
    pub fn another(&self, skew: i64) -> SimClock {
        SimClock { skew: Arc::new(AtomicI64::new(skew)), ..self.clone() }
    }

    /// Sets how much it is ahead.
    pub fn set_skew(&self, skew: i64) {
        self.skew.store(skew, Ordering::SeqCst);
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(&self) -> i64 {
        let elapsed = i64::try_from(self.begun_at.elapsed().as_micros()).expect("a run is short");
        self.start + elapsed + self.skew.load(Ordering::SeqCst)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.micros()).expect("simulated time is in range")
    }
}

/// A node.
pub struct Node {
    /// Its number.
    pub number: usize,
    /// Its clock.
    pub clock: SimClock,
    /// What lies between it and the store.
    pub weather: Arc<Mutex<Weather>>,
    limits: Limits,
    /// The newest format that its release knows.
    format: AtomicU8,
    shared: Shared,
    store_clock: SimClock,
    trace: Trace,
    dice: Mutex<Dice>,
    running: Mutex<Option<Running>>,
}

/// One life of a node's process.
#[derive(Clone)]
pub struct Running {
    /// Its shards.
    pub shards: Arc<Shards>,
    /// Its way to the store.
    pub store: Arc<FaultyStore>,
}

/// What a simulated node is allowed: little of everything, so that everything happens.
pub const LIMITS: Limits = Limits {
    queue_max: 200,
    unprojected_max: 100_000,
    is_alone: false,
    snapshot_entries: 25,
    snapshot_decisions: 60,
    keep_entries: Duration::from_secs(1_800),
    fresh_for: Duration::from_secs(2),
};

impl Node {
    /// A node that does not run yet.
    #[must_use]
    pub fn new(
        number: usize,
        shared: &Shared,
        store_clock: &SimClock,
        trace: &Trace,
        mut dice: Dice,
        rates: Rates,
    ) -> Node {
        Node {
            number,
            clock: store_clock.another(0),
            weather: Arc::new(Mutex::new(Weather::new(dice.fork(), rates))),
            limits: LIMITS,
            format: AtomicU8::new(FORMAT),
            shared: Arc::clone(shared),
            store_clock: store_clock.clone(),
            trace: trace.clone(),
            dice: Mutex::new(dice),
            running: Mutex::new(None),
        }
    }

    /// The same node with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Node {
        Node { limits, ..self }
    }

    /// Gives it a release that knows formats up to this one, from its next start on.
    pub fn upgrade(&self, format: u8) {
        self.format.store(format, Ordering::SeqCst);
    }

    /// What lies between it and the store.
    pub fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its process, if it runs.
    #[must_use]
    pub fn running(&self) -> Option<Running> {
        self.slot().clone()
    }

    /// Begins a new process.
    pub fn start(&self) -> Running {
        let (shared, weather) = (Arc::clone(&self.shared), Arc::clone(&self.weather));
        let (clock, trace) = (self.store_clock.clone(), self.trace.clone());
        let store = Arc::new(FaultyStore::new(self.number, shared, weather, clock, trace));
        let shards = Arc::new(Shards::new(self.parts(&store)));
        let running = Running { shards, store };
        self.trace.note(|| format!("n{} starts", self.number));
        *self.slot() = Some(running.clone());
        running
    }

    /// What a process of it works with.
    #[must_use]
    pub fn parts(&self, store: &Arc<FaultyStore>) -> Parts {
        let dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner).fork();
        let dice = Mutex::new(dice);
        Parts {
            store: store.clone(),
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(move || dice.lock().unwrap_or_else(PoisonError::into_inner).wide()),
            limits: self.limits,
            formats: Formats::up_to(self.format.load(Ordering::SeqCst)),
        }
    }

    /// Ends its process at once.
    pub fn kill(&self) {
        if let Some(running) = self.slot().take() {
            self.trace.note(|| format!("n{} is gone", self.number));
            running.store.end();
            running.shards.kill();
        }
    }

    /// Asks as a client would: whoever asks a process that goes away does not know the outcome.
    ///
    /// # Errors
    /// As [`Caps::submit`].
    pub async fn submit(&self, shard: Shard, group: Group) -> Result<Done, ShardError> {
        let Some(Running { shards, store }) = self.running() else {
            return Err(ShardError::Unavailable("the node is down".to_owned()));
        };
        tokio::select! {
            biased;
            done = shards.submit(shard, group) => done,
            () = store.ended() => Err(ShardError::OutcomeUnknown),
        }
    }

    /// Asks a question as a client would.
    ///
    /// # Errors
    /// As [`Caps::ask`].
    pub async fn ask(
        &self,
        shard: Shard,
        question: Question,
        least: Option<Position>,
    ) -> Result<Reply, ShardError> {
        let Some(Running { shards, store }) = self.running() else {
            return Err(ShardError::Unavailable("the node is down".to_owned()));
        };
        tokio::select! {
            biased;
            said = shards.ask(shard, question, least) => said,
            () = store.ended() => Err(ShardError::OutcomeUnknown),
        }
    }
}
