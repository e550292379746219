//! What a batch touched, as it was before: put back where the batch does not become durable.

use std::collections::BTreeMap;

use crate::calendar::Calendar;
use crate::command::{BodyHash, Ended, Identity, Micros, PathNo, PolicyNo};
use crate::policy::Policy;
use crate::settings::Settings;
use crate::state::{PathNode, Remembered, Reservation, Standing, State, index, number};

/// What to put back.
#[derive(Default)]
pub(crate) struct Undo {
    time: Micros,
    closed: bool,
    settings: Option<Settings>,
    path_count: usize,
    paths: BTreeMap<PathNo, PathNode>,
    policy_count: usize,
    policies: BTreeMap<PolicyNo, Option<Policy>>,
    reservations: BTreeMap<u128, Option<Reservation>>,
    /// Reservations that ended, in order, with how they had ended before.
    ended: Vec<(u128, Option<Ended>)>,
    remembered: Vec<Identity>,
    adjustments: BTreeMap<String, Option<Standing>>,
}

impl State {
    /// Begins a batch at `time`, which is never before the last one's.
    pub fn begin(&mut self, time: Micros) {
        debug_assert!(self.undo.is_none(), "one batch at a time");
        self.undo = Some(Box::new(Undo {
            time: self.time,
            closed: self.closed,
            path_count: self.paths.len(),
            policy_count: self.policies.len(),
            ..Undo::default()
        }));
        self.time = self.time.max(time);
    }

    /// The batch is durable as the entry `seq`; its ids were looked up as of `looked_up_seq`, so
    /// those of entries up to it are in the tables and need not be remembered.
    pub fn keep(&mut self, seq: u64, looked_up_seq: u64) {
        self.undo = None;
        self.seq = seq;
        self.forget(looked_up_seq);
    }

    /// The batch does not become durable: everything is as it was before it.
    pub fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        (self.time, self.closed) = (undo.time, undo.closed);
        if let Some(settings) = undo.settings {
            if let Some(calendar) = Calendar::new(&settings.calendar) {
                self.calendar = calendar;
            }
            self.settings = settings;
        }
        for node in self.paths.drain(undo.path_count..) {
            self.path_numbers.remove(&node.name);
        }
        for (path, node) in undo.paths {
            self.paths[index(path)] = node;
        }
        for policy in self.policies.drain(undo.policy_count..).flatten() {
            self.policy_numbers.remove(&policy.record.id);
        }
        for (number, policy) in undo.policies {
            if let Some(policy) = &policy {
                self.policy_numbers.insert(policy.record.id, number);
            }
            self.policies[index(number)] = policy;
        }
        for (id, before) in undo.reservations {
            self.set_reservation(id, before);
        }
        for (id, before) in undo.ended.into_iter().rev() {
            match before {
                Some(before) => self.ended.insert(id, before),
                None => self.ended.remove(&id),
            };
            self.ended_order.pop_back();
        }
        for identity in undo.remembered.into_iter().rev() {
            self.remembered.remove(&identity);
            self.remembered_order.pop_back();
        }
        for (key, before) in undo.adjustments {
            match before {
                Some(before) => self.adjustments.insert(key, before),
                None => self.adjustments.remove(&key),
            };
        }
    }

    /// The entry that the batch becomes.
    pub(crate) fn batch_seq(&self) -> u64 {
        self.seq.saturating_add(1)
    }

    pub(crate) fn path_mut(&mut self, path: PathNo) -> Option<&mut PathNode> {
        let node = self.paths.get_mut(index(path))?;
        if let Some(undo) = &mut self.undo
            && index(path) < undo.path_count
        {
            undo.paths.entry(path).or_insert_with(|| node.clone());
        }
        Some(node)
    }

    pub(crate) fn policy_slot(&mut self, policy: PolicyNo) -> Option<&mut Option<Policy>> {
        let slot = self.policies.get_mut(index(policy))?;
        if let Some(undo) = &mut self.undo
            && index(policy) < undo.policy_count
        {
            undo.policies.entry(policy).or_insert_with(|| slot.clone());
        }
        Some(slot)
    }

    pub(crate) fn policy_mut(&mut self, policy: PolicyNo) -> Option<&mut Policy> {
        self.policy_slot(policy)?.as_mut()
    }

    pub(crate) fn push_policy(&mut self, policy: Policy) -> PolicyNo {
        let new = number(self.policies.len());
        self.policy_numbers.insert(policy.record.id, new);
        self.policies.push(Some(policy));
        new
    }

    pub(crate) fn put_reservation(&mut self, id: u128, now: Option<Reservation>) {
        let before = self.set_reservation(id, now);
        if let Some(undo) = &mut self.undo {
            undo.reservations.entry(id).or_insert(before);
        }
    }

    /// Takes an open reservation out.
    pub(crate) fn take_reservation(&mut self, id: u128) -> Option<Reservation> {
        let before = self.set_reservation(id, None)?;
        if let Some(undo) = &mut self.undo {
            undo.reservations.entry(id).or_insert_with(|| Some(before.clone()));
        }
        Some(before)
    }

    fn set_reservation(&mut self, id: u128, now: Option<Reservation>) -> Option<Reservation> {
        let due_at = now.as_ref().map(|now| now.expires_at);
        let before = match now {
            Some(now) => self.reservations.insert(id, now),
            None => self.reservations.remove(&id),
        };
        if let Some(before) = &before {
            self.due.remove(&(before.expires_at, id));
        }
        if let Some(due_at) = due_at {
            self.due.insert((due_at, id));
        }
        before
    }

    pub(crate) fn put_ended(&mut self, id: u128, ended: Ended) {
        // One that ended twice (it expired, then a late commit came) has its last end, and stands
        // in the order twice.
        self.ended_order.push_back((ended.seq, id));
        let before = self.ended.insert(id, ended);
        if let Some(undo) = &mut self.undo {
            undo.ended.push((id, before));
        }
    }

    pub(crate) fn remember(&mut self, identity: Identity, body: BodyHash) {
        let seq = self.batch_seq();
        if self.remembered.insert(identity, Remembered { body, seq }).is_none() {
            self.remembered_order.push_back((seq, identity));
            if let Some(undo) = &mut self.undo {
                undo.remembered.push(identity);
            }
        }
    }

    pub(crate) fn put_adjustment(&mut self, key: &str, standing: Standing) {
        let before = self.adjustments.insert(key.to_owned(), standing);
        if let Some(undo) = &mut self.undo {
            undo.adjustments.entry(key.to_owned()).or_insert(before);
        }
    }

    pub(crate) fn set_settings(&mut self, settings: Settings) {
        // A zone that this release does not know: no snapshot of this state will be read.
        if let Some(calendar) = Calendar::new(&settings.calendar) {
            self.calendar = calendar;
        }
        let before = std::mem::replace(&mut self.settings, settings);
        if let Some(undo) = &mut self.undo {
            undo.settings.get_or_insert(before);
        }
    }

    /// Forgets identities and ended reservations of entries up to `seq`: the tables have them.
    fn forget(&mut self, seq: u64) {
        if seq <= self.forgotten_seq {
            return;
        }
        self.forgotten_seq = seq;
        while let Some((of, identity)) = self.remembered_order.front().copied()
            && of <= seq
        {
            self.remembered_order.pop_front();
            self.remembered.remove(&identity);
        }
        while let Some((of, id)) = self.ended_order.front().copied()
            && of <= seq
        {
            self.ended_order.pop_front();
            if self.ended.get(&id).is_some_and(|ended| ended.seq <= seq) {
                self.ended.remove(&id);
            }
        }
    }
}
