//! Dates and versions at the end of a model's name.

use prices::date_removed;

use crate::bedrock;

/// A name without the valid date, `@default` or Bedrock version at its end, if it has one.
pub(crate) fn undated(name: &str) -> Option<String> {
    let versionless = bedrock::versionless(name);
    let rest = versionless.as_deref().unwrap_or(name);
    let start = rest.strip_suffix("@default").or_else(|| date_removed(rest));
    match start {
        Some("") | None => versionless,
        Some(start) => Some(start.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_date_or_version_at_the_end_is_removed() {
        for (name, rest) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
            ("claude-haiku-4-5@20251001", Some("claude-haiku-4-5")),
            ("claude-opus-5@default", Some("claude-opus-5")),
            ("anthropic.claude-opus-4-5-20251101-v1:0", Some("anthropic.claude-opus-4-5")),
            ("anthropic.claude-sonnet-5-v1:0", Some("anthropic.claude-sonnet-5")),
            ("gpt-4o-2024-13-06", None),
            ("gpt-4o-20240230", None),
            ("mistral-large-2411", None),
            ("gpt-4o", None),
            ("2024-08-06", None),
        ] {
            assert_eq!(undated(name).as_deref(), rest, "{name}");
        }
    }
}
