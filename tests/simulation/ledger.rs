//! A second set of books: what every window used and holds, added up from the decisions alone, to
//! be compared with what the engine's state says.

use std::collections::BTreeMap;

use domain::Path;
use engine::calendar::first_counted_bucket;
use engine::command::{Micros, PolicyNo, WindowNo};
use engine::decision::{HeldAmount, flag};
use engine::policy::Mode;
use engine::{Decision, Measures, Outcome, State};
use shards::facts::sum_block::{QUARTER_MICROS, quarter_of};

/// What windows used and hold.
#[derive(Default)]
pub struct Ledger {
    used: BTreeMap<(PolicyNo, WindowNo), i128>,
    holds: BTreeMap<u128, Hold>,
    /// What windows used by their start, as the tables must say; without late events.
    pub by_start: BTreeMap<(PolicyNo, Micros), i128>,
    starts: BTreeMap<(PolicyNo, WindowNo), Micros>,
    /// Everything that was booked, in order, by quarter hour.
    booked: Vec<Spent>,
    /// How much was booked before each policy was made.
    booked_before: BTreeMap<PolicyNo, usize>,
}

struct Spent {
    quarter: i64,
    path: String,
    service: String,
    model: String,
    measures: Measures,
}

struct Hold {
    expires_at: Micros,
    amounts: Vec<HeldAmount>,
}

impl Ledger {
    /// Enters a decision; `state` has it already.
    pub fn enter(&mut self, state: &State, decision: &Decision) {
        match &decision.outcome {
            Outcome::Booked(booked) => {
                self.open(state, &booked.opened);
                if let Some(reservation) = booked.settled {
                    self.holds.remove(&reservation);
                }
                self.count(state, &booked.counted, &booked.measures);
                let of = (booked.path, booked.service.as_str(), booked.model.as_str());
                self.spend(state, booked.at, of, &booked.measures);
            }
            Outcome::Held(held) => {
                self.open(state, &held.opened);
                let (expires_at, amounts) = (held.expires_at, held.amounts.clone());
                self.holds.insert(held.reservation, Hold { expires_at, amounts });
            }
            Outcome::Released { reservation } => drop(self.holds.remove(reservation)),
            Outcome::Extended { reservation, expires_at } => {
                if let Some(hold) = self.holds.get_mut(reservation) {
                    hold.expires_at = *expires_at;
                }
            }
            Outcome::Expired { reservations } => {
                for reservation in reservations {
                    self.holds.remove(reservation);
                }
            }
            Outcome::Adjusted(adjusted) => {
                for booking in &adjusted.bookings {
                    self.open(state, &booking.opened);
                    self.count(state, &booking.counted, &booking.measures);
                    let of = (booking.path, booking.service.as_str(), booking.model.as_str());
                    self.spend(state, booking.at, of, &booking.measures);
                }
            }
            Outcome::PolicyMade { window, attached, policy, .. } => {
                if let Some(number) = state.policy_number(policy.id) {
                    self.booked_before.insert(number, self.booked.len());
                }
                self.open(state, window.as_slice());

                for (reservation, amount) in attached {
                    if let Some(hold) = self.holds.get_mut(reservation) {
                        hold.amounts.push(*amount);
                    }
                }
            }
            Outcome::PolicyBased { policy, parts, .. } => {
                for (window, used) in parts {
                    self.add(*policy, *window, *used);
                }
            }
            _ => {}
        }
    }

    fn spend(&mut self, state: &State, at: Micros, of: (u32, &str, &str), measures: &Measures) {
        self.booked.push(Spent {
            quarter: quarter_of(at),
            path: state.path(of.0).name.to_string(),
            service: of.1.to_owned(),
            model: of.2.to_owned(),
            measures: *measures,
        });
    }

    /// Whether what is entered for a policy's past is what was booked before it was made, in its
    /// window; `state` has it not yet. Of what slides, only that it is not too little.
    #[must_use]
    pub fn wrong_base(&self, state: &State, decision: &Decision) -> Option<String> {
        let Outcome::PolicyBased { policy: number, parts, .. } = &decision.outcome else {
            return None;
        };
        let policy = state.policy(*number)?;
        let path = Path::parse(&policy.record.path).ok()?;
        let (start, end) = match policy.record.window.sliding() {
            Some(micros) => (state.time().saturating_sub(micros), Micros::MAX),
            None => {
                let open = policy.windows.iter().find(|open| open.number == 0)?;
                (open.start, open.end)
            }
        };
        let count = self.booked_before.get(number).copied().unwrap_or_default();
        let before = self.booked[..count].iter().filter(|spent| {
            let (from, to) = (spent.quarter * QUARTER_MICROS, (spent.quarter + 1) * QUARTER_MICROS);
            let is_whole = policy.record.window.sliding().is_none() || from >= start;
            from < end && to > start && is_whole && path.holds(&spent.path)
        });
        let counted = before.filter(|spent| policy.matches(&spent.service, &spent.model));
        let unit = policy.record.unit;
        let own: i128 = counted.map(|spent| spent.measures.of(unit)).sum();
        let entered: i128 = parts.iter().map(|(_, used)| used).sum();
        let is_right = match policy.record.window.sliding() {
            Some(_) => entered >= own,
            None => entered == own || parts.is_empty() && end <= state.time(),
        };
        let id = policy.record.id;
        (!is_right).then(|| format!("policy {id} begins with {entered}, not {own}"))
    }

    fn open(&mut self, state: &State, opened: &[engine::decision::Opened]) {
        for window in opened {
            let is_sliding =
                state.policy(window.policy).is_none_or(|of| of.record.window.sliding().is_some());
            if !is_sliding {
                self.starts.insert((window.policy, window.window), window.start);
                self.by_start.entry((window.policy, window.start)).or_default();
            }
        }
    }

    fn count(&mut self, state: &State, counted: &[(PolicyNo, WindowNo)], measures: &Measures) {
        for (number, window) in counted {
            if let Some(policy) = state.policy(*number) {
                self.add(*number, *window, measures.of(policy.record.unit));
            }
        }
    }

    fn add(&mut self, policy: PolicyNo, window: WindowNo, used: i128) {
        *self.used.entry((policy, window)).or_default() += used;
        if let Some(start) = self.starts.get(&(policy, window)) {
            *self.by_start.entry((policy, *start)).or_default() += used;
        }
    }

    fn used(&self, state: &State, policy: PolicyNo, window: WindowNo) -> i128 {
        let of = state.policy(policy).expect("it is there");
        let Some(micros) = of.record.window.sliding() else {
            return self.used.get(&(policy, window)).copied().unwrap_or_default();
        };
        let first = first_counted_bucket(micros, state.time());
        self.used.range((policy, first)..=(policy, i64::MAX)).map(|(_, used)| used).sum()
    }

    /// What is held on a window; of a sliding policy on all of it.
    fn held(&self, state: &State, policy: PolicyNo, window: WindowNo, after: Micros) -> i128 {
        let is_sliding =
            state.policy(policy).is_some_and(|of| of.record.window.sliding().is_some());
        let alive = self.holds.values().filter(|hold| hold.expires_at > after);
        let amounts = alive.flat_map(|hold| &hold.amounts);
        let on = amounts.filter(|on| on.policy == policy && (is_sliding || on.window == window));
        on.map(|on| on.amount).sum()
    }

    /// What a decision that was just entered breaks: under strict, no more is admitted than fits.
    #[must_use]
    pub fn over_limit(&self, state: &State, decision: &Decision) -> Option<String> {
        let Outcome::Held(held) = &decision.outcome else { return None };
        for on in &held.amounts {
            let policy = state.policy(on.policy)?;
            let is_strict = policy.record.mode == Mode::Strict && !policy.opening;
            if !is_strict || held.flags & flag::BYPASSED != 0 {
                continue;
            }
            let used = self.used(state, on.policy, on.window);
            let held = self.held(state, on.policy, on.window, state.time());
            let limit = policy.record.limit;
            if used + held > limit {
                let id = policy.record.id;
                return Some(format!("policy {id}: {used} used and {held} held of {limit}"));
            }
        }
        None
    }

    /// Where the state says something else than the books.
    #[must_use]
    pub fn differences(&self, state: &State) -> Vec<String> {
        let mut found = vec![];
        for (number, policy) in state.policies() {
            let id = policy.record.id;
            let mut differs = |what: &str, window: WindowNo, said: i128, own: i128| {
                if said != own {
                    found.push(format!("policy {id} window {window}: {what} {said}, not {own}"));
                }
            };
            for (bucket, used) in &policy.buckets {
                let own = self.used.get(&(number, *bucket)).copied().unwrap_or_default();
                differs("used", *bucket, *used, own);
            }
            for open in &policy.windows {
                let own = self.used.get(&(number, open.number)).copied().unwrap_or_default();
                if policy.record.window.sliding().is_none() {
                    differs("used", open.number, open.used, own);
                }
                let held = self.held(state, number, open.number, Micros::MIN);
                differs("held", open.number, open.held, held);
            }
        }
        let open: Vec<u128> = state.reservations().map(|(id, _)| id).collect();
        if !open.iter().eq(self.holds.keys()) {
            found.push(format!("{} reservations are open, not {}", open.len(), self.holds.len()));
        }
        found
    }

    /// Whether anything is held.
    #[must_use]
    pub fn holds_anything(&self) -> bool {
        !self.holds.is_empty()
    }
}
