//! Cases of the schedule: what is due, who holds it, what ran.

use std::sync::Arc;

use store::{Store, schedule::JobKey};

use crate::{Failure, sample::at};

cases! {
    the_lease_goes_to_one_of_many,
    a_job_is_claimed_when_due_and_not_before,
}

fn job(subject: &str) -> JobKey {
    JobKey { kind: "sync_connection".to_owned(), subject: subject.to_owned() }
}

async fn the_lease_goes_to_one_of_many(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let now = at(100)?;
    let claim = |store: Arc<dyn Store>| async move { store.claim_due(now, 60).await };
    let tasks: Vec<_> = (0..50).map(|_| tokio::spawn(claim(Arc::clone(&store)))).collect();
    let mut winner_count = 0;
    for task in tasks {
        winner_count += usize::from(task.await??.is_some());
    }
    assert_eq!(winner_count, 1);
    Ok(())
}

async fn a_job_is_claimed_when_due_and_not_before(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    assert_eq!(store.claim_due(at(99)?, 60).await?, None);
    let claim = store.claim_due(at(100)?, 60).await?.ok_or("nothing is due")?;
    assert_eq!(claim.lease.key, job("a"));
    assert_eq!((claim.due_at, claim.failure_count), (at(100)?, 0));
    assert_eq!(claim.lease.expires_at, at(160)?);
    Ok(())
}
