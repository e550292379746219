//! What happened, line by line, and one number for all of it: two runs of one seed must have the
//! same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How many of the last lines are kept for whoever looks for a fault.
const LINES_KEPT: usize = 20_000;

/// What happened.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    begun_at: Instant,
    digest: Sha256,
    count: u64,
    last: VecDeque<String>,
}

impl Trace {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Trace {
        let (digest, last) = (Sha256::new(), VecDeque::new());
        Trace(Arc::new(Mutex::new(Lines { begun_at: Instant::now(), digest, count: 0, last })))
    }

    /// Notes a line.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{:>12} {}", lines.begun_at.elapsed().as_micros(), line());
        lines.digest.update(line.as_bytes());
        lines.count += 1;
        lines.last.push_back(line);
        if lines.last.len() > LINES_KEPT {
            lines.last.pop_front();
        }
    }

    /// How many lines, and the hash of them all.
    #[must_use]
    pub fn sum(&self) -> (u64, String) {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = lines.digest.clone().finalize();
        (lines.count, hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The last lines that contain one of `words`.
    #[must_use]
    pub fn last(&self, words: &[&str], count: usize) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lines.last.iter().filter(|line| words.iter().any(|word| line.contains(word)));
        let found: Vec<String> = found.cloned().collect();
        found[found.len().saturating_sub(count)..].to_vec()
    }
}
