//! Durations as ISO 8601 writes them: `PT5H`, `P7D`, `P1M`.

use engine::Micros;
use jiff::{Span, fmt::temporal::SpanParser};

const SECOND: Micros = 1_000_000;
const MINUTE: Micros = 60 * SECOND;
const HOUR: Micros = 60 * MINUTE;
const DAY: Micros = 24 * HOUR;

fn read_span(text: &str) -> Option<Span> {
    let span = SpanParser::new().parse_span(text).ok()?;
    // `P1M` in any case is ISO 8601 as people write it; a sign is no duration.
    (!span.is_negative() && !span.is_zero()).then_some(span)
}

/// A length of time in microseconds: weeks and days of 24 hours, hours, minutes, seconds.
pub(crate) fn read_length(text: &str) -> Option<Micros> {
    let span = read_span(text)?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let days = i64::from(span.get_weeks()).checked_mul(7)?.checked_add(span.get_days().into())?;
    [
        (days, DAY),
        (span.get_hours().into(), HOUR),
        (span.get_minutes(), MINUTE),
        (span.get_seconds(), SECOND),
    ]
    .into_iter()
    .try_fold(0_i64, |sum, (count, unit)| sum.checked_add(count.checked_mul(unit)?))
}

/// The text of a length of time, of whole seconds.
pub(crate) fn length_text(micros: Micros) -> String {
    let mut text = "P".to_owned();
    let mut rest = micros;
    let mut part = |unit: Micros, letter: char, text: &mut String| {
        let count = rest.div_euclid(unit);
        rest = rest.rem_euclid(unit);
        if count > 0 {
            text.push_str(&format!("{count}{letter}"));
        }
    };
    part(DAY, 'D', &mut text);
    let mut time = String::new();
    for (unit, letter) in [(HOUR, 'H'), (MINUTE, 'M'), (SECOND, 'S')] {
        part(unit, letter, &mut time);
    }
    if !time.is_empty() {
        text.push('T');
        text.push_str(&time);
    }
    text
}

/// A cycle in months and days; hours are none.
pub(crate) fn read_cycle(text: &str) -> Option<(u16, u16)> {
    let span = read_span(text)?;
    let has_time = span.get_hours() != 0
        || span.get_minutes() != 0
        || span.get_seconds() != 0
        || span.get_milliseconds() != 0
        || span.get_microseconds() != 0
        || span.get_nanoseconds() != 0;
    let months = i64::from(span.get_years()).checked_mul(12)?.checked_add(span.get_months().into());
    let days = i64::from(span.get_weeks()).checked_mul(7)?.checked_add(span.get_days().into());
    let fits = |count: Option<i64>| u16::try_from(count?).ok().filter(|count| *count <= 3660);
    if has_time { None } else { Some((fits(months)?, fits(days)?)) }
}

/// The text of a cycle.
pub(crate) fn cycle_text(months: u16, days: u16) -> String {
    let mut text = "P".to_owned();
    match (months.div_euclid(12), months.rem_euclid(12)) {
        (_, 0) if months == 0 => {}
        (years, 0) => text.push_str(&format!("{years}Y")),
        _ => text.push_str(&format!("{months}M")),
    }
    if days > 0 {
        text.push_str(&format!("{days}D"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_back_as_they_are_written() {
        for (text, seconds, written) in [
            ("PT5H", 18_000, "PT5H"),
            ("P7D", 604_800, "P7D"),
            ("P1W", 604_800, "P7D"),
            ("PT24H", 86_400, "P1D"),
            ("P1DT30M5S", 88_205, "P1DT30M5S"),
        ] {
            assert_eq!(read_length(text), Some(seconds * SECOND), "{text}");
            assert_eq!(length_text(seconds * SECOND), written);
        }
        for text in ["", "P", "P1M", "P1Y", "-PT5H", "PT0S", "5 hours", "5h", "P1DT"] {
            assert_eq!(read_length(text), None, "{text}");
        }
    }

    #[test]
    fn cycles_are_months_and_days() {
        for (text, cycle, written) in [
            ("P1M", (1, 0), "P1M"),
            ("P1Y", (12, 0), "P1Y"),
            ("P18M", (18, 0), "P18M"),
            ("P2W", (0, 14), "P14D"),
            ("P1M15D", (1, 15), "P1M15D"),
        ] {
            assert_eq!(read_cycle(text), Some(cycle), "{text}");
            assert_eq!(cycle_text(cycle.0, cycle.1), written);
        }
        for text in ["PT1H", "P1MT1S", "-P1M", "P0M", "P100000M", "monthly"] {
            assert_eq!(read_cycle(text), None, "{text}");
        }
    }
}
