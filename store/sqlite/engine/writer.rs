//! The one thread that writes the engine's file. It takes all appends that wait, of all shards, and
//! commits them together: one sync of the disk serves them all, and each gets its own answer.
//!
//! Each shard has its turn, so that one with many appends does not hold up the others. Whatever
//! else must be written is done between two commits.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{
    checkpointer::Checkpointer,
    failure::{Failure, refusal},
};
use crate::{
    Result, StoreError, StoreErrorKind,
    journal::{Appended, JournalEntry, Shard},
    sqlite::journal,
};

/// Callers beyond this wait for a place in the queue.
const QUEUE_SIZE: usize = 1024;
const GROUP_COUNT_MAX: usize = 512;
const GROUP_BYTES_MAX: usize = 8 << 20;
/// About what other work writes: a piece of a snapshot.
const OTHER_BYTES: usize = 256 << 10;

/// An entry to append.
pub(in crate::sqlite) struct AppendRequest {
    pub(in crate::sqlite) shard: Shard,
    pub(in crate::sqlite) incarnation: u32,
    pub(in crate::sqlite) entry: JournalEntry,
    reply: oneshot::Sender<Result<Appended>>,
}

type Other = Box<dyn FnOnce(&mut Connection, &Failure) + Send>;

enum Work {
    Append(Box<AppendRequest>),
    Other(Other),
}

/// The thread and the queue before it.
pub(super) struct EngineWriter {
    queue: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    failure: Failure,
}

impl EngineWriter {
    /// Hands the connection to its thread.
    pub(super) fn start(
        connection: Connection,
        checkpointer: Checkpointer,
        failure: Failure,
    ) -> Result<EngineWriter> {
        let (queue, works) = mpsc::channel(QUEUE_SIZE);
        let desk = Desk { connection, checkpointer, failure: failure.clone() };
        let thread = thread::Builder::new().name("sqlite-journal".to_owned());
        let thread = thread.spawn(move || desk.work(works)).map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, true, "no thread to write the journal")
                .caused_by(error)
        })?;
        Ok(EngineWriter { queue: Some(queue), thread: Some(thread), failure })
    }

    pub(super) async fn append(
        &self,
        shard: Shard,
        incarnation: u32,
        entry: JournalEntry,
    ) -> Result<Appended> {
        let (reply, answer) = oneshot::channel();
        let request = AppendRequest { shard, incarnation, entry, reply };
        self.send(Work::Append(Box::new(request))).await?;
        answer.await.map_err(|_| refusal())?
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let other: Other = Box::new(move |connection, failure| {
            let outcome = or_fatal(failure, || transact(connection, work));
            // Nobody may be waiting any more.
            drop(reply.send(outcome));
        });
        self.send(Work::Other(other)).await?;
        answer.await.map_err(|_| refusal())?
    }

    async fn send(&self, work: Work) -> Result<()> {
        self.failure.check()?;
        let queue = self.queue.as_ref().ok_or_else(refusal)?;
        queue.send(work).await.map_err(|_| refusal())
    }
}

impl Drop for EngineWriter {
    /// Lets what is queued finish: whoever opens the file next must find nobody writing.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's writer ended in a panic");
        }
    }
}

/// What the thread works with.
struct Desk {
    connection: Connection,
    checkpointer: Checkpointer,
    failure: Failure,
}

impl Desk {
    fn work(mut self, mut works: mpsc::Receiver<Work>) {
        let mut waiting = Waiting::default();
        loop {
            if waiting.is_empty() {
                match works.blocking_recv() {
                    Some(work) => waiting.put(work),
                    None => return,
                }
            }
            while waiting.count < QUEUE_SIZE
                && let Ok(work) = works.try_recv()
            {
                waiting.put(work);
            }
            let group = waiting.take_group();
            if !group.is_empty() {
                self.append(group);
            }
            if let Some(other) = waiting.take_other() {
                other(&mut self.connection, &self.failure);
                self.count_written(OTHER_BYTES, 1);
            }
        }
    }

    fn append(&mut self, group: Vec<AppendRequest>) {
        let bytes = group.iter().map(|request| request.entry.bytes.len()).sum();
        let count = group.len();
        let answers = or_fatal(&self.failure, || commit(&mut self.connection, &group));
        match answers {
            Ok(answers) => {
                for (request, answer) in group.into_iter().zip(answers) {
                    drop(request.reply.send(answer));
                }
            }
            Err(_) => {
                for request in group {
                    drop(request.reply.send(Err(refusal())));
                }
            }
        }
        self.count_written(bytes, count);
    }

    fn count_written(&mut self, bytes: usize, append_count: usize) {
        if self.failure.check().is_ok()
            && let Err(error) = self.checkpointer.written(&self.connection, bytes, append_count)
        {
            self.failure.raise(&error);
        }
    }
}

/// Any error of `work`, and a panic, is the last one. Told before anybody is answered.
fn or_fatal<T>(failure: &Failure, work: impl FnOnce() -> Result<T>) -> Result<T> {
    failure.check()?;
    let panicked = |_| Err(StoreError::new(StoreErrorKind::Bug, false, "a write panicked"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked).map_err(|error| {
        failure.raise(&error);
        StoreError::new(error.kind(), false, "the journal's file has failed").caused_by(error)
    })
}

fn commit(connection: &mut Connection, group: &[AppendRequest]) -> Result<Vec<Result<Appended>>> {
    transact(connection, |db| group.iter().map(|request| journal::append(db, request)).collect())
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// What was taken from the queue and is not done yet.
#[derive(Default)]
struct Waiting {
    count: usize,
    appends: BTreeMap<Shard, VecDeque<AppendRequest>>,
    /// The shard after which the next turn begins.
    last: Option<Shard>,
    others: VecDeque<Other>,
}

impl Waiting {
    const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn put(&mut self, work: Work) {
        self.count += 1;
        match work {
            Work::Append(request) => {
                self.appends.entry(request.shard).or_default().push_back(*request);
            }
            Work::Other(other) => self.others.push_back(other),
        }
    }

    fn take_other(&mut self) -> Option<Other> {
        let other = self.others.pop_front()?;
        self.count -= 1;
        Some(other)
    }

    /// As many as one commit takes, one of each shard in turn.
    fn take_group(&mut self) -> Vec<AppendRequest> {
        let (mut group, mut bytes) = (Vec::new(), 0_usize);
        while group.len() < GROUP_COUNT_MAX && bytes < GROUP_BYTES_MAX {
            let Some(request) = self.take_next() else { break };
            bytes = bytes.saturating_add(request.entry.bytes.len());
            group.push(request);
        }
        self.count -= group.len();
        group
    }

    fn take_next(&mut self) -> Option<AppendRequest> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.last.map_or(Unbounded, Excluded);
        let next = self.appends.range((after, Unbounded)).next();
        let shard = *next.or_else(|| self.appends.first_key_value())?.0;
        self.last = Some(shard);
        let queue = self.appends.get_mut(&shard).expect("the shard was just found");
        let request = queue.pop_front();
        if queue.is_empty() {
            self.appends.remove(&shard);
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use domain::{OrganizationId, organization::Environment};
    use uuid::Uuid;

    use super::*;

    fn shard(number: u128) -> Shard {
        let organization = OrganizationId::from_uuid(Uuid::from_u128(number));
        Shard { organization, environment: Environment::Live }
    }

    fn append(number: u128, seq: u64, size: usize) -> Work {
        let entry = JournalEntry { seq, batch: 1, previous: 0, bytes: vec![0; size] };
        let (reply, _) = oneshot::channel();
        let request = AppendRequest { shard: shard(number), incarnation: 1, entry, reply };
        Work::Append(Box::new(request))
    }

    fn places(group: &[AppendRequest]) -> Vec<(u128, u64)> {
        let number_of = |wanted| (1..=3).find(|number| shard(*number) == wanted).unwrap();
        group.iter().map(|request| (number_of(request.shard), request.entry.seq)).collect()
    }

    #[test]
    fn a_commit_takes_one_append_of_each_shard_in_turn() {
        let mut waiting = Waiting::default();
        for seq in 1..=3 {
            waiting.put(append(1, seq, 1));
        }
        waiting.put(append(2, 7, 1));
        waiting.put(append(3, 9, 1));
        assert_eq!(places(&waiting.take_group()), [(1, 1), (2, 7), (3, 9), (1, 2), (1, 3)]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn the_turn_goes_on_where_the_last_commit_ended() {
        let mut waiting = Waiting::default();
        for seq in 1..=9 {
            waiting.put(append(1, seq, 1 << 20));
        }
        waiting.put(append(2, 7, 1));
        let first = waiting.take_group();
        assert_eq!(first.len(), 9, "8 MiB and what is small");
        waiting.put(append(2, 8, 1));
        assert_eq!(places(&waiting.take_group()), [(2, 8), (1, 9)]);
    }
}
