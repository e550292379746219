//! Rates: what one unit costs, exactly, and the one multiplication that makes a cost of it.
//!
//! A rate is an integer of femtodollars for a number of units (a price per million tokens, per hour
//! of audio), so that no published price loses a digit. Multipliers are fractions and are applied
//! together with the rate; each line of a cost is rounded once.

use std::{fmt, num::NonZeroU32};

use domain::{Quantity, Unit, fixed};

/// Which rate of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is documented where the text form declares it")]
pub enum RateKey {
    Input,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
    InputAudio,
    InputImage,
    CacheReadAudio,
    CacheReadImage,
    Output,
    OutputReasoning,
    OutputAudio,
    OutputImage,
    InputCharacters,
    Request,
    WebSearch,
    Image,
    Page,
    AudioHour,
}

impl RateKey {
    /// How many there are.
    pub const COUNT: usize = 18;
    /// All of them, in the order of the text form.
    pub const ALL: [RateKey; RateKey::COUNT] = [
        RateKey::Input,
        RateKey::CacheRead,
        RateKey::CacheWrite5m,
        RateKey::CacheWrite1h,
        RateKey::InputAudio,
        RateKey::InputImage,
        RateKey::CacheReadAudio,
        RateKey::CacheReadImage,
        RateKey::Output,
        RateKey::OutputReasoning,
        RateKey::OutputAudio,
        RateKey::OutputImage,
        RateKey::InputCharacters,
        RateKey::Request,
        RateKey::WebSearch,
        RateKey::Image,
        RateKey::Page,
        RateKey::AudioHour,
    ];

    /// The key in the text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            RateKey::Input => "input",
            RateKey::CacheRead => "cache_read",
            RateKey::CacheWrite5m => "cache_write_5m",
            RateKey::CacheWrite1h => "cache_write_1h",
            RateKey::InputAudio => "input_audio",
            RateKey::InputImage => "input_image",
            RateKey::CacheReadAudio => "cache_read_audio",
            RateKey::CacheReadImage => "cache_read_image",
            RateKey::Output => "output",
            RateKey::OutputReasoning => "output_reasoning",
            RateKey::OutputAudio => "output_audio",
            RateKey::OutputImage => "output_image",
            RateKey::InputCharacters => "input_characters",
            RateKey::Request => "per_request",
            RateKey::WebSearch => "per_web_search",
            RateKey::Image => "per_image",
            RateKey::Page => "per_page",
            RateKey::AudioHour => "per_audio_hour",
        }
    }

    /// The unit of usage that the rate is for.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            RateKey::Input => Unit::INPUT_TOKENS,
            RateKey::CacheRead => Unit::CACHE_READ_TOKENS,
            RateKey::CacheWrite5m => Unit::CACHE_WRITE_TOKENS,
            RateKey::CacheWrite1h => Unit::CACHE_WRITE_1H_TOKENS,
            RateKey::InputAudio => Unit::INPUT_AUDIO_TOKENS,
            RateKey::InputImage => Unit::INPUT_IMAGE_TOKENS,
            RateKey::CacheReadAudio => Unit::CACHE_READ_AUDIO_TOKENS,
            RateKey::CacheReadImage => Unit::CACHE_READ_IMAGE_TOKENS,
            RateKey::Output => Unit::OUTPUT_TOKENS,
            RateKey::OutputReasoning => Unit::OUTPUT_REASONING_TOKENS,
            RateKey::OutputAudio => Unit::OUTPUT_AUDIO_TOKENS,
            RateKey::OutputImage => Unit::OUTPUT_IMAGE_TOKENS,
            RateKey::InputCharacters => Unit::INPUT_CHARACTERS,
            RateKey::Request => Unit::REQUESTS,
            RateKey::WebSearch => Unit::WEB_SEARCHES,
            RateKey::Image => Unit::IMAGES,
            RateKey::Page => Unit::PAGES,
            RateKey::AudioHour => Unit::AUDIO_SECONDS,
        }
    }

    /// Whether it is a rate of tokens: those have long-context cards and regional multipliers.
    #[must_use]
    pub const fn is_of_tokens(self) -> bool {
        !matches!(
            self,
            RateKey::InputCharacters
                | RateKey::Request
                | RateKey::WebSearch
                | RateKey::Image
                | RateKey::Page
                | RateKey::AudioHour
        )
    }

    /// Of how many units the figure in the text form is, where tokens and characters are counted
    /// in `per`.
    pub(crate) const fn units(self, per: NonZeroU32) -> NonZeroU32 {
        const HOUR: NonZeroU32 = NonZeroU32::new(3_600).expect("an hour has seconds");
        match self {
            RateKey::Request | RateKey::WebSearch | RateKey::Image | RateKey::Page => {
                NonZeroU32::MIN
            }
            RateKey::AudioHour => HOUR,
            _ => per,
        }
    }

    /// The highest figure for one million tokens or characters, or for one of anything else, that
    /// is believed. What is above has its unit wrong.
    pub(crate) const fn most(self) -> i64 {
        match self {
            RateKey::Request | RateKey::AudioHour => 1_000,
            RateKey::WebSearch | RateKey::Page => 10,
            RateKey::Image => 100,
            _ => 2_000,
        }
    }
}

/// What a number of units costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Femtodollars (of the row's currency) for `per` units.
    pub femtos: i64,
    /// How many units that is for.
    pub per: NonZeroU32,
}

/// A fraction that rates are multiplied with, in its lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    numerator: i128,
    denominator: i128,
}

impl Factor {
    /// Once.
    pub const ONE: Factor = Factor { numerator: 1, denominator: 1 };

    /// A factor from its count of 10⁻¹⁵; `None` where it is not positive, above 1,000, or has more
    /// than six decimals. So bounded, a few of them always have an exact product.
    #[must_use]
    pub fn from_femtos(femtos: i128) -> Option<Factor> {
        const MICRO: i128 = fixed::ONE / 1_000_000;
        let within = femtos > 0 && femtos <= 1_000 * fixed::ONE && femtos % MICRO == 0;
        within.then(|| Factor::reduced(femtos / MICRO, 1_000_000))
    }

    /// Both factors.
    #[must_use]
    pub fn times(self, other: Factor) -> Factor {
        if other == Factor::ONE {
            return self;
        }
        Factor::reduced(
            self.numerator.saturating_mul(other.numerator),
            self.denominator.saturating_mul(other.denominator),
        )
    }

    fn reduced(numerator: i128, denominator: i128) -> Factor {
        let divisor = greatest_common_divisor(numerator, denominator);
        Factor { numerator: numerator / divisor, denominator: denominator / divisor }
    }
}

/// Decimal text: `1.1`.
impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ratio_text(self.numerator.saturating_mul(fixed::ONE), self.denominator))
    }
}

fn greatest_common_divisor(mut left: i128, mut right: i128) -> i128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left.max(1)
}

/// How much of a unit: a whole count, or millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    value: i128,
    parts_of_one: i128,
}

impl Amount {
    pub(crate) fn of_count(count: u64) -> Amount {
        Amount { value: i128::from(count), parts_of_one: 1 }
    }

    /// `None` where the quantity is finer than a millionth.
    pub(crate) fn of_quantity(quantity: Quantity) -> Option<Amount> {
        Some(Amount { value: quantity.micros()?, parts_of_one: 1_000_000 })
    }

    pub(crate) fn quantity(self) -> Option<Quantity> {
        let femtos = self.value.checked_mul(fixed::ONE / self.parts_of_one)?;
        Quantity::from_femtos(femtos)
    }
}

impl Rate {
    /// What `amount` costs in femtodollars, rounded half-even once; `None` beyond 10¹⁸ dollars.
    pub(crate) fn cost(self, amount: Amount, factor: Factor) -> Option<i128> {
        let dividend =
            amount.value.checked_mul(i128::from(self.femtos))?.checked_mul(factor.numerator)?;
        let divisor =
            (amount.parts_of_one * i128::from(self.per.get())).checked_mul(factor.denominator)?;
        let femtos = fixed::divide_half_even(dividend, divisor);
        (femtos <= fixed::MAX).then_some(femtos)
    }

    /// The price of one unit as decimal text: exact, or to 30 digits after the point where it has
    /// no end.
    #[must_use]
    pub fn of_one(self, factor: Factor) -> String {
        let numerator = i128::from(self.femtos).saturating_mul(factor.numerator);
        let units = i128::from(self.per.get()).saturating_mul(factor.denominator);
        ratio_text(numerator, units)
    }

    /// The figure as it stands in a price list: for [`Rate::per`] units.
    #[must_use]
    pub fn figure(self) -> String {
        ratio_text(i128::from(self.femtos), 1)
    }
}

/// `numerator / (divisor × 10¹⁵)` as decimal text.
fn ratio_text(numerator: i128, divisor: i128) -> String {
    const DIGITS_MAX: usize = 30;
    let Some(divisor) = divisor.checked_mul(fixed::ONE) else {
        return ratio_text(numerator / 10, divisor / 10);
    };
    let mut rest = numerator % divisor;
    let mut text = (numerator / divisor).to_string();
    let mut digits = String::new();
    while rest != 0 && digits.len() < DIGITS_MAX {
        let Some(next) = rest.checked_mul(10) else { break };
        digits.push(char::from(b'0' + u8::try_from(next / divisor).unwrap_or(0)));
        rest = next % divisor;
    }
    let digits = digits.trim_end_matches('0');
    if !digits.is_empty() {
        text.push('.');
        text.push_str(digits);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str, per: u32) -> Rate {
        let femtos = i64::try_from(fixed::parse_exact(text).unwrap()).unwrap();
        Rate { femtos, per: NonZeroU32::new(per).unwrap() }
    }

    fn factor(text: &str) -> Factor {
        Factor::from_femtos(fixed::parse_exact(text).unwrap()).unwrap()
    }

    #[test]
    fn a_rate_with_six_decimals_times_a_regional_multiplier_is_exact() {
        let cached = rate("0.003625", 1_000_000);
        assert_eq!(cached.cost(Amount::of_count(1), factor("1.1")), Some(3_987_500));
        assert_eq!(cached.of_one(factor("1.1")), "0.0000000039875");
    }

    #[test]
    fn a_line_is_rounded_half_even_once() {
        // 1 × 0.000000001 / 2 of a femtodollar steps: 0.5 and 1.5 femtodollars.
        let half = Rate { femtos: 1, per: NonZeroU32::new(2).unwrap() };
        assert_eq!(half.cost(Amount::of_count(1), Factor::ONE), Some(0));
        assert_eq!(half.cost(Amount::of_count(3), Factor::ONE), Some(2));
        assert_eq!(half.cost(Amount::of_count(5), Factor::ONE), Some(2));
    }

    #[test]
    fn prices_of_one_unit_are_exact_where_they_end() {
        assert_eq!(rate("2.5", 1_000_000).of_one(Factor::ONE), "0.0000025");
        assert_eq!(rate("0.36", 3_600).of_one(Factor::ONE), "0.0001");
        let third = rate("0.111", 3_600).of_one(Factor::ONE);
        assert_eq!(third, "0.000030833333333333333333333333");
        assert_eq!(rate("2.5", 1_000_000).figure(), "2.5");
        assert_eq!(rate("0", 1).figure(), "0");
    }

    #[test]
    fn the_largest_count_at_the_largest_rate_still_has_a_cost() {
        let most = rate("2000", 1_000_000);
        let cost = most.cost(Amount::of_count(domain::usage::COUNT_MAX), factor("1.1"));
        assert_eq!(cost, Some(19_815_838_360_430_182_400_000_000_000));
    }

    #[test]
    fn factors_are_written_as_decimals() {
        assert_eq!(factor("1.1").to_string(), "1.1");
        assert_eq!(factor("1.1").times(factor("0.85")).to_string(), "0.935");
        assert_eq!(Factor::ONE.to_string(), "1");
    }

    #[test]
    fn factors_multiply_and_refuse_nonsense() {
        assert_eq!(factor("1.1").times(factor("0.85")), factor("0.935"));
        assert_eq!(Factor::from_femtos(0), None);
        assert_eq!(Factor::from_femtos(-1), None);
        assert_eq!(Factor::from_femtos(1_001 * fixed::ONE), None);
        assert_eq!(Factor::from_femtos(1), None);
    }

    #[test]
    fn keys_are_those_of_the_text_form_in_its_order() {
        let form = crate::form::PriceForm::default();
        let keys: Vec<_> = form.rates().map(|(key, _)| key).into();
        assert_eq!(keys, RateKey::ALL.map(RateKey::as_str));
        for (index, key) in RateKey::ALL.into_iter().enumerate() {
            assert_eq!(key as usize, index);
        }
    }
}
