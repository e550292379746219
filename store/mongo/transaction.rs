//! Transactions that are tried again while trying again can help.
//!
//! Two transactions that touch the same document do not wait for each other: the second is aborted
//! and must start over
//! (<https://www.mongodb.com/docs/manual/core/transactions-production-consideration/>). The same
//! goes for one that loses its primary. So every multi-document method is written as steps that may
//! run several times, of which one run counts.

use std::time::{Duration, Instant};

use mongodb::{
    ClientSession,
    error::{
        Error, Result as DriverResult, TRANSIENT_TRANSACTION_ERROR,
        UNKNOWN_TRANSACTION_COMMIT_RESULT,
    },
    options::{ReadConcern, TransactionOptions},
};

use super::{
    MongoStore,
    failure::{Attempt, Failure, is_duplicate, store_error},
};
use crate::Result;

/// How long a method keeps trying: longer than an election, shorter than a caller's patience.
const TRYING_SECONDS_MAX: u64 = 20;
/// A duplicate key means that somebody came between our read and our write, so the next attempt
/// reads what is there. One that comes back this often is our mistake.
const DUPLICATE_COUNT_MAX: u32 = 30;
const PAUSE_MS_MIN: u64 = 2;
const PAUSE_MS_MAX: u64 = 250;

/// Runs steps in one transaction, again from the start where somebody came between.
///
/// The steps are a future that borrows the session and ends with an [`Attempt`]. An error aborts
/// the transaction and must not be swallowed inside, because after any error the server has ended
/// it already. (A macro, because the compiler cannot yet prove that an async closure's future is
/// `Send`: <https://github.com/rust-lang/rust/issues/96865>.)
macro_rules! atomically {
    ($store:expr, |$session:ident| $steps:expr) => {{
        let mut transaction = $store.begin().await?;
        loop {
            let $session = transaction.start().await?;
            let attempt = $steps.await;
            if let Some(value) = transaction.end(attempt).await? {
                break crate::Result::Ok(value);
            }
        }
    }};
}
pub(super) use atomically;

/// A transaction and its attempts. Use it through [`atomically`].
pub(super) struct Transaction {
    session: ClientSession,
    patience: Patience,
}

impl MongoStore {
    /// Gets ready for a first attempt.
    pub(super) async fn begin(&self) -> Result<Transaction> {
        Ok(Transaction { session: self.client.start_session().await?, patience: Patience::new() })
    }
}

impl Transaction {
    /// Starts an attempt.
    pub(super) async fn start(&mut self) -> Result<&mut ClientSession> {
        self.session.start_transaction().with_options(options()).await?;
        Ok(&mut self.session)
    }

    /// Ends an attempt: the value where it is committed, `None` where another attempt is due.
    pub(super) async fn end<T>(&mut self, attempt: Attempt<T>) -> Result<Option<T>> {
        let failure = match attempt {
            Ok(value) => match self.commit().await {
                Ok(()) => return Ok(Some(value)),
                Err(unknown) if is_unknown(&unknown) => return Err(store_error(unknown, false)),
                Err(error) => Failure::Driver(error),
            },
            Err(failure) => {
                // The failure matters, not whether the server could still be told of it: it forgets
                // an abandoned transaction by itself.
                self.session.abort_transaction().await.ok();
                failure
            }
        };
        match failure {
            Failure::Driver(error) if self.patience.allows_another(&error) => {
                self.patience.pause().await;
                Ok(None)
            }
            Failure::Driver(error) => Err(store_error(error, true)),
            Failure::Store(error) => Err(error),
        }
    }

    /// Commits. Where the answer is lost the commit is sent again, which the server recognises.
    async fn commit(&mut self) -> DriverResult<()> {
        loop {
            match self.session.commit_transaction().await {
                Err(error) if is_unknown(&error) && self.patience.has_time() => {
                    self.patience.pause().await;
                }
                ended => return ended,
            }
        }
    }
}

/// Reads see one instant: with several finds, half of somebody's transaction would be worse than
/// none.
fn options() -> TransactionOptions {
    TransactionOptions::builder().read_concern(ReadConcern::snapshot()).build()
}

fn is_unknown(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

/// How much longer to try.
struct Patience {
    since: Instant,
    attempt_count: u32,
    duplicate_count: u32,
}

impl Patience {
    fn new() -> Patience {
        Patience { since: Instant::now(), attempt_count: 0, duplicate_count: 0 }
    }

    fn has_time(&self) -> bool {
        self.since.elapsed() < Duration::from_secs(TRYING_SECONDS_MAX)
    }

    fn allows_another(&mut self, error: &Error) -> bool {
        self.attempt_count += 1;
        if is_duplicate(error) {
            self.duplicate_count += 1;
            return self.has_time() && self.duplicate_count <= DUPLICATE_COUNT_MAX;
        }
        self.has_time() && error.contains_label(TRANSIENT_TRANSACTION_ERROR)
    }

    /// Waits a random part of a span that doubles, so that those who collided do not collide again.
    async fn pause(&self) {
        let span = (PAUSE_MS_MIN << self.attempt_count.min(10)).min(PAUSE_MS_MAX);
        let random = uuid::Uuid::new_v4().as_u64_pair().1;
        tokio::time::sleep(Duration::from_millis(random % span + 1)).await;
    }
}
