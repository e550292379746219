//! Instants as both stores keep them: whole microseconds since 1970. The last second that jiff
//! knows has a fraction which `Timestamp::from_microsecond` does not take, and `Timestamp::MAX`
//! means "never".

use jiff::Timestamp;

/// The instant of so many microseconds.
pub(crate) fn from_micros(micros: i64) -> Result<Timestamp, jiff::Error> {
    let nanos = micros.rem_euclid(1_000_000).saturating_mul(1000);
    let nanos = i32::try_from(nanos).expect("less than a second in nanoseconds fits");
    Timestamp::new(micros.div_euclid(1_000_000), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_reads_back_in_whole_microseconds() {
        for at in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            let micros = at.as_microsecond();
            assert_eq!(from_micros(micros).unwrap().as_microsecond(), micros);
        }
        for micros in [-1, 1, -1_000_001, 1_700_000_000_123_456] {
            let expected = Timestamp::from_microsecond(micros).unwrap();
            assert_eq!(from_micros(micros).unwrap(), expected);
        }
        assert!(from_micros(i64::MAX).is_err() && from_micros(i64::MIN).is_err());
    }
}
