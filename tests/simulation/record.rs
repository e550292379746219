//! What clients asked and heard, for whoever checks it afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::Request;
use shards::{Actor, Answer, Done, Position, Question, Reply, ShardError};
use store::journal::Shard;

/// Everything that was asked and heard.
#[derive(Default, Clone)]
pub struct Record(Arc<Mutex<Asked>>);

/// What was asked.
#[derive(Default)]
pub struct Asked {
    /// Groups of requests.
    pub groups: Vec<GroupAsked>,
    /// Questions.
    pub questions: Vec<QuestionAsked>,
}

/// A group that was asked, and what was heard.
pub struct GroupAsked {
    /// Of which shard.
    pub shard: Shard,
    /// Of which node.
    pub node: usize,
    /// What.
    pub requests: Vec<Request>,
    /// The journal's last entry when it was asked.
    pub tail_before: u64,
    /// The node's clock when it was asked, and when it was answered.
    pub clock: (i64, i64),
    /// The answer; none while it is under way.
    pub heard: Option<Result<Done, ShardError>>,
}

/// A question that was asked, and what was heard.
pub struct QuestionAsked {
    /// Of which shard.
    pub shard: Shard,
    /// Of which node.
    pub node: usize,
    /// What.
    pub question: Question,
    /// The place that the answer had to reflect.
    pub least: Option<Position>,
    /// The store's clock when it was asked.
    pub asked_at: i64,
    /// The node's clock when it was answered.
    pub answered_at: i64,
    /// The answer.
    pub reply: Reply,
}

impl Record {
    /// All of it.
    pub fn all(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mark of a request in its decision: which group, and which place in it.
#[must_use]
pub fn mark(group: usize, place: usize) -> Vec<u8> {
    Actor::key("key_sim".to_owned(), None, Some(format!("{group}.{place}"))).encode()
}

/// Which group and place a decision was made for; none for what happened by itself.
#[must_use]
pub fn marked(actor: &[u8]) -> Option<(usize, usize)> {
    let request_id = Actor::decode(actor)?.request_id?;
    let (group, place) = request_id.split_once('.')?;
    Some((group.parse().ok()?, place.parse().ok()?))
}

/// The answers of a group that was answered.
#[must_use]
pub fn answers(group: &GroupAsked) -> &[Answer] {
    match &group.heard {
        Some(Ok(done)) => &done.answers,
        _ => &[],
    }
}
