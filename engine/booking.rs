//! Booking spend: which policies count it, in which windows, and which thresholds it crosses.

use crate::calendar::first_counted_bucket;
use crate::command::{Measures, Micros, PathNo, PolicyNo, WindowNo};
use crate::decision::{Crossed, LateCount, Opened};
use crate::policy::{Mode, Policy, Threshold, Window};
use crate::state::State;
use crate::windows::Place;

/// What is to be booked.
pub(crate) struct Spend<'a> {
    /// When it happened.
    pub(crate) at: Micros,
    /// The path, or the nearest above it that there is.
    pub(crate) path: PathNo,
    pub(crate) service: &'a str,
    pub(crate) model: &'a str,
    pub(crate) measures: Measures,
    /// The windows that admitted it, or counted what it corrects: they go before `at`.
    pub(crate) admitted: &'a [(PolicyNo, WindowNo)],
    /// Whether a reservation holds those windows open.
    pub(crate) is_held: bool,
}

/// Where it is booked.
#[derive(Default)]
pub(crate) struct Booking {
    pub(crate) opened: Vec<Opened>,
    pub(crate) counted: Vec<(PolicyNo, WindowNo)>,
    pub(crate) late: Vec<LateCount>,
    pub(crate) crossed: Vec<Crossed>,
    /// Whether a strict policy counts it.
    pub(crate) is_strict: bool,
}

impl State {
    /// The policies of a path and all above it that match, the nearest first, of one path in the
    /// order in which they were made.
    pub(crate) fn matching<'a>(
        &'a self,
        path: PathNo,
        service: &'a str,
        model: &'a str,
    ) -> impl Iterator<Item = (PolicyNo, &'a Policy)> {
        self.self_and_above(path)
            .flat_map(|node| node.policies.iter().copied())
            .filter_map(|number| Some((number, self.policy(number)?)))
            .filter(move |(_, policy)| policy.matches(service, model))
    }

    /// Where spend is booked. `pending` are windows that open with the same decision already.
    pub(crate) fn booking(&self, spend: &Spend<'_>, pending: &[Opened]) -> Booking {
        let mut booking = Booking::default();
        for (number, policy) in self.matching(spend.path, spend.service, spend.model) {
            booking.is_strict |= policy.record.mode == Mode::Strict;
            let used = spend.measures.of(policy.record.unit);
            match self.place_of_spend(number, policy, spend, pending) {
                Place::In(window, opened) => {
                    booking.opened.extend(opened);
                    booking.counted.push((number, window));
                    let before = self.used_in(policy, window, opened.is_some());
                    self.crossings(number, policy, window, before, used, &mut booking.crossed);
                }
                Place::Late(start, end) => {
                    booking.late.push(LateCount { policy: number, start, end, used });
                }
                Place::Nowhere => {}
            }
        }
        booking
    }

    fn place_of_spend(
        &self,
        number: PolicyNo,
        policy: &Policy,
        spend: &Spend<'_>,
        pending: &[Opened],
    ) -> Place {
        let admitted = spend.admitted.iter().find(|(policy, _)| *policy == number);
        let Some((_, admitted)) = admitted else {
            return self.place(number, policy, spend.at, pending);
        };
        if let Window::Sliding(micros) = policy.record.window {
            let has_left = *admitted < first_counted_bucket(micros, self.time);
            return if has_left { Place::Nowhere } else { Place::In(*admitted, None) };
        }
        match policy.windows.iter().find(|open| open.number == *admitted) {
            Some(open) if spend.is_held || open.end > self.time => Place::In(*admitted, None),
            Some(open) => Place::Late(open.start, open.end),
            None => match self.place(number, policy, spend.at, pending) {
                Place::Late(start, end) => Place::Late(start, end),
                Place::In(..) | Place::Nowhere => Place::Late(spend.at, spend.at),
            },
        }
    }

    fn used_in(&self, policy: &Policy, window: WindowNo, is_new: bool) -> i128 {
        if let Some(micros) = policy.record.window.sliding() {
            return policy.sliding_used(micros, self.time);
        }
        let open = policy.windows.iter().find(|open| open.number == window);
        open.filter(|_| !is_new).map_or(0, |open| open.used)
    }

    /// Thresholds that are reached now and were not told of yet, the highest first.
    pub(crate) fn crossings(
        &self,
        number: PolicyNo,
        policy: &Policy,
        window: WindowNo,
        before: i128,
        added: i128,
        crossed: &mut Vec<Crossed>,
    ) {
        if policy.record.alerts.is_empty() || added <= 0 {
            return;
        }
        let used = before.saturating_add(added);
        let limit = policy.record.limit;
        let is_sliding = matches!(policy.record.window, Window::Sliding(_));
        let open = policy.windows.iter().find(|open| open.number == window);
        let told = if is_sliding { 0 } else { open.map_or(0, |open| open.told) };
        let first = crossed.len();
        for (alert, threshold) in (0_u8..32).zip(&policy.record.alerts) {
            let level = threshold.at.level(limit);
            let is_told = told & (1_u32 << alert) != 0 || is_sliding && before >= level;
            if used >= level && !is_told {
                crossed.push(Crossed { policy: number, window, alert, used, limit });
            }
        }
        let level = |crossed: &Crossed| {
            let alert = policy.record.alerts.get(usize::from(crossed.alert));
            alert.map_or(0, |alert| alert.at.level(limit))
        };
        if let Some(new) = crossed.get_mut(first..) {
            new.sort_by_key(|crossed| std::cmp::Reverse(level(crossed)));
        }
    }
}

impl Policy {
    /// Whether it counts what this service sold of this model. Empty names are not said.
    pub(crate) fn matches(&self, service: &str, model: &str) -> bool {
        let fits = |scope: &str, name: &str| scope.is_empty() || scope == name;
        fits(&self.record.service, service) && fits(&self.record.model, model)
    }
}

impl Threshold {
    /// The amount at which it is reached.
    #[must_use]
    pub fn level(self, limit: i128) -> i128 {
        match self {
            Threshold::Amount(amount) => amount,
            // In two parts, because the product of the largest ones does not fit.
            Threshold::Percent(millipercent) => {
                let share = i128::from(millipercent);
                let rest = (limit % HUNDRED_PERCENT).saturating_mul(share);
                (limit / HUNDRED_PERCENT)
                    .saturating_mul(share)
                    .saturating_add(rest.saturating_add(HUNDRED_PERCENT - 1) / HUNDRED_PERCENT)
            }
        }
    }
}

/// In thousandths of a percent.
const HUNDRED_PERCENT: i128 = 100_000;
