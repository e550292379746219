//! A total order of charges, so that the same data is the same bytes whatever order a provider
//! sends it in.

use std::cmp::Ordering;

use domain::Charge;

/// Orders by day and names first, then by everything else.
pub(crate) fn total_order(left: &Charge<'_>, right: &Charge<'_>) -> Ordering {
    names(left)
        .cmp(&names(right))
        .then_with(|| amounts(left).cmp(&amounts(right)))
        .then_with(|| texts(left).cmp(&texts(right)))
}

fn names<'a>(charge: &'a Charge<'_>) -> impl Ord + use<'a> {
    let text = |text: &'a Option<domain::charge::Text<'_>>| text.as_deref();
    (
        (charge.period_start, charge.period_end, charge.category),
        (text(&charge.service), text(&charge.model), text(&charge.sku)),
        (text(&charge.sub_account), text(&charge.api_key), text(&charge.consumed_unit)),
    )
}

fn amounts<'a>(charge: &'a Charge<'_>) -> impl Ord + use<'a> {
    (
        (charge.currency, charge.billed_cost, charge.effective_cost, charge.list_cost),
        (charge.consumed_quantity, charge.pricing_quantity),
    )
}

fn texts<'a>(charge: &'a Charge<'_>) -> impl Ord + use<'a> {
    let text = |text: &'a Option<domain::charge::Text<'_>>| text.as_deref();
    (
        (text(&charge.pricing_unit), text(&charge.service_name)),
        (text(&charge.description), text(&charge.billed_cost_text)),
    )
}
