//! What changes the rate of a call besides its counts: how it was processed, which tier served
//! it, where.
//!
//! Words are compared without regard to case. A word that nobody knows is kept as
//! an [`UnknownContext`], so that a price is never given as if it had not been said.

use std::fmt;

/// How a call was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Processing {
    /// At once.
    Standard,
    /// In a batch, at the batch list's rates.
    Batch,
}

impl Processing {
    /// The word as `context.processing` has it.
    ///
    /// # Errors
    /// [`UnknownContext`] for any other word.
    pub fn parse(word: &str) -> Result<Processing, UnknownContext> {
        match word.to_ascii_lowercase().as_str() {
            "standard" | "default" | "realtime" | "sync" => Ok(Processing::Standard),
            "batch" => Ok(Processing::Batch),
            _ => Err(UnknownContext::new("processing", word)),
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Processing::Standard => "standard",
            Processing::Batch => "batch",
        }
    }
}

/// The tier that served a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTier {
    /// The list price.
    Standard,
    /// A wish and no rate: the response says which tier served it.
    Auto,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
    /// OpenAI's name of a faster tier; at the priority rate where it has none of its own.
    Fast,
    /// Faster still.
    Ultrafast,
    /// Between flex and standard.
    Balanced,
    /// Capacity that is bought beforehand: no response can show what a call costs.
    Committed,
}

impl ServiceTier {
    /// The tiers that a price row can be for.
    pub const PRICED: [ServiceTier; 6] = [
        ServiceTier::Standard,
        ServiceTier::Flex,
        ServiceTier::Priority,
        ServiceTier::Fast,
        ServiceTier::Ultrafast,
        ServiceTier::Balanced,
    ];

    /// The word as providers and `context.service_tier` have it.
    ///
    /// # Errors
    /// [`UnknownContext`] for any other word; `batch` is a way of processing.
    pub fn parse(word: &str) -> Result<ServiceTier, UnknownContext> {
        Ok(match word.to_ascii_lowercase().as_str() {
            "standard" | "default" | "on_demand" | "standard_only" => ServiceTier::Standard,
            "auto" => ServiceTier::Auto,
            "flex" | "on_demand_flex" => ServiceTier::Flex,
            "priority" | "on_demand_priority" => ServiceTier::Priority,
            "fast" => ServiceTier::Fast,
            "ultrafast" => ServiceTier::Ultrafast,
            "balanced" => ServiceTier::Balanced,
            "scale" | "reserved" | "provisioned" | "provisioned_throughput" => {
                ServiceTier::Committed
            }
            _ => return Err(UnknownContext::new("service_tier", word)),
        })
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceTier::Standard => "standard",
            ServiceTier::Auto => "auto",
            ServiceTier::Flex => "flex",
            ServiceTier::Priority => "priority",
            ServiceTier::Fast => "fast",
            ServiceTier::Ultrafast => "ultrafast",
            ServiceTier::Balanced => "balanced",
            ServiceTier::Committed => "provisioned_throughput",
        }
    }
}

/// How fast a call was answered, where that is sold by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speed {
    /// The list price.
    Standard,
    /// Anthropic's fast mode.
    Fast,
}

impl Speed {
    /// The word as `context.speed` has it.
    ///
    /// # Errors
    /// [`UnknownContext`] for any other word.
    pub fn parse(word: &str) -> Result<Speed, UnknownContext> {
        match word.to_ascii_lowercase().as_str() {
            "standard" | "default" => Ok(Speed::Standard),
            "fast" => Ok(Speed::Fast),
            _ => Err(UnknownContext::new("speed", word)),
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Speed::Standard => "standard",
            Speed::Fast => "fast",
        }
    }
}

/// A place where data stay, or an endpoint's location: a lower-case word such as `eu`, `global` or
/// `us-east5`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(String);

impl Place {
    /// Everywhere: the list price.
    pub const GLOBAL: &'static str = "global";

    /// A place by its name, in any case.
    ///
    /// # Errors
    /// [`UnknownContext`] where it is empty, longer than 64 characters, or has others than
    /// letters, digits, `-` and `_`.
    pub fn parse(field: &'static str, word: &str) -> Result<Place, UnknownContext> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match !word.is_empty() && word.len() <= 64 && word.bytes().all(fits) {
            true => Ok(Place(word.to_ascii_lowercase())),
            false => Err(UnknownContext::new(field, word)),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is [`Place::GLOBAL`].
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.0 == Place::GLOBAL
    }
}

/// What was said about the rate of a call. `None` is "not said".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateContext {
    /// At once or in a batch.
    pub processing: Option<Processing>,
    /// The tier.
    pub service_tier: Option<ServiceTier>,
    /// The speed.
    pub speed: Option<Speed>,
    /// Where data stay: OpenAI's regional hosts, Azure's data zones, Anthropic's `inference_geo`.
    pub data_residency: Option<Place>,
    /// The location of a Vertex endpoint, `global` among them.
    pub vertex_location: Option<Place>,
    /// What a provider's block said and nobody knows.
    pub unknown: Vec<UnknownContext>,
}

impl RateContext {
    /// What a response says goes before what was asked for: asked for `priority` and served
    /// `default` is billed as default.
    #[must_use]
    pub fn corrected_by(self, response: RateContext) -> RateContext {
        let mut unknown = self.unknown;
        unknown.extend(response.unknown);
        RateContext {
            processing: response.processing.or(self.processing),
            service_tier: response.service_tier.or(self.service_tier),
            speed: response.speed.or(self.speed),
            data_residency: response.data_residency.or(self.data_residency),
            vertex_location: response.vertex_location.or(self.vertex_location),
            unknown,
        }
    }
}

/// A word that no rate is known for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownContext {
    /// Which part of the context: `service_tier`.
    pub field: &'static str,
    /// The word, cut to 64 characters.
    pub word: String,
}

impl UnknownContext {
    /// `word` in `field`.
    #[must_use]
    pub fn new(field: &'static str, word: &str) -> UnknownContext {
        UnknownContext { field, word: word.chars().take(64).collect() }
    }
}

impl fmt::Display for UnknownContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a known {}", self.word, self.field)
    }
}

impl std::error::Error for UnknownContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_regard_to_case() {
        assert_eq!(ServiceTier::parse("Priority"), Ok(ServiceTier::Priority));
        assert_eq!(Processing::parse("BATCH"), Ok(Processing::Batch));
        assert_eq!(Speed::parse("Fast"), Ok(Speed::Fast));
        let place = Place::parse("data_residency", "EU").unwrap();
        assert_eq!(place.as_str(), "eu");
    }

    #[test]
    fn unknown_words_are_refused_with_their_field() {
        let error = ServiceTier::parse("platinum").unwrap_err();
        assert_eq!((error.field, error.word.as_str()), ("service_tier", "platinum"));
        assert!(Processing::parse("").is_err());
        assert!(Speed::parse("warp").is_err());
        assert!(Place::parse("vertex_location", "eu west").is_err());
    }

    #[test]
    fn the_response_goes_before_the_request() {
        let asked = RateContext {
            service_tier: Some(ServiceTier::Priority),
            processing: Some(Processing::Batch),
            ..RateContext::default()
        };
        let served =
            RateContext { service_tier: Some(ServiceTier::Standard), ..RateContext::default() };
        let both = asked.corrected_by(served);
        assert_eq!(both.service_tier, Some(ServiceTier::Standard));
        assert_eq!(both.processing, Some(Processing::Batch));
    }
}
