//! The way in for whoever has something to ask of a shard or to book in it.
use std::time::Duration;

use engine::Request;
use serde::{Deserialize, Serialize};
use store::journal::Shard;

use crate::{Answer, PolicyStanding, Question, Said, ShardError};

/// A place in a journal; text is `INCARNATION.SEQ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// How often the journal was begun anew.
    pub incarnation: u32,
    /// The entry.
    pub seq: u64,
}

/// Which queue a group of requests waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Somebody waits for the answer: checks, reservations, single reports.
    Interactive,
    /// Batches and imports; at most half of a batch while others wait.
    Bulk,
}

/// A group of requests of one caller. Each is decided by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What is asked, in order.
    pub requests: Vec<Request>,
    /// For each request the own day of its id (see [`crate::ids::own_day`]); may be shorter where
    /// the rest has none.
    pub id_days: Vec<Option<u32>>,
    /// Which queue.
    pub lane: Lane,
    /// How long somebody waits for the answer; after it nobody begins with it any more.
    pub patience: Duration,
    /// Say afterwards which policies of the paths that were booked on are exhausted.
    pub with_blocked: bool,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// One for each request, in order.
    pub answers: Vec<Answer>,
    /// The newest place that the answers reflect.
    pub position: Position,
    /// Policies under which nothing more may be begun, each once.
    pub blocked: Vec<PolicyStanding>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What is said.
    pub said: Said,
    /// The place that it reflects.
    pub position: Position,
    /// How long ago it was sure that nothing newer is there, where that is more than two seconds.
    pub stale_ms: Option<u64>,
}

/// Whoever can decide about caps: the shards of this process, or of another one.
#[async_trait::async_trait]
pub trait Caps: Send + Sync {
    /// Has a group decided, durably, and answers.
    ///
    /// # Errors
    /// [`ShardError`] says whether it may have been done.
    async fn submit(&self, shard: Shard, group: Group) -> Result<Done, ShardError>;

    /// Asks without changing anything. `least` is a place that the answer must reflect.
    ///
    /// # Errors
    /// [`ShardError`] where nobody can tell.
    async fn ask(
        &self,
        shard: Shard,
        question: Question,
        least: Option<Position>,
    ) -> Result<Reply, ShardError>;
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.seq)
    }
}

impl std::str::FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Position, ()> {
        let (incarnation, seq) = text.split_once('.').ok_or(())?;
        let incarnation = incarnation.parse().map_err(|_| ())?;
        Ok(Position { incarnation, seq: seq.parse().map_err(|_| ())? })
    }
}
