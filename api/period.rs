//! `from` and `to`: a date or an instant each, half-open, by default the last 30 days.
//!
//! A date is the local midnight at which it begins, in the organization's time zone.

use domain::{Granularity, Window, Zone};
use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::error::FieldError;

const DEFAULT_SPAN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The window that `from` and `to` ask for at `now`.
///
/// Without `to` it ends now; without `from` it begins with the day 30 days before its end.
pub(crate) fn window(
    from: Option<&str>,
    to: Option<&str>,
    now: Timestamp,
    zone: &Zone,
) -> Result<Window, FieldError> {
    let end = to.map_or(Ok(now), |text| instant("to", text, zone))?;
    let start = match from {
        Some(text) => instant("from", text, zone)?,
        None => {
            let start = end.checked_sub(DEFAULT_SPAN).unwrap_or(Timestamp::MIN);
            zone.period_start(start, Granularity::Day)
        }
    };
    Window::new(start, end).ok_or_else(|| FieldError::parameter("from", "`from` is before `to`"))
}

/// The instant of a date or an instant.
pub(crate) fn instant(
    name: &'static str,
    text: &str,
    zone: &Zone,
) -> Result<Timestamp, FieldError> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    // jiff reads the date out of a longer text too; a date here is a date only.
    let date = (text.len() == "2026-01-31".len()).then(|| text.parse::<Date>().ok()).flatten();
    date.map(|date| zone.local_midnight(date)).ok_or_else(|| {
        let what = "is a date (`2026-01-31`) or an instant (`2026-01-31T12:00:00Z`)";
        FieldError::parameter(name, format!("`{name}` {what}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Option<&str>, to: Option<&str>, zone: &str) -> Option<(String, String)> {
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        let window = window(from, to, now, &Zone::parse(zone).unwrap()).ok()?;
        Some((window.start.to_string(), window.end.to_string()))
    }

    #[test]
    fn dates_are_local_midnights_and_instants_are_themselves() {
        let rows = [
            ("UTC", None, None, "2026-10-21T00:00:00Z", "2026-11-20T10:00:00Z"),
            (
                "UTC",
                Some("2026-01-01"),
                Some("2026-02-01"),
                "2026-01-01T00:00:00Z",
                "2026-02-01T00:00:00Z",
            ),
            (
                "Asia/Tokyo",
                Some("2026-01-01"),
                None,
                "2025-12-31T15:00:00Z",
                "2026-11-20T10:00:00Z",
            ),
            (
                "UTC",
                Some("2026-01-01T00:00:00+02:00"),
                None,
                "2025-12-31T22:00:00Z",
                "2026-11-20T10:00:00Z",
            ),
            ("UTC", None, Some("2026-03-03"), "2026-02-01T00:00:00Z", "2026-03-03T00:00:00Z"),
        ];
        for (zone, from, to, start, end) in rows {
            assert_eq!(asked(from, to, zone), Some((start.into(), end.into())), "{from:?} {to:?}");
        }
    }

    #[test]
    fn empty_and_backward_windows_and_other_texts_are_refused() {
        for (from, to) in [("2026-01-02", "2026-01-02"), ("2026-01-02", "2026-01-01"), ("x", "y")] {
            assert_eq!(asked(Some(from), Some(to), "UTC"), None);
        }
        for text in ["2026-02-30", "2026-01-01T00:00:00", "yesterday", "", "1700000000"] {
            assert_eq!(asked(Some(text), None, "UTC"), None, "{text}");
        }
    }
}
