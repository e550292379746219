//! An event's identity: 16 bytes of a hash of who sent it and the id they gave it, and 4 bytes of
//! a hash of its body.
//!
//! An id that is a `UUIDv7` carries the instant of its making, so it can only have been seen near
//! its own day; any other id may have been seen on every day of the horizon.

use sha2::{Digest, Sha256};
use uuid::{Uuid, Variant};

/// Over how many days an event counts once.
pub const HORIZON_DAYS: u32 = 35;
/// A day in microseconds.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// The horizon in microseconds.
pub const HORIZON_MICROS: i64 = HORIZON_DAYS as i64 * DAY_MICROS;

/// What tells one event from another: 16 bytes of SHA-256 over its source and id, each with its
/// length before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 16]);

/// What tells an event sent again from another one under the same id: 4 bytes of SHA-256 over its
/// body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyHash(pub [u8; 4]);

/// The day on which an id was made, as the id itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnDay {
    /// The id tells none.
    None,
    /// A `UUIDv7` of this UTC day, counted from 1970-01-01.
    Day(u32),
    /// A `UUIDv7` older than the horizon, or more than a day ahead: the event is to be refused.
    OutOfRange,
}

impl Identity {
    /// The identity of the event that `source` calls `id`. Texts are taken byte for byte: the same
    /// UUID with and without hyphens is two identities.
    #[must_use]
    pub fn of(source: &[u8], id: &[u8]) -> Identity {
        let mut hasher = Sha256::new();
        for field in [source, id] {
            let length = u64::try_from(field.len()).expect("a length fits 64 bits");
            hasher.update(length.to_le_bytes());
            hasher.update(field);
        }
        Identity(first_bytes(hasher.finalize().as_slice()))
    }
}

impl BodyHash {
    /// The hash of a body, in whichever form its events are always hashed.
    #[must_use]
    pub fn of(body: &[u8]) -> BodyHash {
        BodyHash(first_bytes(Sha256::digest(body).as_slice()))
    }
}

/// The own day of an id, looked at when the clock says `now_micros` (UTC, since 1970): a `UUIDv7`
/// has one, written with hyphens or as 32 hexadecimal digits, in either case. The edges
/// themselves, exactly the horizon ago and exactly a day ahead, are within range.
#[must_use]
pub fn own_day(id: &[u8], now_micros: i64) -> OwnDay {
    let Some(made_at_ms) = v7_instant_ms(id) else { return OwnDay::None };
    let made_at_micros = made_at_ms * 1000;
    let oldest = now_micros.saturating_sub(HORIZON_MICROS);
    let newest = now_micros.saturating_add(DAY_MICROS);
    if made_at_micros < oldest || made_at_micros > newest {
        return OwnDay::OutOfRange;
    }
    u32::try_from(made_at_micros / DAY_MICROS).map_or(OwnDay::OutOfRange, OwnDay::Day)
}

/// The instant within a `UUIDv7`: 48 bits of milliseconds, so their microseconds fit 63 bits.
fn v7_instant_ms(id: &[u8]) -> Option<i64> {
    // By length, because the parser also takes braces and `urn:uuid:`.
    if id.len() != 32 && id.len() != 36 {
        return None;
    }
    let uuid = Uuid::try_parse_ascii(id).ok()?;
    let is_v7 = uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122;
    is_v7.then(|| i64::try_from(uuid.as_u128() >> 80).expect("48 bits fit 63"))
}

fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a hash is longer than what is taken of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T00:00:00Z.
    const NOW: i64 = 1_795_219_200_000_000;
    const TODAY: u32 = 20_778;

    fn v7_at(micros: i64) -> String {
        let ms = u128::try_from(micros / 1000).unwrap();
        Uuid::from_u128(ms << 80 | 0x7abc << 64 | 0x8000_0000_0000_0001).to_string()
    }

    #[test]
    fn an_identity_is_the_first_half_of_the_hash_of_both_lengths_and_texts() {
        // printf '\x01\0\0\0\0\0\0\0a\x02\0\0\0\0\0\0\0bc' | sha256sum
        let expected = 0x9a8a_cca1_b6c6_c0be_fd3f_bc75_6aed_625d_u128;
        assert_eq!(Identity::of(b"a", b"bc"), Identity(expected.to_be_bytes()));
    }

    #[test]
    fn where_the_source_ends_and_the_id_begins_matters() {
        assert_ne!(Identity::of(b"ab", b"c"), Identity::of(b"a", b"bc"));
        assert_ne!(Identity::of(b"", b"abc"), Identity::of(b"abc", b""));
    }

    #[test]
    fn a_body_hash_is_the_first_four_bytes() {
        // The well-known hash of nothing begins e3b0c442.
        assert_eq!(BodyHash::of(b""), BodyHash([0xe3, 0xb0, 0xc4, 0x42]));
    }

    #[test]
    fn a_uuidv7_within_range_has_its_own_day_and_nothing_else_has() {
        let ms = 1;
        let day = |id: &str| own_day(id.as_bytes(), NOW);
        let simple = |micros: i64| v7_at(micros).replace('-', "");
        let table = [
            ("now", v7_at(NOW), OwnDay::Day(TODAY)),
            ("without hyphens", simple(NOW), OwnDay::Day(TODAY)),
            ("in capitals", v7_at(NOW).to_uppercase(), OwnDay::Day(TODAY)),
            ("a millisecond before midnight", v7_at(NOW - ms * 1000), OwnDay::Day(TODAY - 1)),
            ("a day ahead", v7_at(NOW + DAY_MICROS), OwnDay::Day(TODAY + 1)),
            ("a millisecond more", v7_at(NOW + DAY_MICROS + ms * 1000), OwnDay::OutOfRange),
            ("35 days old", v7_at(NOW - HORIZON_MICROS), OwnDay::Day(TODAY - 35)),
            ("a millisecond older", v7_at(NOW - HORIZON_MICROS - ms * 1000), OwnDay::OutOfRange),
            ("the latest there is", v7_at(((1 << 48) - 1) * 1000), OwnDay::OutOfRange),
            ("the earliest", v7_at(0), OwnDay::OutOfRange),
            ("in braces", format!("{{{}}}", v7_at(NOW)), OwnDay::None),
            ("as a URN", format!("urn:uuid:{}", v7_at(NOW)), OwnDay::None),
            ("one digit short", simple(NOW)[1..].to_owned(), OwnDay::None),
            ("hyphens elsewhere", format!("-{}", &v7_at(NOW)[1..]), OwnDay::None),
            ("version 4", "f47ac10b-58cc-4372-a567-0e02b2c3d479".to_owned(), OwnDay::None),
            ("7 in another variant", "019b0000-0000-7000-0000-000000000000".into(), OwnDay::None),
            ("some text", "chatcmpl-8f3a".to_owned(), OwnDay::None),
            ("nothing", String::new(), OwnDay::None),
        ];
        for (what, id, expected) in table {
            assert_eq!(day(&id), expected, "{what}: {id}");
        }
    }

    #[test]
    fn a_clock_at_its_ends_overflows_nothing() {
        assert_eq!(own_day(v7_at(NOW).as_bytes(), i64::MAX), OwnDay::OutOfRange);
        assert_eq!(own_day(v7_at(NOW).as_bytes(), i64::MIN), OwnDay::OutOfRange);
    }
}
