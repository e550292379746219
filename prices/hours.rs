//! Days of the week and times of the day at which a row holds, in the zone of whoever set them.

use std::fmt;

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

use crate::form::HoursForm;

/// Days and half-open times of the day in one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    zone: TimeZone,
    /// By day of the week, Monday first.
    days: [bool; 7],
    /// Seconds of the day, half-open.
    windows: Vec<(u32, u32)>,
    /// As they were written, for a person.
    text: String,
}

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY_SECONDS: u32 = 24 * 3_600;

impl Hours {
    /// Hours from their text form.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub(crate) fn read(form: &HoursForm) -> Result<Hours, String> {
        let zone = TimeZone::get(&form.zone)
            .map_err(|_| format!("`{}` is no time zone; use `UTC` or an IANA name", form.zone))?;
        if form.windows.is_empty() {
            return Err("`windows` is empty: say when, as `09:00-12:00`".to_owned());
        }
        let windows = form.windows.iter().map(|text| window(text)).collect::<Result<_, _>>()?;
        let days = form.days.as_deref().map_or(Ok([true; 7]), days)?;
        let on = form.days.as_deref().map_or(String::new(), |days| format!("{days} "));
        let text = format!("{on}{} ({})", form.windows.join(", "), form.zone);
        Ok(Hours { zone, days, windows, text })
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let day = usize::from(day_index(local.weekday()));
        let time = local.time();
        let clock = [(time.hour(), 3_600), (time.minute(), 60), (time.second(), 1)];
        let second: u32 =
            clock.map(|(count, seconds)| u32::from(count.unsigned_abs()) * seconds).iter().sum();
        self.days[day] && self.windows.iter().any(|(from, until)| (*from..*until).contains(&second))
    }
}

/// `Mon-Fri 09:00-12:00, 14:00-18:00 (Asia/Shanghai)`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn day_index(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

fn window(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("`{text}` is no span of a day; use `09:00-12:00`, at most `24:00`");
    let (from, until) = text.split_once('-').ok_or_else(wrong)?;
    match (seconds(from), seconds(until)) {
        (Some(from), Some(until)) if from < until => Ok((from, until)),
        _ => Err(wrong()),
    }
}

fn seconds(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let seconds = hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?;
    (minute < 60 && seconds <= DAY_SECONDS).then_some(seconds)
}

fn days(text: &str) -> Result<[bool; 7], String> {
    let wrong = || format!("`{text}` is no set of days; use `Mon-Fri` or `Sat,Sun`");
    let index = |name: &str| NAMES.iter().position(|known| known.eq_ignore_ascii_case(name.trim()));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first).ok_or_else(wrong)?, index(last).ok_or_else(wrong)?);
        if first > last {
            return Err(wrong());
        }
        days[first..=last].fill(true);
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, days: Option<&str>, windows: &[&str]) -> Result<Hours, String> {
        Hours::read(&HoursForm {
            zone: zone.to_owned(),
            days: days.map(str::to_owned),
            windows: windows.iter().map(|text| (*text).to_owned()).collect(),
        })
    }

    #[test]
    fn hours_follow_their_zone_and_its_weekdays() {
        let peak = ["09:00-12:00", "14:00-18:00"];
        let peak = hours("Asia/Shanghai", Some("Mon-Fri"), &peak).unwrap();
        for (at, inside) in [
            ("2026-11-20T00:59:59Z", false),
            ("2026-11-20T01:00:00Z", true), // Friday, 9 o'clock in Beijing
            ("2026-11-20T03:59:59Z", true),
            ("2026-11-20T04:00:00Z", false),
            ("2026-11-20T09:59:59Z", true),
            ("2026-11-20T10:00:00Z", false),
            ("2026-11-21T02:00:00Z", false), // Saturday
            ("2026-11-22T16:30:00Z", false), // Monday morning in Beijing, before nine
        ] {
            assert_eq!(peak.contains(at.parse().unwrap()), inside, "{at}");
        }
    }

    #[test]
    fn a_day_ends_at_24_hours() {
        let off = hours("UTC", Some("Sat,Sun"), &["00:00-24:00"]).unwrap();
        assert!(off.contains("2026-11-21T23:59:59Z".parse().unwrap()));
        assert!(!off.contains("2026-11-23T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_no_span_of_a_week_is_refused() {
        for (zone, days, windows) in [
            ("Mars/Olympus", None, &["09:00-12:00"][..]),
            ("UTC", Some("Mon-Foo"), &["09:00-12:00"]),
            ("UTC", Some("Fri-Mon"), &["09:00-12:00"]),
            ("UTC", None, &["12:00-09:00"]),
            ("UTC", None, &["09:00-24:01"]),
            ("UTC", None, &["9"]),
            ("UTC", None, &[]),
        ] {
            assert!(hours(zone, days, windows).is_err(), "{zone} {days:?} {windows:?}");
        }
    }
}
