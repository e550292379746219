//! Following decisions. Small, total, without judgement: the same decisions give the same state on
//! every node and every release that reads them.

use crate::calendar::first_counted_bucket;
use crate::command::{Ended, EndedHow, Measures, Micros, PathNo, PolicyNo, WindowNo};
use crate::decision::{
    Adjusted, AdjustmentBooking, Booked, Crossed, Decision, Held, HeldAmount, Opened, Outcome,
};
use crate::policy::{OpenWindow, Policy, PolicyChange, PolicyRecord, Unit};
use crate::state::{PathNode, Reservation, Standing, State, number};

/// The place of a bit among a window's told thresholds; alerts beyond have none.
const TOLD_BITS: u8 = 32;

impl State {
    /// Follows one decision. Between `begin` and `keep` it can be put back.
    pub fn apply(&mut self, decision: &Decision) {
        match &decision.outcome {
            Outcome::Booked(booked) => self.apply_booked(booked),
            Outcome::Held(held) => self.apply_held(held),
            Outcome::Released { reservation } => self.end(*reservation, EndedHow::Released),
            Outcome::Extended { reservation, expires_at } => {
                if let Some(found) = self.reservations.get(reservation) {
                    let extended = Reservation { expires_at: *expires_at, ..found.clone() };
                    self.put_reservation(*reservation, Some(extended));
                }
            }
            Outcome::Expired { reservations } => {
                for reservation in reservations {
                    self.end(*reservation, EndedHow::Expired);
                }
            }
            Outcome::Adjusted(adjusted) => self.apply_adjusted(adjusted),
            Outcome::PathPut { new_paths, path, put } => {
                self.make_paths(new_paths);
                let node = self.path_mut(*path);
                if let Some(service) = &put.service {
                    node.service = Some(service.clone());
                }
                if let Some(notes) = &put.notes {
                    node.notes.clone_from(notes);
                }
                if let Some(tags) = &put.tags {
                    node.tags.clone_from(tags);
                }
            }
            Outcome::PathArchived { path, archived } => self.path_mut(*path).archived = *archived,
            Outcome::PolicyMade { new_paths, path, policy, opening, window, attached } => {
                self.make_paths(new_paths);
                self.apply_made(*path, policy, *opening, window.as_ref(), attached);
            }
            Outcome::PolicyBased { policy, parts, crossed } => {
                self.apply_base(*policy, parts);
                self.tell(crossed);
            }
            Outcome::PolicyChanged { policy, change } => self.apply_change(*policy, change),
            Outcome::PolicyRemoved { policy } => self.apply_removed(*policy),
            Outcome::Configured(settings) => self.set_settings(settings.clone()),
            Outcome::Refused(_) => {}
        }
        if let Some((identity, body)) = decision.once {
            self.remember(identity, body);
        }
    }

    fn apply_booked(&mut self, booked: &Booked) {
        self.make_paths(&booked.new_paths);
        self.open(&booked.opened);
        if let Some(reservation) = booked.settled {
            self.end(reservation, EndedHow::Committed);
        }
        self.count(&booked.counted, &booked.measures);
        self.tell(&booked.crossed);
    }

    fn apply_held(&mut self, held: &Held) {
        self.make_paths(&held.new_paths);
        self.open(&held.opened);
        for amount in &held.amounts {
            self.hold(amount);
        }
        let reservation = Reservation {
            path: held.path,
            service: held.service.clone(),
            model: held.model.clone(),
            estimate: held.estimate,
            expires_at: held.expires_at,
            amounts: held.amounts.clone(),
        };
        self.put_reservation(held.reservation, Some(reservation));
    }

    fn apply_adjusted(&mut self, adjusted: &Adjusted) {
        for booking in &adjusted.bookings {
            self.make_paths(&booking.new_paths);
            self.open(&booking.opened);
            self.count(&booking.counted, &booking.measures);
            self.tell(&booking.crossed);
        }
        if let Some(AdjustmentBooking { at, path, service, model, .. }) = adjusted.bookings.last() {
            let standing = Standing {
                revision: adjusted.revision,
                at: *at,
                path: *path,
                service: service.clone(),
                model: model.clone(),
                measures: adjusted.standing,
            };
            self.put_adjustment(&adjusted.key, standing);
        }
    }

    fn apply_made(
        &mut self,
        path: PathNo,
        record: &PolicyRecord,
        opening: bool,
        window: Option<&Opened>,
        attached: &[(u128, i128)],
    ) {
        let made = Policy { opening, made_seq: self.batch_seq(), ..Policy::blank(record, path) };
        let policy = self.push_policy(made);
        self.path_mut(path).policies.push(policy);
        self.open(window.map(std::slice::from_ref).unwrap_or_default());
        for (reservation, held) in attached {
            let Some(found) = self.reservations.get(reservation) else { continue };
            let mut found = found.clone();
            let window = self.policy(policy).and_then(|made| made.windows.first());
            let Some(window) = window.map(|window| window.number) else { continue };
            let amount = HeldAmount { policy, window, amount: *held };
            self.hold(&amount);
            found.amounts.push(amount);
            self.put_reservation(*reservation, Some(found));
        }
    }

    fn apply_base(&mut self, policy: PolicyNo, parts: &[(WindowNo, i128)]) {
        let time = self.time;
        let Some(policy) = self.policy_mut(policy) else { return };
        policy.opening = false;
        for (window, used) in parts {
            policy.add(*window, *used, time);
        }
    }

    fn apply_change(&mut self, policy: PolicyNo, change: &PolicyChange) {
        let Some(policy) = self.policy_mut(policy) else { return };
        let record = &mut policy.record;
        record.limit = change.limit.unwrap_or(record.limit);
        record.mode = change.mode.unwrap_or(record.mode);
        record.allow_on_unavailable =
            change.allow_on_unavailable.unwrap_or(record.allow_on_unavailable);
        if let Some(alerts) = &change.alerts {
            record.alerts.clone_from(alerts);
            // Their places have other meanings now.
            for window in &mut policy.windows {
                window.told = 0;
            }
        }
    }

    fn apply_removed(&mut self, number: PolicyNo) {
        let Some(removed) = self.policy_slot(number).and_then(Option::take) else { return };
        self.policy_numbers.remove(&removed.record.id);
        self.path_mut(removed.path).policies.retain(|policy| *policy != number);
    }

    fn make_paths(&mut self, names: &[String]) {
        for name in names {
            let above = domain::path::parent(name).unwrap_or_default();
            let parent = self.path_number(above).unwrap_or(0);
            let made = number(self.paths.len());
            self.paths.push(PathNode::new(name, parent, self.time));
            self.path_numbers.insert(name.as_str().into(), made);
        }
    }

    fn open(&mut self, opened: &[Opened]) {
        let time = self.time;
        for window in opened {
            if let Some(policy) = self.policy_mut(window.policy) {
                policy.open(window, time);
            }
        }
    }

    fn count(&mut self, counted: &[(PolicyNo, WindowNo)], measures: &Measures) {
        let time = self.time;
        for (policy, window) in counted {
            if let Some(policy) = self.policy_mut(*policy) {
                policy.add(*window, measures.of(policy.record.unit), time);
            }
        }
    }

    fn hold(&mut self, held: &HeldAmount) {
        let Some(policy) = self.policy_mut(held.policy) else { return };
        if let Some(window) = policy.holding(held.window) {
            window.held = window.held.saturating_add(held.amount);
            window.hold_count = window.hold_count.saturating_add(1);
        }
    }

    fn tell(&mut self, crossed: &[Crossed]) {
        for told in crossed.iter().filter(|told| told.alert < TOLD_BITS) {
            let Some(policy) = self.policy_mut(told.policy) else { continue };
            if let Some(window) = policy.holding(told.window) {
                window.told |= 1 << told.alert;
            }
        }
    }

    /// Ends a reservation: what it holds is free again.
    fn end(&mut self, id: u128, how: EndedHow) {
        let at = self.time;
        let Some(found) = self.reservations.get(&id).cloned() else {
            // It expired before, and now a late commit came.
            if let Some(before) = self.ended.get(&id).cloned() {
                self.put_ended(id, Ended { how, at, ..before });
            }
            return;
        };
        self.put_reservation(id, None);
        let mut windows = Vec::with_capacity(found.amounts.len());
        for amount in &found.amounts {
            windows.push((amount.policy, amount.window));
            let Some(policy) = self.policy_mut(amount.policy) else { continue };
            let Some(window) = policy.holding(amount.window) else { continue };
            window.held = window.held.saturating_sub(amount.amount);
            window.hold_count = window.hold_count.saturating_sub(1);
        }
        let (path, service, model) = (found.path, found.service, found.model);
        self.put_ended(id, Ended { how, at, path, service, model, windows });
    }
}

impl Policy {
    /// A policy that has counted nothing.
    pub(crate) fn blank(record: &PolicyRecord, path: PathNo) -> Policy {
        Policy {
            record: record.clone(),
            path,
            opening: false,
            made_seq: 0,
            windows: vec![],
            buckets: Default::default(),
            retired_end: Micros::MIN,
            next_window: 0,
        }
    }

    /// The window that holds are on: a sliding policy's buckets share one.
    pub(crate) fn holding(&mut self, number: WindowNo) -> Option<&mut OpenWindow> {
        match self.record.window.sliding() {
            Some(_) => self.windows.first_mut(),
            None => self.windows.iter_mut().find(|window| window.number == number),
        }
    }

    /// Opens a window, and lets go of those that are over and hold nothing.
    fn open(&mut self, opened: &Opened, time: Micros) {
        let over = |window: &OpenWindow| window.end <= time && window.hold_count == 0;
        let retired = self.windows.iter().filter(|window| over(window)).map(|window| window.end);
        self.retired_end = retired.fold(self.retired_end, Micros::max);
        self.windows.retain(|window| !over(window));
        let place = self.windows.partition_point(|window| window.start < opened.start);
        let (number, start, end) = (opened.window, opened.start, opened.end);
        let window = OpenWindow { number, start, end, used: 0, held: 0, hold_count: 0, told: 0 };
        self.windows.insert(place, window);
        self.next_window = self.next_window.max(number.saturating_add(1));
    }

    /// Adds to what a window used. One that is not in the state any more decides nothing.
    fn add(&mut self, number: WindowNo, used: i128, time: Micros) {
        if let Some(micros) = self.record.window.sliding() {
            self.add_to_bucket(number, used, micros, time);
        } else if let Some(window) = self.windows.iter_mut().find(|open| open.number == number) {
            window.used = window.used.saturating_add(used);
        }
    }

    fn add_to_bucket(&mut self, number: WindowNo, used: i128, micros: Micros, time: Micros) {
        let first = first_counted_bucket(micros, time);
        while self.buckets.front().is_some_and(|(bucket, _)| *bucket < first) {
            self.buckets.pop_front();
        }
        if number < first {
            return;
        }
        let place = self.buckets.partition_point(|(bucket, _)| *bucket < number);
        match self.buckets.get_mut(place) {
            Some((bucket, sum)) if *bucket == number => *sum = sum.saturating_add(used),
            _ => self.buckets.insert(place, (number, used)),
        }
    }

    /// What a sliding policy counts at `time`.
    pub(crate) fn sliding_used(&self, micros: Micros, time: Micros) -> i128 {
        let first = first_counted_bucket(micros, time);
        let counted = self.buckets.iter().rev().take_while(|(bucket, _)| *bucket >= first);
        counted.fold(0, |sum, (_, used)| sum.saturating_add(*used))
    }
}

impl Measures {
    /// What a policy of this unit counts of it.
    #[must_use]
    pub fn of(&self, unit: Unit) -> i128 {
        match unit {
            Unit::Usd => self.cost,
            Unit::Credits => self.credits,
            Unit::Requests => i128::from(self.requests),
            Unit::Tokens => i128::from(self.tokens),
        }
    }
}
