//! Reservations as plain data.

use domain::{PolicyId, ReservationId};
use serde::Serialize;
use shards::{BookedAnswer, HeldAnswer, HeldOn, ReservationView as Seen};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    amount::{Amount, unit_name},
    answer_text::Text,
    dto_policy::policy_id,
    dto_track::CostTold,
    instants::text_of,
    schemas,
};

// Answers are written by `held_text`, to the same bytes.
/// A reservation that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldView {
    /// Id.
    id: String,
    #[schema(value_type = schemas::ReservationState)]
    state: &'static str,
    /// What is held on each policy that matches.
    held: Vec<HeldOnView>,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// `bypassed`: admitted without a price or figure, as a policy says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
}

/// What is held on one policy.
#[derive(Debug, Serialize, ToSchema)]
struct HeldOnView {
    policy_id: String,
    #[schema(value_type = schemas::LimitUnit)]
    unit: &'static str,
    amount: Amount,
}

/// A reservation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReservationView {
    /// Id.
    id: String,
    #[schema(value_type = schemas::ReservationState)]
    state: String,
    /// Where it is spent; empty: the environment itself.
    path: String,
    /// Who sells it, where that was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    service: String,
    /// Which model, by its canonical name, where that was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    model: String,
    /// What it holds on each policy, while it is open.
    held: Vec<HeldOnView>,
    /// When it ends by itself; null where it has ended otherwise.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it ended; null while it is open.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

/// A reservation that ended with spend.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommittedView {
    /// Id.
    id: String,
    #[schema(value_type = schemas::ReservationState)]
    state: &'static str,
    /// Where it was booked.
    path: String,
    /// Who sold it, where that was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    service: String,
    /// Which model, by its canonical name, where that was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    model: String,
    /// What was booked, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    /// True where something of it has no price: at least what was held is booked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
    /// True where the reservation's time was over: booked without a hold.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    /// What people should know: `late`, `incomplete`, `over_estimate`, `path_limit`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
}

/// A reservation that goes on, or ended without spend.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReservationStateView {
    /// Id.
    id: String,
    #[schema(value_type = schemas::ReservationState)]
    state: &'static str,
    /// When it ends by itself; absent where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The text of a reservation's id.
pub(crate) fn reservation_id(id: u128) -> String {
    id_of(id).text().to_string()
}

fn id_of(id: u128) -> ReservationId {
    ReservationId::from_uuid(Uuid::from_u128(id))
}

impl From<HeldOn> for HeldOnView {
    fn from(held: HeldOn) -> HeldOnView {
        let HeldOn { policy, unit, amount } = held;
        let amount = Amount { unit, value: amount };
        HeldOnView { policy_id: policy_id(policy), unit: unit_name(unit), amount }
    }
}

/// The text of a reservation that was just made.
pub(crate) fn held_text(held: &HeldAnswer) -> Text {
    let mut text = Text::with_room(HELD_BYTES.saturating_mul(held.held.len().saturating_add(1)));
    text.raw("{\"id\":\"");
    text.bytes.extend_from_slice(id_of(held.reservation).text().bytes());
    text.raw("\",\"state\":\"held\",\"held\":[");
    for (index, on) in held.held.iter().enumerate() {
        text.raw(if index == 0 { "{\"policy_id\":\"" } else { ",{\"policy_id\":\"" });
        let id = PolicyId::from_uuid(Uuid::from_u128(on.policy));
        text.bytes.extend_from_slice(id.text().bytes());
        text.raw("\",\"unit\":\"");
        text.raw(unit_name(on.unit));
        text.raw("\",\"amount\":");
        text.amount(Amount { unit: on.unit, value: on.amount });
        text.raw("}");
    }
    text.raw("],\"expires_at\":");
    text.instant(Some(held.expires_at));
    for (index, flag) in held.flags.iter().enumerate() {
        text.raw(if index == 0 { ",\"flags\":[" } else { "," });
        text.string(flag);
    }
    text.raw(if held.flags.is_empty() { "}" } else { "]}" });
    text
}

/// What one policy takes, roughly.
const HELD_BYTES: usize = 96;

#[cfg(test)]
impl From<HeldAnswer> for HeldView {
    fn from(held: HeldAnswer) -> HeldView {
        HeldView {
            id: reservation_id(held.reservation),
            state: "held",
            held: held.held.into_iter().map(HeldOnView::from).collect(),
            expires_at: text_of(held.expires_at),
            flags: held.flags,
        }
    }
}

impl From<Seen> for ReservationView {
    fn from(seen: Seen) -> ReservationView {
        ReservationView {
            id: reservation_id(seen.id),
            state: seen.state,
            path: seen.path,
            service: seen.service,
            model: seen.model,
            held: seen.held.into_iter().map(HeldOnView::from).collect(),
            expires_at: seen.expires_at.and_then(text_of),
            ended_at: seen.ended_at.and_then(text_of),
        }
    }
}

impl CommittedView {
    /// What was booked for a reservation, with marks of its reading.
    pub(crate) fn new(id: u128, booked: BookedAnswer, marks: Vec<String>) -> CommittedView {
        let names = (booked.path.clone(), booked.service.clone(), booked.model.clone());
        let (path, service, model) = names;
        let CostTold { cost, unpriced, flags } = CostTold::new(booked, marks);
        let (id, late) = (reservation_id(id), flags.iter().any(|flag| flag == "late"));
        let state = "committed";
        CommittedView { id, state, path, service, model, cost, unpriced, late, flags }
    }
}

impl CommittedView {
    /// A commit of which only that it happened is still known.
    pub(crate) fn long_ago(seen: Seen) -> CommittedView {
        CommittedView {
            id: reservation_id(seen.id),
            state: "committed",
            path: seen.path,
            service: seen.service,
            model: seen.model,
            cost: None,
            unpriced: false,
            late: false,
            flags: vec![],
        }
    }
}

impl ReservationStateView {
    /// It ended without spend.
    pub(crate) fn released(id: u128) -> ReservationStateView {
        ReservationStateView { id: reservation_id(id), state: "released", expires_at: None }
    }

    /// It goes on until then.
    pub(crate) fn extended(id: u128, expires_at: engine::Micros) -> ReservationStateView {
        let expires_at = text_of(expires_at);
        ReservationStateView { id: reservation_id(id), state: "held", expires_at }
    }
}

#[cfg(test)]
mod tests {
    use engine::policy::Unit;

    use super::*;

    #[test]
    fn the_text_is_what_the_plain_data_serializes_to() {
        for number in 0..60_u64 {
            let units = [Unit::Usd, Unit::Credits, Unit::Requests, Unit::Tokens];
            let on = (0..number % 5).zip(units.iter().cycle()).map(|(more, unit)| HeldOn {
                policy: u128::from(number * 7 + more) << 70,
                unit: *unit,
                amount: i128::from(number).pow(9) + i128::from(more),
            });
            let held = HeldAnswer {
                reservation: u128::from(number) << 64 | 5,
                held: on.collect(),
                expires_at: i64::try_from(number).unwrap() * 1_234_567_891_011,
                flags: (0..number % 3).map(|flag| format!("flag \"{flag}\"")).collect(),
            };
            let text = String::from_utf8(held_text(&held).bytes).unwrap();
            assert_eq!(text, serde_json::to_string(&HeldView::from(held)).unwrap());
        }
    }
}
