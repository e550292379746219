//! Following decisions. Small, total, without judgement: the same decisions give the same state on
//! every node and every release that reads them.

use std::sync::Arc;

use crate::booking::TOLD_BITS;
use crate::calendar::first_counted_bucket;
use crate::command::{Ended, EndedHow, Measures, Micros, PathNo, PolicyNo, PutPath, WindowNo};
use crate::decision::{
    Adjusted, AdjustmentBooking, Booked, Crossed, Decision, Held, HeldAmount, Opened, Outcome,
};
use crate::policy::{Alert, OpenWindow, Policy, PolicyChange, PolicyRecord, Unit};
use crate::state::{PathNode, Reservation, Standing, State, number};

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
                self.apply_put(*path, put);
            }
            Outcome::PathArchived { path, archived } => {
                if let Some(node) = self.path_mut(*path) {
                    node.archived = *archived;
                }
            }
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
            Outcome::Refused(_) | Outcome::Skipped { .. } => {}
            Outcome::Closed => self.closed = true,
        }
        if let Some((identity, body)) = decision.once {
            self.remember(identity, body);
        }
    }

    fn apply_booked(&mut self, booked: &Booked) {
        self.make_paths(&booked.new_paths);
        self.open(&booked.opened);
        if let Some(reservation) = booked.settled {
            self.apply_settled(reservation, booked);
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

    fn apply_put(&mut self, path: PathNo, put: &PutPath) {
        let Some(node) = self.path_mut(path) else { return };
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

    fn apply_made(
        &mut self,
        path: PathNo,
        record: &PolicyRecord,
        opening: bool,
        window: Option<&Opened>,
        attached: &[(u128, HeldAmount)],
    ) {
        let made = Policy { opening, made_seq: self.batch_seq(), ..Policy::blank(record, path) };
        let policy = self.push_policy(made);
        if let Some(node) = self.path_mut(path) {
            node.policies.push(policy);
        }
        self.open(window.map(std::slice::from_ref).unwrap_or_default());
        for (reservation, amount) in attached {
            let Some(mut found) = self.reservations.get(reservation).cloned() else { continue };
            self.hold(amount);
            found.amounts.push(*amount);
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
        let record = Arc::make_mut(&mut policy.record);
        record.limit = change.limit.unwrap_or(record.limit);
        record.mode = change.mode.unwrap_or(record.mode);
        record.allow_on_unavailable =
            change.allow_on_unavailable.unwrap_or(record.allow_on_unavailable);
        if let Some(alerts) = &change.alerts {
            let before = std::mem::replace(&mut record.alerts, alerts.clone());
            for window in &mut policy.windows {
                window.told = told_again(window.told, &before, alerts);
            }
        }
    }

    fn apply_removed(&mut self, number: PolicyNo) {
        let Some(removed) = self.policy_slot(number).and_then(Option::take) else { return };
        self.policy_numbers.remove(&removed.record.id);
        if let Some(node) = self.path_mut(removed.path) {
            node.policies.retain(|policy| *policy != number);
        }
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
        let time = self.time;
        for told in crossed.iter().filter(|told| told.alert < TOLD_BITS) {
            let Some(policy) = self.policy_mut(told.policy) else { continue };
            let is_first = policy.begin_telling(time);
            if let Some(window) = policy.holding(told.window) {
                if is_first {
                    window.told = 0;
                }
                window.told |= 1 << told.alert;
            }
        }
    }

    /// Ends the reservation of a commit.
    fn apply_settled(&mut self, id: u128, booked: &Booked) {
        let (how, at, seq) = (EndedHow::Committed, self.time, self.batch_seq());
        if self.reservations.contains_key(&id) {
            return self.end(id, how);
        }
        // It expired before, and now a late commit came. Where that was forgotten already, what is
        // booked tells enough to know a second one.
        let ended = match self.ended.get(&id) {
            Some(before) => Ended { how, at, seq, ..before.clone() },
            None => Ended {
                how,
                at,
                seq,
                path: booked.path,
                service: booked.service.clone(),
                model: booked.model.clone(),
                estimate: Measures::default(),
                windows: booked.counted.clone(),
            },
        };
        self.put_ended(id, ended);
    }

    /// Ends a reservation: what it holds is free again.
    fn end(&mut self, id: u128, how: EndedHow) {
        let Some(found) = self.take_reservation(id) else { return };
        let mut windows = Vec::with_capacity(found.amounts.len());
        for amount in &found.amounts {
            windows.push((amount.policy, amount.window));
            let Some(policy) = self.policy_mut(amount.policy) else { continue };
            let Some(window) = policy.holding(amount.window) else { continue };
            window.held = window.held.saturating_sub(amount.amount);
            window.hold_count = window.hold_count.saturating_sub(1);
        }
        let at = match how {
            EndedHow::Expired => found.expires_at,
            EndedHow::Committed | EndedHow::Released => self.time,
        };
        let Reservation { path, service, model, estimate, .. } = found;
        let seq = self.batch_seq();
        self.put_ended(id, Ended { how, at, path, service, model, estimate, windows, seq });
    }
}

/// Bits of told thresholds after the alerts have changed: a threshold that stays stays told.
fn told_again(told: u32, before: &[Alert], now: &[Alert]) -> u32 {
    let was_told = |alert: &Alert| {
        let mut told_before = (0..TOLD_BITS).zip(before).filter(|(bit, _)| told & (1 << bit) != 0);
        told_before.any(|(_, old)| old.at == alert.at)
    };
    let stays = (0..TOLD_BITS).zip(now).filter(|(_, alert)| was_told(alert));
    stays.fold(0, |bits, (bit, _)| bits | 1 << bit)
}

impl Policy {
    /// A policy that has counted nothing.
    pub(crate) fn blank(record: &PolicyRecord, path: PathNo) -> Policy {
        Policy {
            record: Arc::new(record.clone()),
            path,
            opening: false,
            made_seq: 0,
            windows: vec![],
            buckets: Default::default(),
            retired_end: Micros::MIN,
            next_window: 0,
            told_at: None,
        }
    }

    /// Whether the thresholds that were told may be told again: of a sliding window, which never
    /// ends, when its length has passed since the first of them.
    fn begin_telling(&mut self, time: Micros) -> bool {
        let Some(micros) = self.record.window.sliding() else { return false };
        let is_first = self.told_at.is_none_or(|told| told.saturating_add(micros) <= time);
        if is_first {
            self.told_at = Some(time);
        }
        is_first
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
