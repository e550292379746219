//! The role of a clock. Domain has none; the binary has the real one and tests have one they can
//! set.

use jiff::Timestamp;

/// Tells the time. Everything that needs the present instant takes one of these.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}
