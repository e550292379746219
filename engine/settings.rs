//! Settings of a shard: how its organization counts time, and what it lets happen by itself.

use serde::{Deserialize, Serialize};

use crate::calendar::CalendarRules;

/// Settings, as the journal has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Grows with every change; an older one never replaces a newer one.
    pub revision: u64,
    /// When calendar periods begin.
    pub calendar: CalendarRules,
    /// Whether reports and reservations make the paths they name.
    pub auto_create_paths: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { revision: 0, calendar: CalendarRules::default(), auto_create_paths: true }
    }
}
