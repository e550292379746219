//! What one decision costs, with one cap on each of four levels: deciding, following, looking and
//! replaying, in one thread and without a store. Nanoseconds are of this machine; the ratios tell
//! more.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_types, clippy::float_arithmetic, reason = "times for a person")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use engine::command::{Event, Measures, Once, Request, Reserve};
use engine::policy::{Mode, PolicyRecord, Unit, Window};
use engine::{Command, Decision, Entry, State, Verdict, decide, due};

const ROUNDS: usize = 20;
const BATCH: u32 = 1_000;
/// 20 November 2026, 10:00 UTC.
const NOW: i64 = 1_795_168_800_000_000;
const LEAF: &str = "acme/search/rewrite/leaf";

fn main() {
    let base = state();
    let entry = Entry { time: NOW, looked_up_seq: 0, decisions: decisions(&base) };
    let track = one("decide and apply a report, in a batch of 1,000", batch(&base, &track));
    one("decide and apply a reservation, the same", batch(&base, &reserve));
    one("end 1,000 reservations that are due", expiry(&base));
    let check = one("check: four caps looked at", check(&base));
    println!("  a check is {:.2} of a report", check / track);
    let replay = one("follow a decision on replay", replay(&base, &entry));
    println!("  {:.1} million decisions a second", 1e3 / replay);
    let bytes = entry.encode();
    one("read an entry, a decision", per_decision(|| drop(black_box(Entry::decode(&bytes)))));
    one("write an entry, a decision", per_decision(|| drop(black_box(entry.encode()))));
    println!("  {} bytes a decision, without detail", entry.decisions[1].encoded_size());
    memory();
}

/// What the process grows by for each thing that the state keeps.
fn memory() {
    let mut state = state();
    let mut seq = 1;
    let mut grow = |what: &str, count: u32, remembers: bool, make: &dyn Fn(u32) -> Request| {
        let before = resident_bytes();
        for first in (0..count).step_by(BATCH as usize) {
            state.begin(NOW);
            for number in first..first + BATCH {
                let mut request = make(number);
                request.once = request.once.filter(|_| remembers);
                follow(&mut state, &request);
            }
            seq += 1;
            state.keep(seq, if remembers { 0 } else { seq });
        }
        let bytes = resident_bytes().saturating_sub(before) / u64::from(count);
        println!("{what:<48} {bytes:>8} bytes");
    };
    let path = |number: u32| format!("tenant-{}/application-{number}", number % 100);
    grow("memory of a path", 50_000, false, &|number| {
        let mut request = track(number);
        if let Command::Track(event) = &mut request.command {
            event.path = path(number);
        }
        request
    });
    grow("memory of a cap on it, with an open window", 50_000, false, &|number| {
        let made = policy(u128::from(number) + 100, &path(number), Window::Calendar(4));
        request(number, Command::CreatePolicy(made))
    });
    grow("memory of a reservation held on four caps", 100_000, false, &reserve);
    grow("memory of an id that is not in the tables yet", 500_000, true, &track);
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

fn one(what: &str, nanoseconds: f64) -> f64 {
    println!("{what:<48} {nanoseconds:>8.0} ns");
    nanoseconds
}

/// A tree of four levels with a cap on each, of four kinds of windows, that has been used.
fn state() -> State {
    let mut state = State::default();
    state.begin(NOW);
    let windows = [
        ("acme", Window::Calendar(4)),
        ("acme/search", Window::Calendar(2)),
        ("acme/search/rewrite", Window::Session(18_000_000_000)),
        (LEAF, Window::Calendar(1)),
    ];
    for (id, (path, window)) in (1..).zip(windows) {
        let number = u32::try_from(id).expect("there are four");
        let made = Command::CreatePolicy(policy(id, path, window));
        follow(&mut state, &request(1_000_000 + number, made));
    }
    follow(&mut state, &track(0));
    state.keep(1, 0);
    state
}

fn policy(id: u128, path: &str, window: Window) -> PolicyRecord {
    PolicyRecord {
        id,
        path: path.to_owned(),
        service: String::new(),
        model: String::new(),
        unit: Unit::Usd,
        limit: i128::from(i64::MAX) * 1_000_000_000_000,
        window,
        mode: Mode::Strict,
        allow_on_unavailable: false,
        alerts: vec![],
        created_at: NOW,
    }
}

fn request(number: u32, command: Command) -> Request {
    let mut identity = [7; 16];
    identity[..4].copy_from_slice(&number.to_le_bytes());
    let once = Once { identity, body: [1; 4], seen: None };
    Request { once: Some(once), actor: vec![], command }
}

fn measures() -> Measures {
    let cost = 4_250_000_000_000;
    Measures { cost, requests: 1, tokens: 1_500, ..Measures::default() }
}

fn track(number: u32) -> Request {
    let (service, model) = ("openai".to_owned(), "gpt-5.4".to_owned());
    let event = Event { service, model, measures: measures(), ..Event::empty(NOW, LEAF) };
    request(number, Command::Track(event))
}

fn reserve(number: u32) -> Request {
    let reserve = Reserve {
        reservation: u128::from(number) << 64 | 1,
        path: LEAF.to_owned(),
        service: "openai".to_owned(),
        model: "gpt-5.4".to_owned(),
        estimate: measures(),
        ttl: 300_000_000,
    };
    request(number, Command::Reserve(reserve))
}

fn follow(state: &mut State, request: &Request) -> Decision {
    let Verdict::Write(decision) = decide(state, request) else { panic!("it is admitted") };
    state.apply(&decision);
    *decision
}

fn decisions(base: &State) -> Vec<Decision> {
    let mut state = copy(base);
    state.begin(NOW);
    (1..=BATCH).map(|number| follow(&mut state, &track(number))).collect()
}

fn copy(state: &State) -> State {
    State::decode(&state.encode()).expect("a state reads back")
}

/// A batch of requests from `begin` to `keep`, a request.
fn batch(base: &State, make: &dyn Fn(u32) -> Request) -> f64 {
    let requests: Vec<Request> = (1..=BATCH).map(make).collect();
    let timed = (0..ROUNDS).map(|_| {
        let mut state = copy(base);
        let started = Instant::now();
        state.begin(NOW);
        for request in &requests {
            drop(black_box(follow(&mut state, request)));
        }
        state.keep(2, 0);
        started.elapsed()
    });
    each(timed.min())
}

fn expiry(base: &State) -> f64 {
    let timed = (0..ROUNDS).map(|_| {
        let mut state = copy(base);
        state.begin(NOW);
        for number in 1..=BATCH {
            follow(&mut state, &reserve(number));
        }
        state.keep(2, 0);
        let started = Instant::now();
        state.begin(NOW + 300_000_000);
        let decision = due(&state).expect("they are due");
        state.apply(&decision);
        state.keep(3, 0);
        assert!(state.next_due_at().is_none());
        started.elapsed()
    });
    each(timed.min())
}

fn check(base: &State) -> f64 {
    per_decision(|| {
        for _ in 0..BATCH {
            let met = base.policies_met(black_box(LEAF), "openai", "gpt-5.4", NOW);
            assert!(black_box(met.filter(|view| !view.is_exhausted).count() == 4));
        }
    })
}

fn replay(base: &State, entry: &Entry) -> f64 {
    let timed = (0..ROUNDS).map(|_| {
        let mut state = copy(base);
        let started = Instant::now();
        state.replay(2, black_box(entry));
        started.elapsed()
    });
    each(timed.min())
}

/// The best of several rounds, a decision of a batch.
fn per_decision(mut work: impl FnMut()) -> f64 {
    let timed = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed()
    });
    each(timed.min())
}

fn each(best: Option<Duration>) -> f64 {
    best.expect("there is a round").as_secs_f64() * 1e9 / f64::from(BATCH)
}
