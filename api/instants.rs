//! Instants between the engine's microseconds and the API's RFC 3339.

use engine::Micros;
use jiff::Timestamp;

/// RFC 3339 in UTC; `None` beyond what can be written.
pub(crate) fn text_of(micros: Micros) -> Option<String> {
    Timestamp::from_microsecond(micros).ok().map(|at| at.to_string())
}

/// Whole microseconds since 1970.
pub(crate) fn micros_of(at: Timestamp) -> Micros {
    at.as_microsecond()
}
