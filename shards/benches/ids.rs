//! How long it takes to find out that 1,000 ids are new, among 20 million, and what a merge costs.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

use std::{hint::black_box, time::Instant};

use shards::ids::{
    BodyHash, BuiltRun, DAY_MICROS, Entry, IdIndex, Identity, LoadedRun, Lookup, RunBuilder,
    merge_runs,
};

const RUNS: u64 = 30;
const IDS_OF_RUN: u64 = 667_000;
const LOOKUPS: u64 = 1_000;
const ROUNDS: u64 = 200;

fn main() {
    let mut runs = Vec::new();
    let (mut id_count, mut byte_count) = (0, 0);
    let began = Instant::now();
    for number in 0..RUNS {
        let run = run_of(number, IDS_OF_RUN);
        id_count += run.header.count();
        byte_count += run.bytes.len();
        runs.push(LoadedRun::new(number, run.header, run.filter).unwrap());
    }
    let build_ms = began.elapsed().as_millis();
    let index = IdIndex::new(RUNS * 10_000, runs).unwrap();
    println!("{id_count} ids in {RUNS} runs, sorted, encoded and filtered in {build_ms} ms");
    println!("stored: {byte_count} bytes; in memory: {} bytes", index.bytes());
    let now = i64::try_from(RUNS).unwrap() * DAY_MICROS;
    for (what, v7_day) in [("random ids", None), ("UUIDv7s", Some(17))] {
        look_up(&index, what, v7_day, now);
    }
    false_positives(&index, now);
    merge();
}

/// Each round asks for other ids, so that no round finds its lines in the cache for that reason.
fn look_up(index: &IdIndex, what: &str, v7_day: Option<u32>, now: i64) {
    let rounds: Vec<Vec<Lookup>> = (0..ROUNDS).map(|round| new_ids(round, v7_day)).collect();
    let one_by_one = |lookups: &[Lookup]| -> usize {
        lookups.iter().map(|lookup| index.candidates(*lookup, now).count()).sum()
    };
    let together = |lookups: &[Lookup]| index.candidates_of(lookups, now).len();
    println!("{LOOKUPS} new {what}, {ROUNDS} times");
    timed("one by one", &rounds, one_by_one);
    timed("together", &rounds, together);
}

fn timed(what: &str, rounds: &[Vec<Lookup>], count: impl Fn(&[Lookup]) -> usize) {
    let mut times = Vec::new();
    let mut page_count = 0;
    for lookups in rounds {
        let began = Instant::now();
        page_count += black_box(count(lookups));
        times.push(began.elapsed().as_micros());
    }
    times.sort_unstable();
    let (best, median) = (times[0], times[times.len() / 2]);
    println!("  {what:<11} best {best} µs, median {median} µs, {page_count} pages to read in all");
}

fn false_positives(index: &IdIndex, now: i64) {
    let lookups: Vec<Lookup> = (0..10).flat_map(|round| new_ids(1_000 + round, None)).collect();
    let passed = index.candidates_of(&lookups, now).len();
    println!("false positives: {passed} of {} filter questions", LOOKUPS * 10 * RUNS);
}

fn merge() {
    let runs: Vec<BuiltRun> = (0..8).map(|number| run_of(number, 125_000)).collect();
    let bytes: Vec<&[u8]> = runs.iter().map(|run| run.bytes.as_slice()).collect();
    let began = Instant::now();
    let merged = merge_runs(&bytes).unwrap();
    let merge_ms = began.elapsed().as_millis();
    let count = merged.header.count();
    println!(
        "8 runs of 125,000 merged in {merge_ms} ms: {count} ids, {} bytes",
        merged.bytes.len()
    );
}

fn run_of(number: u64, count: u64) -> BuiltRun {
    let from = number * 10_000;
    let mut run = RunBuilder::new(from, from + 10_000);
    let day = u32::try_from(number).unwrap();
    for id in 0..count {
        let position = from + 1 + id * 10_000 / count;
        let entry = Entry { identity: identity(number, id), position, body: BodyHash([0; 4]) };
        let v7_day = (id % 2 == 0).then_some(day);
        run.push(entry, v7_day, i64::from(day) * DAY_MICROS);
    }
    run.finish().unwrap().unwrap()
}

fn new_ids(round: u64, v7_day: Option<u32>) -> Vec<Lookup> {
    (0..LOOKUPS).map(|id| Lookup { identity: identity(1 << 32 | round, id), v7_day }).collect()
}

fn identity(number: u64, id: u64) -> Identity {
    Identity::of(&number.to_le_bytes(), &id.to_le_bytes())
}
