//! The feed `costs`: what each day cost, by project, line item and, where OpenAI allows it, API
//! key.
//!
//! <https://platform.openai.com/docs/api-reference/usage/costs>

use std::borrow::Cow;

use domain::{Charge, ChargeCategory, Currency, Money, Quantity};
use serde::Deserialize;

use super::{
    COSTS, COSTS_PATH, get,
    wire::{cursor_of, query, read_page},
};
use crate::{
    ConnectorError, Context, ErrorKind, Page, PageRequest,
    day_buckets::{Day, WireNumber, WireText, number_text, said},
};

const BY_KEY: &[&str] = &["project_id", "line_item", "api_key_id"];
const WITHOUT_KEY: &[&str] = &["project_id", "line_item"];

pub(super) async fn fetch_page(
    ctx: &Context<'_>,
    request: &PageRequest,
) -> Result<Page, ConnectorError> {
    let cursor = cursor_of(request)?;
    let ask = async |by_key: bool| {
        let group_by = if by_key { BY_KEY } else { WITHOUT_KEY };
        get(ctx, COSTS, COSTS_PATH, &query(request.window, group_by, cursor.as_ref())).await
    };
    let by_key = cursor.as_ref().is_none_or(|cursor| cursor.by_key);
    let answer = ask(by_key).await;
    let refused = answer.as_ref().err().map(ConnectorError::kind) == Some(ErrorKind::BadRequest);
    // Only a first page may change its mind: the cursor of a later one belongs to its grouping.
    if !refused || cursor.is_some() {
        return read_page(ctx, request, by_key, &answer?.body, read_cost);
    }
    let answer = ask(false).await?;
    let mut page = read_page(ctx, request, false, &answer.body, read_cost)?;
    let (first, last) = request.window.days();
    page.issues.push(format!(
        "OpenAI refuses costs by API key from {first} through {last}: these charges name no key"
    ));
    Ok(page)
}

#[derive(Deserialize)]
struct WireCost<'a> {
    #[serde(borrow)]
    amount: Option<WireAmount<'a>>,
    #[serde(borrow)]
    line_item: WireText<'a>,
    #[serde(borrow)]
    project_id: WireText<'a>,
    #[serde(borrow)]
    api_key_id: WireText<'a>,
    #[serde(borrow)]
    quantity: WireNumber<'a>,
    #[serde(borrow)]
    quantity_unit: WireText<'a>,
}

#[derive(Deserialize)]
struct WireAmount<'a> {
    #[serde(borrow)]
    value: WireNumber<'a>,
    currency: Option<String>,
}

/// Adds a line to its day. One whose amount cannot be read is named in an issue, and its day stays
/// incomplete: money must not go missing in silence. One that costs nothing and counts nothing is
/// left out, as OpenAI leaves out days without use.
fn read_cost(day: &mut Day<'_>, wire: WireCost<'_>) {
    let label = wire.line_item.as_deref().unwrap_or("without a line item").to_owned();
    let Some((cost, text)) = read_amount(day, wire.amount.as_ref(), &label) else {
        return;
    };
    let quantity = read_quantity(day, wire.quantity, &label);
    if cost.femtos() == 0 && quantity.is_none_or(|quantity| quantity == Quantity::ZERO) {
        return;
    }
    let (start, end) = (day.window.start, day.window.end);
    let mut charge = Charge::empty(start, end, cost.currency());
    if cost.femtos() < 0 {
        charge.category = ChargeCategory::Credit;
    }
    charge.service = Some(Cow::Borrowed("openai"));
    charge.model =
        wire.line_item.as_deref().and_then(model_of).map(|model| Cow::Owned(model.into()));
    charge.sku = said(wire.line_item);
    charge.sub_account = said(wire.project_id);
    charge.api_key = said(wire.api_key_id);
    charge.billed_cost = Some(cost.femtos());
    charge.billed_cost_text = text.map(Cow::Owned);
    charge.pricing_quantity = quantity;
    charge.pricing_unit = said(wire.quantity_unit);
    day.push(charge);
}

/// The amount, and its text where that is finer than what is kept.
fn read_amount(
    day: &mut Day<'_>,
    amount: Option<&WireAmount<'_>>,
    label: &str,
) -> Option<(Money, Option<String>)> {
    let value = amount.and_then(|amount| amount.value);
    let (Some(amount), Some(value)) = (amount, value) else {
        day.unreadable(&format!("a cost ({label}) has no amount"));
        return None;
    };
    let text = number_text(value);
    let code = amount.currency.as_deref().unwrap_or_default();
    let Some(currency) = Currency::parse(code) else {
        day.unreadable(&format!("a cost ({label}) of {text} is in the unknown currency `{code}`"));
        return None;
    };
    match Money::parse_rounded(text, currency) {
        Ok((cost, _)) => {
            let is_exact = Money::parse_exact(text, currency).is_ok();
            Some((cost, (!is_exact).then(|| text.to_owned())))
        }
        Err(error) => {
            day.unreadable(&format!("a cost ({label}) cannot be read: {error}"));
            None
        }
    }
}

fn read_quantity(day: &mut Day<'_>, number: WireNumber<'_>, label: &str) -> Option<Quantity> {
    match Quantity::parse_rounded(number_text(number?)) {
        Ok(quantity) => Some(quantity),
        Err(error) => {
            day.note(&format!("the quantity of a cost ({label}) cannot be read: {error}"));
            None
        }
    }
}

/// The model in a line item such as `gpt-4o-2024-08-06, input`: a label, never a ground for sums.
fn model_of(line_item: &str) -> Option<&str> {
    let (model, _) = line_item.rsplit_once(", ")?;
    (!model.is_empty()).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_items_name_a_model_only_before_a_comma() {
        for (line_item, model) in [
            ("gpt-4o-2024-08-06, input", Some("gpt-4o-2024-08-06")),
            ("ft:gpt-4o, acme, cached input", Some("ft:gpt-4o, acme")),
            ("web search tool calls", None),
            (", input", None),
            ("", None),
        ] {
            assert_eq!(model_of(line_item), model, "{line_item}");
        }
    }
}
