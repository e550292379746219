//! AES-256-GCM with a random nonce and bound context: the bytes that the store keeps.
//!
//! A sealed value is one byte that names this format, twelve bytes of nonce, the ciphertext, and
//! the sixteen bytes of its tag. The context is authenticated, not stored: whoever opens must know
//! it.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag, aead::consts::U12};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{DataKey, Result, VaultError};

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What a ciphertext is bound to. Each part is preceded by its length, so that no two lists of
/// parts have the same bytes.
pub(crate) struct Context(Vec<u8>);

impl Context {
    /// A context for `purpose`, which keeps wrapped keys and sealed values apart.
    pub(crate) fn new(purpose: &'static str) -> Context {
        Context(Vec::new()).and(purpose.as_bytes())
    }

    pub(crate) fn and(mut self, part: &[u8]) -> Context {
        let length = u64::try_from(part.len()).expect("a length fits in 64 bits");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }
}

/// HMAC-SHA256 of a context under a key: 256 bits that only the key's holder can say, and say
/// again.
pub(crate) fn derive(key: &DataKey, context: &Context) -> Zeroizing<[u8; 32]> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any size");
    mac.update(&context.0);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Encrypts `plain` under a fresh nonce.
pub(crate) fn seal(key: &DataKey, context: &Context, plain: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(VaultError::NoRandomness)?;
    Ok(seal_with(key, context, &nonce, plain))
}

fn seal_with(key: &DataKey, context: &Context, nonce: &[u8; NONCE_BYTES], plain: &[u8]) -> Vec<u8> {
    // Reserved whole: growing would leave a copy of the plain text behind.
    let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + plain.len() + TAG_BYTES);
    bytes.push(FORMAT);
    bytes.extend_from_slice(nonce);
    bytes.extend_from_slice(plain);
    let tag = Aes256Gcm::new(key.expose().into())
        .encrypt_inout_detached(
            &Nonce::<U12>::from(*nonce),
            &context.0,
            (&mut bytes[1 + NONCE_BYTES..]).into(),
        )
        .expect("a value in memory is shorter than the 64 GiB that one nonce may encrypt");
    bytes.extend_from_slice(&tag);
    bytes
}

/// Decrypts what [`seal`] made; `None` where key, context or any byte is another.
pub(crate) fn open(key: &DataKey, context: &Context, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (format, rest) = sealed.split_first()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    if *format != FORMAT {
        return None;
    }
    let mut plain = Zeroizing::new(body.to_vec());
    Aes256Gcm::new(key.expose().into())
        .decrypt_inout_detached(
            &Nonce::<U12>::from(*nonce),
            &context.0,
            plain.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn context(parts: &[&str]) -> Context {
        parts.iter().fold(Context::new("test"), |context, part| context.and(part.as_bytes()))
    }

    /// Key, nonce, authenticated text, plain text, ciphertext, tag. The first two are from NIST's
    /// `gcmEncryptExtIV256.rsp`,
    /// <https://csrc.nist.gov/Projects/cryptographic-algorithm-validation-program/CAVP-TESTING-BLOCK-CIPHER-MODES>,
    /// the others are tests 91, 92, 94, 98 and 103 of
    /// <https://github.com/C2SP/wycheproof/blob/main/testvectors_v1/aes_gcm_test.json>.
    const VECTORS: [[&str; 6]; 7] = [
        [
            "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
            "516c33929df5a3284ff463d7",
            "",
            "",
            "",
            "bdc1ac884d332457a1d2664f168c76f0",
        ],
        [
            "5fe0861cdc2690ce69b3658c7f26f8458eec1c9243c5ba0845305d897e96ca0f",
            "770ac1a5a3d476d5d96944a1",
            "",
            "",
            "",
            "196d691e1047093ca4b3d2ef4baba216",
        ],
        [
            "92ace3e348cd821092cd921aa3546374299ab46209691bc28b8752d17f123c20",
            "00112233445566778899aabb",
            "00000000ffffffff",
            "00010203040506070809",
            "e27abdd2d2a53d2f136b",
            "9a4a2579529301bcfb71c78d4060f52c",
        ],
        [
            "29d3a44f8723dc640239100c365423a312934ac80239212ac3df3421a2098123",
            "00112233445566778899aabb",
            "aabbccddeeff",
            "",
            "",
            "2a7d77fa526b8250cb296078926b5020",
        ],
        [
            "cc56b680552eb75008f5484b4cb803fa5063ebd6eab91f6ab6aef4916a766273",
            "99e23ec48985bccdeeab60f1",
            "",
            "2a",
            "06",
            "633c1e9703ef744ffffb40edf9d14355",
        ],
        [
            "3b2458d8176e1621c0cc24c0c0e24c1e80d72f7ee9149a4b166176629616d011",
            "45aaa3e5d16d2d42dc03445d",
            "",
            "3ff1514b1c503915918f0c0c31094a6e1f",
            "73a6b6f45f6ccc5131e07f2caa1f2e2f56",
            "2d7379ec1db5952d4e95d30c340b1b1d",
        ],
        [
            "ff0089ee870a4a39f645b0a5da774f7a5911e9696fc9cad646452c2aa8595a12",
            "bc2a7757d0ce2d8b1f14ccd9",
            "972ab4e06390caae8f99dd6e2187be6c7ff2c08a24be16ef",
            "748b28031621d95ee61812b4b4f47d04c6fc2ff3",
            "a929ee7e67c7a2f91bbcec6389a3caf43ab49305",
            "ebec6774b955e789591c822dab739e12",
        ],
    ];

    #[test]
    fn published_vectors_seal_and_open() {
        for [key, nonce, authenticated, plain, body, tag] in VECTORS {
            let key = DataKey::from_bytes(&bytes(key)).unwrap();
            let context = Context(bytes(authenticated));
            let nonce = bytes(nonce);
            let sealed = seal_with(&key, &context, nonce[..].try_into().unwrap(), &bytes(plain));
            let expected = [vec![FORMAT], nonce, bytes(body), bytes(tag)].concat();
            assert_eq!(sealed, expected);
            assert_eq!(*open(&key, &context, &sealed).unwrap(), bytes(plain));
        }
    }

    #[test]
    fn what_is_derived_is_hmac_sha_256() {
        // Test case 3 of <https://www.rfc-editor.org/rfc/rfc4231#section-4.4> has a key of 20 bytes,
        // which HMAC pads with zeros to the same block as ours of 32.
        let key = DataKey::from_bytes(&[vec![0xaa; 20], vec![0; 12]].concat()).unwrap();
        let expected = bytes("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
        assert_eq!(derive(&key, &Context(vec![0xdd; 50])).as_slice(), expected);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let key = DataKey::generate().unwrap();
        let context = context(&["org", "conn", "admin_key"]);
        let sealed = seal(&key, &context, b"some credential").unwrap();
        assert_eq!(open(&key, &context, &sealed).unwrap().as_slice(), b"some credential");
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[index] ^= 1 << bit;
                assert!(open(&key, &context, &damaged).is_none(), "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_shortened_or_lengthened_value_is_noticed() {
        let key = DataKey::generate().unwrap();
        let context = context(&[]);
        let mut sealed = seal(&key, &context, b"some credential").unwrap();
        for length in 0..sealed.len() {
            assert!(open(&key, &context, &sealed[..length]).is_none(), "{length} bytes");
        }
        sealed.push(0);
        assert!(open(&key, &context, &sealed).is_none());
    }

    #[test]
    fn a_text_may_not_move_from_one_part_of_the_context_to_the_next() {
        let key = DataKey::generate().unwrap();
        let sealed = seal(&key, &context(&["ab", "c"]), b"x").unwrap();
        for parts in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["c", "ab"], &["ab"]] {
            assert!(open(&key, &context(parts), &sealed).is_none(), "{parts:?}");
        }
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_bytes() {
        let key = DataKey::generate().unwrap();
        let sealed = seal(&key, &context(&[]), b"x").unwrap();
        assert_ne!(seal(&key, &context(&[]), b"x").unwrap(), sealed);
    }

    #[test]
    fn another_key_opens_nothing() {
        let context = context(&[]);
        let sealed = seal(&DataKey::generate().unwrap(), &context, b"x").unwrap();
        assert!(open(&DataKey::generate().unwrap(), &context, &sealed).is_none());
    }
}
