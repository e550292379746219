//! Whatever numbers come: nothing panics, nothing overflows, and what is no amount is refused.
use crate::example::{self, NOW, event, look_everywhere, policy, reserve};
use domain::policy::POLICIES_MAX;
use engine::command::{AMOUNT_MAX, COUNT_MAX, Commit, Event, Measures, Micros, Request};
use engine::decision::{Outcome, flag};
use engine::policy::{Mode, PolicyRecord, Threshold, Unit, Window};
use engine::state::PATHS_MAX;
use engine::{Command, Once, Refusal, State, Verdict, decide, due};

fn ask(state: &mut State, command: Command) -> Verdict {
    let request = Request { once: None, actor: vec![], command };
    let verdict = decide(state, &request);
    if let Verdict::Write(decision) = &verdict {
        state.apply(decision);
    }
    verdict
}

fn most(cost: i128, count: i64) -> Measures {
    Measures { cost, unpriced: false, credits: cost, requests: count, tokens: count }
}

const UNITS: [Unit; 4] = [Unit::Usd, Unit::Credits, Unit::Requests, Unit::Tokens];

#[test]
fn the_largest_amounts_add_up_to_no_overflow() {
    for unit in UNITS {
        let mut state = State::default();
        state.begin(NOW);
        let record = PolicyRecord { unit, limit: AMOUNT_MAX, ..policy(1, "a", Window::Total) };
        ask(&mut state, Command::CreatePolicy(record));
        for (cost, count) in [(AMOUNT_MAX, COUNT_MAX), (-AMOUNT_MAX, -COUNT_MAX)].repeat(50) {
            let measures = most(cost, count);
            let booked = ask(&mut state, Command::Track(Event { measures, ..event(NOW, "a", 0) }));
            assert!(matches!(booked, Verdict::Write(_)));
        }
        for id in 0..50 {
            let mut held = reserve(id, "a", 0);
            held.estimate = most(AMOUNT_MAX, COUNT_MAX);
            ask(&mut state, Command::Reserve(held));
        }
        look_everywhere(&state);
    }
}

/// A creation that is repeated after somebody has removed the policy makes it under the same id.
#[test]
fn a_base_is_not_entered_for_a_policy_that_was_made_again() {
    let mut state = State::default();
    state.begin(NOW);
    ask(&mut state, Command::Track(event(NOW, "a", 1)));
    let create = Command::CreatePolicy(policy(1, "a", Window::Total));
    ask(&mut state, create.clone());
    state.keep(1, 0);
    state.begin(NOW);
    ask(&mut state, Command::RemovePolicy { policy: 1 });
    ask(&mut state, create);
    state.keep(2, 0);
    state.begin(NOW);
    let enter = |made_seq| Command::EnterBase { policy: 1, made_seq, parts: vec![(0, 7)] };
    assert_eq!(ask(&mut state, enter(1)), Verdict::Unchanged);
    assert!(matches!(ask(&mut state, enter(2)), Verdict::Write(_)));
    assert_eq!(ask(&mut state, enter(2)), Verdict::Unchanged, "entered once");
}

#[test]
fn what_is_no_amount_is_refused() {
    let mut state = State::default();
    state.begin(NOW);
    let too_much = [
        most(AMOUNT_MAX + 1, 0),
        most(-AMOUNT_MAX - 1, 0),
        most(i128::MIN, 0),
        most(i128::MAX, 0),
        most(0, COUNT_MAX + 1),
        most(0, i64::MIN),
    ];
    for measures in too_much {
        let tracked = ask(&mut state, Command::Track(Event { measures, ..event(NOW, "a", 0) }));
        assert_eq!(tracked, Verdict::Refuse(Refusal::OutOfRange));
        let mut held = reserve(1, "a", 0);
        held.estimate = measures;
        let held = ask(&mut state, Command::Reserve(held));
        assert_eq!(held, Verdict::Refuse(Refusal::OutOfRange));
    }
    for limit in [-1, AMOUNT_MAX + 1, i128::MAX, i128::MIN] {
        let record = PolicyRecord { limit, ..policy(1, "a", Window::Total) };
        let made = ask(&mut state, Command::CreatePolicy(record));
        assert_eq!(made, Verdict::Refuse(Refusal::OutOfRange));
    }
    assert_eq!(state.paths().len(), 1, "what is refused leaves nothing behind");
}

/// A rule that contains no instant would be a cap that never counts.
#[test]
fn a_window_of_no_length_is_refused() {
    let mut state = State::default();
    state.begin(NOW);
    let nothing = [
        Window::Anchored(0, 0, 0),
        Window::Session(0),
        Window::Session(-1),
        Window::Sliding(0),
        Window::Sliding(i64::MIN),
        Window::Calendar(7),
    ];
    for window in nothing {
        let made = ask(&mut state, Command::CreatePolicy(policy(1, "a", window)));
        assert_eq!(made, Verdict::Refuse(Refusal::OutOfRange), "{window:?}");
    }
}

#[test]
fn the_highest_thresholds_have_a_level() {
    for limit in [0, 1, AMOUNT_MAX] {
        let level = Threshold::Percent(u32::MAX).level(limit);
        assert!(level >= limit);
        assert_eq!(Threshold::Percent(100_000).level(limit), limit);
    }
    assert_eq!(Threshold::Percent(1).level(1), 1, "a part of a femtodollar is rounded up");
}

#[test]
fn the_ends_of_time_are_survived() {
    let ends: [Micros; 8] = [i64::MIN, i64::MIN + 1, -1, 0, NOW, NOW + 1, i64::MAX - 1, i64::MAX];
    let windows = [
        Window::Calendar(0),
        Window::Calendar(2),
        Window::Calendar(6),
        Window::Anchored(1, 0, i64::MAX),
        Window::Anchored(u16::MAX, u16::MAX, i64::MIN),
        Window::Session(i64::MAX),
        Window::Session(1),
        Window::Sliding(i64::MAX),
        Window::Sliding(1),
        Window::Total,
    ];
    for (window, now) in windows.iter().flat_map(|window| ends.map(|now| (*window, now))) {
        let mut state = State::default();
        state.begin(now);
        ask(&mut state, Command::CreatePolicy(policy(1, "a", window)));
        for (id, at) in (1..).zip(ends) {
            let mut held = reserve(id, "a", 0);
            held.ttl = at;
            ask(&mut state, Command::Reserve(held));
            ask(&mut state, Command::Track(event(at, "a", 0)));
            ask(&mut state, Command::Extend { reservation: id, ttl: at, ended: None });
            let commit = Commit { reservation: id, event: event(at, "a", 0), incomplete: true };
            ask(&mut state, Command::Commit(commit));
        }
        look_everywhere(&state);
        state.roll_back();
        assert!(state.encode() == State::default().encode(), "ENG-4 {window:?} {now}");
    }
}

/// Beyond, spend is booked on the nearest path that there is: it is never dropped.
#[test]
fn a_hundred_thousand_paths_are_enough() {
    let mut state = State::default();
    state.begin(NOW);
    let day = PolicyRecord { mode: Mode::Block, ..policy(1, "top", Window::Calendar(2)) };
    ask(&mut state, Command::CreatePolicy(day));
    for number in state.paths().len()..PATHS_MAX {
        ask(&mut state, Command::Track(event(NOW, &format!("top/p{number}"), 0)));
    }
    assert_eq!(state.paths().len(), PATHS_MAX);
    assert!(!state.has_room_for_paths());
    let mut service = event(NOW, "top/one-more/deep", 7);
    service.service = "anthropic".to_owned();
    let Verdict::Write(decision) = ask(&mut state, Command::Track(service)) else { panic!() };
    let Outcome::Booked(booked) = decision.outcome else { panic!() };
    assert_eq!(&*state.path(booked.path).name, "top");
    assert_eq!(booked.flags, flag::PATH_LIMIT);
    let used = state.policy(0).unwrap().windows[0].used;
    assert_eq!(used, example::dollars(7).cost);
    let made = ask(&mut state, Command::CreatePolicy(policy(2, "new", Window::Total)));
    assert_eq!(made, Verdict::Refuse(Refusal::PathLimit));
    let copy = State::decode(&state.encode()).unwrap();
    assert_eq!(copy.paths().len(), PATHS_MAX);
}

#[test]
fn a_path_has_ten_policies() {
    let mut state = State::default();
    state.begin(NOW);
    for id in 0..12 {
        let made = ask(&mut state, Command::CreatePolicy(policy(id, "a", Window::Total)));
        let is_made = matches!(made, Verdict::Write(_));
        assert_eq!(is_made, id < u128::try_from(POLICIES_MAX).unwrap());
    }
    ask(&mut state, Command::RemovePolicy { policy: 3 });
    let made = ask(&mut state, Command::CreatePolicy(policy(20, "a", Window::Total)));
    assert!(matches!(made, Verdict::Write(_)));
}

#[test]
fn a_closed_journal_refuses_everything_and_nothing_is_due_in_it() {
    let mut state = State::default();
    state.begin(NOW);
    ask(&mut state, Command::CreatePolicy(policy(1, "a", Window::Total)));
    assert!(matches!(ask(&mut state, Command::Reserve(reserve(1, "a", 5))), Verdict::Write(_)));
    state.keep(1, 0);
    let before = state.encode();
    state.begin(NOW);
    assert!(matches!(ask(&mut state, Command::Close), Verdict::Write(_)));
    assert!(state.is_closed());
    state.roll_back();
    assert!(state.encode() == before && !state.is_closed(), "it was never durable");
    state.begin(NOW);
    ask(&mut state, Command::Close);
    state.keep(2, 0);
    state.begin(Micros::MAX);
    assert!(due(&state).is_none() && state.next_due_at().is_none());
    for command in
        [Command::Tick, Command::Track(event(NOW, "a", 1)), Command::Reserve(reserve(2, "a", 1))]
    {
        let once = Some(Once { identity: [7; 16], body: [1; 4], seen: None });
        let request = Request { once, actor: vec![], command };
        assert_eq!(decide(&state, &request), Verdict::Refuse(Refusal::Closed), "not kept either");
    }
    assert_eq!(ask(&mut state, Command::Close), Verdict::Unchanged);
    let bytes = state.encode();
    let copy = State::decode(&bytes).unwrap();
    assert!(copy.is_closed() && copy.encode() == bytes);
    assert!(State::decode(&[&bytes[..], &[1]].concat()).is_err());
}
