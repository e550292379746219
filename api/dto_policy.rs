//! Policies as plain data: what they are and how they stand.

use domain::PolicyId;
use engine::policy::{Alert, Mode, PolicyRecord, Threshold, Window};
use serde::Serialize;
use shards::PolicyStanding;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    amount::{Amount, unit_name},
    instants::text_of,
    iso_duration::{cycle_text, length_text},
    json_number::Thousandths,
    schemas,
};

/// A limit on what a path and everything below it may consume in a window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyView {
    /// Id.
    id: String,
    /// The path that it counts, with everything below; empty: the environment.
    path: String,
    /// What it counts of that; empty: everything.
    scope: ScopeView,
    /// How much.
    limit: LimitView,
    /// In which window.
    window: WindowView,
    /// How hard it is.
    #[schema(value_type = schemas::PolicyMode)]
    mode: &'static str,
    /// What is answered while nobody can tell how much is used.
    #[schema(value_type = schemas::OnUnavailable)]
    on_unavailable: &'static str,
    /// When people are told.
    alerts: Vec<AlertView>,
    /// `opening` until what its window had used before it was made is entered: it refuses nothing
    /// yet. Then `active`.
    #[schema(value_type = schemas::PolicyState)]
    state: &'static str,
    /// How it stands.
    progress: ProgressView,
    /// The same beside it, as checks and reports tell it.
    #[serde(flatten)]
    standing: ProgressView,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

/// What a policy counts.
#[derive(Debug, Serialize, ToSchema)]
struct ScopeView {
    /// Only what this service sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// Only this model, by its canonical name.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// How much, of what.
#[derive(Debug, Serialize, ToSchema)]
struct LimitView {
    #[schema(value_type = schemas::LimitUnit)]
    unit: &'static str,
    amount: Amount,
}

/// A window.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum WindowView {
    /// A period of the organization's calendar.
    Calendar {
        /// Which period.
        #[schema(value_type = schemas::CalendarUnit)]
        unit: &'static str,
    },
    /// A billing cycle.
    Anchored {
        /// How long a cycle is, ISO 8601.
        every: String,
        /// The first boundary.
        #[schema(format = DateTime)]
        anchor: Option<String>,
    },
    /// Opens at its first use.
    Session {
        /// How long it lasts, ISO 8601.
        duration: String,
    },
    /// The last so long.
    Sliding {
        /// How long, ISO 8601.
        duration: String,
    },
    /// Never resets.
    Total,
}

/// When people are told.
#[derive(Debug, Serialize, ToSchema)]
struct AlertView {
    /// At so many percent of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_percent: Option<Thousandths>,
    /// At so much, in the limit's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_amount: Option<Amount>,
    /// By which channels; none are the organization's own.
    channels: Vec<String>,
}

/// How a policy stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProgressView {
    /// What was spent in the window.
    used: Amount,
    /// What open reservations keep free in it.
    held: Amount,
    /// What is left; never below zero.
    remaining: Amount,
    /// First instant of the window; null where none is open.
    #[schema(format = DateTime)]
    window_start: Option<String>,
    /// When there is room again by itself; null where that never happens.
    #[schema(format = DateTime)]
    resets_at: Option<String>,
    /// How full: `healthy`, `warning` from 80 %, `critical` from 95 %, `over` from 100 % on.
    #[schema(value_type = schemas::Health)]
    health: String,
}

/// A policy as checks and reports tell of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingView {
    /// Id.
    policy_id: String,
    /// The path that it counts, with everything below; empty: the environment.
    path: String,
    /// What it counts of that.
    scope: ScopeView,
    /// How hard it is.
    #[schema(value_type = schemas::PolicyMode)]
    mode: &'static str,
    /// What it counts.
    #[schema(value_type = schemas::LimitUnit)]
    unit: &'static str,
    /// How much may be used.
    limit: Amount,
    /// What was spent in the window.
    used: Amount,
    /// What open reservations keep free in it.
    held: Amount,
    /// What is left; never below zero.
    remaining: Amount,
    /// When there is room again by itself.
    #[schema(format = DateTime)]
    resets_at: Option<String>,
}

/// The name of a mode in the API.
pub(crate) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Open => "open",
        Mode::Block => "block",
        Mode::Strict => "strict",
    }
}

/// The text of a policy's id.
pub(crate) fn policy_id(id: u128) -> String {
    PolicyId::from_uuid(Uuid::from_u128(id)).text().to_string()
}

/// What is left; never below zero.
pub(crate) fn remaining(standing: &PolicyStanding) -> i128 {
    let limit = standing.record.limit;
    limit.saturating_sub(standing.used).saturating_sub(standing.held).max(0)
}

fn scope(record: &PolicyRecord) -> ScopeView {
    let said = |name: &String| (!name.is_empty()).then(|| name.clone());
    ScopeView { service: said(&record.service), model: said(&record.model) }
}

impl From<PolicyStanding> for PolicyView {
    fn from(standing: PolicyStanding) -> PolicyView {
        let record = &standing.record;
        let amount = |value| Amount { unit: record.unit, value };
        let progress = ProgressView {
            used: amount(standing.used),
            held: amount(standing.held),
            remaining: amount(remaining(&standing)),
            window_start: standing.window_start.and_then(text_of),
            resets_at: standing.resets_at.and_then(text_of),
            health: standing.health.as_str().to_owned(),
        };
        PolicyView {
            id: policy_id(record.id),
            path: record.path.clone(),
            scope: scope(record),
            limit: LimitView { unit: unit_name(record.unit), amount: amount(record.limit) },
            window: record.window.into(),
            mode: mode_name(record.mode),
            on_unavailable: if record.allow_on_unavailable { "allow" } else { "refuse" },
            alerts: record.alerts.iter().map(|alert| AlertView::new(alert, record)).collect(),
            state: if standing.is_opening { "opening" } else { "active" },
            progress: progress.clone(),
            standing: progress,
            created_at: text_of(record.created_at),
        }
    }
}

impl AlertView {
    fn new(alert: &Alert, record: &PolicyRecord) -> AlertView {
        let (at_percent, at_amount) = match alert.at {
            Threshold::Percent(millipercent) => (Some(Thousandths(millipercent)), None),
            Threshold::Amount(value) => (None, Some(Amount { unit: record.unit, value })),
        };
        AlertView { at_percent, at_amount, channels: alert.channels.clone() }
    }
}

impl From<Window> for WindowView {
    fn from(window: Window) -> WindowView {
        use domain::policy::WindowRule;
        match WindowRule::from(window) {
            WindowRule::Calendar(unit) => WindowView::Calendar { unit: unit.as_str() },
            WindowRule::Anchored { months, days, anchor_at } => {
                WindowView::Anchored { every: cycle_text(months, days), anchor: text_of(anchor_at) }
            }
            WindowRule::Session { micros } => WindowView::Session { duration: length_text(micros) },
            WindowRule::Sliding { micros } => WindowView::Sliding { duration: length_text(micros) },
            WindowRule::Total => WindowView::Total,
        }
    }
}

impl From<&PolicyStanding> for StandingView {
    fn from(standing: &PolicyStanding) -> StandingView {
        let record = &standing.record;
        let amount = |value| Amount { unit: record.unit, value };
        StandingView {
            policy_id: policy_id(record.id),
            path: record.path.clone(),
            scope: scope(record),
            mode: mode_name(record.mode),
            unit: unit_name(record.unit),
            limit: amount(record.limit),
            used: amount(standing.used),
            held: amount(standing.held),
            remaining: amount(remaining(standing)),
            resets_at: standing.resets_at.and_then(text_of),
        }
    }
}
