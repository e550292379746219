//! Cases of the schedule: what is due, who holds it, what ran.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use store::{
    Store,
    schedule::{Claim, JobKey, RunEnd, ScheduledJob},
};

use crate::{Failure, sample::at};

cases! {
    the_lease_goes_to_one_of_many,
    many_jobs_are_claimed_once_each,
    a_job_is_claimed_when_due_and_not_before,
    the_job_that_is_due_longest_goes_first,
    make_due_brings_forward_and_never_postpones,
    a_lease_keeps_others_out_until_its_very_end,
    a_renewed_lease_lasts_longer,
    a_lease_that_ran_out_but_was_not_taken_can_be_renewed,
    a_lost_lease_can_neither_renew_nor_finish_nor_release,
    finishing_frees_the_lease_and_sets_the_next_time,
    finishing_twice_records_one_run,
    what_was_asked_for_during_a_run_wins_if_it_is_earlier,
    a_job_that_was_asked_for_during_its_last_run_stays,
    what_was_asked_for_before_a_run_is_done_by_it,
    failures_are_counted_until_a_run_ends_well,
    missed_runs_and_errors_are_recorded,
    the_last_hundred_runs_are_kept,
    a_released_job_stays_due,
    a_job_that_comes_back_gets_a_larger_fence,
    jobs_are_listed_by_kind_in_order_of_due_time,
    the_first_and_the_last_instant_read_back,
}

fn job(subject: &str) -> JobKey {
    JobKey { kind: "sync_connection".to_owned(), subject: subject.to_owned() }
}

/// A run from second 200 to 210.
fn end(next_due_at: Option<Timestamp>) -> Result<RunEnd, Failure> {
    let (started_at, finished_at) = (at(200)?, at(210)?);
    Ok(RunEnd { started_at, finished_at, error: None, missed_count: 0, next_due_at })
}

async fn claim(store: &dyn Store, second: i64) -> Result<Claim, Failure> {
    Ok(store.claim_due(at(second)?, 60).await?.ok_or("nothing is due")?)
}

async fn only_job(store: &dyn Store) -> Result<ScheduledJob, Failure> {
    let mut jobs = store.scheduled_jobs("sync_connection").await?;
    assert_eq!(jobs.len(), 1);
    Ok(jobs.remove(0))
}

/// Fifty claims at once, at second 100.
async fn fifty_claims(store: &Arc<dyn Store>) -> Result<Vec<Claim>, Failure> {
    let now = at(100)?;
    let claim = |store: Arc<dyn Store>| async move { store.claim_due(now, 60).await };
    let tasks: Vec<_> = (0..50).map(|_| tokio::spawn(claim(Arc::clone(store)))).collect();
    let mut claims = Vec::new();
    for task in tasks {
        claims.extend(task.await??);
    }
    Ok(claims)
}

async fn the_lease_goes_to_one_of_many(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    assert_eq!(fifty_claims(&store).await?.len(), 1);
    Ok(())
}

async fn many_jobs_are_claimed_once_each(store: Arc<dyn Store>) -> Result<(), Failure> {
    for number in 0..20 {
        store.make_due(&job(&number.to_string()), at(100)?).await?;
    }
    let claims = fifty_claims(&store).await?;
    let subjects: BTreeSet<_> = claims.iter().map(|claim| &claim.lease.key.subject).collect();
    assert_eq!((claims.len(), subjects.len()), (20, 20));
    Ok(())
}

async fn a_job_is_claimed_when_due_and_not_before(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let just_before = at(100)?.checked_sub(SignedDuration::from_micros(1))?;
    assert_eq!(store.claim_due(just_before, 60).await?, None);
    let claim = claim(&*store, 100).await?;
    assert_eq!(claim.lease.key, job("a"));
    assert_eq!((claim.due_at, claim.failure_count), (at(100)?, 0));
    assert_eq!(claim.lease.expires_at, at(160)?);
    Ok(())
}

async fn the_job_that_is_due_longest_goes_first(store: Arc<dyn Store>) -> Result<(), Failure> {
    for (subject, second) in [("b", 20), ("a", 30), ("c", 10), ("later", 101)] {
        store.make_due(&job(subject), at(second)?).await?;
    }
    for subject in ["c", "b", "a"] {
        assert_eq!(claim(&*store, 100).await?.lease.key, job(subject));
    }
    assert_eq!(store.claim_due(at(100)?, 60).await?, None);
    Ok(())
}

async fn make_due_brings_forward_and_never_postpones(store: Arc<dyn Store>) -> Result<(), Failure> {
    for (second, due) in [(100, 100), (100, 100), (200, 100), (50, 50), (-50, -50), (0, -50)] {
        store.make_due(&job("a"), at(second)?).await?;
        assert_eq!(only_job(&*store).await?.due_at, at(due)?, "asked for {second}");
    }
    Ok(())
}

async fn a_lease_keeps_others_out_until_its_very_end(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let first = claim(&*store, 100).await?;
    let just_before = at(160)?.checked_sub(SignedDuration::from_micros(1))?;
    assert_eq!(store.claim_due(just_before, 60).await?, None);
    let second = claim(&*store, 160).await?;
    assert_eq!(second.due_at, at(100)?);
    assert!(second.lease.fence > first.lease.fence);
    Ok(())
}

async fn a_renewed_lease_lasts_longer(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let first = claim(&*store, 100).await?;
    assert!(store.renew_lease(&first.lease, at(300)?).await?);
    assert!(store.renew_lease(&first.lease, at(300)?).await?);
    assert_eq!(only_job(&*store).await?.leased_until, Some(at(300)?));
    assert_eq!(store.claim_due(at(299)?, 60).await?, None);
    assert!(claim(&*store, 300).await?.lease.fence > first.lease.fence);
    Ok(())
}

async fn a_lease_that_ran_out_but_was_not_taken_can_be_renewed(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let first = claim(&*store, 100).await?;
    assert!(store.renew_lease(&first.lease, at(1000)?).await?);
    assert_eq!(store.claim_due(at(999)?, 60).await?, None);
    assert!(store.finish_run(&first.lease, &end(None)?).await?);
    Ok(())
}

async fn a_lost_lease_can_neither_renew_nor_finish_nor_release(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let lost = claim(&*store, 100).await?.lease;
    let held = claim(&*store, 160).await?.lease;
    let before = only_job(&*store).await?;
    assert!(!store.renew_lease(&lost, at(9000)?).await?);
    assert!(!store.finish_run(&lost, &end(Some(at(9000)?))?).await?);
    store.release_lease(&lost).await?;
    assert_eq!(only_job(&*store).await?, before);
    assert_eq!(store.runs(&job("a"), 10).await?, []);
    assert!(store.finish_run(&held, &end(None)?).await?, "the new holder can");
    Ok(())
}

async fn finishing_frees_the_lease_and_sets_the_next_time(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let first = claim(&*store, 100).await?;
    assert!(store.finish_run(&first.lease, &end(Some(at(500)?))?).await?);
    let after = only_job(&*store).await?;
    assert_eq!((after.due_at, after.leased_until), (at(500)?, None));
    assert_eq!(store.claim_due(at(499)?, 60).await?, None);
    let second = claim(&*store, 500).await?;
    assert!(store.finish_run(&second.lease, &end(None)?).await?);
    assert_eq!(store.scheduled_jobs("sync_connection").await?, [], "it is off the schedule");
    assert_eq!(store.runs(&job("a"), 10).await?.len(), 2, "and its runs are remembered");
    Ok(())
}

async fn finishing_twice_records_one_run(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let lease = claim(&*store, 100).await?.lease;
    let failed = RunEnd { error: Some("no answer".to_owned()), ..end(Some(at(500)?))? };
    assert!(store.finish_run(&lease, &failed).await?);
    assert!(!store.finish_run(&lease, &failed).await?, "the lease ended with the run");
    assert_eq!(only_job(&*store).await?.failure_count, 1);
    assert_eq!(store.runs(&job("a"), 10).await?.len(), 1);
    Ok(())
}

async fn what_was_asked_for_during_a_run_wins_if_it_is_earlier(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    for (asked, next, due) in [(205, 500, 205), (900, 700, 700)] {
        store.make_due(&job("a"), at(100)?).await?;
        let lease = claim(&*store, 200).await?.lease;
        store.make_due(&job("a"), at(asked)?).await?;
        store.make_due(&job("a"), at(asked + 1000)?).await?;
        assert_eq!(store.claim_due(at(250)?, 60).await?, None, "one run at a time");
        assert!(store.finish_run(&lease, &end(Some(at(next)?))?).await?);
        assert_eq!(only_job(&*store).await?.due_at, at(due)?);
    }
    Ok(())
}

async fn a_job_that_was_asked_for_during_its_last_run_stays(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let lease = claim(&*store, 200).await?.lease;
    store.make_due(&job("a"), at(205)?).await?;
    assert!(store.finish_run(&lease, &end(None)?).await?);
    assert_eq!(claim(&*store, 205).await?.due_at, at(205)?);
    Ok(())
}

async fn what_was_asked_for_before_a_run_is_done_by_it(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let lost = claim(&*store, 200).await?.lease;
    store.make_due(&job("a"), at(205)?).await?;
    let lease = claim(&*store, 300).await?.lease;
    assert!(lease.fence > lost.fence);
    assert!(store.finish_run(&lease, &end(Some(at(900)?))?).await?);
    assert_eq!(only_job(&*store).await?.due_at, at(900)?);
    Ok(())
}

async fn failures_are_counted_until_a_run_ends_well(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    for (error, count) in [(true, 1), (true, 2), (false, 0), (true, 1)] {
        let claim = claim(&*store, 200).await?;
        let error = error.then(|| "Antwort fehlt – 応答なし".to_owned());
        let end = RunEnd { error, ..end(Some(at(200)?))? };
        assert!(store.finish_run(&claim.lease, &end).await?);
        assert_eq!(only_job(&*store).await?.failure_count, count);
    }
    assert_eq!(claim(&*store, 200).await?.failure_count, 1, "the next holder learns of it");
    Ok(())
}

async fn missed_runs_and_errors_are_recorded(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let lease = claim(&*store, 200).await?.lease;
    let error = Some("größer als erlaubt".to_owned());
    let end = RunEnd { missed_count: u32::MAX, error, ..end(Some(at(900)?))? };
    assert!(store.finish_run(&lease, &end).await?);
    let runs = store.runs(&job("a"), 10).await?;
    assert_eq!(runs.len(), 1);
    assert_eq!((&runs[0].key, runs[0].fence, &runs[0].end), (&job("a"), lease.fence, &end));
    Ok(())
}

async fn the_last_hundred_runs_are_kept(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    store.make_due(&job("other"), at(100)?).await?;
    let other = claim(&*store, 100).await?;
    assert_eq!(other.lease.key, job("a"));
    store.release_lease(&other.lease).await?;
    for number in 0..103 {
        let lease = claim(&*store, 100).await?.lease;
        assert_eq!(lease.key, job("a"));
        let end = RunEnd { missed_count: number, ..end(Some(at(99)?))? };
        assert!(store.finish_run(&lease, &end).await?);
    }
    let missed = |runs: Vec<store::schedule::Run>| -> Vec<u32> {
        runs.into_iter().map(|run| run.end.missed_count).collect()
    };
    let newest_first: Vec<u32> = (3..103).rev().collect();
    assert_eq!(missed(store.runs(&job("a"), 1000).await?), newest_first);
    assert_eq!(missed(store.runs(&job("a"), 2).await?), [102, 101]);
    assert_eq!(store.runs(&job("other"), 1000).await?, []);
    Ok(())
}

async fn a_released_job_stays_due(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let lease = claim(&*store, 100).await?.lease;
    store.release_lease(&lease).await?;
    store.release_lease(&lease).await?;
    assert!(!store.renew_lease(&lease, at(9000)?).await?);
    assert!(!store.finish_run(&lease, &end(None)?).await?);
    let again = claim(&*store, 100).await?;
    assert_eq!((again.due_at, again.failure_count), (at(100)?, 0));
    assert!(again.lease.fence > lease.fence);
    Ok(())
}

async fn a_job_that_comes_back_gets_a_larger_fence(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("a"), at(100)?).await?;
    let first = claim(&*store, 100).await?.lease;
    assert!(store.finish_run(&first, &end(None)?).await?);
    store.make_due(&job("a"), at(100)?).await?;
    assert!(claim(&*store, 100).await?.lease.fence > first.fence);
    assert!(!store.finish_run(&first, &end(None)?).await?);
    Ok(())
}

async fn jobs_are_listed_by_kind_in_order_of_due_time(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.make_due(&job("später"), Timestamp::from_microsecond(5_000_001)?).await?;
    store.make_due(&job("früher – 早い"), Timestamp::from_microsecond(5_000_000)?).await?;
    let other = JobKey { kind: "import_file".to_owned(), subject: "x".to_owned() };
    store.make_due(&other, at(1)?).await?;
    let jobs = store.scheduled_jobs("sync_connection").await?;
    let subjects: Vec<_> = jobs.iter().map(|job| job.key.subject.as_str()).collect();
    assert_eq!(subjects, ["früher – 早い", "später"]);
    assert_eq!(jobs[1].due_at, Timestamp::from_microsecond(5_000_001)?);
    assert_eq!(store.scheduled_jobs("none").await?, []);
    Ok(())
}

async fn the_first_and_the_last_instant_read_back(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.make_due(&job("never"), Timestamp::MAX).await?;
    store.make_due(&job("always"), Timestamp::MIN).await?;
    let lease = claim(&*store, 100).await?.lease;
    assert_eq!(lease.key, job("always"));
    assert!(store.renew_lease(&lease, Timestamp::MAX).await?);
    let jobs = store.scheduled_jobs("sync_connection").await?;
    assert_eq!((jobs[0].due_at, jobs[1].key.clone()), (Timestamp::MIN, job("never")));
    let micros = Some(Timestamp::MAX.as_microsecond());
    assert_eq!(jobs[0].leased_until.map(Timestamp::as_microsecond), micros);
    assert_eq!(Some(jobs[1].due_at.as_microsecond()), micros);
    Ok(())
}
