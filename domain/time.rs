//! Time: half-open windows, calendar periods in a zone. No clock: instants always come from
//! outside.
//!
//! Instants are UTC. An organization's IANA zone decides where its days, weeks and months begin;
//! hours are UTC everywhere. A local midnight that does not exist (a clock put forward) is the
//! first instant after the gap; one that exists twice is the first of the two.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};

/// A half-open span of time: `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Window {
    /// The window `[start, end)`; `None` where it would be empty or backwards.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Window> {
        (start < end).then_some(Window { start, end })
    }

    /// The UTC day `day`.
    #[must_use]
    pub fn of_day(day: Date) -> Window {
        let start = day_start(day);
        let end = day.tomorrow().map_or(start, day_start);
        Window { start, end }
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The UTC days that the window touches, first and last, both inclusive.
    #[must_use]
    pub fn days(&self) -> (Date, Date) {
        let last = self.end.checked_sub(1.microsecond()).unwrap_or(self.end);
        (utc_day(self.start), utc_day(last))
    }
}

/// The UTC day of an instant.
#[must_use]
pub fn utc_day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

/// Midnight UTC at the start of a day.
#[must_use]
pub fn day_start(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |midnight| midnight.timestamp())
}

/// How finely a report cuts time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// Hours of UTC.
    Hour,
    /// Local days.
    Day,
    /// Local weeks.
    Week,
    /// Local months.
    Month,
    /// No cut at all.
    Total,
}

impl Granularity {
    /// The granularity of its lower-case name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Granularity> {
        Some(match name {
            "hour" => Granularity::Hour,
            "day" => Granularity::Day,
            "week" => Granularity::Week,
            "month" => Granularity::Month,
            "total" => Granularity::Total,
            _ => return None,
        })
    }
}

/// An IANA time zone and the weekday on which its weeks begin.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    week_start: Weekday,
}

impl Default for Zone {
    /// UTC, weeks from Monday.
    fn default() -> Zone {
        Zone { zone: TimeZone::UTC, week_start: Weekday::Monday }
    }
}

impl Zone {
    /// The zone of an IANA name such as `Europe/Berlin`; `None` where there is no such zone.
    #[must_use]
    pub fn parse(name: &str) -> Option<Zone> {
        let zone = TimeZone::get(name).ok()?;
        Some(Zone { zone, week_start: Weekday::Monday })
    }

    /// The start of the period that `at` lies in. `Total` has no start of its own: the instant
    /// comes back.
    ///
    /// ```
    /// use domain::{Granularity, Zone};
    /// let berlin = Zone::parse("Europe/Berlin").unwrap();
    /// let at = "2026-03-31T22:30:00Z".parse().unwrap();
    /// let start = berlin.period_start(at, Granularity::Month);
    /// assert_eq!(start.to_string(), "2026-03-31T22:00:00Z"); // April in Berlin
    /// ```
    #[must_use]
    pub fn period_start(&self, at: Timestamp, granularity: Granularity) -> Timestamp {
        let seconds = at.as_second();
        let date = self.zone.to_datetime(at).date();
        let local = |date: Date| self.local_midnight(date);
        match granularity {
            Granularity::Total => at,
            Granularity::Hour => {
                let start = seconds.saturating_sub(seconds.rem_euclid(3600));
                Timestamp::from_second(start).unwrap_or(at)
            }
            Granularity::Day => local(date),
            Granularity::Week => {
                let back = date.weekday().since(self.week_start);
                local(date.checked_sub(i32::from(back).days()).unwrap_or(date))
            }
            Granularity::Month => local(date.first_of_month()),
        }
    }

    /// The first instant of a local day.
    #[must_use]
    pub fn local_midnight(&self, date: Date) -> Timestamp {
        // jiff's "compatible" rule: into a gap it goes forward, of two it takes the first.
        date.to_zoned(self.zone.clone()).map_or(Timestamp::MAX, |midnight| midnight.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn periods_start_where_the_calendar_says() {
        let rows = [
            ("UTC", "2026-11-20T13:14:15Z", Granularity::Hour, "2026-11-20T13:00:00Z"),
            ("UTC", "2026-11-20T13:14:15Z", Granularity::Day, "2026-11-20T00:00:00Z"),
            ("UTC", "2026-11-20T13:14:15Z", Granularity::Week, "2026-11-16T00:00:00Z"),
            ("UTC", "2026-11-16T00:00:00Z", Granularity::Week, "2026-11-16T00:00:00Z"),
            ("UTC", "2026-11-20T13:14:15Z", Granularity::Month, "2026-11-01T00:00:00Z"),
            ("Asia/Tokyo", "2026-11-19T15:00:00Z", Granularity::Day, "2026-11-19T15:00:00Z"),
            ("Asia/Tokyo", "2026-11-19T14:59:59Z", Granularity::Day, "2026-11-18T15:00:00Z"),
            // 23-hour day: the clock goes forward at 02:00 in Berlin.
            ("Europe/Berlin", "2026-03-29T21:59:59Z", Granularity::Day, "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-29T22:00:00Z", Granularity::Day, "2026-03-29T22:00:00Z"),
            // 25-hour day.
            ("Europe/Berlin", "2026-10-25T22:59:59Z", Granularity::Day, "2026-10-24T22:00:00Z"),
            // Midnight does not exist here on this day: it begins at 01:00 local.
            ("America/Santiago", "2026-09-06T04:30:00Z", Granularity::Day, "2026-09-06T04:00:00Z"),
            ("UTC", "1969-12-31T23:30:00Z", Granularity::Hour, "1969-12-31T23:00:00Z"),
        ];
        for (zone, instant, granularity, start) in rows {
            let zone = Zone::parse(zone).unwrap();
            let found = zone.period_start(at(instant), granularity);
            assert_eq!(found, at(start), "{zone:?} {instant} {granularity:?}");
        }
    }

    #[test]
    fn windows_are_half_open() {
        let window = Window::of_day(jiff::civil::date(2026, 2, 28));
        assert!(window.contains(at("2026-02-28T00:00:00Z")));
        assert!(window.contains(at("2026-02-28T23:59:59.999999Z")));
        assert!(!window.contains(at("2026-03-01T00:00:00Z")));
        let days = window.days();
        assert_eq!(days.0, days.1);
        assert_eq!(Window::new(window.end, window.start), None);
        assert_eq!(Window::new(window.start, window.start), None);
    }
}
