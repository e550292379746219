//! Cases of sealed bodies: what was put stays, claimed ones until their time is over, orphans until
//! somebody says that they are.

use std::sync::Arc;

use jiff::Timestamp;
use store::{Store, bodies::SealedBody};

use crate::{
    Failure,
    sample::{shard, test_shard},
};

cases! {
    a_body_reads_back_as_it_was_sealed,
    what_is_put_twice_stays_as_it_was,
    unclaimed_bodies_come_oldest_first,
    a_claimed_body_stays_and_an_orphan_goes,
    a_body_goes_when_its_time_is_over,
    shards_do_not_see_each_others_bodies,
}

fn at(second: i64) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_microsecond(1_800_000_000_000_001 + second * 1_000_000)?)
}

fn sealed(id: u128, second: i64) -> Result<SealedBody, Failure> {
    let ciphertext = vec![0, 255, u8::try_from(id % 256)?];
    Ok(SealedBody { id, sealed_at: at(second)?, data_key_version: u32::MAX, ciphertext })
}

async fn unclaimed(store: &dyn Store) -> Result<Vec<u128>, Failure> {
    let found = store.unclaimed_bodies(shard(1), at(1000)?, 9).await?;
    Ok(found.into_iter().map(|(id, _)| id).collect())
}

async fn a_body_reads_back_as_it_was_sealed(store: Arc<dyn Store>) -> Result<(), Failure> {
    let bodies = [sealed(0, 1)?, sealed(u128::MAX, 2)?, sealed(7, 3)?];
    store.put_bodies(shard(1), &[]).await?;
    store.put_bodies(shard(1), &bodies).await?;
    for body in &bodies {
        assert_eq!(store.body(shard(1), body.id).await?.as_ref(), Some(body));
    }
    assert_eq!(store.body(shard(1), 8).await?, None);
    let large = SealedBody { ciphertext: vec![9; 1 << 20], ..sealed(9, 4)? };
    store.put_bodies(shard(1), std::slice::from_ref(&large)).await?;
    assert_eq!(store.body(shard(1), 9).await?, Some(large));
    Ok(())
}

async fn what_is_put_twice_stays_as_it_was(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.put_bodies(shard(1), &[sealed(1, 1)?]).await?;
    store.settle_bodies(shard(1), &[1], &[]).await?;
    let other = SealedBody { ciphertext: vec![1], ..sealed(1, 9)? };
    store.put_bodies(shard(1), &[other, sealed(2, 2)?, sealed(2, 5)?]).await?;
    assert_eq!(store.body(shard(1), 1).await?, Some(sealed(1, 1)?));
    assert_eq!(store.body(shard(1), 2).await?, Some(sealed(2, 2)?));
    assert_eq!(unclaimed(&*store).await?, [2], "what was claimed stays claimed");
    Ok(())
}

async fn unclaimed_bodies_come_oldest_first(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.put_bodies(shard(1), &[sealed(1, 30)?, sealed(2, 10)?, sealed(3, 20)?]).await?;
    let found = store.unclaimed_bodies(shard(1), at(30)?, 9).await?;
    assert_eq!(found, [(2, at(10)?), (3, at(20)?)], "before, and not at");
    assert_eq!(store.unclaimed_bodies(shard(1), at(40)?, 1).await?, [(2, at(10)?)]);
    Ok(())
}

async fn a_claimed_body_stays_and_an_orphan_goes(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.put_bodies(shard(1), &[sealed(1, 1)?, sealed(2, 2)?, sealed(3, 3)?]).await?;
    for _ in 0..2 {
        store.settle_bodies(shard(1), &[1, 99], &[2, 98]).await?;
        assert_eq!(unclaimed(&*store).await?, [3]);
        assert_eq!(store.body(shard(1), 2).await?, None);
    }
    store.settle_bodies(shard(1), &[], &[1]).await?;
    assert_eq!(store.body(shard(1), 1).await?, Some(sealed(1, 1)?), "an event has it");
    Ok(())
}

async fn a_body_goes_when_its_time_is_over(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.put_bodies(shard(1), &[sealed(1, 1)?, sealed(2, 2)?, sealed(3, 3)?]).await?;
    store.settle_bodies(shard(1), &[1, 3], &[]).await?;
    assert_eq!(store.remove_bodies(shard(1), at(3)?).await?, 2);
    assert_eq!(store.remove_bodies(shard(1), at(3)?).await?, 0);
    assert_eq!(store.body(shard(1), 1).await?, None);
    assert_eq!(store.body(shard(1), 3).await?, Some(sealed(3, 3)?));
    Ok(())
}

async fn shards_do_not_see_each_others_bodies(store: Arc<dyn Store>) -> Result<(), Failure> {
    let others = [shard(2), test_shard(1)];
    store.put_bodies(shard(1), &[sealed(1, 1)?]).await?;
    for other in others {
        assert_eq!(store.body(other, 1).await?, None);
        assert_eq!(store.unclaimed_bodies(other, at(9)?, 9).await?, []);
        store.settle_bodies(other, &[1], &[1]).await?;
        assert_eq!(store.remove_bodies(other, at(9)?).await?, 0);
    }
    assert_eq!(unclaimed(&*store).await?, [1]);
    Ok(())
}
