//! API keys: how they look, how they are made, and the hash that is all we keep of one.

use domain::{ApiKey, KeyId, OrganizationId, Scope, Secret, organization::Environment};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{IdentityError, Result, new_uuid};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 of 62 characters are a little more than 256 bits; unlike base64 they hold no sign at which a
/// double click or a line break would cut the key.
const RANDOM_CHARACTERS: usize = 43;

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

/// What a presented key says about itself, before anybody has looked it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedKey {
    /// Which world it claims to open; what is stored decides.
    pub environment: Environment,
    /// Its hash, to look it up with.
    pub sha256: [u8; 32],
}

/// Makes a key. Nothing is stored.
///
/// # Errors
/// [`IdentityError::NoRandomness`] where the system has none.
pub fn make_api_key(request: KeyRequest) -> Result<NewKey> {
    let prefix = prefix(request.environment);
    // Reserved whole: growing would leave copies of the key behind.
    let mut text = String::with_capacity(prefix.len() + RANDOM_CHARACTERS);
    text.push_str(prefix);
    push_random_characters(&mut text)?;
    let key = ApiKey {
        id: KeyId::from_uuid(new_uuid(request.at)?),
        organization: request.organization,
        name: request.name,
        environment: request.environment,
        scopes: request.scopes,
        sha256: hash_key(&text),
        created_at: request.at,
        revoked_at: None,
    };
    Ok(NewKey { secret: Secret::new(text), key })
}

/// The hash under which a key is kept.
#[must_use]
pub fn hash_key(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Reads a presented key; `None` where the text cannot be one, so that nothing needs to be looked
/// up.
///
/// ```
/// assert_eq!(identity::parse_api_key("outlay_live_tooshort"), None);
/// ```
#[must_use]
pub fn parse_api_key(text: &str) -> Option<PresentedKey> {
    let (environment, random) = [Environment::Live, Environment::Test]
        .into_iter()
        .find_map(|environment| Some((environment, text.strip_prefix(prefix(environment))?)))?;
    let is_key = random.len() == RANDOM_CHARACTERS
        && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_key.then(|| PresentedKey { environment, sha256: hash_key(text) })
}

const fn prefix(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "outlay_live_",
        Environment::Test => "outlay_test_",
    }
}

/// Each character is equally likely: of the 64 values of six random bits, the two without one are
/// dropped.
fn push_random_characters(text: &mut String) -> Result<()> {
    let mut left = RANDOM_CHARACTERS;
    let mut random = Zeroizing::new([0_u8; 64]);
    while left > 0 {
        getrandom::fill(random.as_mut()).map_err(IdentityError::NoRandomness)?;
        let drawn = random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        for letter in drawn.take(left) {
            text.push(char::from(*letter));
            left -= 1;
        }
    }
    Ok(())
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
            let presented = parse_api_key(text).unwrap();
            assert_eq!(presented, PresentedKey { environment, sha256: made.key.sha256 });
        }
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
        assert!(parse_api_key(&format!("outlay_live_{random}")).is_some());
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
            assert_eq!(parse_api_key(&text), None, "{text}");
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
