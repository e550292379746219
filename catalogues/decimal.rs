//! Decimal text of a catalogue to an exact rate, and back.
//!
//! No figure is ever a binary float here, but some were one before they were written down:
//! `4.200000000000001e-09` is 4.2e-9 that went through a computer. A figure of 15 or more
//! significant digits that is within 1e-12 of one with at most 12 is read as the latter.
//! A rate has 15 decimals; what is finer (sevenths, in a few rows) is rounded half-even.

use std::fmt;

use domain::fixed;

/// Digits from which on a figure may be the trace of a binary float.
const NOISY_DIGITS: u32 = 15;
/// Digits that a price is taken to have at most.
const CLEAN_DIGITS: u32 = 12;
/// A figure over 3,600 seconds that was rounded to a second is taken to have at most this many.
const HOUR_DIGITS: u32 = 4;
const SECONDS: u128 = 3600;

/// Dollars in units of 1e-15, per whatever the rate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rate(i128);

/// Why a text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RateError {
    #[error("not a decimal number")]
    Malformed,
    #[error("negative")]
    Negative,
    #[error("out of range")]
    OutOfRange,
}

/// `digits` times ten to the power of `exponent`, without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Figure {
    digits: u128,
    exponent: i32,
}

impl Rate {
    /// Reads a figure and moves its decimal point `shift` places to the right.
    pub(crate) fn read(text: &str, shift: i32) -> Result<Self, RateError> {
        Figure::read(text)?.cleaned().shifted(shift).rate()
    }

    /// Reads a figure per second and makes it one per 3,600 seconds.
    ///
    /// Sellers list hours or minutes, catalogues divide: 0.111 an hour becomes 3.083e-05 a second.
    /// The shortest figure of at most four digits that rounds to the given one is what was
    /// divided; where there is none, the product is kept.
    pub(crate) fn read_hour(text: &str) -> Result<Self, RateError> {
        let second = Figure::read(text)?;
        let product = second.digits.checked_mul(SECONDS).ok_or(RateError::OutOfRange)?;
        let hour = Figure { digits: product, exponent: second.exponent }.trimmed();
        if second.digits == 0 || hour.length() <= HOUR_DIGITS {
            return hour.rate();
        }
        let shortest = (1..=HOUR_DIGITS)
            .map(|digits| hour.rounded(digits))
            .find(|candidate| candidate.rounds_to_per_second(second));
        shortest.unwrap_or(hour).rate()
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This rate times a factor, if the product is exact.
    pub(crate) fn times(self, factor: Self) -> Option<Self> {
        let product = self.0.checked_mul(factor.0)?;
        (product % fixed::ONE == 0).then_some(Self(product / fixed::ONE))
    }

    /// This rate times 1.1, if that is exact.
    pub(crate) fn a_tenth_more(self) -> Option<Self> {
        self.times(Self(fixed::ONE + fixed::ONE / 10))
    }

    /// Whether this rate lies between `base` times `low` tenths and `base` times `high` tenths.
    pub(crate) fn within_tenths(self, base: Self, low: i128, high: i128) -> bool {
        let own = self.0.saturating_mul(10);
        own >= base.0.saturating_mul(low) && own <= base.0.saturating_mul(high)
    }

    /// Whether this rate is to `base` what `other` is to `of`.
    pub(crate) fn is_to(self, base: Self, other: Self, of: Self) -> bool {
        let product = |a: Self, b: Self| a.0.checked_mul(b.0);
        product(self, of).is_some_and(|own| product(other, base) == Some(own))
    }

    /// Whether this rate is from `low` to `high` thousandths of a dollar.
    pub(crate) fn within_thousandths(self, low: i128, high: i128) -> bool {
        let thousandth = fixed::ONE / 1000;
        self.0 >= low.saturating_mul(thousandth) && self.0 <= high.saturating_mul(thousandth)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fixed::write_decimal(self.0, f)
    }
}

impl Figure {
    fn read(text: &str) -> Result<Self, RateError> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(RateError::Negative);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| RateError::Malformed)?)
            }
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || !all_digits || exponent.unsigned_abs() > 60 {
            return Err(RateError::Malformed);
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 30 {
            return Err(RateError::OutOfRange);
        }
        let places = i32::try_from(fraction.len()).map_err(|_| RateError::OutOfRange)?;
        let digits = if digits.is_empty() { "0" } else { digits };
        let digits = digits.parse().map_err(|_| RateError::OutOfRange)?;
        Ok(Self { digits, exponent: exponent - places }.trimmed())
    }

    fn trimmed(mut self) -> Self {
        if self.digits == 0 {
            return Self { digits: 0, exponent: 0 };
        }
        while self.digits.is_multiple_of(10) {
            self.digits /= 10;
            self.exponent += 1;
        }
        self
    }

    fn length(self) -> u32 {
        self.digits.checked_ilog10().map_or(1, |log| log + 1)
    }

    fn shifted(self, shift: i32) -> Self {
        Self { exponent: self.exponent + shift, ..self }
    }

    /// With at most `digits` significant digits, rounded half up.
    fn rounded(self, digits: u32) -> Self {
        let surplus = self.length().saturating_sub(digits);
        let unit = 10_u128.pow(surplus);
        let surplus = i32::try_from(surplus).expect("a number has few digits");
        Self { digits: (self.digits + unit / 2) / unit, exponent: self.exponent + surplus }
            .trimmed()
    }

    /// Without the trace of a binary float.
    fn cleaned(self) -> Self {
        let length = self.length();
        if length < NOISY_DIGITS {
            return self;
        }
        let clean = self.rounded(CLEAN_DIGITS);
        let back = u32::try_from(clean.exponent - self.exponent).unwrap_or(0);
        let Some(aligned) = 10_u128.checked_pow(back).and_then(|p| clean.digits.checked_mul(p))
        else {
            return self;
        };
        let off = aligned.abs_diff(self.digits).checked_mul(10_u128.pow(CLEAN_DIGITS));
        match off {
            Some(off) if off <= self.digits => clean,
            _ => self,
        }
    }

    /// Whether a 3,600th of this figure, rounded to as many digits, is `second`.
    fn rounds_to_per_second(self, second: Self) -> bool {
        // Long enough that rounding twice gives what rounding once does.
        let long = Self { digits: self.digits * 10_u128.pow(24), exponent: self.exponent - 24 };
        let quotient = Self { digits: long.digits / SECONDS, exponent: long.exponent };
        quotient.rounded(second.length()) == second
    }

    fn rate(self) -> Result<Rate, RateError> {
        let text = format!("{}e{}", self.digits, self.exponent);
        let rounded = fixed::parse_rounded(&text).map_err(|_| RateError::OutOfRange)?;
        Ok(Rate(rounded.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_per_token_is_moved_to_a_million_exactly() {
        for (per_token, per_million) in [
            ("1.25e-06", "1.25"),
            ("3e-09", "0.003"),
            ("0.00015", "150"),
            ("6.6e-7", "0.66"),
            ("0", "0"),
            ("0.0", "0"),
            ("1.1428571428571428e-06", "1.142857142857143"),
        ] {
            let read = Rate::read(per_token, 6).map(|rate| rate.to_string());
            assert_eq!(read.as_deref(), Ok(per_million), "{per_token}");
        }
    }

    #[test]
    fn the_trace_of_a_binary_float_is_wiped_off() {
        for (noisy, clean) in [
            ("4.200000000000001e-09", "0.0042"),
            ("3.0001999999999996e-07", "0.30002"),
            ("9.499999999999999e-07", "0.95"),
            ("5.0000000000000004e-08", "0.05"),
            // 12 digits and not 15: somebody wrote this.
            ("2.83333333333e-04", "283.333333333"),
        ] {
            assert_eq!(Rate::read(noisy, 6).unwrap().to_string(), clean, "{noisy}");
        }
    }

    #[test]
    fn an_hour_is_what_was_divided_by_3600() {
        for (second, hour) in [
            ("0.0001", "0.36"),
            ("3.083e-05", "0.111"),
            ("1.111e-05", "0.04"),
            ("2.778e-05", "0.1"),
            ("0.000283333333333", "1.02"),
            ("0.0002833333333333333", "1.02"),
            ("5.83333e-05", "0.21"),
            ("0.001333333333333", "4.8"),
            ("3.1234567e-05", "0.1124444412"),
        ] {
            assert_eq!(Rate::read_hour(second).unwrap().to_string(), hour, "{second}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        assert_eq!(Rate::read("-1e-6", 6), Err(RateError::Negative));
        for text in ["", "free", "1,5", "1e", "NaN", "0x1", "."] {
            assert_eq!(Rate::read(text, 0), Err(RateError::Malformed), "{text}");
        }
        assert_eq!(Rate::read("1e40", 0), Err(RateError::OutOfRange));
    }

    #[test]
    fn products_are_exact_or_nothing() {
        let tenth_more = Rate::read("1.1", 0).unwrap();
        let rate = Rate::read("0.003625", 0).unwrap();
        assert_eq!(rate.times(tenth_more).unwrap().to_string(), "0.0039875");
        let finest = Rate::read("1e-15", 0).unwrap();
        assert_eq!(finest.times(tenth_more), None);
    }
}
