//! What clients ask for, by chance: reports and their repeats, reservations and their ends,
//! policies, paths, settings, questions. Few names and small limits, so that everybody meets
//! everybody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::command::{Adjust, Commit, PutPath, Reserve};
use engine::policy::{Alert, Mode, PolicyChange, PolicyRecord, Threshold, Unit, Window};
use engine::{Command, Event, Measures, Once, Request, Settings};
use shards::detail::Source;
use shards::facts::event_identity;
use shards::ids::{OwnDay, own_day};
use shards::{EventDetail, Question};
use uuid::Uuid;

use crate::dice::Dice;
use crate::node::SimClock;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const PATHS: [&str; 8] = ["", "a", "a/b", "a/b/c", "a/d", "e", "e/f", "e/f/g/h"];
const SERVICES: [&str; 3] = ["openai", "anthropic", ""];
const MODELS: [&str; 3] = ["large", "small", ""];
const ZONES: [&str; 5] =
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"];

/// What clients know of each other.
#[derive(Default)]
pub struct Known {
    events: Vec<Request>,
    keyed: Vec<Request>,
    /// Reservations that somebody asked for.
    pub reservations: Vec<u128>,
    policies: Vec<u128>,
    revision: u64,
    adjustments: u64,
    count: u64,
}

/// What one client wishes.
pub struct Wishes {
    dice: Dice,
    known: Arc<Mutex<Known>>,
    clock: SimClock,
}

impl Wishes {
    /// The wishes of a client.
    #[must_use]
    pub fn new(dice: Dice, known: Arc<Mutex<Known>>, clock: SimClock) -> Wishes {
        Wishes { dice, known, clock }
    }

    fn known(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a group asks for.
    pub fn requests(&mut self) -> Vec<Request> {
        let count = if self.dice.happens(150) { self.dice.between(2, 30) } else { 1 };
        (0..count).map(|_| self.request()).collect()
    }

    /// For each request the own day of its id.
    #[must_use]
    pub fn id_days(&self, requests: &[Request]) -> Vec<Option<u32>> {
        let day = |request: &Request| {
            // Calls under a key have none, whatever the key looks like.
            let Command::Track(event) = &request.command else { return None };
            let id = EventDetail::decode(&event.detail)?.id;
            match own_day(id.as_bytes(), self.clock.micros()) {
                OwnDay::Day(day) => Some(day),
                OwnDay::None | OwnDay::OutOfRange => None,
            }
        };
        requests.iter().map(day).collect()
    }

    fn request(&mut self) -> Request {
        match self.dice.between(0, 100) {
            0..=34 => self.report(),
            35..=44 => self.report_again(),
            45..=62 => self.reserve(),
            63..=78 => self.end_reservation(),
            79..=81 => self.reserve_again(),
            82..=85 => self.make_policy(),
            86..=89 => self.change_policy(),
            90..=93 => self.path(),
            94 => self.settings(),
            95..=97 => self.adjust(),
            _ => plain(Command::Tick),
        }
    }

    /// A question.
    pub fn question(&mut self) -> Question {
        let path = (*self.dice.pick(&PATHS)).to_owned();
        match self.dice.between(0, 6) {
            0 => Question::Check {
                path,
                service: (*self.dice.pick(&SERVICES)).to_owned(),
                model: (*self.dice.pick(&MODELS)).to_owned(),
            },
            1 => Question::Policies { path: None },
            2 => Question::Policies { path: Some(path) },
            3 => Question::Paths { below: path },
            4 => Question::Path(path),
            _ => Question::Reservation(self.any_reservation()),
        }
    }

    fn any_reservation(&mut self) -> u128 {
        let known = Self::known(&self.known);
        let recent = &known.reservations[known.reservations.len().saturating_sub(12)..];
        if recent.is_empty() { 1 } else { *self.dice.pick(recent) }
    }

    fn measures(&mut self) -> Measures {
        let cost = i128::from(self.dice.between(0, 120));
        let tokens = self.dice.signed(0, 500);
        let unpriced = self.dice.happens(30);
        Measures { cost, unpriced, credits: cost / 3, requests: 1, tokens }
    }

    fn at(&mut self) -> i64 {
        let back = match self.dice.between(0, 10) {
            0 => self.dice.signed(0, 40 * 24 * HOUR),
            1 => self.dice.signed(0, 26 * HOUR),
            2 => self.dice.signed(0, 2 * HOUR),
            3 => self.dice.signed(-5 * MINUTE, 0),
            _ => self.dice.signed(0, 2 * SECOND),
        };
        self.clock.micros() - back
    }

    fn event(&mut self, path: &str, source: Source) -> (Event, Once) {
        let number = {
            let mut known = Self::known(&self.known);
            known.count += 1;
            known.count
        };
        let id = match self.dice.happens(300) {
            true => {
                let bits = self.dice.wide() >> 48;
                let millis = u128::from(self.clock.micros().unsigned_abs() / 1_000);
                let made = (millis << 80) | (0x7 << 76) | (bits & !(0xf << 76) & !(0x3 << 62));
                Uuid::from_u128(made | (0x2 << 62)).to_string()
            }
            false => format!("event-{number}"),
        };
        let identity = event_identity(&id).0;
        let detail = EventDetail { source, id, ..EventDetail::default() }.encode();
        let event = Event {
            service: (*self.dice.pick(&SERVICES)).to_owned(),
            model: (*self.dice.pick(&MODELS)).to_owned(),
            measures: self.measures(),
            detail,
            ..Event::empty(self.at(), path)
        };
        (event, Once { identity, body: self.body(), seen: None })
    }

    fn body(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.dice.number().to_be_bytes();
        [a, b, c, d]
    }

    fn report(&mut self) -> Request {
        let path = *self.dice.pick(&PATHS);
        let (mut event, once) = self.event(path, Source::Track);
        if self.dice.happens(100) {
            event.reservation = Some(self.any_reservation());
        }
        let command = Command::Track(event);
        let request = Request { once: Some(once), actor: vec![], command };
        Self::known(&self.known).events.push(request.clone());
        request
    }

    /// A report that was sent before, at times with another body.
    fn report_again(&mut self) -> Request {
        let before = {
            let known = Self::known(&self.known);
            (!known.events.is_empty()).then(|| self.dice.pick(&known.events).clone())
        };
        let Some(mut request) = before else { return self.report() };
        if self.dice.happens(150)
            && let Some(once) = &mut request.once
        {
            once.body = self.body();
        }
        request
    }

    fn reserve(&mut self) -> Request {
        let reservation = self.dice.wide();
        let ttl = *self.dice.pick(&[5 * SECOND, MINUTE, 5 * MINUTE, 40 * MINUTE]);
        let command = Command::Reserve(Reserve {
            reservation,
            path: (*self.dice.pick(&PATHS)).to_owned(),
            service: (*self.dice.pick(&SERVICES)).to_owned(),
            model: (*self.dice.pick(&MODELS)).to_owned(),
            estimate: self.measures(),
            ttl,
        });
        let key = self.dice.wide().to_be_bytes();
        let body = self.body();
        let is_keyed = self.dice.happens(700);
        let once = is_keyed.then_some(Once { identity: key, body, seen: None });
        let request = Request { once, actor: vec![], command };
        let mut known = Self::known(&self.known);
        known.reservations.push(reservation);
        if is_keyed {
            known.keyed.push(request.clone());
        }
        request
    }

    /// A call under a key that was used before: another id of ours, or the same.
    fn reserve_again(&mut self) -> Request {
        let before = {
            let known = Self::known(&self.known);
            (!known.keyed.is_empty()).then(|| self.dice.pick(&known.keyed).clone())
        };
        let Some(mut request) = before else { return self.reserve() };
        if let Command::Reserve(reserve) = &mut request.command {
            // The server makes an id for each call; of two under one key only one counts.
            reserve.reservation = self.dice.wide();
        }
        request
    }

    fn end_reservation(&mut self) -> Request {
        let reservation = self.any_reservation();
        match self.dice.between(0, 10) {
            0 | 1 => plain(Command::Release { reservation, ended: None }),
            2 => {
                let ttl = self.dice.signed(0, 30 * MINUTE);
                plain(Command::Extend { reservation, ttl, ended: None })
            }
            _ => {
                let path = if self.dice.happens(800) { "" } else { *self.dice.pick(&PATHS) };
                let (event, once) = self.event(path, Source::Commit);
                let incomplete = self.dice.happens(100);
                let commit = Commit { reservation, event, incomplete };
                let (once, command) = (Some(once), Command::Commit(commit));
                let request = Request { once, actor: vec![], command };
                Self::known(&self.known).keyed.push(request.clone());
                request
            }
        }
    }

    /// A policy, of a few ids, so that some are made twice or made differently.
    pub fn make_policy(&mut self) -> Request {
        let id = u128::from(self.dice.between(1, 1_000));
        let windows = [
            Window::Calendar(0),
            Window::Calendar(1),
            Window::Calendar(2),
            Window::Calendar(3),
            Window::Calendar(4),
            Window::Anchored(1, 0, 1_769_900_000 * SECOND),
            Window::Session(5 * MINUTE),
            Window::Session(5 * HOUR),
            Window::Sliding(10 * MINUTE),
            Window::Sliding(2 * HOUR),
            Window::Total,
        ];
        let (service, model) = match self.dice.between(0, 4) {
            0 => ("openai", ""),
            1 => ("openai", "large"),
            _ => ("", ""),
        };
        let alert = |at| Alert { at, channels: vec![] };
        let alerts = match self.dice.happens(500) {
            true => vec![alert(Threshold::Percent(80_000)), alert(Threshold::Amount(100))],
            false => vec![],
        };
        Self::known(&self.known).policies.push(id);
        plain(Command::CreatePolicy(PolicyRecord {
            id,
            path: (*self.dice.pick(&PATHS)).to_owned(),
            service: service.to_owned(),
            model: model.to_owned(),
            unit: *self.dice.pick(&[Unit::Usd, Unit::Usd, Unit::Requests, Unit::Tokens]),
            limit: i128::from(self.dice.between(1, 1_200)),
            window: *self.dice.pick(&windows),
            mode: *self.dice.pick(&[Mode::Open, Mode::Block, Mode::Strict, Mode::Strict]),
            allow_on_unavailable: self.dice.happens(300),
            alerts,
            created_at: self.clock.micros(),
        }))
    }

    fn change_policy(&mut self) -> Request {
        let policy = {
            let known = Self::known(&self.known);
            if known.policies.is_empty() { 1 } else { *self.dice.pick(&known.policies) }
        };
        if self.dice.happens(300) {
            return plain(Command::RemovePolicy { policy });
        }
        let limit = self.dice.happens(700).then(|| i128::from(self.dice.between(0, 2_000)));
        let mode = self.dice.happens(300).then(|| *self.dice.pick(&[Mode::Block, Mode::Strict]));
        let change = PolicyChange { limit, mode, ..PolicyChange::default() };
        plain(Command::ChangePolicy { policy, change })
    }

    fn path(&mut self) -> Request {
        let path = (*self.dice.pick(&PATHS)).to_owned();
        if self.dice.happens(400) {
            let archived = self.dice.happens(400);
            return plain(Command::ArchivePath { path, archived });
        }
        let notes = Some(format!("note {}", self.dice.between(0, 3)));
        plain(Command::PutPath(PutPath { path, service: None, notes, tags: None }))
    }

    fn settings(&mut self) -> Request {
        let revision = {
            let mut known = Self::known(&self.known);
            known.revision += 1;
            known.revision
        };
        let mut settings = Settings { revision, ..Settings::default() };
        settings.calendar.zone = (*self.dice.pick(&ZONES)).to_owned();
        settings.calendar.reset_hour = *self.dice.pick(&[0, 0, 2, 6]);
        plain(Command::Configure(settings))
    }

    fn adjust(&mut self) -> Request {
        let number = {
            let mut known = Self::known(&self.known);
            known.adjustments += 1;
            known.adjustments
        };
        let day = 24 * HOUR;
        let back = self.dice.signed(0, 3);
        let mut measures = self.measures();
        measures.unpriced = false;
        plain(Command::Adjust(Adjust {
            key: format!("account/{}", self.dice.between(0, 4)),
            revision: (number / 4, self.dice.between(0, 3), 0),
            at: self.clock.micros().div_euclid(day) * day - back * day,
            path: (*self.dice.pick(&PATHS)).to_owned(),
            service: (*self.dice.pick(&SERVICES)).to_owned(),
            model: (*self.dice.pick(&MODELS)).to_owned(),
            measures,
        }))
    }
}

fn plain(command: Command) -> Request {
    Request { once: None, actor: vec![], command }
}
