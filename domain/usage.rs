//! Usage in one inclusive vocabulary: the whole, and the parts that lie within it.
//!
//! `input_tokens` is all input, of which cached, audio and image tokens are parts; the same for
//! output. Parts that exceed their whole are an error of the sender, never clamped.

use crate::{Quantity, Unit};

/// What one call, or one bucket of a provider's report, consumed. `None` is "not said", not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Of the input: read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the input: written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the input: audio.
    pub input_audio_tokens: Option<u64>,
    /// Of the input: images.
    pub input_image_tokens: Option<u64>,
    /// All output tokens.
    pub output_tokens: Option<u64>,
    /// Of the output: audio.
    pub output_audio_tokens: Option<u64>,
    /// Of the output: images.
    pub output_image_tokens: Option<u64>,
    /// Calls.
    pub requests: Option<u64>,
}

/// A part that is larger than its whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is more than `{whole}`")]
pub struct InconsistentUsage {
    /// The part.
    pub part: &'static str,
    /// The whole it should lie within.
    pub whole: &'static str,
}

impl Usage {
    /// Checks that cached tokens lie within the input and each modality within its side.
    ///
    /// # Errors
    /// [`InconsistentUsage`] names the first part that does not fit.
    pub fn check(&self) -> Result<(), InconsistentUsage> {
        let cached = sum(self.cache_read_tokens, self.cache_write_tokens);
        let input_kinds = sum(self.input_audio_tokens, self.input_image_tokens);
        let output_kinds = sum(self.output_audio_tokens, self.output_image_tokens);
        let (input, output) = (Unit::INPUT_TOKENS, Unit::OUTPUT_TOKENS);
        for (part, value, whole, limit) in [
            (Unit::CACHE_READ_TOKENS, cached, input, self.input_tokens),
            (Unit::INPUT_AUDIO_TOKENS, input_kinds, input, self.input_tokens),
            (Unit::OUTPUT_AUDIO_TOKENS, output_kinds, output, self.output_tokens),
        ] {
            if limit.is_some_and(|limit| value > u128::from(limit)) {
                return Err(InconsistentUsage { part, whole });
            }
        }
        Ok(())
    }

    /// The quantities that are said, by unit. Zero is said too.
    pub fn quantities(&self) -> impl Iterator<Item = (&'static str, Quantity)> {
        [
            (Unit::INPUT_TOKENS, self.input_tokens),
            (Unit::CACHE_READ_TOKENS, self.cache_read_tokens),
            (Unit::CACHE_WRITE_TOKENS, self.cache_write_tokens),
            (Unit::INPUT_AUDIO_TOKENS, self.input_audio_tokens),
            (Unit::INPUT_IMAGE_TOKENS, self.input_image_tokens),
            (Unit::OUTPUT_TOKENS, self.output_tokens),
            (Unit::OUTPUT_AUDIO_TOKENS, self.output_audio_tokens),
            (Unit::OUTPUT_IMAGE_TOKENS, self.output_image_tokens),
            (Unit::REQUESTS, self.requests),
        ]
        .into_iter()
        .filter_map(|(unit, count)| Some((unit, Quantity::from_count(count?)?)))
    }
}

fn sum(left: Option<u64>, right: Option<u64>) -> u128 {
    u128::from(left.unwrap_or(0)).saturating_add(u128::from(right.unwrap_or(0)))
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
    fn zero_is_said_and_none_is_not() {
        let usage = Usage { requests: Some(0), ..Usage::default() };
        let said: Vec<_> = usage.quantities().collect();
        assert_eq!(said, [(Unit::REQUESTS, Quantity::ZERO)]);
    }
}
