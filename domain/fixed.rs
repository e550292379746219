//! Decimal text to a fixed-point integer and back, 15 digits after the point, never through a
//! float.
//!
//! Money and quantities share this one place for parsing and rounding. There are two ways in:
//! [`parse_exact`] for amounts from API clients, which refuses what it cannot hold, and
//! [`parse_rounded`] for amounts from providers and files, which rounds half-even once and says
//! what was left over.

use std::{fmt, ops::Deref};

/// Digits after the decimal point.
pub const SCALE: u32 = 15;
/// One whole unit.
pub const ONE: i128 = 1_000_000_000_000_000;
/// The largest magnitude accepted: 10¹⁸ units, so that 34 decimal digits hold every value.
pub const MAX: i128 = ONE * ONE * 1_000;

/// No amount needs more text than this; longer text is refused before it is read.
const TEXT_BYTES_MAX: usize = 128;
/// Exponents beyond this are absurd for money and counts alike.
const EXPONENT_MAX: i64 = 60;

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// There is no digit in the text.
    #[error("the amount is empty")]
    Empty,
    /// A character that belongs to no decimal number.
    #[error("not a decimal number: unexpected character at byte {at}")]
    Malformed {
        /// Byte offset of the character.
        at: usize,
    },
    /// Larger than 10¹⁸ units.
    #[error("the amount is out of range (at most 10^18 units)")]
    OutOfRange,
    /// More than 15 digits after the point where rounding is not allowed.
    #[error("the amount has more than 15 digits after the decimal point")]
    TooPrecise,
}

/// A rounded amount and what rounding removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    /// The amount in 10⁻¹⁵ units, rounded half-even.
    pub value: i128,
    /// The exact text minus `value`, in 10⁻³⁰ units (what is finer still is cut).
    pub residue: i128,
}

/// Reads a decimal text that must fit 15 decimals exactly.
///
/// ```
/// use domain::fixed::{parse_exact, AmountError};
/// assert_eq!(parse_exact("12.34"), Ok(12_340_000_000_000_000));
/// assert_eq!(parse_exact("1e-15"), Ok(1));
/// assert_eq!(parse_exact("1e-16"), Err(AmountError::TooPrecise));
/// assert_eq!(parse_exact("1,5"), Err(AmountError::Malformed { at: 1 }));
/// ```
///
/// # Errors
/// [`AmountError`] says what is wrong with the text.
pub fn parse_exact(text: &str) -> Result<i128, AmountError> {
    let rounded = parse_digits(text)?;
    match rounded.finer {
        true => Err(AmountError::TooPrecise),
        false => Ok(rounded.value),
    }
}

/// Reads a decimal text of any precision and rounds it half-even to 15 decimals.
///
/// ```
/// use domain::fixed::parse_rounded;
/// assert_eq!(parse_rounded("0.0000000000000015").unwrap().value, 2);
/// assert_eq!(parse_rounded("0.0000000000000025").unwrap().value, 2);
/// ```
///
/// # Errors
/// [`AmountError`], but never `TooPrecise`.
pub fn parse_rounded(text: &str) -> Result<Rounded, AmountError> {
    let parsed = parse_digits(text)?;
    Ok(Rounded { value: parsed.value, residue: parsed.residue })
}

/// Divides and rounds half-even: the one place where a computed amount is rounded.
///
/// ```
/// use domain::fixed::divide_half_even;
/// assert_eq!(divide_half_even(5, 2), 2);
/// assert_eq!(divide_half_even(7, 2), 4);
/// assert_eq!(divide_half_even(-5, 2), -2);
/// ```
///
/// # Panics
/// Where `divisor` is not positive.
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "the divisor is positive, so nothing overflows")]
pub const fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    assert!(divisor > 0, "a divisor is positive");
    let quotient = dividend.div_euclid(divisor);
    let rest = dividend.rem_euclid(divisor);
    let other = divisor - rest;
    match rest > other || (rest == other && quotient % 2 != 0) {
        true => quotient + 1,
        false => quotient,
    }
}

/// Writes a fixed-point integer as plain decimal text: no exponent, no trailing zeros after the
/// point.
pub fn write_decimal(value: i128, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(&DecimalText::new(value))
}

/// The plain decimal text of a fixed-point integer, without asking for memory.
#[derive(Clone, Copy)]
pub struct DecimalText {
    bytes: [u8; DECIMAL_MAX],
    start: usize,
    end: usize,
}

/// A sign, the 39 digits of the largest number, and a point.
const DECIMAL_MAX: usize = 41;

impl DecimalText {
    /// The text of a number of which `ONE` is one.
    #[must_use]
    pub fn new(value: i128) -> DecimalText {
        DecimalText::with_decimals::<{ SCALE as usize }>(value)
    }

    /// The text of a number of which ten to the power of `DECIMALS`, up to 15, is one.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "places in a buffer that holds every digit")]
    pub fn with_decimals<const DECIMALS: usize>(value: i128) -> DecimalText {
        const { assert!(DECIMALS <= SCALE as usize, "a fraction fits 64 bits") };
        let mut bytes = [b'0'; DECIMAL_MAX];
        if value == 0 {
            return DecimalText { bytes, start: 0, end: 1 };
        }
        let one = const { power_of_ten(DECIMALS) };
        // One division of 128 bits is slow enough.
        let whole = value.unsigned_abs() / one;
        let fraction = value.unsigned_abs() - whole * one;
        let point = DECIMAL_MAX - DECIMALS - 1;
        let mut end = point;
        if fraction != 0 {
            bytes[point] = b'.';
            write_digits(fraction, &mut bytes[point + 1..]);
            let zeros = bytes.iter().rev().take_while(|digit| **digit == b'0').count();
            end = DECIMAL_MAX - zeros;
        }
        // A whole part of zero is written as well.
        let mut start = write_digits(whole, &mut bytes[..point]).min(point - 1);
        if value < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        DecimalText { bytes, start, end }
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "up to ten to the power of fifteen")]
const fn power_of_ten(exponent: usize) -> u128 {
    let (mut power, mut step) = (1, 0);
    while step < exponent {
        (power, step) = (power * 10, step + 1);
    }
    power
}

/// Writes the digits at the end of a buffer that holds zeros and has room for all; gives the place
/// of the first of them.
#[expect(clippy::arithmetic_side_effects, reason = "places in a buffer that holds every digit")]
fn write_digits(mut number: u128, bytes: &mut [u8]) -> usize {
    let digit = |value: u64| b'0' + u8::try_from(value).expect("one digit");
    let mut start = bytes.len();
    // Sixty-four bits divide many times faster.
    while u64::try_from(number).is_err() {
        start -= 1;
        bytes[start] = digit(u64::try_from(number % 10).expect("one digit"));
        number /= 10;
    }
    let mut rest = u64::try_from(number).expect("what is larger was written");
    while rest > 0 {
        start -= 1;
        bytes[start] = digit(rest % 10);
        rest /= 10;
    }
    start
}

impl DecimalText {
    /// Its ASCII bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

impl Deref for DecimalText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("digits are ASCII")
    }
}

struct Parsed {
    value: i128,
    residue: i128,
    /// Whether any digit finer than the scale was not zero.
    finer: bool,
}

/// The text split into sign, digits and the power of ten of its last digit.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl Digits<'_> {
    /// The digits with the power of ten of each, most significant first.
    #[expect(clippy::arithmetic_side_effects, clippy::cast_possible_wrap, reason = "text is short")]
    fn places(&self) -> impl Iterator<Item = (i64, u8)> {
        let top = self.whole.len() as i64 - 1 + self.exponent;
        let all = self.whole.iter().chain(self.fraction);
        all.enumerate().map(move |(index, digit)| (top - index as i64, digit - b'0'))
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "bounded by OutOfRange before each step")]
fn parse_digits(text: &str) -> Result<Parsed, AmountError> {
    let digits = split(text)?;
    let scale = i64::from(SCALE);
    let (mut value, mut residue) = (0_i128, 0_i128);
    let (mut finer, mut beyond_residue) = (false, false);
    let mut last_place = i64::MAX;
    for (place, digit) in digits.places() {
        if place >= -scale {
            value = value.checked_mul(10).ok_or(AmountError::OutOfRange)? + i128::from(digit);
            if value > MAX {
                return Err(AmountError::OutOfRange);
            }
            last_place = place;
        } else {
            finer |= digit != 0;
            match u32::try_from(place + 2 * scale) {
                Ok(power) => residue += i128::from(digit) * 10_i128.pow(power.min(2 * SCALE)),
                Err(_) => beyond_residue |= digit != 0,
            }
        }
    }
    if last_place != i64::MAX && value != 0 {
        let power = u32::try_from(last_place + scale).map_err(|_| AmountError::OutOfRange)?;
        let factor = 10_i128.checked_pow(power).ok_or(AmountError::OutOfRange)?;
        value = value.checked_mul(factor).ok_or(AmountError::OutOfRange)?;
    }
    let half = ONE / 2;
    let up = residue > half || (residue == half && (beyond_residue || value % 2 != 0));
    if up {
        value += 1;
        residue -= ONE;
    }
    if value > MAX {
        return Err(AmountError::OutOfRange);
    }
    let sign = if digits.negative { -1 } else { 1 };
    Ok(Parsed { value: sign * value, residue: sign * residue, finer })
}

#[expect(clippy::arithmetic_side_effects, reason = "offsets within a short text")]
fn split(text: &str) -> Result<Digits<'_>, AmountError> {
    let bytes = text.as_bytes();
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(AmountError::OutOfRange);
    }
    let negative = bytes.first() == Some(&b'-');
    let mut at = usize::from(negative || bytes.first() == Some(&b'+'));
    let run = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = &bytes[at..at + run(at)];
    at += whole.len();
    let mut fraction: &[u8] = &[];
    if bytes.get(at) == Some(&b'.') {
        fraction = &bytes[at + 1..at + 1 + run(at + 1)];
        at += 1 + fraction.len();
    }
    if whole.is_empty() && fraction.is_empty() {
        let empty = at >= bytes.len();
        return Err(if empty { AmountError::Empty } else { AmountError::Malformed { at } });
    }
    let mut exponent = 0;
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
        let end = at + 1 + sign + run(at + 1 + sign);
        let digits = &text[at + 1..end];
        exponent = digits.parse::<i64>().map_err(|_| AmountError::Malformed { at })?;
        at = end;
    }
    if at != bytes.len() {
        return Err(AmountError::Malformed { at });
    }
    if exponent.abs() > EXPONENT_MAX {
        return Err(AmountError::OutOfRange);
    }
    Ok(Digits { negative, whole, fraction, exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_reads_exactly() {
        for (text, value) in [
            ("0", 0),
            ("-0.0", 0),
            ("+1", ONE),
            ("12.34", 12 * ONE + 34 * ONE / 100),
            (".5", ONE / 2),
            ("5.", 5 * ONE),
            ("0.13080438340307526", 130_804_383_403_075),
            ("1.7765e-06", 1_776_500_000),
            ("1E3", 1_000 * ONE),
            ("-0.000000000000001", -1),
            ("1000000000000000000", MAX),
            ("0e99999999999", 0),
        ] {
            match text {
                "0.13080438340307526" => {
                    assert_eq!(parse_exact(text), Err(AmountError::TooPrecise));
                    assert_eq!(parse_rounded(text).unwrap().value, value, "{text}");
                }
                "0e99999999999" => assert_eq!(parse_exact(text), Err(AmountError::OutOfRange)),
                _ => assert_eq!(parse_exact(text), Ok(value), "{text}"),
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "-", ".", "1,234", "NaN", "Infinity", "١٢٣", "(5.00)", "−5", "1e", "0x10", "1 "]
        {
            assert!(parse_exact(text).is_err(), "{text:?}");
        }
        for text in ["1000000000000000000.000000000000001", "1e19", "1e999", &"9".repeat(400)] {
            assert_eq!(parse_rounded(text), Err(AmountError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn finer_text_rounds_half_even_and_leaves_its_residue() {
        for (text, value, residue) in [
            ("0.0000000000000005", 0, 500_000_000_000_000),
            ("0.0000000000000015", 2, -500_000_000_000_000),
            ("0.0000000000000025", 2, 500_000_000_000_000),
            ("0.00000000000000050000000000000000000001", 1, -500_000_000_000_000),
            ("-0.0000000000000015", -2, 500_000_000_000_000),
            ("1e-20", 0, 10_000_000_000),
            ("1e-40", 0, 0),
        ] {
            assert_eq!(parse_rounded(text), Ok(Rounded { value, residue }), "{text}");
        }
    }

    #[test]
    fn written_text_reads_back_the_same() {
        for value in [0, 1, -1, ONE, -ONE, MAX, -MAX, 37_500_000_000, 12_340_000_000_000_000] {
            let mut text = String::new();
            write_decimal(value, &mut text).unwrap();
            assert_eq!(parse_exact(&text), Ok(value), "{text}");
            assert!(!text.contains('e'));
        }
    }
}
