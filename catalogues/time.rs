//! Dates of catalogues as instants. A date alone is midnight UTC.

use jiff::{Timestamp, civil, tz};

/// The instant at which a day begins in UTC.
pub(crate) fn midnight(date: civil::Date) -> Timestamp {
    tz::Offset::UTC
        .to_timestamp(date.to_datetime(civil::Time::midnight()))
        .expect("a calendar date is within the range of instants")
}

/// Reads a date or an instant.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    match text.parse::<civil::Date>() {
        Ok(date) if text.len() == 10 => Some(midnight(date)),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight_and_an_instant_is_itself() {
        for (text, read_as) in [
            ("2026-10-14", Some("2026-10-14T00:00:00Z")),
            ("2026-09-10T04:00:00+00:00", Some("2026-09-10T04:00:00Z")),
            ("2026-08-16T16:00:00Z", Some("2026-08-16T16:00:00Z")),
            ("soon", None),
        ] {
            assert_eq!(read(text).map(|at| at.to_string()).as_deref(), read_as, "{text}");
        }
    }
}
