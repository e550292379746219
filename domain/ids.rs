//! Ids: a prefix that says what it is, and the 26 base32 characters of a UUIDv7, sortable by time.
//!
//! The alphabet is Crockford's in lower case, so that text order is time order. Domain makes no ids
//! (that needs a clock and randomness); it takes the 128 bits from whoever does.

use std::{fmt, ops::Deref};

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LENGTH: usize = 26;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form `{prefix}_…` with 26 characters")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id with these 128 bits.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 128 bits.
            #[must_use]
            pub const fn uuid(&self) -> Uuid {
                self.0
            }

            /// The id as text, without asking for memory.
            #[must_use]
            pub fn text(&self) -> IdText {
                IdText::new($prefix, self.0)
            }

            /// Reads `prefix_…`.
            ///
            /// # Errors
            /// [`IdError`] names the prefix that was expected.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let error = IdError { prefix: $prefix };
                let rest = text.strip_prefix(concat!($prefix, "_")).ok_or(error.clone())?;
                decode(rest).map(Self).ok_or(error)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

ids! {
    /// An organization: the tenant.
    OrganizationId = "org";
    /// An API key (not the key itself).
    KeyId = "key";
    /// A connection to a provider's billing API.
    ConnectionId = "conn";
    /// One run of a connection's polls.
    SyncId = "sync";
    /// An uploaded file.
    FileId = "file";
    /// A set of charges that becomes visible, or disappears, as a whole.
    BatchId = "batch";
    /// A policy.
    PolicyId = "pol";
    /// A reservation.
    ReservationId = "res";
    /// A reported usage event, as Outlay names it.
    EventId = "evt";
    /// One HTTP request.
    RequestId = "req";
    /// An entry of the audit log.
    AuditId = "audit";
}

/// The text of an id: `prefix_` and 26 characters.
#[derive(Clone, Copy)]
pub struct IdText {
    bytes: [u8; TEXT_MAX],
    length: usize,
}

/// Prefixes have up to five letters.
const TEXT_MAX: usize = 5 + 1 + TEXT_LENGTH;

impl IdText {
    #[expect(clippy::arithmetic_side_effects, reason = "shifts stay below 130 bits")]
    fn new(prefix: &str, uuid: Uuid) -> IdText {
        let mut bytes = [b'_'; TEXT_MAX];
        let start = prefix.len() + 1;
        bytes[..prefix.len()].copy_from_slice(prefix.as_bytes());
        let mut bits = uuid.as_u128();
        let length = start + TEXT_LENGTH;
        for digit in bytes[start..length].iter_mut().rev() {
            *digit = ALPHABET[usize::from(bits.to_le_bytes()[0] & 31)];
            bits >>= 5;
        }
        IdText { bytes, length }
    }
}

impl IdText {
    /// Its ASCII bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("prefixes and digits are ASCII")
    }
}

fn decode(text: &str) -> Option<Uuid> {
    if text.len() != TEXT_LENGTH {
        return None;
    }
    let mut bits: u128 = 0;
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        // The first digit carries three bits only; a larger one would fall off the top.
        if bits.leading_zeros() < 5 {
            return None;
        }
        bits = (bits << 5) | u128::try_from(value).ok()?;
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_the_same() {
        for bits in [0, 1, u128::MAX, 0x0192_3456_789a_7bcd_8ef0_1234_5678_9abc] {
            let id = ConnectionId::from_uuid(Uuid::from_u128(bits));
            let text = id.to_string();
            assert_eq!(text.len(), "conn_".len() + 26);
            assert_eq!(ConnectionId::parse(&text), Ok(id));
        }
    }

    #[test]
    fn text_order_is_bit_order() {
        let id = |bits| FileId::from_uuid(Uuid::from_u128(bits)).to_string();
        assert!(id(1) < id(2) && id(31) < id(32) && id(u128::MAX - 1) < id(u128::MAX));
    }

    #[test]
    fn other_prefixes_and_damaged_ids_are_refused() {
        let text = FileId::from_uuid(Uuid::from_u128(7)).to_string();
        assert!(ConnectionId::parse(&text).is_err());
        for bad in ["", "file_", "file_0", "file_zzzzzzzzzzzzzzzzzzzzzzzzzz", "file_ÄÄÄÄÄÄÄÄÄÄÄÄÄ"]
        {
            assert!(FileId::parse(bad).is_err(), "{bad}");
        }
    }
}
