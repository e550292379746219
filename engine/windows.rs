//! Which window of a policy an instant belongs to: one that is open, one that opens, or one that
//! has closed and decides nothing any more.
//!
//! Windows never overlap and leave no gap where something counts: the one that opens is what its
//! rule says today, cut to the room between those that there are or were.

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
    /// In a window that has closed.
    Late(Closed),
    /// In none.
    Nowhere,
}

/// A window that has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Its number, where it is known.
    pub(crate) number: Option<WindowNo>,
    /// First instant.
    pub(crate) start: Micros,
    /// First instant after; the same where only records can tell.
    pub(crate) end: Micros,
}

impl Closed {
    /// The window of `at`, whichever that was.
    pub(crate) fn around(number: Option<WindowNo>, at: Micros) -> Closed {
        Closed { number, start: at, end: at }
    }
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
        let pending = || pending.iter().filter(|opened| opened.policy == number);
        if let Some(micros) = policy.record.window.sliding() {
            let bucket = sliding_bucket(micros, at);
            if bucket < first_counted_bucket(micros, self.time) {
                return Place::Nowhere;
            }
            let (start, end) = (Micros::MIN, Micros::MAX);
            let opened = Opened { policy: number, window: 0, start, end };
            let needs_window = policy.windows.is_empty() && pending().next().is_none();
            return Place::In(bucket, needs_window.then_some(opened));
        }
        // To a session what is ahead of the clock happens now. The last instant is in no window.
        let latest = if policy.record.window.is_session() { self.time } else { Micros::MAX };
        let at = at.min(latest).min(Micros::MAX.saturating_sub(1));
        if let Some(opened) = pending().find(|opened| opened.start <= at && at < opened.end) {
            return Place::In(opened.window, None);
        }
        if let Some(open) = policy.window_at(at) {
            let (start, end) = (open.start, open.end);
            return match end <= self.time {
                true => Place::Late(Closed { number: Some(open.number), start, end }),
                false => Place::In(open.number, None),
            };
        }
        let taken = pending().map(|opened| (opened.start, opened.end));
        match self.room(policy, at, taken) {
            Some((start, end)) if end > self.time => {
                let new = WindowNo::try_from(pending().count()).unwrap_or(WindowNo::MAX);
                let window = policy.next_window.saturating_add(new);
                Place::In(window, Some(Opened { policy: number, window, start, end }))
            }
            Some((start, end)) if !policy.record.window.is_session() => {
                Place::Late(Closed { number: None, start, end })
            }
            Some(_) => Place::Late(Closed::around(None, at)),
            None => Place::Late(self.closed(policy, at)),
        }
    }

    /// The bounds of a new window around `at`; none where windows that were have left no room.
    fn room(
        &self,
        policy: &Policy,
        at: Micros,
        pending: impl Iterator<Item = (Micros, Micros)>,
    ) -> Option<(Micros, Micros)> {
        let (mut begins, mut ends) = (policy.retired_end, Micros::MAX);
        for (start, end) in policy.windows.iter().map(|open| (open.start, open.end)).chain(pending)
        {
            if end <= at {
                begins = begins.max(end);
            } else if start > at {
                ends = ends.min(start);
            }
        }
        if at < begins {
            return None;
        }
        if let Window::Session(micros) = policy.record.window {
            let end = at.saturating_add(micros);
            return (end <= ends).then_some((at, end));
        }
        let (start, end) = self.calendar.bounds(&rule_of(policy.record.window), at)?;
        Some((start.max(begins), end.min(ends)))
    }

    /// The window of an instant before which others have closed: what today's rules say of it.
    fn closed(&self, policy: &Policy, at: Micros) -> Closed {
        match self.calendar.bounds(&rule_of(policy.record.window), at) {
            Some((start, end)) if end <= self.time => Closed { number: None, start, end },
            // The rules were others then.
            Some(_) | None => Closed::around(None, at),
        }
    }

    /// What a policy counts at `at`, in the window of that instant.
    #[must_use]
    pub fn progress(&self, policy: &Policy, at: Micros) -> Progress {
        if let Some(micros) = policy.record.window.sliding() {
            let first = first_counted_bucket(micros, at);
            let mut counted = policy.buckets.iter().filter(|(bucket, _)| *bucket >= first);
            let oldest = counted.find(|(_, used)| *used > 0);
            let window = policy.windows.first();
            return Progress {
                used: policy.sliding_used(micros, at),
                held: window.map_or(0, |window| self.held_at(policy, window, at)),
                start: Some(at.saturating_sub(micros)),
                resets_at: oldest.map(|(bucket, _)| bucket_left_at(micros, *bucket)),
            };
        }
        let Some(open) = policy.window_at(at) else { return self.empty_progress(policy, at) };
        Progress {
            used: open.used,
            held: self.held_at(policy, open, at),
            start: (open.start > Micros::MIN).then_some(open.start),
            resets_at: (open.end < Micros::MAX).then_some(open.end),
        }
    }

    /// Nothing was counted at `at` yet. A session has no bounds before its first use.
    fn empty_progress(&self, policy: &Policy, at: Micros) -> Progress {
        let is_session = policy.record.window.is_session();
        let room = self.room(policy, at, std::iter::empty()).filter(|_| !is_session);
        Progress {
            used: 0,
            held: 0,
            start: room.map(|(start, _)| start).filter(|start| *start > Micros::MIN),
            resets_at: room.map(|(_, end)| end).filter(|end| *end < Micros::MAX),
        }
    }

    /// What is held in a window at `at`: without reservations whose time is over then and which
    /// have not been ended yet.
    fn held_at(&self, policy: &Policy, window: &OpenWindow, at: Micros) -> i128 {
        if window.hold_count == 0 {
            return window.held;
        }
        let is_sliding = policy.record.window.sliding().is_some();
        let over = self.due.range(..=(at, u128::MAX)).filter_map(|(_, id)| self.reservation(*id));
        over.flat_map(|found| &found.amounts)
            .filter(|amount| is_sliding || amount.window == window.number)
            .filter(|amount| {
                self.policy(amount.policy).is_some_and(|found| found.record.id == policy.record.id)
            })
            .fold(window.held, |held, amount| held.saturating_sub(amount.amount))
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
