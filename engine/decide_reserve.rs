//! Choosing about reservations: whether an estimate may be held, and how a reservation goes on.
//!
//! Precedence: one refusal is answered, the first of these. The estimate is no amount; the id is
//! taken; the path is unknown, then archived, then another service's. Then the policies, those of
//! the path itself before those of the path above, up to the environment's, and of one path in the
//! order in which they were made; of one policy that the price is missing, then that the estimate
//! does not say what it counts, then that there is no room.

use crate::calendar::bucket_left_at;
use crate::command::{EndedHow, Micros, Reserve};
use crate::decide_spend::Chosen;
use crate::decision::{Held, HeldAmount, Opened, Outcome, PolicyRefusal, Refusal, flag};
use crate::policy::{Mode, Policy, Unit};
use crate::state::State;
use crate::windows::{Place, Progress};

/// The longest that a reservation may live: 24 hours.
pub const TTL_MAX: Micros = 24 * 3600 * 1_000_000;

/// What a policy says to an estimate.
enum Say {
    /// Hold so much.
    Hold(i128),
    /// Hold so much, though nobody can tell: the policy lets it pass.
    Bypass(i128),
    No(Refusal),
}

impl State {
    pub(crate) fn decide_reserve(&self, reserve: &Reserve) -> Chosen {
        reserve.estimate.check()?;
        let id = reserve.reservation;
        if self.reservations.contains_key(&id) || self.ended.contains_key(&id) {
            return Err(Refusal::Conflict);
        }
        let found = self.find_path(&reserve.path)?;
        self.usable(&found, &reserve.path, &reserve.service)?;
        let mut amounts = vec![];
        let mut opened: Vec<Opened> = vec![];
        let mut flags = 0;
        let above = self.self_and_above(found.nearest).flat_map(|node| node.policies.iter());
        for number in above.copied() {
            let Some(policy) = self.policy(number) else { continue };
            if !policy.may_match(reserve) {
                continue;
            }
            let amount = match self.say(policy, reserve) {
                Say::Hold(amount) => amount,
                Say::Bypass(amount) => {
                    flags |= flag::BYPASSED;
                    amount
                }
                Say::No(refusal) => return Err(refusal),
            };
            if !policy.matches(&reserve.service, &reserve.model) {
                continue;
            }
            if let Place::In(window, new) = self.place(number, policy, self.time, &opened) {
                opened.extend(new);
                amounts.push(HeldAmount { policy: number, window, amount });
            }
        }
        Ok(Some(Outcome::Held(Held {
            reservation: id,
            path: self.final_path(&found),
            new_paths: found.missing,
            service: reserve.service.clone(),
            model: reserve.model.clone(),
            estimate: reserve.estimate,
            expires_at: self.time.saturating_add(reserve.ttl.clamp(0, TTL_MAX)),
            opened,
            amounts,
            flags,
        })))
    }

    fn say(&self, policy: &Policy, reserve: &Reserve) -> Say {
        let record = &policy.record;
        let asked = reserve.estimate.of(record.unit).max(0);
        if policy.opening || record.mode == Mode::Open {
            return Say::Hold(asked);
        }
        if record.mode == Mode::Strict {
            let is_money = matches!(record.unit, Unit::Usd | Unit::Credits);
            let is_unsaid = record.unit == Unit::Tokens && reserve.estimate.tokens < 0
                || !policy.matches(&reserve.service, &reserve.model);
            let doubt = match (is_money && reserve.estimate.unpriced, is_unsaid) {
                (true, _) => Some(Refusal::Unpriced(record.id)),
                (_, true) => Some(Refusal::Unresolved(record.id)),
                _ => None,
            };
            match doubt {
                Some(_) if record.allow_on_unavailable => return Say::Bypass(asked),
                Some(refusal) => return Say::No(refusal),
                None => {}
            }
        }
        let progress = self.progress(policy, self.time);
        match policy.admits(&progress, asked) {
            true => Say::Hold(asked),
            false => {
                Say::No(Refusal::Policy(Box::new(self.policy_refusal(policy, &progress, asked))))
            }
        }
    }

    /// The refusal of a policy, with its numbers.
    #[must_use]
    pub fn policy_refusal(
        &self,
        policy: &Policy,
        progress: &Progress,
        asked: i128,
    ) -> PolicyRefusal {
        let record = &policy.record;
        let (used, held) = (progress.used, progress.held);
        let resets_at = match record.window.sliding() {
            Some(micros) => self.room_at(policy, micros, progress, asked),
            None => progress.resets_at,
        };
        PolicyRefusal {
            policy: record.id,
            unit: record.unit,
            mode: record.mode,
            path: record.path.clone(),
            limit: record.limit,
            used,
            held,
            asked,
            window_start: progress.start.unwrap_or(Micros::MIN),
            resets_at,
        }
    }

    /// When so much of a sliding window has left that there is room, if nothing else comes.
    fn room_at(
        &self,
        policy: &Policy,
        micros: Micros,
        progress: &Progress,
        asked: i128,
    ) -> Option<Micros> {
        let mut rest = *progress;
        let first = crate::calendar::first_counted_bucket(micros, self.time);
        for (bucket, used) in policy.buckets.iter().filter(|(bucket, _)| *bucket >= first) {
            rest.used = rest.used.saturating_sub(*used);
            if policy.admits(&rest, asked) {
                return Some(bucket_left_at(micros, *bucket));
            }
        }
        None
    }

    pub(crate) fn decide_release(&self, reservation: u128, known: Option<EndedHow>) -> Chosen {
        self.open_until(reservation, known)?;
        Ok(Some(Outcome::Released { reservation }))
    }

    pub(crate) fn decide_extend(
        &self,
        reservation: u128,
        ttl: Micros,
        known: Option<EndedHow>,
    ) -> Chosen {
        let expires_at = self.open_until(reservation, known)?;
        // Never shorter: a heartbeat that was long under way does no harm.
        let until = self.time.saturating_add(ttl.clamp(0, TTL_MAX)).max(expires_at);
        Ok(Some(Outcome::Extended { reservation, expires_at: until }))
    }

    /// When an open reservation ends by itself; why it is not open.
    fn open_until(&self, reservation: u128, known: Option<EndedHow>) -> Result<Micros, Refusal> {
        if let Some(open) = self.reservations.get(&reservation) {
            let is_open = open.expires_at > self.time;
            return is_open.then_some(open.expires_at).ok_or(Refusal::Ended(EndedHow::Expired));
        }
        let ended = self.ended.get(&reservation).map(|ended| ended.how).or(known);
        Err(ended.map_or(Refusal::NotFound, Refusal::Ended))
    }
}

impl Policy {
    /// Whether it would count what is reserved, by all that is said of it.
    fn may_match(&self, reserve: &Reserve) -> bool {
        let may_fit =
            |scope: &str, name: &str| name.is_empty() || scope.is_empty() || scope == name;
        may_fit(&self.record.service, &reserve.service)
            && may_fit(&self.record.model, &reserve.model)
            && (self.matches(&reserve.service, &reserve.model) || self.record.mode == Mode::Strict)
    }

    /// Whether there is room for `asked` beside what is used and held.
    #[must_use]
    pub fn admits(&self, progress: &Progress, asked: i128) -> bool {
        let taken = progress.used.saturating_add(progress.held);
        match self.record.mode {
            Mode::Open => true,
            Mode::Block => progress.used < self.record.limit,
            Mode::Strict => taken.saturating_add(asked) <= self.record.limit,
        }
    }

    /// Whether nothing more may be begun: what `check` and `blocked` say.
    #[must_use]
    pub fn is_exhausted(&self, progress: &Progress) -> bool {
        let taken = progress.used.saturating_add(progress.held);
        !self.opening
            && match self.record.mode {
                Mode::Open => false,
                Mode::Block => progress.used >= self.record.limit,
                Mode::Strict => taken >= self.record.limit,
            }
    }
}
