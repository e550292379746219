//! Policies: a limit on what a path and everything below it may consume in a window of time.

use crate::{Path, Service};

/// Most policies of one path.
pub const POLICIES_MAX: usize = 10;

/// Most thresholds of one policy.
pub const THRESHOLDS_MAX: usize = 20;

/// What a policy counts, and the unit of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitUnit {
    /// Femtodollars: 10⁻¹⁵ US dollar.
    Usd,
    /// Millicredits.
    Credits,
    /// Calls.
    Requests,
    /// Input and output tokens together, cached ones included.
    Tokens,
}

impl LimitUnit {
    /// All units.
    pub const ALL: [LimitUnit; 4] =
        [LimitUnit::Usd, LimitUnit::Credits, LimitUnit::Requests, LimitUnit::Tokens];

    /// The name in the API and the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitUnit::Usd => "usd",
            LimitUnit::Credits => "credits",
            LimitUnit::Requests => "requests",
            LimitUnit::Tokens => "tokens",
        }
    }
}

/// How hard a policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Records, never refuses.
    Open,
    /// Refuses once what is used has reached the limit.
    Block,
    /// Admits only what fits beside what is used and held; needs reservations.
    Strict,
}

impl Mode {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Open => "open",
            Mode::Block => "block",
            Mode::Strict => "strict",
        }
    }
}

/// What is answered while nobody can tell how much is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnUnavailable {
    /// No: fail closed.
    Refuse,
    /// Yes: fail open.
    Allow,
}

impl OnUnavailable {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OnUnavailable::Refuse => "refuse",
            OnUnavailable::Allow => "allow",
        }
    }
}

/// A calendar's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CalendarUnit {
    /// Of UTC.
    Minute,
    /// Of UTC.
    Hour,
    /// Local, from the reset hour on.
    Day,
    /// Local, from the organization's first day of the week on.
    Week,
    /// Local.
    Month,
    /// Local, three months counted from the first month of the fiscal year.
    Quarter,
    /// Local, from the first month of the fiscal year on.
    Year,
}

impl CalendarUnit {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CalendarUnit::Minute => "minute",
            CalendarUnit::Hour => "hour",
            CalendarUnit::Day => "day",
            CalendarUnit::Week => "week",
            CalendarUnit::Month => "month",
            CalendarUnit::Quarter => "quarter",
            CalendarUnit::Year => "year",
        }
    }
}

/// Which span of time a policy's counter is for. Instants are microseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRule {
    /// A calendar's period.
    Calendar(CalendarUnit),
    /// A billing cycle: the k-th boundary is k times `months` and `days` after the first one,
    /// never after the one before, so that the 31st stays the 31st where there is one.
    Anchored {
        /// Whole months of a cycle; years are twelve.
        months: u16,
        /// Days of a cycle, beside the months.
        days: u16,
        /// The first boundary.
        anchor_at: i64,
    },
    /// Opens at its first use and lasts so many microseconds.
    Session {
        /// How long.
        micros: i64,
    },
    /// The last so many microseconds.
    Sliding {
        /// How long.
        micros: i64,
    },
    /// Never resets.
    Total,
}

/// When to tell people about a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Threshold {
    /// So many thousandths of a percent of the limit.
    Percent {
        /// 80 % is 80,000.
        millipercent: u32,
    },
    /// So much, in the unit of the limit.
    Amount {
        /// How much.
        amount: i128,
    },
}

/// A limit, what it is on, and what happens when it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySpec {
    /// The path that it counts, with everything below.
    pub path: Path,
    /// Counts only what this service sold, where there is one.
    pub service: Option<Service>,
    /// Counts only this model, by its canonical name. Needs a service.
    pub model: Option<String>,
    /// What it counts.
    pub unit: LimitUnit,
    /// How much, in the unit; not negative.
    pub limit: i128,
    /// In which window.
    pub window: WindowRule,
    /// How hard.
    pub mode: Mode,
    /// What is answered while nobody can tell.
    pub on_unavailable: OnUnavailable,
    /// When to tell.
    pub alerts: Vec<Alert>,
}

/// A threshold and who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// When.
    pub threshold: Threshold,
    /// By which channels; none are the organization's own.
    pub channels: Vec<String>,
}
