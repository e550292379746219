//! A 256-bit key that is wiped from memory when dropped, and the two texts it can be read from.

use base64::{Engine, engine::general_purpose};
use zeroize::{Zeroize, Zeroizing};

use crate::{Result, VaultError};

pub(crate) const KEY_BYTES: usize = 32;

/// A key for AES-256-GCM. It has no `Debug` and no `Display`.
///
/// ```compile_fail
/// let key = vault::DataKey::generate().unwrap();
/// println!("{key:?}");
/// ```
// Boxed, so that moving the key leaves no copy of it behind on the stack.
pub struct DataKey(Box<[u8; KEY_BYTES]>);

impl DataKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`] where the system has none.
    pub fn generate() -> Result<DataKey> {
        let mut key = DataKey(Box::new([0; KEY_BYTES]));
        getrandom::fill(key.0.as_mut()).map_err(VaultError::NoRandomness)?;
        Ok(key)
    }

    /// The key with these bytes; `None` where they are not 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<DataKey> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let mut key = DataKey(Box::new([0; KEY_BYTES]));
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    /// The bytes, for the one place that encrypts with them or wraps them.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Reads 32 bytes written as base64 (either alphabet, padded or not) or as 64 hexadecimal
    /// digits.
    pub(crate) fn from_text(text: &str) -> Result<DataKey> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(VaultError::Malformed("it is empty"));
        }
        let key = decode(text).and_then(|bytes| DataKey::from_bytes(&bytes)).ok_or(
            VaultError::Malformed("a key is 32 bytes as base64 or as 64 hexadecimal digits"),
        )?;
        // What people type to get past an error message; it would protect nothing.
        if key.0.iter().all(|byte| *byte == key.0[0]) {
            return Err(VaultError::Malformed("all its bytes are the same: make a random one"));
        }
        Ok(key)
    }

    /// The key as [`DataKey::from_text`] reads it.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(general_purpose::STANDARD.encode(self.0.as_ref()))
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

// 64 digits can only be hexadecimal: as base64 they would be 48 bytes.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() == 2 * KEY_BYTES {
        return decode_hex(text).map(Zeroizing::new);
    }
    [general_purpose::STANDARD_PAD_INDIFFERENT, general_purpose::URL_SAFE_PAD_INDIFFERENT]
        .into_iter()
        .find_map(|engine| engine.decode(text).ok())
        .map(Zeroizing::new)
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    // Reserved whole: growing would leave copies of the key behind.
    let mut bytes = Vec::with_capacity(KEY_BYTES);
    for pair in text.as_bytes().chunks_exact(2) {
        bytes.push((digit(pair[0])? << 4) | digit(pair[1])?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hex_of_the_same_bytes_are_the_same_key() {
        let bytes: [u8; 32] = std::array::from_fn(|index| 255 - u8::try_from(index).unwrap());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let texts = [
            hex.to_uppercase(),
            hex,
            general_purpose::STANDARD.encode(bytes),
            general_purpose::STANDARD_NO_PAD.encode(bytes),
            general_purpose::URL_SAFE.encode(bytes),
            format!("{}\r\n", general_purpose::STANDARD.encode(bytes)),
        ];
        for text in texts {
            let key = DataKey::from_text(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(key.expose(), &bytes, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let short = general_purpose::STANDARD.encode([7; 31]);
        let long = general_purpose::STANDARD.encode([7; 33]);
        let zeros = general_purpose::STANDARD.encode([0; 32]);
        for text in
            ["", "  \n", "secret", &short, &long, &zeros, &"g0".repeat(32), &"ab".repeat(31)]
        {
            assert!(DataKey::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_generated_key_survives_its_text() {
        let key = DataKey::generate().unwrap();
        assert_eq!(DataKey::from_text(&key.to_text()).unwrap().expose(), key.expose());
        assert_ne!(DataKey::generate().unwrap().expose(), key.expose());
    }
}
