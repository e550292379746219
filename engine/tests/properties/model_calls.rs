//! The model's side of what is not spend: how reservations go on, paths, policies and settings.

use engine::calendar::{bucket_left_at, first_counted_bucket};
use engine::command::{EndedHow, PutPath, Reserve};
use engine::decision::{PolicyRefusal, flag};
use engine::policy::{Mode, PolicyChange, PolicyRecord, Unit, Window};
use engine::{Command, Refusal};

use crate::model::{Answer, Model, ModelPolicy, ModelReservation, Spot, amount_of};

impl Model {
    pub(crate) fn follow(&mut self, command: &Command) -> Answer {
        match command {
            Command::Track(event) => self.track(event),
            Command::Reserve(reserve) => self.reserve(reserve),
            Command::Commit(commit) => self.commit(commit),
            Command::Release { reservation, .. } => match self.holding(*reservation) {
                Ok(found) => {
                    found.ended = Some(EndedHow::Released);
                    Answer::Done
                }
                Err(refusal) => Answer::Refused(refusal),
            },
            Command::Extend { reservation, ttl, .. } => {
                let until = self.time + (*ttl).min(86_400_000_000);
                match self.holding(*reservation) {
                    Ok(found) => {
                        found.expires_at = found.expires_at.max(until);
                        Answer::Done
                    }
                    Err(refusal) => Answer::Refused(refusal),
                }
            }
            Command::Correct(correct) => self.correct(correct),
            Command::Adjust(adjust) => self.adjust(adjust),
            Command::PutPath(put) => self.put(put),
            Command::ArchivePath { path, archived } => match self.find(path) {
                None | Some(0) => Answer::Refused(Refusal::NotFound),
                Some(found) if self.paths[found].archived == *archived => Answer::Unchanged,
                Some(found) => {
                    self.paths[found].archived = *archived;
                    Answer::Done
                }
            },
            Command::CreatePolicy(record) => self.create(record),
            Command::EnterBase { policy, parts, .. } => self.enter_base(*policy, parts),
            Command::ChangePolicy { policy, change } => self.change(*policy, change),
            Command::RemovePolicy { policy } => match self.policy(*policy) {
                Some(found) => {
                    self.policies[found].removed = true;
                    Answer::Done
                }
                None => Answer::Refused(Refusal::NotFound),
            },
            Command::Configure(settings) if settings.revision <= self.settings.revision => {
                Answer::Unchanged
            }
            Command::Configure(settings) => {
                self.settings = settings.clone();
                Answer::Done
            }
            Command::Tick => Answer::Unchanged,
            Command::Close => unreachable!("nothing comes after it: lives do not close"),
        }
    }

    pub(crate) fn reserve(&mut self, reserve: &Reserve) -> Answer {
        if self.reservations.iter().any(|one| one.id == reserve.reservation) {
            return Answer::Refused(Refusal::Conflict);
        }
        if let Some(refusal) = self.refuses_path(&reserve.path, &reserve.service) {
            return Answer::Refused(refusal);
        }
        let mut flags = 0;
        let mut holding = vec![];
        for policy in self.above(&reserve.path) {
            let record = self.policies[policy].record.clone();
            let asked = amount_of(&reserve.estimate, record.unit).max(0);
            let could =
                |scope: &str, said: &str| scope.is_empty() || scope == said || said.is_empty();
            let is_counted = self.matches(policy, &reserve.service, &reserve.model);
            let may_count =
                could(&record.service, &reserve.service) && could(&record.model, &reserve.model);
            let is_strict = record.mode == Mode::Strict && !self.policies[policy].opening;
            let is_money = matches!(record.unit, Unit::Usd | Unit::Credits);
            let has_tokens = record.unit != Unit::Tokens || reserve.estimate.tokens >= 0;
            let doubt = if !is_strict || !may_count {
                None
            } else if is_money && reserve.estimate.unpriced {
                Some(Refusal::Unpriced(record.id))
            } else if !is_counted || !has_tokens {
                Some(Refusal::Unresolved(record.id))
            } else {
                None
            };
            match doubt {
                Some(_) if record.allow_on_unavailable => flags |= flag::BYPASSED,
                Some(refusal) => return Answer::Refused(refusal),
                None if !is_counted || self.admits(policy, self.time, asked) => {}
                None => return Answer::Refused(self.refusal(policy, asked)),
            }
            if is_counted {
                holding.push((policy, asked));
            }
        }
        let path = self.make(&reserve.path);
        let mut amounts = vec![];
        for (policy, asked) in holding {
            let spot = self.spot(policy, self.time);
            let window = self.open(policy, spot).unwrap();
            amounts.push((policy, window, asked));
        }
        let expires_at = self.time + reserve.ttl.clamp(0, 86_400_000_000);
        self.reservations.push(ModelReservation {
            id: reserve.reservation,
            path,
            service: reserve.service.clone(),
            model: reserve.model.clone(),
            estimate: reserve.estimate,
            expires_at,
            holds: amounts.clone(),
            ended: None,
        });
        Answer::Held { path: reserve.path.clone(), amounts, expires_at, flags }
    }

    pub(crate) fn admits(&self, policy: usize, at: i64, asked: i128) -> bool {
        let found = &self.policies[policy];
        let (used, held) = (self.used_at(policy, at), self.held_at(policy, self.time));
        match found.record.mode {
            _ if found.opening => true,
            Mode::Open => true,
            Mode::Block => used < found.record.limit,
            Mode::Strict => used + held + asked <= found.record.limit,
        }
    }

    fn refusal(&self, policy: usize, asked: i128) -> Refusal {
        let record = &self.policies[policy].record;
        let (window_start, resets_at) = match (record.window, self.spot(policy, self.time)) {
            (Window::Sliding(micros), _) => {
                let first = first_counted_bucket(micros, self.time);
                let counted = self.counts.iter().filter(|one| one.policy == policy);
                let buckets = counted.map(|one| one.window).filter(|bucket| *bucket >= first);
                let left = |bucket| bucket_left_at(micros, bucket);
                let room = buckets.map(left).filter(|at| self.admits(policy, *at, asked)).min();
                (self.time - micros, room)
            }
            (_, Spot::Open(window)) => {
                let (start, end) = self.policies[policy].windows[usize::try_from(window).unwrap()];
                (start, (end < i64::MAX).then_some(end))
            }
            (Window::Session(_), _) => (i64::MIN, None),
            (_, Spot::New(start, end)) => (start, (end < i64::MAX).then_some(end)),
            (_, Spot::Closed | Spot::Gone) => unreachable!("now is in no closed window"),
        };
        Refusal::Policy(Box::new(PolicyRefusal {
            policy: record.id,
            unit: record.unit,
            mode: record.mode,
            path: record.path.clone(),
            limit: record.limit,
            used: self.used_at(policy, self.time),
            held: self.held_at(policy, self.time),
            asked,
            window_start,
            resets_at,
        }))
    }

    /// An open reservation; why it is not.
    pub(crate) fn holding(&mut self, id: u128) -> Result<&mut ModelReservation, Refusal> {
        let found = self.reservations.iter_mut().find(|one| one.id == id);
        let found = found.ok_or(Refusal::NotFound)?;
        match found.ended {
            Some(how) => Err(Refusal::Ended(how)),
            None => Ok(found),
        }
    }

    fn policy(&self, id: u128) -> Option<usize> {
        self.policies.iter().position(|one| !one.removed && one.record.id == id)
    }

    fn put(&mut self, put: &PutPath) -> Answer {
        let is_new = self.find(&put.path).is_none();
        let path = self.make(&put.path);
        let node = &mut self.paths[path];
        if let (Some(own), Some(service)) = (&node.service, &put.service)
            && own != service
        {
            return Answer::Refused(Refusal::ServiceMismatch(own.clone()));
        }
        let is_same = |old: &Option<String>, new: &Option<String>| new.is_none() || old == new;
        if !is_new && is_same(&node.service, &put.service) && is_same(&node.notes, &put.notes) {
            return Answer::Unchanged;
        }
        node.service = put.service.clone().or(node.service.take());
        node.notes = put.notes.clone().or(node.notes.take());
        Answer::Done
    }

    fn enter_base(&mut self, policy: u128, parts: &[(i64, i128)]) -> Answer {
        let Some(found) = self.policy(policy) else {
            return Answer::Refused(Refusal::NotFound);
        };
        if !self.policies[found].opening {
            return Answer::Unchanged;
        }
        self.policies[found].opening = false;
        for (window, amount) in parts {
            let is_over = match self.policies[found].record.window {
                Window::Sliding(micros) => *window < first_counted_bucket(micros, self.time),
                _ => self.policies[found].windows[0].1 <= self.time,
            };
            if is_over {
                self.count_silently(found, *window, *amount);
            } else {
                self.count(found, *window, *amount);
            }
        }
        Answer::Done
    }

    fn change(&mut self, policy: u128, change: &PolicyChange) -> Answer {
        let Some(found) = self.policy(policy) else {
            return Answer::Refused(Refusal::NotFound);
        };
        let record = &mut self.policies[found].record;
        let before = record.clone();
        record.limit = change.limit.unwrap_or(record.limit);
        record.mode = change.mode.unwrap_or(record.mode);
        record.alerts = change.alerts.clone().unwrap_or(record.alerts.clone());
        if *record == before {
            return Answer::Unchanged;
        }
        self.change_alerts(found);
        Answer::Done
    }

    pub(crate) fn create(&mut self, record: &PolicyRecord) -> Answer {
        let is_same = |one: &&ModelPolicy| !one.removed && one.record.id == record.id;
        if let Some(found) = self.policies.iter().find(is_same) {
            return match found.record == *record {
                true => Answer::Unchanged,
                false => Answer::Refused(Refusal::Conflict),
            };
        }
        let on_path = |one: &&ModelPolicy| !one.removed && one.record.path == record.path;
        if self.policies.iter().filter(on_path).count() >= 10 {
            return Answer::Refused(Refusal::TooManyPolicies);
        }
        let has_path = self.find(&record.path).is_some();
        let starts_empty = match record.window {
            Window::Calendar(unit) => unit == 0,
            Window::Sliding(micros) => micros < 3_600_000_000,
            Window::Session(_) => true,
            Window::Anchored(..) | Window::Total => false,
        };
        self.make(&record.path);
        let opening = has_path && !starts_empty;
        let policy = self.policies.len();
        let (record, windows) = (record.clone(), vec![]);
        self.policies.push(ModelPolicy {
            record: record.clone(),
            opening,
            removed: false,
            windows,
        });
        let holds: Vec<usize> = (0..self.reservations.len())
            .filter(|one| {
                let open = &self.reservations[*one];
                let path = domain::Path::parse(&record.path).unwrap();
                open.ended.is_none()
                    && path.holds(&self.paths[open.path].name)
                    && self.matches(policy, &open.service, &open.model)
            })
            .collect();
        if !matches!(record.window, Window::Session(_)) || !holds.is_empty() {
            let spot = self.spot(policy, self.time);
            let window = self.open(policy, spot).unwrap();
            for one in holds {
                let held = amount_of(&self.reservations[one].estimate, record.unit).max(0);
                self.reservations[one].holds.push((policy, window, held));
            }
        }
        Answer::Done
    }

    pub(crate) fn change_alerts(&mut self, policy: usize) {
        let alerts = self.policies[policy].record.alerts.clone();
        for told in self.told.iter_mut().filter(|told| told.policy == policy) {
            told.is_void |= !alerts.iter().any(|alert| alert.at == told.threshold);
        }
    }
}
