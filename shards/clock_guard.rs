//! A watch over this machine's clock. A node whose clock is wrong would let holds expire, or keep
//! them, for everybody: it decides nothing until the clock is right again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine::Micros;
use tokio::time::Instant;

use crate::error::ShardError;
use crate::parts::Parts;

/// A watch over this machine's clock.
pub struct ClockGuard {
    parts: Parts,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The last look: by the clock, and by a clock that nobody sets.
    wall: Micros,
    steady: Instant,
    compared_at: Option<Instant>,
    /// Why nothing is decided.
    wrong: Option<Wrong>,
}

/// What is wrong with a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It differs from the store's by so much; heals by itself.
    Differs(Micros),
    /// It was set by so much, and a person must say that this is right.
    Jumped(Micros),
}

impl ClockGuard {
    pub(crate) fn new(parts: Parts) -> ClockGuard {
        let seen =
            Seen { wall: parts.now(), steady: Instant::now(), compared_at: None, wrong: None };
        ClockGuard { parts, seen: Mutex::new(seen) }
    }

    /// Whether this node may decide.
    ///
    /// # Errors
    /// [`ShardError::Unavailable`] says what to do.
    pub fn check(&self) -> Result<(), ShardError> {
        let wrong = self.seen.lock().unwrap_or_else(PoisonError::into_inner).wrong;
        let seconds = |micros: Micros| micros / 1_000_000;
        let why = match wrong {
            None => return Ok(()),
            Some(Wrong::Differs(by)) => format!(
                "this machine's clock differs from the store's by {} ms: synchronize it",
                by / 1_000
            ),
            Some(Wrong::Jumped(by)) => format!(
                "this machine's clock was set by {} s: if it is right now, run \
                 `outlay clock accept`",
                seconds(by)
            ),
        };
        Err(ShardError::Unavailable(why))
    }

    /// A person says that the clock is right as it is.
    pub fn accept(&self) {
        let (wall, steady) = (self.parts.now(), Instant::now());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.wall, seen.steady, seen.wrong) = (wall, steady, None);
    }

    /// Looks at the clock: whether it was set, and now and then how far it is from the store's.
    pub async fn look(&self) {
        let is_due = {
            let (wall, steady) = (self.parts.now(), Instant::now());
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let passed = steady.saturating_duration_since(seen.steady).as_micros();
            let passed = Micros::try_from(passed).unwrap_or(Micros::MAX);
            let jump = wall.saturating_sub(seen.wall).saturating_sub(passed);
            if jump.saturating_abs() > JUMP_MAX {
                tracing::error!(by_seconds = jump / 1_000_000, "the machine's clock was set");
                seen.wrong = Some(Wrong::Jumped(jump));
            }
            (seen.wall, seen.steady) = (wall, steady);
            let compared = seen.compared_at.map(|at| at.elapsed());
            !self.parts.limits.is_alone && compared.is_none_or(|age| age >= COMPARE_EVERY)
        };
        if is_due {
            self.compare().await;
        }
    }

    /// Compares the clock with the store's. What the question took is on our side.
    async fn compare(&self) {
        let (before, begun_at) = (self.parts.now(), Instant::now());
        let Ok(store) = self.parts.store.store_time_micros().await else { return };
        let took = Micros::try_from(begun_at.elapsed().as_micros()).unwrap_or(Micros::MAX);
        let after = before.saturating_add(took);
        let differs = match (store < before, store > after) {
            (true, _) => before.saturating_sub(store),
            (_, true) => store.saturating_sub(after),
            _ => 0,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.compared_at = Some(Instant::now());
        match seen.wrong {
            Some(Wrong::Jumped(_)) => {}
            _ if differs > DIFFERENCE_MAX => {
                tracing::error!(by_ms = differs / 1_000, "the clock is not the store's");
                seen.wrong = Some(Wrong::Differs(differs));
            }
            _ => seen.wrong = None,
        }
    }
}

/// A clock that was set by more than an hour is asked about.
const JUMP_MAX: Micros = 3600 * 1_000_000;
/// How far the clock may be from the store's.
const DIFFERENCE_MAX: Micros = 1_000_000;
const COMPARE_EVERY: Duration = Duration::from_secs(30);
