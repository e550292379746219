//! The columns of FOCUS, by name, and where a file has them.
//!
//! Names and their history: <https://focus.finops.org/focus-columns/> and the tags v1.0 to v1.2 of
//! <https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec>.

use crate::{ParseError, csv_input::printable, report::Recorder};

/// A row of names with all of these is a FOCUS header.
const DETECTED_BY: [&[&str]; 6] =
    [BILLED_COST, EFFECTIVE_COST, PERIOD_START, CATEGORY, SERVICE_NAME, CURRENCY];

// Each column with its present name first, then the names that it had before.
const BILLED_COST: &[&str] = &["BilledCost"];
const CURRENCY: &[&str] = &["BillingCurrency"];
const PERIOD_START: &[&str] = &["ChargePeriodStart"];
const PERIOD_END: &[&str] = &["ChargePeriodEnd"];
const CATEGORY: &[&str] = &["ChargeCategory", "ChargeType"];
const EFFECTIVE_COST: &[&str] = &["EffectiveCost", "AmortizedCost"];
const LIST_COST: &[&str] = &["ListCost"];
const CONSUMED_QUANTITY: &[&str] = &["ConsumedQuantity", "UsageQuantity"];
const CONSUMED_UNIT: &[&str] = &["ConsumedUnit", "UsageUnit"];
const PRICING_QUANTITY: &[&str] = &["PricingQuantity"];
const PRICING_UNIT: &[&str] = &["PricingUnit"];
const SERVICE_NAME: &[&str] = &["ServiceName"];
const SKU: &[&str] = &["SkuId"];
const DESCRIPTION: &[&str] = &["ChargeDescription"];
const SUB_ACCOUNT: &[&str] = &["SubAccountId"];
const ACCOUNT: &[&str] = &["BillingAccountId"];
const SERVICE_PROVIDER: &[&str] = &["ServiceProviderName"];
const PROVIDER: &[&str] = &["ProviderName"];
const BILLING_PERIOD_START: &[&str] = &["BillingPeriodStart"];
const BILLING_PERIOD_END: &[&str] = &["BillingPeriodEnd"];
/// Custom columns that hold the model as billed; FOCUS has none of its own. Written exactly so.
const MODEL: [&str; 3] = ["x_Model", "x_model", "x_ModelId"];

/// Columns that every version from 1.0 to 1.3 wants in every file.
const MANDATORY: [&[&str]; 21] = [
    BILLED_COST,
    ACCOUNT,
    &["BillingAccountName"],
    CURRENCY,
    BILLING_PERIOD_END,
    BILLING_PERIOD_START,
    CATEGORY,
    &["ChargeClass"],
    DESCRIPTION,
    PERIOD_END,
    PERIOD_START,
    &["ContractedCost"],
    EFFECTIVE_COST,
    &["InvoiceIssuerName"],
    LIST_COST,
    PRICING_QUANTITY,
    PRICING_UNIT,
    &["ProviderName", "ServiceProviderName"],
    &["PublisherName", "HostProviderName"],
    &["ServiceCategory"],
    SERVICE_NAME,
];

/// All other columns of any version.
const OPTIONAL: &[&str] = &[
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "AvailabilityZone",
    "BillingAccountType",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeFrequency",
    "ChargeSubcategory",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractApplied",
    "ContractedUnitPrice",
    "InvoiceId",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "Region",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "UsageQuantity",
    "UsageUnit",
];

/// Where a file has which column.
#[derive(Debug)]
pub(super) struct Columns {
    /// How many there are.
    pub(super) count: usize,
    pub(super) billed_cost: usize,
    pub(super) currency: usize,
    pub(super) period_start: usize,
    pub(super) period_end: usize,
    pub(super) category: Option<usize>,
    pub(super) effective_cost: Option<usize>,
    pub(super) list_cost: Option<usize>,
    pub(super) consumed_quantity: Option<usize>,
    pub(super) consumed_unit: Option<usize>,
    pub(super) pricing_quantity: Option<usize>,
    pub(super) pricing_unit: Option<usize>,
    pub(super) service_name: Option<usize>,
    pub(super) sku: Option<usize>,
    pub(super) description: Option<usize>,
    pub(super) sub_account: Option<usize>,
    pub(super) model: Option<usize>,
    pub(super) account: Option<usize>,
    pub(super) service_provider: Option<usize>,
    pub(super) provider: Option<usize>,
    pub(super) billing_period: Option<(usize, usize)>,
    /// The columns that no field of a charge holds.
    pub(super) extra: Vec<usize>,
}

/// Whether these are the column names of a FOCUS file.
pub(super) fn is_header(names: &[String]) -> bool {
    DETECTED_BY.iter().all(|column| position(names, column).is_some())
}

impl Columns {
    /// Finds the columns by their names.
    pub(super) fn find(header: &[String]) -> Result<Columns, ParseError> {
        let at = |column| position(header, column);
        let required = |column: &[&'static str]| {
            position(header, column).ok_or(ParseError::MissingColumn { column: column[0] })
        };
        let mut columns = Columns {
            count: header.len(),
            billed_cost: required(BILLED_COST)?,
            currency: required(CURRENCY)?,
            period_start: required(PERIOD_START)?,
            period_end: required(PERIOD_END)?,
            category: at(CATEGORY),
            effective_cost: at(EFFECTIVE_COST),
            list_cost: at(LIST_COST),
            consumed_quantity: at(CONSUMED_QUANTITY),
            consumed_unit: at(CONSUMED_UNIT),
            pricing_quantity: at(PRICING_QUANTITY),
            pricing_unit: at(PRICING_UNIT),
            service_name: at(SERVICE_NAME),
            sku: at(SKU),
            description: at(DESCRIPTION),
            sub_account: at(SUB_ACCOUNT),
            model: header.iter().position(|name| MODEL.contains(&name.as_str())),
            account: at(ACCOUNT),
            service_provider: at(SERVICE_PROVIDER),
            provider: at(PROVIDER),
            billing_period: at(BILLING_PERIOD_START).zip(at(BILLING_PERIOD_END)),
            extra: Vec::new(),
        };
        let held = columns.held();
        columns.extra = (0..header.len()).filter(|index| !held.contains(&Some(*index))).collect();
        Ok(columns)
    }

    /// The columns that amounts are read from.
    pub(super) fn amounts(&self) -> impl Iterator<Item = usize> {
        let optional =
            [self.effective_cost, self.list_cost, self.consumed_quantity, self.pricing_quantity];
        std::iter::once(self.billed_cost).chain(optional.into_iter().flatten())
    }

    /// The columns whose text a charge or its account holds. The names of providers become ids
    /// there, so the text itself stays among the others.
    fn held(&self) -> [Option<usize>; 17] {
        [
            Some(self.billed_cost),
            Some(self.currency),
            Some(self.period_start),
            Some(self.period_end),
            self.category,
            self.effective_cost,
            self.list_cost,
            self.consumed_quantity,
            self.consumed_unit,
            self.pricing_quantity,
            self.pricing_unit,
            self.service_name,
            self.sku,
            self.description,
            self.sub_account,
            self.model,
            self.account,
        ]
    }
}

/// Tells which columns a FOCUS file should have and which it has beyond FOCUS.
pub(super) fn note_departures(header: &[String], recorder: &mut Recorder<'_>) {
    for names in MANDATORY {
        if position(header, names).is_none() {
            let message = "FOCUS wants this column in every file; it was read as null".to_owned();
            recorder.warn("missing_column", Some(names[0].to_owned()), message);
        }
    }
    for name in header {
        let is_custom = name.starts_with("x_");
        let mut known = MANDATORY.into_iter().flatten().chain(OPTIONAL);
        if !is_custom && !known.any(|known| known.eq_ignore_ascii_case(name)) {
            let message = "FOCUS has no such column, and custom ones begin with `x_`; it was kept";
            recorder.warn("unknown_column", Some(printable(name)), message.to_owned());
        }
    }
}

/// The first of a column's names that the header has, in any case.
fn position(header: &[String], names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| header.iter().position(|given| given.eq_ignore_ascii_case(name)))
}
