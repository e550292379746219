//! One day's use, and how it is spread over the day.
//!
//! A count at some second is a whole-number share of the day's total, and a span holds the
//! difference of the counts at its two ends. So any cutting of a day adds up to exactly the day,
//! whatever the widths: hours, odd seconds, or the half day that an unaligned window begins with.

/// Seconds of a UTC day, as Unix time counts them.
pub(crate) const DAY_SECONDS: u32 = 86_400;
const HOUR_SECONDS: u32 = 3_600;

/// How busy each hour (UTC) is, in hundredths of the day.
const HOURLY: [u64; 24] = [2, 1, 1, 1, 1, 2, 3, 4, 6, 7, 7, 6, 6, 7, 7, 7, 6, 5, 4, 4, 4, 3, 3, 3];
const FULL_DAY: u64 = 100 * HOUR_SECONDS as u64;

/// Counts of something used: over a day, or over a part of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DayTotals {
    pub(crate) requests: u64,
    /// Input that was not read from the cache.
    pub(crate) uncached_tokens: u64,
    /// Input that was; the two are disjoint.
    pub(crate) cached_tokens: u64,
    pub(crate) output_tokens: u64,
    /// Calls of the web search tool.
    pub(crate) searches: u64,
}

impl DayTotals {
    /// What was used from second `start` of the day until just before second `end`.
    pub(crate) fn between(&self, start: u32, end: u32) -> DayTotals {
        let (before, after) = (self.until(start), self.until(end.max(start)));
        DayTotals {
            requests: after.requests - before.requests,
            uncached_tokens: after.uncached_tokens - before.uncached_tokens,
            cached_tokens: after.cached_tokens - before.cached_tokens,
            output_tokens: after.output_tokens - before.output_tokens,
            searches: after.searches - before.searches,
        }
    }

    pub(crate) fn add(&mut self, other: &DayTotals) {
        self.requests += other.requests;
        self.uncached_tokens += other.uncached_tokens;
        self.cached_tokens += other.cached_tokens;
        self.output_tokens += other.output_tokens;
        self.searches += other.searches;
    }

    /// All input, cached or not.
    pub(crate) fn input_tokens(&self) -> u64 {
        self.uncached_tokens + self.cached_tokens
    }

    fn until(&self, second: u32) -> DayTotals {
        let requests = self.requests * elapsed(second) / FULL_DAY;
        // Tokens follow whole requests: no token is used while no request is made.
        let share = |total: u64| match self.requests {
            0 => 0,
            all => total * requests / all,
        };
        DayTotals {
            requests,
            uncached_tokens: share(self.uncached_tokens),
            cached_tokens: share(self.cached_tokens),
            output_tokens: share(self.output_tokens),
            searches: share(self.searches),
        }
    }
}

/// How much of the day's business is over at this second, out of [`FULL_DAY`].
fn elapsed(second: u32) -> u64 {
    let second = second.min(DAY_SECONDS);
    let hour = usize::try_from(second / HOUR_SECONDS).expect("at most 24");
    let over: u64 = HOURLY[..hour].iter().sum();
    let current = HOURLY.get(hour).copied().unwrap_or(0);
    over * u64::from(HOUR_SECONDS) + current * u64::from(second % HOUR_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: DayTotals = DayTotals {
        requests: 977,
        uncached_tokens: 812_345,
        cached_tokens: 11,
        output_tokens: 90_001,
        searches: 3,
    };

    #[test]
    fn a_whole_day_is_the_total() {
        assert_eq!(DAY.between(0, DAY_SECONDS), DAY);
        assert_eq!(HOURLY.iter().sum::<u64>() * u64::from(HOUR_SECONDS), FULL_DAY);
    }

    #[test]
    fn any_cutting_of_a_day_adds_up_to_the_day() {
        for width in [1, 7, 59, 3_600, 40_000, 86_399] {
            let mut sum = DayTotals::default();
            let mut start = 0;
            while start < DAY_SECONDS {
                sum.add(&DAY.between(start, (start + width).min(DAY_SECONDS)));
                start += width;
            }
            assert_eq!(sum, DAY, "cut every {width} seconds");
        }
    }

    #[test]
    fn no_token_is_used_without_a_request() {
        for second in 0..DAY_SECONDS {
            let part = DAY.between(second, second + 1);
            assert!(part.requests > 0 || part == DayTotals::default(), "second {second}");
        }
    }
}
