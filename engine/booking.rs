//! Booking spend: which policies count it, in which windows, and which thresholds it crosses.

use crate::calendar::first_counted_bucket;
use crate::command::{Measures, Micros, PathNo, PolicyNo, WindowNo};
use crate::decision::{AdjustmentBooking, Crossed, LateCount, Opened};
use crate::policy::{Mode, Policy, Threshold, Window};
use crate::state::State;
use crate::windows::{Closed, Place};

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
    pub(crate) kind: Kind,
}

/// Where spend comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call.
    Use,
    /// A call whose reservation holds the admitting windows open.
    HeldUse,
    /// Something said later about calls: a correction, an adjustment. It opens no session.
    Afterwards,
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

    /// Where spend is booked. `earlier` are bookings of the same decision, which come before.
    pub(crate) fn booking(&self, spend: &Spend<'_>, earlier: &[AdjustmentBooking]) -> Booking {
        let mut booking = Booking::default();
        let pending: Vec<Opened> = earlier.iter().flat_map(|one| &one.opened).copied().collect();
        for (number, policy) in self.matching(spend.path, spend.service, spend.model) {
            booking.is_strict |= policy.record.mode == Mode::Strict;
            let used = spend.measures.of(policy.record.unit);
            match self.place_of_spend(number, policy, spend, &pending) {
                Place::In(window, opened) => {
                    booking.opened.extend(opened);
                    booking.counted.push((number, window));
                    if policy.record.alerts.is_empty() {
                        continue;
                    }
                    let before = self.used_before(number, policy, window, earlier);
                    let place = (number, policy, window);
                    self.crossings(place, before, used, earlier, &mut booking.crossed);
                }
                Place::Late(Closed { number: window, start, end }) => {
                    booking.late.push(LateCount { policy: number, window, start, end, used });
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
            let place = self.place(number, policy, spend.at, pending);
            let opens = matches!(place, Place::In(_, Some(_))) && policy.record.window.is_session();
            return match opens && spend.kind == Kind::Afterwards {
                true => Place::Late(Closed::around(None, spend.at)),
                false => place,
            };
        };
        if let Window::Sliding(micros) = policy.record.window {
            let has_left = *admitted < first_counted_bucket(micros, self.time);
            return if has_left { Place::Nowhere } else { Place::In(*admitted, None) };
        }
        match policy.windows.iter().find(|open| open.number == *admitted) {
            Some(open) if spend.kind == Kind::HeldUse || open.end > self.time => {
                Place::In(*admitted, None)
            }
            Some(open) => {
                Place::Late(Closed { number: Some(*admitted), start: open.start, end: open.end })
            }
            // The state has let go of it: its number says which it is, the bounds are a guess.
            None => Place::Late(match self.place(number, policy, spend.at, pending) {
                Place::Late(closed) => Closed { number: Some(*admitted), ..closed },
                Place::In(..) | Place::Nowhere => Closed::around(Some(*admitted), spend.at),
            }),
        }
    }

    /// What a window has used when all `earlier` bookings are in it.
    fn used_before(
        &self,
        number: PolicyNo,
        policy: &Policy,
        window: WindowNo,
        earlier: &[AdjustmentBooking],
    ) -> i128 {
        let sliding = policy.record.window.sliding();
        let used = match sliding {
            Some(micros) => policy.sliding_used(micros, self.time),
            None => {
                let open = policy.windows.iter().find(|open| open.number == window);
                open.map_or(0, |open| open.used)
            }
        };
        let is_here = |counted: &&(PolicyNo, WindowNo)| {
            counted.0 == number && (sliding.is_some() || counted.1 == window)
        };
        let added = earlier.iter().flat_map(|one| {
            one.counted.iter().filter(is_here).map(|_| one.measures.of(policy.record.unit))
        });
        added.fold(used, i128::saturating_add)
    }

    /// Thresholds that are reached now and were not told of yet, the highest first.
    pub(crate) fn crossings(
        &self,
        (number, policy, window): (PolicyNo, &Policy, WindowNo),
        before: i128,
        added: i128,
        earlier: &[AdjustmentBooking],
        crossed: &mut Vec<Crossed>,
    ) {
        if policy.record.alerts.is_empty() || added <= 0 {
            return;
        }
        let used = before.saturating_add(added);
        let limit = policy.record.limit;
        let told = policy.told(window, self.time);
        let is_sliding = policy.record.window.sliding().is_some();
        let mut reached = vec![];
        for (alert, threshold) in (0..TOLD_BITS).zip(&policy.record.alerts) {
            let level = threshold.at.level(limit);
            let is_same = |one: &Crossed| {
                (one.policy, one.alert) == (number, alert) && (is_sliding || one.window == window)
            };
            let is_told = told & (1 << alert) != 0
                || earlier.iter().flat_map(|one| &one.crossed).any(is_same);
            if used >= level && !is_told {
                reached.push((level, Crossed { policy: number, window, alert, used, limit }));
            }
        }
        reached.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        crossed.extend(reached.into_iter().map(|(_, one)| one));
    }
}

/// How many of a policy's alerts are told of; those beyond never are.
pub(crate) const TOLD_BITS: u8 = 32;

impl Policy {
    /// Whether it counts what this service sold of this model. Empty names are not said.
    #[must_use]
    pub fn matches(&self, service: &str, model: &str) -> bool {
        let fits = |scope: &str, name: &str| scope.is_empty() || scope == name;
        fits(&self.record.service, service) && fits(&self.record.model, model)
    }

    /// The thresholds that were told of a window, as bits. A sliding window that stands at a
    /// threshold tells of it once in its length.
    fn told(&self, window: WindowNo, time: Micros) -> u32 {
        let Some(micros) = self.record.window.sliding() else {
            let open = self.windows.iter().find(|open| open.number == window);
            return open.map_or(0, |open| open.told);
        };
        let is_recent = self.told_at.is_some_and(|told| time < told.saturating_add(micros));
        self.windows.first().filter(|_| is_recent).map_or(0, |open| open.told)
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
