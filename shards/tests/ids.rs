//! Random lives of an id index against a plain map: chunks come, runs are merged and dropped, the
//! index is loaded again from what was stored, and no look-up ever differs from the map.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use shards::ids::{
    BodyHash, BuiltRun, DAY_MICROS, Entry, Filter, HORIZON_MICROS, IdIndex, Identity, IndexError,
    LoadedRun, Lookup, OwnDay, RunBuilder, RunHeader, Seen, expires_at_micros, merge_policy,
    merge_runs, own_day,
};

const SOURCE: &[u8] = b"a source";
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// Events arrive, some of them again, and are projected as one chunk.
    Chunk(Vec<Event>),
    /// One merge, if the policy wants any.
    Merge,
    /// Expired runs go.
    Drop,
    /// Another process takes over.
    Reload,
    /// Hours pass.
    Wait(u16),
}

#[derive(Debug, Clone)]
struct Event {
    number: u8,
    /// For a `UUIDv7`: how many hours before the start it was made, or after.
    made_at_hours: Option<i16>,
    body: u8,
}

impl Event {
    fn id(&self) -> String {
        let Some(hours) = self.made_at_hours else { return format!("call-{}", self.number) };
        let ms = START / 1000 + i64::from(hours) * 3_600_000;
        let tail = 0x8000_0000_0000_0000 | u64::from(self.number);
        format!("{ms:012x}7000{tail:016x}")
    }
}

fn event() -> impl Strategy<Value = Event> {
    // Few enough that ids come again, also long after.
    let made_at_hours = prop_oneof![
        2 => Just(None),
        1 => (-40_i16..120).prop_map(|days| Some(days * 24 + 7)),
    ];
    (0..60_u8, made_at_hours, 0..3_u8).prop_map(|(number, made_at_hours, body)| Event {
        number,
        made_at_hours,
        body,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(event(), 0..12).prop_map(Step::Chunk),
        4 => Just(Step::Merge),
        2 => Just(Step::Drop),
        1 => Just(Step::Reload),
        3 => (0..200_u16).prop_map(Step::Wait),
    ]
}

/// What the map knows of an id: when it was counted last, and what is to be answered.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at_micros: i64,
    v7_day: Option<u32>,
    seen: Seen,
}

#[derive(Default)]
struct World {
    now_micros: i64,
    position: u64,
    next_key: u64,
    index: IdIndex,
    /// Runs and filters by key, as a store keeps them.
    stored: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    counted: BTreeMap<Identity, Counted>,
}

impl World {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Chunk(events) => self.project(events),
            Step::Merge => self.merge(),
            Step::Drop => self.drop_expired(),
            Step::Reload => self.reload(),
            Step::Wait(hours) => self.now_micros += i64::from(*hours) * DAY_MICROS / 24,
        }
    }

    fn project(&mut self, events: &[Event]) {
        let from = self.position;
        let to = from + 1 + u64::try_from(events.len()).unwrap();
        let mut run = RunBuilder::new(from, to);
        for (event, position) in events.iter().zip(from + 1..) {
            self.now_micros += 1_000;
            let id = event.id();
            let v7_day = match own_day(id.as_bytes(), self.now_micros) {
                OwnDay::OutOfRange => continue,
                OwnDay::None => None,
                OwnDay::Day(day) => Some(day),
            };
            let identity = Identity::of(SOURCE, id.as_bytes());
            // The engine remembers what is not projected yet; here the map does.
            let known = self.counted.get(&identity);
            let in_chunk = known.is_some_and(|counted| counted.seen.position > from);
            if in_chunk || self.look_up(identity, v7_day).is_some() {
                continue;
            }
            let body = BodyHash::of(&[event.body]);
            let seen = Seen { body, position };
            self.counted.insert(identity, Counted { at_micros: self.now_micros, v7_day, seen });
            run.push(Entry { identity, position, body }, v7_day, self.now_micros);
        }
        self.position = to;
        let run = run.finish().unwrap();
        self.replace(&[], run);
    }

    fn merge(&mut self) {
        let runs = self.index.runs();
        let headers: Vec<&RunHeader> = runs.iter().map(|run| run.header()).collect();
        let Some(range) = merge_policy(&headers) else { return };
        let keys: Vec<u64> = runs[range].iter().map(|run| run.key()).collect();
        let bytes: Vec<&[u8]> = keys.iter().map(|key| self.stored[key].0.as_slice()).collect();
        let merged = merge_runs(&bytes).unwrap();
        assert_eq!(merged.doubled_count, 0, "an id was counted twice");
        let again = merge_runs(&bytes).unwrap();
        assert_eq!((&merged.bytes, merged.filter.encode()), (&again.bytes, again.filter.encode()));
        let count: usize = bytes.iter().map(|run| RunHeader::read(run).unwrap().count()).sum();
        assert_eq!(merged.header.count(), count);
        self.replace(&keys, Some(merged));
    }

    fn drop_expired(&mut self) {
        let expired = self.index.expired(self.now_micros);
        self.replace(&expired, None);
    }

    fn replace(&mut self, removed: &[u64], added: Option<BuiltRun>) {
        let mut runs = Vec::new();
        if let Some(run) = added {
            self.next_key += 1;
            self.stored.insert(self.next_key, (run.bytes, run.filter.encode()));
            runs.push(LoadedRun::new(self.next_key, run.header, run.filter).unwrap());
        }
        self.index.replace(removed, runs, self.position, self.now_micros).unwrap();
        for key in removed {
            self.stored.remove(key).unwrap();
        }
    }

    fn reload(&mut self) {
        let runs = self.stored.iter().map(|(key, (run, filter))| {
            let header = RunHeader::read(run).unwrap();
            LoadedRun::new(*key, header, Filter::decode(filter).unwrap()).unwrap()
        });
        let index = IdIndex::new(self.position, runs.collect()).unwrap();
        let list = |index: &IdIndex| -> Vec<_> {
            index.runs().iter().map(|run| (run.key(), run.header().clone())).collect()
        };
        assert_eq!(list(&index), list(&self.index));
        assert_eq!((index.as_of(), index.bytes()), (self.index.as_of(), self.index.bytes()));
        self.index = index;
    }

    fn look_up(&self, identity: Identity, v7_day: Option<u32>) -> Option<Seen> {
        let lookup = Lookup { identity, v7_day };
        let one: Vec<_> = self.index.candidates(lookup, self.now_micros).collect();
        let many = self.index.candidates_of(&[lookup], self.now_micros);
        let keys = |runs: &mut dyn Iterator<Item = u64>| runs.collect::<Vec<_>>();
        assert_eq!(
            keys(&mut one.iter().map(|run| run.key())),
            keys(&mut many.iter().map(|candidate| candidate.run.key()))
        );
        one.into_iter().find_map(|run| {
            let page = run.page_of(&identity)?;
            run.resolve(&self.stored[&run.key()].0[page], &identity).unwrap()
        })
    }

    fn verify(&self) {
        for (identity, counted) in &self.counted {
            let found = self.look_up(*identity, counted.v7_day);
            let is_needed = counted.at_micros >= self.now_micros - HORIZON_MICROS;
            if is_needed || found.is_some() {
                assert_eq!(found, Some(counted.seen), "at {}", self.now_micros);
            }
        }
        for number in 0..50_u8 {
            let identity = Identity::of(b"another source", &[number]);
            assert_eq!(self.look_up(identity, None), None);
        }
        let stored: usize = self.index.runs().iter().map(|run| run.header().count()).sum();
        assert!(stored <= self.position.try_into().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_lost_and_nothing_invented(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World { now_micros: START, ..World::default() };
        for step in &steps {
            world.take(step);
            world.verify();
        }
    }

    /// An id of its own day is refused by the time its run is gone.
    #[test]
    fn an_id_with_its_own_day_is_found_for_as_long_as_it_is_accepted(
        ahead_hours in -(35 * 24_i64)..=24,
        later_hours in 0..(40 * 24_i64),
    ) {
        let hour = DAY_MICROS / 24;
        let hours = i16::try_from(ahead_hours).unwrap();
        let event = Event { number: 1, made_at_hours: Some(hours), body: 0 };
        let mut world = World { now_micros: START - 1_000, ..World::default() };
        world.project(std::slice::from_ref(&event));
        prop_assert_eq!(world.counted.len(), 1);
        world.now_micros += later_hours * hour;
        world.drop_expired();
        if let OwnDay::Day(day) = own_day(event.id().as_bytes(), world.now_micros) {
            let identity = Identity::of(SOURCE, event.id().as_bytes());
            prop_assert!(world.look_up(identity, Some(day)).is_some());
        }
    }

    #[test]
    fn bytes_that_are_no_run_give_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut with_format = bytes.clone();
        with_format.insert(0, 1);
        for bytes in [bytes, with_format] {
            prop_assert!(RunHeader::read(&bytes).is_err());
            prop_assert!(Filter::decode(&bytes).is_err());
            prop_assert!(merge_runs(&[&bytes]).is_err());
        }
    }
}

/// A run of one id at the first of the positions `(from, to]`, without an own day.
fn loaded(key: u64, from: u64, to: u64, arrived_at: i64) -> LoadedRun {
    let mut run = RunBuilder::new(from, to);
    let identity = Identity::of(SOURCE, &from.to_le_bytes());
    run.push(Entry { identity, position: from + 1, body: BodyHash([0; 4]) }, None, arrived_at);
    let run = run.finish().unwrap().unwrap();
    LoadedRun::new(key, run.header, run.filter).unwrap()
}

#[test]
fn a_change_that_would_lose_or_double_ids_changes_nothing() {
    let runs = || vec![loaded(1, 0, 10, 0), loaded(2, 10, 20, 0)];
    let index = || IdIndex::new(25, runs()).unwrap();
    let table = [
        ("a new chunk", vec![], vec![loaded(3, 25, 30, 0)], 30, 0, Ok(())),
        ("an empty chunk", vec![], vec![], 30, 0, Ok(())),
        ("a merge", vec![1, 2], vec![loaded(3, 0, 20, 0)], 25, 0, Ok(())),
        ("an expiry", vec![1, 2], vec![], 25, 36 * DAY_MICROS + 1, Ok(())),
        ("too early", vec![1], vec![], 25, 36 * DAY_MICROS, Err(IndexError::Needed { key: 1 })),
        (
            "a merge of another run",
            vec![1, 2],
            vec![loaded(3, 0, 10, 0)],
            25,
            0,
            Err(IndexError::Needed { key: 2 }),
        ),
        ("gone already", vec![7], vec![], 25, 0, Err(IndexError::Unknown { key: 7 })),
        (
            "the same key",
            vec![],
            vec![loaded(2, 25, 30, 0)],
            30,
            0,
            Err(IndexError::Known { key: 2 }),
        ),
        (
            "the same chunk again",
            vec![],
            vec![loaded(3, 10, 20, 0)],
            25,
            0,
            Err(IndexError::Overlap { key: 3 }),
        ),
        ("back in time", vec![], vec![], 24, 0, Err(IndexError::OutOfStep { as_of: 24 })),
        (
            "a run of the future",
            vec![],
            vec![loaded(3, 25, 30, 0)],
            29,
            0,
            Err(IndexError::OutOfStep { as_of: 29 }),
        ),
    ];
    for (what, removed, added, as_of, now, expected) in table {
        let mut index = index();
        let before = format!("{index:?}");
        let outcome = index.replace(&removed, added, as_of, now);
        assert_eq!(outcome, expected, "{what}");
        assert_eq!(outcome.is_err(), format!("{index:?}") == before, "{what}");
    }
}

#[test]
fn an_id_is_looked_up_only_where_it_can_have_been_seen() {
    let identity = Identity::of(SOURCE, b"one");
    let run = |key: u64, days: &[Option<u32>], arrived_on: i64| {
        let mut run = RunBuilder::new(key, key + 1);
        for (number, day) in (0_u8..).zip(days) {
            // The same identity everywhere, so that only days decide.
            let id = if number == 0 { identity } else { Identity::of(SOURCE, &[number]) };
            let entry = Entry { identity: id, position: key + 1, body: BodyHash([0; 4]) };
            run.push(entry, *day, arrived_on * DAY_MICROS);
        }
        let run = run.finish().unwrap().unwrap();
        assert!(expires_at_micros(&run.header) >= (arrived_on + 36) * DAY_MICROS);
        LoadedRun::new(key, run.header, run.filter).unwrap()
    };
    let runs = vec![
        run(1, &[None], 100),
        run(2, &[Some(100)], 100),
        run(3, &[None, Some(101), Some(103)], 103),
    ];
    let index = IdIndex::new(4, runs).unwrap();
    let table = [
        ("any id, on day 103", None, 103, vec![3, 1]),
        ("any id, 35 days after the first run", None, 135, vec![3, 1]),
        ("any id, a day later", None, 136, vec![3]),
        ("any id, after the horizon", None, 139, vec![]),
        ("of day 99", Some(99), 103, vec![]),
        ("of day 100", Some(100), 103, vec![2]),
        ("of day 102", Some(102), 103, vec![3]),
        ("of day 104", Some(104), 103, vec![]),
    ];
    for (what, v7_day, today, expected) in table {
        let lookup = Lookup { identity, v7_day };
        let found: Vec<u64> =
            index.candidates(lookup, today * DAY_MICROS).map(LoadedRun::key).collect();
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_filter_of_another_run_is_refused() {
    let [one, other] = [1, 2].map(|position| {
        let mut run = RunBuilder::new(0, 2);
        let identity = Identity::of(SOURCE, b"one");
        run.push(Entry { identity, position, body: BodyHash([0; 4]) }, None, 0);
        run.finish().unwrap().unwrap()
    });
    assert!(LoadedRun::new(1, one.header.clone(), other.filter).is_err());
    assert!(LoadedRun::new(1, one.header, one.filter).is_ok());
}
