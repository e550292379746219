//! Cases of connections: made, changed and removed together with what belongs to them.

use std::sync::Arc;

use domain::{Connection, ConnectionError, ConnectionStatus, connection::SyncState};
use jiff::civil::date;
use store::{
    Created, Store,
    charges::Committed,
    connections::{ConnectionHealth, ConnectionPatch, NewConnection},
};

use crate::{
    Failure,
    sample::{
        Worker, at, audit, audit_count, block, connection, connection_id, new_connection,
        organization, page, sealed, sync_job,
    },
};

cases! {
    a_connection_comes_with_its_secrets_sync_and_schedule,
    making_a_connection_twice_changes_nothing,
    of_many_tries_to_make_a_connection_one_does,
    every_field_reads_back,
    another_organization_sees_and_changes_nothing,
    pages_are_stable_under_inserts_and_deletes,
    a_patch_changes_what_it_names,
    a_patch_that_changes_nothing_is_not_audited,
    pausing_leaves_the_schedule_and_resuming_is_due_at_once,
    new_credentials_replace_all_old_ones,
    new_credentials_leave_a_paused_connection_paused,
    health_keeps_what_it_does_not_know,
    health_never_moves_back_what_is_complete,
    health_does_not_wake_a_paused_connection,
    a_deleted_connection_takes_everything_but_its_charges,
    a_connection_can_be_deleted_with_its_charges,
    deleting_a_connection_twice_is_audited_once,
    a_deleted_connection_is_not_brought_back_by_its_last_run,
}

async fn make(store: &dyn Store, number: u128) -> Result<NewConnection, Failure> {
    let new = new_connection(organization(1), number)?;
    let made = store.create_connection(&new, &audit(organization(1), 100)?).await?;
    assert_eq!(made, Created::Created);
    Ok(new)
}

async fn stored(store: &dyn Store, number: u128) -> Result<Connection, Failure> {
    let found = store.connection(organization(1), connection_id(number)).await?;
    Ok(found.ok_or("the connection is gone")?)
}

fn problem() -> ConnectionError {
    ConnectionError {
        code: "unauthorized".to_owned(),
        message: "Schlüssel ungültig – 無効".to_owned(),
        what_to_do: "Make a new key.".to_owned(),
    }
}

fn health(status: ConnectionStatus) -> ConnectionHealth {
    let (account, last_sync_at, complete_through, error) = (None, None, None, None);
    ConnectionHealth { status, account, last_sync_at, complete_through, error }
}

async fn a_connection_comes_with_its_secrets_sync_and_schedule(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let new = make(&*store, 1).await?;
    assert_eq!(stored(&*store, 1).await?, new.connection);
    assert_eq!(store.connection_by_id(connection_id(1)).await?, Some(new.connection));
    let record = connection_id(1).to_string();
    assert_eq!(store.sealed_secrets(organization(1), &record).await?, new.secrets);
    assert_eq!(store.open_sync(connection_id(1)).await?, Some(new.sync));
    let jobs = store.scheduled_jobs("sync_connection").await?;
    assert_eq!((jobs.len(), &jobs[0].key), (1, &sync_job(connection_id(1))));
    assert_eq!((jobs[0].due_at, jobs[0].leased_until), (at(100)?, None));
    let entries = store.audit_entries(organization(1), 0, 10).await?;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].event, audit(organization(1), 100)?);
    assert!(entries[0].follows(None));
    Ok(())
}

async fn making_a_connection_twice_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    let new = make(&*store, 1).await?;
    let mut other = new_connection(organization(1), 1)?;
    other.connection.name = "another".to_owned();
    other.secrets[0].ciphertext = vec![1];
    let again = store.create_connection(&other, &audit(organization(1), 200)?).await?;
    assert_eq!(again, Created::Exists(new.connection.clone()));
    assert_eq!(stored(&*store, 1).await?, new.connection);
    let record = connection_id(1).to_string();
    assert_eq!(store.sealed_secrets(organization(1), &record).await?, new.secrets);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn of_many_tries_to_make_a_connection_one_does(store: Arc<dyn Store>) -> Result<(), Failure> {
    let create = |store: Arc<dyn Store>, new: NewConnection, audit| async move {
        store.create_connection(&new, &audit).await
    };
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let new = new_connection(organization(1), 1)?;
        let audit = audit(organization(1), 100)?;
        tasks.push(tokio::spawn(create(Arc::clone(&store), new, audit)));
    }
    let mut made_count = 0;
    for task in tasks {
        made_count += usize::from(task.await?? == Created::Created);
    }
    assert_eq!(made_count, 1);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn every_field_reads_back(store: Arc<dyn Store>) -> Result<(), Failure> {
    let mut new = new_connection(organization(1), 1)?;
    new.connection = Connection {
        name: "naïve 接続 \u{0} 🔑 'quoted\"".to_owned(),
        account: Some("org-größe".to_owned()),
        base_url: Some("http://127.0.0.1:8080".to_owned()),
        backfill_days: u32::MAX,
        interval_minutes: u32::MAX,
        status: ConnectionStatus::NeedsAttention,
        last_sync_at: Some(at(-1)?),
        complete_through: Some(at(0)?),
        error: Some(problem()),
        ..connection(organization(1), 1)?
    };
    new.secrets.push(sealed(organization(1), connection_id(1), "zone", b""));
    new.secrets.push(sealed(organization(1), connection_id(1), "a", &[255; 1000]));
    store.create_connection(&new, &audit(organization(1), 100)?).await?;
    assert_eq!(stored(&*store, 1).await?, new.connection);
    let secrets = store.sealed_secrets(organization(1), &connection_id(1).to_string()).await?;
    let fields: Vec<_> = secrets.iter().map(|secret| secret.field.as_str()).collect();
    assert_eq!(fields, ["a", "api_key", "zone"]);
    assert_eq!(secrets[0].ciphertext, [255; 1000]);
    Ok(())
}

async fn another_organization_sees_and_changes_nothing(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let new = make(&*store, 1).await?;
    let (theirs, id, audit) = (organization(2), connection_id(1), audit(organization(2), 200)?);
    let patch = ConnectionPatch { name: Some("taken".to_owned()), ..ConnectionPatch::default() };
    assert_eq!(store.connection(theirs, id).await?, None);
    assert_eq!(store.connections(theirs, &page(10, None)).await?, []);
    assert_eq!(store.update_connection(theirs, id, &patch, &audit).await?, None);
    assert_eq!(store.replace_credentials(theirs, id, &[], &audit).await?, None);
    assert!(!store.delete_connection(theirs, id, true, &audit).await?);
    assert_eq!(stored(&*store, 1).await?, new.connection);
    assert_eq!(store.sealed_secrets(theirs, &id.to_string()).await?, []);
    assert_eq!(store.sealed_secrets(organization(1), &id.to_string()).await?, new.secrets);
    assert_eq!(audit_count(&*store, theirs).await?, 0);
    Ok(())
}

async fn pages_are_stable_under_inserts_and_deletes(store: Arc<dyn Store>) -> Result<(), Failure> {
    for number in [30, 10, 40, 20] {
        make(&*store, number).await?;
    }
    let list = async |after: Option<u128>| -> Result<Vec<_>, Failure> {
        let after = after.map(connection_id);
        let after = after.as_ref().map(|id| id as &dyn ToString);
        let found = store.connections(organization(1), &page(2, after)).await?;
        Ok(found.into_iter().map(|connection| connection.id).collect())
    };
    assert_eq!(list(None).await?, [connection_id(10), connection_id(20)]);
    make(&*store, 15).await?;
    let audit = audit(organization(1), 200)?;
    store.delete_connection(organization(1), connection_id(20), false, &audit).await?;
    assert_eq!(list(Some(20)).await?, [connection_id(30), connection_id(40)], "after a gone one");
    assert_eq!(list(Some(40)).await?, []);
    assert_eq!(list(None).await?, [connection_id(10), connection_id(15)]);
    Ok(())
}

async fn a_patch_changes_what_it_names(store: Arc<dyn Store>) -> Result<(), Failure> {
    let new = make(&*store, 1).await?;
    let person = audit(organization(1), 200)?;
    let name = Some("neu – 新".to_owned());
    let patch = ConnectionPatch { name, ..ConnectionPatch::default() };
    let id = connection_id(1);
    let changed = store.update_connection(organization(1), id, &patch, &person).await?;
    let expected = Connection { name: "neu – 新".to_owned(), ..new.connection };
    assert_eq!(changed.as_ref(), Some(&expected));
    let patch = ConnectionPatch { interval_minutes: Some(5), ..ConnectionPatch::default() };
    store.update_connection(organization(1), id, &patch, &person).await?;
    let expected = Connection { interval_minutes: 5, ..expected };
    assert_eq!(stored(&*store, 1).await?, expected);
    assert_eq!(audit_count(&*store, organization(1)).await?, 3);
    let gone = store.update_connection(organization(1), connection_id(2), &patch, &person).await?;
    assert_eq!(gone, None);
    Ok(())
}

async fn a_patch_that_changes_nothing_is_not_audited(store: Arc<dyn Store>) -> Result<(), Failure> {
    make(&*store, 1).await?;
    let patch = ConnectionPatch {
        name: Some("new".to_owned()),
        interval_minutes: Some(5),
        paused: Some(true),
    };
    let person = audit(organization(1), 200)?;
    for _ in 0..2 {
        store.update_connection(organization(1), connection_id(1), &patch, &person).await?;
    }
    assert_eq!(audit_count(&*store, organization(1)).await?, 2);
    Ok(())
}

async fn pausing_leaves_the_schedule_and_resuming_is_due_at_once(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let end = store::schedule::RunEnd {
        started_at: at(200)?,
        finished_at: at(210)?,
        error: None,
        missed_count: 0,
        next_due_at: Some(at(9000)?),
    };
    assert!(store.finish_run(&worker.lease, &end).await?);
    let due_at = async || -> Result<_, Failure> {
        Ok(store.scheduled_jobs("sync_connection").await?[0].due_at)
    };
    let patch = |paused| ConnectionPatch { paused: Some(paused), ..ConnectionPatch::default() };
    let (id, person) = (connection_id(1), audit(organization(1), 300)?);
    let paused = store.update_connection(organization(1), id, &patch(true), &person).await?;
    assert_eq!(paused.map(|found| found.status), Some(ConnectionStatus::Paused));
    assert_eq!(due_at().await?, at(9000)?);
    let resumed = store.update_connection(organization(1), id, &patch(false), &person).await?;
    assert_eq!(resumed.map(|found| found.status), Some(ConnectionStatus::Syncing));
    assert_eq!(due_at().await?, at(300)?);
    store.record_connection_health(id, &health(ConnectionStatus::Ok)).await?;
    store.update_connection(organization(1), id, &patch(false), &person).await?;
    assert_eq!(stored(&*store, 1).await?.status, ConnectionStatus::Ok, "it was not paused");
    Ok(())
}

async fn new_credentials_replace_all_old_ones(store: Arc<dyn Store>) -> Result<(), Failure> {
    make(&*store, 1).await?;
    let id = connection_id(1);
    let ill =
        ConnectionHealth { error: Some(problem()), ..health(ConnectionStatus::NeedsAttention) };
    store.record_connection_health(id, &ill).await?;
    let fresh =
        [sealed(organization(1), id, "secret", &[2]), sealed(organization(1), id, "key_id", &[1])];
    let person = audit(organization(1), 50)?;
    for _ in 0..2 {
        let changed = store.replace_credentials(organization(1), id, &fresh, &person).await?;
        let changed = changed.ok_or("the connection is gone")?;
        assert_eq!((changed.status, changed.error), (ConnectionStatus::Syncing, None));
    }
    assert_eq!(stored(&*store, 1).await?.status, ConnectionStatus::Syncing);
    let [secret, key_id] = fresh;
    let sealed = store.sealed_secrets(organization(1), &id.to_string()).await?;
    assert_eq!(sealed, [key_id, secret]);
    assert_eq!(store.scheduled_jobs("sync_connection").await?[0].due_at, at(50)?);
    assert_eq!(audit_count(&*store, organization(1)).await?, 2);
    Ok(())
}

async fn new_credentials_leave_a_paused_connection_paused(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    make(&*store, 1).await?;
    let (id, person) = (connection_id(1), audit(organization(1), 200)?);
    let pause = ConnectionPatch { paused: Some(true), ..ConnectionPatch::default() };
    store.update_connection(organization(1), id, &pause, &person).await?;
    let fresh = [sealed(organization(1), id, "api_key", &[9])];
    store.replace_credentials(organization(1), id, &fresh, &person).await?;
    assert_eq!(stored(&*store, 1).await?.status, ConnectionStatus::Paused);
    Ok(())
}

async fn health_keeps_what_it_does_not_know(store: Arc<dyn Store>) -> Result<(), Failure> {
    let new = make(&*store, 1).await?;
    let known = ConnectionHealth {
        status: ConnectionStatus::Ok,
        account: Some("org-1".to_owned()),
        last_sync_at: Some(at(300)?),
        complete_through: Some(at(250)?),
        error: None,
    };
    store.record_connection_health(connection_id(1), &known).await?;
    let error = Some(problem());
    let unknown = ConnectionHealth { error, ..health(ConnectionStatus::NeedsAttention) };
    store.record_connection_health(connection_id(1), &unknown).await?;
    let expected = Connection {
        status: ConnectionStatus::NeedsAttention,
        account: known.account,
        last_sync_at: known.last_sync_at,
        complete_through: known.complete_through,
        error: Some(problem()),
        ..new.connection
    };
    assert_eq!(stored(&*store, 1).await?, expected);
    store.record_connection_health(connection_id(1), &health(ConnectionStatus::Ok)).await?;
    assert_eq!(stored(&*store, 1).await?.error, None, "no error clears the old one");
    Ok(())
}

async fn health_never_moves_back_what_is_complete(store: Arc<dyn Store>) -> Result<(), Failure> {
    make(&*store, 1).await?;
    for (second, complete) in [(-5, -5), (250, 250), (200, 250), (251, 251)] {
        let complete_through = Some(at(second)?);
        let told = ConnectionHealth { complete_through, ..health(ConnectionStatus::Ok) };
        store.record_connection_health(connection_id(1), &told).await?;
        assert_eq!(stored(&*store, 1).await?.complete_through, Some(at(complete)?));
    }
    Ok(())
}

async fn health_does_not_wake_a_paused_connection(store: Arc<dyn Store>) -> Result<(), Failure> {
    make(&*store, 1).await?;
    let pause = ConnectionPatch { paused: Some(true), ..ConnectionPatch::default() };
    let (id, person) = (connection_id(1), audit(organization(1), 200)?);
    store.update_connection(organization(1), id, &pause, &person).await?;
    let told = ConnectionHealth { last_sync_at: Some(at(9)?), ..health(ConnectionStatus::Ok) };
    store.record_connection_health(id, &told).await?;
    let found = stored(&*store, 1).await?;
    assert_eq!((found.status, found.last_sync_at), (ConnectionStatus::Paused, Some(at(9)?)));
    Ok(())
}

async fn a_deleted_connection_takes_everything_but_its_charges(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let day = date(2026, 11, 20);
    let batch = worker.stage(&*store, 1, &[block(day)?]).await?;
    assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Committed);
    make(&*store, 2).await?;

    let (id, person) = (connection_id(1), audit(organization(1), 300)?);
    assert!(store.delete_connection(organization(1), id, false, &person).await?);
    assert_eq!(store.connection(organization(1), id).await?, None);
    assert_eq!(store.connection_by_id(id).await?, None);
    assert_eq!(store.sealed_secrets(organization(1), &id.to_string()).await?, []);
    assert_eq!(store.open_sync(id).await?, None);
    assert_eq!(store.syncs(organization(1), id, &page(10, None)).await?, []);
    let jobs = store.scheduled_jobs("sync_connection").await?;
    assert_eq!((jobs.len(), &jobs[0].key), (1, &sync_job(connection_id(2))));
    let visible = store.visible_blocks(organization(1), day, day).await?;
    assert_eq!(visible.len(), 1, "what was spent was spent");
    assert_eq!(stored(&*store, 2).await?.id, connection_id(2));
    assert!(store.open_sync(connection_id(2)).await?.is_some());
    Ok(())
}

async fn a_connection_can_be_deleted_with_its_charges(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let other = Worker::sync(&*store, organization(1), 2).await?;
    let day = date(2026, 11, 20);
    for (number, worker) in [(1, &worker), (2, &other)] {
        let batch = worker.stage(&*store, number, &[block(day)?]).await?;
        assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Committed);
    }
    let person = audit(organization(1), 300)?;
    assert!(store.delete_connection(organization(1), connection_id(1), true, &person).await?);
    let visible = store.visible_blocks(organization(1), day, day).await?;
    assert_eq!(visible.iter().map(|block| block.source).collect::<Vec<_>>(), [other.source]);
    Ok(())
}

async fn deleting_a_connection_twice_is_audited_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    make(&*store, 1).await?;
    let person = audit(organization(1), 300)?;
    assert!(store.delete_connection(organization(1), connection_id(1), true, &person).await?);
    assert!(!store.delete_connection(organization(1), connection_id(1), true, &person).await?);
    assert_eq!(audit_count(&*store, organization(1)).await?, 2);
    Ok(())
}

async fn a_deleted_connection_is_not_brought_back_by_its_last_run(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::sync(&*store, organization(1), 1).await?;
    let id = connection_id(1);
    let sync = store.open_sync(id).await?.ok_or("no sync is open")?;
    assert_eq!(sync.state, SyncState::Running);
    let day = date(2026, 11, 20);
    let batch = worker.stage(&*store, 1, &[block(day)?]).await?;
    store.delete_connection(organization(1), id, false, &audit(organization(1), 300)?).await?;

    assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Refused);
    assert_eq!(store.commit(&worker.commit(None)).await?, Committed::Refused);
    assert!(!store.renew_lease(&worker.lease, at(9000)?).await?);
    let end = store::schedule::RunEnd {
        started_at: at(200)?,
        finished_at: at(310)?,
        error: None,
        missed_count: 0,
        next_due_at: Some(at(9000)?),
    };
    assert!(!store.finish_run(&worker.lease, &end).await?);
    store.record_connection_health(id, &health(ConnectionStatus::Ok)).await?;
    assert_eq!(store.connection_by_id(id).await?, None);
    assert_eq!(store.scheduled_jobs("sync_connection").await?, []);
    assert_eq!(store.visible_blocks(organization(1), day, day).await?, []);
    Ok(())
}
