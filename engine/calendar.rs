//! The bounds of windows: pure arithmetic, no clock.
//!
//! Which window an instant belongs to follows from the rule alone, so no counter is ever set back
//! to zero and nothing can be lost between clearing it and storing the new window
//! (<https://github.com/BerriAI/litellm/issues/36941>). Instants are microseconds since 1970 in
//! UTC, windows are `[start, end)`. A local boundary is the first instant at which the wall clock
//! has reached it: a skipped time begins when the gap ends, of a repeated one the first counts.

use domain::policy::{CalendarUnit, WindowRule};
use jiff::{
    Span, Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

/// In how many buckets a sliding window is cut. One more counts while the oldest is leaving.
pub const SLIDING_BUCKETS: i64 = 360;

/// What lies beyond, 7,900 years to either side of 1970, is not divided any further.
const FARTHEST: i64 = 250_000_000_000_000_000;

const MINUTE_MICROS: i64 = 60_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// A twelfth of the Gregorian calendar's mean year.
const MEAN_MONTH_MICROS: i64 = 2_629_746_000_000;

/// When an organization's calendar periods begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarRules {
    /// Name of an IANA time zone, such as `Europe/Berlin`.
    pub zone: String,
    /// First day of the week, 1 = Monday … 7 = Sunday.
    pub week_start: u8,
    /// Hour of the wall clock at which days, and so weeks, months and years, begin: 0–23.
    pub reset_hour: u8,
    /// First month of the fiscal year, 1–12.
    pub fiscal_month: u8,
}

impl Default for CalendarRules {
    /// UTC, weeks from Monday, days from midnight, years from January.
    fn default() -> CalendarRules {
        CalendarRules { zone: "UTC".to_owned(), week_start: 1, reset_hour: 0, fiscal_month: 1 }
    }
}

/// Calendar rules whose zone has been looked up.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    week_start: Weekday,
    reset: Time,
    fiscal_month: u8,
}

impl Calendar {
    /// The calendar of these rules; `None` where there is no such zone, weekday, hour or month.
    ///
    /// Zones come from the database that is compiled into the binary and never from the machine's,
    /// so that two nodes of one release agree.
    #[must_use]
    pub fn new(rules: &CalendarRules) -> Option<Calendar> {
        let zone = TimeZoneDatabase::bundled().get(&rules.zone).ok()?;
        let reset_hour = i8::try_from(rules.reset_hour).ok()?;
        let week_start = i8::try_from(rules.week_start).ok()?;
        let is_known = !zone.is_unknown() && (1..=12).contains(&rules.fiscal_month);
        is_known.then_some(Calendar {
            zone,
            week_start: Weekday::from_monday_one_offset(week_start).ok()?,
            reset: Time::new(reset_hour, 0, 0, 0).ok()?,
            fiscal_month: rules.fiscal_month,
        })
    }

    /// `[start, end)` of the window that contains `at`. `None` where the rule alone does not say:
    /// sessions open at their first use, sliding windows move, and a cycle of no months and no days
    /// never ends.
    ///
    /// The windows of a rule follow each other without gap or overlap. Beyond 7,900 years from
    /// 1970 there is one window to either side, up to the ends of `i64`. A cycle's boundaries have
    /// the anchor's time of day on this calendar's wall clock, in summer and in winter.
    ///
    /// ```
    /// use domain::policy::{CalendarUnit, WindowRule};
    /// use engine::calendar::{Calendar, CalendarRules};
    /// let rules = CalendarRules { zone: "Asia/Tokyo".to_owned(), ..CalendarRules::default() };
    /// let calendar = Calendar::new(&rules).unwrap();
    /// let at = 1_785_510_000_000_000; // 1 August 2026, 0:00 in Tokyo
    /// let august = calendar.bounds(&WindowRule::Calendar(CalendarUnit::Month), at);
    /// assert_eq!(august, Some((at, at + 31 * 86_400_000_000)));
    /// ```
    #[must_use]
    pub fn bounds(&self, rule: &WindowRule, at: i64) -> Option<(i64, i64)> {
        match *rule {
            WindowRule::Calendar(unit) => Some(self.period(unit, at)),
            WindowRule::Anchored { months, days, anchor_at } => {
                self.cycle(i64::from(months), i64::from(days), anchor_at, at)
            }
            WindowRule::Session { .. } | WindowRule::Sliding { .. } => None,
            WindowRule::Total => Some((i64::MIN, i64::MAX)),
        }
    }

    fn period(&self, unit: CalendarUnit, at: i64) -> (i64, i64) {
        let date = self.local(at).date();
        let (first, months, days) = match unit {
            CalendarUnit::Minute => return utc_period(at, MINUTE_MICROS),
            CalendarUnit::Hour => return utc_period(at, HOUR_MICROS),
            CalendarUnit::Day => (date, 0, 1),
            CalendarUnit::Week => (self.week_of(date), 0, 7),
            CalendarUnit::Month => (date.first_of_month(), 1, 0),
            CalendarUnit::Quarter => (self.fiscal_period_of(date, 3), 3, 0),
            CalendarUnit::Year => (self.fiscal_period_of(date, 12), 12, 0),
        };
        let first = first.to_datetime(self.reset);
        self.containing(at, 0, &Steps { first, first_at: None, months, days })
    }

    fn cycle(&self, months: i64, days: i64, anchor_at: i64, at: i64) -> Option<(i64, i64)> {
        let anchor_at = within_reach(anchor_at);
        let micros = MEAN_MONTH_MICROS.checked_mul(months)?;
        let micros = micros.checked_add(DAY_MICROS.checked_mul(days)?)?;
        let elapsed = within_reach(at).checked_sub(anchor_at)?;
        let guess = elapsed.checked_div_euclid(micros)?;
        let first = self.local(anchor_at);
        Some(self.containing(at, guess, &Steps { first, first_at: Some(anchor_at), months, days }))
    }

    /// The window around `at`, looked for from the guessed one on. Boundaries never go back, so the
    /// windows tile time even where a day was left out and is empty.
    fn containing(&self, at: i64, guess: i64, steps: &Steps) -> (i64, i64) {
        // The last microsecond of all has no window of its own.
        let at = at.min(i64::MAX.saturating_sub(1));
        let mut index = guess;
        let mut start = self.boundary(steps, index);
        while start > at {
            index = index.saturating_sub(1);
            start = self.boundary(steps, index);
        }
        loop {
            index = index.saturating_add(1);
            let end = self.boundary(steps, index);
            if at < end {
                return (start, end);
            }
            start = end;
        }
    }

    /// When a boundary is; an end of `i64` where it is out of reach.
    fn boundary(&self, steps: &Steps, index: i64) -> i64 {
        if let (0, Some(first_at)) = (index, steps.first_at) {
            return first_at;
        }
        let found = steps.boundary(index).and_then(|local| self.first_instant(local));
        match found {
            Some(at) if at < FARTHEST.saturating_neg() => i64::MIN,
            Some(at) if at > FARTHEST => i64::MAX,
            Some(at) => at,
            None if index < 0 => i64::MIN,
            None => i64::MAX,
        }
    }

    /// The first instant at which the wall clock has reached `local`.
    fn first_instant(&self, local: DateTime) -> Option<i64> {
        let found = self.zone.to_ambiguous_timestamp(local);
        let gap_end = match found.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset, a time in the gap lies just before the gap.
                let before_gap = after.to_timestamp(local).ok()?;
                self.zone.following(before_gap).find(|change| change.offset() == after)
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => None,
        };
        let at = match gap_end {
            Some(change) => change.timestamp(),
            // Of two it is the first.
            None => found.compatible().ok()?,
        };
        Some(at.as_microsecond())
    }

    fn local(&self, at: i64) -> DateTime {
        let at = Timestamp::from_microsecond(within_reach(at)).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(at)
    }

    fn week_of(&self, date: Date) -> Date {
        let days = date.weekday().since(self.week_start);
        date.saturating_sub(i64::from(days).days())
    }

    /// The first day of the fiscal period of so many months.
    fn fiscal_period_of(&self, date: Date, months: i64) -> Date {
        let since = i64::from(date.month()).saturating_sub(i64::from(self.fiscal_month));
        let months = since.rem_euclid(12).checked_rem(months).unwrap_or(0);
        date.first_of_month().saturating_sub(months.months())
    }
}

/// Boundaries on the wall clock. Each is counted from the first and never from the one before, or
/// the 31st would become the 28th for good after its first February
/// (<https://github.com/polarsource/polar/issues/10664>).
struct Steps {
    first: DateTime,
    /// When the first boundary is, if not the first instant of its local time: an anchor may be the
    /// second.
    first_at: Option<i64>,
    months: i64,
    days: i64,
}

impl Steps {
    /// Months first, where there is no such day the month's last, and days from there.
    fn boundary(&self, index: i64) -> Option<DateTime> {
        let months = self.months.checked_mul(index)?;
        let days = self.days.checked_mul(index)?;
        let step = Span::new().try_months(months).ok()?.try_days(days).ok()?;
        let date = self.first.date().checked_add(step).ok()?;
        Some(date.to_datetime(self.first.time()))
    }
}

fn within_reach(at: i64) -> i64 {
    at.clamp(FARTHEST.saturating_neg(), FARTHEST)
}

fn utc_period(at: i64, micros: i64) -> (i64, i64) {
    let elapsed = at.checked_rem_euclid(micros).unwrap_or(0);
    (at.saturating_sub(elapsed), at.saturating_add(micros.saturating_sub(elapsed)))
}

/// The bucket of a sliding window of length `micros` that `at` falls in, counted from 1970. A
/// bucket is a 360th of the window, rounded up to a microsecond.
#[must_use]
pub fn sliding_bucket(micros: i64, at: i64) -> i64 {
    at.checked_div_euclid(bucket_micros(micros)).unwrap_or(0)
}

/// The first instant after a bucket.
#[must_use]
pub fn bucket_end(micros: i64, index: i64) -> i64 {
    index.saturating_add(1).saturating_mul(bucket_micros(micros))
}

/// The first instant at which nothing of a bucket counts any more, and the sum becomes smaller.
#[must_use]
pub fn bucket_left_at(micros: i64, index: i64) -> i64 {
    bucket_end(micros, index).saturating_add(micros.max(0))
}

/// The oldest bucket that counts at `now`. It counts whole until all of it is older than the
/// window, so that never too little is counted, and never for longer than one bucket too much.
#[must_use]
pub fn first_counted_bucket(micros: i64, now: i64) -> i64 {
    sliding_bucket(micros, now.saturating_sub(micros.max(0)))
}

fn bucket_micros(micros: i64) -> i64 {
    let whole = micros.max(0).checked_div(SLIDING_BUCKETS).unwrap_or(0);
    let rest = micros.max(0).checked_rem(SLIDING_BUCKETS).unwrap_or(0);
    whole.saturating_add(i64::from(rest > 0)).max(1)
}
