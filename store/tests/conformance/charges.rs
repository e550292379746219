//! Cases of charges: unseen until committed, committed as a whole, removed as a whole.

use std::sync::Arc;

use bytes::Bytes;
use domain::{
    Account, Feed, OrganizationId, ProviderId,
    connection::{FeedProgress, Sync as SyncRun},
};
use jiff::civil::{Date, date};
use store::{
    Store,
    charges::{Block, BlockInfo, BlockKey, ColumnGroup, Commit, CommitWith, Committed},
    syncs::SyncEnd,
};

use crate::{
    Failure,
    sample::{
        Worker, at, audit, audit_count, batch_id, block, connection_id, file_id, organization,
        page, sync_id, take_over,
    },
};

cases! {
    a_staged_batch_is_unseen,
    a_committed_batch_is_seen_as_it_was_staged,
    beginning_a_batch_twice_keeps_its_blocks,
    a_block_staged_twice_is_there_once,
    a_committed_batch_cannot_be_changed,
    a_batch_that_is_gone_takes_no_blocks_and_no_commit,
    committing_twice_counts_once,
    of_many_tries_of_one_commit_one_counts,
    a_commit_is_known_again_after_its_lease_is_lost,
    a_pull_without_news_moves_progress_once,
    progress_never_goes_back,
    a_lost_lease_commits_nothing,
    a_paused_holder_replaces_nothing_that_a_later_one_wrote,
    a_lease_that_ran_out_but_was_not_taken_commits,
    a_sync_that_has_ended_takes_no_commit,
    generations_grow_across_all_sources_of_an_organization,
    commits_at_the_same_time_get_different_generations,
    the_first_and_the_last_day_are_included,
    blocks_come_in_order_of_key_then_generation,
    columns_come_in_the_order_asked,
    columns_of_staged_gone_and_foreign_blocks_are_none,
    the_largest_and_the_emptiest_blocks_are_kept,
    an_abandoned_batch_is_gone_and_a_committed_one_stays,
    only_old_staged_batches_of_the_source_are_swept,
    removing_a_file_uncovers_what_was_there_before,
    removing_counts_what_was_visible,
    removing_twice_is_audited_once,
    another_organization_neither_sees_nor_removes,
}

const DAY: Date = date(2026, 11, 20);

async fn visible(store: &dyn Store) -> Result<Vec<BlockInfo>, Failure> {
    Ok(store.visible_blocks(organization(1), Date::MIN, Date::MAX).await?)
}

async fn generations(store: &dyn Store) -> Result<Vec<u64>, Failure> {
    Ok(visible(store).await?.iter().map(|block| block.generation).collect())
}

async fn core(
    store: &dyn Store,
    organization: OrganizationId,
    batch: u128,
) -> Result<Option<Bytes>, Failure> {
    let blocks = [(batch_id(batch), block(DAY)?.key)];
    let mut columns = store.block_columns(organization, &blocks, ColumnGroup::Core).await?;
    assert_eq!(columns.len(), 1);
    Ok(columns.remove(0))
}

/// The first sync of connection 1, open or not.
async fn first_sync(store: &dyn Store) -> Result<SyncRun, Failure> {
    let mut syncs = store.syncs(organization(1), connection_id(1), &page(1, None)).await?;
    Ok(syncs.pop().ok_or("there is no sync")?)
}

async fn commit(store: &dyn Store, worker: &Worker, number: u128) -> Result<Committed, Failure> {
    Ok(store.commit(&worker.commit(Some(batch_id(number)))).await?)
}

/// Stages and commits a batch of one block.
async fn pull(store: &dyn Store, worker: &Worker, number: u128) -> Result<(), Failure> {
    worker.stage(store, number, &[block(DAY)?]).await?;
    assert_eq!(commit(store, worker, number).await?, Committed::Committed);
    Ok(())
}

async fn a_staged_batch_is_unseen(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    assert_eq!(visible(&*store).await?, []);
    assert_eq!(first_sync(&*store).await?.charges_written, 0);
    Ok(())
}

async fn a_committed_batch_is_seen_as_it_was_staged(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let first = block(DAY)?;
    let second = Block {
        key: BlockKey { part: u32::MAX, ..first.key.clone() },
        row_count: 0,
        is_complete: false,
        digest: [0; 32],
        ..first.clone()
    };
    worker.stage(&*store, 1, &[first.clone(), second.clone()]).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    let info = |block: Block| BlockInfo {
        batch: batch_id(1),
        generation: 1,
        source: worker.source,
        key: block.key,
        row_count: block.row_count,
        is_complete: block.is_complete,
        digest: block.digest,
    };
    assert_eq!(visible(&*store).await?, [info(first), info(second)]);
    let sync = first_sync(&*store).await?;
    let progress = FeedProgress { feed: "costs".to_owned(), done_through: at(1000)? };
    assert_eq!((sync.charges_written, sync.progress), (10, vec![progress]));
    Ok(())
}

async fn beginning_a_batch_twice_keeps_its_blocks(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    store.begin_batch(&worker.batch(1)?).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    store.begin_batch(&worker.batch(1)?).await?;
    assert_eq!(generations(&*store).await?, [1]);
    Ok(())
}

async fn a_block_staged_twice_is_there_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let old = Block { row_count: 1, digest: [1; 32], core: "old".into(), ..block(DAY)? };
    worker.stage(&*store, 1, &[old.clone(), old]).await?;
    store.put_blocks(organization(1), batch_id(1), &[block(DAY)?]).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    let blocks = visible(&*store).await?;
    assert_eq!(blocks.len(), 1);
    assert_eq!((blocks[0].row_count, blocks[0].digest), (u32::MAX, [9; 32]), "the newer one");
    assert_eq!(core(&*store, organization(1), 1).await?, Some(block(DAY)?.core));
    Ok(())
}

async fn a_committed_batch_cannot_be_changed(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    pull(&*store, &worker, 1).await?;
    let before = visible(&*store).await?;
    let other = Block { row_count: 1, core: "other".into(), ..block(DAY)? };
    let more = Block { key: BlockKey { part: 1, ..other.key.clone() }, ..other.clone() };
    store.put_blocks(organization(1), batch_id(1), &[other, more]).await?;
    assert_eq!(visible(&*store).await?, before);
    assert_eq!(core(&*store, organization(1), 1).await?, Some(block(DAY)?.core));
    Ok(())
}

async fn a_batch_that_is_gone_takes_no_blocks_and_no_commit(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    store.abandon_batch(organization(1), batch_id(1)).await?;
    store.put_blocks(organization(1), batch_id(1), &[block(DAY)?]).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Refused);
    assert_eq!(visible(&*store).await?, []);
    assert_eq!(first_sync(&*store).await?.charges_written, 0);
    worker.stage(&*store, 1, &[]).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    assert_eq!(visible(&*store).await?, [], "what came too late is not there");
    Ok(())
}

async fn committing_twice_counts_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    for _ in 0..3 {
        assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    }
    assert_eq!(generations(&*store).await?, [1]);
    assert_eq!(first_sync(&*store).await?.charges_written, 10);
    pull(&*store, &worker, 2).await?;
    assert_eq!(first_sync(&*store).await?.charges_written, 20, "another batch of the same days");
    assert_eq!(generations(&*store).await?, [1, 2], "a repeat takes no number");
    Ok(())
}

async fn of_many_tries_of_one_commit_one_counts(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let batch = worker.stage(&*store, 1, &[block(DAY)?]).await?;
    let attempt =
        |store: Arc<dyn Store>, commit: Commit| async move { store.commit(&commit).await };
    let tries = (0..50).map(|_| attempt(Arc::clone(&store), worker.commit(Some(batch))));
    for task in tries.map(tokio::spawn).collect::<Vec<_>>() {
        assert_eq!(task.await??, Committed::Committed);
    }
    assert_eq!(generations(&*store).await?, [1]);
    assert_eq!(first_sync(&*store).await?.charges_written, 10);
    Ok(())
}

async fn a_commit_is_known_again_after_its_lease_is_lost(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    pull(&*store, &worker, 1).await?;
    take_over(&*store, &worker.lease).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    assert_eq!(first_sync(&*store).await?.charges_written, 10);
    Ok(())
}

async fn a_pull_without_news_moves_progress_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    for _ in 0..3 {
        assert_eq!(store.commit(&worker.commit(None)).await?, Committed::Committed);
        let sync = first_sync(&*store).await?;
        assert_eq!((sync.charges_written, sync.progress[0].done_through), (10, at(1000)?));
    }
    assert_eq!(visible(&*store).await?, []);
    pull(&*store, &worker, 1).await?;
    assert_eq!(generations(&*store).await?, [1], "no batch, no generation");
    Ok(())
}

async fn progress_never_goes_back(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    for (number, second, done) in [(1, 500, 500), (2, 400, 500), (3, 500, 500), (4, 501, 501)] {
        let batch = worker.stage(&*store, number, &[block(DAY)?]).await?;
        let with = CommitWith::Sync {
            sync: sync_id(1),
            feed: "costs".to_owned(),
            done_through: at(second)?,
            charges_written: 1,
        };
        let told = Commit { with, ..worker.commit(Some(batch)) };
        assert_eq!(store.commit(&told).await?, Committed::Committed);
        assert_eq!(first_sync(&*store).await?.progress[0].done_through, at(done)?);
    }
    assert_eq!(first_sync(&*store).await?.charges_written, 4, "each batch was written");
    Ok(())
}

async fn a_lost_lease_commits_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    let mut worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    let held = take_over(&*store, &worker.lease).await?;
    let before = first_sync(&*store).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Refused);
    assert_eq!(store.commit(&worker.commit(None)).await?, Committed::Refused);
    assert_eq!(visible(&*store).await?, []);
    assert_eq!(first_sync(&*store).await?, before);
    worker.lease = held.clone();
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed, "the new holder can");
    worker.stage(&*store, 2, &[block(DAY)?]).await?;
    store.release_lease(&held).await?;
    assert_eq!(commit(&*store, &worker, 2).await?, Committed::Refused, "given back is lost too");
    assert_eq!(generations(&*store).await?, [1]);
    Ok(())
}

async fn a_paused_holder_replaces_nothing_that_a_later_one_wrote(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let mut worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    let later = take_over(&*store, &worker.lease).await?;
    assert!(later.fence > worker.lease.fence, "a lease's number only grows");
    let paused = std::mem::replace(&mut worker.lease, later);
    worker.stage(&*store, 2, &[block(DAY)?]).await?;
    assert_eq!(commit(&*store, &worker, 2).await?, Committed::Committed);
    let (written, synced) = (visible(&*store).await?, first_sync(&*store).await?);
    // Whoever was paused comes back: with what it had staged, with more, into what is visible.
    worker.lease = paused;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Refused);
    worker.stage(&*store, 3, &[block(DAY)?]).await?;
    assert_eq!(commit(&*store, &worker, 3).await?, Committed::Refused);
    store.put_blocks(organization(1), batch_id(2), &[block(DAY.tomorrow()?)?]).await?;
    assert_eq!(visible(&*store).await?, written);
    assert_eq!(first_sync(&*store).await?, synced);
    Ok(())
}

async fn a_lease_that_ran_out_but_was_not_taken_commits(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    assert!(store.renew_lease(&worker.lease, at(201)?).await?);
    store
        .make_due(&store::schedule::JobKey { kind: "a".into(), subject: "b".into() }, at(1)?)
        .await?;
    let other = store.claim_due(at(9000)?, 60).await?.ok_or("nothing is due")?;
    assert_eq!(other.lease.key.kind, "a", "time has passed, and somebody took another job");
    pull(&*store, &worker, 1).await
}

async fn a_sync_that_has_ended_takes_no_commit(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    let end = SyncEnd { finished_at: at(300)?, error: None, issues: Vec::new() };
    store.finish_sync(sync_id(1), &end).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Refused);
    assert_eq!(visible(&*store).await?, []);
    assert_eq!(first_sync(&*store).await?.charges_written, 0);
    Ok(())
}

async fn generations_grow_across_all_sources_of_an_organization(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let sync = Worker::sync(&*store, organization(1), 1).await?;
    let import = Worker::import(&*store, organization(1), 1).await?;
    let theirs = Worker::sync(&*store, organization(2), 2).await?;
    // Staged in another order than committed: the commit counts.
    for (worker, number) in [(&import, 3), (&sync, 1), (&theirs, 5), (&sync, 2)] {
        worker.stage(&*store, number, &[block(DAY)?]).await?;
    }
    for (worker, number) in [(&sync, 2), (&theirs, 5), (&import, 3), (&sync, 1)] {
        assert_eq!(commit(&*store, worker, number).await?, Committed::Committed);
    }
    let order: Vec<_> =
        visible(&*store).await?.iter().map(|block| (block.generation, block.batch)).collect();
    assert_eq!(order, [(1, batch_id(2)), (2, batch_id(3)), (3, batch_id(1))]);
    Ok(())
}

async fn commits_at_the_same_time_get_different_generations(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let attempt =
        |store: Arc<dyn Store>, commit: Commit| async move { store.commit(&commit).await };
    let mut tasks = Vec::new();
    for number in 1..=20 {
        let batch = worker.stage(&*store, number, &[block(DAY)?]).await?;
        tasks.push(tokio::spawn(attempt(Arc::clone(&store), worker.commit(Some(batch)))));
    }
    for task in tasks {
        assert_eq!(task.await??, Committed::Committed);
    }
    assert_eq!(generations(&*store).await?, (1..=20).collect::<Vec<_>>());
    assert_eq!(first_sync(&*store).await?.charges_written, 200);
    Ok(())
}

async fn the_first_and_the_last_day_are_included(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let days = [
        date(-1, 12, 31),
        date(1969, 12, 31),
        date(1970, 1, 1),
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
        date(2024, 12, 31),
        date(2025, 1, 1),
        Date::MAX,
    ];
    let blocks = days.into_iter().map(block).collect::<Result<Vec<_>, _>>()?;
    worker.stage(&*store, 1, &blocks).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    let between = async |first, last| -> Result<Vec<Date>, Failure> {
        let blocks = store.visible_blocks(organization(1), first, last).await?;
        Ok(blocks.iter().map(|block| block.key.day).collect())
    };
    assert_eq!(between(Date::MIN, Date::MAX).await?, days);
    assert_eq!(between(date(2024, 2, 29), date(2024, 12, 31)).await?, days[4..7]);
    assert_eq!(between(date(2024, 2, 29), date(2024, 2, 29)).await?, days[4..5]);
    assert_eq!(between(date(2024, 12, 31), date(2025, 1, 1)).await?, days[6..8]);
    assert_eq!(between(date(-1, 12, 31), date(1970, 1, 1)).await?, days[..3]);
    assert_eq!(between(date(2025, 1, 2), date(2025, 12, 31)).await?, []);
    assert_eq!(between(date(2025, 1, 1), date(2024, 1, 1)).await?, []);
    Ok(())
}

async fn blocks_come_in_order_of_key_then_generation(store: Arc<dyn Store>) -> Result<(), Failure> {
    let sync = Worker::sync(&*store, organization(1), 1).await?;
    let import = Worker::import(&*store, organization(1), 1).await?;
    let mut blocks = Vec::new();
    for provider in ["openai", "anthropic"] {
        for account in ["é", "z", "Z", "a", "", "a\u{0}", "組織", "😀"] {
            for feed in ["usage.completions", "costs"] {
                for (day, part) in [(date(2026, 1, 2), 1), (date(2026, 1, 2), 0), (DAY, 10)] {
                    let provider = ProviderId::parse(provider)?;
                    let account = Account { provider, id: account.to_owned() };
                    let key = BlockKey { account, feed: Feed::parse(feed)?, day, part };
                    blocks.push(Block { key, ..block(day)? });
                }
            }
        }
    }
    sync.stage(&*store, 2, &blocks).await?;
    blocks.reverse();
    import.stage(&*store, 1, &blocks).await?;
    assert_eq!(commit(&*store, &sync, 2).await?, Committed::Committed);
    assert_eq!(commit(&*store, &import, 1).await?, Committed::Committed);
    let found: Vec<_> =
        visible(&*store).await?.into_iter().map(|block| (block.key, block.generation)).collect();
    let keys = blocks.iter().map(|block| block.key.clone());
    let mut expected: Vec<_> = keys.flat_map(|key| [(key.clone(), 1), (key, 2)]).collect();
    expected.sort();
    assert_eq!(found, expected);
    Ok(())
}

async fn columns_come_in_the_order_asked(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let mut blocks = Vec::new();
    for part in 0..3_u8 {
        let key = BlockKey { part: part.into(), ..block(DAY)?.key };
        let (core, detail) = (Bytes::from(vec![part; 3]), Bytes::from(vec![part + 100; 9000]));
        blocks.push(Block { key, core, detail, ..block(DAY)? });
    }
    worker.stage(&*store, 1, &blocks).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    let order = [2, 0, 1, 0, 2];
    let asked = order.map(|index| (batch_id(1), blocks[index].key.clone()));
    let cores = store.block_columns(organization(1), &asked, ColumnGroup::Core).await?;
    assert_eq!(cores, order.map(|index| Some(blocks[index].core.clone())));
    let details = store.block_columns(organization(1), &asked, ColumnGroup::Detail).await?;
    assert!(details == order.map(|index| Some(blocks[index].detail.clone())));
    assert_eq!(store.block_columns(organization(1), &[], ColumnGroup::Core).await?, []);
    Ok(())
}

async fn columns_of_staged_gone_and_foreign_blocks_are_none(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    assert_eq!(core(&*store, organization(1), 1).await?, None, "it is staged");
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    assert_eq!(core(&*store, organization(1), 1).await?, Some(block(DAY)?.core));
    assert_eq!(core(&*store, organization(2), 1).await?, None, "it is not theirs");
    let missing = BlockKey { part: 1, ..block(DAY)?.key };
    let asked = [(batch_id(1), missing), (batch_id(1), block(DAY)?.key)];
    let columns = store.block_columns(organization(1), &asked, ColumnGroup::Detail).await?;
    assert_eq!(columns, [None, Some(block(DAY)?.detail)]);
    store.delete_file(organization(1), file_id(1), &audit(organization(1), 300)?).await?;
    assert_eq!(core(&*store, organization(1), 1).await?, None, "it is gone");
    Ok(())
}

async fn the_largest_and_the_emptiest_blocks_are_kept(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let large = Bytes::from(vec![0x5a; 8 << 20]);
    let full = Block { core: large.clone(), detail: large.clone(), ..block(DAY)? };
    let key = BlockKey { day: date(2026, 11, 21), ..full.key.clone() };
    let (core, detail) = (Bytes::new(), Bytes::new());
    let empty = Block { key, row_count: 0, core, detail, ..full.clone() };
    worker.stage(&*store, 1, &[full.clone(), empty.clone()]).await?;
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    let asked = [(batch_id(1), full.key), (batch_id(1), empty.key)];
    for group in [ColumnGroup::Core, ColumnGroup::Detail] {
        let columns = store.block_columns(organization(1), &asked, group).await?;
        assert!(columns == [Some(large.clone()), Some(Bytes::new())]);
    }
    let counts: Vec<_> = visible(&*store).await?.iter().map(|block| block.row_count).collect();
    assert_eq!(counts, [u32::MAX, 0], "a day without charges has been read too");
    Ok(())
}

async fn an_abandoned_batch_is_gone_and_a_committed_one_stays(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    pull(&*store, &worker, 1).await?;
    worker.stage(&*store, 2, &[block(DAY)?]).await?;
    for number in [1, 2, 2, 3] {
        store.abandon_batch(organization(1), batch_id(number)).await?;
    }
    assert_eq!(generations(&*store).await?, [1]);
    assert_eq!(commit(&*store, &worker, 2).await?, Committed::Refused);
    Ok(())
}

async fn only_old_staged_batches_of_the_source_are_swept(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let other = Worker::import(&*store, organization(1), 1).await?;
    pull(&*store, &worker, 1).await?;
    worker.stage(&*store, 2, &[block(DAY)?]).await?;
    other.stage(&*store, 3, &[block(DAY)?]).await?;
    assert_eq!(store.abandon_staged(worker.source, at(100)?).await?, 0, "not before its instant");
    assert_eq!(store.abandon_staged(worker.source, at(101)?).await?, 1);
    assert_eq!(store.abandon_staged(worker.source, at(101)?).await?, 0);
    assert_eq!(commit(&*store, &worker, 2).await?, Committed::Refused);
    assert_eq!(commit(&*store, &other, 3).await?, Committed::Committed);
    assert_eq!(generations(&*store).await?, [1, 2]);
    Ok(())
}

async fn removing_a_file_uncovers_what_was_there_before(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let older = Worker::import(&*store, organization(1), 1).await?;
    let newer = Worker::import(&*store, organization(1), 2).await?;
    pull(&*store, &older, 1).await?;
    pull(&*store, &newer, 2).await?;
    assert_eq!(generations(&*store).await?, [1, 2]);
    let person = audit(organization(1), 300)?;
    assert_eq!(store.remove_batches(organization(1), newer.source, &person).await?, 1);
    assert_eq!(generations(&*store).await?, [1], "the older one is as it was");
    assert_eq!(core(&*store, organization(1), 1).await?, Some(block(DAY)?.core));
    assert_eq!(core(&*store, organization(1), 2).await?, None);
    let later = Worker::import(&*store, organization(1), 3).await?;
    pull(&*store, &later, 3).await?;
    assert_eq!(generations(&*store).await?, [1, 3], "no number is given twice");
    Ok(())
}

async fn removing_counts_what_was_visible(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    for number in [1, 2] {
        pull(&*store, &worker, number).await?;
    }
    worker.stage(&*store, 3, &[block(DAY)?]).await?;
    let person = audit(organization(1), 300)?;
    assert_eq!(store.remove_batches(organization(1), worker.source, &person).await?, 2);
    assert_eq!(visible(&*store).await?, []);
    assert_eq!(commit(&*store, &worker, 3).await?, Committed::Refused, "staged ones went too");
    let entries = store.audit_entries_back(organization(1), None, 1).await?;
    assert_eq!(entries[0].event, person);
    Ok(())
}

async fn removing_twice_is_audited_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    pull(&*store, &worker, 1).await?;
    let before = audit_count(&*store, organization(1)).await?;
    let person = audit(organization(1), 300)?;
    for visible_count in [1, 0, 0] {
        let removed = store.remove_batches(organization(1), worker.source, &person).await?;
        assert_eq!(removed, visible_count);
        assert_eq!(audit_count(&*store, organization(1)).await?, before + 1);
    }
    Ok(())
}

async fn another_organization_neither_sees_nor_removes(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let theirs = organization(2);
    worker.stage(&*store, 1, &[block(DAY)?]).await?;
    store.abandon_batch(theirs, batch_id(1)).await?;
    store.put_blocks(theirs, batch_id(1), &[Block { row_count: 1, ..block(DAY)? }]).await?;
    let foreign = Commit { organization: theirs, ..worker.commit(Some(batch_id(1))) };
    assert_eq!(store.commit(&foreign).await?, Committed::Refused);
    assert_eq!(commit(&*store, &worker, 1).await?, Committed::Committed);
    assert_eq!(store.visible_blocks(theirs, Date::MIN, Date::MAX).await?, []);
    assert_eq!(store.remove_batches(theirs, worker.source, &audit(theirs, 300)?).await?, 0);
    assert_eq!(generations(&*store).await?, [1]);
    assert_eq!(visible(&*store).await?[0].row_count, u32::MAX, "nobody wrote over it");
    Ok(())
}
