//! A threshold that was crossed, as the facts keep it until people have been told.

use engine::command::Micros;
use engine::policy::{Threshold, Unit};
use serde::{Deserialize, Serialize};

use super::{FactsError, sealed};

const FORMAT: u8 = 1;

/// A threshold that was crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// The policy's id.
    pub policy: u128,
    /// Its path.
    pub path: String,
    /// What it counts; `used` and `limit` are in the smallest part of it.
    pub unit: Unit,
    /// Which threshold.
    pub threshold: Threshold,
    /// By which channels people want to be told of it.
    pub channels: Vec<String>,
    /// What was used then.
    pub used: i128,
    /// The limit then.
    pub limit: i128,
    /// The window's start; `None` where it has none.
    pub window_start: Option<Micros>,
    /// The window's end; `None` where it never ends, or slides.
    pub window_end: Option<Micros>,
}

impl Crossing {
    /// The bytes for the facts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        sealed::seal(FORMAT, self)
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`FactsError`] where they are damaged, or of another release.
    pub fn decode(bytes: &[u8]) -> Result<Crossing, FactsError> {
        sealed::open(FORMAT, bytes)
    }
}
