//! Whether a call may be made, as plain data.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{dto_policy::StandingView, error::Code, schemas};

// Answers are written by `check_text`, to the same bytes.
/// Whether a call may be made now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckView {
    /// Whether.
    pub(crate) allowed: bool,
    /// The mode that decided: that of the policy which says no, or else the hardest of those that
    /// were asked; `open` where there is none.
    #[schema(value_type = schemas::PolicyMode)]
    pub(crate) mode: &'static str,
    /// A strict policy counts the call: reserve before it is made.
    pub(crate) reservation_required: bool,
    /// True where the model has no price and a strict policy needs one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unpriced: bool,
    /// How long ago it was sure that nothing newer is there, where that is more than two seconds:
    /// then each policy's `on_unavailable` decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stale_ms: Option<u64>,
    /// Why not: `quota_exceeded`, `unpriced`, `unavailable`, `path_archived` or `service_mismatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Code>,
    /// The policy that says no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<StandingView>,
    /// All policies that the call meets, the nearest first.
    pub(crate) policies: Vec<StandingView>,
}

#[cfg(test)]
impl From<&crate::check::Verdict<'_>> for CheckView {
    fn from(verdict: &crate::check::Verdict<'_>) -> CheckView {
        CheckView {
            allowed: verdict.reason.is_none(),
            mode: verdict.mode,
            reservation_required: verdict.reservation_required,
            unpriced: verdict.unpriced,
            stale_ms: verdict.stale_ms,
            reason: verdict.reason,
            policy: verdict.policy.map(StandingView::from),
            policies: verdict.policies.iter().map(StandingView::from).collect(),
        }
    }
}
