//! Figures that are not believed, and why.

use prices::RateKey;
use std::fmt;

use crate::decimal::Rate;

/// A token rate below a tenth of a cent or above 2,000 dollars per million is no price.
const TOKEN_THOUSANDTHS: (i128, i128) = (1, 2_000_000);
/// A rate of a tier is from 0.2 to 4 times the list price, or nobody is believed alone.
const TIER_TENTHS: (i128, i128) = (2, 40);

/// A figure, or a whole row, of a source that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The seller.
    pub seller: String,
    /// The model, as the source names it.
    pub model: String,
    /// Which figure, with its condition.
    pub what: String,
    /// The figure as the source writes it or, where it was read, in the catalogue's unit.
    pub figure: String,
    /// Why.
    pub reason: String,
    /// The source, with its version.
    pub source: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, what, figure, reason, source, .. } = self;
        let space = if figure.is_empty() { "" } else { " " };
        write!(f, "{model}: {what}{space}{figure} of {source} is refused: {reason}")
    }
}

/// Reads one figure: a rate, nothing for a zero, or why it is refused.
pub(crate) fn figure(
    key: RateKey,
    read: Result<Rate, crate::decimal::RateError>,
) -> Result<Option<Rate>, String> {
    let rate = read.map_err(|error| error.to_string())?;
    if rate.is_zero() {
        return Ok(None);
    }
    let (low, high) = TOKEN_THOUSANDTHS;
    if key.is_of_tokens() && !rate.within_thousandths(low, high) {
        return Err("a rate of tokens is from 0.001 to 2000 dollars per million".to_owned());
    }
    Ok(Some(rate))
}

/// Whether a single source is believed that gives this rate for a tier of that base.
pub(crate) fn believable_tier(rate: Rate, base: Rate) -> bool {
    let (low, high) = TIER_TENTHS;
    rate.within_tenths(base, low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<String>, String> {
        figure(RateKey::Input, Rate::read(text, 6)).map(|rate| rate.map(|rate| rate.to_string()))
    }

    #[test]
    fn absurd_figures_are_refused_and_zero_is_left_out() {
        assert_eq!(read("0.0"), Ok(None));
        assert_eq!(read("1e-9"), Ok(Some("0.001".to_owned())));
        assert_eq!(read("0.002"), Ok(Some("2000".to_owned())));
        assert!(read("5e-10").is_err(), "less than a thousandth of a dollar per million");
        assert!(read("0.0021").is_err(), "more than 2,000 dollars per million");
        assert_eq!(read("-1e-6"), Err("negative".to_owned()));
        assert_eq!(read("cheap"), Err("not a decimal number".to_owned()));
    }

    #[test]
    fn a_tier_is_believed_from_a_fifth_to_four_times_the_list_price() {
        let rate = |text| Rate::read(text, 0).unwrap();
        for (tier, believable) in
            [("0.19", false), ("0.2", true), ("1", true), ("4", true), ("4.01", false)]
        {
            assert_eq!(believable_tier(rate(tier), rate("1")), believable, "{tier}");
        }
    }
}
