//! API keys: how they look, how they are made, and the hash that is all we keep of one.

use domain::{ApiKey, KeyId, OrganizationId, Path, Scope, Secret, organization::Environment};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{IdentityError, Result, new_uuid};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// As many as 256 bits need in base 62; unlike base64 they hold no sign at which a double click or
/// a line break would cut the key.
const RANDOM_CHARACTERS: usize = 43;

/// What a key is made of: 256 bits that nobody can guess, wiped from memory when dropped.
pub type KeyBits = Zeroizing<[u8; 32]>;

/// What a new key shall be.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    /// Owner.
    pub organization: OrganizationId,
    /// Name for people.
    pub name: String,
    /// Which world it opens.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Where it may do it; everywhere if absent.
    pub path_prefix: Option<Path>,
    /// From when on it is refused, in whole microseconds.
    pub expires_at: Option<Timestamp>,
    /// When, in whole microseconds.
    pub at: Timestamp,
}

/// A key that was just made: its text, to be shown once, and what is stored of it.
pub struct NewKey {
    /// The key itself.
    pub secret: Secret,
    /// What is stored.
    pub key: ApiKey,
}

/// Makes a key of new bits under a new id. Nothing is stored.
///
/// # Errors
/// [`IdentityError::NoRandomness`] where the system has none.
pub fn make_api_key(request: KeyRequest) -> Result<NewKey> {
    let id = KeyId::from_uuid(new_uuid(request.at)?);
    Ok(api_key_of(request, id, &new_key_bits()?))
}

/// The key of these bits under this id: the same bits give the same text. Nothing is stored.
#[must_use]
pub fn api_key_of(request: KeyRequest, id: KeyId, bits: &KeyBits) -> NewKey {
    let secret = key_text(request.environment, bits);
    let key = ApiKey {
        id,
        organization: request.organization,
        name: request.name,
        environment: request.environment,
        scopes: request.scopes,
        path_prefix: request.path_prefix,
        sha256: hash_key(secret.expose()),
        created_at: request.at,
        expires_at: request.expires_at,
        revoked_at: None,
        rotated_to: None,
    };
    NewKey { secret, key }
}

/// New bits from the system's randomness.
///
/// # Errors
/// [`IdentityError::NoRandomness`] where the system has none.
pub fn new_key_bits() -> Result<KeyBits> {
    let mut bits = Zeroizing::new([0; 32]);
    getrandom::fill(bits.as_mut()).map_err(IdentityError::NoRandomness)?;
    Ok(bits)
}

/// The text of a key: its environment, and its bits as a number in base 62.
#[must_use]
pub fn key_text(environment: Environment, bits: &KeyBits) -> Secret {
    let prefix = prefix(environment);
    let mut number = bits.clone();
    // Reserved whole: growing would leave copies of the key behind.
    let mut text = String::with_capacity(prefix.len() + RANDOM_CHARACTERS);
    text.push_str(prefix);
    for _ in 0..RANDOM_CHARACTERS {
        text.push(char::from(ALPHABET[take_digit(&mut number)]));
    }
    Secret::new(text)
}

/// The hash under which a key is kept.
#[must_use]
pub fn hash_key(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Which world a presented key claims to open; what is stored decides. `None` where the text cannot
/// be a key, so that nothing needs to be looked up.
///
/// ```
/// assert_eq!(identity::environment_of_key("outlay_live_tooshort"), None);
/// ```
#[must_use]
pub fn environment_of_key(text: &str) -> Option<Environment> {
    let (environment, random) = [Environment::Live, Environment::Test]
        .into_iter()
        .find_map(|environment| Some((environment, text.strip_prefix(prefix(environment))?)))?;
    let is_key = random.len() == RANDOM_CHARACTERS
        && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_key.then_some(environment)
}

const fn prefix(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "outlay_live_",
        Environment::Test => "outlay_test_",
    }
}

/// Divides a number of 256 bits by 62, and gives what is left over.
fn take_digit(number: &mut KeyBits) -> usize {
    let mut rest = 0_u16;
    for byte in number.iter_mut() {
        let value = (rest << 8) | u16::from(*byte);
        *byte = u8::try_from(value / 62).expect("a remainder below 62 leaves eight bits");
        rest = value % 62;
    }
    usize::from(rest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn request(environment: Environment) -> KeyRequest {
        KeyRequest {
            organization: OrganizationId::from_uuid(uuid::Uuid::from_u128(1)),
            name: "ci".into(),
            environment,
            scopes: vec![Scope::Read],
            path_prefix: None,
            expires_at: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_key_tells_its_environment_and_is_found_by_its_hash() {
        for environment in [Environment::Live, Environment::Test] {
            let made = make_api_key(request(environment)).unwrap();
            let text = made.secret.expose();
            let start = format!("outlay_{}_", environment.as_str());
            assert!(text.starts_with(&start) && text.len() == start.len() + 43);
            assert_eq!(environment_of_key(text), Some(environment));
            assert_eq!(hash_key(text), made.key.sha256);
        }
    }

    #[test]
    fn the_same_bits_are_the_same_key_and_others_another() {
        let id = KeyId::from_uuid(uuid::Uuid::from_u128(5));
        let text = |bits: [u8; 32]| {
            let made = api_key_of(request(Environment::Live), id, &Zeroizing::new(bits));
            assert_eq!((made.key.id, made.key.sha256), (id, hash_key(made.secret.expose())));
            assert!(environment_of_key(made.secret.expose()).is_some());
            made.secret.expose().to_owned()
        };
        assert_eq!(text([0; 32]), format!("outlay_live_{}", "0".repeat(43)));
        assert_eq!(text([0xff; 32]), text([0xff; 32]));
        // No bit is lost on the way: each changes the text.
        let texts: BTreeSet<String> = (0..256)
            .map(|bit| {
                let mut bits = [0xa5; 32];
                bits[bit / 8] ^= 1 << (bit % 8);
                text(bits)
            })
            .collect();
        assert_eq!(texts.len(), 256);
    }

    #[test]
    fn only_the_hash_is_kept() {
        let made = make_api_key(request(Environment::Live)).unwrap();
        let random = made.secret.expose().rsplit('_').next().unwrap();
        assert!(!format!("{:?}", made.key).contains(random));
    }

    #[test]
    fn the_hash_is_sha_256_of_the_whole_text() {
        // The "abc" example of FIPS 180-4, https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
        let hex: String = hash_key("abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn texts_of_another_shape_are_no_keys() {
        let random = "a".repeat(43);
        assert!(environment_of_key(&format!("outlay_live_{random}")).is_some());
        for text in [
            String::new(),
            random.clone(),
            format!("outlay_prod_{random}"),
            format!("Outlay_live_{random}"),
            format!(" outlay_live_{random}"),
            format!("outlay_live_{random}b"),
            format!("outlay_live_{}", &random[1..]),
            format!("outlay_live_{}-", &random[1..]),
            format!("outlay_live_{}é", &random[2..]),
        ] {
            assert_eq!(environment_of_key(&text), None, "{text}");
        }
    }

    #[test]
    fn keys_use_the_whole_alphabet_and_never_repeat() {
        let texts: BTreeSet<String> = (0..100)
            .map(|_| make_api_key(request(Environment::Live)).unwrap().secret.expose().to_owned())
            .collect();
        assert_eq!(texts.len(), 100);
        let letters: BTreeSet<char> = texts.iter().flat_map(|text| text[12..].chars()).collect();
        // 4,300 draws of 62: that one is missing happens once in 10²⁸ runs.
        assert_eq!(letters.len(), ALPHABET.len());
    }
}
