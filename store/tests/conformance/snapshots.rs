//! Cases of snapshots: seen with their manifest and not before, and never all gone.

use std::sync::Arc;

use store::{Store, snapshots::Manifest};

use crate::{
    Failure,
    sample::{shard, test_shard},
};

cases! {
    a_snapshot_counts_from_its_manifest_on,
    a_snapshot_reads_back_as_it_was_written,
    a_chunk_again_replaces_it_until_the_manifest,
    a_manifest_again_changes_nothing,
    the_newest_place_counts,
    removal_spares_the_newest_and_what_comes_after_it,
    removal_takes_former_incarnations_along,
    nothing_is_removed_while_no_snapshot_counts,
    shards_do_not_see_each_others_snapshots,
}

fn manifest(incarnation: u32, seq: u64) -> Manifest {
    Manifest {
        incarnation,
        seq,
        batch: u128::MAX - u128::from(seq),
        format: u32::MAX,
        chunk_count: 2,
        byte_count: 6,
        sha256: [8; 32],
    }
}

/// A snapshot of two chunks that tell its place.
async fn put(store: &dyn Store, incarnation: u32, seq: u64) -> Result<(), Failure> {
    put_chunks(store, incarnation, seq).await?;
    Ok(store.put_manifest(shard(1), &manifest(incarnation, seq)).await?)
}

async fn put_chunks(store: &dyn Store, incarnation: u32, seq: u64) -> Result<(), Failure> {
    let number = u8::try_from(seq)?;
    for index in 0..2 {
        store.put_snapshot_chunk(shard(1), incarnation, seq, index, &[number; 3]).await?;
    }
    Ok(())
}

async fn chunk(store: &dyn Store, incarnation: u32, seq: u64) -> Result<Option<Vec<u8>>, Failure> {
    let [first, second] =
        [0, 1].map(|index| store.snapshot_chunk(shard(1), incarnation, seq, index));
    let (first, second) = (first.await?, second.await?);
    assert_eq!(first, second, "both are there or none is");
    Ok(first)
}

async fn newest(store: &dyn Store, incarnation: u32) -> Result<Option<u64>, Failure> {
    let newest = store.newest_snapshot(shard(1), incarnation).await?;
    Ok(newest.map(|manifest| manifest.seq))
}

async fn a_snapshot_counts_from_its_manifest_on(store: Arc<dyn Store>) -> Result<(), Failure> {
    put_chunks(&*store, 1, 5).await?;
    assert_eq!(newest(&*store, 1).await?, None);
    assert_eq!(chunk(&*store, 1, 5).await?, None);
    store.put_manifest(shard(1), &manifest(1, 5)).await?;
    assert_eq!(store.newest_snapshot(shard(1), 1).await?, Some(manifest(1, 5)));
    assert_eq!(chunk(&*store, 1, 5).await?, Some(vec![5; 3]));
    assert_eq!(store.snapshot_chunk(shard(1), 1, 5, 2).await?, None);
    Ok(())
}

async fn a_snapshot_reads_back_as_it_was_written(store: Arc<dyn Store>) -> Result<(), Failure> {
    let pattern = (0..=250_u8).cycle();
    let sizes = [0, 1, 256 << 10, (256 << 10) + 1, 8 << 20];
    for (index, size) in (0..).zip(sizes) {
        let bytes: Vec<u8> = pattern.clone().take(size).collect();
        store.put_snapshot_chunk(shard(1), 1, 5, index, &bytes).await?;
    }
    store.put_manifest(shard(1), &manifest(1, 5)).await?;
    for (index, size) in (0..).zip(sizes) {
        let bytes: Vec<u8> = pattern.clone().take(size).collect();
        let stored = store.snapshot_chunk(shard(1), 1, 5, index).await?;
        assert!(stored.as_ref() == Some(&bytes), "chunk {index} of {size} bytes");
    }
    Ok(())
}

async fn a_chunk_again_replaces_it_until_the_manifest(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let longer = vec![1; 600_000];
    store.put_snapshot_chunk(shard(1), 1, 5, 0, &longer).await?;
    put(&*store, 1, 5).await?;
    assert_eq!(chunk(&*store, 1, 5).await?, Some(vec![5; 3]));
    store.put_snapshot_chunk(shard(1), 1, 5, 0, &longer).await?;
    assert_eq!(chunk(&*store, 1, 5).await?, Some(vec![5; 3]));
    Ok(())
}

async fn a_manifest_again_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, 1, 5).await?;
    let other = Manifest { chunk_count: 9, ..manifest(1, 5) };
    store.put_manifest(shard(1), &other).await?;
    assert_eq!(store.newest_snapshot(shard(1), 1).await?, Some(manifest(1, 5)));
    Ok(())
}

async fn the_newest_place_counts(store: Arc<dyn Store>) -> Result<(), Failure> {
    for seq in [9, 200, 30] {
        put(&*store, 1, seq).await?;
    }
    put(&*store, 2, 10).await?;
    assert_eq!(newest(&*store, 1).await?, Some(200));
    assert_eq!(newest(&*store, 2).await?, Some(10));
    assert_eq!(newest(&*store, 3).await?, None);
    Ok(())
}

async fn removal_spares_the_newest_and_what_comes_after_it(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    for seq in [3, 5, 7] {
        put(&*store, 1, seq).await?;
    }
    put_chunks(&*store, 1, 4).await?;
    put_chunks(&*store, 1, 9).await?;
    store.remove_snapshots_before(shard(1), 1, 5).await?;
    let is_there = async |seq| Ok::<_, Failure>(chunk(&*store, 1, seq).await?.is_some());
    assert!(!is_there(3).await? && is_there(5).await? && is_there(7).await?);
    for _ in 0..2 {
        store.remove_snapshots_before(shard(1), 1, u64::MAX).await?;
        assert!(!is_there(5).await? && is_there(7).await?);
    }
    for seq in [4, 9] {
        store.put_manifest(shard(1), &manifest(1, seq)).await?;
    }
    assert!(!is_there(4).await?, "an unfinished one went");
    assert!(is_there(9).await?, "one in the making stayed");
    Ok(())
}

async fn removal_takes_former_incarnations_along(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, 1, 50).await?;
    put(&*store, 2, 3).await?;
    put(&*store, 3, 60).await?;
    store.remove_snapshots_before(shard(1), 2, 0).await?;
    assert_eq!(newest(&*store, 1).await?, None);
    assert_eq!(chunk(&*store, 1, 50).await?, None);
    assert_eq!(newest(&*store, 2).await?, Some(3));
    assert_eq!(newest(&*store, 3).await?, Some(60));
    Ok(())
}

async fn nothing_is_removed_while_no_snapshot_counts(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, 1, 5).await?;
    put_chunks(&*store, 2, 3).await?;
    store.remove_snapshots_before(shard(1), 2, u64::MAX).await?;
    assert_eq!(newest(&*store, 1).await?, Some(5));
    store.put_manifest(shard(1), &manifest(2, 3)).await?;
    assert_eq!(chunk(&*store, 2, 3).await?, Some(vec![3; 3]));
    Ok(())
}

async fn shards_do_not_see_each_others_snapshots(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, 1, 5).await?;
    for other in [test_shard(1), shard(2)] {
        assert_eq!(store.newest_snapshot(other, 1).await?, None);
        assert_eq!(store.snapshot_chunk(other, 1, 5, 0).await?, None);
        store.put_snapshot_chunk(other, 1, 8, 0, b"theirs").await?;
        store.put_manifest(other, &manifest(1, 8)).await?;
        store.remove_snapshots_before(other, 1, u64::MAX).await?;
    }
    assert_eq!(newest(&*store, 1).await?, Some(5));
    assert_eq!(chunk(&*store, 1, 5).await?, Some(vec![5; 3]));
    Ok(())
}
