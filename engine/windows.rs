//! Which window of a policy an instant belongs to: one that is open, one that opens, or one that
//! has closed and decides nothing any more.

use domain::policy::{CalendarUnit, WindowRule};

use crate::calendar::{bucket_left_at, first_counted_bucket, sliding_bucket};
use crate::command::{Micros, PolicyNo, WindowNo};
use crate::decision::Opened;
use crate::policy::{OpenWindow, Policy, Window};
use crate::state::State;

/// Where something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a window that can still decide, which may have to be opened first.
    In(WindowNo, Option<Opened>),
    /// In a window that has closed. Where the bounds are one instant, the window of that instant is
    /// recorded elsewhere, or was none.
    Late(Micros, Micros),
    /// In none.
    Nowhere,
}

impl State {
    /// Where `at` belongs. `pending` are windows that open with the same decision.
    pub(crate) fn place(
        &self,
        number: PolicyNo,
        policy: &Policy,
        at: Micros,
        pending: &[Opened],
    ) -> Place {
        let pending = pending.iter().find(|opened| opened.policy == number);
        if let Some(micros) = policy.record.window.sliding() {
            let bucket = sliding_bucket(micros, at);
            if bucket < first_counted_bucket(micros, self.time) {
                return Place::Nowhere;
            }
            let (start, end) = (Micros::MIN, Micros::MAX);
            let opened = Opened { policy: number, window: 0, start, end };
            let needs_window = policy.windows.is_empty() && pending.is_none();
            return Place::In(bucket, needs_window.then_some(opened));
        }
        if let Some(opened) = pending.filter(|opened| opened.start <= at && at < opened.end) {
            return Place::In(opened.window, None);
        }
        match policy.window_at(at) {
            Some(open) if open.end <= self.time => Place::Late(open.start, open.end),
            Some(open) => Place::In(open.number, None),
            None => match self.fresh(policy, policy.record.window, at) {
                Ok((start, end)) => {
                    let window = policy.next_window;
                    Place::In(window, Some(Opened { policy: number, window, start, end }))
                }
                Err((start, end)) => Place::Late(start, end),
            },
        }
    }

    /// The bounds of the window that opens for `at`; an error where it has closed already.
    fn fresh(
        &self,
        policy: &Policy,
        window: Window,
        at: Micros,
    ) -> Result<(Micros, Micros), (Micros, Micros)> {
        let before = policy.windows.iter().filter(|open| open.end <= at).map(|open| open.end);
        let begins = before.fold(policy.retired_end, Micros::max);
        if let Window::Session(micros) = window {
            let start = at.min(self.time);
            let end = start.saturating_add(micros);
            let is_before_another = policy.windows.iter().any(|open| open.start > start);
            return match end <= self.time || start < begins || is_before_another {
                true => Err((at, at)),
                false => Ok((start, end)),
            };
        }
        let rule = rule_of(window);
        let Some((start, end)) = self.calendar.bounds(&rule, at) else { return Err((at, at)) };
        let after = policy.windows.iter().filter(|open| open.start > at).map(|open| open.start);
        let (start, end) = (start.max(begins), after.fold(end, Micros::min));
        match end <= self.time || at < start {
            true => Err((start.min(at), end)),
            false => Ok((start, end)),
        }
    }

    /// What a policy counts at `at`, in the window of that instant.
    #[must_use]
    pub fn progress(&self, policy: &Policy, at: Micros) -> Progress {
        let expired = |window: WindowNo| self.held_by_expired(policy.record.id, window, at);
        if let Some(micros) = policy.record.window.sliding() {
            let held = policy.windows.first().map_or(0, |open| open.held);
            let oldest = policy.buckets.iter().find(|(_, used)| *used > 0);
            return Progress {
                used: policy.sliding_used(micros, at),
                held: held.saturating_sub(expired(0)),
                start: Some(at.saturating_sub(micros)),
                resets_at: oldest.map(|(bucket, _)| bucket_left_at(micros, *bucket)),
            };
        }
        let Some(open) = policy.window_at(at) else { return self.empty_progress(policy, at) };
        Progress {
            used: open.used,
            held: open.held.saturating_sub(expired(open.number)),
            start: (open.start > Micros::MIN).then_some(open.start),
            resets_at: (open.end < Micros::MAX).then_some(open.end),
        }
    }

    /// Nothing was counted at `at` yet. A session has no bounds before its first use.
    fn empty_progress(&self, policy: &Policy, at: Micros) -> Progress {
        let bounds = self.calendar.bounds(&rule_of(policy.record.window), at);
        let start = bounds.map(|(start, _)| start.max(policy.retired_end));
        Progress {
            used: 0,
            held: 0,
            start: start.filter(|start| *start > Micros::MIN),
            resets_at: bounds.map(|(_, end)| end).filter(|end| *end < Micros::MAX),
        }
    }

    /// What reservations hold whose time is over at `at` and which have not been ended yet.
    fn held_by_expired(&self, policy: u128, window: WindowNo, at: Micros) -> i128 {
        let mut held = 0_i128;
        for (_, id) in self.due.range(..=(at, u128::MAX)) {
            let amounts = self.reservations.get(id).map(|found| found.amounts.as_slice());
            for amount in amounts.unwrap_or_default() {
                let Some(found) = self.policy(amount.policy) else { continue };
                let same =
                    matches!(found.record.window, Window::Sliding(_)) || amount.window == window;
                if found.record.id == policy && same {
                    held = held.saturating_add(amount.amount);
                }
            }
        }
        held
    }
}

/// What a policy counts at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What was spent in the window.
    pub used: i128,
    /// What open reservations keep free in it.
    pub held: i128,
    /// The window's start; none where it has none, or none is open.
    pub start: Option<Micros>,
    /// When the window ends; of a sliding one, when its sum becomes smaller.
    pub resets_at: Option<Micros>,
}

impl Policy {
    /// The open window that contains `at`.
    #[must_use]
    pub fn window_at(&self, at: Micros) -> Option<&OpenWindow> {
        self.windows.iter().rev().find(|open| open.start <= at && at < open.end)
    }
}

/// The domain's rule of a window in the journal's format.
pub(crate) fn rule_of(window: Window) -> WindowRule {
    match window {
        Window::Calendar(unit) => WindowRule::Calendar(calendar_unit(unit)),
        Window::Anchored(months, days, anchor_at) => {
            WindowRule::Anchored { months, days, anchor_at }
        }
        Window::Session(micros) => WindowRule::Session { micros },
        Window::Sliding(micros) => WindowRule::Sliding { micros },
        Window::Total => WindowRule::Total,
    }
}

fn calendar_unit(unit: u8) -> CalendarUnit {
    match unit {
        0 => CalendarUnit::Minute,
        1 => CalendarUnit::Hour,
        2 => CalendarUnit::Day,
        3 => CalendarUnit::Week,
        4 => CalendarUnit::Month,
        5 => CalendarUnit::Quarter,
        _ => CalendarUnit::Year,
    }
}

impl From<Window> for WindowRule {
    fn from(window: Window) -> WindowRule {
        rule_of(window)
    }
}
