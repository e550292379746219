//! Time: half-open windows, calendar periods in a zone. No clock: instants always come from
//! outside.
//!
//! Instants are UTC. An organization's IANA zone decides where its days, weeks and months begin;
//! hours are UTC everywhere. A local midnight that does not exist (a clock put forward) is the
//! first instant after the gap; one that exists twice is the first of the two.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
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
    /// The zone of an IANA name such as `Europe/Berlin`, weeks from Monday; `None` where there is
    /// no such zone. Zones come from the database that is compiled in, so that two machines agree.
    #[must_use]
    pub fn parse(name: &str) -> Option<Zone> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (!zone.is_unknown()).then_some(Zone { zone, week_start: Weekday::Monday })
    }

    /// The same zone with weeks that begin on another day.
    #[must_use]
    pub fn with_week_start(self, week_start: Weekday) -> Zone {
        Zone { week_start, ..self }
    }

    /// The zone's name as the database spells it.
    ///
    /// ```
    /// let zone = domain::Zone::parse("europe/berlin").unwrap();
    /// assert_eq!(zone.name(), "Europe/Berlin");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
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

/// Weekdays with their names in the API and the store, Monday first.
pub const WEEKDAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "mon"),
    (Weekday::Tuesday, "tue"),
    (Weekday::Wednesday, "wed"),
    (Weekday::Thursday, "thu"),
    (Weekday::Friday, "fri"),
    (Weekday::Saturday, "sat"),
    (Weekday::Sunday, "sun"),
];

/// The name of a weekday: `mon` to `sun`.
#[must_use]
pub fn weekday_name(weekday: Weekday) -> &'static str {
    let found = WEEKDAYS.iter().find(|(known, _)| *known == weekday);
    found.expect("every weekday has a name").1
}

/// The weekday of a name.
#[must_use]
pub fn parse_weekday(name: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(_, known)| *known == name).map(|(weekday, _)| *weekday)
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
    fn weeks_begin_on_the_day_that_was_chosen() {
        // 2026-11-20 is a Friday.
        let rows = [
            ("mon", "2026-11-16"),
            ("fri", "2026-11-20"),
            ("sat", "2026-11-14"),
            ("sun", "2026-11-15"),
        ];
        for (name, start) in rows {
            let zone = Zone::default().with_week_start(parse_weekday(name).unwrap());
            let found = zone.period_start(at("2026-11-20T13:14:15Z"), Granularity::Week);
            assert_eq!(found, at(&format!("{start}T00:00:00Z")), "{name}");
        }
        assert!(WEEKDAYS.iter().all(|(weekday, name)| weekday_name(*weekday) == *name));
        assert_eq!(parse_weekday("Monday"), None);
    }

    #[test]
    fn zones_are_those_of_the_database_that_is_compiled_in() {
        assert_eq!(Zone::parse("UTC").unwrap().name(), "UTC");
        assert_eq!(
            Zone::parse("america/argentina/buenos_aires").unwrap().name(),
            "America/Argentina/Buenos_Aires"
        );
        for text in ["", "Mars/Base", "Etc/Unknown", "+02:00", "local", "CET6CEST"] {
            assert!(Zone::parse(text).is_none(), "{text}");
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
