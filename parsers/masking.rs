//! Values that look like secret keys, and their removal.
//!
//! Several vendors' exports carry key material in labels and tags. It has no use in a cost report,
//! and a store full of it is a theft waiting to happen, so it is cut out before anybody sees the
//! row.

use std::borrow::Cow;

/// What most vendors' secret keys begin with (OpenAI, Anthropic, DeepSeek, OpenRouter, Stripe).
const PREFIXES: [&str; 2] = ["sk-", "sk_"];
/// Shorter ones are masked already, or are no keys.
const KEY_BYTES_MIN: usize = 20;
/// What stands in the place of a key.
const MASK: &str = "sk-…";

/// Whether any secret-looking value may be inside: quick, and sometimes wrongly so.
pub(crate) fn is_suspect(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.contains(prefix))
}

/// The text without its secret-looking values.
pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut kept_to = 0;
    let mut from = 0;
    while let Some(start) = next_prefix(text, from) {
        let key_bytes = text[start..].bytes().take_while(|byte| is_key_byte(*byte)).count();
        if !is_key(text, start, key_bytes) {
            from = start + PREFIXES[0].len();
            continue;
        }
        masked.push_str(&text[kept_to..start]);
        masked.push_str(MASK);
        from = start + key_bytes;
        kept_to = from;
    }
    if masked.is_empty() {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[kept_to..]);
    Cow::Owned(masked)
}

fn next_prefix(text: &str, from: usize) -> Option<usize> {
    let rest = &text[from..];
    PREFIXES.iter().filter_map(|prefix| rest.find(prefix)).min().map(|at| from + at)
}

/// A key starts a word (`risk-…` does not), is long, and mixes digits into its letters.
fn is_key(text: &str, start: usize, key_bytes: usize) -> bool {
    let starts_word = !text[..start].ends_with(|letter: char| letter.is_alphanumeric());
    let has_digit = text[start..start + key_bytes].bytes().any(|byte| byte.is_ascii_digit());
    starts_word && has_digit && key_bytes >= KEY_BYTES_MIN
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_out_and_words_are_not() {
        let key = ["sk-proj-", "abcDEF0123456789"].concat();
        for (text, masked) in [
            (key.clone(), "sk-…".to_owned()),
            (
                format!("{{\"key\": \"{key}\", \"team\": \"a\"}}"),
                r#"{"key": "sk-…", "team": "a"}"#.into(),
            ),
            (format!("{key} {key}"), "sk-… sk-…".to_owned()),
        ] {
            assert!(is_suspect(&text));
            assert_eq!(mask(&text), masked);
        }
        for text in [
            "risk-assessment-2026-quarter-1",
            "sk-…abcd",
            ["sk-", "learn-and-other-libraries"].concat().as_str(),
            "sk-",
            "",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
