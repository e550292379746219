//! What a price key of LiteLLM's map means: a base name and suffixes that stack.

use crate::card::{Bound, When};
use prices::RateKey;

/// A price key, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PriceKey {
    pub(crate) key: RateKey,
    pub(crate) unit: Unit,
    pub(crate) when: When,
    /// Thousands of input tokens above which the figure holds.
    pub(crate) above: Option<u64>,
}

/// What a figure is per.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// One token or character; a rate is per million.
    Token,
    /// One second; a rate is per hour.
    Second,
    /// One call, search, picture or page.
    One,
}

impl Unit {
    /// How far the decimal point moves on the way to a rate.
    pub(crate) fn shift(self) -> i32 {
        match self {
            Self::Token => 6,
            Self::Second | Self::One => 0,
        }
    }
}

const BASES: &[(&str, RateKey, Unit)] = &[
    ("input_cost_per_token", RateKey::Input, Unit::Token),
    ("output_cost_per_token", RateKey::Output, Unit::Token),
    ("cache_read_input_token_cost", RateKey::CacheRead, Unit::Token),
    ("cache_creation_input_token_cost", RateKey::CacheWrite5m, Unit::Token),
    ("input_cost_per_audio_token", RateKey::InputAudio, Unit::Token),
    ("output_cost_per_audio_token", RateKey::OutputAudio, Unit::Token),
    ("input_cost_per_image_token", RateKey::InputImage, Unit::Token),
    ("output_cost_per_image_token", RateKey::OutputImage, Unit::Token),
    ("cache_read_input_audio_token_cost", RateKey::CacheReadAudio, Unit::Token),
    ("cache_read_input_image_token_cost", RateKey::CacheReadImage, Unit::Token),
    ("output_cost_per_reasoning_token", RateKey::OutputReasoning, Unit::Token),
    ("input_cost_per_character", RateKey::InputCharacters, Unit::Token),
    ("input_cost_per_query", RateKey::Request, Unit::One),
    ("input_cost_per_request", RateKey::Request, Unit::One),
    ("ocr_cost_per_page", RateKey::Page, Unit::One),
];

const TIERS: &[(&str, &str)] =
    &[("_flex", "flex"), ("_priority", "priority"), ("_ultrafast", "ultrafast")];

/// What a key means; `None` for one that usage has no word for, or that is no price at all.
pub(crate) fn read(text: &str, mode: &str) -> Option<PriceKey> {
    let mut rest = text;
    let mut when = When::List;
    let mut above = None;
    let mut one_hour = false;
    loop {
        if let Some(start) = rest.strip_suffix("_batches") {
            (rest, when) = (start, When::Batch);
        } else if let Some((start, tier)) = tier(rest) {
            (rest, when) = (start, When::Tier(tier.to_owned()));
        } else if let Some(start) = rest.strip_suffix("_above_1hr") {
            (rest, one_hour) = (start, true);
        } else if let Some((start, thousands)) = threshold(rest) {
            (rest, above) = (start, Some(thousands));
        } else {
            break;
        }
    }
    let (key, unit) = base(rest, mode)?;
    let key = match (key, one_hour) {
        (RateKey::CacheWrite5m, true) => RateKey::CacheWrite1h,
        (_, true) => return None,
        (key, false) => key,
    };
    Some(PriceKey { key, unit, when, above })
}

fn base(name: &str, mode: &str) -> Option<(RateKey, Unit)> {
    // A picture that is made, not one that is looked at; a second that is heard, not rented.
    match (name, mode) {
        ("output_cost_per_image", "image_generation" | "image_edit")
        | ("input_cost_per_image", "image_generation") => return Some((RateKey::Image, Unit::One)),
        ("input_cost_per_second", "audio_transcription" | "realtime") => {
            return Some((RateKey::AudioHour, Unit::Second));
        }
        _ => {}
    }
    let (_, key, unit) = BASES.iter().find(|(known, ..)| *known == name)?;
    Some((*key, *unit))
}

fn tier(text: &str) -> Option<(&str, &'static str)> {
    TIERS.iter().find_map(|(suffix, tier)| Some((text.strip_suffix(suffix)?, *tier)))
}

/// `…_above_272k_tokens`.
fn threshold(text: &str) -> Option<(&str, u64)> {
    let (start, thousands) = text.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
    Some((start, thousands.parse().ok()?))
}

/// A threshold in tokens.
pub(crate) fn bound(thousands: u64, inclusive: bool) -> Bound {
    Bound { tokens: thousands.saturating_mul(1000), inclusive }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_stack_in_any_order() {
        for (text, key, when, above) in [
            ("input_cost_per_token", RateKey::Input, When::List, None),
            ("output_cost_per_token_batches", RateKey::Output, When::Batch, None),
            (
                "cache_read_input_token_cost_above_272k_tokens_batches",
                RateKey::CacheRead,
                When::Batch,
                Some(272),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                RateKey::CacheWrite1h,
                When::List,
                Some(200),
            ),
            (
                "cache_creation_input_token_cost_above_272k_tokens_priority",
                RateKey::CacheWrite5m,
                When::Tier("priority".to_owned()),
                Some(272),
            ),
        ] {
            let read = read(text, "chat").unwrap();
            assert_eq!((read.key, read.when, read.above), (key, when, above), "{text}");
        }
    }

    #[test]
    fn pictures_and_seconds_are_prices_only_where_they_are_what_is_sold() {
        let key = |text, mode| read(text, mode).map(|read| read.key);
        assert_eq!(key("output_cost_per_image", "image_generation"), Some(RateKey::Image));
        assert_eq!(key("input_cost_per_image", "embedding"), None);
        assert_eq!(key("input_cost_per_second", "audio_transcription"), Some(RateKey::AudioHour));
        assert_eq!(key("input_cost_per_second", "chat"), None);
    }

    #[test]
    fn what_usage_has_no_word_for_is_no_rate() {
        for text in [
            "cache_creation_input_token_cost_above_12hr",
            "output_cost_per_second_1080p",
            "input_cost_per_token_decisions",
            "google_maps_grounding_cost_per_query",
            "input_cost_per_pixel",
        ] {
            assert_eq!(read(text, "chat"), None, "{text}");
        }
    }
}
