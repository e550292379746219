//! A few connections that read while the writer writes, each call from one snapshot.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect::reading_connection;
use crate::{Result, StoreError, StoreErrorKind};

/// Reads are short or limited by the disk; more would only evict each other's pages.
const READER_COUNT: usize = 4;

/// The pool.
pub(in crate::sqlite) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    /// One permit for each connection, so that a permit's holder always finds an idle one.
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Opens all connections.
    pub(in crate::sqlite) fn open(path: &Path) -> Result<Readers> {
        let idle: Result<Vec<_>> = (0..READER_COUNT).map(|_| reading_connection(path)).collect();
        Ok(Readers {
            idle: Arc::new(Mutex::new(idle?)),
            turns: Arc::new(Semaphore::new(READER_COUNT)),
        })
    }

    /// Runs `work` on a thread that may block, within one read transaction.
    pub(in crate::sqlite) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        let mut loan = Loan::take(Arc::clone(&self.idle), turn);
        let task = tokio::task::spawn_blocking(move || {
            let db = loan.connection.as_mut().expect("a loan has its connection until dropped");
            let snapshot = db.transaction_with_behavior(TransactionBehavior::Deferred)?;
            work(&snapshot)
        });
        let stopped = |error| {
            StoreError::new(StoreErrorKind::Bug, true, "a read stopped early").caused_by(error)
        };
        task.await.map_err(stopped)?
    }
}

/// A connection that goes back to the pool when dropped, after a panic too.
struct Loan {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _turn: OwnedSemaphorePermit,
}

impl Loan {
    fn take(idle: Arc<Mutex<Vec<Connection>>>, turn: OwnedSemaphorePermit) -> Loan {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Loan { connection, idle, _turn: turn }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Before the permit: fields are dropped after this.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}
