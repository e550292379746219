//! Usage in one inclusive vocabulary: the whole, and the parts that lie within it.
//!
//! `input_tokens` is all input, of which cached, audio and image tokens are parts; the same for
//! output. Parts that exceed their whole are an error of the sender, never clamped.

use crate::{Quantity, Unit};

/// Counts beyond this are no counts: 2⁵³, the largest that every JSON reader keeps exactly.
pub const COUNT_MAX: u64 = 1 << 53;

/// What one call, or one bucket of a provider's report, consumed. `None` is "not said", not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Of the input: read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the input: written to a cache, for however long.
    pub cache_write_tokens: Option<u64>,
    /// Of the cache writes: those that live an hour. The rest live five minutes.
    pub cache_write_1h_tokens: Option<u64>,
    /// Of the input: audio.
    pub input_audio_tokens: Option<u64>,
    /// Of the input: images.
    pub input_image_tokens: Option<u64>,
    /// Of the cache reads and of the audio input: audio read from a cache.
    pub cache_read_audio_tokens: Option<u64>,
    /// Of the cache reads and of the image input: images read from a cache.
    pub cache_read_image_tokens: Option<u64>,
    /// All output tokens.
    pub output_tokens: Option<u64>,
    /// Of the output: reasoning.
    pub output_reasoning_tokens: Option<u64>,
    /// Of the output: audio.
    pub output_audio_tokens: Option<u64>,
    /// Of the output: images.
    pub output_image_tokens: Option<u64>,
    /// Calls. One call unless something else is said.
    pub requests: Option<u64>,
    /// Searches of the web that the provider made.
    pub web_searches: Option<u64>,
    /// Characters of input, for what is sold by the character.
    pub input_characters: Option<u64>,
    /// Seconds of audio; up to six decimals.
    pub audio_seconds: Option<Quantity>,
    /// Pictures, for what is sold by the picture.
    pub images: Option<u64>,
    /// Pages, for what is sold by the page.
    pub pages: Option<u64>,
    /// Units of a custom service, by their names without `custom:`; up to six decimals.
    pub custom: Vec<(String, Quantity)>,
}

/// Usage that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A part, or parts of one kind together, that are larger than their whole.
    #[error("`{part}` is more than `{whole}`")]
    PartExceedsWhole {
        /// The part.
        part: &'static str,
        /// The whole it should lie within.
        whole: &'static str,
    },
    /// A count beyond 2⁵³.
    #[error("`{unit}` is beyond 2^53")]
    TooLarge {
        /// What is counted.
        unit: String,
    },
    /// A quantity that is negative.
    #[error("`{unit}` is negative")]
    Negative {
        /// What is counted.
        unit: String,
    },
    /// A quantity with more than six decimals.
    #[error("`{unit}` has more than six decimals")]
    TooFine {
        /// What is counted.
        unit: String,
    },
}

impl UsageError {
    /// The unit that is wrong.
    #[must_use]
    pub fn unit(&self) -> &str {
        match self {
            UsageError::PartExceedsWhole { part, .. } => part,
            UsageError::TooLarge { unit }
            | UsageError::Negative { unit }
            | UsageError::TooFine { unit } => unit,
        }
    }
}

impl Usage {
    /// Checks that parts lie within their wholes, and that counts are counts. A whole that is not
    /// said has no parts to exceed it.
    ///
    /// # Errors
    /// [`UsageError`] names the first part that does not fit.
    pub fn check(&self) -> Result<(), UsageError> {
        self.check_counts()?;
        self.check_quantities()?;
        let cached = sum([self.cache_read_tokens, self.cache_write_tokens]);
        let input_kinds = sum([self.input_audio_tokens, self.input_image_tokens]);
        let cached_kinds = sum([self.cache_read_audio_tokens, self.cache_read_image_tokens]);
        let output_kinds = sum([self.output_audio_tokens, self.output_image_tokens]);
        let cached_part = match self.cache_read_tokens.unwrap_or(0) {
            0 => Unit::CACHE_WRITE_TOKENS,
            _ => Unit::CACHE_READ_TOKENS,
        };
        let input_part = match self.input_audio_tokens.unwrap_or(0) {
            0 => Unit::INPUT_IMAGE_TOKENS,
            _ => Unit::INPUT_AUDIO_TOKENS,
        };
        let output_part = match self.output_audio_tokens.unwrap_or(0) {
            0 => Unit::OUTPUT_IMAGE_TOKENS,
            _ => Unit::OUTPUT_AUDIO_TOKENS,
        };
        let reasoning = sum([self.output_reasoning_tokens]);
        for (part, value, whole, limit) in [
            (cached_part, cached, Unit::INPUT_TOKENS, self.input_tokens),
            (
                Unit::CACHE_WRITE_1H_TOKENS,
                sum([self.cache_write_1h_tokens]),
                Unit::CACHE_WRITE_TOKENS,
                self.cache_write_tokens,
            ),
            (input_part, input_kinds, Unit::INPUT_TOKENS, self.input_tokens),
            (input_part, self.cached_or_of_a_kind(), Unit::INPUT_TOKENS, self.input_tokens),
            (
                Unit::CACHE_READ_AUDIO_TOKENS,
                cached_kinds,
                Unit::CACHE_READ_TOKENS,
                self.cache_read_tokens,
            ),
            (
                Unit::CACHE_READ_AUDIO_TOKENS,
                sum([self.cache_read_audio_tokens]),
                Unit::INPUT_AUDIO_TOKENS,
                self.input_audio_tokens,
            ),
            (
                Unit::CACHE_READ_IMAGE_TOKENS,
                sum([self.cache_read_image_tokens]),
                Unit::INPUT_IMAGE_TOKENS,
                self.input_image_tokens,
            ),
            (output_part, output_kinds, Unit::OUTPUT_TOKENS, self.output_tokens),
            (Unit::OUTPUT_REASONING_TOKENS, reasoning, Unit::OUTPUT_TOKENS, self.output_tokens),
        ] {
            if limit.is_some_and(|limit| value > u128::from(limit)) {
                return Err(UsageError::PartExceedsWhole { part, whole });
            }
        }
        Ok(())
    }

    /// What is read from a cache, or audio, or an image. Where the cached part of a kind is not
    /// said, it may be all of it.
    fn cached_or_of_a_kind(&self) -> u128 {
        let fresh = |all: Option<u64>, cached: Option<u64>| {
            cached.map_or(0, |cached| sum([all]).saturating_sub(u128::from(cached)))
        };
        sum([self.cache_read_tokens])
            .saturating_add(fresh(self.input_audio_tokens, self.cache_read_audio_tokens))
            .saturating_add(fresh(self.input_image_tokens, self.cache_read_image_tokens))
    }

    fn check_counts(&self) -> Result<(), UsageError> {
        match self.counts().into_iter().find(|(_, count)| count.is_some_and(|n| n > COUNT_MAX)) {
            Some((unit, _)) => Err(UsageError::TooLarge { unit: unit.to_owned() }),
            None => Ok(()),
        }
    }

    fn check_quantities(&self) -> Result<(), UsageError> {
        let seconds = self.audio_seconds.map(|quantity| (Unit::AUDIO_SECONDS, quantity));
        let custom = self.custom.iter().map(|(name, quantity)| (name.as_str(), *quantity));
        for (unit, quantity) in seconds.into_iter().chain(custom) {
            let unit = unit.to_owned();
            match quantity.micros() {
                _ if quantity < Quantity::ZERO => return Err(UsageError::Negative { unit }),
                _ if Quantity::from_count(COUNT_MAX).is_some_and(|most| quantity > most) => {
                    return Err(UsageError::TooLarge { unit });
                }
                None => return Err(UsageError::TooFine { unit }),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Every count by its unit, said or not.
    fn counts(&self) -> [(&'static str, Option<u64>); 17] {
        [
            (Unit::INPUT_TOKENS, self.input_tokens),
            (Unit::CACHE_READ_TOKENS, self.cache_read_tokens),
            (Unit::CACHE_WRITE_TOKENS, self.cache_write_tokens),
            (Unit::CACHE_WRITE_1H_TOKENS, self.cache_write_1h_tokens),
            (Unit::INPUT_AUDIO_TOKENS, self.input_audio_tokens),
            (Unit::INPUT_IMAGE_TOKENS, self.input_image_tokens),
            (Unit::CACHE_READ_AUDIO_TOKENS, self.cache_read_audio_tokens),
            (Unit::CACHE_READ_IMAGE_TOKENS, self.cache_read_image_tokens),
            (Unit::OUTPUT_TOKENS, self.output_tokens),
            (Unit::OUTPUT_REASONING_TOKENS, self.output_reasoning_tokens),
            (Unit::OUTPUT_AUDIO_TOKENS, self.output_audio_tokens),
            (Unit::OUTPUT_IMAGE_TOKENS, self.output_image_tokens),
            (Unit::REQUESTS, self.requests),
            (Unit::WEB_SEARCHES, self.web_searches),
            (Unit::INPUT_CHARACTERS, self.input_characters),
            (Unit::IMAGES, self.images),
            (Unit::PAGES, self.pages),
        ]
    }

    /// The quantities of the vocabulary that are said, by unit. Zero is said too. Custom units are
    /// not among them.
    pub fn quantities(&self) -> impl Iterator<Item = (&'static str, Quantity)> {
        self.counts()
            .into_iter()
            .filter_map(|(unit, count)| Some((unit, Quantity::from_count(count?)?)))
            .chain(self.audio_seconds.map(|quantity| (Unit::AUDIO_SECONDS, quantity)))
    }
}

fn sum<const N: usize>(parts: [Option<u64>; N]) -> u128 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(u128::from(part.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_beyond_their_whole_are_refused_and_unsaid_wholes_are_not() {
        let cached = Usage {
            input_tokens: Some(1000),
            cache_read_tokens: Some(900),
            cache_write_tokens: Some(100),
            ..Usage::default()
        };
        assert_eq!(cached.check(), Ok(()));
        let over = Usage { cache_write_tokens: Some(101), ..cached };
        assert!(over.check().is_err());
        assert_eq!(Usage { input_tokens: None, ..over }.check(), Ok(()));
    }

    #[test]
    fn every_part_lies_within_its_whole() {
        let whole = Usage {
            input_tokens: Some(100),
            cache_read_tokens: Some(50),
            cache_write_tokens: Some(40),
            input_audio_tokens: Some(30),
            input_image_tokens: Some(20),
            output_tokens: Some(10),
            ..Usage::default()
        };
        assert_eq!(whole.check(), Ok(()));
        for (part, over) in [
            ("cache_write_1h_tokens", Usage { cache_write_1h_tokens: Some(41), ..whole.clone() }),
            ("input_audio_tokens", Usage { input_audio_tokens: Some(81), ..whole.clone() }),
            (
                "cache_read_audio_tokens",
                Usage { cache_read_audio_tokens: Some(31), ..whole.clone() },
            ),
            (
                "cache_read_image_tokens",
                Usage { cache_read_image_tokens: Some(21), ..whole.clone() },
            ),
            (
                "output_reasoning_tokens",
                Usage { output_reasoning_tokens: Some(11), ..whole.clone() },
            ),
            ("output_image_tokens", Usage { output_image_tokens: Some(11), ..whole.clone() }),
        ] {
            assert_eq!(over.check().unwrap_err().unit(), part);
        }
    }

    #[test]
    fn what_is_cached_and_what_is_audio_lie_within_the_input_together() {
        let usage = Usage {
            input_tokens: Some(100),
            cache_read_tokens: Some(60),
            input_audio_tokens: Some(50),
            ..Usage::default()
        };
        // Ten tokens of the audio may well be cached.
        assert_eq!(usage.check(), Ok(()));
        let overlap = |audio| Usage { cache_read_audio_tokens: Some(audio), ..usage.clone() };
        assert_eq!(overlap(10).check(), Ok(()));
        assert_eq!(overlap(9).check().unwrap_err().unit(), "input_audio_tokens");
    }

    #[test]
    fn counts_beyond_two_to_the_53_are_refused() {
        let most = Usage { pages: Some(COUNT_MAX), ..Usage::default() };
        assert_eq!(most.check(), Ok(()));
        let more = Usage { pages: Some(COUNT_MAX + 1), ..Usage::default() };
        assert_eq!(more.check(), Err(UsageError::TooLarge { unit: "pages".to_owned() }));
    }

    #[test]
    fn seconds_have_at_most_six_decimals_and_are_not_negative() {
        let seconds = |text| Usage {
            audio_seconds: Some(Quantity::parse_rounded(text).unwrap()),
            ..Usage::default()
        };
        assert_eq!(seconds("12.75").check(), Ok(()));
        let unit = || "audio_seconds".to_owned();
        assert_eq!(seconds("1.0000001").check(), Err(UsageError::TooFine { unit: unit() }));
        assert_eq!(seconds("-1").check(), Err(UsageError::Negative { unit: unit() }));
        assert_eq!(seconds("1e17").check(), Err(UsageError::TooLarge { unit: unit() }));
    }

    #[test]
    fn zero_is_said_and_none_is_not() {
        let usage = Usage { requests: Some(0), ..Usage::default() };
        let said: Vec<_> = usage.quantities().collect();
        assert_eq!(said, [(Unit::REQUESTS, Quantity::ZERO)]);
    }
}
