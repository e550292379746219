//! Cells of a billing file to instants.
//!
//! FOCUS wants `2026-05-01T00:00:00Z`; its public sample has `2024-09-01 00:00:00` and the examples
//! of its specification `4/1/25`. Text without an offset is UTC, as FOCUS prescribes. Whether a
//! slash date begins with its month or its day is decided once per file: a part over 12 shows it,
//! and so does a billing period that is whole months in one reading only.
//! <https://focus.finops.org/focus-specification/>, attribute "Date/Time Format".

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{Offset, TimeZone},
};

/// No date needs more text than this.
const TEXT_BYTES_MAX: usize = 40;
/// Nobody sold an AI API before.
const YEAR_MIN: i16 = 2000;
/// A charge may begin so many years from now: a purchase entered ahead.
const START_YEARS_AHEAD_MAX: i16 = 1;
/// A charge may end so many years from now: a commitment of several years.
const END_YEARS_AHEAD_MAX: i16 = 10;

/// In which order a slash date has month and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOrder {
    Unknown,
    MonthFirst,
    DayFirst,
}

/// Which end of a period a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeriodEdge {
    Start,
    End,
}

/// An instant that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) at: Timestamp,
    /// Whether it was written as FOCUS wants it.
    pub(crate) is_plain: bool,
}

/// Why a cell is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateProblem {
    /// No date, or one that no calendar has.
    Invalid,
    /// Too long ago, or too far ahead.
    OutOfRange,
    /// Month first or day first: both are possible.
    Ambiguous,
    /// The other order than in the rest of the file.
    Mixed,
}

/// Reads the dates of one file.
#[derive(Debug)]
pub(crate) struct Dates {
    order: DayOrder,
    min: Timestamp,
    start_max: Timestamp,
    end_max: Timestamp,
}

impl Dates {
    pub(crate) fn new(now: Timestamp) -> Dates {
        let year = TimeZone::UTC.to_datetime(now).year();
        let new_year = |year: i16| {
            let date = Date::new(year, 1, 1).unwrap_or(Date::MAX);
            utc(date, Time::midnight())
        };
        Dates {
            order: DayOrder::Unknown,
            min: new_year(YEAR_MIN),
            start_max: new_year(year.saturating_add(START_YEARS_AHEAD_MAX + 1)),
            end_max: new_year(year.saturating_add(END_YEARS_AHEAD_MAX + 1)),
        }
    }

    /// Reads one cell.
    pub(crate) fn read(&self, text: &str, edge: PeriodEdge) -> Result<Instant, DateProblem> {
        let plain = read_plain(text).map(|at| Instant { at, is_plain: true });
        let instant = match plain {
            Some(instant) => instant,
            None => Instant { at: self.read_any(text)?, is_plain: false },
        };
        let max = if edge == PeriodEdge::Start { self.start_max } else { self.end_max };
        match self.min <= instant.at && instant.at < max {
            true => Ok(instant),
            false => Err(DateProblem::OutOfRange),
        }
    }

    /// Learns the order of slash dates from a billing period and from any other dates of its row.
    pub(crate) fn learn(
        &mut self,
        billing_period: Option<(&str, &str)>,
        others: &[&str],
    ) -> Result<(), DateProblem> {
        if let Some((start, end)) = billing_period
            && let (Some(start), Some(end)) = (SlashDate::parse(start), SlashDate::parse(end))
        {
            let fits = |order| is_whole_months(start.date(order), end.date(order));
            match (fits(DayOrder::MonthFirst), fits(DayOrder::DayFirst)) {
                (true, false) => self.settle(DayOrder::MonthFirst)?,
                (false, true) => self.settle(DayOrder::DayFirst)?,
                _ => {}
            }
        }
        for slash in others.iter().filter_map(|text| SlashDate::parse(text)) {
            match (slash.first > 12, slash.second > 12) {
                (false, true) => self.settle(DayOrder::MonthFirst)?,
                (true, false) => self.settle(DayOrder::DayFirst)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn settle(&mut self, order: DayOrder) -> Result<(), DateProblem> {
        if self.order != DayOrder::Unknown && self.order != order {
            return Err(DateProblem::Mixed);
        }
        self.order = order;
        Ok(())
    }

    fn read_any(&self, text: &str) -> Result<Timestamp, DateProblem> {
        let text = text.trim();
        // Brackets would name a time zone, and no billing file does that.
        if text.len() > TEXT_BYTES_MAX || text.contains('[') {
            return Err(DateProblem::Invalid);
        }
        if let Some(slash) = SlashDate::parse(text) {
            let date = match self.order {
                DayOrder::Unknown => slash.only_date()?,
                order => slash.date(order).ok_or(DateProblem::Invalid)?,
            };
            return Ok(utc(date, slash.time));
        }
        let text = text.strip_suffix(" UTC").unwrap_or(text);
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at);
        }
        let local = text.parse::<DateTime>().map_err(|_| DateProblem::Invalid)?;
        Ok(utc(local.date(), local.time()))
    }
}

/// `4/1/25`, `04/01/2025 13:00:00`.
struct SlashDate {
    first: i8,
    second: i8,
    year: i16,
    time: Time,
}

impl SlashDate {
    fn parse(text: &str) -> Option<SlashDate> {
        let (date, time) = match text.trim().split_once(' ') {
            Some((date, time)) => (date, time.parse::<Time>().ok()?),
            None => (text.trim(), Time::midnight()),
        };
        let mut parts = date.split('/');
        let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
        let lengths = (first.len(), second.len(), year.len());
        let digits = [first, second, year].concat();
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || !is_plain || !matches!(lengths, (1..=2, 1..=2, 2 | 4)) {
            return None;
        }
        let century = if year.len() == 2 { 2000 } else { 0 };
        Some(SlashDate {
            first: first.parse().ok()?,
            second: second.parse().ok()?,
            year: year.parse::<i16>().ok()? + century,
            time,
        })
    }

    fn date(&self, order: DayOrder) -> Option<Date> {
        let (month, day) = match order {
            DayOrder::DayFirst => (self.second, self.first),
            DayOrder::MonthFirst | DayOrder::Unknown => (self.first, self.second),
        };
        Date::new(self.year, month, day).ok()
    }

    /// The date where both readings agree, or only one is in the calendar.
    fn only_date(&self) -> Result<Date, DateProblem> {
        match (self.date(DayOrder::MonthFirst), self.date(DayOrder::DayFirst)) {
            (None, None) => Err(DateProblem::Invalid),
            (Some(date), None) | (None, Some(date)) => Ok(date),
            (Some(left), Some(right)) if left == right => Ok(left),
            (Some(_), Some(_)) => Err(DateProblem::Ambiguous),
        }
    }
}

fn is_whole_months(start: Option<Date>, end: Option<Date>) -> bool {
    matches!((start, end), (Some(start), Some(end))
        if start.day() == 1 && end.day() == 1 && start < end)
}

/// The quick way for `2026-05-01T00:00:00Z`.
fn read_plain(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let marks = [bytes[4], bytes[7], bytes[10], bytes[13], bytes[16], bytes[19]];
    if &marks != b"--T::Z" {
        return None;
    }
    let two = |at: usize| pair(bytes[at], bytes[at + 1]);
    let year = i16::from(two(0)?) * 100 + i16::from(two(2)?);
    let date = Date::new(year, two(5)?, two(8)?).ok()?;
    Some(utc(date, Time::new(two(11)?, two(14)?, two(17)?, 0).ok()?))
}

fn pair(tens: u8, ones: u8) -> Option<i8> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| i8::try_from((tens - b'0') * 10 + (ones - b'0')).expect("below 100"))
}

/// The instant; the very last days of the calendar, which have none, are the last instant of all.
fn utc(date: Date, time: Time) -> Timestamp {
    Offset::UTC.to_timestamp(date.to_datetime(time)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates() -> Dates {
        Dates::new("2026-06-15T12:00:00Z".parse().unwrap())
    }

    fn start(dates: &Dates, text: &str) -> Result<String, DateProblem> {
        dates.read(text, PeriodEdge::Start).map(|instant| instant.at.to_string())
    }

    #[test]
    fn written_dates_are_utc_unless_they_say_otherwise() {
        for (text, at) in [
            ("2024-09-01T13:14:15Z", "2024-09-01T13:14:15Z"),
            ("2024-09-01 13:14:15", "2024-09-01T13:14:15Z"),
            ("2024-09-01T13:14:15", "2024-09-01T13:14:15Z"),
            ("2024-09-01", "2024-09-01T00:00:00Z"),
            ("2024-09-01T02:00:00+02:00", "2024-09-01T00:00:00Z"),
            ("2024-09-01T00:00:00.000Z", "2024-09-01T00:00:00Z"),
            ("2024-09-01 00:00:00 UTC", "2024-09-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            (" 13/4/25 ", "2025-04-13T00:00:00Z"),
            ("4/13/2025 09:30", "2025-04-13T09:30:00Z"),
            ("2/2/25", "2025-02-02T00:00:00Z"),
        ] {
            assert_eq!(start(&dates(), text).as_deref(), Ok(at), "{text}");
        }
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        use DateProblem::{Invalid, OutOfRange};
        for (text, problem) in [
            ("0000-00-00", Invalid),
            ("2026-02-29", Invalid),
            ("31/04/2026", Invalid),
            ("2026-05-01T25:00:00Z", Invalid),
            ("2026-05-01T00:00:00Zz", Invalid),
            ("2026-05-01T00:00:00[Europe/Berlin]", Invalid),
            ("45413", Invalid),
            ("1e308", Invalid),
            ("yesterday", Invalid),
            ("٢٠٢٦-05-01", Invalid),
            ("", Invalid),
            ("9999-12-31", OutOfRange),
            ("9999-12-31T23:59:59Z", OutOfRange),
            ("12/31/9999", OutOfRange),
            ("1999-12-31T23:59:59Z", OutOfRange),
            ("2028-01-01T00:00:00Z", OutOfRange),
        ] {
            assert_eq!(start(&dates(), text), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_commitment_may_end_later_than_a_charge_may_begin() {
        let text = "2029-06-01T00:00:00Z";
        assert_eq!(dates().read(text, PeriodEdge::Start), Err(DateProblem::OutOfRange));
        assert!(dates().read(text, PeriodEdge::End).is_ok());
        assert!(dates().read("2037-01-01", PeriodEdge::End).is_err());
    }

    #[test]
    fn slash_dates_take_the_reading_in_which_billing_periods_are_whole_months() {
        let read = |period, text| {
            let mut dates = dates();
            dates.learn(Some(period), &[]).and_then(|()| start(&dates, text))
        };
        assert_eq!(read(("4/1/25", "5/1/25"), "4/2/25").unwrap(), "2025-04-02T00:00:00Z");
        assert_eq!(read(("1/4/25", "1/5/25"), "2/4/25").unwrap(), "2025-04-02T00:00:00Z");
        // Whole months in both readings, and in none.
        assert_eq!(read(("1/1/25", "1/1/26"), "4/2/25"), Err(DateProblem::Ambiguous));
        assert_eq!(read(("4/2/25", "5/2/25"), "4/2/25"), Err(DateProblem::Ambiguous));
        assert_eq!(read(("4/1/25", "5/1/25"), "13/4/25"), Err(DateProblem::Invalid));
    }

    #[test]
    fn one_file_has_one_order() {
        let mut dates = dates();
        assert_eq!(dates.learn(None, &["4/13/25", "2025-04-13"]), Ok(()));
        assert_eq!(start(&dates, "4/2/25").unwrap(), "2025-04-02T00:00:00Z");
        assert_eq!(dates.learn(Some(("1/4/25", "1/5/25")), &[]), Err(DateProblem::Mixed));
    }
}
