//! How plain values are stored: instants as whole microseconds, ids as their text, bytes as binary,
//! days as `20260228`, counts as 64-bit integers.

use domain::{OrganizationId, organization::Environment};
use jiff::{Timestamp, civil::Date};
use mongodb::bson::{Binary, spec::BinarySubtype};

use crate::{Result, StoreError, StoreErrorKind, instants::from_micros, journal::Shard};

/// An instant in whole microseconds.
pub(super) fn instant(micros: i64) -> Result<Timestamp> {
    from_micros(micros).map_err(|_| corrupt("an instant"))
}

/// An instant that may be missing.
pub(super) fn instant_if_any(micros: Option<i64>) -> Result<Option<Timestamp>> {
    micros.map(instant).transpose()
}

/// A missing instant stays missing.
pub(super) fn micros_if_any(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_microsecond)
}

/// Bytes.
pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// A SHA-256.
pub(super) fn digest(binary: &Binary) -> Result<[u8; 32]> {
    binary.bytes.as_slice().try_into().map_err(|_| corrupt("a digest"))
}

/// A day as a number that sorts as the day does and that a person can read.
pub(super) fn day_number(day: Date) -> i32 {
    i32::from(day.year()) * 10_000 + i32::from(day.month()) * 100 + i32::from(day.day())
}

/// The day of such a number.
pub(super) fn day(number: i32) -> Result<Date> {
    let part = |number: i32| i8::try_from(number).map_err(|_| corrupt("a day"));
    let year = i16::try_from(number.div_euclid(10_000)).map_err(|_| corrupt("a day"))?;
    let (month, day) = (number.rem_euclid(10_000) / 100, number.rem_euclid(100));
    Date::new(year, part(month)?, part(day)?).map_err(|_| corrupt("a day"))
}

/// A stored count, which was not negative when it was written.
pub(super) fn count(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| corrupt("a count"))
}

/// A count to be stored.
pub(super) fn stored_count(count: u64) -> Result<i64> {
    i64::try_from(count).map_err(|_| bug("a count is larger than the store can hold"))
}

/// A count that is only told again, never compared or added to by the server: one of 2⁶³ or more,
/// which a person sees as negative there, reads back as it was.
pub(super) const fn told_count(count: u64) -> i64 {
    count.cast_signed()
}

/// A count stored by [`told_count`].
pub(super) const fn count_told(stored: i64) -> u64 {
    stored.cast_unsigned()
}

/// A bound for a query: larger ones mean the same, as nothing beyond is stored.
pub(super) fn bound(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How many documents to read at most.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A stored text that was read back into what it means.
pub(super) fn known<T>(value: Option<T>, what: &'static str) -> Result<T> {
    value.ok_or_else(|| corrupt(what))
}

/// A number of 128 bits: 16 bytes that sort as the numbers do.
pub(super) fn big(number: u128) -> Binary {
    binary(&number.to_be_bytes())
}

/// A number written by [`big`].
pub(super) fn from_big(stored: &Binary) -> Result<u128> {
    let bytes = stored.bytes.as_slice().try_into().map_err(|_| corrupt("a number"))?;
    Ok(u128::from_be_bytes(bytes))
}

/// A shard as a part of `_id`s.
pub(super) fn shard_id(shard: Shard) -> String {
    format!("{}/{}", shard.organization, shard.environment.as_str())
}

/// The shard of a text from [`shard_id`].
pub(super) fn shard_of(id: &str) -> Result<Shard> {
    let read = || {
        let (organization, environment) = id.split_once('/')?;
        let organization = OrganizationId::parse(organization).ok()?;
        Some(Shard { organization, environment: Environment::parse(environment)? })
    };
    known(read(), "a shard")
}

/// Stored data that cannot be read.
pub(super) fn corrupt(what: &'static str) -> StoreError {
    StoreError::corrupt(format!("{what} in MongoDB is not readable"))
}

/// A mistake of ours that no retry mends.
pub(super) fn bug(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Bug, true, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_read_back_and_sort_as_numbers() {
        let texts = ["-009999-01-01", "-000001-12-31", "0000-01-01", "1969-12-31", "2024-02-29"];
        let days: Vec<Date> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let numbers: Vec<_> = days.iter().map(|day| day_number(*day)).collect();
        assert!(numbers.is_sorted() && numbers[4] == 20_240_229, "{numbers:?}");
        for (date, number) in days.iter().zip(numbers) {
            assert_eq!(day(number).unwrap(), *date);
        }
        assert!(day(20_260_230).is_err());
    }
}
