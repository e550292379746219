//! What shards work with: the store by its roles, a clock, and limits.

use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use engine::Micros;
use store::{Facts, Journal, Nodes, Snapshots};

use crate::formats::Formats;

/// A store in the roles that shards need.
pub trait ShardStore: Journal + Snapshots + Facts + Nodes + Send + Sync {}

impl<S: Journal + Snapshots + Facts + Nodes + Send + Sync + ?Sized> ShardStore for S {}

/// What shards work with.
#[derive(Clone)]
pub struct Parts {
    /// Durable state.
    pub store: Arc<dyn ShardStore>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes 128 random bits, the name of a batch.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// Limits and intervals.
    pub limits: Limits,
    /// Which entries it reads and writes.
    pub formats: Formats,
}

/// Limits and intervals.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most requests that wait in each queue of a shard.
    pub queue_max: usize,
    /// Most identities that no table has yet; beyond, reports wait.
    pub unprojected_max: usize,
    /// Whether nobody else can write to the store, so that the state in memory is the newest.
    pub is_alone: bool,
    /// A snapshot is written after so many entries.
    pub snapshot_entries: u64,
    /// Or after so many decisions: a start follows those that come after it.
    pub snapshot_decisions: u64,
    /// How long the journal keeps entries at least.
    pub keep_entries: Duration,
    /// How long an answer may go without being sure that it is the newest.
    pub fresh_for: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queue_max: 50_000,
            unprojected_max: 2_000_000,
            is_alone: true,
            snapshot_entries: 20_000,
            snapshot_decisions: 500_000,
            keep_entries: Duration::from_secs(25 * 3600),
            fresh_for: Duration::from_secs(2),
        }
    }
}

impl Parts {
    /// The present instant.
    pub(crate) fn now(&self) -> Micros {
        self.clock.now().as_microsecond()
    }
}
