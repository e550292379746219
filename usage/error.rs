//! Why a block of usage cannot be read, where in it, and what to do about it.
//!
//! Texts quote figures and the names of fields, nothing else of what was sent.

use std::fmt;

/// What kind of failure it is; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RawUsageErrorKind {
    /// What was sent is no JSON object, or a part that should be an object or a list is none.
    Malformed,
    /// There is no usage in it: unknown, and not zero.
    NoUsage,
    /// A stream that ended before it said its usage: unknown, and not zero.
    StreamCut,
    /// A stream with several usages that are billed each by itself.
    SeveralUsages,
    /// A figure that is negative, fractional, beyond 2⁵³ or no number.
    NotACount,
    /// Figures that contradict each other.
    Inconsistent,
}

impl RawUsageErrorKind {
    /// Stable text for API clients.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            RawUsageErrorKind::Malformed => "usage_malformed",
            RawUsageErrorKind::NoUsage => "usage_missing",
            RawUsageErrorKind::StreamCut => "usage_cut_off",
            RawUsageErrorKind::SeveralUsages => "usage_several",
            RawUsageErrorKind::NotACount => "usage_not_a_count",
            RawUsageErrorKind::Inconsistent => "usage_inconsistent",
        }
    }
}

/// A block that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RawUsageError {
    /// What kind of failure.
    pub kind: RawUsageErrorKind,
    /// A JSON pointer into what was sent, empty for all of it; in a stream, into one event's data.
    pub pointer: String,
    /// Which event of a stream, counted from 0; `None` outside of streams and for all of one.
    pub event: Option<usize>,
    /// What is wrong and what helps.
    pub detail: String,
}

impl RawUsageError {
    pub(crate) fn new(kind: RawUsageErrorKind, pointer: &str, detail: &str) -> RawUsageError {
        RawUsageError { kind, pointer: pointer.to_owned(), event: None, detail: detail.to_owned() }
    }
}

impl fmt::Display for RawUsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = self.event {
            write!(f, "event {event}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "`{}`: ", self.pointer)?;
        }
        f.write_str(&self.detail)
    }
}
