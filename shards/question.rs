//! Questions: what can be asked of a shard without changing it, and what it says. Both travel
//! between nodes, since only a shard's home has it in memory.

use std::sync::Arc;

use engine::command::{Ended, EndedHow, Micros};
use engine::policy::{PolicyRecord, shared};
use engine::state::PathNode;
use engine::{Health, PolicyView, State};
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// May a call be made at this path now? Empty names are not said.
    Check {
        /// Where.
        path: String,
        /// Who sells it.
        service: String,
        /// The canonical model.
        model: String,
    },
    /// Policies of a path and of everything below it; of all where there is no path.
    Policies {
        /// Where.
        path: Option<String>,
    },
    /// One policy.
    Policy(u128),
    /// A path and everything below it, in the order of the text.
    Paths {
        /// Where; the environment itself is empty.
        below: String,
    },
    /// One path.
    Path(String),
    /// One reservation, open or ended. One that was committed long ago is where its spend was
    /// booked.
    Reservation(u128),
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// To `Check`.
    Check(CheckView),
    /// To `Policies` and `Policy` (one or none).
    Policies(Vec<PolicyStanding>),
    /// To `Paths` and `Path` (one or none).
    Paths(Vec<PathView>),
    /// To `Reservation`.
    Reservation(Option<ReservationView>),
}

/// Whether a call may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckView {
    /// All policies that it meets, the nearest first.
    pub policies: Vec<PolicyStanding>,
    /// The path, or one above it, is archived.
    pub is_archived: bool,
    /// The path takes another service, this one.
    pub other_service: Option<String>,
}

/// A policy as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStanding {
    /// What it is.
    #[serde(with = "shared")]
    pub record: Arc<PolicyRecord>,
    /// Whether it waits for what its window had used before it was made.
    pub is_opening: bool,
    /// What was spent in the window.
    pub used: i128,
    /// What open reservations keep free in it.
    pub held: i128,
    /// The window's start.
    pub window_start: Option<Micros>,
    /// When there is room again by itself.
    pub resets_at: Option<Micros>,
    /// Whether nothing more may be begun under it.
    pub is_exhausted: bool,
    /// How full.
    pub health: Health,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathView {
    /// What is said of it.
    pub node: PathNode,
    /// How full the fullest of its policies is.
    pub health: Health,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationView {
    /// Its id.
    pub id: u128,
    /// `held`, `committed`, `released` or `expired`.
    pub state: String,
    /// Where.
    pub path: String,
    /// Who sells it.
    pub service: String,
    /// Which model.
    pub model: String,
    /// What it holds on each policy.
    pub held: Vec<crate::answer::HeldOn>,
    /// When it ends by itself, while it is open.
    pub expires_at: Option<Micros>,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

impl Question {
    /// What the state says at `now`.
    #[must_use]
    pub fn ask(&self, state: &State, now: Micros) -> Said {
        match self {
            Question::Check { path, service, model } => {
                Said::Check(check(state, path, service, model, now))
            }
            Question::Policies { path } => Said::Policies(policies(state, path.as_deref(), now)),
            Question::Policy(id) => {
                let number = state.policy_number(*id);
                let found = number.and_then(|no| Some(state.view(no, state.policy(no)?, now)));
                Said::Policies(found.iter().map(standing).collect())
            }
            Question::Paths { below } => Said::Paths(paths(state, below, now)),
            Question::Path(path) => {
                let number = state.path_number(path);
                Said::Paths(
                    number.map(|number| path_view(state, number, now)).into_iter().collect(),
                )
            }
            Question::Reservation(id) => Said::Reservation(reservation(state, *id, now)),
        }
    }
}

fn check(state: &State, path: &str, service: &str, model: &str, now: Micros) -> CheckView {
    let nearest = state.nearest_path(path);
    let policies = state.policies_met_at(nearest, service, model, now);
    let own = Some(state.path(nearest)).filter(|node| *node.name == *path);
    let other_service = own.and_then(|node| node.service.clone());
    CheckView {
        policies: policies.map(|view| standing(&view)).collect(),
        is_archived: state.is_closed() || state.self_and_above(nearest).any(|node| node.archived),
        other_service: other_service.filter(|own| !service.is_empty() && own != service),
    }
}

fn policies(state: &State, path: Option<&str>, now: Micros) -> Vec<PolicyStanding> {
    let below = path.and_then(|path| domain::Path::parse(path).ok());
    let is_asked = |of: &str| below.as_ref().is_none_or(|below| below.holds(of));
    let all = state.policies().filter(|(_, policy)| is_asked(&policy.record.path));
    all.map(|(number, policy)| standing(&state.view(number, policy, now))).collect()
}

fn paths(state: &State, below: &str, now: Micros) -> Vec<PathView> {
    let below = domain::Path::parse(below).unwrap_or(domain::Path::root());
    let mut found: Vec<_> = (0_u32..)
        .zip(state.paths())
        .filter(|(_, node)| below.holds(&node.name))
        .map(|(number, _)| path_view(state, number, now))
        .collect();
    found.sort_by(|a, b| a.node.name.cmp(&b.node.name));
    found
}

fn path_view(state: &State, number: u32, now: Micros) -> PathView {
    PathView { node: state.path(number).clone(), health: state.health(number, now) }
}

/// A policy as it stands, by value.
#[must_use]
pub fn standing(view: &PolicyView<'_>) -> PolicyStanding {
    PolicyStanding {
        record: Arc::clone(&view.policy.record),
        is_opening: view.policy.opening,
        used: view.progress.used,
        held: view.progress.held,
        window_start: view.progress.start,
        resets_at: view.progress.resets_at,
        is_exhausted: view.is_exhausted,
        health: Health::of(view.policy, &view.progress),
    }
}

fn reservation(state: &State, id: u128, now: Micros) -> Option<ReservationView> {
    if let Some(open) = state.reservation(id) {
        let held = open.amounts.iter().filter_map(|held| {
            let record = &state.policy(held.policy)?.record;
            let (policy, unit, amount) = (record.id, record.unit, held.amount);
            Some(crate::answer::HeldOn { policy, unit, amount })
        });
        let is_over = open.expires_at <= now;
        return Some(ReservationView {
            id,
            state: if is_over { "expired" } else { "held" }.to_owned(),
            path: state.path(open.path).name.to_string(),
            service: open.service.clone(),
            model: open.model.clone(),
            held: if is_over { vec![] } else { held.collect() },
            expires_at: Some(open.expires_at),
            ended_at: is_over.then_some(open.expires_at),
        });
    }
    ReservationView::of_ended(state, id, state.ended(id)?)
}

impl ReservationView {
    /// A reservation that ended; nothing where its path is not known.
    pub(crate) fn of_ended(state: &State, id: u128, ended: &Ended) -> Option<ReservationView> {
        let name = match ended.how {
            EndedHow::Committed => "committed",
            EndedHow::Released => "released",
            EndedHow::Expired => "expired",
        };
        let path = state.paths().get(usize::try_from(ended.path).ok()?)?;
        Some(ReservationView {
            id,
            state: name.to_owned(),
            path: path.name.to_string(),
            service: ended.service.clone(),
            model: ended.model.clone(),
            held: vec![],
            expires_at: None,
            ended_at: Some(ended.at),
        })
    }
}
