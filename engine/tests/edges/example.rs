//! One batch in which everything happens that can, for the tests of formats and of hostile input.

use engine::command::{Adjust, Commit, Correct, Event, Measures, Once, PutPath, Request, Reserve};
use engine::policy::{Alert, Mode, PolicyChange, PolicyRecord, Threshold, Unit, Window};
use engine::{Command, Entry, Settings, State, Verdict, decide, due};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
/// 20 November 2026, 10:00 UTC.
pub(crate) const NOW: i64 = 1_795_168_800 * SECOND;

pub(crate) fn dollars(cost: i128) -> Measures {
    Measures {
        cost: cost * 1_000_000_000_000_000,
        requests: 1,
        tokens: 1_200,
        ..Measures::default()
    }
}

pub(crate) fn policy(id: u128, path: &str, window: Window) -> PolicyRecord {
    let alert = |at| Alert { at, channels: vec!["mail".to_owned()] };
    PolicyRecord {
        id,
        path: path.to_owned(),
        service: String::new(),
        model: String::new(),
        unit: Unit::Usd,
        limit: 10_000_000_000_000_000,
        window,
        mode: Mode::Strict,
        allow_on_unavailable: true,
        alerts: vec![alert(Threshold::Percent(80_000)), alert(Threshold::Amount(5))],
        created_at: NOW,
    }
}

pub(crate) fn event(at: i64, path: &str, cost: i128) -> Event {
    Event {
        service: "openai".to_owned(),
        model: "gpt-5".to_owned(),
        measures: dollars(cost),
        detail: br#"{"latency_ms":120}"#.to_vec(),
        ..Event::empty(at, path)
    }
}

pub(crate) fn reserve(reservation: u128, path: &str, cost: i128) -> Reserve {
    Reserve {
        reservation,
        path: path.to_owned(),
        service: "openai".to_owned(),
        model: "gpt-5".to_owned(),
        estimate: dollars(cost),
        ttl: 300 * SECOND,
    }
}

fn adjust(revision: u64, path: &str, cost: i128) -> Command {
    Command::Adjust(Adjust {
        key: "account/2026-11-20/gpt-5".to_owned(),
        revision: (revision, 1, 2),
        at: NOW - 10 * HOUR,
        path: path.to_owned(),
        service: "openai".to_owned(),
        model: "gpt-5".to_owned(),
        measures: dollars(cost),
    })
}

fn policies() -> Vec<Command> {
    let windows = [
        Window::Calendar(2),
        Window::Anchored(1, 0, 1_769_817_600 * SECOND),
        Window::Session(5 * HOUR),
        Window::Sliding(HOUR),
        Window::Total,
    ];
    let made = (1..).zip(windows).map(|(id, window)| policy(id, "acme/chat", window));
    let made = made.map(|record| PolicyRecord { limit: record.limit * 10, ..record });
    let root =
        PolicyRecord { unit: Unit::Tokens, mode: Mode::Open, ..policy(9, "", Window::Total) };
    let last = policy(10, "gone", Window::Calendar(0));
    made.chain([root, last]).map(Command::CreatePolicy).collect()
}

fn commands() -> Vec<Command> {
    let settings = Settings { revision: 3, ..Settings::default() };
    let put = PutPath {
        path: "acme/chat".to_owned(),
        service: Some("openai".to_owned()),
        notes: Some("the chat".to_owned()),
        tags: Some(vec![("team".to_owned(), "search".to_owned())]),
    };
    let commit = |reservation, cost| {
        let event = Event { path: String::new(), ..event(NOW, "", cost) };
        Command::Commit(Commit { reservation, event, incomplete: reservation == 21 })
    };
    let tight = PolicyChange { limit: Some(3_000), mode: Some(Mode::Strict), ..Default::default() };
    let mut all = vec![Command::Configure(settings), Command::PutPath(put)];
    all.push(Command::Reserve(reserve(20, "acme/chat/early", 1)));
    all.extend(policies());
    all.extend([
        Command::EnterBase { policy: 1, made_seq: 1, parts: vec![(0, 70_000_000_000_000_000)] },
        Command::Track(event(NOW - SECOND, "acme/chat/new", 4)),
        Command::Track(event(NOW - 50 * HOUR, "acme/chat", 2)),
        Command::Reserve(reserve(21, "acme/chat", 3)),
        Command::Reserve(reserve(22, "acme/chat", 1)),
        Command::Reserve(Reserve { ttl: 0, ..reserve(23, "acme/chat", 1) }),
        Command::Reserve(reserve(24, "acme/chat", 1)),
        commit(21, 2),
        commit(20, 1),
        Command::Release { reservation: 22, ended: None },
        Command::Extend { reservation: 24, ttl: HOUR, ended: None },
        Command::Tick,
        adjust(1, "acme/chat", 2),
        adjust(2, "acme/other", 1),
        Command::Correct(Correct {
            event: event(NOW - SECOND, "acme/chat/new", -1),
            of: [4; 16],
            windows: vec![(0, 0), (3, 0)],
        }),
        Command::ArchivePath { path: "acme/other".to_owned(), archived: true },
        Command::ChangePolicy { policy: 10, change: tight },
        Command::Reserve(reserve(25, "gone/deep", 9)),
        Command::RemovePolicy { policy: 10 },
    ]);
    all
}

/// The batch, and the state after it.
pub(crate) fn example() -> (Entry, State) {
    let mut state = State::default();
    state.begin(NOW);
    let mut entry = Entry { time: NOW, looked_up_seq: 0, decisions: vec![] };
    for (number, command) in (1..).zip(commands()) {
        let is_call = matches!(command, Command::Track(_) | Command::Reserve(_));
        let once = Once { identity: [number; 16], body: [number; 4], seen: None };
        let actor = b"key_1".to_vec();
        let request = Request { once: is_call.then_some(once), actor, command };
        let verdict = match request.command {
            Command::Tick => Verdict::Write(Box::new(due(&state).expect("something is due"))),
            _ => decide(&state, &request),
        };
        let Verdict::Write(decision) = verdict else { panic!("{number}: {verdict:?}") };
        state.apply(&decision);
        entry.decisions.push(*decision);
    }
    state.keep(1, 0);
    (entry, state)
}

/// Looks at whatever can be looked at.
pub(crate) fn look_everywhere(state: &State) {
    let mut seen = 0;
    for now in [i64::MIN, 0, NOW, i64::MAX] {
        for path in 0..state.paths().len() {
            let number = u32::try_from(path).expect("there are few paths");
            let name = state.path(number).name.clone();
            seen += state.policies_met(&name, "openai", "gpt-5", now).count();
            let health = state.health(number, now);
            assert!(!health.as_str().is_empty());
        }
    }
    assert!(seen < 1_000_000 && state.encode().len() > 1);
}
