//! A slow and obvious model of the engine: it keeps everything that ever happened, forgets nothing,
//! and adds every counter up again whenever it is asked. It shares types and the calendar with the
//! engine, and no rule.

use std::collections::BTreeMap;

use engine::calendar::{Calendar, first_counted_bucket, sliding_bucket};
use engine::command::{Adjust, Commit, Correct, EndedHow, Event, Identity, Measures};
use engine::decision::flag;
use engine::policy::{Mode, PolicyRecord, Threshold, Unit, Window};
use engine::{Refusal, Settings};

#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) time: i64,
    pub(crate) settings: Settings,
    pub(crate) paths: Vec<ModelPath>,
    pub(crate) policies: Vec<ModelPolicy>,
    pub(crate) reservations: Vec<ModelReservation>,
    /// Everything that was ever counted in a window.
    pub(crate) counts: Vec<Count>,
    pub(crate) told: Vec<Told>,
    /// Every adjustment that was taken, the path as it was found.
    pub(crate) adjustments: Vec<(Adjust, usize)>,
    pub(crate) heard: BTreeMap<Identity, [u8; 4]>,
}

#[derive(Clone)]
pub(crate) struct ModelPath {
    pub(crate) name: String,
    pub(crate) service: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) archived: bool,
}

#[derive(Clone)]
pub(crate) struct ModelPolicy {
    pub(crate) record: PolicyRecord,
    pub(crate) opening: bool,
    pub(crate) removed: bool,
    /// Every window that ever opened.
    pub(crate) windows: Vec<(i64, i64)>,
}

#[derive(Clone)]
pub(crate) struct ModelReservation {
    pub(crate) id: u128,
    pub(crate) path: usize,
    pub(crate) service: String,
    pub(crate) model: String,
    pub(crate) estimate: Measures,
    pub(crate) expires_at: i64,
    pub(crate) holds: Vec<(usize, i64, i128)>,
    pub(crate) ended: Option<EndedHow>,
}

#[derive(Clone)]
pub(crate) struct Count {
    pub(crate) policy: usize,
    pub(crate) window: i64,
    amount: i128,
}

#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) policy: usize,
    window: i64,
    pub(crate) threshold: Threshold,
    at: i64,
    /// Its alert was taken away.
    pub(crate) is_void: bool,
}

/// What is answered, as far as it can be told without the engine's own words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Spent(Box<Spent>),
    Held { path: String, amounts: Vec<(usize, i64, i128)>, expires_at: i64, flags: u32 },
    Adjusted(Vec<Spent>),
    Done,
    Refused(Refusal),
    Repeat,
    Unchanged,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spent {
    pub(crate) path: String,
    pub(crate) service: String,
    pub(crate) model: String,
    pub(crate) measures: Measures,
    pub(crate) counted: Vec<(usize, i64)>,
    pub(crate) late: Vec<(usize, i128)>,
    pub(crate) crossed: Vec<(usize, i64, u8)>,
    pub(crate) settled: Option<u128>,
    pub(crate) flags: u32,
}

/// Where an instant lies for a policy.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Spot {
    Open(i64),
    New(i64, i64),
    Closed,
    Gone,
}

pub(crate) fn amount_of(measures: &Measures, unit: Unit) -> i128 {
    match unit {
        Unit::Usd => measures.cost,
        Unit::Credits => measures.credits,
        Unit::Requests => measures.requests.into(),
        Unit::Tokens => measures.tokens.into(),
    }
}

impl Default for Model {
    fn default() -> Model {
        Model {
            time: i64::MIN,
            settings: Settings::default(),
            paths: vec![ModelPath {
                name: String::new(),
                service: None,
                notes: None,
                archived: false,
            }],
            policies: vec![],
            reservations: vec![],
            counts: vec![],
            told: vec![],
            adjustments: vec![],
            heard: BTreeMap::new(),
        }
    }
}

impl Model {
    pub(crate) fn used(&self, policy: usize, window: i64) -> i128 {
        let here = |count: &&Count| (count.policy, count.window) == (policy, window);
        self.counts.iter().filter(here).map(|count| count.amount).sum()
    }

    /// What counts at an instant, under a sliding policy what has not left by then.
    pub(crate) fn used_at(&self, policy: usize, at: i64) -> i128 {
        match self.policies[policy].record.window {
            Window::Sliding(micros) => {
                let first = first_counted_bucket(micros, at);
                let counts = |count: &&Count| count.policy == policy && count.window >= first;
                self.counts.iter().filter(counts).map(|count| count.amount).sum()
            }
            _ => match self.spot(policy, at) {
                Spot::Open(window) => self.used(policy, window),
                _ => 0,
            },
        }
    }

    pub(crate) fn held(&self, policy: usize, window: Option<i64>) -> i128 {
        let open = self.reservations.iter().filter(|found| found.ended.is_none());
        open.flat_map(|found| &found.holds)
            .filter(|hold| hold.0 == policy && window.is_none_or(|window| window == hold.1))
            .map(|hold| hold.2)
            .sum()
    }

    pub(crate) fn held_at(&self, policy: usize, at: i64) -> i128 {
        match (self.policies[policy].record.window, self.spot(policy, at)) {
            (Window::Sliding(_), _) => self.held(policy, None),
            (_, Spot::Open(window)) => self.held(policy, Some(window)),
            _ => 0,
        }
    }

    fn bounds(&self, policy: usize, at: i64) -> Option<(i64, i64)> {
        let calendar = Calendar::new(&self.settings.calendar).unwrap();
        let windows = &self.policies[policy].windows;
        let begins = windows.iter().map(|window| window.1).filter(|end| *end <= at).max();
        let ends = windows.iter().map(|window| window.0).filter(|start| *start > at).min();
        let (begins, ends) = (begins.unwrap_or(i64::MIN), ends.unwrap_or(i64::MAX));
        if let Window::Session(micros) = self.policies[policy].record.window {
            return (at + micros <= ends).then_some((at, at + micros));
        }
        let (start, end) = calendar.bounds(&self.policies[policy].record.window.into(), at)?;
        Some((start.max(begins), end.min(ends)))
    }

    pub(crate) fn spot(&self, policy: usize, at: i64) -> Spot {
        let found = &self.policies[policy];
        let at = match found.record.window {
            Window::Sliding(micros) => {
                let bucket = sliding_bucket(micros, at);
                let has_left = bucket < first_counted_bucket(micros, self.time);
                return if has_left { Spot::Gone } else { Spot::Open(bucket) };
            }
            Window::Session(_) => at.min(self.time),
            _ => at,
        };
        let contains = |window: &(i64, i64)| window.0 <= at && at < window.1;
        if let Some(number) = found.windows.iter().position(contains) {
            let is_over = found.windows[number].1 <= self.time;
            return if is_over { Spot::Closed } else { Spot::Open(number.try_into().unwrap()) };
        }
        match self.bounds(policy, at) {
            Some((start, end)) if end > self.time => Spot::New(start, end),
            _ => Spot::Closed,
        }
    }

    /// Opens the window at a spot; its number.
    pub(crate) fn open(&mut self, policy: usize, spot: Spot) -> Option<i64> {
        match spot {
            Spot::Open(window) => Some(window),
            Spot::New(start, end) => {
                self.policies[policy].windows.push((start, end));
                Some(i64::try_from(self.policies[policy].windows.len()).unwrap() - 1)
            }
            Spot::Closed | Spot::Gone => None,
        }
    }

    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.paths.iter().position(|node| node.name == path)
    }

    fn nearest(&self, path: &str) -> usize {
        domain::path::self_and_above(path).find_map(|name| self.find(name)).unwrap()
    }

    pub(crate) fn make(&mut self, path: &str) -> usize {
        let names: Vec<&str> = domain::path::self_and_above(path).collect();
        for name in names.into_iter().rev() {
            if self.find(name).is_none() {
                let name = name.to_owned();
                self.paths.push(ModelPath { name, service: None, notes: None, archived: false });
            }
        }
        self.find(path).unwrap()
    }

    /// The policies that count at a path, nearest first, then in the order of making.
    pub(crate) fn above(&self, path: &str) -> Vec<usize> {
        let on = |name: &str| {
            let policies = self.policies.iter().enumerate();
            let here = policies.filter(|(_, one)| !one.removed && one.record.path == name);
            here.map(|(number, _)| number).collect::<Vec<_>>()
        };
        domain::path::self_and_above(path).flat_map(on).collect()
    }

    pub(crate) fn matches(&self, policy: usize, service: &str, model: &str) -> bool {
        let record = &self.policies[policy].record;
        (record.service.is_empty() || record.service == service)
            && (record.model.is_empty() || record.model == model)
    }

    pub(crate) fn refuses_path(&self, path: &str, service: &str) -> Option<Refusal> {
        if self.find(path).is_none() && !self.settings.auto_create_paths {
            return Some(Refusal::UnknownPath);
        }
        let archived = |name: &str| self.find(name).is_some_and(|path| self.paths[path].archived);
        if domain::path::self_and_above(path).any(archived) {
            return Some(Refusal::PathArchived);
        }
        let own = self.find(path).and_then(|path| self.paths[path].service.clone());
        own.filter(|own| !service.is_empty() && own != service).map(Refusal::ServiceMismatch)
    }

    fn path_of_spend(&mut self, path: &str) -> usize {
        if self.settings.auto_create_paths { self.make(path) } else { self.nearest(path) }
    }

    fn level(threshold: Threshold, limit: i128) -> i128 {
        match threshold {
            Threshold::Amount(amount) => amount,
            Threshold::Percent(share) => (limit * i128::from(share) + 99_999) / 100_000,
        }
    }

    fn is_told(&self, policy: usize, window: i64, threshold: Threshold) -> bool {
        let told: Vec<&Told> = self.told.iter().filter(|told| told.policy == policy).collect();
        let Window::Sliding(micros) = self.policies[policy].record.window else {
            let same = |told: &&Told| told.window == window && told.threshold == threshold;
            return told.into_iter().filter(same).any(|told| !told.is_void);
        };
        let mut began = None;
        let mut is_told = false;
        for one in told {
            if began.is_none_or(|began| one.at >= began + micros) {
                (began, is_told) = (Some(one.at), false);
            }
            is_told |= one.threshold == threshold && !one.is_void;
        }
        is_told && began.is_some_and(|began| self.time < began + micros)
    }

    pub(crate) fn count_silently(&mut self, policy: usize, window: i64, amount: i128) {
        self.counts.push(Count { policy, window, amount });
    }

    /// Counts an amount and says which thresholds it reaches.
    pub(crate) fn count(
        &mut self,
        policy: usize,
        window: i64,
        amount: i128,
    ) -> Vec<(usize, i64, u8)> {
        self.counts.push(Count { policy, window, amount });
        let record = self.policies[policy].record.clone();
        let used = match record.window {
            Window::Sliding(_) => self.used_at(policy, self.time),
            _ => self.used(policy, window),
        };
        let mut reached = vec![];
        for (alert, one) in (0..).zip(&record.alerts) {
            let level = Model::level(one.at, record.limit);
            if amount > 0 && used >= level && !self.is_told(policy, window, one.at) {
                reached.push((level, alert, one.at));
            }
        }
        reached.sort_by_key(|(level, ..)| -*level);
        for (_, _, threshold) in &reached {
            let (threshold, at) = (*threshold, self.time);
            self.told.push(Told { policy, window, threshold, at, is_void: false });
        }
        reached.into_iter().map(|(_, alert, _)| (policy, window, alert)).collect()
    }

    /// Books an event: `admitted` windows go before its time, `is_held` even where they are over.
    fn spend(&mut self, path: usize, event: &Event, how: &How) -> Spent {
        let mut spent = Spent {
            path: self.paths[path].name.clone(),
            service: event.service.clone(),
            model: event.model.clone(),
            measures: event.measures,
            counted: vec![],
            late: vec![],
            crossed: vec![],
            settled: None,
            flags: 0,
        };
        for policy in self.above(&spent.path) {
            if !self.matches(policy, &event.service, &event.model) {
                continue;
            }
            let record = self.policies[policy].record.clone();
            let amount = amount_of(&event.measures, record.unit);
            if record.mode == Mode::Strict {
                spent.flags |= flag::UNRESERVED;
            }
            let admitted = how.admitted.iter().find(|one| one.0 == policy).map(|one| one.1);
            let spot = match (admitted, record.window) {
                (Some(bucket), Window::Sliding(micros)) => {
                    let has_left = bucket < first_counted_bucket(micros, self.time);
                    if has_left { Spot::Gone } else { Spot::Open(bucket) }
                }
                (Some(window), _) => {
                    // A batch that was rolled back may have opened it: then there is none.
                    let number = usize::try_from(window).unwrap();
                    let end = self.policies[policy].windows.get(number).map(|one| one.1);
                    let is_open = end.is_some_and(|end| end > self.time || how.is_held);
                    if is_open { Spot::Open(window) } else { Spot::Closed }
                }
                (None, _) => self.spot(policy, event.at),
            };
            let spot = match (spot, record.window) {
                (Spot::New(..), Window::Session(_)) if how.is_afterwards => Spot::Closed,
                _ => spot,
            };
            if spot == Spot::Closed {
                spent.late.push((policy, amount));
            }
            if let Some(window) = self.open(policy, spot) {
                spent.counted.push((policy, window));
                spent.crossed.extend(self.count(policy, window, amount));
            }
        }
        spent
    }

    pub(crate) fn track(&mut self, event: &Event) -> Answer {
        if let Some(id) = event.reservation
            && let Ok(found) = self.committable(id)
        {
            return self.settle(found, event, false);
        }
        if let Some(refusal) = self.refuses_path(&event.path, &event.service) {
            return Answer::Refused(refusal);
        }
        let path = self.make(&event.path);
        let mut spent = self.spend(path, event, &How::default());
        spent.flags |= if event.measures.unpriced { flag::UNPRICED } else { 0 };
        spent.flags |= if event.reservation.is_some() { flag::UNRESERVED } else { 0 };
        Answer::Spent(Box::new(spent))
    }

    fn committable(&self, id: u128) -> Result<usize, Refusal> {
        let found = self.reservations.iter().position(|one| one.id == id);
        let found = found.ok_or(Refusal::NotFound)?;
        match self.reservations[found].ended {
            None | Some(EndedHow::Expired) => Ok(found),
            Some(how) => Err(Refusal::Ended(how)),
        }
    }

    pub(crate) fn commit(&mut self, commit: &Commit) -> Answer {
        match self.committable(commit.reservation) {
            Ok(found) => self.settle(found, &commit.event, commit.incomplete),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn settle(&mut self, found: usize, event: &Event, incomplete: bool) -> Answer {
        let held = self.reservations[found].clone();
        let mut event = event.clone();
        let path = if event.path.is_empty() { held.path } else { self.path_of_spend(&event.path) };
        let mut flags = 0;
        if !event.path.is_empty() && self.paths[path].name != event.path {
            flags |= flag::PATH_LIMIT;
        }
        if event.measures.unpriced {
            event.measures.cost = event.measures.cost.max(held.estimate.cost);
            event.measures.credits = event.measures.credits.max(held.estimate.credits);
            flags |= flag::UNPRICED;
        }
        if incomplete {
            event.measures.cost = event.measures.cost.max(held.estimate.cost);
            event.measures.credits = event.measures.credits.max(held.estimate.credits);
            event.measures.requests = event.measures.requests.max(held.estimate.requests);
            event.measures.tokens = event.measures.tokens.max(held.estimate.tokens);
            flags |= flag::INCOMPLETE;
        }
        let is_held = held.ended.is_none();
        flags |= if is_held { 0 } else { flag::LATE };
        if is_held && event.measures.cost > held.estimate.cost {
            flags |= flag::OVER_ESTIMATE;
        }
        if event.service.is_empty() {
            event.service = held.service;
        }
        if event.model.is_empty() {
            event.model = held.model;
        }
        self.reservations[found].ended = Some(EndedHow::Committed);
        let admitted = held.holds.iter().map(|hold| (hold.0, hold.1)).collect();
        let mut spent = self.spend(path, &event, &How { admitted, is_held, is_afterwards: false });
        spent.flags = spent.flags & !flag::UNRESERVED | flags;
        spent.settled = Some(held.id);
        Answer::Spent(Box::new(spent))
    }

    pub(crate) fn correct(&mut self, correct: &Correct) -> Answer {
        let path = self.path_of_spend(&correct.event.path);
        let admitted: Vec<_> = correct.windows.iter().map(|one| (one.0 as usize, one.1)).collect();
        let how = How { admitted, is_held: false, is_afterwards: true };
        let mut spent = self.spend(path, &correct.event, &how);
        let is_above = self.paths[path].name != correct.event.path;
        spent.flags = if is_above { flag::PATH_LIMIT } else { 0 };
        spent.flags |= if correct.event.measures.unpriced { flag::UNPRICED } else { 0 };
        Answer::Spent(Box::new(spent))
    }

    pub(crate) fn adjust(&mut self, adjust: &Adjust) -> Answer {
        let before = self.adjustments.iter().rfind(|(one, _)| one.key == adjust.key).cloned();
        if before.as_ref().is_some_and(|(before, _)| before.revision >= adjust.revision) {
            return Answer::Unchanged;
        }
        let how = How { is_afterwards: true, ..How::default() };
        let path = self.path_of_spend(&adjust.path);
        let mut spent = vec![];
        let mut added = adjust.measures;
        if let Some((before, old_path)) = before {
            let place = |one: &Adjust, path| (one.at, one.service.clone(), one.model.clone(), path);
            if place(&before, old_path) == place(adjust, path) {
                added.cost -= before.measures.cost;
                added.credits -= before.measures.credits;
                added.requests -= before.measures.requests;
                added.tokens -= before.measures.tokens;
            } else {
                let back = Measures {
                    cost: -before.measures.cost,
                    unpriced: before.measures.unpriced,
                    credits: -before.measures.credits,
                    requests: -before.measures.requests,
                    tokens: -before.measures.tokens,
                };
                spent.push(self.spend(old_path, &event_of(&before, back), &how));
            }
        }
        spent.push(self.spend(path, &event_of(adjust, added), &how));
        spent.iter_mut().for_each(|one| one.flags = 0);
        self.adjustments.push((adjust.clone(), path));
        Answer::Adjusted(spent)
    }
}

#[derive(Default)]
struct How {
    admitted: Vec<(usize, i64)>,
    is_held: bool,
    is_afterwards: bool,
}

fn event_of(adjust: &Adjust, measures: Measures) -> Event {
    Event {
        service: adjust.service.clone(),
        model: adjust.model.clone(),
        measures,
        ..Event::empty(adjust.at, &adjust.path)
    }
}
