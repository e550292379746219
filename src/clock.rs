//! The real clock: the one place that asks the machine for the time.

use domain::Clock;
use jiff::Timestamp;

/// The machine's clock, cut to whole microseconds, which is what stores keep.
#[derive(Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is given"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}
