//! A made-up shard's life: acts become requests, requests decisions, decisions entries.

use engine::command::{Adjust, Commit, Correct, EndedHow, Event, Once, PutPath, Reserve};
use engine::policy::{Alert, Mode, PolicyRecord, Threshold, Unit, Window};
use engine::{Command, Entry, Measures, Outcome, Request, State, Verdict, decide, due};
use proptest::prelude::*;
use shards::Actor;
use shards::detail::{CallSite, EventDetail, Source, UnitName};
use shards::facts::{event_identity, late_commit_identity};

/// 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000;

const PATHS: [&str; 4] = ["acme", "acme/app", "acme/app/chat", "acme/app2"];

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Track {
        path: u8,
        cost: i128,
        at: i64,
        tag: bool,
    },
    Reserve {
        path: u8,
        cost: i128,
    },
    /// The reservation is given by how many there were before it.
    Commit {
        reservation: u128,
        cost: i128,
    },
    Release {
        reservation: u128,
    },
    /// Takes the event back that was the so-manieth.
    Reverse {
        event: usize,
    },
    Adjust {
        path: u8,
        cost: i128,
    },
    MakePolicy {
        path: u8,
        window: Window,
        model: bool,
    },
    RemovePolicy {
        policy: u128,
    },
    Archive {
        path: u8,
        archived: bool,
    },
    Tick,
    Wait {
        micros: i64,
    },
}

/// A life so far.
pub(crate) struct Life {
    pub(crate) state: State,
    pub(crate) entries: Vec<(u64, Entry)>,
    pub(crate) now: i64,
    /// Reservations that ended: in which entry, and how.
    pub(crate) ends: Vec<(u128, u64, EndedHow)>,
    tracked: Vec<(Event, Vec<(u32, i64)>)>,
    reserved: u128,
    made: u128,
    identities: usize,
}

impl Default for Life {
    fn default() -> Life {
        Life {
            state: State::default(),
            entries: vec![],
            now: START,
            ends: vec![],
            tracked: vec![],
            reserved: 0,
            made: 0,
            identities: 0,
        }
    }
}

/// Any act, within two days and on a few paths.
pub(crate) fn act() -> impl Strategy<Value = Act> {
    let window = prop_oneof![
        Just(Window::Total),
        Just(Window::Calendar(1)),
        Just(Window::Calendar(2)),
        Just(Window::Session(5 * HOUR)),
        Just(Window::Sliding(7 * HOUR)),
        Just(Window::Anchored(0, 1, START + HOUR / 3)),
    ];
    let track = (0..4_u8, 0..1_000_i128, -30..30_i64, any::<bool>());
    prop_oneof![
        8 => track.prop_map(|(path, cost, hours, tag)| {
            Act::Track { path, cost: cost * 1_000_000, at: START + hours * HOUR, tag }
        }),
        4 => (0..4_u8, 0..50_i128).prop_map(|(path, cost)| Act::Reserve { path, cost }),
        3 => (1..12_u128, 0..50_i128)
            .prop_map(|(reservation, cost)| Act::Commit { reservation, cost }),
        1 => (1..12_u128).prop_map(|reservation| Act::Release { reservation }),
        1 => (0..20_usize).prop_map(|event| Act::Reverse { event }),
        1 => (0..4_u8, -50..50_i128).prop_map(|(path, cost)| Act::Adjust { path, cost }),
        2 => (0..4_u8, window, any::<bool>())
            .prop_map(|(path, window, model)| Act::MakePolicy { path, window, model }),
        1 => (1..5_u128).prop_map(|policy| Act::RemovePolicy { policy }),
        1 => (0..4_u8, any::<bool>()).prop_map(|(path, archived)| Act::Archive { path, archived }),
        1 => Just(Act::Tick),
        3 => (0..4 * HOUR).prop_map(|micros| Act::Wait { micros }),
    ]
}

/// A policy that counts dollars.
pub(crate) fn record(id: u128, path: &str, window: Window, model: bool) -> PolicyRecord {
    let alert = Alert { at: Threshold::Percent(50_000), channels: vec!["ops".to_owned()] };
    PolicyRecord {
        id,
        path: path.to_owned(),
        service: String::new(),
        model: if model { "gpt-5".to_owned() } else { String::new() },
        unit: Unit::Usd,
        limit: 1_000_000,
        window,
        mode: Mode::Open,
        allow_on_unavailable: true,
        alerts: vec![alert],
        created_at: START,
    }
}

impl Life {
    pub(crate) fn of(acts: &[Act]) -> Life {
        let mut life = Life::default();
        acts.iter().for_each(|act| life.act(act));
        life
    }

    /// The entries of so many events, a hundred in each, as a busy shard has them.
    pub(crate) fn busy(count: u64) -> Vec<(u64, Entry)> {
        let mut life = Life::default();
        // As good as chance: <https://prng.di.unimi.it/splitmix64.c>.
        let mut seed = 0_u64;
        let mut any = move || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        for _ in 0..count / 100 {
            life.now += 100_000;
            let seq = life.state.seq() + 1;
            life.state.begin(life.now);
            let mut decisions = vec![];
            for _ in 0..100 {
                let (path, input, output) = (any() % 4, any() % 5_000, any() % 900);
                let random = uuid::Builder::from_u128(u128::from(any()) << 64 | u128::from(any()));
                let id = random.with_version(uuid::Version::Random).into_uuid().to_string();
                let at = life.now - i64::try_from(any() % 3_000_000).unwrap();
                let once = Once { identity: event_identity(&id).0, body: [7; 4], seen: None };
                let mut event = event(u8::try_from(path).unwrap(), 0, at, String::new(), false);
                let tokens = i64::try_from(input + output).unwrap();
                let cost = i128::from(input) * 1_250_000_000 + i128::from(output) * 10_000_000_000;
                event.measures = Measures { cost, tokens, ..event.measures };
                let quantities = [(0, input), (8, output)];
                let quantities = quantities
                    .map(|(unit, many)| (UnitName::Known(unit), i128::from(many) * 1_000_000));
                event.detail = EventDetail {
                    id,
                    key: Some(0x0199_1234_5678_7abc_8def_0123_4567_89ab),
                    quantities: quantities.to_vec(),
                    price_row: Some(format!("openai/{}", event.model)),
                    catalogue: Some("2026-11-20".to_owned()),
                    ..EventDetail::default()
                }
                .encode();
                let actor = Actor::key("key_1".to_owned(), None, None).encode();
                let request = Request { once: Some(once), actor, command: Command::Track(event) };
                let Verdict::Write(decision) = decide(&life.state, &request) else { continue };
                life.state.apply(&decision);
                decisions.push(*decision);
            }
            let time = life.state.time();
            life.entries.push((seq, Entry { time, looked_up_seq: 0, decisions }));
            life.state.keep(seq, 0);
        }
        life.entries
    }

    /// How many identities there must be in all runs.
    pub(crate) fn identity_count(&self) -> usize {
        self.identities
    }

    /// One act, in an entry of its own.
    pub(crate) fn act(&mut self, act: &Act) {
        self.act_together(std::slice::from_ref(act));
    }

    /// Acts in one entry.
    pub(crate) fn act_together(&mut self, acts: &[Act]) {
        let seq = self.state.seq() + 1;
        self.state.begin(self.now);
        let mut decisions = vec![];
        while let Some(decision) = due(&self.state) {
            if let Outcome::Expired { reservations } = &decision.outcome {
                for id in reservations {
                    self.ends.push((*id, seq, EndedHow::Expired));
                    self.identities += 1;
                }
            }
            self.state.apply(&decision);
            decisions.push(decision);
        }
        for act in acts {
            let Some(request) = self.request(act) else { continue };
            let Verdict::Write(decision) = decide(&self.state, &request) else { continue };
            self.note(seq, &request, &decision.outcome);
            self.identities += usize::from(decision.once.is_some());
            self.state.apply(&decision);
            decisions.push(*decision);
        }
        if decisions.is_empty() {
            self.state.roll_back();
            return;
        }
        // Nothing is forgotten: what was projected is of no concern here.
        self.entries.push((seq, Entry { time: self.state.time(), looked_up_seq: 0, decisions }));
        self.state.keep(seq, 0);
    }

    fn note(&mut self, seq: u64, request: &Request, outcome: &Outcome) {
        match outcome {
            Outcome::Booked(booked) => {
                if let Some(id) = booked.settled {
                    self.identities += 1;
                    if self.state.reservation(id).is_some() {
                        self.ends.push((id, seq, EndedHow::Committed));
                    }
                }
                if let Command::Track(event) = &request.command {
                    self.tracked.push((event.clone(), booked.counted.clone()));
                }
            }
            Outcome::Released { reservation } => {
                self.ends.push((*reservation, seq, EndedHow::Released));
                self.identities += 1;
            }
            _ => {}
        }
    }

    fn reserve(&mut self, path: u8, cost: i128) -> Command {
        self.reserved += 1;
        let event = event(path, cost, self.now, String::new(), false);
        Command::Reserve(Reserve {
            reservation: self.reserved,
            path: event.path,
            service: event.service,
            model: event.model,
            estimate: event.measures,
            ttl: HOUR / 2,
        })
    }

    fn adjust(&self, path: u8, cost: i128) -> Command {
        let event = event(path, cost, START, String::new(), false);
        Command::Adjust(Adjust {
            key: "a key".to_owned(),
            revision: (self.state.seq() + 1, 0, 0),
            at: START,
            path: event.path,
            service: event.service,
            model: event.model,
            measures: Measures { cost, ..Measures::default() },
        })
    }

    fn request(&mut self, act: &Act) -> Option<Request> {
        let number = self.tracked.len();
        let mut once = None;
        let command = match act {
            Act::Track { path, cost, at, tag } => {
                let id = format!("call-{number}");
                once = Some(event_identity(&id).0);
                Command::Track(event(*path, *cost, *at, id, *tag))
            }
            Act::Reserve { path, cost } => self.reserve(*path, *cost),
            Act::Commit { reservation, cost } => {
                let known = self.state.ended(*reservation).map(|ended| ended.how);
                if known.is_none() && self.state.reservation(*reservation).is_none() {
                    return None;
                }
                let mut event = event(0, *cost, self.now, String::new(), false);
                event.path = String::new();
                event.detail = detail(Source::Commit, String::new(), false).encode();
                Command::Commit(commit(*reservation, event))
            }
            Act::Release { reservation } => release(*reservation),
            Act::Reverse { event } => {
                let (mut event, windows) = self.tracked.get(*event)?.clone();
                let id = EventDetail::decode(&event.detail)?.id;
                let Measures { cost, requests, tokens, .. } = event.measures;
                let (cost, requests, tokens) = (-cost, -requests, -tokens);
                event.measures = Measures { cost, requests, tokens, ..event.measures };
                event.detail = detail(Source::Reversal, id.clone(), false).encode();
                // One reversal for each event.
                once = Some(shards::ids::Identity::of(b"reversal", id.as_bytes()).0);
                Command::Correct(Correct { event, of: event_identity(&id).0, windows })
            }
            Act::Adjust { path, cost } => self.adjust(*path, *cost),
            Act::MakePolicy { path, window, model } => {
                self.made += 1;
                Command::CreatePolicy(record(self.made, path_of(*path), *window, *model))
            }
            Act::RemovePolicy { policy } => Command::RemovePolicy { policy: *policy },
            Act::Archive { path, archived } => match archived {
                // Archived paths refuse; notes change nothing.
                true => Command::PutPath(PutPath {
                    path: path_of(*path).to_owned(),
                    service: None,
                    notes: Some(format!("{number}")),
                    tags: None,
                }),
                false => Command::ArchivePath { path: path_of(*path).to_owned(), archived: false },
            },
            Act::Tick => Command::Tick,
            Act::Wait { micros } => {
                self.now += micros;
                Command::Tick
            }
        };
        let once = once.map(|identity| Once { identity, body: [1; 4], seen: None });
        let actor = Actor::key("key_1".to_owned(), Some("::1".to_owned()), None).encode();
        Some(Request { once, actor, command })
    }
}

fn path_of(path: u8) -> &'static str {
    PATHS[usize::from(path)]
}

fn release(reservation: u128) -> Command {
    Command::Release { reservation, ended: None }
}

fn commit(reservation: u128, event: Event) -> Commit {
    Commit { reservation, event, incomplete: false }
}

fn event(path: u8, cost: i128, at: i64, id: String, tag: bool) -> Event {
    let measures = Measures { cost, unpriced: tag, credits: 0, requests: 1, tokens: 30 };
    Event {
        service: "openai".to_owned(),
        model: if path == 3 { "gpt-4o" } else { "gpt-5" }.to_owned(),
        measures,
        detail: detail(Source::Track, id, tag).encode(),
        ..Event::empty(at, path_of(path))
    }
}

fn detail(source: Source, id: String, tag: bool) -> EventDetail {
    let quantity = if source == Source::Reversal { -1 } else { 1 };
    let call_site =
        CallSite { file: "app.py".to_owned(), function: "ask".to_owned(), line: Some(7) };
    let mut detail = EventDetail {
        source,
        id,
        key: Some(9),
        quantities: vec![
            (UnitName::Known(0), quantity * 10_000_000),
            (UnitName::Known(8), quantity * 20_000_000),
        ],
        call_site: tag.then_some(call_site),
        ..EventDetail::default()
    };
    if tag {
        detail.tags.insert("team".to_owned(), "search".to_owned());
        detail.end_user = Some(4);
    }
    detail
}

/// Late commits have an identity of their own.
#[test]
fn the_two_ends_of_a_reservation_are_two_identities() {
    assert_ne!(late_commit_identity(1), shards::facts::reservation_identity(1));
}
