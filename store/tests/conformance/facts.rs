//! Cases of facts: each chunk of a journal is in them once, wholly or not at all.

use std::sync::Arc;

use store::{
    Store,
    facts::{
        BlockQuery, Checkpoint, CrossingRecord, FactsBlock, FactsChunk, IdRunRecord, Projected,
        WindowChange, WindowRecord,
    },
};

use crate::{
    Failure,
    sample::{audit, audit_count, organization, shard, test_shard},
};

cases! {
    a_chunk_moves_the_checkpoint,
    a_repeated_chunk_changes_nothing,
    of_two_projectors_one_is_elsewhere,
    a_chunk_that_fails_leaves_nothing,
    a_checkpoint_never_moves_back,
    an_incarnation_is_left_for_a_later_one,
    blocks_are_found_by_time,
    blocks_come_in_pages_newest_first,
    a_block_is_found_by_its_entry,
    large_blocks_read_back,
    sums_are_merged_only_where_exactly_those_are_there,
    old_events_are_removed,
    runs_of_ids_are_read_in_pieces,
    runs_of_ids_are_merged_only_where_all_are_there,
    a_merged_run_is_not_read_by_its_parts_name,
    expired_runs_of_ids_go,
    windows_add_up,
    windows_add_up_to_the_largest_numbers_and_no_further,
    windows_come_in_pages_newest_first,
    crossings_come_in_pages,
    a_chunks_audit_is_chained,
    shards_do_not_see_each_others_facts,
}

const MINE: u128 = 1;
const ALWAYS: BlockQuery =
    BlockQuery { start: i64::MIN, end: i64::MAX, before_seq: u64::MAX, limit: 100 };

fn at(seq: u64) -> Checkpoint {
    Checkpoint { incarnation: 1, seq }
}

/// Events of these entries, at their seconds.
fn block(first_seq: u64, last_seq: u64) -> FactsBlock {
    let micros = |seq: u64| i64::try_from(seq).expect("a small number") * 1_000_000;
    FactsBlock {
        first_seq,
        last_seq,
        row_count: u32::MAX,
        at_min: micros(first_seq),
        at_max: micros(last_seq),
        arrived_min: micros(first_seq) + 1,
        arrived_max: micros(last_seq) + 2,
        bytes: format!("{first_seq} to {last_seq}").into(),
    }
}

fn run(first_seq: u64, last_seq: u64) -> IdRunRecord {
    IdRunRecord {
        last_seq,
        first_seq,
        arrived_max: i64::MAX,
        head: vec![1, 0, 255],
        body: format!("ids of {first_seq} to {last_seq}").into(),
    }
}

fn without_body(run: IdRunRecord) -> IdRunRecord {
    IdRunRecord { body: Vec::new(), ..run }
}

fn window(policy: u32, start_at: i64, used: i128, late: i128) -> WindowChange {
    WindowChange { policy, start_at, end_at: start_at.saturating_add(10), used, late }
}

fn crossing(seq: u64, index: u32) -> CrossingRecord {
    CrossingRecord { seq, index, at: -1, bytes: vec![0, 255] }
}

/// A chunk with something of everything.
fn full(first_seq: u64, last_seq: u64) -> Result<FactsChunk, Failure> {
    Ok(FactsChunk {
        events: Some(block(first_seq, last_seq)),
        sums: Some(block(first_seq, last_seq)),
        ids: Some(run(first_seq, last_seq)),
        windows: vec![window(7, 0, 5, 1)],
        crossings: vec![crossing(last_seq, 0)],
        audit: vec![audit(organization(MINE), 1)?],
    })
}

async fn project(
    store: &dyn Store,
    from: u64,
    to: u64,
    chunk: &FactsChunk,
) -> Result<Projected, Failure> {
    Ok(store.project(shard(MINE), at(from), at(to), chunk).await?)
}

/// Projects full chunks that end at these entries.
async fn fill(store: &dyn Store, ends: &[u64]) -> Result<(), Failure> {
    let mut from = store.checkpoint(shard(MINE)).await?.seq;
    for to in ends {
        let done = project(store, from, *to, &full(from + 1, *to)?).await?;
        assert_eq!(done, Projected::Done);
        from = *to;
    }
    Ok(())
}

/// Everything that there is, to compare.
async fn everything(store: &dyn Store) -> Result<String, Failure> {
    let mine = shard(MINE);
    Ok(format!(
        "{:?} {:?} {:?} {:?} {:?} {}",
        store.event_blocks(mine, ALWAYS).await?,
        store.sum_blocks(mine, ALWAYS).await?,
        store.id_runs(mine).await?,
        store.windows(mine, 7, i64::MAX, 100).await?,
        store.crossings(mine, (0, 0), 100).await?,
        audit_count(store, organization(MINE)).await?,
    ))
}

async fn events(store: &dyn Store, query: BlockQuery) -> Result<Vec<u64>, Failure> {
    let blocks = store.event_blocks(shard(MINE), query).await?;
    Ok(blocks.iter().map(|block| block.last_seq).collect())
}

async fn a_chunk_moves_the_checkpoint(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.checkpoint(shard(MINE)).await?, Checkpoint::BEGINNING);
    fill(&*store, &[10]).await?;
    assert_eq!(store.checkpoint(shard(MINE)).await?, at(10));
    assert_eq!(store.event_blocks(shard(MINE), ALWAYS).await?, [block(1, 10)]);
    assert_eq!(store.sum_blocks(shard(MINE), ALWAYS).await?, [block(1, 10)]);
    let runs = vec![without_body(run(1, 10))];
    assert_eq!(store.id_runs(shard(MINE)).await?, (at(10), runs));
    assert_eq!(store.crossings(shard(MINE), (0, 0), 9).await?, [crossing(10, 0)]);
    assert_eq!(project(&*store, 10, 11, &FactsChunk::default()).await?, Projected::Done);
    assert_eq!(store.checkpoint(shard(MINE)).await?, at(11));
    Ok(())
}

async fn a_repeated_chunk_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10, 20]).await?;
    let before = everything(&*store).await?;
    for (from, to) in [(0, 10), (10, 20), (15, 30), (30, 40)] {
        let again = project(&*store, from, to, &full(from + 1, to)?).await?;
        assert_eq!(again, Projected::Elsewhere(at(20)));
    }
    assert_eq!(everything(&*store).await?, before);
    Ok(())
}

async fn of_two_projectors_one_is_elsewhere(store: Arc<dyn Store>) -> Result<(), Failure> {
    for (from, to) in [(0, 10), (10, 20)] {
        let chunk = full(from + 1, to)?;
        let tries = (0..8).map(|_| {
            let (store, chunk) = (Arc::clone(&store), chunk.clone());
            tokio::spawn(async move { project(&*store, from, to, &chunk).await })
        });
        let mut done_count = 0;
        for task in tries.collect::<Vec<_>>() {
            match task.await?? {
                Projected::Done => done_count += 1,
                elsewhere => assert_eq!(elsewhere, Projected::Elsewhere(at(to))),
            }
        }
        assert_eq!(done_count, 1);
    }
    assert_eq!(events(&*store, ALWAYS).await?, [20, 10]);
    let windows = store.windows(shard(MINE), 7, i64::MAX, 9).await?;
    assert_eq!((windows[0].used, windows[0].late), (10, 2));
    assert_eq!(audit_count(&*store, organization(MINE)).await?, 2);
    Ok(())
}

async fn a_chunk_that_fails_leaves_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    let mut broken = full(1, 10)?;
    broken.windows.extend([window(7, 0, i128::MAX, 0), window(7, 0, 1, 0)]);
    for _ in 0..2 {
        let error = project(&*store, 0, 10, &broken).await;
        assert!(error.is_err());
        assert_eq!(store.checkpoint(shard(MINE)).await?, Checkpoint::BEGINNING);
        assert_eq!(store.event_blocks(shard(MINE), ALWAYS).await?, []);
        assert_eq!(store.windows(shard(MINE), 7, i64::MAX, 9).await?, []);
        assert_eq!(audit_count(&*store, organization(MINE)).await?, 0);
    }
    fill(&*store, &[10]).await
}

async fn a_checkpoint_never_moves_back(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10]).await?;
    for to in [10, 9, 0] {
        let error = store.project(shard(MINE), at(10), at(to), &FactsChunk::default()).await;
        assert!(error.is_err_and(|error| error.is_certainly_aborted()), "to {to}");
    }
    assert_eq!(store.checkpoint(shard(MINE)).await?, at(10));
    Ok(())
}

async fn an_incarnation_is_left_for_a_later_one(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10]).await?;
    let nothing = FactsChunk::default();
    let second = Checkpoint { incarnation: 2, seq: 4 };
    let moved = store.project(shard(MINE), at(10), second, &nothing).await?;
    assert_eq!(moved, Projected::Done);
    assert_eq!(store.checkpoint(shard(MINE)).await?, second);
    let back = store.project(shard(MINE), second, at(50), &nothing).await;
    assert!(back.is_err(), "never back to a former one");
    let former = store.project(shard(MINE), at(4), at(5), &nothing).await?;
    assert_eq!(former, Projected::Elsewhere(second));
    Ok(())
}

async fn blocks_are_found_by_time(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10, 20, 30]).await?;
    let second = 1_000_000;
    for (start, end, expected) in [
        (0, second, vec![]),
        (0, second + 1, vec![10]),
        (10 * second, 11 * second, vec![10]),
        (10 * second, 11 * second + 1, vec![20, 10]),
        (10 * second + 1, 11 * second, vec![]),
        (15 * second, 16 * second, vec![20]),
        (30 * second, i64::MAX, vec![30]),
        (30 * second + 1, i64::MAX, vec![]),
    ] {
        let query = BlockQuery { start, end, ..ALWAYS };
        assert_eq!(events(&*store, query).await?, expected, "{start} to {end}");
        assert_eq!(store.sum_blocks(shard(MINE), query).await?.len(), expected.len());
    }
    Ok(())
}

async fn blocks_come_in_pages_newest_first(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10, 20, 300, 4000]).await?;
    let page = |before_seq, limit| BlockQuery { before_seq, limit, ..ALWAYS };
    for (before_seq, limit, expected) in [
        (u64::MAX, 2, vec![4000, 300]),
        (300, 2, vec![20, 10]),
        (301, 1, vec![300]),
        (10, 2, vec![]),
        (0, 2, vec![]),
    ] {
        assert_eq!(events(&*store, page(before_seq, limit)).await?, expected);
    }
    Ok(())
}

async fn a_block_is_found_by_its_entry(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10]).await?;
    let gap = FactsChunk::default();
    assert_eq!(project(&*store, 10, 20, &gap).await?, Projected::Done);
    fill(&*store, &[30]).await?;
    for (seq, expected) in [
        (0, None),
        (1, Some(block(1, 10))),
        (10, Some(block(1, 10))),
        (11, None),
        (21, Some(block(21, 30))),
        (30, Some(block(21, 30))),
        (31, None),
        (u64::MAX, None),
    ] {
        assert_eq!(store.event_block_of(shard(MINE), seq).await?, expected, "{seq}");
    }
    Ok(())
}

async fn large_blocks_read_back(store: Arc<dyn Store>) -> Result<(), Failure> {
    let bytes: Vec<u8> = (0..=250).cycle().take((4 << 20) + 3).collect();
    let large = FactsBlock { bytes, ..block(1, 10) };
    let empty = FactsBlock { bytes: Vec::new(), ..block(1, 10) };
    let chunk = FactsChunk {
        events: Some(large.clone()),
        sums: Some(empty.clone()),
        ..FactsChunk::default()
    };
    assert_eq!(project(&*store, 0, 10, &chunk).await?, Projected::Done);
    assert!(store.event_blocks(shard(MINE), ALWAYS).await? == [large]);
    assert_eq!(store.sum_blocks(shard(MINE), ALWAYS).await?, [empty]);
    Ok(())
}

async fn sums_are_merged_only_where_exactly_those_are_there(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    fill(&*store, &[10, 20, 30, 40]).await?;
    let before = everything(&*store).await?;
    let mine = shard(MINE);
    for (replaced, merged) in [
        (vec![20], block(11, 30)),
        (vec![20, 30, 40], block(11, 30)),
        (vec![30, 20], block(11, 30)),
        (vec![20, 31], block(11, 30)),
        (vec![20, 30], block(12, 30)),
        (vec![20, 30], block(11, 29)),
        (vec![10, 20, 30], block(5, 30)),
        (vec![], block(11, 30)),
        (vec![], block(50, 60)),
    ] {
        let is_merged = store.merge_sums(mine, &replaced, &merged).await?;
        assert!(!is_merged, "{replaced:?} by {merged:?}");
    }
    assert_eq!(everything(&*store).await?, before);
    assert!(store.merge_sums(mine, &[20, 30], &block(11, 30)).await?);
    assert!(!store.merge_sums(mine, &[20, 30], &block(11, 30)).await?);
    let expected = [block(31, 40), block(11, 30), block(1, 10)];
    assert_eq!(store.sum_blocks(mine, ALWAYS).await?, expected);
    assert_eq!(events(&*store, ALWAYS).await?, [40, 30, 20, 10], "events are not touched");
    Ok(())
}

async fn old_events_are_removed(store: Arc<dyn Store>) -> Result<(), Failure> {
    let ends: Vec<u64> = (1..=40).map(|number| number * 10).collect();
    fill(&*store, &ends).await?;
    let newest_of = |seq| block(1, seq).arrived_max;
    assert_eq!(store.remove_event_blocks(shard(MINE), newest_of(10)).await?, 0);
    assert_eq!(store.remove_event_blocks(shard(MINE), newest_of(10) + 1).await?, 1);
    assert_eq!(store.remove_event_blocks(shard(MINE), newest_of(390)).await?, 37);
    assert_eq!(events(&*store, ALWAYS).await?, [400, 390]);
    assert_eq!(store.sum_blocks(shard(MINE), ALWAYS).await?.len(), 40);
    assert_eq!(store.checkpoint(shard(MINE)).await?, at(400));
    Ok(())
}

async fn piece(
    store: &dyn Store,
    entries: (u64, u64),
    offset: usize,
    length: usize,
) -> Result<Option<Vec<u8>>, Failure> {
    Ok(store.id_run_piece(shard(MINE), entries, offset, length).await?)
}

async fn runs_of_ids_are_read_in_pieces(store: Arc<dyn Store>) -> Result<(), Failure> {
    let body: Vec<u8> = (0..=250).cycle().take((17 << 20) + 5).collect();
    let large = IdRunRecord { body: body.clone(), ..run(1, 10) };
    let chunk = FactsChunk { ids: Some(large), ..FactsChunk::default() };
    assert_eq!(project(&*store, 0, 10, &chunk).await?, Projected::Done);
    let (mebi, size) = (1 << 20, body.len());
    for (offset, length) in [
        (0, 1),
        (0, 0),
        (mebi - 1, 2),
        (64 * 1024 - 20, 40),
        (3 * mebi, mebi),
        (5, 3 * mebi),
        (size - 7, 7),
        (size - 7, 100),
        (size, 1),
        (size + 5 * mebi, 1),
    ] {
        let end = offset.saturating_add(length).min(size);
        let expected = body.get(offset.min(size)..end.max(offset.min(size)));
        let found = piece(&*store, (1, 10), offset, length).await?;
        assert!(found.as_deref() == expected, "{length} bytes at {offset}");
    }
    assert_eq!(piece(&*store, (1, 11), 0, 1).await?, None);
    assert_eq!(piece(&*store, (2, 10), 0, 1).await?, None);
    Ok(())
}

async fn runs_of_ids_are_merged_only_where_all_are_there(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    fill(&*store, &[10, 20, 30]).await?;
    let mine = shard(MINE);
    let before = everything(&*store).await?;
    assert!(!store.merge_id_runs(mine, &[10, 21], Some(&run(1, 21))).await?);
    assert!(!store.merge_id_runs(mine, &[20, 40], None).await?);
    let same_name = store.merge_id_runs(mine, &[10], Some(&run(1, 10))).await;
    assert!(same_name.is_err_and(|error| error.is_certainly_aborted()));
    assert_eq!(everything(&*store).await?, before);
    assert!(store.merge_id_runs(mine, &[10, 20], Some(&run(1, 20))).await?);
    assert!(!store.merge_id_runs(mine, &[10, 20], Some(&run(1, 20))).await?);
    let expected = vec![without_body(run(1, 20)), without_body(run(21, 30))];
    assert_eq!(store.id_runs(mine).await?, (at(30), expected));
    Ok(())
}

async fn a_merged_run_is_not_read_by_its_parts_name(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10, 20]).await?;
    let length = run(11, 20).body.len();
    assert_eq!(piece(&*store, (11, 20), 0, length).await?, Some(run(11, 20).body));
    store.merge_id_runs(shard(MINE), &[10, 20], Some(&run(1, 20))).await?;
    assert_eq!(piece(&*store, (11, 20), 0, length).await?, None);
    assert_eq!(piece(&*store, (1, 20), 0, 100).await?, Some(run(1, 20).body));
    Ok(())
}

async fn expired_runs_of_ids_go(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10, 20]).await?;
    assert!(store.merge_id_runs(shard(MINE), &[10], None).await?);
    let expected = vec![without_body(run(11, 20))];
    assert_eq!(store.id_runs(shard(MINE)).await?, (at(20), expected));
    assert_eq!(piece(&*store, (1, 10), 0, 1).await?, None);
    Ok(())
}

/// Projects window changes alone.
async fn add(store: &dyn Store, to: u64, windows: Vec<WindowChange>) -> Result<(), Failure> {
    let chunk = FactsChunk { windows, ..FactsChunk::default() };
    assert_eq!(project(store, to - 1, to, &chunk).await?, Projected::Done);
    Ok(())
}

async fn windows_add_up(store: Arc<dyn Store>) -> Result<(), Failure> {
    add(&*store, 1, vec![window(7, 0, 5, 1), window(7, 10, 3, 0), window(7, 0, 2, 2)]).await?;
    add(&*store, 2, vec![window(7, 0, -20, -3), window(8, 0, 9, 9)]).await?;
    let longer = WindowChange { end_at: 25, ..window(7, 10, 0, 0) };
    add(&*store, 3, vec![longer]).await?;
    let expected = [
        WindowRecord { start_at: 10, end_at: 25, used: 3, late: 0 },
        WindowRecord { start_at: 0, end_at: 10, used: -13, late: 0 },
    ];
    assert_eq!(store.windows(shard(MINE), 7, i64::MAX, 9).await?, expected);
    let other = [WindowRecord { start_at: 0, end_at: 10, used: 9, late: 9 }];
    assert_eq!(store.windows(shard(MINE), 8, i64::MAX, 9).await?, other);
    Ok(())
}

async fn windows_add_up_to_the_largest_numbers_and_no_further(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let (least, most) = (i128::MIN, i128::MAX);
    add(&*store, 1, vec![window(7, 0, most - 1, least + 1)]).await?;
    add(&*store, 2, vec![window(7, 0, 1, -1)]).await?;
    let expected = [WindowRecord { start_at: 0, end_at: 10, used: most, late: least }];
    assert_eq!(store.windows(shard(MINE), 7, i64::MAX, 9).await?, expected);
    for beyond in [window(7, 0, 1, 0), window(7, 0, 0, -1)] {
        let chunk = FactsChunk { windows: vec![beyond], ..FactsChunk::default() };
        let error = store.project(shard(MINE), at(2), at(3), &chunk).await;
        assert!(error.is_err_and(|error| error.is_certainly_aborted()));
    }
    add(&*store, 3, vec![window(7, 0, least, most)]).await?;
    let expected = [WindowRecord { start_at: 0, end_at: 10, used: -1, late: -1 }];
    assert_eq!(store.windows(shard(MINE), 7, i64::MAX, 9).await?, expected);
    Ok(())
}

async fn windows_come_in_pages_newest_first(store: Arc<dyn Store>) -> Result<(), Failure> {
    let starts = [i64::MIN, -5, 0, 300, 4000];
    let mut changes: Vec<_> = starts.iter().map(|start| window(7, *start, 1, 0)).collect();
    changes.push(window(u32::MAX, 9, 1, 0));
    add(&*store, 1, changes).await?;
    for (before, limit, expected) in [
        (i64::MAX, 2, vec![4000, 300]),
        (300, 2, vec![0, -5]),
        (-5, 2, vec![i64::MIN]),
        (i64::MIN, 2, vec![]),
        (i64::MAX, 0, vec![]),
    ] {
        let found = store.windows(shard(MINE), 7, before, limit).await?;
        let found: Vec<_> = found.iter().map(|window| window.start_at).collect();
        assert_eq!(found, expected, "before {before}");
    }
    Ok(())
}

async fn crossings_come_in_pages(store: Arc<dyn Store>) -> Result<(), Failure> {
    let places = [(2, 0), (2, 1), (2, 300), (10, 0), (300, 7)];
    let crossings = places.iter().map(|(seq, index)| crossing(*seq, *index)).collect();
    let chunk = FactsChunk { crossings, ..FactsChunk::default() };
    assert_eq!(project(&*store, 0, 300, &chunk).await?, Projected::Done);
    let mut after = (0, 0);
    let mut found = Vec::new();
    loop {
        let page = store.crossings(shard(MINE), after, 2).await?;
        let Some(last) = page.last() else { break };
        after = (last.seq, last.index);
        found.extend(page);
    }
    assert_eq!(found, chunk.crossings);
    assert_eq!(store.crossings(shard(MINE), (2, 2), 1).await?, [crossing(2, 300)]);
    assert_eq!(store.crossings(shard(MINE), (u64::MAX, u32::MAX), 9).await?, []);
    assert_eq!(store.crossings(shard(MINE), (0, 0), 0).await?, []);
    Ok(())
}

async fn a_chunks_audit_is_chained(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.append_audit(&audit(organization(MINE), 1)?).await?;
    let audit = [2, 3, 4].map(|second| audit(organization(MINE), second));
    let audit = audit.into_iter().collect::<Result<Vec<_>, _>>()?;
    let chunk = FactsChunk { audit: audit.clone(), ..FactsChunk::default() };
    assert_eq!(project(&*store, 0, 10, &chunk).await?, Projected::Done);
    let entries = store.audit_entries(organization(MINE), 0, 10).await?;
    let events: Vec<_> = entries.iter().skip(1).map(|entry| entry.event.clone()).collect();
    assert_eq!(events, audit);
    for pair in entries.windows(2) {
        assert_eq!(pair[1].previous_hash, pair[0].hash);
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
    }
    Ok(())
}

async fn shards_do_not_see_each_others_facts(store: Arc<dyn Store>) -> Result<(), Failure> {
    fill(&*store, &[10, 20]).await?;
    let before = everything(&*store).await?;
    for other in [test_shard(MINE), shard(2)] {
        assert_eq!(store.checkpoint(other).await?, Checkpoint::BEGINNING);
        assert_eq!(store.event_blocks(other, ALWAYS).await?, []);
        assert_eq!(store.event_block_of(other, 5).await?, None);
        assert_eq!(store.id_runs(other).await?, (Checkpoint::BEGINNING, vec![]));
        assert_eq!(store.id_run_piece(other, (1, 10), 0, 1).await?, None);
        assert_eq!(store.windows(other, 7, i64::MAX, 9).await?, []);
        assert_eq!(store.crossings(other, (0, 0), 9).await?, []);
        let theirs = FactsChunk { audit: vec![], ..full(1, 10)? };
        assert_eq!(store.project(other, at(0), at(10), &theirs).await?, Projected::Done);
        assert!(!store.merge_sums(other, &[10, 20], &block(1, 20)).await?);
        assert_eq!(store.remove_event_blocks(other, i64::MAX).await?, 1);
        assert!(store.merge_id_runs(other, &[10], None).await?);
    }
    assert_eq!(everything(&*store).await?, before);
    Ok(())
}
