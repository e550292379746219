//! Looking: whether a call may be made now, and how full each policy is. Writes nothing, and sees
//! time pass by itself: what is over at the instant of the question holds nothing any more.

use serde::{Deserialize, Serialize};

use crate::command::{Micros, PathNo, PolicyNo};
use crate::policy::{Mode, Policy};
use crate::state::State;
use crate::windows::Progress;

/// A policy as it stands.
#[derive(Debug, Clone, Copy)]
pub struct PolicyView<'a> {
    /// Its number.
    pub number: PolicyNo,
    /// What it is.
    pub policy: &'a Policy,
    /// What it counts now.
    pub progress: Progress,
    /// Whether nothing more may be begun under it.
    pub is_exhausted: bool,
}

/// How full the fullest policy of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// No policy.
    None,
    /// Below 80 %.
    Healthy,
    /// From 80 % on.
    Warning,
    /// From 95 % on.
    Critical,
    /// From 100 % on.
    Over,
}

impl State {
    /// The policies that a call at `path` meets, the nearest first; of a path that there is not,
    /// its nearest ancestor's. Empty names of service and model are not said.
    pub fn policies_met<'a>(
        &'a self,
        path: &str,
        service: &'a str,
        model: &'a str,
        now: Micros,
    ) -> impl Iterator<Item = PolicyView<'a>> {
        self.policies_met_at(self.nearest_path(path), service, model, now)
    }

    /// The policies that a call at this path or one below it that there is not meets, the nearest
    /// first.
    pub fn policies_met_at<'a>(
        &'a self,
        path: PathNo,
        service: &'a str,
        model: &'a str,
        now: Micros,
    ) -> impl Iterator<Item = PolicyView<'a>> {
        self.matching(path, service, model)
            .map(move |(number, policy)| self.view(number, policy, now))
    }

    /// The path, or the nearest above it that there is.
    #[must_use]
    pub fn nearest_path(&self, path: &str) -> PathNo {
        domain::path::self_and_above(path).find_map(|path| self.path_number(path)).unwrap_or(0)
    }

    /// A policy as it stands.
    #[must_use]
    pub fn view<'a>(&'a self, number: PolicyNo, policy: &'a Policy, now: Micros) -> PolicyView<'a> {
        let progress = self.progress(policy, now);
        PolicyView { number, policy, progress, is_exhausted: policy.is_exhausted(&progress) }
    }

    /// How full the fullest of the path's own policies is.
    #[must_use]
    pub fn health(&self, path: PathNo, now: Micros) -> Health {
        let policies = self.path(path).policies.iter().filter_map(|number| self.policy(*number));
        let health = policies.map(|policy| Health::of(policy, &self.progress(policy, now)));
        health.max().unwrap_or(Health::None)
    }
}

impl Health {
    /// How full a policy is: what is used, and under strict what is held as well.
    #[must_use]
    pub fn of(policy: &Policy, progress: &Progress) -> Health {
        let held = if policy.record.mode == Mode::Strict { progress.held } else { 0 };
        let taken = progress.used.saturating_add(held);
        let reached = |percent: i128| {
            let level = policy.record.limit.saturating_mul(percent);
            taken.saturating_mul(100) >= level
        };
        match () {
            () if reached(100) => Health::Over,
            () if reached(95) => Health::Critical,
            () if reached(80) => Health::Warning,
            () => Health::Healthy,
        }
    }

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Health::None => "none",
            Health::Healthy => "healthy",
            Health::Warning => "warning",
            Health::Critical => "critical",
            Health::Over => "over",
        }
    }
}
