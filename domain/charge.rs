//! A charge: one line of what a provider, or a billing file, says was billed or metered.
//!
//! The names are those of FOCUS, the FinOps Open Cost and Usage Specification, wherever it has one.
//! Text is borrowed where it can be, so that a file of millions of lines makes no copies on its way
//! into columns.

use std::borrow::Cow;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{Currency, Quantity, fixed};

/// What kind of line it is (FOCUS `ChargeCategory`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ChargeCategory {
    /// Consumption.
    #[default]
    Usage,
    /// Something bought, such as a commitment or prepaid credit.
    Purchase,
    /// Tax.
    Tax,
    /// A reduction after the fact; its cost is negative.
    Credit,
    /// Any other correction.
    Adjustment,
}

impl ChargeCategory {
    /// All categories.
    pub const ALL: [ChargeCategory; 5] = [
        ChargeCategory::Usage,
        ChargeCategory::Purchase,
        ChargeCategory::Tax,
        ChargeCategory::Credit,
        ChargeCategory::Adjustment,
    ];

    /// The name in our vocabulary: lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ChargeCategory::Usage => "usage",
            ChargeCategory::Purchase => "purchase",
            ChargeCategory::Tax => "tax",
            ChargeCategory::Credit => "credit",
            ChargeCategory::Adjustment => "adjustment",
        }
    }

    /// The category of a name in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<ChargeCategory> {
        Self::ALL.into_iter().find(|category| category.as_str().eq_ignore_ascii_case(name))
    }
}

/// Text that is borrowed from an input line, or owned.
pub type Text<'a> = Cow<'a, str>;

/// One line. Every `None` means that the source does not say; it never means zero.
///
/// Costs are in `currency`, as counts of 10⁻¹⁵ units (see [`crate::Money`]). A line of a usage feed
/// has quantities and no cost; a line of a cost feed has a cost. `billed_cost` of `None` is not
/// free: it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge<'a> {
    /// Start of the charge period, inclusive. Its UTC day is the day that the charge is filed
    /// under.
    pub period_start: Timestamp,
    /// End of the charge period, exclusive.
    pub period_end: Timestamp,
    /// What kind of line it is.
    pub category: ChargeCategory,
    /// Seller in the price catalogue, lower case.
    pub service: Option<Text<'a>>,
    /// Model as billed.
    pub model: Option<Text<'a>>,
    /// Project, workspace or sub-account id.
    pub sub_account: Option<Text<'a>>,
    /// The provider's id of the API key that spent it.
    pub api_key: Option<Text<'a>>,
    /// Billing currency.
    pub currency: Currency,
    /// What is invoiced, in 10⁻¹⁵ units of `currency`.
    pub billed_cost: Option<i128>,
    /// Amortised cost.
    pub effective_cost: Option<i128>,
    /// Cost at public prices.
    pub list_cost: Option<i128>,
    /// How much was consumed.
    pub consumed_quantity: Option<Quantity>,
    /// Unit of `consumed_quantity`.
    pub consumed_unit: Option<Text<'a>>,
    /// How much was priced, in the unit that the price is for.
    pub pricing_quantity: Option<Quantity>,
    /// Unit of `pricing_quantity`.
    pub pricing_unit: Option<Text<'a>>,
    /// The provider's name of the service (FOCUS `ServiceName`).
    pub service_name: Option<Text<'a>>,
    /// What was sold, as the provider names it: a SKU id, a line item.
    pub sku: Option<Text<'a>>,
    /// Free text for people.
    pub description: Option<Text<'a>>,
    /// The source's own text of a billed cost that had to be rounded.
    pub billed_cost_text: Option<Text<'a>>,
}

impl Charge<'_> {
    /// A line about `[period_start, period_end)` that says nothing else yet.
    #[must_use]
    pub const fn empty(
        period_start: Timestamp,
        period_end: Timestamp,
        currency: Currency,
    ) -> Charge<'static> {
        Charge {
            period_start,
            period_end,
            category: ChargeCategory::Usage,
            service: None,
            model: None,
            sub_account: None,
            api_key: None,
            currency,
            billed_cost: None,
            effective_cost: None,
            list_cost: None,
            consumed_quantity: None,
            consumed_unit: None,
            pricing_quantity: None,
            pricing_unit: None,
            service_name: None,
            sku: None,
            description: None,
            billed_cost_text: None,
        }
    }

    /// The UTC day that the charge is filed under.
    #[must_use]
    pub fn day(&self) -> Date {
        TimeZone::UTC.to_datetime(self.period_start).date()
    }

    /// Whether every amount is within ±10¹⁸ units, so that it can be stored and summed.
    #[must_use]
    pub fn is_within_range(&self) -> bool {
        [self.billed_cost, self.effective_cost, self.list_cost]
            .into_iter()
            .flatten()
            .all(|femtos| femtos.unsigned_abs() <= fixed::MAX.unsigned_abs())
    }
}
