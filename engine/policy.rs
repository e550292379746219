//! Policies as the state keeps them: what they are, their open windows, and what was counted.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::policy::WindowRule;
use serde::{Deserialize, Serialize};

use crate::command::{Micros, PathNo, WindowNo};

/// What a policy is. Path, scope, unit and window never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Id.
    pub id: u128,
    /// The path that it counts, with everything below.
    pub path: String,
    /// Only what this service sold; empty for any.
    pub service: String,
    /// Only this canonical model; empty for any.
    pub model: String,
    /// What it counts.
    pub unit: Unit,
    /// How much.
    pub limit: i128,
    /// In which window.
    pub window: Window,
    /// How hard.
    pub mode: Mode,
    /// Whether calls are admitted while nobody can tell how much is used.
    pub allow_on_unavailable: bool,
    /// When to tell people.
    pub alerts: Vec<Alert>,
    /// When it was made.
    pub created_at: Micros,
}

/// What may change of a policy; `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyChange {
    /// How much.
    pub limit: Option<i128>,
    /// How hard.
    pub mode: Option<Mode>,
    /// Fail open or closed.
    pub allow_on_unavailable: Option<bool>,
    /// When to tell people.
    pub alerts: Option<Vec<Alert>>,
}

/// A threshold and whom to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// When.
    pub at: Threshold,
    /// By which channels.
    pub channels: Vec<String>,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Threshold {
    /// So many thousandths of a percent of the limit.
    Percent(u32),
    /// So much.
    Amount(i128),
}

/// What a policy counts. The twin of the domain's, in the journal's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Femtodollars.
    Usd,
    /// Millicredits.
    Credits,
    /// Calls.
    Requests,
    /// Tokens.
    Tokens,
}

/// How hard a policy is. The twin of the domain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Records, never refuses.
    Open,
    /// Refuses once the limit is reached.
    Block,
    /// Admits what fits.
    Strict,
}

/// A window's rule in the journal's format; see [`WindowRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// A calendar's period: minute, hour, day, week, month, quarter, year from 0 on.
    Calendar(u8),
    /// A billing cycle: months, days, first boundary.
    Anchored(u16, u16, Micros),
    /// Opens at its first use.
    Session(Micros),
    /// The last so long.
    Sliding(Micros),
    /// Never resets.
    Total,
}

/// A policy in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it is. Whoever looks at it shares it.
    #[serde(with = "shared")]
    pub record: Arc<PolicyRecord>,
    /// Its path's number.
    pub path: PathNo,
    /// Whether it waits for what its window had used before it was made; it refuses nothing yet.
    pub opening: bool,
    /// The journal entry that made it.
    pub made_seq: u64,
    /// Windows that can still decide, by their starts. A sliding policy has exactly one.
    pub windows: Vec<OpenWindow>,
    /// What a sliding policy counted, by bucket, ascending.
    pub buckets: VecDeque<(WindowNo, i128)>,
    /// Where the newest of the windows ended that are not here any more: none begins before.
    pub retired_end: Micros,
    /// The next window's number.
    pub next_window: WindowNo,
    /// Of a sliding policy: when the first of the told thresholds was told. The window's length
    /// later they may be told again.
    pub told_at: Option<Micros>,
}

/// A window that can still decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// Its number.
    pub number: WindowNo,
    /// First instant.
    pub start: Micros,
    /// First instant after.
    pub end: Micros,
    /// What was spent in it.
    pub used: i128,
    /// What open reservations keep free in it.
    pub held: i128,
    /// How many reservations hold on it.
    pub hold_count: u32,
    /// Thresholds that have been told, by their places among the alerts, as bits.
    pub told: u32,
}

impl Window {
    /// Whether it ever contains anything: a cycle or a length of nothing does not.
    #[must_use]
    pub fn is_possible(self) -> bool {
        const YEAR: u8 = 6;
        match self {
            Window::Calendar(unit) => unit <= YEAR,
            Window::Anchored(months, days, _) => months > 0 || days > 0,
            Window::Session(micros) | Window::Sliding(micros) => micros > 0,
            Window::Total => true,
        }
    }

    /// Whether it opens with its first use.
    #[must_use]
    pub fn is_session(self) -> bool {
        matches!(self, Window::Session(_))
    }

    /// The length of a sliding window.
    #[must_use]
    pub fn sliding(self) -> Option<Micros> {
        if let Window::Sliding(micros) = self { Some(micros) } else { None }
    }
}

impl From<WindowRule> for Window {
    fn from(rule: WindowRule) -> Window {
        match rule {
            WindowRule::Calendar(unit) => Window::Calendar(unit as u8),
            WindowRule::Anchored { months, days, anchor_at } => {
                Window::Anchored(months, days, anchor_at)
            }
            WindowRule::Session { micros } => Window::Session(micros),
            WindowRule::Sliding { micros } => Window::Sliding(micros),
            WindowRule::Total => Window::Total,
        }
    }
}

/// A shared record is written as the record.
pub mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::PolicyRecord;

    /// Writes the record.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        record: &Arc<PolicyRecord>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        PolicyRecord::serialize(record, serializer)
    }

    /// Reads a record, which nobody shares yet.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<PolicyRecord>, D::Error> {
        PolicyRecord::deserialize(deserializer).map(Arc::new)
    }
}
