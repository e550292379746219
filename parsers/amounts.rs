//! Cells of a billing file to exact amounts.
//!
//! FOCUS wants plain decimals (`12.5`, `1.7765e-06`); files that went through a spreadsheet bring
//! `$10,000.00 `, `(5.00)` and decimal commas. What comma and point mean is decided once per file
//! and never per cell: a cell that could mean two numbers, such as `1,234` before anything else has
//! shown the file's way, is refused. <https://focus.finops.org/focus-specification/>, attribute
//! "Numeric Format".

use domain::{AmountError, Rounded, fixed};

/// No amount needs more text than this.
const TEXT_BYTES_MAX: usize = 128;
/// As many decimal digits as always fit a `u64`.
const FAST_DIGITS_MAX: usize = 18;
/// Signs that an amount may carry. A dollar sign is that of many currencies.
const CURRENCY_SIGNS: [char; 6] = ['$', '€', '£', '¥', '₹', '₩'];

/// Which of comma and point is the decimal mark of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecimalMark {
    /// Nothing seen.
    Unknown,
    /// Only `1.234` seen, which FOCUS reads with a decimal point.
    AssumedPoint,
    Point,
    Comma,
}

/// An amount that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) value: i128,
    /// The exact text minus `value`, in 10⁻³⁰ units.
    pub(crate) residue: i128,
    /// Whether any digit was lost, even one that the residue cannot hold.
    pub(crate) is_rounded: bool,
    /// Whether it was written as FOCUS wants it.
    pub(crate) is_plain: bool,
    /// The currency sign that it carries.
    pub(crate) sign: Option<char>,
}

/// Why a cell is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberProblem {
    /// No number.
    Invalid,
    /// Larger than can be held.
    OutOfRange,
    /// Could be two numbers.
    Ambiguous,
    /// The other decimal mark than in the rest of the file.
    Mixed,
}

/// Reads the amounts of one file.
#[derive(Debug)]
pub(crate) struct Amounts {
    mark: DecimalMark,
}

impl Amounts {
    pub(crate) fn new() -> Amounts {
        Amounts { mark: DecimalMark::Unknown }
    }

    /// Learns from a cell that is read for good only later. Nothing is assumed yet, and what cannot
    /// be read or contradicts the cells before is told when it is read.
    pub(crate) fn learn_from(&mut self, text: &str) {
        let _is_told_later = self.read(text);
        if self.mark == DecimalMark::AssumedPoint {
            self.mark = DecimalMark::Unknown;
        }
    }

    /// Reads one cell, and learns from it what comma and point mean in this file.
    pub(crate) fn read(&mut self, text: &str) -> Result<Amount, NumberProblem> {
        if let Some((value, evidence)) = read_plain(text)
            && self.learn(evidence).is_ok()
        {
            let residue = 0;
            return Ok(Amount { value, residue, is_rounded: false, is_plain: true, sign: None });
        }
        self.read_any(text)
    }

    fn read_any(&mut self, text: &str) -> Result<Amount, NumberProblem> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(NumberProblem::OutOfRange);
        }
        let parts = split(text).ok_or(NumberProblem::Invalid)?;
        let number = self.normalize(&parts)?;
        let Rounded { value, residue } = fixed::parse_rounded(&number).map_err(problem_of)?;
        Ok(Amount {
            value,
            residue,
            is_rounded: fixed::parse_exact(&number) == Err(AmountError::TooPrecise),
            is_plain: number == text,
            sign: parts.sign,
        })
    }

    /// The number with a decimal point and nothing else.
    fn normalize(&mut self, parts: &Parts<'_>) -> Result<String, NumberProblem> {
        let reading = self.reading(parts.digits, parts.exponent.is_empty())?;
        let minus = if parts.is_negative { "-" } else { "" };
        let plain = |text: &str| text.replace([',', '.'], "");
        let (whole, fraction) = match reading.rfind_mark(parts.digits) {
            Some(at) => (plain(&parts.digits[..at]), &parts.digits[at..]),
            None => (plain(parts.digits), ""),
        };
        let fraction = fraction.replace(',', ".");
        Ok(format!("{minus}{whole}{fraction}{}", parts.exponent))
    }

    /// What comma and point mean in this cell; `digits` holds digits, commas and points only.
    fn reading(&mut self, digits: &str, may_group: bool) -> Result<Reading, NumberProblem> {
        let (points, commas) = (digits.matches('.').count(), digits.matches(',').count());
        let is_grouped_by = |mark: char| may_group && is_grouped(digits, mark);
        let (reading, evidence) = match (points, commas) {
            (0, 0) => return Ok(Reading::Whole),
            (1, 0) if is_grouped_by('.') && self.mark == DecimalMark::Comma => {
                (Reading::Whole, DecimalMark::Comma)
            }
            (1, 0) if is_grouped_by('.') => (Reading::Point, DecimalMark::AssumedPoint),
            (1, 0) => (Reading::Point, DecimalMark::Point),
            (0, 1) if is_grouped_by(',') => match self.mark {
                DecimalMark::Point => (Reading::Whole, DecimalMark::Point),
                DecimalMark::Comma => (Reading::Comma, DecimalMark::Comma),
                _ => return Err(NumberProblem::Ambiguous),
            },
            (0, 1) => (Reading::Comma, DecimalMark::Comma),
            (_, 0) if is_grouped_by('.') => (Reading::Whole, DecimalMark::Comma),
            (0, _) if is_grouped_by(',') => (Reading::Whole, DecimalMark::Point),
            (1, _) if may_group && has_both(digits, ',', '.') => {
                (Reading::Point, DecimalMark::Point)
            }
            (_, 1) if may_group && has_both(digits, '.', ',') => {
                (Reading::Comma, DecimalMark::Comma)
            }
            _ => return Err(NumberProblem::Invalid),
        };
        self.learn(evidence)?;
        Ok(reading)
    }

    fn learn(&mut self, evidence: DecimalMark) -> Result<(), NumberProblem> {
        use DecimalMark::{AssumedPoint, Comma, Point, Unknown};
        self.mark = match (self.mark, evidence) {
            (known, Unknown) => known,
            (Unknown, new) => new,
            (Comma, Comma) => Comma,
            (Point, Point | AssumedPoint) | (AssumedPoint, Point) => Point,
            (AssumedPoint, AssumedPoint) => AssumedPoint,
            (Comma, Point | AssumedPoint) | (Point | AssumedPoint, Comma) => {
                return Err(NumberProblem::Mixed);
            }
        };
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Reading {
    /// No decimal mark.
    Whole,
    Point,
    Comma,
}

impl Reading {
    fn rfind_mark(self, digits: &str) -> Option<usize> {
        match self {
            Reading::Whole => None,
            Reading::Point => digits.rfind('.'),
            Reading::Comma => digits.rfind(','),
        }
    }
}

/// A cell taken apart.
struct Parts<'a> {
    is_negative: bool,
    sign: Option<char>,
    /// Digits, commas and points.
    digits: &'a str,
    /// `e-06`, or nothing.
    exponent: &'a str,
}

fn split(text: &str) -> Option<Parts<'_>> {
    let mut rest = text.trim();
    let inner = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    let mut is_negative = inner.is_some();
    rest = inner.map_or(rest, str::trim);
    let mut has_minus = take_minus(&mut rest);
    let sign = take_sign(&mut rest);
    if sign.is_some() && !has_minus {
        has_minus = take_minus(&mut rest);
    }
    if is_negative && has_minus {
        return None;
    }
    is_negative |= has_minus;
    let end = rest.find(['e', 'E']).unwrap_or(rest.len());
    let (digits, exponent) = rest.split_at(end);
    let is_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',');
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    (has_digit && digits.bytes().all(is_number)).then_some(Parts {
        is_negative,
        sign,
        digits,
        exponent,
    })
}

/// Takes a leading sign off, and says whether it was a minus.
fn take_minus(text: &mut &str) -> bool {
    let rest = text.strip_prefix(['-', '+']);
    let is_minus = text.starts_with('-');
    *text = rest.map_or(*text, str::trim_start);
    is_minus
}

/// Takes a currency sign off either end.
fn take_sign(text: &mut &str) -> Option<char> {
    let is_sign = |letter: &char| CURRENCY_SIGNS.contains(letter);
    if let Some(sign) = text.chars().next().filter(is_sign) {
        *text = text[sign.len_utf8()..].trim_start();
        return Some(sign);
    }
    let sign = text.chars().next_back().filter(is_sign)?;
    *text = text[..text.len() - sign.len_utf8()].trim_end();
    Some(sign)
}

/// Whether `mark` separates thousands here: `1,234,567`, not `0,123` or `1234,567`.
fn is_grouped(digits: &str, mark: char) -> bool {
    let mut groups = digits.split(mark);
    let first = groups.next().unwrap_or_default();
    let is_number = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    (1..=3).contains(&first.len())
        && is_number(first)
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3 && is_number(group))
}

/// Whether `group` separates thousands and then `decimal` the fraction: `1,234.5`.
fn has_both(digits: &str, group: char, decimal: char) -> bool {
    let parts = digits.split_once(decimal);
    parts.is_some_and(|(whole, fraction)| !fraction.contains(group) && is_grouped(whole, group))
}

/// The quick way for what nearly all cells are: digits, perhaps with a point, that fit a `u64`.
/// Also says what the cell shows of the file's decimal mark.
fn read_plain(text: &str) -> Option<(i128, DecimalMark)> {
    let bytes = text.as_bytes();
    let is_negative = bytes.first() == Some(&b'-');
    let digits = &bytes[usize::from(is_negative)..];
    if digits.len() > FAST_DIGITS_MAX {
        return None;
    }
    let mut count = 0_u64;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => count = count * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let whole_len = point.unwrap_or(digits.len());
    let fraction_len = point.map_or(0, |at| digits.len() - at - 1);
    if whole_len + fraction_len == 0 {
        return None;
    }
    let power = fixed::SCALE.checked_sub(u32::try_from(fraction_len).ok()?)?;
    let magnitude = i128::from(count) * i128::from(10_u64.pow(power));
    let could_be_grouped =
        fraction_len == 3 && (1..=3).contains(&whole_len) && digits.first() != Some(&b'0');
    let evidence = match point {
        None => DecimalMark::Unknown,
        Some(_) if could_be_grouped => DecimalMark::AssumedPoint,
        Some(_) => DecimalMark::Point,
    };
    Some((if is_negative { -magnitude } else { magnitude }, evidence))
}

fn problem_of(error: AmountError) -> NumberProblem {
    match error {
        AmountError::OutOfRange => NumberProblem::OutOfRange,
        AmountError::Empty | AmountError::Malformed { .. } | AmountError::TooPrecise => {
            NumberProblem::Invalid
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::fixed::ONE;
    use proptest::prelude::*;

    use super::*;

    /// Reads cells of one file in turn and gives the answer to the last.
    fn last(cells: &[&str]) -> Result<i128, NumberProblem> {
        let mut amounts = Amounts::new();
        let answers = cells.iter().map(|cell| amounts.read(cell));
        answers.last().unwrap().map(|amount| amount.value)
    }

    #[test]
    fn spreadsheet_writings_read_exactly() {
        for (text, value) in [
            ("$10,000.00 ", 10_000 * ONE),
            ("$-5.00", -5 * ONE),
            ("-$5.00", -5 * ONE),
            ("(5.00)", -5 * ONE),
            ("($1,234.50)", -1_234 * ONE - ONE / 2),
            ("5,50 €", 5 * ONE + ONE / 2),
            ("1.234.567,5", 1_234_567 * ONE + ONE / 2),
            ("1,234,567", 1_234_567 * ONE),
            ("1.7765e-06", 1_776_500_000),
            ("0,5", ONE / 2),
            ("+1", ONE),
            ("-.5", -ONE / 2),
        ] {
            assert_eq!(last(&[text]), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        use NumberProblem::{Invalid, OutOfRange};
        let digits = "9".repeat(400);
        for (text, problem) in [
            ("NaN", Invalid),
            ("Infinity", Invalid),
            ("١٢٣", Invalid),
            ("−5", Invalid),
            ("(-5)", Invalid),
            ("-", Invalid),
            ("$", Invalid),
            ("--5", Invalid),
            ("1,23,456", Invalid),
            ("1,234.5.6", Invalid),
            ("1 234", Invalid),
            ("1,234,567e3", Invalid),
            ("12 USD", Invalid),
            ("1e", Invalid),
            ("1e999", OutOfRange),
            ("1000000000000000001", OutOfRange),
            (digits.as_str(), OutOfRange),
        ] {
            assert_eq!(last(&[text]), Err(problem), "{text}");
        }
    }

    #[test]
    fn comma_and_point_mean_the_same_in_the_whole_file() {
        use NumberProblem::{Ambiguous, Mixed};
        for (cells, answer) in [
            (&["1,234"][..], Err(Ambiguous)),
            (&["1.234"], Ok(ONE + 234 * ONE / 1000)),
            (&["1.234", "1,234"], Err(Ambiguous)),
            (&["0.5", "1,234"], Ok(1_234 * ONE)),
            (&["0,5", "1,234"], Ok(ONE + 234 * ONE / 1000)),
            (&["0,5", "1.234"], Ok(1_234 * ONE)),
            (&["0,5", "0.5"], Err(Mixed)),
            (&["0.5", "0,5"], Err(Mixed)),
            (&["1.234", "0,5"], Err(Mixed)),
            (&["1.234,5", "1,234.5"], Err(Mixed)),
            (&["7", "1,234"], Err(Ambiguous)),
        ] {
            assert_eq!(last(cells), answer, "{cells:?}");
        }
    }

    #[test]
    fn finer_amounts_are_rounded_and_say_so() {
        let amount = Amounts::new().read("0.0000000000000015").unwrap();
        assert_eq!((amount.value, amount.residue), (2, -500_000_000_000_000));
        assert!(amount.is_rounded);
        let lost = Amounts::new().read("1e-40").unwrap();
        assert_eq!((lost.value, lost.residue, lost.is_rounded), (0, 0, true));
        assert!(!Amounts::new().read("0.000000000000001").unwrap().is_rounded);
    }

    proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_domain(
            text in "-?[0-9]{0,12}(\\.[0-9]{0,17})?(e-?[0-9]{1,2})?"
        ) {
            let here = Amounts::new().read(&text);
            match fixed::parse_rounded(&text) {
                Ok(rounded) => {
                    let amount = here.unwrap();
                    prop_assert_eq!(amount.value, rounded.value);
                    prop_assert_eq!(amount.residue, rounded.residue);
                }
                Err(_) => prop_assert!(here.is_err()),
            }
        }

        #[test]
        fn every_writing_of_an_amount_means_the_same(digits in 1_u32..13, any in any::<i64>()) {
            let cents = any % 10_i64.pow(digits);
            let (units, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
            let minus = if cents < 0 { "-" } else { "" };
            let grouped = |mark: &str| {
                let digits = units.to_string();
                let groups = digits.as_bytes().rchunks(3).rev();
                let groups: Vec<&str> =
                    groups.map(|group| str::from_utf8(group).unwrap()).collect();
                groups.join(mark)
            };
            let value = i128::from(cents) * (ONE / 100);
            for text in [
                format!("{minus}{units}.{rest:02}"),
                format!("{minus}{}.{rest:02}", grouped(",")),
                format!("{minus}{},{rest:02}", grouped(".")),
                format!("{minus}${}.{rest:02} ", grouped(",")),
                format!("{minus}{units}{rest:02}e-2"),
            ] {
                prop_assert_eq!(last(&[&text]), Ok(value), "{}", text);
            }
        }

        #[test]
        fn any_text_is_refused_or_within_range(text in "\\PC{0,12}|[-+($]{0,2}[0-9.,e]{0,40}") {
            if let Ok(amount) = Amounts::new().read(&text) {
                prop_assert!(amount.value.unsigned_abs() <= fixed::MAX.unsigned_abs());
            }
        }
    }
}
