//! Choosing about paths, policies and settings.

use crate::calendar::{Calendar, first_counted_bucket};
use crate::command::{AMOUNT_MAX, Event, Measures, Micros, PolicyNo, PutPath, WindowNo};
use crate::decide_spend::Chosen;
use crate::decision::{Crossed, HeldAmount, Opened, Outcome, Refusal};
use crate::policy::{Policy, PolicyChange, PolicyRecord, Window};
use crate::settings::Settings;
use crate::state::{PATHS_MAX, State, number};
use crate::windows::Place;

impl State {
    pub(crate) fn decide_put_path(&self, put: &PutPath) -> Chosen {
        let found = self.find_or_make(&put.path);
        if found.missing.is_empty() {
            let node = self.path(found.nearest);
            if node.name.as_ref() != put.path {
                return Err(Refusal::PathLimit);
            }
            if let (Some(own), Some(service)) = (&node.service, &put.service)
                && own != service
            {
                return Err(Refusal::ServiceMismatch(own.clone()));
            }
            let is_same = put.service.as_ref().is_none_or(|_| node.service == put.service)
                && put.notes.as_ref().is_none_or(|notes| *notes == node.notes)
                && put.tags.as_ref().is_none_or(|tags| *tags == node.tags);
            if is_same {
                return Ok(None);
            }
        }
        let path = self.final_path(&found);
        Ok(Some(Outcome::PathPut { new_paths: found.missing, path, put: put.clone() }))
    }

    pub(crate) fn decide_archive(&self, path: &str, archived: bool) -> Chosen {
        let path = self.path_number(path).filter(|path| *path != 0).ok_or(Refusal::NotFound)?;
        let is_same = self.path(path).archived == archived;
        Ok((!is_same).then_some(Outcome::PathArchived { path, archived }))
    }

    pub(crate) fn decide_create_policy(&self, record: &PolicyRecord) -> Chosen {
        if let Some(existing) = self.policy_number(record.id).and_then(|no| self.policy(no)) {
            return match *existing.record == *record {
                true => Ok(None),
                false => Err(Refusal::Conflict),
            };
        }
        if !(0..=AMOUNT_MAX).contains(&record.limit) || !record.window.is_possible() {
            return Err(Refusal::OutOfRange);
        }
        let found = self.find_or_make(&record.path);
        let node = self.path(found.nearest);
        if found.missing.is_empty() {
            if node.name.as_ref() != record.path {
                return Err(Refusal::PathLimit);
            }
            if node.policies.len() >= domain::policy::POLICIES_MAX {
                return Err(Refusal::TooManyPolicies);
            }
        }
        let path = self.final_path(&found);
        let made = number(self.policies.len());
        let blank = Policy::blank(record, path);
        let has_path = found.missing.is_empty();
        let (window, attached) = self.first_window(made, &blank, has_path);
        Ok(Some(Outcome::PolicyMade {
            new_paths: found.missing,
            path,
            policy: record.clone(),
            opening: has_path && !starts_empty(record.window),
            window,
            attached,
        }))
    }

    /// The window that a new policy begins with, and the open reservations that it would have held
    /// on. A session opens with its first use, which such a reservation is.
    fn first_window(
        &self,
        made: PolicyNo,
        blank: &Policy,
        has_path: bool,
    ) -> (Option<Opened>, Vec<(u128, HeldAmount)>) {
        let Place::In(window, opened) = self.place(made, blank, self.time, &[]) else {
            return (None, vec![]);
        };
        let mut attached = vec![];
        for (id, open) in self.reservations().filter(|_| has_path) {
            let is_below = self.numbers_above(open.path).any(|path| path == blank.path);
            let is_met = open.expires_at > self.time && blank.matches(&open.service, &open.model);
            if is_below && is_met {
                let amount = open.estimate.of(blank.record.unit).max(0);
                attached.push((id, HeldAmount { policy: made, window, amount }));
            }
        }
        let is_open = !blank.record.window.is_session() || !attached.is_empty();
        (opened.filter(|_| is_open), attached)
    }

    pub(crate) fn decide_base(
        &self,
        (policy, made_seq): (u128, u64),
        parts: &[(WindowNo, i128)],
    ) -> Chosen {
        let number = self.policy_number(policy).ok_or(Refusal::NotFound)?;
        let is_meant = |found: &&Policy| found.opening && found.made_seq == made_seq;
        let Some(found) = self.policy(number).filter(is_meant) else {
            return Ok(None);
        };
        let mut crossed: Vec<Crossed> = vec![];
        if let Some(micros) = found.record.window.sliding() {
            let first = first_counted_bucket(micros, self.time);
            let counted = parts.iter().filter(|(bucket, _)| *bucket >= first);
            let added = counted.fold(0_i128, |sum, (_, used)| sum.saturating_add(*used));
            let used = found.sliding_used(micros, self.time);
            self.crossings((number, found, 0), used, added, &[], &mut crossed);
        }
        for (window, added) in parts.iter().filter(|_| found.record.window.sliding().is_none()) {
            let open = found.windows.iter().find(|open| open.number == *window);
            // One that is over tells nobody any more.
            if let Some(open) = open.filter(|open| open.end > self.time) {
                self.crossings((number, found, *window), open.used, *added, &[], &mut crossed);
            }
        }
        Ok(Some(Outcome::PolicyBased { policy: number, parts: parts.to_vec(), crossed }))
    }

    pub(crate) fn decide_change_policy(&self, policy: u128, change: &PolicyChange) -> Chosen {
        let number = self.policy_number(policy).ok_or(Refusal::NotFound)?;
        let record = self.policy(number).map(|policy| &policy.record).ok_or(Refusal::NotFound)?;
        if change.limit.is_some_and(|limit| !(0..=AMOUNT_MAX).contains(&limit)) {
            return Err(Refusal::OutOfRange);
        }
        let is_same = change.limit.is_none_or(|limit| limit == record.limit)
            && change.mode.is_none_or(|mode| mode == record.mode)
            && change.allow_on_unavailable.is_none_or(|allow| allow == record.allow_on_unavailable)
            && change.alerts.as_ref().is_none_or(|alerts| *alerts == record.alerts);
        let changed = || Outcome::PolicyChanged { policy: number, change: change.clone() };
        Ok((!is_same).then(changed))
    }

    pub(crate) fn decide_remove_policy(&self, policy: u128) -> Chosen {
        let policy = self.policy_number(policy).ok_or(Refusal::NotFound)?;
        Ok(Some(Outcome::PolicyRemoved { policy }))
    }

    pub(crate) fn decide_configure(&self, settings: &Settings) -> Chosen {
        if settings.revision <= self.settings.revision {
            return Ok(None);
        }
        match Calendar::new(&settings.calendar) {
            Some(_) => Ok(Some(Outcome::Configured(settings.clone()))),
            None => Err(Refusal::OutOfRange),
        }
    }

    /// Whether there is room for another path.
    #[must_use]
    pub fn has_room_for_paths(&self) -> bool {
        self.paths.len() < PATHS_MAX
    }
}

/// Whether nothing that came before counts: windows under an hour, and those that open at use.
fn starts_empty(window: Window) -> bool {
    const MINUTE: u8 = 0;
    const HOUR_MICROS: Micros = 3600 * 1_000_000;
    match window {
        Window::Calendar(MINUTE) | Window::Session(_) => true,
        Window::Sliding(micros) => micros < HOUR_MICROS,
        Window::Calendar(_) | Window::Anchored(..) | Window::Total => false,
    }
}

impl Event {
    /// An event with nothing in it but where and when.
    #[must_use]
    pub fn empty(at: Micros, path: &str) -> Event {
        Event {
            at,
            path: path.to_owned(),
            service: String::new(),
            model: String::new(),
            measures: Measures::default(),
            reservation: None,
            ended: None,
            detail: vec![],
        }
    }
}
