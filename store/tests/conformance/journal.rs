//! Cases of the journal: one writer for each place, answers that stay true, and a floor that
//! nothing comes up from.

use std::sync::Arc;

use store::{
    Store,
    journal::{Appended, ENTRY_BYTES_MAX, JournalEntry, Shard, Tail},
};

use crate::{
    Failure,
    sample::{organization, shard, test_shard},
};

cases! {
    of_many_batches_at_one_place_one_is_stored,
    the_same_batch_again_is_repeated,
    of_many_tries_of_one_batch_one_is_stored,
    another_incarnation_is_void,
    an_entry_at_or_below_the_floor_is_void,
    what_was_truncated_and_then_appended_stays_void,
    an_entry_reads_back_as_it_was_appended,
    entries_come_in_order_and_are_bounded_by_their_bytes,
    a_shard_that_nobody_wrote_to_has_an_empty_journal,
    the_tail_is_the_last_entry,
    a_place_is_free_until_it_is_taken,
    truncation_keeps_the_last_entry,
    truncation_never_lowers_the_floor_nor_raises_it_beyond_the_end,
    a_truncation_goes_on_where_one_was_stopped,
    a_truncation_of_many_entries_deletes_them_all,
    shards_are_listed_in_order_and_do_not_see_each_other,
    an_incarnation_begins_after_its_place,
    of_many_that_begin_an_incarnation_one_does,
    former_entries_are_read_until_a_truncation,
    an_entry_that_is_too_large_is_refused_and_changes_nothing,
    the_stores_clock_goes_on,
}

/// An entry whose batch is its place.
fn entry(seq: u64) -> JournalEntry {
    let batch = u128::from(seq);
    JournalEntry { seq, batch, previous: batch - 1, bytes: format!("decision {seq}").into() }
}

async fn append(
    store: &dyn Store,
    shard: Shard,
    entries: impl IntoIterator<Item = u64>,
) -> Result<(), Failure> {
    for seq in entries {
        assert_eq!(store.append(shard, 1, &entry(seq)).await?, Appended::Stored, "{seq}");
    }
    Ok(())
}

async fn places(store: &dyn Store, incarnation: u32) -> Result<Vec<u64>, Failure> {
    let entries = store.entries(shard(1), incarnation, 0, usize::MAX).await?;
    Ok(entries.iter().map(|entry| entry.seq).collect())
}

/// Appends all at once, and says how often each answer came.
async fn at_once(
    store: &Arc<dyn Store>,
    entries: impl IntoIterator<Item = JournalEntry>,
) -> Result<[usize; 3], Failure> {
    let tries = entries.into_iter().map(|entry| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.append(shard(1), 1, &entry).await })
    });
    let mut counts = [0; 3];
    for task in tries.collect::<Vec<_>>() {
        match task.await?? {
            Appended::Stored => counts[0] += 1,
            Appended::Repeated => counts[1] += 1,
            Appended::Taken => counts[2] += 1,
            Appended::Void => return Err("nothing is void here".into()),
        }
    }
    Ok(counts)
}

async fn of_many_batches_at_one_place_one_is_stored(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=3).await?;
    let rivals = (0..50).map(|rival| JournalEntry { batch: 1000 + rival, ..entry(4) });
    let rivals: Vec<_> = rivals.collect();
    assert_eq!(at_once(&store, rivals.clone()).await?, [1, 0, 49]);
    let stored = store.entries(shard(1), 1, 3, usize::MAX).await?;
    assert!(stored.len() == 1 && rivals.contains(&stored[0]));
    assert_eq!(store.tail(shard(1)).await?.batch, stored[0].batch);
    Ok(())
}

async fn the_same_batch_again_is_repeated(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=3).await?;
    for seq in [3, 1] {
        assert_eq!(store.append(shard(1), 1, &entry(seq)).await?, Appended::Repeated);
        let other = JournalEntry { batch: 77, ..entry(seq) };
        assert_eq!(store.append(shard(1), 1, &other).await?, Appended::Taken);
    }
    assert_eq!(store.entries(shard(1), 1, 0, usize::MAX).await?, [1, 2, 3].map(entry));
    Ok(())
}

async fn of_many_tries_of_one_batch_one_is_stored(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(at_once(&store, (0..30).map(|_| entry(1))).await?, [1, 29, 0]);
    assert_eq!(places(&*store, 1).await?, [1]);
    Ok(())
}

async fn another_incarnation_is_void(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.append(shard(1), 2, &entry(1)).await?, Appended::Void);
    append(&*store, shard(1), 1..=2).await?;
    for incarnation in [0, 2] {
        assert_eq!(store.append(shard(1), incarnation, &entry(3)).await?, Appended::Void);
    }
    assert!(store.begin_incarnation(shard(1), 1, 2, 2).await?);
    for seq in [2, 3] {
        assert_eq!(store.append(shard(1), 1, &entry(seq)).await?, Appended::Void, "{seq}");
    }
    Ok(())
}

async fn an_entry_at_or_below_the_floor_is_void(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=5).await?;
    store.truncate(shard(1), 1, 3).await?;
    for seq in [1, 3] {
        assert_eq!(store.append(shard(1), 1, &entry(seq)).await?, Appended::Void, "{seq}");
    }
    assert_eq!(store.append(shard(1), 1, &entry(4)).await?, Appended::Repeated);
    let nothing = JournalEntry { seq: 0, ..entry(1) };
    assert_eq!(store.append(shard(1), 1, &nothing).await?, Appended::Void);
    Ok(())
}

async fn what_was_truncated_and_then_appended_stays_void(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=9).await?;
    // A node that believes the journal to end at 4 writes after it was paused.
    store.truncate(shard(1), 1, 8).await?;
    let late = JournalEntry { batch: 4444, ..entry(5) };
    for _ in 0..2 {
        assert_eq!(store.append(shard(1), 1, &late).await?, Appended::Void);
    }
    let tail = Tail { incarnation: 1, seq: 9, batch: 9, floor: 8 };
    assert_eq!(store.tail(shard(1)).await?, tail);
    assert_eq!(store.entries(shard(1), 1, 8, usize::MAX).await?, [entry(9)]);
    store.truncate(shard(1), 1, 8).await?;
    assert_eq!(places(&*store, 1).await?, [9], "the next truncation takes it away");
    append(&*store, shard(1), [10]).await
}

async fn an_entry_reads_back_as_it_was_appended(store: Arc<dyn Store>) -> Result<(), Failure> {
    let contents = [Vec::new(), vec![0, 255, 128], vec![9; ENTRY_BYTES_MAX]];
    let mut previous = 0;
    for (seq, bytes) in (1..).zip(contents) {
        let batch = u128::MAX - u128::from(seq);
        let new = JournalEntry { seq, batch, previous, bytes };
        assert_eq!(store.append(shard(1), 1, &new).await?, Appended::Stored);
        assert_eq!(store.entries(shard(1), 1, seq - 1, usize::MAX).await?, [new]);
        previous = batch;
    }
    Ok(())
}

async fn entries_come_in_order_and_are_bounded_by_their_bytes(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    // Beyond 9 and 255: the order is that of numbers.
    append(&*store, shard(1), 1..=300).await?;
    let all: Vec<_> = (1..=300).collect();
    assert_eq!(places(&*store, 1).await?, all);
    let size = "decision 1".len();
    for (after, bytes_max, expected) in [
        (0, 0, vec![1]),
        (0, size, vec![1]),
        (0, 2 * size - 1, vec![1]),
        (0, 2 * size, vec![1, 2]),
        (298, usize::MAX, vec![299, 300]),
        (300, usize::MAX, vec![]),
        (u64::MAX, usize::MAX, vec![]),
    ] {
        let found = store.entries(shard(1), 1, after, bytes_max).await?;
        let found: Vec<_> = found.iter().map(|entry| entry.seq).collect();
        assert_eq!(found, expected, "after {after}, at most {bytes_max}");
    }
    Ok(())
}

async fn a_shard_that_nobody_wrote_to_has_an_empty_journal(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let nothing = Tail { incarnation: 1, seq: 0, batch: 0, floor: 0 };
    assert_eq!(store.tail(shard(1)).await?, nothing);
    assert_eq!(store.entries(shard(1), 1, 0, usize::MAX).await?, []);
    assert_eq!(store.shards().await?, []);
    assert!(store.is_free(shard(1), 1, 1).await?);
    store.truncate(shard(1), 1, 10).await?;
    assert_eq!(store.tail(shard(1)).await?, nothing);
    append(&*store, shard(1), [1]).await
}

async fn the_tail_is_the_last_entry(store: Arc<dyn Store>) -> Result<(), Failure> {
    for seq in 1..=12 {
        append(&*store, shard(1), [seq]).await?;
        let tail = Tail { incarnation: 1, seq, batch: u128::from(seq), floor: 0 };
        assert_eq!(store.tail(shard(1)).await?, tail);
    }
    Ok(())
}

async fn a_place_is_free_until_it_is_taken(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=3).await?;
    store.truncate(shard(1), 1, 2).await?;
    for (incarnation, seq, expected) in
        [(1, 1, false), (1, 2, false), (1, 3, false), (1, 4, true), (2, 4, false), (0, 4, false)]
    {
        let is_free = store.is_free(shard(1), incarnation, seq).await?;
        assert_eq!(is_free, expected, "{incarnation}, {seq}");
    }
    append(&*store, shard(1), [4]).await?;
    assert!(!store.is_free(shard(1), 1, 4).await?);
    assert!(store.is_free(test_shard(1), 1, 4).await?);
    Ok(())
}

async fn truncation_keeps_the_last_entry(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=6).await?;
    store.truncate(shard(1), 1, 4).await?;
    assert_eq!(places(&*store, 1).await?, [5, 6]);
    store.truncate(shard(1), 1, 6).await?;
    assert_eq!(places(&*store, 1).await?, [6]);
    let tail = Tail { incarnation: 1, seq: 6, batch: 6, floor: 6 };
    assert_eq!(store.tail(shard(1)).await?, tail);
    append(&*store, shard(1), [7]).await?;
    store.truncate(shard(1), 1, 6).await?;
    assert_eq!(places(&*store, 1).await?, [7]);
    Ok(())
}

async fn truncation_never_lowers_the_floor_nor_raises_it_beyond_the_end(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=6).await?;
    for (floor, expected) in [(4, 4), (2, 4), (0, 4), (u64::MAX, 6), (3, 6)] {
        store.truncate(shard(1), 1, floor).await?;
        assert_eq!(store.tail(shard(1)).await?.floor, expected, "to {floor}");
    }
    store.truncate(shard(1), 2, 6).await?;
    append(&*store, shard(1), [7]).await
}

async fn a_truncation_goes_on_where_one_was_stopped(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=6).await?;
    // Whoever is stopped half-way has raised the floor and deleted some: as an earlier, smaller
    // truncation has.
    store.truncate(shard(1), 1, 2).await?;
    let [one, other] = [5, 4].map(|floor| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.truncate(shard(1), 1, floor).await })
    });
    one.await??;
    other.await??;
    store.truncate(shard(1), 1, 0).await?;
    assert_eq!(places(&*store, 1).await?, [6]);
    assert_eq!(store.tail(shard(1)).await?.floor, 5);
    Ok(())
}

async fn a_truncation_of_many_entries_deletes_them_all(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let large = |seq| JournalEntry { bytes: vec![1; 700_000], ..entry(seq) };
    for seq in 1..=10 {
        assert_eq!(store.append(shard(1), 1, &large(seq)).await?, Appended::Stored);
    }
    append(&*store, shard(1), 11..=20).await?;
    store.truncate(shard(1), 1, 19).await?;
    assert_eq!(places(&*store, 1).await?, [20]);
    Ok(())
}

async fn shards_are_listed_in_order_and_do_not_see_each_other(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let shards = [shard(1), test_shard(1), shard(2), test_shard(300)];
    for (last, one) in (1..).zip(shards.iter().rev()) {
        append(&*store, *one, 1..=last).await?;
    }
    let mut expected = shards.to_vec();
    expected.sort_unstable();
    assert_eq!(store.shards().await?, expected);
    store.truncate(shard(1), 1, 3).await?;
    for (last, one) in (1..).zip(shards.iter().rev()) {
        assert_eq!(store.tail(*one).await?.seq, last);
        let floor = if *one == shard(1) { 3 } else { 0 };
        assert_eq!(store.tail(*one).await?.floor, floor);
        let entries = store.entries(*one, 1, floor, usize::MAX).await?;
        assert_eq!(entries, (floor + 1..=last).map(entry).collect::<Vec<_>>());
    }
    assert!(store.organization(organization(1)).await?.is_none(), "nothing else was made");
    Ok(())
}

async fn an_incarnation_begins_after_its_place(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=5).await?;
    assert!(store.begin_incarnation(shard(1), 1, 3, 3).await?);
    let tail = Tail { incarnation: 2, seq: 3, batch: 3, floor: 3 };
    assert_eq!(store.tail(shard(1)).await?, tail);
    let late = JournalEntry { batch: 33, ..entry(3) };
    assert_eq!(store.append(shard(1), 2, &late).await?, Appended::Void);
    assert_eq!(store.tail(shard(1)).await?, tail, "what is void is not the last");
    let other = JournalEntry { batch: 44, ..entry(4) };
    assert_eq!(store.append(shard(1), 2, &other).await?, Appended::Stored, "what is there is not");
    assert_eq!(store.entries(shard(1), 2, 3, usize::MAX).await?, [other]);
    assert!(!store.begin_incarnation(shard(1), 1, 3, 3).await?);
    assert_eq!(store.tail(shard(1)).await?.seq, 4);
    Ok(())
}

async fn of_many_that_begin_an_incarnation_one_does(store: Arc<dyn Store>) -> Result<(), Failure> {
    for from in 1..=2 {
        let tries = (0..20).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.begin_incarnation(shard(1), from, 7, 77).await })
        });
        let mut begun_count = 0;
        for task in tries.collect::<Vec<_>>() {
            begun_count += usize::from(task.await??);
        }
        assert_eq!(begun_count, 1);
        let tail = Tail { incarnation: from + 1, seq: 7, batch: 77, floor: 7 };
        assert_eq!(store.tail(shard(1)).await?, tail);
    }
    assert_eq!(store.shards().await?, [shard(1)]);
    assert!(!store.begin_incarnation(test_shard(1), 2, 7, 77).await?);
    Ok(())
}

async fn former_entries_are_read_until_a_truncation(store: Arc<dyn Store>) -> Result<(), Failure> {
    append(&*store, shard(1), 1..=3).await?;
    store.begin_incarnation(shard(1), 1, 3, 3).await?;
    assert_eq!(places(&*store, 1).await?, [1, 2, 3]);
    for seq in [4, 5] {
        assert_eq!(store.append(shard(1), 2, &entry(seq)).await?, Appended::Stored);
    }
    store.truncate(shard(1), 1, 3).await?;
    assert_eq!(places(&*store, 1).await?, [1, 2, 3], "that incarnation does not count");
    store.truncate(shard(1), 2, 4).await?;
    assert_eq!(places(&*store, 1).await?, [0; 0]);
    assert_eq!(places(&*store, 2).await?, [5]);
    Ok(())
}

async fn an_entry_that_is_too_large_is_refused_and_changes_nothing(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let large = JournalEntry { bytes: vec![0; ENTRY_BYTES_MAX + 1], ..entry(1) };
    let error = store.append(shard(1), 1, &large).await.expect_err("it is too large");
    assert!(error.is_certainly_aborted(), "{error}");
    assert_eq!(store.tail(shard(1)).await?.seq, 0);
    append(&*store, shard(1), [1]).await
}

async fn the_stores_clock_goes_on(store: Arc<dyn Store>) -> Result<(), Failure> {
    let first = store.store_time_micros().await?;
    assert!(first > 1_700_000_000_000_000, "microseconds since 1970");
    assert!(store.store_time_micros().await? >= first);
    Ok(())
}
