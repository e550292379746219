//! Names: who bills, who sells, which account, which feed.
//!
//! A *provider* is who bills and the id of its connector. A *service* is the seller in the price
//! catalogue: `bedrock` is billed by `aws`. They are different words because they are different
//! parties.

use std::fmt;

/// A name that breaks the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} must be 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`, \
     and start with a letter or digit"
)]
pub struct NameError {
    what: &'static str,
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name in lower case.
            ///
            /// # Errors
            /// [`NameError`] where it has other characters or a wrong length.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let name = text.to_ascii_lowercase();
                if is_slug(&name) { Ok(Self(name)) } else { Err(NameError { what: $what }) }
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

slugs! {
    /// Who bills: `openai`, `aws`, `gcp`.
    ProviderId: "a provider";
    /// Who sells, as the price catalogue names it: `openai`, `bedrock`, `vertex`.
    Service: "a service";
    /// One stream of a connector: `costs`, `usage.completions`. Files have the feed `file`.
    Feed: "a feed";
}

impl Feed {
    /// The feed of every uploaded file.
    pub const FILE: &'static str = "file";
}

impl ProviderId {
    /// The provider that a billing file's free-text provider name means.
    ///
    /// Names that are known map to the id of the connector that bills them; any other becomes a
    /// slug of its letters and digits, so that it can still be grouped by. Empty text has no
    /// provider.
    ///
    /// ```
    /// use domain::ProviderId;
    /// let amazon = ProviderId::from_display_name("Amazon Web Services, Inc.").unwrap();
    /// assert_eq!(amazon.as_str(), "aws");
    /// assert_eq!(ProviderId::from_display_name("Tiny Cloud 9").unwrap().as_str(), "tiny-cloud-9");
    /// assert!(ProviderId::from_display_name(" - ").is_none());
    /// ```
    #[must_use]
    pub fn from_display_name(name: &str) -> Option<ProviderId> {
        let slug = slug_of(name);
        let known = |(prefix, _): &&(&str, &str)| {
            slug.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let id = KNOWN_NAMES.iter().find(known).map_or(slug.as_str(), |(_, id)| id);
        ProviderId::parse(id).ok()
    }
}

/// Who bills what a service sells, by name: the clouds for what they sell under other names, every
/// other service for itself.
///
/// ```
/// use domain::names::provider_of;
/// assert_eq!((provider_of("bedrock"), provider_of("vertex")), ("aws", "gcp"));
/// assert_eq!(provider_of("openai"), "openai");
/// ```
#[must_use]
pub fn provider_of(service: &str) -> &str {
    match service {
        "bedrock" => "aws",
        "google" | "vertex" => "gcp",
        itself => itself,
    }
}

/// First words of provider names in billing files, as slugs, and who that is.
const KNOWN_NAMES: &[(&str, &str)] = &[
    ("amazon-web-services", "aws"),
    ("amazon", "aws"),
    ("aws", "aws"),
    ("google", "gcp"),
    ("gcp", "gcp"),
    ("microsoft", "azure"),
    ("azure", "azure"),
    ("oracle", "oci"),
    ("openai", "openai"),
    ("anthropic", "anthropic"),
];

fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        match letter.is_ascii_alphanumeric() {
            true => slug.push(letter),
            false if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            false => {}
        }
        if slug.len() == 64 {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn is_slug(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| plain(byte) || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(allowed)
}

/// The provider's account that charges belong to, as the provider names it.
///
/// Charges stay with their account when a connection is made anew, so the same money is never
/// counted twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Account {
    /// Who bills.
    pub provider: ProviderId,
    /// The provider's own name of the account: an organization id, a billing account number.
    pub id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_plain() {
        assert_eq!(Service::parse("OpenAI").unwrap().as_str(), "openai");
        for bad in ["", "-a", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(ProviderId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn provider_names_of_the_public_focus_sample_are_known() {
        for (name, id) in [
            ("AWS", "aws"),
            ("Google Cloud", "gcp"),
            ("Microsoft", "azure"),
            ("Oracle", "oci"),
            ("OpenAI, L.L.C.", "openai"),
            ("Awsome Tools", "awsome-tools"),
        ] {
            assert_eq!(ProviderId::from_display_name(name).unwrap().as_str(), id);
        }
    }
}
