//! Cases of syncs: one open for each connection, progress that survives, an end that stays.

use std::sync::Arc;

use domain::{
    ConnectionError,
    connection::{FeedProgress, Sync as SyncRun, SyncState},
};
use store::{Created, Store, syncs::SyncEnd};

use crate::{
    Failure,
    sample::{
        at, audit, audit_count, connection_id, new_connection, organization, page, sync, sync_id,
        sync_job,
    },
};

cases! {
    a_connection_has_one_open_sync,
    of_many_requests_one_is_queued,
    the_same_request_again_changes_nothing,
    a_request_of_a_person_is_due_at_once_and_audited_if_queued,
    a_request_of_the_runner_leaves_the_schedule_alone,
    starting_sets_the_window_once,
    a_sync_that_has_ended_cannot_start,
    an_end_is_kept,
    a_failed_sync_says_why,
    pages_are_oldest_first_and_stable,
}

fn number(number: u128) -> Result<SyncRun, Failure> {
    sync(organization(1), connection_id(1), number)
}

fn ended(second: i64) -> Result<SyncEnd, Failure> {
    Ok(SyncEnd { finished_at: at(second)?, error: None, issues: Vec::new() })
}

async fn a_connection_has_one_open_sync(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.open_sync(connection_id(1)).await?, None);
    assert_eq!(store.request_sync(&number(1)?, None).await?, Created::Created);
    assert_eq!(store.request_sync(&number(2)?, None).await?, Created::Exists(number(1)?));
    assert_eq!(store.open_sync(connection_id(1)).await?, Some(number(1)?));
    let other = sync(organization(1), connection_id(2), 3)?;
    assert_eq!(store.request_sync(&other, None).await?, Created::Created);
    store.finish_sync(sync_id(1), &ended(200)?).await?;
    assert_eq!(store.open_sync(connection_id(1)).await?, None);
    assert_eq!(store.request_sync(&number(4)?, None).await?, Created::Created);
    Ok(())
}

async fn of_many_requests_one_is_queued(store: Arc<dyn Store>) -> Result<(), Failure> {
    let request = |store: Arc<dyn Store>, sync: SyncRun, audit| async move {
        store.request_sync(&sync, Some(&audit)).await
    };
    let mut tasks = Vec::new();
    for id in 0..50 {
        let audit = audit(organization(1), 100)?;
        tasks.push(tokio::spawn(request(Arc::clone(&store), number(id)?, audit)));
    }
    let mut queued_count = 0;
    for task in tasks {
        queued_count += usize::from(task.await?? == Created::Created);
    }
    assert_eq!(queued_count, 1);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn the_same_request_again_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    let person = audit(organization(1), 100)?;
    store.request_sync(&number(1)?, Some(&person)).await?;
    let again = store.request_sync(&number(1)?, Some(&person)).await?;
    assert_eq!(again, Created::Exists(number(1)?));
    store.finish_sync(sync_id(1), &ended(200)?).await?;
    let Created::Exists(stored) = store.request_sync(&number(1)?, Some(&person)).await? else {
        return Err("a sync that has ended was queued again".into());
    };
    assert_eq!((stored.id, stored.state), (sync_id(1), SyncState::Done));
    assert_eq!(store.open_sync(connection_id(1)).await?, None);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn a_request_of_a_person_is_due_at_once_and_audited_if_queued(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let job = sync_job(connection_id(1));
    store.make_due(&job, at(9000)?).await?;
    let person = audit(organization(1), 100)?;
    assert_eq!(store.request_sync(&number(1)?, Some(&person)).await?, Created::Created);
    assert_eq!(store.scheduled_jobs(&job.kind).await?[0].due_at, at(100)?);
    let sooner = SyncRun { created_at: at(50)?, ..number(2)? };
    let found = store.request_sync(&sooner, Some(&person)).await?;
    assert_eq!(found, Created::Exists(number(1)?));
    assert_eq!(store.scheduled_jobs(&job.kind).await?[0].due_at, at(50)?);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn a_request_of_the_runner_leaves_the_schedule_alone(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let job = sync_job(connection_id(1));
    store.make_due(&job, at(9000)?).await?;
    store.request_sync(&number(1)?, None).await?;
    assert_eq!(store.scheduled_jobs(&job.kind).await?[0].due_at, at(9000)?);
    assert_eq!(audit_count(&*store, organization(1)).await?, 0);
    Ok(())
}

async fn starting_sets_the_window_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.request_sync(&number(1)?, None).await?;
    let feeds = ["costs".to_owned(), "usage.completions".to_owned()];
    let started = store.start_sync(sync_id(1), at(10)?, at(20)?, &feeds).await?;
    let at_start = |feed: &String| Ok(FeedProgress { feed: feed.clone(), done_through: at(10)? });
    let expected = SyncRun {
        from: Some(at(10)?),
        to: Some(at(20)?),
        state: SyncState::Running,
        progress: feeds.iter().map(at_start).collect::<Result<_, Failure>>()?,
        ..number(1)?
    };
    assert_eq!(started.as_ref(), Some(&expected));
    let again = store.start_sync(sync_id(1), at(11)?, at(99)?, &feeds[..1]).await?;
    assert_eq!(again.as_ref(), Some(&expected), "a restart goes on where it stood");
    assert_eq!(store.open_sync(connection_id(1)).await?, Some(expected));
    assert_eq!(store.start_sync(sync_id(2), at(10)?, at(20)?, &feeds).await?, None);
    Ok(())
}

async fn a_sync_that_has_ended_cannot_start(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.request_sync(&number(1)?, None).await?;
    store.finish_sync(sync_id(1), &ended(200)?).await?;
    assert_eq!(store.start_sync(sync_id(1), at(10)?, at(20)?, &[]).await?, None);
    let stored = store.syncs(organization(1), connection_id(1), &page(10, None)).await?;
    assert_eq!((stored[0].state, stored[0].from), (SyncState::Done, None));
    Ok(())
}

async fn an_end_is_kept(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.request_sync(&number(1)?, None).await?;
    let issues = vec!["Tag fehlt – 欠落".to_owned(), String::new()];
    let end = SyncEnd { issues: issues.clone(), ..ended(200)? };
    store.finish_sync(sync_id(1), &end).await?;
    let error = ConnectionError {
        code: "late".to_owned(),
        message: "too late".to_owned(),
        what_to_do: "nothing".to_owned(),
    };
    let late = SyncEnd { error: Some(error), ..ended(300)? };
    store.finish_sync(sync_id(1), &late).await?;
    let stored = store.syncs(organization(1), connection_id(1), &page(10, None)).await?;
    let finished_at = Some(at(200)?);
    assert_eq!(stored, [SyncRun { state: SyncState::Done, finished_at, issues, ..number(1)? }]);
    store.finish_sync(sync_id(9), &ended(200)?).await?;
    Ok(())
}

async fn a_failed_sync_says_why(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.request_sync(&number(1)?, None).await?;
    let error = ConnectionError {
        code: "unauthorized".to_owned(),
        message: "Der Schlüssel gilt nicht mehr – 無効".to_owned(),
        what_to_do: "Make a new key.".to_owned(),
    };
    let end = SyncEnd { error: Some(error.clone()), ..ended(200)? };
    store.finish_sync(sync_id(1), &end).await?;
    let stored = store.syncs(organization(1), connection_id(1), &page(10, None)).await?;
    assert_eq!((stored[0].state, &stored[0].error), (SyncState::Failed, &Some(error)));
    Ok(())
}

async fn pages_are_oldest_first_and_stable(store: Arc<dyn Store>) -> Result<(), Failure> {
    let person = audit(organization(1), 100)?;
    store.create_connection(&new_connection(organization(1), 1)?, &person).await?;
    store.finish_sync(sync_id(1), &ended(200)?).await?;
    for id in [40, 20, 30] {
        store.request_sync(&number(id)?, None).await?;
        store.finish_sync(sync_id(id), &ended(200)?).await?;
    }
    let list = async |limit, after: Option<u128>| -> Result<Vec<_>, Failure> {
        let after = after.map(sync_id);
        let after = after.as_ref().map(|id| id as &dyn ToString);
        let found = store.syncs(organization(1), connection_id(1), &page(limit, after)).await?;
        Ok(found.into_iter().map(|sync| sync.id).collect())
    };
    assert_eq!(list(2, None).await?, [sync_id(1), sync_id(20)]);
    store.request_sync(&number(10)?, None).await?;
    assert_eq!(
        list(2, Some(20)).await?,
        [sync_id(30), sync_id(40)],
        "nothing twice, none left out"
    );
    assert_eq!(list(2, Some(25)).await?, [sync_id(30), sync_id(40)], "the cursor need not exist");
    assert_eq!(list(9, Some(40)).await?, []);
    let others = store.syncs(organization(2), connection_id(1), &page(9, None)).await?;
    assert_eq!(others, [], "another organization sees nothing");
    Ok(())
}
