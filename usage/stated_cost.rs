//! What providers say that a call costs, exactly.
//!
//! * OpenRouter: `cost`, in credits, which are US dollars. With the customer's own key the provider
//!   bills `upstream_inference_cost` besides; else that is what `cost` is made of.
//!   <https://openrouter.ai/docs/use-cases/usage-accounting>
//! * Perplexity: `cost.total_cost`, US dollars unless it has a `currency`.
//! * xAI: `cost_in_usd_ticks`, of which 10¹⁰ are a dollar.
//!   <https://docs.x.ai/developers/cost-tracking>
//! * DeepInfra: `estimated_cost`, US dollars.

use domain::{Currency, Money};

use crate::{
    draft::Draft,
    error::RawUsageError,
    reading::{FlagKind, StatedCost},
    wire::Object,
};

/// One tick in 10⁻¹⁵ dollars.
const TICK_FEMTOS: i128 = 100_000;

const UNREADABLE: &str = "the stated cost is no amount of money";

const ZERO: &str = "a stated cost of zero is not to be trusted";

/// Takes the cost that a block of usage states, if it does.
pub(crate) fn read(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    for (key, of) in [
        ("cost_in_usd_ticks", ticks as fn(&Object<'_>, &str) -> Option<StatedCost>),
        ("cost", cost),
        ("estimated_cost", dollars),
    ] {
        if !block.has(key) {
            continue;
        }
        let at = block.at_field(key);
        let Some(stated) = of(block, key) else {
            return draft.contradict_as(FlagKind::StatedCostUnreadable, &at, UNREADABLE);
        };
        if stated.amount.femtos() == 0 {
            draft.note(FlagKind::StatedCostZero, &at, ZERO);
        }
        if block.is_true("is_byok") && !names_upstream(block) {
            let detail = "the customer's own key was used, and what its provider bills is not said";
            draft.note(FlagKind::LowerBound, &at, detail);
        }
        draft.stated_cost = Some(stated);
        break;
    }
    Ok(())
}

/// Takes a cost in US dollars that is said by itself, as spans do.
pub(crate) fn take_dollars(text: &str, at: &str, draft: &mut Draft) {
    match amount_of(text, Currency::USD) {
        None => draft.note(FlagKind::StatedCostUnreadable, at, UNREADABLE),
        Some(stated) => {
            if stated.amount.femtos() == 0 {
                draft.note(FlagKind::StatedCostZero, at, ZERO);
            }
            draft.stated_cost = Some(stated);
        }
    }
}

fn ticks(block: &Object<'_>, key: &str) -> Option<StatedCost> {
    let ticks = block.count(key).ok()??.count;
    let femtos = i128::from(ticks).checked_mul(TICK_FEMTOS)?;
    let amount = Money::from_femtos(femtos, Currency::USD)?;
    Some(StatedCost { amount, residue: 0 })
}

fn cost(block: &Object<'_>, key: &str) -> Option<StatedCost> {
    if let Some(parts) = block.aside(key) {
        let currency = match parts.text("currency") {
            Some(code) => Currency::parse(&code)?,
            None => Currency::USD,
        };
        return amount(&parts, "total_cost", currency);
    }
    let cost = dollars(block, key)?;
    if !block.is_true("is_byok") || !names_upstream(block) {
        return Some(cost);
    }
    let upstream = dollars(&block.aside("cost_details")?, "upstream_inference_cost")?;
    Some(StatedCost {
        amount: cost.amount.checked_add(upstream.amount)?,
        residue: cost.residue.checked_add(upstream.residue)?,
    })
}

fn names_upstream(block: &Object<'_>) -> bool {
    block.aside("cost_details").is_some_and(|details| details.has("upstream_inference_cost"))
}

fn dollars(object: &Object<'_>, key: &str) -> Option<StatedCost> {
    amount(object, key, Currency::USD)
}

fn amount(object: &Object<'_>, key: &str, currency: Currency) -> Option<StatedCost> {
    amount_of(object.number_text(key)?, currency)
}

fn amount_of(text: &str, currency: Currency) -> Option<StatedCost> {
    let (amount, residue) = Money::parse_rounded(text, currency).ok()?;
    (amount.femtos() >= 0).then_some(StatedCost { amount, residue })
}
