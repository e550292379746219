//! Which runs to unite and which to drop, and the uniting.
//!
//! Eight runs of about one size become one about eight times as large, so an id is written again
//! only a few times and an environment keeps some tens of runs. Runs unite only with neighbours,
//! up to a number of ids and a span of arrivals, so that a run can be dropped whole soon after its
//! last id has left the horizon.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::Range,
};

use super::{
    BuiltRun, DAY_MICROS, Entry, HORIZON_MICROS, RUN_IDS_MAX, RunError, RunHeader, RunMeta,
    run_writer::RunWriter,
};

/// Runs of one size that are worth uniting.
pub const MERGE_RUNS_MIN: usize = 8;
/// Runs united at once, at most.
pub const MERGE_FAN_IN_MAX: usize = 64;
/// How far apart the first and last arrival of a united run may be.
pub const MERGE_SPAN_MICROS_MAX: i64 = 5 * DAY_MICROS;
/// How long a run is kept past the horizon.
const SLACK_MICROS: i64 = DAY_MICROS;

/// Which neighbours to unite next, as indices into runs in the order of their positions; `None`
/// where all is as it should be. To be asked again after each merge, and without expired runs.
///
/// The oldest runs are taken together as far as one run may reach. A group that the next run no
/// longer fits into is united once and for all; the last group, still growing, is kept to fewer
/// than eight runs of each size.
#[must_use]
pub fn merge_policy(runs: &[&RunHeader]) -> Option<Range<usize>> {
    let mut start = 0;
    loop {
        let end = group_end(runs, start);
        if end == runs.len() {
            let found = within_growing_group(&runs[start..])?;
            return Some(found.start + start..found.end + start);
        }
        if end - start > 1 {
            return Some(start..end.min(start + MERGE_FAN_IN_MAX));
        }
        start = end;
    }
}

/// The instant after which nobody needs the run any more: its last arrival, and the last own day
/// of its `UUIDv7`s, lie the horizon and a day back.
#[must_use]
pub fn expires_at_micros(run: &RunHeader) -> i64 {
    let meta = run.meta();
    let days_end = meta.v7_days.map_or(i64::MIN, |(_, last)| (i64::from(last) + 1) * DAY_MICROS);
    let needed_at = meta.arrived_at_max_micros.max(days_end);
    needed_at.saturating_add(HORIZON_MICROS).saturating_add(SLACK_MICROS)
}

/// Unites runs, given whole and in the order of their positions, into one: every id of theirs
/// once, at its earliest position. The same runs always give the same bytes.
///
/// # Errors
/// What reading a run meets, `TooMany`, `OutOfPlace` where runs overlap or come in another order,
/// `Empty` for no runs.
pub fn merge_runs(runs: &[&[u8]]) -> Result<BuiltRun, RunError> {
    let headers = runs.iter().map(|run| RunHeader::read(run)).collect::<Result<Vec<_>, _>>()?;
    let first = headers.first().ok_or(RunError::Empty)?;
    let mut meta = *first.meta();
    for header in &headers[1..] {
        let next = header.meta();
        if next.from < meta.to {
            return Err(RunError::OutOfPlace { from: next.from, to: next.to });
        }
        meta = meta.union(next);
    }
    let mut writer = RunWriter::new(meta, headers.iter().map(RunHeader::count).sum())?;
    let mut sources: Vec<_> =
        headers.iter().zip(runs).map(|(header, run)| header.entries(run)).collect();
    let mut heads: BinaryHeap<Reverse<(Entry, usize)>> = BinaryHeap::with_capacity(runs.len());
    for (index, source) in sources.iter_mut().enumerate() {
        let head = source.next().ok_or(RunError::Empty)??;
        heads.push(Reverse((head, index)));
    }
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((entry, index)) = *head;
        writer.push(&entry)?;
        match sources[index].next() {
            Some(next) => *head = Reverse((next?, index)),
            None => drop(PeekMut::pop(head)),
        }
    }
    writer.finish()
}

/// The end of the group that begins at `start`: as many runs as one may hold.
fn group_end(runs: &[&RunHeader], start: usize) -> usize {
    let mut count = 0_usize;
    let mut meta: Option<RunMeta> = None;
    for (index, run) in runs.iter().enumerate().skip(start) {
        let grown = meta.map_or(*run.meta(), |meta| meta.union(run.meta()));
        let span = grown.arrived_at_max_micros.saturating_sub(grown.arrived_at_min_micros);
        count += run.count();
        let fits = count <= RUN_IDS_MAX && span <= MERGE_SPAN_MICROS_MAX;
        if !fits && index > start {
            return index;
        }
        meta = Some(grown);
    }
    runs.len()
}

/// The newest stretch of eight or more runs of one size. A small run before larger ones counts as
/// large as they are, so that runs of changing sizes do not pile up unmerged between each other.
fn within_growing_group(runs: &[&RunHeader]) -> Option<Range<usize>> {
    let mut size_class = 0;
    let mut stretch = runs.len()..runs.len();
    for (index, run) in runs.iter().enumerate().rev() {
        let own_class = run.count().max(1).ilog(MERGE_RUNS_MIN);
        if own_class > size_class {
            if stretch.len() >= MERGE_RUNS_MIN {
                break;
            }
            size_class = own_class;
            stretch.end = index + 1;
        }
        stretch.start = index;
    }
    let is_worth_it = stretch.len() >= MERGE_RUNS_MIN;
    is_worth_it.then(|| stretch.start..stretch.end.min(stretch.start + MERGE_FAN_IN_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BodyHash, Identity, RunBuilder};

    /// A header as of a run of `count` ids at positions `(from, to]`, without its pages.
    fn header(count: usize, (from, to): (u64, u64), (first, last): (i64, i64)) -> RunHeader {
        let meta = RunMeta {
            from,
            to,
            v7_days: None,
            has_other: true,
            arrived_at_min_micros: first,
            arrived_at_max_micros: last,
        };
        RunHeader { meta, count, pages: Box::default(), checksum: 0 }
    }

    fn of_counts(counts: &[usize]) -> Vec<RunHeader> {
        (0..).zip(counts).map(|(at, count)| header(*count, (at, at + 1), (0, 0))).collect()
    }

    fn policy(runs: &[RunHeader]) -> Option<Range<usize>> {
        merge_policy(&runs.iter().collect::<Vec<_>>())
    }

    /// What the runs are like, their counts, what to unite.
    type Row = (&'static str, &'static [usize], Option<Range<usize>>);

    #[test]
    fn eight_neighbours_of_one_size_are_united() {
        const MAX: usize = RUN_IDS_MAX;
        let table: [Row; 13] = [
            ("none", &[], None),
            ("one", &[5], None),
            ("seven", &[1; 7], None),
            ("eight", &[1; 8], Some(0..8)),
            ("eight newer ones", &[70, 1, 1, 1, 1, 1, 1, 1, 1], Some(1..9)),
            ("seven of two sizes", &[9, 9, 9, 9, 9, 9, 9, 1, 1, 1, 1, 1, 1, 1], None),
            ("the smaller first", &[8, 8, 8, 8, 8, 8, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1], Some(8..16)),
            ("small ones between", &[70, 1, 70, 1, 70, 1, 70, 1, 70], Some(0..9)),
            ("small ones before", &[1, 1, 1, 1, 1, 1, 1, 70], Some(0..8)),
            ("many at once", &[1; 100], Some(0..64)),
            ("full ones", &[MAX; 20], None),
            ("as many as fit, once", &[MAX / 2, MAX / 2, 1], Some(0..2)),
            ("fewer than fit, growing", &[MAX / 2, MAX / 2 - 1, 1], None),
        ];
        for (what, counts, expected) in table {
            assert_eq!(policy(&of_counts(counts)), expected, "{what}");
        }
    }

    #[test]
    fn a_group_ends_where_its_arrivals_would_span_more_than_five_days() {
        let on = |days: &[i64]| -> Vec<RunHeader> {
            let run = |(at, day): (u64, &i64)| {
                header(1, (at, at + 1), (day * DAY_MICROS, day * DAY_MICROS))
            };
            (0..).zip(days).map(run).collect()
        };
        assert_eq!(policy(&on(&[0, 5])), None, "still growing");
        assert_eq!(policy(&on(&[0, 5, 6])), Some(0..2));
        assert_eq!(policy(&on(&[0, 6, 12])), None, "each alone");
        assert_eq!(policy(&on(&[0, 6, 7, 12])), Some(1..3));
    }

    /// Chunks of `count(i)` ids over 36 days, merged as the policy says: the runs at the end, the
    /// most there ever were, and how many ids were written.
    fn simulated(chunk_count: u64, count: impl Fn(u64) -> usize) -> (Vec<RunHeader>, usize, usize) {
        let step = 36 * DAY_MICROS / i64::try_from(chunk_count).unwrap();
        let (mut runs, mut most, mut written) = (Vec::new(), 0, 0);
        for chunk in 0..chunk_count {
            let at = i64::try_from(chunk).unwrap() * step;
            runs.push(header(count(chunk), (chunk, chunk + 1), (at, at)));
            while let Some(range) = policy(&runs) {
                let united = &runs[range.clone()];
                let count = united.iter().map(RunHeader::count).sum();
                let metas = united.iter().map(|run| *run.meta());
                let meta = metas.reduce(|a, b| a.union(&b)).unwrap();
                written += count;
                assert!(united.len() > 1 && count <= RUN_IDS_MAX);
                let whole = RunHeader { meta, count, pages: Box::default(), checksum: 0 };
                runs.splice(range, [whole]);
            }
            most = most.max(runs.len());
        }
        (runs, most, written)
    }

    /// What comes, in how many chunks, each chunk's ids; how many runs there may be, and how many
    /// times as many ids may be written as came.
    type Load<'a> = (&'a str, u64, &'a dyn Fn(u64) -> usize, usize, usize);

    #[test]
    fn runs_stay_few_and_an_id_is_rewritten_a_few_times() {
        // A fixed sequence of sizes from 1 to 1000, most of them small.
        let mixed = |chunk: u64| {
            let hash = Identity::of(b"", &chunk.to_le_bytes()).0;
            usize::from(hash[0]) * usize::from(hash[1]) / 66 + 1
        };
        let table: [Load; 5] = [
            ("20 million ids in full chunks", 20_000, &|_| 1_000, 60, 6),
            ("mixed chunks", 20_000, &mixed, 60, 8),
            ("an event a chunk", 10_000, &|_| 1, 60, 6),
            (
                "a large chunk and a small one",
                4_000,
                &|at| [1_000, 1][usize::from(at % 2 == 0)],
                60,
                8,
            ),
            ("hardly any", 50, &|_| 3, 20, 3),
        ];
        for (what, chunk_count, count, runs_max, writes_max) in table {
            let total: usize = (0..chunk_count).map(count).sum();
            let (runs, most, written) = simulated(chunk_count, count);
            assert_eq!(runs.iter().map(RunHeader::count).sum::<usize>(), total, "{what}");
            assert!(runs.iter().zip(&runs[1..]).all(|(a, b)| a.meta.to == b.meta.from), "{what}");
            assert!(most <= runs_max, "{what}: {most} runs");
            assert!(written <= writes_max * total, "{what}: {written} written of {total}");
        }
    }

    #[test]
    fn a_run_is_kept_until_none_of_its_ids_can_come_again() {
        const DAY: i64 = DAY_MICROS;
        let expires = |v7_days| {
            let mut run = header(1, (0, 1), (90 * DAY, 100 * DAY));
            run.meta.v7_days = v7_days;
            expires_at_micros(&run)
        };
        assert_eq!(expires(None), 136 * DAY, "35 days and one");
        assert_eq!(expires(Some((70, 98))), 136 * DAY, "made before they arrived");
        assert_eq!(expires(Some((100, 101))), 138 * DAY, "made a day ahead, until its end");
    }

    #[test]
    fn a_doubled_id_stays_at_its_earliest_position() {
        let run = |from: u64, body: u8, numbers: Range<u8>| {
            let mut run = RunBuilder::new(from, from + 10);
            for number in numbers {
                let identity = Identity([number; 16]);
                let body = BodyHash([body; 4]);
                run.push(Entry { identity, position: from + 1, body }, None, 0);
            }
            run.finish().unwrap().unwrap().bytes
        };
        let (first, second) = (run(0, 1, 0..6), run(20, 2, 4..9));
        let merged = merge_runs(&[&first, &second]).unwrap();
        assert_eq!((merged.header.count(), merged.doubled_count), (9, 2));
        assert_eq!((merged.header.meta.from, merged.header.meta.to), (0, 30));
        let entries: Vec<_> =
            merged.header.entries(&merged.bytes).collect::<Result<_, _>>().unwrap();
        let found: Vec<_> =
            entries.iter().map(|e| (e.identity.0[0], e.position, e.body.0[0])).collect();
        let expected = [(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1), (5, 1, 1)];
        assert_eq!(found, [&expected[..], &[(6, 21, 2), (7, 21, 2), (8, 21, 2)]].concat());

        let wrong_way = merge_runs(&[&second, &first]).map(|run| run.header);
        assert_eq!(wrong_way, Err(RunError::OutOfPlace { from: 0, to: 10 }));
        assert_eq!(merge_runs(&[]).map(|run| run.header), Err(RunError::Empty));
        let cut = &second[..second.len() - 1];
        let cut_short = merge_runs(&[&first, cut]).map(|run| run.header);
        assert!(matches!(cut_short, Err(RunError::Truncated { .. })), "{cut_short:?}");
    }
}
