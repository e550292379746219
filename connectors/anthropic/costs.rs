//! The feed `costs`: what each day cost, by workspace and description.
//!
//! <https://platform.claude.com/docs/en/api/admin/cost_report/retrieve>

use std::borrow::Cow;

use domain::{Charge, ChargeCategory, Currency, Money, fixed::AmountError};
use serde::Deserialize;

use super::{COSTS, DESCRIPTOR, WireBucket, conditions, get, query, workspace};
use crate::{
    ConnectorError, Context, Page, PageRequest,
    day_buckets::{Cursor, Day, WireNumber, WireText, number_text, read_page, said},
};

const PATH: &str = "/v1/organizations/cost_report";
const GROUP_BY: &[&str] = &["workspace_id", "description"];

pub(super) async fn fetch_page(
    ctx: &Context<'_>,
    request: &PageRequest,
) -> Result<Page, ConnectorError> {
    let cursor = Cursor::of(&DESCRIPTOR, request)?;
    let query = query(request.window, GROUP_BY, cursor.as_ref());
    let answer = get(ctx, COSTS, PATH, &query).await?;
    read_page::<WireBucket<WireCost<'_>>>(&DESCRIPTOR, ctx, request, false, &answer.body, read_cost)
}

#[derive(Deserialize)]
struct WireCost<'a> {
    #[serde(borrow)]
    amount: WireNumber<'a>,
    currency: Option<String>,
    #[serde(borrow)]
    cost_type: WireText<'a>,
    #[serde(borrow)]
    token_type: WireText<'a>,
    #[serde(borrow)]
    description: WireText<'a>,
    #[serde(borrow)]
    model: WireText<'a>,
    #[serde(borrow)]
    service_tier: WireText<'a>,
    #[serde(borrow)]
    context_window: WireText<'a>,
    #[serde(borrow)]
    inference_geo: WireText<'a>,
    #[serde(borrow)]
    workspace_id: WireText<'a>,
}

impl WireCost<'_> {
    /// What was sold: the kind of token, or of cost, and what changes its price.
    fn sku(&self) -> Option<Cow<'static, str>> {
        let sold = self.token_type.as_deref().or(self.cost_type.as_deref());
        let conditions = conditions(&self.service_tier, &self.context_window, &self.inference_geo);
        let parts: Vec<&str> = sold.into_iter().chain(conditions).collect();
        (!parts.is_empty()).then(|| Cow::Owned(parts.join(", ")))
    }
}

/// Adds a line to its day. One whose amount cannot be read is named in an issue, and its day stays
/// incomplete: money must not go missing in silence. One that costs nothing is left out.
fn read_cost(day: &mut Day<'_>, wire: WireCost<'_>) {
    let label = wire.description.as_deref().unwrap_or("without a description").to_owned();
    let Some((cost, text)) = read_amount(day, &wire, &label) else {
        return;
    };
    if cost.femtos() == 0 {
        return;
    }
    let mut charge = Charge::empty(day.window.start, day.window.end, cost.currency());
    if cost.femtos() < 0 {
        charge.category = ChargeCategory::Credit;
    }
    charge.service = Some(Cow::Borrowed("anthropic"));
    charge.sku = wire.sku();
    charge.model = said(wire.model);
    charge.sub_account = workspace(wire.workspace_id);
    charge.description = said(wire.description);
    charge.billed_cost = Some(cost.femtos());
    charge.billed_cost_text = text.map(Cow::Owned);
    day.push(charge);
}

/// The amount, and its text where that is finer than what is kept.
fn read_amount(
    day: &mut Day<'_>,
    wire: &WireCost<'_>,
    label: &str,
) -> Option<(Money, Option<String>)> {
    let Some(cents) = wire.amount.map(number_text) else {
        day.unreadable(&format!("a cost ({label}) has no amount"));
        return None;
    };
    let code = wire.currency.as_deref().unwrap_or_default();
    let Some(currency) = Currency::parse(code) else {
        day.unreadable(&format!("a cost ({label}) of {cents} is in the unknown currency `{code}`"));
        return None;
    };
    let whole = from_cents(cents);
    match Money::parse_rounded(&whole, currency) {
        Ok((cost, _)) => {
            let is_finer = Money::parse_exact(&whole, currency) == Err(AmountError::TooPrecise);
            Some((cost, is_finer.then_some(whole)))
        }
        Err(error) => {
            day.unreadable(&format!("a cost ({label}) cannot be read: {error}"));
            None
        }
    }
}

/// Cents as a text in whole units: two powers of ten less. What is no number stays none.
fn from_cents(cents: &str) -> String {
    match cents.split_once(['e', 'E']) {
        None => format!("{cents}e-2"),
        Some((digits, power)) => match power.parse::<i32>() {
            Ok(power) => format!("{digits}e{}", power.saturating_sub(2)),
            Err(_) => cents.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_moved_by_two_places_as_text() {
        for (cents, dollars) in [
            ("123.45", "1.2345"),
            ("123.78912", "1.2378912"),
            ("0.1", "0.001"),
            ("-5", "-0.05"),
            ("1e3", "10"),
            ("1E-2", "0.0001"),
            ("0.0000000000001", "0.000000000000001"),
        ] {
            let exact = |text: &str| Money::parse_exact(text, Currency::USD).unwrap();
            assert_eq!(exact(&from_cents(cents)), exact(dollars), "{cents}");
        }
        for bad in ["", "abc", "1e", "1.2.3", "e5"] {
            assert!(Money::parse_rounded(&from_cents(bad), Currency::USD).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_as_usual_is_not_in_the_sku() {
        let sku_of = |json: &str| {
            let wire: WireCost<'_> = serde_json::from_str(json).unwrap();
            wire.sku().map(Cow::into_owned)
        };
        assert_eq!(sku_of("{}"), None);
        assert_eq!(sku_of(r#"{"cost_type":"web_search"}"#).as_deref(), Some("web_search"));
        let long = r#"{"cost_type":"tokens","token_type":"output_tokens","service_tier":"batch",
            "context_window":"200k-1M","inference_geo":"us"}"#;
        assert_eq!(sku_of(long).as_deref(), Some("output_tokens, batch, 200k-1M, us"));
    }
}
