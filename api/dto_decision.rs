//! The decision that refused something, as plain data: which policy, and its numbers.

use engine::decision::PolicyRefusal;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use domain::PolicyId;

use crate::{
    amount::{Amount, unit_name},
    dto_policy::mode_name,
    instants::text_of,
};

/// Which policy said no. Where it lacked a price or a figure, its numbers do not matter and are not
/// told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DecisionView {
    /// The policy.
    policy_id: String,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    numbers: Option<DecisionNumbers>,
}

/// The numbers of a policy that said no.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DecisionNumbers {
    /// Its path; empty: the environment.
    path: String,
    /// `block` or `strict`.
    mode: &'static str,
    /// What it counts: `usd`, `credits`, `requests` or `tokens`.
    unit: &'static str,
    /// First instant of the window; null where it has none.
    #[schema(format = DateTime)]
    window_start: Option<String>,
    /// How much may be used.
    limit: Amount,
    /// What was used.
    used: Amount,
    /// What other reservations keep free.
    held: Amount,
    /// What is left; never below zero.
    remaining: Amount,
    /// What was asked for.
    asked: Amount,
    /// When there may be room again; null where the window never ends.
    #[schema(format = DateTime)]
    resets_at: Option<String>,
}

impl DecisionView {
    /// A policy without its numbers.
    pub(crate) fn of_policy(id: u128) -> DecisionView {
        let policy_id = PolicyId::from_uuid(Uuid::from_u128(id)).to_string();
        DecisionView { policy_id, numbers: None }
    }
}

impl From<&PolicyRefusal> for DecisionView {
    fn from(refusal: &PolicyRefusal) -> DecisionView {
        let amount = |value| Amount { unit: refusal.unit, value };
        let left = refusal.limit.saturating_sub(refusal.used).saturating_sub(refusal.held);
        let start = (refusal.window_start > i64::MIN).then_some(refusal.window_start);
        let numbers = DecisionNumbers {
            path: refusal.path.clone(),
            mode: mode_name(refusal.mode),
            unit: unit_name(refusal.unit),
            window_start: start.and_then(text_of),
            limit: amount(refusal.limit),
            used: amount(refusal.used),
            held: amount(refusal.held),
            remaining: amount(left.max(0)),
            asked: amount(refusal.asked),
            resets_at: refusal.resets_at.and_then(text_of),
        };
        DecisionView { numbers: Some(numbers), ..DecisionView::of_policy(refusal.policy) }
    }
}
