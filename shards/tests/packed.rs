//! The stored form of entries: what is packed reads back, whatever it holds; damage is an error;
//! a golden file of each format is read for ever.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::path::PathBuf;

use engine::command::Measures;
use engine::decision::Booked;
use engine::entry::{ENTRY_BYTES_MAX, ENTRY_DECISIONS_MAX};
use engine::{Decision, Entry, FormatError, Outcome};
use proptest::prelude::*;
use shards::EventDetail;
use shards::facts::event_identity;
use shards::packed::{FORMAT, pack, unpack, unpack_to_follow};
use uuid::Uuid;

const COMMAND: &str = "UPDATE_GOLDEN=1 cargo test -p outlay-shards --test packed";

fn golden(name: &str, today: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    #[expect(clippy::disallowed_methods, reason = "asks whoever runs the test, not the product")]
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, today).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: {COMMAND}", path.display()))
}

fn uuid(number: usize) -> Uuid {
    let number = u128::try_from(number).unwrap() + 1;
    Uuid::from_u128(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

fn booked(detail: Vec<u8>) -> Outcome {
    Outcome::Booked(Booked {
        at: 1_795_168_800_000_000,
        new_paths: vec![],
        path: 3,
        service: "openai".to_owned(),
        model: "gpt-5.4".to_owned(),
        measures: Measures { cost: 4_250_000_000_000, requests: 1, ..Measures::default() },
        opened: vec![],
        counted: vec![(1, 20_777)],
        late: vec![],
        settled: None,
        corrects: None,
        crossed: vec![],
        flags: 0,
        detail,
    })
}

/// A report under an id, as the API makes it.
fn report(id: String) -> Decision {
    let once = Some((event_identity(&id).0, [9, 8, 7, 6]));
    let detail = EventDetail { id, latency_ms: Some(812), ..EventDetail::default() }.encode();
    Decision { once, actor: vec![1, 2, 3], outcome: booked(detail) }
}

fn entry(decisions: Vec<Decision>) -> Entry {
    Entry { time: 1_795_168_800_000_001, looked_up_seq: 41, decisions }
}

/// Ids of every kind, identities that follow from them and others, and what has neither.
fn example() -> Entry {
    let mut decisions = vec![];
    for number in 0..10 {
        decisions.push(report(uuid(number).to_string()));
        decisions.push(report(uuid(number).simple().to_string()));
        decisions.push(report(uuid(number).to_string().to_uppercase()));
        decisions.push(report(format!("req_{number}")));
        decisions.push(report("ä".repeat(100)));
        decisions.push(report(String::new()));
        let mut keyed = report(uuid(number).to_string());
        keyed.once = Some((uuid(number + 100).into_bytes(), [1; 4]));
        decisions.push(keyed.clone());
        decisions.push(Decision { once: None, ..keyed });
        let released = Outcome::Released { reservation: uuid(number).as_u128() };
        decisions.push(Decision { once: None, actor: vec![], outcome: released });
        for opaque in [vec![], vec![0], vec![0, 36], vec![0, 1, 255], vec![200, 0], vec![255; 50]] {
            decisions.push(Decision { once: None, actor: vec![], outcome: booked(opaque) });
        }
    }
    entry(decisions)
}

fn reports(count: usize) -> Entry {
    entry((0..count).map(|number| report(uuid(number).to_string())).collect())
}

#[test]
fn what_is_packed_reads_back() {
    for entry in [entry(vec![]), reports(1), reports(500), reports(ENTRY_DECISIONS_MAX), example()]
    {
        assert_eq!(unpack(&pack(&entry)), Ok(entry));
    }
}

#[test]
fn for_a_state_nothing_is_missing_but_ids_in_details() {
    for entry in [reports(1), reports(500), example()] {
        let mut followed = unpack_to_follow(&pack(&entry)).unwrap();
        for (decision, whole) in followed.decisions.iter_mut().zip(&entry.decisions) {
            if let (Outcome::Booked(one), Outcome::Booked(whole)) =
                (&mut decision.outcome, &whole.outcome)
            {
                one.detail.clone_from(&whole.detail);
            }
        }
        assert_eq!(followed, entry);
    }
}

/// A format that changes is a new one: this file stays, and another one comes.
#[test]
fn the_golden_entry_is_read_and_packed_as_it_was() {
    let bytes = golden("packed-v1.bin", &pack(&example()));
    assert_eq!(unpack(&bytes), Ok(example()), "{COMMAND}");
    let plain = golden("plain-v1.bin", &pack(&reports(1)));
    assert_eq!(unpack(&plain), Ok(reports(1)), "{COMMAND}");
    assert!(pack(&reports(1)) == plain, "small entries are written in another way");
}

#[test]
fn a_small_entry_is_stored_as_it_is() {
    let entry = reports(1);
    let stored = pack(&entry);
    assert_eq!(stored[..2], [FORMAT, 0]);
    assert_eq!(stored[6..], entry.encode());
    assert_eq!(pack(&reports(500))[..2], [FORMAT, 1]);
}

/// 16 bytes of id and 4 of the body's hash are random; what else there is repeats.
#[test]
fn of_a_report_little_is_stored_beside_what_is_random() {
    let stored = pack(&reports(500)).len();
    assert!(stored > 500 * 20 && stored < 500 * 22, "{stored}");
}

#[test]
fn what_does_not_shrink_still_fits_the_store() {
    let noise: Vec<u8> = (0..1 << 16).flat_map(|number| uuid(number).into_bytes()).collect();
    let empty = entry(vec![Decision { once: None, actor: vec![], outcome: booked(vec![]) }]);
    let room = ENTRY_BYTES_MAX - 64 - empty.encode().len();
    let largest = entry(vec![Decision {
        once: None,
        actor: vec![],
        outcome: booked(noise[..room].to_vec()),
    }]);
    let stored = pack(&largest);
    assert!(stored.len() <= store::journal::ENTRY_BYTES_MAX, "{}", stored.len());
    assert_eq!(unpack(&stored), Ok(largest));
}

#[test]
fn another_format_is_never_guessed_at() {
    for entry in [reports(1), reports(500)] {
        for other in [0, FORMAT + 1, 255] {
            let mut bytes = pack(&entry);
            bytes[0] = other;
            let (found, known) = (u32::from(other), u32::from(FORMAT));
            assert_eq!(unpack(&bytes), Err(FormatError::Unknown { found, known }));
        }
    }
}

#[test]
fn damage_of_any_byte_is_an_error() {
    for entry in [reports(1), reports(20), example()] {
        let bytes = pack(&entry);
        for place in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[place] ^= flip;
                assert!(unpack(&damaged).is_err(), "{place} ^ {flip}");
            }
            assert!(unpack(&bytes[..place]).is_err(), "cut at {place}");
        }
        assert!(unpack(&[&bytes[..], &[0]].concat()).is_err());
    }
}

/// As somebody would write it who can compute a checksum.
fn forged(how: u8, content: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(&[&[how], content].concat());
    [&[FORMAT, how][..], &checksum.to_le_bytes(), content].concat()
}

fn packed_by_hand(aside: &[u8], marks: &[u8], entry: &Entry) -> Vec<u8> {
    let count = u16::try_from(marks.len()).unwrap().to_le_bytes();
    let raw = [&count[..], marks, &entry.encode()].concat();
    let length = u32::try_from(aside.len()).unwrap().to_le_bytes();
    forged(1, &[&length[..], aside, &columns::compress(&raw)].concat())
}

#[test]
fn lies_under_a_right_checksum_are_errors() {
    let one = reports(1);
    assert_eq!(unpack(&packed_by_hand(&[], &[0], &one)), Ok(one.clone()));
    let large = columns::compress(&vec![0; 2 * ENTRY_BYTES_MAX]);
    let lies = [
        forged(1, &[]),
        forged(2, &one.encode()),
        forged(1, &[&[0; 4][..], &large].concat()),
        forged(1, &u32::MAX.to_le_bytes()),
        packed_by_hand(&[], &[], &one),
        packed_by_hand(&[], &[0, 0], &one),
        packed_by_hand(&[1], &[0], &one),
        packed_by_hand(&[1; 19], &[1], &one),
        packed_by_hand(&[1; 3], &[2], &one),
        packed_by_hand(&[1; 15], &[4], &one),
    ];
    for (number, lie) in lies.iter().enumerate() {
        assert!(matches!(unpack(lie), Err(FormatError::Damaged(_))), "lie {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_a_detail_holds_it_reads_back(
        details in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 40..60),
        ids in prop::collection::vec("[0-9a-f-]{0,40}", 40..60),
    ) {
        let opaque = details.into_iter().map(|detail| {
            Decision { once: Some(([3; 16], [4; 4])), actor: vec![], outcome: booked(detail) }
        });
        let entry = entry(opaque.chain(ids.into_iter().map(report)).collect());
        prop_assert_eq!(unpack(&pack(&entry)), Ok(entry));
    }

    #[test]
    fn garbage_never_panics(
        how in 0_u8..3,
        marks in prop::collection::vec(any::<u8>(), 20),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _of_no_matter = unpack(&forged(how, &bytes));
        let _of_no_matter = unpack(&packed_by_hand(&bytes, &marks, &reports(20)));
    }
}
