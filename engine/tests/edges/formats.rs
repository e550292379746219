//! The formats of entries and snapshots, frozen: files of every format that was ever released are
//! read, followed and written again, byte for byte.
//!
//! After a release the file of its format is never written again; a new format has a new file.
use std::path::PathBuf;

use crate::example::{example, look_everywhere};
use engine::decision::{Decision, Outcome};
use engine::entry::{ENTRY_FORMAT, EntryBytes, Pushed};
use engine::snapshot::SNAPSHOT_FORMAT;
use engine::{Entry, FormatError, State};
use proptest::prelude::*;

const COMMAND: &str = "UPDATE_GOLDEN=1 cargo test -p outlay-engine --test edges";

fn golden(name: &str, today: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    #[expect(clippy::disallowed_methods, reason = "asks whoever runs the test, not the product")]
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, today).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: {COMMAND}", path.display()))
}

/// ENG-5, over releases.
#[test]
fn the_golden_entry_leads_to_the_golden_snapshot() {
    let (entry, state) = example();
    let entry_bytes = golden("entry-v1.bin", &entry.encode());
    let snapshot_bytes = golden("snapshot-v1.bin", &state.encode());
    let entry = Entry::decode(&entry_bytes).unwrap();
    assert!(entry.encode() == entry_bytes, "entries are written in another way");
    let mut state = State::default();
    state.replay(1, &entry);
    assert!(state.encode() == snapshot_bytes, "an entry is followed in another way; {COMMAND}");
    let state = State::decode(&snapshot_bytes).unwrap();
    assert!(state.encode() == snapshot_bytes, "snapshots are written in another way");
}

/// An entry with what came to the format later, and the state that it leads to.
fn last_example() -> (Entry, State) {
    let skipped = Outcome::Skipped { seq: 1, why: "it is damaged".to_owned() };
    let decision = |outcome| Decision { once: None, actor: vec![], outcome };
    let decisions = [skipped, Outcome::Closed].map(decision).into();
    let entry = Entry { time: 1_800_014_400_000_000, looked_up_seq: 0, decisions };
    let mut state = State::default();
    state.replay(1, &Entry::nothing());
    state.replay(2, &entry);
    (entry, state)
}

#[test]
fn the_last_golden_entry_leads_to_the_last_golden_snapshot() {
    let (entry, state) = last_example();
    let entry_bytes = golden("entry-v1-last.bin", &entry.encode());
    let snapshot_bytes = golden("snapshot-v1-last.bin", &state.encode());
    assert_eq!(Entry::decode(&entry_bytes), Ok(entry));
    assert!(state.encode() == snapshot_bytes, "an entry is followed in another way; {COMMAND}");
    let state = State::decode(&snapshot_bytes).unwrap();
    assert!(state.encode() == snapshot_bytes, "snapshots are written in another way");
}

#[test]
fn an_entry_is_the_same_encoded_whole_or_decision_by_decision() {
    let (entry, _) = example();
    let encoded = |all_max: usize| {
        let mut bytes = EntryBytes::default();
        let push = |one| bytes.push(one, 1_000, all_max);
        let pushed = entry.decisions.iter().map(push).collect();
        (pushed, bytes.finish(entry.time, entry.looked_up_seq))
    };
    let (pushed, bytes): (Vec<_>, _) = encoded(usize::MAX);
    assert!(pushed.iter().all(|pushed| *pushed == Pushed::Added), "{pushed:?}");
    assert!(bytes == entry.encode());
    let nothing = Entry { decisions: vec![], ..entry.clone() };
    let (pushed, bytes) = encoded(0);
    assert!(pushed.iter().all(|pushed| *pushed == Pushed::Full), "{pushed:?}");
    assert!(bytes == nothing.encode(), "what does not fit leaves nothing behind");
    let first = entry.decisions[0].encoded_size();
    let mut bytes = EntryBytes::default();
    assert_eq!(bytes.push(&entry.decisions[0], first - 1, usize::MAX), Pushed::TooLarge);
    assert_eq!(bytes.push(&entry.decisions[0], first, first), Pushed::Added);
    assert_eq!(bytes.push(&entry.decisions[0], first, 2 * first - 1), Pushed::Full);
}

/// What is decided may change with the rules; then the golden entry stays, and this one goes.
#[test]
fn the_example_is_decided_as_it_was() {
    let (entry, state) = example();
    assert!(entry.encode() == golden("entry-v1.bin", &entry.encode()), "{COMMAND}");
    assert!(state.encode() == golden("snapshot-v1.bin", &state.encode()), "{COMMAND}");
}

#[test]
fn the_golden_entry_has_every_outcome() {
    let number = |outcome: &Outcome| match outcome {
        Outcome::Booked(_) => 0,
        Outcome::Held(_) => 1,
        Outcome::Released { .. } => 2,
        Outcome::Extended { .. } => 3,
        Outcome::Expired { .. } => 4,
        Outcome::Adjusted(_) => 5,
        Outcome::PathPut { .. } => 6,
        Outcome::PathArchived { .. } => 7,
        Outcome::PolicyMade { .. } => 8,
        Outcome::PolicyBased { .. } => 9,
        Outcome::PolicyChanged { .. } => 10,
        Outcome::PolicyRemoved { .. } => 11,
        Outcome::Configured(_) => 12,
        Outcome::Refused(_) => 13,
        Outcome::Skipped { .. } => 14,
        Outcome::Closed => 15,
    };
    let (entry, _) = example();
    let (last, _) = last_example();
    let all = entry.decisions.iter().chain(&last.decisions);
    let mut found: Vec<_> = all.map(|one| number(&one.outcome)).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, (0..16).collect::<Vec<_>>());
}

#[test]
fn another_format_is_never_guessed_at() {
    let (entry, state) = example();
    for other in [0, ENTRY_FORMAT + 1, 255] {
        let found = u32::from(other);
        let mut bytes = entry.encode();
        bytes[0] = other;
        let known = u32::from(ENTRY_FORMAT);
        assert_eq!(Entry::decode(&bytes), Err(FormatError::Unknown { found, known }));
        let mut bytes = state.encode();
        bytes[0] = other;
        let known = u32::from(SNAPSHOT_FORMAT);
        assert_eq!(State::decode(&bytes).err(), Some(FormatError::Unknown { found, known }));
    }
}

#[test]
fn bytes_that_are_cut_or_too_many_are_refused() {
    let (entry, state) = example();
    let (entry, state) = (entry.encode(), state.encode());
    for end in 0..entry.len() {
        assert!(Entry::decode(&entry[..end]).is_err(), "{end}");
    }
    for end in 0..state.len() {
        assert!(State::decode(&state[..end]).is_err(), "{end}");
    }
    assert!(Entry::decode(&[&entry[..], &[0]].concat()).is_err());
    assert!(State::decode(&[&state[..], &[0]].concat()).is_err());
}

/// A length of 2^62 where there are no bytes: room is made for what comes, not for what is said.
#[test]
fn a_length_that_is_a_lie_is_refused_before_it_is_believed() {
    let lie = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
    let entry = [&[ENTRY_FORMAT, 0, 0][..], &lie].concat();
    assert!(Entry::decode(&entry).is_err());
    let (_, state) = example();
    let state = state.encode();
    for place in 1..state.len() {
        let bytes = [&state[..place], &lie, &state[place..]].concat();
        assert_ne!(State::decode(&bytes).map(|state| state.encode()), Ok(state.clone()));
    }
}

/// A snapshot whose numbers lead nowhere would be stumbled over at every later look.
#[test]
fn damage_of_one_byte_never_panics() {
    let (entry, state) = example();
    let (entry, state) = (entry.encode(), state.encode());
    for place in 0..entry.len() {
        for flip in [1, 2, 0x80, 0xff] {
            let mut bytes = entry.clone();
            bytes[place] ^= flip;
            if let Ok(entry) = Entry::decode(&bytes) {
                let mut state = State::default();
                state.replay(1, &entry);
                assert!(state.seq() == 1);
            }
        }
    }
    for place in 0..state.len() {
        for flip in [1, 2, 0x80, 0xff] {
            let mut bytes = state.clone();
            bytes[place] ^= flip;
            if let Ok(state) = State::decode(&bytes) {
                look_everywhere(&state);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        if let Ok(entry) = Entry::decode(&bytes) {
            State::default().replay(1, &entry);
        }
        if let Ok(state) = State::decode(&bytes) {
            look_everywhere(&state);
        }
    }
}
