//! Quantities: how much was consumed, in which unit.
//!
//! A quantity has the same 15 exact decimals as money. Units that the usage vocabulary knows have
//! constants; providers and files bring others, which are kept as they are.

use std::fmt;

use crate::fixed::{self, AmountError, Rounded};

/// The name of what is counted: `input_tokens`, `requests`, or a provider's own word such as
/// `GB-Hours`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(String);

impl Unit {
    /// All input tokens, cached ones included.
    pub const INPUT_TOKENS: &'static str = "input_tokens";
    /// Input tokens read from a cache; part of the input.
    pub const CACHE_READ_TOKENS: &'static str = "cache_read_tokens";
    /// Input tokens written to a cache; part of the input.
    pub const CACHE_WRITE_TOKENS: &'static str = "cache_write_tokens";
    /// Audio tokens of the input.
    pub const INPUT_AUDIO_TOKENS: &'static str = "input_audio_tokens";
    /// Image tokens of the input.
    pub const INPUT_IMAGE_TOKENS: &'static str = "input_image_tokens";
    /// All output tokens.
    pub const OUTPUT_TOKENS: &'static str = "output_tokens";
    /// Audio tokens of the output.
    pub const OUTPUT_AUDIO_TOKENS: &'static str = "output_audio_tokens";
    /// Image tokens of the output.
    pub const OUTPUT_IMAGE_TOKENS: &'static str = "output_image_tokens";
    /// Cache writes that live an hour; part of the cache writes.
    pub const CACHE_WRITE_1H_TOKENS: &'static str = "cache_write_1h_tokens";
    /// Audio read from a cache; part of the cache reads and of the audio input.
    pub const CACHE_READ_AUDIO_TOKENS: &'static str = "cache_read_audio_tokens";
    /// Images read from a cache; part of the cache reads and of the image input.
    pub const CACHE_READ_IMAGE_TOKENS: &'static str = "cache_read_image_tokens";
    /// Reasoning tokens; part of the output.
    pub const OUTPUT_REASONING_TOKENS: &'static str = "output_reasoning_tokens";
    /// Calls.
    pub const REQUESTS: &'static str = "requests";
    /// Searches of the web that the provider made.
    pub const WEB_SEARCHES: &'static str = "web_searches";
    /// Characters of input.
    pub const INPUT_CHARACTERS: &'static str = "input_characters";
    /// Seconds of audio.
    pub const AUDIO_SECONDS: &'static str = "audio_seconds";
    /// Pictures.
    pub const IMAGES: &'static str = "images";
    /// Pages.
    pub const PAGES: &'static str = "pages";

    /// A unit by its name; `None` for an empty name or one over 128 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Unit> {
        let name = name.trim();
        (!name.is_empty() && name.len() <= 128).then(|| Unit(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An exact amount of some unit, in 10⁻¹⁵ steps.
///
/// ```
/// use domain::Quantity;
/// assert_eq!(Quantity::from_count(1000).unwrap().to_string(), "1000");
/// assert_eq!(Quantity::parse_rounded("0.002007490000000").unwrap().to_string(), "0.00200749");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

impl Quantity {
    /// None of it.
    pub const ZERO: Quantity = Quantity(0);

    /// A whole count; `None` beyond 10¹⁸.
    #[must_use]
    pub fn from_count(count: u64) -> Option<Quantity> {
        Quantity::from_femtos(i128::from(count).checked_mul(fixed::ONE)?)
    }

    /// A quantity from its count of 10⁻¹⁵ units; `None` beyond ±10¹⁸ units.
    #[must_use]
    pub const fn from_femtos(femtos: i128) -> Option<Quantity> {
        match femtos.unsigned_abs() <= fixed::MAX.unsigned_abs() {
            true => Some(Quantity(femtos)),
            false => None,
        }
    }

    /// Reads decimal text, rounding half-even to 15 decimals.
    ///
    /// # Errors
    /// [`AmountError`] for text that is no number or too large.
    pub fn parse_rounded(text: &str) -> Result<Quantity, AmountError> {
        let Rounded { value, .. } = fixed::parse_rounded(text)?;
        Ok(Quantity(value))
    }

    /// The count of 10⁻¹⁵ units.
    #[must_use]
    pub const fn femtos(&self) -> i128 {
        self.0
    }

    /// The count of millionths, where it is a whole one: quantities from API clients have at most
    /// six decimals.
    #[must_use]
    pub const fn micros(&self) -> Option<i128> {
        const MICRO: i128 = fixed::ONE / 1_000_000;
        match self.0 % MICRO {
            0 => Some(self.0 / MICRO),
            _ => None,
        }
    }

    /// The sum; `None` beyond the range.
    #[must_use]
    pub fn checked_add(self, other: Quantity) -> Option<Quantity> {
        Quantity::from_femtos(self.0.checked_add(other.0)?)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fixed::write_decimal(self.0, f)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
