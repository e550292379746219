//! A shard's two queues: groups of requests that wait to be decided.
//!
//! Both are bounded in requests. What somebody waits for goes first; batches and imports get what
//! is left of a round, and never less than half of one when they wait long.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::caps::{Done, Group, Lane};
use crate::error::ShardError;

/// Most requests of a round.
pub(crate) const ROUND_MAX: usize = 4_096;

/// A group that waits.
pub(crate) struct Waiting {
    pub(crate) group: Group,
    /// The answers so far: as many as requests were decided.
    pub(crate) answers: Vec<Answer>,
    /// After it nobody begins with what is left.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Done, ShardError>>,
}

impl Waiting {
    /// How many requests are not decided yet. A group without any asks only whether the state is
    /// the newest, and counts as one.
    fn weight(&self) -> usize {
        self.group.requests.len().saturating_sub(self.answers.len()).max(1)
    }
}

/// Two bounded queues.
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    arrived: Notify,
    requests_max: usize,
}

#[derive(Default)]
struct Lanes {
    interactive: VecDeque<Waiting>,
    bulk: VecDeque<Waiting>,
    interactive_count: usize,
    bulk_count: usize,
    /// Microseconds that a request took on average in the last round, for `Retry-After`.
    request_micros: u64,
    is_closed: bool,
}

impl Queue {
    pub(crate) fn new(requests_max: usize) -> Queue {
        Queue { lanes: Mutex::default(), arrived: Notify::new(), requests_max }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a group, unless too much waits already. One group always fits into an empty queue.
    pub(crate) fn push(&self, waiting: Waiting) -> Result<(), ShardError> {
        let mut lanes = self.lanes();
        if lanes.is_closed {
            return Err(ShardError::Unavailable("the server is stopping".to_owned()));
        }
        let is_bulk = waiting.group.lane == Lane::Bulk;
        let count = if is_bulk { lanes.bulk_count } else { lanes.interactive_count };
        let weight = waiting.weight();
        if count > 0 && count.saturating_add(weight) > self.requests_max {
            let waiting = u64::try_from(count).unwrap_or(u64::MAX);
            let micros = waiting.saturating_mul(lanes.request_micros.max(10));
            let retry_after = Duration::from_micros(micros).clamp(SOON, LATE);
            return Err(ShardError::Overloaded { retry_after });
        }
        if is_bulk {
            lanes.bulk_count = count.saturating_add(weight);
            lanes.bulk.push_back(waiting);
        } else {
            lanes.interactive_count = count.saturating_add(weight);
            lanes.interactive.push_back(waiting);
        }
        drop(lanes);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts a group that is not finished back where it was.
    pub(crate) fn put_back(&self, waiting: Waiting) {
        let mut lanes = self.lanes();
        let weight = waiting.weight();
        if waiting.group.lane == Lane::Bulk {
            lanes.bulk_count = lanes.bulk_count.saturating_add(weight);
            lanes.bulk.push_front(waiting);
        } else {
            lanes.interactive_count = lanes.interactive_count.saturating_add(weight);
            lanes.interactive.push_front(waiting);
        }
        drop(lanes);
        self.arrived.notify_one();
    }

    /// Groups for a round; empty where nothing waits.
    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut lanes = self.lanes();
        let mut taken = vec![];
        let mut count = 0;
        // Bulk gets half of a round; all of it where nobody else waits.
        let bulk_max = if lanes.interactive.is_empty() { ROUND_MAX } else { ROUND_MAX / 2 };
        while count < bulk_max
            && let Some(waiting) = lanes.bulk.pop_front()
        {
            count = count.saturating_add(waiting.weight());
            lanes.bulk_count = lanes.bulk_count.saturating_sub(waiting.weight());
            taken.push(waiting);
        }
        let bulk = taken.len();
        while count < ROUND_MAX
            && let Some(waiting) = lanes.interactive.pop_front()
        {
            count = count.saturating_add(waiting.weight());
            lanes.interactive_count = lanes.interactive_count.saturating_sub(waiting.weight());
            taken.push(waiting);
        }
        taken.rotate_left(bulk);
        taken
    }

    /// Waits until a group is there.
    pub(crate) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Notes how long a round took.
    pub(crate) fn note_round(&self, requests: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let requests = u64::try_from(requests.max(1)).unwrap_or(u64::MAX);
        self.lanes().request_micros = micros.checked_div(requests).unwrap_or(0);
    }

    /// Takes nothing more, and gives back what waits.
    pub(crate) fn close(&self) -> Vec<Waiting> {
        let mut lanes = self.lanes();
        lanes.is_closed = true;
        let mut left: Vec<_> = lanes.interactive.drain(..).collect();
        left.extend(lanes.bulk.drain(..));
        (lanes.interactive_count, lanes.bulk_count) = (0, 0);
        left
    }
}

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(30);
