//! Waiting, and whose turn it is. The only place that lets time pass.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Lets time pass.
#[async_trait::async_trait]
pub trait Pause: Send + Sync {
    /// Returns after `delay`.
    async fn pause(&self, delay: Duration);
}

/// The real pause: tokio's timer, which tests can set forward.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioPause;

#[async_trait::async_trait]
impl Pause for TokioPause {
    async fn pause(&self, delay: Duration) {
        tokio::time::sleep(delay).await;
    }
}

/// When each origin may be called next. Connections to one provider share its patience.
pub(crate) struct Paces {
    pub(crate) pause: Arc<dyn Pause>,
    next_at: Mutex<BTreeMap<String, Instant>>,
}

impl Paces {
    pub(crate) fn new(pause: Arc<dyn Pause>) -> Paces {
        Paces { pause, next_at: Mutex::default() }
    }

    /// Takes the origin's next turn and waits for it.
    pub(crate) async fn wait_for_turn(&self, origin: String, interval: Duration) {
        let delay = self.take_turn(origin, interval, Instant::now());
        if !delay.is_zero() {
            self.pause.pause(delay).await;
        }
    }

    fn take_turn(&self, origin: String, interval: Duration, now: Instant) -> Duration {
        let mut next_at = self.next_at.lock().unwrap_or_else(PoisonError::into_inner);
        // Turns in the past say nothing any more; forgetting them bounds the map.
        next_at.retain(|_, at| *at > now);
        let turn = next_at.get(&origin).copied().unwrap_or(now);
        next_at.insert(origin, turn.checked_add(interval).unwrap_or(turn));
        turn.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_of_one_origin_are_an_interval_apart() {
        let paces = Paces::new(Arc::new(TokioPause));
        let started_at = Instant::now();
        let interval = Duration::from_millis(250);
        for expected in [0, 250, 500] {
            paces.wait_for_turn("a".to_owned(), interval).await;
            assert_eq!(started_at.elapsed(), Duration::from_millis(expected));
        }
        paces.wait_for_turn("b".to_owned(), interval).await;
        assert_eq!(started_at.elapsed(), Duration::from_millis(500));
    }
}
