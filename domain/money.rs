//! Money: an exact count of femtodollars (10⁻¹⁵ of the currency's unit) with its currency.
//!
//! Arithmetic is checked and refuses to mix currencies. Text goes in and out as plain decimals. No
//! float touches an amount, and rounding happens in [`crate::fixed`] only.

use std::fmt;

use crate::fixed::{self, AmountError, Rounded};

/// A national currency by its ISO 4217 code, upper case.
///
/// ```
/// use domain::Currency;
/// assert_eq!(Currency::parse("usd").unwrap(), Currency::USD);
/// assert!(Currency::parse("Token").is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// United States dollar.
    pub const USD: Currency = Currency(*b"USD");

    /// The currency of an ISO 4217 code in any case; `None` where there is no such currency.
    #[must_use]
    pub fn parse(code: &str) -> Option<Currency> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        let upper = bytes.map(|byte| byte.to_ascii_uppercase());
        let text = std::str::from_utf8(&upper).ok()?;
        iso_currency::Currency::from_code(text).map(|_| Currency(upper))
    }

    /// The three-letter code, upper case.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency code is ASCII")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An exact amount in one currency.
///
/// ```
/// use domain::{Currency, Money};
/// let cost = Money::parse_exact("0.0000375", Currency::USD).unwrap();
/// assert_eq!(cost.to_string(), "0.0000375");
/// let total = cost.checked_add(cost).unwrap();
/// assert_eq!(total.to_string(), "0.000075");
/// let euro = Money::zero(Currency::parse("EUR").unwrap());
/// assert_eq!(cost.checked_add(euro), None); // never mixed in silence
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    femtos: i128,
    currency: Currency,
}

impl Money {
    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Money {
        Money { femtos: 0, currency }
    }

    /// An amount from its count of 10⁻¹⁵ units; `None` beyond ±10¹⁸ units.
    #[must_use]
    pub const fn from_femtos(femtos: i128, currency: Currency) -> Option<Money> {
        match femtos.unsigned_abs() <= fixed::MAX.unsigned_abs() {
            true => Some(Money { femtos, currency }),
            false => None,
        }
    }

    /// Reads an API client's amount, which must fit exactly.
    ///
    /// # Errors
    /// [`AmountError`] for text that is no amount, too large, or finer than 10⁻¹⁵.
    pub fn parse_exact(text: &str, currency: Currency) -> Result<Money, AmountError> {
        Ok(Money { femtos: fixed::parse_exact(text)?, currency })
    }

    /// Reads a provider's amount, rounded half-even once; the second value is the residue in 10⁻³⁰
    /// units.
    ///
    /// # Errors
    /// [`AmountError`] for text that is no amount or too large.
    pub fn parse_rounded(text: &str, currency: Currency) -> Result<(Money, i128), AmountError> {
        let Rounded { value, residue } = fixed::parse_rounded(text)?;
        Ok((Money { femtos: value, currency }, residue))
    }

    /// The count of 10⁻¹⁵ units.
    #[must_use]
    pub const fn femtos(&self) -> i128 {
        self.femtos
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The sum; `None` for two currencies or beyond the range.
    #[must_use]
    pub fn checked_add(self, other: Money) -> Option<Money> {
        if self.currency != other.currency {
            return None;
        }
        Money::from_femtos(self.femtos.checked_add(other.femtos)?, self.currency)
    }

    /// The difference; `None` for two currencies or beyond the range.
    #[must_use]
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.checked_add(Money { femtos: other.femtos.checked_neg()?, currency: other.currency })
    }
}

/// Plain decimal text without the currency: `-12.34`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fixed::write_decimal(self.femtos, f)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Money {
        Money::parse_exact(text, Currency::USD).unwrap()
    }

    #[test]
    fn sums_are_exact_where_floats_are_not() {
        let total = usd("0.1").checked_add(usd("0.2")).unwrap();
        assert_eq!(total, usd("0.3"));
        assert_eq!(usd("1").checked_sub(usd("0.9")).unwrap(), usd("0.1"));
    }

    #[test]
    fn currencies_never_mix() {
        let yen = Money::zero(Currency::parse("JPY").unwrap());
        assert_eq!(usd("1").checked_add(yen), None);
        assert_eq!(usd("1").checked_sub(yen), None);
    }

    #[test]
    fn sums_beyond_the_range_are_refused() {
        let most = usd("1000000000000000000");
        assert_eq!(most.checked_add(usd("0.000000000000001")), None);
        assert_eq!(Money::from_femtos(i128::MAX, Currency::USD), None);
        assert_eq!(Money::from_femtos(i128::MIN, Currency::USD), None);
    }

    #[test]
    fn unknown_currencies_are_refused() {
        for code in ["", "US", "USDT", "XYZ", "Tok", "1$2", "€"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }
}
