//! Random lives of a shard, projected in random chunks: whatever the cuts, the tables say the same,
//! the sums are the events', and the projector's state is that of a replay.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

mod facts_life;

use std::collections::BTreeMap;

use domain::{OrganizationId, organization::Environment};
use engine::command::EndedHow;
use engine::policy::Window;
use engine::{Entry, State};
use facts_life::{Act, HOUR, Life, START, act, record};
use proptest::prelude::*;
use shards::facts::{
    Base, Chunk, EventBlock, EventPlace, EventRow, SumKind, Sums, base, event_id, event_place,
    find_ended, load_run, merge_sums, project, reservation_identity,
};
use store::facts::{FactsBlock, WindowChange};
use store::journal::Shard;

fn shard() -> Shard {
    let organization = OrganizationId::from_uuid(uuid::Uuid::from_u128(1));
    Shard { organization, environment: Environment::Live }
}

/// Projects entries, handed in so many at a time.
fn chunks(entries: &[(u64, Entry)], at_once: usize) -> (Vec<Chunk>, State) {
    let mut shadow = State::default();
    let mut chunks = vec![];
    let mut rest = entries;
    while !rest.is_empty() {
        let chunk = project(shard(), &mut shadow, &rest[..at_once.clamp(1, rest.len())]);
        assert!(chunk.taken > 0 && chunk.to_seq == rest[chunk.taken - 1].0);
        rest = &rest[chunk.taken..];
        chunks.push(chunk);
    }
    (chunks, shadow)
}

fn events(chunks: &[Chunk]) -> Vec<EventRow> {
    let blocks = chunks.iter().filter_map(|chunk| chunk.facts.events.as_ref());
    blocks.flat_map(|block| EventBlock::decode(&block.bytes).unwrap().events).collect()
}

fn sums(chunks: &[Chunk]) -> Vec<FactsBlock> {
    chunks.iter().filter_map(|chunk| chunk.facts.sums.clone()).collect()
}

/// Start, end, used, late of each window of each policy.
type Windows = BTreeMap<(u32, i64), (i64, i128, i128)>;

fn windows(chunks: &[Chunk]) -> Windows {
    let mut windows = Windows::new();
    for change in chunks.iter().flat_map(|chunk| &chunk.facts.windows) {
        let WindowChange { policy, start_at, end_at, used, late } = change;
        let window = windows.entry((*policy, *start_at)).or_default();
        *window = (*end_at, window.1 + used, window.2 + late);
    }
    windows
}

fn merged(blocks: &[FactsBlock]) -> Option<FactsBlock> {
    (!blocks.is_empty()).then(|| merge_sums(blocks).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_cut_the_tables_say_the_same(
        acts in prop::collection::vec(act(), 1..120),
        at_once in 1..20_usize,
    ) {
        let entries = Life::of(&acts).entries;
        let (whole, shadow) = chunks(&entries, usize::MAX);
        let (cut, other) = chunks(&entries, at_once);
        prop_assert_eq!(shadow.encode(), other.encode());
        prop_assert_eq!(events(&whole), events(&cut));
        prop_assert_eq!(windows(&whole), windows(&cut));
        let sums_of = |chunks: &[Chunk]| merged(&sums(chunks)).map(|block| block.bytes);
        prop_assert_eq!(sums_of(&whole), sums_of(&cut));
        let crossings = |chunks: &[Chunk]| -> Vec<_> {
            chunks.iter().flat_map(|chunk| chunk.facts.crossings.clone()).collect()
        };
        prop_assert_eq!(crossings(&whole), crossings(&cut));
        let audit = |chunks: &[Chunk]| -> Vec<_> {
            chunks.iter().flat_map(|chunk| chunk.facts.audit.clone()).collect()
        };
        prop_assert_eq!(audit(&whole), audit(&cut));
    }

    #[test]
    fn a_state_that_projected_is_the_state_that_replayed(
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let life = Life::of(&acts);
        let mut replayed = State::default();
        for (seq, entry) in &life.entries {
            replayed.replay(*seq, entry);
        }
        let (again, shadow) = chunks(&life.entries, 7);
        prop_assert_eq!(shadow.encode(), replayed.encode());
        prop_assert_eq!(shadow.encode(), life.state.encode());
        // A repeat, after a crash, writes the same bytes.
        let (first, _) = chunks(&life.entries, 7);
        for (one, other) in first.iter().zip(&again) {
            prop_assert_eq!(&one.facts, &other.facts);
        }
    }

    #[test]
    fn the_sum_of_sums_is_the_sum_of_events(acts in prop::collection::vec(act(), 1..120)) {
        let life = Life::of(&acts);
        let (chunks, _) = chunks(&life.entries, 5);
        let rows = events(&chunks);
        let (mut cost, mut requests, mut tokens, mut count) = (0, 0, 0, 0);
        for block in sums(&chunks) {
            let sums = Sums::decode(&block.bytes).unwrap();
            prop_assert_eq!(sums.len(), usize::try_from(block.row_count).unwrap());
            for (_, sum) in sums.iter().filter(|(key, _)| key.kind == SumKind::Reported) {
                cost += sum.cost;
                requests += sum.requests;
                tokens += sum.tokens;
                count += sum.event_count;
            }
        }
        prop_assert_eq!(cost, rows.iter().map(|row| row.measures.cost).sum::<i128>());
        prop_assert_eq!(requests, rows.iter().map(|row| i128::from(row.measures.requests)).sum());
        prop_assert_eq!(tokens, rows.iter().map(|row| i128::from(row.measures.tokens)).sum());
        let originals = rows.iter().filter(|row| row.corrects.is_none()).count();
        let reversals = rows.len() - originals;
        let expected = i64::try_from(originals).unwrap() - i64::try_from(reversals).unwrap();
        prop_assert_eq!(count, expected);
    }

    #[test]
    fn merging_sums_is_associative(
        acts in prop::collection::vec(act(), 3..120),
        split in 1..10_usize,
    ) {
        let (chunks, _) = chunks(&Life::of(&acts).entries, 2);
        let blocks = sums(&chunks);
        let Some(whole) = merged(&blocks) else { return Ok(()) };
        let (left, right) = blocks.split_at(split.min(blocks.len()));
        let halves: Vec<_> = [merged(right), merged(left)].into_iter().flatten().collect();
        prop_assert_eq!(merged(&halves), Some(whole));
    }

    #[test]
    fn what_is_used_is_what_the_records_say(acts in prop::collection::vec(act(), 1..120)) {
        let life = Life::of(&acts);
        let (chunks, shadow) = chunks(&life.entries, 4);
        let records = windows(&chunks);
        for (number, policy) in shadow.policies() {
            if policy.record.window.sliding().is_some() {
                prop_assert!(records.keys().all(|(of, _)| *of != number));
                continue;
            }
            for open in &policy.windows {
                let (end, used, late) = records[&(number, open.start)];
                prop_assert_eq!((end, used - late), (open.end, open.used));
            }
        }
    }

    #[test]
    fn every_event_and_every_end_is_found_by_its_identity(
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let life = Life::of(&acts);
        let (chunks, _) = chunks(&life.entries, 6);
        for chunk in &chunks {
            let Some(record) = &chunk.facts.ids else { continue };
            let run = load_run(record).unwrap();
            prop_assert_eq!((run.key(), record.last_seq), (chunk.to_seq, chunk.to_seq));
            let block = chunk.facts.events.as_ref().map(|block| block.bytes.as_slice());
            let rows = block.map_or(vec![], |bytes| EventBlock::decode(bytes).unwrap().events);
            let seen = |identity| {
                let page = &record.body[run.page_of(&identity).unwrap()];
                run.resolve(page, &identity).unwrap().map(|seen| seen.position)
            };
            for row in &rows {
                prop_assert_eq!(seen(shards::ids::Identity(row.identity)), Some(row.seq));
            }
            for (id, seq, how) in life.ends.iter().filter(|(id, ..)| {
                run.page_of(&reservation_identity(*id))
                    .is_some_and(|_| seen(reservation_identity(*id)).is_some())
            }) {
                prop_assert_eq!(seen(reservation_identity(*id)), Some(*seq));
                let found = find_ended(block.unwrap(), *id).unwrap().unwrap();
                // A late commit in the same block is the last word.
                let is_late_too = rows.iter().any(|row| row.settled == Some(*id));
                let how = if is_late_too { EndedHow::Committed } else { *how };
                prop_assert_eq!(found.how, how);
            }
        }
        let found: usize = chunks
            .iter()
            .filter_map(|chunk| chunk.facts.ids.as_ref())
            .map(|record| load_run(record).unwrap().header().count())
            .sum();
        prop_assert_eq!(found, life.identity_count());
    }
}

#[test]
fn a_chunk_ends_with_the_entry_that_makes_a_policy() {
    let acts = [
        Act::Track { path: 0, cost: 5, at: START, tag: false },
        Act::MakePolicy { path: 0, window: Window::Total, model: false },
        Act::Track { path: 0, cost: 7, at: START, tag: false },
    ];
    let (chunks, _) = chunks(&Life::of(&acts).entries, usize::MAX);
    let ends: Vec<_> = chunks.iter().map(|chunk| chunk.to_seq).collect();
    assert_eq!(ends, [2, 3]);
}

#[test]
fn a_chunk_has_a_thousand_effects_at_most() {
    let track = |n: i64| Act::Track { path: 0, cost: 1, at: START + n, tag: false };
    let acts: Vec<_> = (0..2_500).map(track).collect();
    let (chunks, _) = chunks(&Life::of(&acts).entries, usize::MAX);
    let counts: Vec<_> =
        chunks.iter().map(|chunk| events(std::slice::from_ref(chunk)).len()).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
}

/// What a policy made at `made_at` is told of one event of 100 at `at`.
fn base_of(window: Window, at: i64, made_at: i64) -> Vec<(i64, i128)> {
    let mut life = Life::default();
    life.now = at.max(START - 400 * 24 * HOUR);
    life.act(&Act::Track { path: 0, cost: 100, at, tag: false });
    life.now = made_at;
    life.act(&Act::MakePolicy { path: 0, window, model: false });
    let (chunks, shadow) = chunks(&life.entries, usize::MAX);
    let (policy, _) = shadow.policies().next().unwrap();
    let asked = Base::of(policy, &shadow).map(|base| base.query(10));
    let blocks: Vec<_> = sums(&chunks)
        .into_iter()
        .filter(|block| {
            asked.is_some_and(|query| {
                block.last_seq < query.before_seq
                    && block.at_max >= query.start
                    && block.at_min < query.end
            })
        })
        .collect();
    base(&blocks, policy, &shadow).unwrap()
}

#[test]
fn a_policy_made_in_mid_window_counts_what_was_before_and_never_too_little() {
    const MINUTE: i64 = HOUR / 60;
    const SECOND: i64 = MINUTE / 60;
    let day = Window::Calendar(2);
    let noon = START + 12 * HOUR;
    // Event, policy made at, does it count? START is a midnight in UTC.
    let table = [
        ("this morning", day, START + HOUR, noon, true),
        ("the first instant of the day", day, START, noon, true),
        ("the last instant of yesterday", day, START - 1, noon, false),
        ("the hour before", Window::Calendar(1), noon + 59 * MINUTE, noon + HOUR, false),
        ("this hour", Window::Calendar(1), noon + MINUTE, noon + 2 * MINUTE, true),
        ("long ago, in total", Window::Total, START - 300 * 24 * HOUR, noon, true),
        // A cycle that begins at ten past: its first quarter hour counts whole.
        (
            "before the anchor, in its quarter",
            Window::Anchored(0, 1, START + 10 * MINUTE),
            START + MINUTE,
            noon,
            true,
        ),
        (
            "before the anchor's quarter",
            Window::Anchored(0, 1, START + 10 * MINUTE),
            START - MINUTE,
            noon,
            false,
        ),
        ("an hour's window", Window::Sliding(HOUR), noon - 30 * MINUTE, noon, true),
        ("older than an hour's window", Window::Sliding(HOUR), noon - 2 * HOUR, noon, false),
        ("a session", Window::Session(5 * HOUR), noon - MINUTE, noon, false),
        ("a minute's window", Window::Calendar(0), noon + SECOND, noon + 2 * SECOND, true),
    ];
    for (what, window, at, made_at, counts) in table {
        let used: i128 = base_of(window, at, made_at).iter().map(|(_, used)| used).sum();
        assert_eq!(used, if counts { 100 } else { 0 }, "{what}");
    }
}

#[test]
fn a_sliding_base_lies_in_the_bucket_of_the_last_event_of_its_quarter() {
    let micros = 360 * HOUR;
    let bucket = |at: i64| at.div_euclid(HOUR);
    let at = START + HOUR + 60_000_000;
    assert_eq!(base_of(Window::Sliding(micros), at, START + 2 * HOUR), [(bucket(at), 100)]);
}

#[test]
fn spend_after_the_policy_in_its_own_entry_counts_once() {
    let mut life = Life::default();
    life.act(&Act::Track { path: 0, cost: 100, at: START, tag: false });
    life.act_together(&[
        Act::MakePolicy { path: 0, window: Window::Total, model: false },
        Act::Track { path: 0, cost: 30, at: START, tag: false },
    ]);
    let (chunks, shadow) = chunks(&life.entries, usize::MAX);
    assert_eq!(base(&sums(&chunks), 0, &shadow).unwrap(), [(0, 100)]);
}

#[test]
fn a_base_is_of_the_path_and_below_and_of_its_scope() {
    let mut life = Life::default();
    for path in 0..4 {
        life.act(&Act::Track { path, cost: 10_i128.pow(path.into()), at: START, tag: false });
    }
    life.act(&Act::MakePolicy { path: 1, window: Window::Total, model: false });
    life.act(&Act::MakePolicy { path: 0, window: Window::Total, model: true });
    let (chunks, shadow) = chunks(&life.entries, usize::MAX);
    // Paths: `acme`, `acme/app`, `acme/app/chat`, `acme/app2`; the last is another model's.
    assert_eq!(base(&sums(&chunks), 0, &shadow).unwrap(), [(0, 110)]);
    assert_eq!(base(&sums(&chunks), 1, &shadow).unwrap(), [(0, 111)]);
}

#[test]
fn a_commit_days_later_finds_the_windows_that_admitted_it() {
    let mut life = Life::default();
    life.act(&Act::MakePolicy { path: 0, window: Window::Total, model: false });
    life.act(&Act::Reserve { path: 0, cost: 50 });
    life.now += 24 * HOUR;
    life.act(&Act::Tick);
    let (chunks, _) = chunks(&life.entries, usize::MAX);
    let block = chunks.last().unwrap().facts.events.as_ref().unwrap();
    let ended = find_ended(&block.bytes, 1).unwrap().unwrap();
    assert_eq!((ended.how, ended.windows), (EndedHow::Expired, vec![(0, 0)]));
    assert_eq!(find_ended(&block.bytes, 2).unwrap(), None);
}

#[test]
fn who_changed_a_policy_is_in_the_audit_log() {
    let mut life = Life::default();
    life.act(&Act::MakePolicy { path: 1, window: Window::Total, model: false });
    life.act(&Act::RemovePolicy { policy: 1 });
    let (chunks, _) = chunks(&life.entries, usize::MAX);
    let audit: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.facts.audit).collect();
    let said: Vec<_> = audit.iter().map(|one| (one.actor.as_str(), one.action.as_str())).collect();
    assert_eq!(said, [("key_1", "policy.created"), ("key_1", "policy.deleted")]);
    let target = domain::PolicyId::from_uuid(uuid::Uuid::from_u128(1)).to_string();
    assert!(audit.iter().all(|one| one.target == target && one.ip.as_deref() == Some("::1")));
}

#[test]
fn damaged_blocks_are_errors() {
    let acts = [Act::Track { path: 0, cost: 5, at: START, tag: true }];
    let (chunks, _) = chunks(&Life::of(&acts).entries, usize::MAX);
    let facts = &chunks[0].facts;
    let (events, sums) = (facts.events.as_ref().unwrap(), facts.sums.as_ref().unwrap());
    for place in 0..events.bytes.len() {
        let mut bytes = events.bytes.clone();
        bytes[place] ^= 0x41;
        assert!(EventBlock::decode(&bytes).is_err(), "byte {place}");
        assert!(EventBlock::decode(&events.bytes[..place]).is_err(), "cut at {place}");
    }
    for place in 0..sums.bytes.len() {
        assert!(Sums::decode(&sums.bytes[..place]).is_err(), "cut at {place}");
    }
}

/// Events with usage, a key and an id of their own, without tags: 24 bytes are the id's own run, 16
/// the id itself, and the rest is what differs from event to event.
#[test]
fn an_event_takes_at_most_60_bytes_in_the_tables() {
    let entries = Life::busy(4_000);
    let (chunks, _) = chunks(&entries, usize::MAX);
    let (mut events, mut sums, mut ids) = (0, 0, 0);
    for chunk in &chunks {
        events += chunk.facts.events.as_ref().unwrap().bytes.len();
        sums += chunk.facts.sums.as_ref().unwrap().bytes.len();
        let run = chunk.facts.ids.as_ref().unwrap();
        ids += run.head.len() + run.body.len();
    }
    let each = |bytes: usize| bytes / 4_000;
    assert!(each(events + sums + ids) <= 60, "{}", each(events + sums + ids));
}

#[test]
fn an_events_id_is_its_place() {
    let acts = [Act::Track { path: 0, cost: 5, at: START, tag: false }];
    let (chunks, _) = chunks(&Life::of(&acts).entries, usize::MAX);
    let row = &events(&chunks)[0];
    let id = event_id(row.arrived_at, row.seq, row.index);
    let place = EventPlace { arrived_at_ms: row.arrived_at / 1000, seq: 1, index: 0 };
    assert_eq!(event_place(id), Some(place));
    let policy = record(1, "acme", Window::Total, false);
    assert_eq!(policy.path, "acme");
}
