//! The engine and its model side by side, with tables that learn of entries late, as a store's do.

use std::collections::BTreeMap;

use engine::command::{Ended, EndedHow, Event, Identity, Once, PolicyNo, Request, Seen, WindowNo};
use engine::decision::{Booked, Decision, Held, Outcome, flag};
use engine::policy::{Mode, Window};
use engine::{Command, Entry, Refusal, State, Verdict, decide, due};

use crate::asks::{Dice, command};
use crate::model::{Answer, Model, ModelReservation, Spent};

const SECOND: i64 = 1_000_000;
/// 28 March 2026, 20:00 UTC: the night in which Europe's clocks change.
const BEGIN: i64 = 1_774_728_000 * SECOND;

pub(crate) struct Run {
    state: State,
    pub(crate) model: Model,
    /// What was booked and can be corrected: the event, and the windows that counted it.
    pub(crate) booked: Vec<(Event, Vec<(PolicyNo, WindowNo)>)>,
    /// Requests that were made, to be made again.
    requests: Vec<Request>,
    /// What the tables will have once they have come as far as the entry.
    identities: Vec<(u64, Identity, [u8; 4])>,
    ends: Vec<(u64, u128, Ended)>,
    /// The entry up to which the tables were read.
    looked_up: u64,
    clock: i64,
    next_id: u64,
    /// The bytes of the state before each entry, and the entry's.
    journal: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            state: State::default(),
            model: Model::default(),
            booked: vec![],
            requests: vec![],
            identities: vec![],
            ends: vec![],
            looked_up: 0,
            clock: BEGIN,
            next_id: 1,
            journal: vec![],
        }
    }
}

impl Run {
    /// The entry that made a policy; 0 where there is none.
    pub(crate) fn made_seq(&self, policy: u128) -> u64 {
        let number = self.state.policy_number(policy);
        number.and_then(|number| self.state.policy(number)).map_or(0, |found| found.made_seq)
    }

    pub(crate) fn time(&self) -> i64 {
        self.state.time()
    }

    /// A reservation's id that was given out, now and then one that never was.
    pub(crate) fn some_reservation(&self, dice: &mut Dice<'_>) -> Option<u128> {
        let newest = self.model.reservations.len().checked_sub(1 + usize::from(dice.next(6)))?;
        Some(self.model.reservations[newest].id)
    }

    pub(crate) fn new_reservation(&mut self, dice: &mut Dice<'_>) -> u128 {
        let open = self.model.reservations.iter().rfind(|one| one.ended.is_none());
        self.next_id += 1;
        match (dice.next(16), open) {
            (0, Some(open)) => open.id,
            _ => u128::from(self.next_id) << 64 | 1,
        }
    }

    /// What the tables know of a reservation's end.
    pub(crate) fn known_end(&self, id: u128) -> Option<Ended> {
        let mut known = self.ends.iter().filter(|one| one.0 <= self.looked_up && one.1 == id);
        known.next_back().map(|one| one.2.clone())
    }

    fn seen(&self, identity: &Identity) -> Option<Seen> {
        let known = |one: &&(u64, Identity, [u8; 4])| one.0 <= self.looked_up && one.1 == *identity;
        self.identities.iter().find(known).map(|one| Seen { seq: one.0, body: one.2 })
    }

    /// Policies from the start on.
    pub(crate) fn begin_with(&mut self, policies: &[[u16; 16]]) {
        const CREATE_POLICY: u16 = 24;
        for dice in policies {
            let mut dice = *dice;
            (dice[0], dice[1]) = (1, CREATE_POLICY);
            self.batch(0, 1, &[dice]);
        }
    }

    pub(crate) fn batch(&mut self, jump: u8, fate: u8, thrown: &[[u16; 16]]) {
        let jumps =
            [0, 0, 1, 1, 1, 5, 20, 20, 70, 70, 400, 3_600, 9_000, 30_000, 90_000, 4_000_000];
        self.clock += jumps[usize::from(jump) % jumps.len()] * SECOND;
        let (before, old_model, old_booked) =
            (self.state.encode(), self.model.clone(), self.booked.len());
        self.state.begin(self.clock);
        self.model.time = self.clock;
        let lag = u64::from(fate >> 4) / 3;
        self.looked_up = self.looked_up.max(self.state.seq().saturating_sub(lag));
        let mut decisions = vec![];
        // What is due is late now and then, and makes no difference.
        while let Some(decision) = due(&self.state).filter(|_| !fate.is_multiple_of(4)) {
            self.state.apply(&decision);
            decisions.push(decision);
        }
        for dice in thrown {
            self.ask(&mut Dice::new(dice), &mut decisions);
            self.model.expire();
            self.compare();
        }
        if fate.is_multiple_of(6) {
            self.state.roll_back();
            assert!(before == self.state.encode(), "ENG-4");
            self.model = old_model;
            self.booked.truncate(old_booked);
            return;
        }
        self.keep(before, decisions);
    }

    fn keep(&mut self, before: Vec<u8>, decisions: Vec<Decision>) {
        let (time, looked_up_seq, seq) = (self.clock, self.looked_up, self.state.seq() + 1);
        for decision in &decisions {
            self.identities.extend(decision.once.map(|(identity, body)| (seq, identity, body)));
        }
        let entry = Entry { time, looked_up_seq, decisions };
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes), Ok(entry.clone()), "ENG-7");
        self.state.keep(seq, looked_up_seq);
        for reservation in &self.model.reservations {
            let ended = self.state.ended(reservation.id).filter(|ended| ended.seq == seq);
            self.ends.extend(ended.map(|ended| (seq, reservation.id, ended.clone())));
        }
        let mut copy = State::decode(&before).unwrap();
        copy.replay(seq, &entry);
        assert!(copy.encode() == self.state.encode(), "ENG-5");
        self.journal.push((before, bytes));
    }

    /// ENG-5.
    pub(crate) fn check_every_prefix(&self) {
        let last = self.state.encode();
        for from in 0..self.journal.len() {
            let mut state = State::decode(&self.journal[from].0).unwrap();
            for (_, entry) in &self.journal[from..] {
                state.replay(state.seq() + 1, &Entry::decode(entry).unwrap());
            }
            assert!(state.encode() == last, "ENG-5 from entry {from}");
        }
    }

    fn request(&mut self, dice: &mut Dice<'_>) -> Request {
        let old = self.requests.len().checked_sub(1 + usize::from(dice.next(40)));
        let mut request = match old.filter(|_| self.next_id.is_multiple_of(6)) {
            Some(old) => self.requests[old].clone(),
            None => {
                let command = command(self, dice);
                self.next_id += 1;
                let has_key =
                    matches!(command, Command::Track(_)) || self.next_id.is_multiple_of(2);
                let mut identity = [0; 16];
                identity[..8].copy_from_slice(&self.next_id.to_le_bytes());
                let once = Once { identity, body: [1; 4], seen: None };
                Request { once: has_key.then_some(once), actor: vec![1, 2], command }
            }
        };
        self.next_id += 1;
        // Ids of reservations are the server's: one that has ended is never made again.
        if let Command::Reserve(reserve) = &mut request.command {
            let same = |one: &&ModelReservation| one.id == reserve.reservation;
            let has_ended = self.model.reservations.iter().find(same).map(|one| one.ended);
            if has_ended.is_some_and(|ended| ended.is_some()) {
                reserve.reservation = u128::from(self.next_id) << 64 | 3;
            }
        }
        if let Some(once) = &mut request.once {
            once.seen = self.seen(&once.identity);
            once.body = if dice.next(7) == 1 { [2; 4] } else { once.body };
        }
        let known = |event: &Event| event.reservation.and_then(|id| self.known_end(id));
        match &mut request.command {
            Command::Track(event) => event.ended = known(event),
            Command::Commit(commit) => commit.event.ended = self.known_end(commit.reservation),
            Command::Release { reservation, ended }
            | Command::Extend { reservation, ended, .. } => {
                *ended = self.known_end(*reservation).map(|ended| ended.how);
            }
            _ => {}
        }
        self.requests.push(request.clone());
        request
    }

    fn ask(&mut self, dice: &mut Dice<'_>, decisions: &mut Vec<Decision>) {
        let request = self.request(dice);
        self.model.expire();
        let expected = self.model.answer(&request);
        let verdict = decide(&self.state, &request);
        let held_before = self.state.reservations().count();
        let answer = match &verdict {
            Verdict::Write(decision) => {
                self.state.apply(decision);
                self.answer_of(&decision.outcome)
            }
            Verdict::Refuse(refusal) => Answer::Refused(refusal.clone()),
            Verdict::Repeat { .. } => Answer::Repeat,
            Verdict::Unchanged => Answer::Unchanged,
        };
        let is_tick = matches!(request.command, Command::Tick);
        assert!(is_tick || answer == expected, "{answer:?}\n{expected:?}\n{request:?}");
        let Verdict::Write(decision) = verdict else { return };
        match &decision.outcome {
            Outcome::Held(held) => {
                assert_eq!(self.state.reservations().count(), held_before + 1);
                self.check_admission(held);
            }
            Outcome::Booked(booked) => {
                let mut event = Event::empty(booked.at, &self.state.path(booked.path).name);
                event.service.clone_from(&booked.service);
                event.model.clone_from(&booked.model);
                self.booked.push((event, booked.counted.clone()));
            }
            _ => {}
        }
        decisions.push(*decision);
    }

    /// ENG-1.
    fn check_admission(&self, held: &Held) {
        for amount in &held.amounts {
            let policy = self.state.policy(amount.policy).unwrap();
            let progress = self.state.progress(policy, self.time());
            let is_bound = policy.record.mode == Mode::Strict && !policy.opening;
            let is_bypassed = held.flags & flag::BYPASSED != 0;
            if is_bound && !is_bypassed {
                assert!(progress.used + progress.held <= policy.record.limit, "ENG-1");
            }
        }
    }

    fn answer_of(&self, outcome: &Outcome) -> Answer {
        let name = |path: u32| self.state.path(path).name.to_string();
        match outcome {
            Outcome::Booked(booked) => Answer::Spent(Box::new(self.spent(booked))),
            Outcome::Held(Held { path, amounts, expires_at, flags, .. }) => Answer::Held {
                path: name(*path),
                amounts: amounts
                    .iter()
                    .map(|one| (one.policy as usize, one.window, one.amount))
                    .collect(),
                expires_at: *expires_at,
                flags: *flags,
            },
            Outcome::Adjusted(adjusted) => {
                let booked = adjusted.bookings.iter().cloned().map(|one| Booked {
                    at: one.at,
                    new_paths: vec![],
                    path: one.path,
                    service: one.service,
                    model: one.model,
                    measures: one.measures,
                    opened: vec![],
                    counted: one.counted,
                    late: one.late,
                    settled: None,
                    corrects: None,
                    crossed: one.crossed,
                    flags: 0,
                    detail: vec![],
                });
                Answer::Adjusted(booked.map(|one| self.spent(&one)).collect())
            }
            Outcome::Refused(refusal) => Answer::Refused(refusal.clone()),
            _ => Answer::Done,
        }
    }

    fn spent(&self, booked: &Booked) -> Spent {
        let crossed = booked.crossed.iter();
        Spent {
            path: self.state.path(booked.path).name.to_string(),
            service: booked.service.clone(),
            model: booked.model.clone(),
            measures: booked.measures,
            counted: booked.counted.iter().map(|one| (one.0 as usize, one.1)).collect(),
            late: booked.late.iter().map(|one| (one.policy as usize, one.used)).collect(),
            crossed: crossed.map(|one| (one.policy as usize, one.window, one.alert)).collect(),
            settled: booked.settled,
            flags: booked.flags,
        }
    }

    /// Every window, every reservation and every path, as the model has them.
    fn compare(&self) {
        let (state, model) = (&self.state, &self.model);
        let names: Vec<_> = state.paths().iter().map(|path| path.name.to_string()).collect();
        let expected: Vec<_> = model.paths.iter().map(|path| path.name.clone()).collect();
        assert_eq!(names, expected);
        let holding = model.reservations.iter().filter(|one| one.ended.is_none());
        let open: BTreeMap<_, _> = holding.map(|one| (one.id, one.expires_at)).collect();
        let found: BTreeMap<_, _> =
            state.reservations().map(|(id, open)| (id, open.expires_at)).collect();
        let is_due = state.next_due_at().is_some_and(|at| at <= model.time);
        assert!(is_due || found == open, "ENG-6: {found:?} {open:?}");
        for (number, expected) in model.policies.iter().enumerate() {
            let found = state.policy(PolicyNo::try_from(number).unwrap());
            assert_eq!(found.is_none(), expected.removed);
            let Some(found) = found else { continue };
            assert_eq!(*found.record, expected.record);
            assert_eq!(found.opening, expected.opening);
            let progress = state.progress(found, model.time);
            assert_eq!(progress.used, model.used_at(number, model.time), "{number} {found:?}");
            if matches!(found.record.window, Window::Sliding(_)) {
                assert_eq!(progress.held, model.held(number, None), "ENG-2");
                continue;
            }
            for open in &found.windows {
                let window = usize::try_from(open.number).unwrap();
                assert_eq!((open.start, open.end), expected.windows[window]);
                assert_eq!(open.used, model.used(number, open.number), "{number} {open:?}");
                let held = model.held(number, Some(open.number));
                assert!(is_due || open.held == held, "ENG-2: {open:?} {held}");
            }
            assert_eq!(progress.held, model.held_at(number, model.time), "ENG-2");
            let is_here = |start: i64| found.windows.iter().any(|open| open.start == start);
            let open = expected.windows.iter().filter(|window| window.1 > model.time);
            assert!(open.clone().all(|window| is_here(window.0)));
            let mut bounds = expected.windows.clone();
            bounds.sort_unstable();
            assert!(bounds.windows(2).all(|pair| pair[0].1 <= pair[1].0), "windows overlap");
        }
    }
}

impl Model {
    fn expire(&mut self) {
        let time = self.time;
        for open in self.reservations.iter_mut().filter(|one| one.ended.is_none()) {
            if open.expires_at <= time {
                open.ended = Some(EndedHow::Expired);
            }
        }
    }

    /// ENG-3 is here: what was heard is never counted again.
    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(once) = &request.once
            && let Some(body) = self.heard.get(&once.identity)
        {
            return match *body == once.body {
                true => Answer::Repeat,
                false => Answer::Refused(Refusal::Conflict),
            };
        }
        let answer = self.follow(&request.command);
        let is_call = matches!(
            request.command,
            Command::Reserve(_)
                | Command::Commit(_)
                | Command::Release { .. }
                | Command::Extend { .. }
        );
        let is_heard = match answer {
            Answer::Refused(_) => is_call,
            Answer::Unchanged => false,
            _ => true,
        };
        if let Some(once) = request.once.filter(|_| is_heard) {
            self.heard.insert(once.identity, once.body);
        }
        answer
    }
}
