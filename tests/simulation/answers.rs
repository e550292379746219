//! Whether what was heard is true: of each request by itself, once the whole journal is known.

use std::collections::{BTreeMap, BTreeSet};

use engine::command::{Ended, Identity, Micros, Seen};
use engine::{Command, Event, Outcome, Refusal, Request, State, Verdict, decide, due};
use shards::{Answer, Answered, ShardError};
use store::journal::Shard;

use crate::record::{Asked, GroupAsked, QuestionAsked};

/// A decision in the journal, as whoever asked for it should hear it.
pub struct Decided {
    /// When it became durable.
    pub landed_at: i64,
    /// Its entry.
    pub seq: u64,
    /// The answer from it.
    pub answer: Answered,
    /// Whether its answer names policies that may have been removed since.
    pub names_policies: bool,
}

/// What is known of the journal by what was asked for.
#[derive(Default)]
pub struct Journaled {
    /// Decisions by the group and place that asked for them.
    pub by_mark: BTreeMap<(usize, usize), Vec<Decided>>,
    /// Decisions by identity: entry, body, and the mark.
    pub by_identity: BTreeMap<Identity, (Seen, (usize, usize))>,
    /// How reservations ended.
    pub ended: BTreeMap<u128, Ended>,
    /// Entries that are passed over.
    pub skipped: BTreeSet<u64>,
}

impl Journaled {
    /// The request with what the tables should know of its reservation.
    #[must_use]
    pub fn with_ended(&self, request: &Request) -> Request {
        let mut request = request.clone();
        match &mut request.command {
            Command::Track(Event { reservation: Some(id), ended, .. }) => {
                *ended = self.ended.get(id).cloned();
            }
            Command::Commit(commit) => {
                commit.event.ended = self.ended.get(&commit.reservation).cloned();
            }
            Command::Release { reservation, ended }
            | Command::Extend { reservation, ended, .. } => {
                *ended = self.ended.get(reservation).map(|ended| ended.how);
            }
            _ => {}
        }
        request
    }
}

/// An answer that wrote nothing and says something about the state: it must have been true.
pub struct Claim<'a> {
    group: usize,
    place: usize,
    request: &'a Request,
    said: &'a Answered,
    places: (u64, u64),
    clock: (i64, i64),
    is_true: bool,
}

/// All claims of a shard's answers.
#[must_use]
pub fn claims(asked: &Asked, shard: Shard) -> Vec<Claim<'_>> {
    let mut claims = vec![];
    for (number, group) in asked.groups.iter().enumerate().filter(|(_, of)| of.shard == shard) {
        let Some(Ok(done)) = &group.heard else { continue };
        for (place, (request, answer)) in group.requests.iter().zip(&done.answers).enumerate() {
            let is_claim = matches!(&answer.result, Answered::Refused(_) | Answered::Unchanged);
            if is_claim && !answer.is_repeat {
                claims.push(Claim {
                    group: number,
                    place,
                    request,
                    said: &answer.result,
                    places: (group.tail_before, done.position.seq),
                    clock: group.clock,
                    is_true: false,
                });
            }
        }
    }
    claims
}

impl Claim<'_> {
    /// Whether the place may be the one at which it was true.
    fn is_open_at(&self, seq: u64) -> bool {
        !self.is_true && self.places.0 <= seq && seq <= self.places.1
    }

    /// Looks whether it is true within a batch that becomes the entry after the state's.
    pub fn try_within(&mut self, state: &State, identities: &Journaled) {
        if self.is_open_at(state.seq()) || self.is_open_at(state.seq() + 1) {
            self.is_true = self.says(state, identities);
        }
    }

    /// Looks whether it is true right after the state's entry, at any time that it may be about.
    pub fn try_after(&mut self, state: &mut State, identities: &Journaled) {
        if !self.is_open_at(state.seq()) {
            return;
        }
        for at in self.instants() {
            state.begin(at);
            if due(state).is_none() {
                self.is_true |= self.says(state, identities);
            }
            state.roll_back();
        }
    }

    fn instants(&self) -> Vec<Micros> {
        let (first, last) = (self.clock.0.min(self.clock.1), self.clock.0.max(self.clock.1));
        let step = (last - first) / 24;
        let mut instants: Vec<Micros> = (0..=24).map(|part| first + part * step).collect();
        instants.push(last);
        instants
    }

    fn says(&self, state: &State, identities: &Journaled) -> bool {
        let mut request = identities.with_ended(self.request);
        if let Some(once) = &mut request.once {
            let seen = identities.by_identity.get(&once.identity).map(|(seen, _)| *seen);
            once.seen = seen.filter(|seen| seen.seq <= state.seq());
        }
        match (decide(state, &request), self.said) {
            (Verdict::Unchanged, Answered::Unchanged) => true,
            (Verdict::Refuse(found), Answered::Refused(said)) => is_same(&found, said),
            (Verdict::Write(decision), Answered::Refused(said)) => match &decision.outcome {
                Outcome::Refused(found) => is_same(found, said),
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether two refusals are one: what a sliding window says of its start moves with the clock.
fn is_same(found: &Refusal, said: &Refusal) -> bool {
    match (found, said) {
        (Refusal::Policy(found), Refusal::Policy(said)) => {
            let mut found = found.clone();
            let shift = found.window_start.abs_diff(said.window_start);
            // Windows begin on whole seconds here; a start that is a little off is a moving one.
            if shift < 60_000_000 {
                found.window_start = said.window_start;
            }
            found == *said
        }
        (found, said) => found == said,
    }
}

/// Claims that were never true.
#[must_use]
pub fn untrue(claims: &[Claim<'_>]) -> Vec<String> {
    let untrue = claims.iter().filter(|claim| !claim.is_true);
    let text = |claim: &Claim<'_>| {
        let (group, place, said) = (claim.group, claim.place, claim.said);
        let (from, to) = claim.places;
        format!("SIM-8 #{group}.{place} was told {said:?}, which was not so from {from} to {to}")
    };
    untrue.map(text).collect()
}

/// Whether each group heard what the journal says.
#[must_use]
pub fn heard_wrongly(number: usize, group: &GroupAsked, journaled: &Journaled) -> Vec<String> {
    let written = |place: usize| journaled.by_mark.get(&(number, place)).map_or(&[][..], |of| of);
    let mut found = vec![];
    for place in 0..group.requests.len() {
        let times = written(place).len();
        if times > 1 {
            found.push(format!("SIM-2 #{number}.{place} is in the journal {times} times"));
        }
    }
    match &group.heard {
        None => found.push(format!("SIM-2 #{number} never heard anything")),
        Some(Err(ShardError::OutcomeUnknown)) => {}
        // Until somebody said that the entry is passed over.
        Some(Err(ShardError::Stopped { seq, .. })) if journaled.skipped.contains(seq) => {}
        Some(Err(error @ (ShardError::Stopped { .. } | ShardError::Internal(_)))) => {
            found.push(format!("SIM-2 #{number} heard `{error}`"));
        }
        Some(Err(error)) => {
            let is_written = (0..group.requests.len()).any(|place| !written(place).is_empty());
            if is_written {
                found.push(format!("SIM-2 #{number} was done and heard `{error}`"));
            }
        }
        Some(Ok(done)) => {
            for (place, (request, answer)) in group.requests.iter().zip(&done.answers).enumerate() {
                let written = written(place).first();
                let wrong = match answer.is_repeat {
                    true => wrong_repeat(request, answer, group.clock.1, journaled),
                    false => wrong_first(answer, written, done.position.seq),
                };
                let wrong = wrong.map(|why| format!("{why} (#{number}.{place} {answer:?})"));
                found.extend(wrong);
            }
        }
    }
    found
}

fn wrong_first(answer: &Answer, written: Option<&Decided>, position: u64) -> Option<String> {
    let is_kept_refusal = matches!(answer.result, Answered::Refused(_)) && written.is_some();
    match &answer.result {
        Answered::Fault => Some("SIM-2 a fault of ours".to_owned()),
        Answered::Duplicate => Some("SIM-9 a first answer is no duplicate".to_owned()),
        Answered::Unchanged | Answered::Refused(_) if !is_kept_refusal => {
            written.map(|_| "SIM-2 it was done, though it was answered otherwise".to_owned())
        }
        result => match written {
            None => Some("SIM-2 it was acknowledged, and is lost".to_owned()),
            Some(written) if written.seq > position => {
                Some(format!("SIM-2 its position is {}", written.seq))
            }
            Some(written) if written.answer != *result => {
                Some(format!("SIM-9 its decision says {:?}", written.answer))
            }
            Some(_) => None,
        },
    }
}

fn wrong_repeat(
    request: &Request,
    answer: &Answer,
    answered_at: i64,
    journaled: &Journaled,
) -> Option<String> {
    let Some(once) = request.once else {
        return Some("SIM-9 it has no identity to be repeated by".to_owned());
    };
    let Some((seen, mark)) = journaled.by_identity.get(&once.identity) else {
        return Some("SIM-3 nothing of its identity is in the journal".to_owned());
    };
    if seen.body != once.body {
        return Some("SIM-3 it is another event under the same id".to_owned());
    }
    let first = journaled.by_mark.get(mark).and_then(|of| of.first())?;
    let is_event = matches!(request.command, Command::Track(_));
    let is_same = answer.result == first.answer;
    // Once its entry is gone, it is known only that it was counted.
    let is_old = answered_at - first.landed_at > KEPT_MICROS;
    match answer.result {
        Answered::Duplicate if is_event || is_old => None,
        _ if is_event => Some("SIM-9 a report again is a duplicate".to_owned()),
        _ if is_same || first.names_policies => None,
        _ => Some(format!("SIM-9 the first answer was {:?}", first.answer)),
    }
}

/// How long entries surely stay, less than clocks differ.
const KEPT_MICROS: i64 = 1_790 * 1_000_000;

/// Questions of a shard by the place that their answers reflect.
#[must_use]
pub fn questions(asked: &Asked, shard: Shard) -> BTreeMap<u64, Vec<&QuestionAsked>> {
    let mut by_place: BTreeMap<u64, Vec<&QuestionAsked>> = BTreeMap::new();
    for question in asked.questions.iter().filter(|question| question.shard == shard) {
        by_place.entry(question.reply.position.seq).or_default().push(question);
    }
    by_place
}

/// What is wrong with an answer, given the state at the place that it says it reflects.
#[must_use]
pub fn wrong_answer(asked: &QuestionAsked, state: &State) -> Option<String> {
    let expected = asked.question.ask(state, asked.answered_at);
    let (node, question) = (asked.node, &asked.question);
    if asked.least.is_some_and(|least| asked.reply.position < least) {
        return Some(format!("SIM-10 n{node} {question:?}: older than was asked for"));
    }
    let is_sure = asked.reply.stale_ms.is_none();
    (is_sure && expected != asked.reply.said).then(|| {
        let (said, at) = (&asked.reply.said, asked.reply.position);
        format!("SIM-10 n{node} {question:?} at {at} said {said:?}, not {expected:?}")
    })
}
