//! Charges as plain data.

use domain::{Currency, Money, charge::Text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    json_number::Number,
    reports::{ChargeLine, ChargeSource},
    schemas,
};

/// One line of what a provider, or a billing file, says was billed or metered. Null is "not said",
/// never zero.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChargeView {
    /// Names the line as long as the pull or file that wrote it exists.
    id: String,
    /// Who bills.
    provider: String,
    /// The provider's account.
    account: String,
    /// The connection that read it.
    connection_id: Option<String>,
    /// The file that held it.
    file_id: Option<String>,
    /// Which of the provider's reports told it; `file` for files.
    feed: String,
    /// Whether a newer pull or another source counts instead of it.
    superseded: bool,
    /// Start of the charge period.
    #[schema(format = DateTime)]
    period_start: String,
    /// End of the charge period, exclusive.
    #[schema(format = DateTime)]
    period_end: String,
    /// `usage`, `purchase`, `tax`, `credit` or `adjustment`.
    #[schema(value_type = schemas::Category)]
    category: &'static str,
    /// Who sells, as in the price catalogue.
    service: Option<String>,
    /// Model as billed.
    model: Option<String>,
    /// Project, workspace or sub-account.
    sub_account: Option<String>,
    /// The provider's id of the API key that spent it.
    api_key: Option<String>,
    /// ISO 4217 code.
    currency: String,
    /// What is invoiced.
    billed_cost: Option<String>,
    /// Amortised cost.
    effective_cost: Option<String>,
    /// Cost at public prices.
    list_cost: Option<String>,
    /// How much was consumed.
    consumed_quantity: Option<Number>,
    /// Its unit.
    consumed_unit: Option<String>,
    /// How much was priced, in the unit that the price is for.
    pricing_quantity: Option<Number>,
    /// Its unit.
    pricing_unit: Option<String>,
    /// The provider's name of the service.
    service_name: Option<String>,
    /// What was sold, as the provider names it.
    sku: Option<String>,
    /// Free text for people.
    description: Option<String>,
    /// The source's own text of a billed cost that had to be rounded.
    billed_cost_text: Option<String>,
}

impl From<ChargeLine> for ChargeView {
    fn from(line: ChargeLine) -> ChargeView {
        let (connection_id, file_id) = match line.source {
            ChargeSource::Connection(id) => (Some(id.to_string()), None),
            ChargeSource::File(id) => (None, Some(id.to_string())),
        };
        let charge = line.charge;
        let money = |femtos| money_text(femtos, charge.currency);
        ChargeView {
            id: line.id,
            provider: line.provider.to_string(),
            account: line.account,
            connection_id,
            file_id,
            feed: line.feed,
            superseded: line.is_superseded,
            period_start: charge.period_start.to_string(),
            period_end: charge.period_end.to_string(),
            category: charge.category.as_str(),
            service: charge.service.map(Text::into_owned),
            model: charge.model.map(Text::into_owned),
            sub_account: charge.sub_account.map(Text::into_owned),
            api_key: charge.api_key.map(Text::into_owned),
            currency: charge.currency.to_string(),
            billed_cost: money(charge.billed_cost),
            effective_cost: money(charge.effective_cost),
            list_cost: money(charge.list_cost),
            consumed_quantity: charge.consumed_quantity.map(Number),
            consumed_unit: charge.consumed_unit.map(Text::into_owned),
            pricing_quantity: charge.pricing_quantity.map(Number),
            pricing_unit: charge.pricing_unit.map(Text::into_owned),
            service_name: charge.service_name.map(Text::into_owned),
            sku: charge.sku.map(Text::into_owned),
            description: charge.description.map(Text::into_owned),
            billed_cost_text: charge.billed_cost_text.map(Text::into_owned),
        }
    }
}

fn money_text(femtos: Option<i128>, currency: Currency) -> Option<String> {
    let money = Money::from_femtos(femtos?, currency);
    Some(money.expect("a stored charge is within range").to_string())
}
