//! The one thread that writes. Each piece of work is a transaction: wholly done and on disk when it
//! is answered, or not done at all. A caller that stops waiting changes nothing about that.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::failure::commit_failure;
use crate::{Result, StoreError, StoreErrorKind};

/// Callers beyond this wait for a place in the queue.
const QUEUE_SIZE: usize = 256;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// The writer's thread and the queue before it.
pub(in crate::sqlite) struct Writer {
    queue: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Hands the connection to its thread.
    pub(in crate::sqlite) fn start(mut connection: Connection) -> Result<Writer> {
        let (queue, mut works) = mpsc::channel::<Work>(QUEUE_SIZE);
        let body = move || {
            while let Some(work) = works.blocking_recv() {
                work(&mut connection);
            }
        };
        let thread = thread::Builder::new().name("sqlite-writer".to_owned()).spawn(body);
        let failed = |error| {
            StoreError::new(StoreErrorKind::Unavailable, true, "no thread to write")
                .caused_by(error)
        };
        Ok(Writer { queue: Some(queue), thread: Some(thread.map_err(failed)?) })
    }

    /// Runs `work` in a transaction of its own, which commits unless `work` fails.
    pub(in crate::sqlite) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let outcome = catch_unwind(AssertUnwindSafe(|| transact(connection, work)));
            let bug = |_| Err(StoreError::new(StoreErrorKind::Bug, true, "a write panicked"));
            // Nobody may be waiting any more.
            drop(reply.send(outcome.unwrap_or_else(bug)));
        });
        let gone = |sure| StoreError::new(StoreErrorKind::Bug, sure, "the writer has stopped");
        let queue = self.queue.as_ref().ok_or_else(|| gone(true))?;
        queue.send(work).await.map_err(|_| gone(true))?;
        answer.await.map_err(|_| gone(false))?
    }
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    // Immediate: the write lock now, so that what is read below stays true until the commit.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit().map_err(commit_failure)?;
    Ok(value)
}

impl Drop for Writer {
    /// Lets what is queued finish: whoever opens the file next must find nobody writing.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}
