//! The first start and the audit log over a real store.

use std::{error::Error, sync::Arc};

use domain::{AuditEvent, Clock, OrganizationId, Scope, organization::Environment};
use identity::{ChainVerdict, environment_of_key, first_start, hash_key, verify_audit_chain};
use jiff::Timestamp;
use store::{Store, sqlite::SqliteStore};
use tempfile::TempDir;

type Failure = Box<dyn Error>;

/// A clock that stands still, between two microseconds.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        "2026-11-20T12:00:00.123456789Z".parse().expect("an instant")
    }
}

async fn open_store() -> Result<(TempDir, Arc<dyn Store>), Failure> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(&folder.path().join("outlay.db")).await?;
    Ok((folder, Arc::new(store)))
}

#[tokio::test]
async fn an_empty_store_gets_an_organization_and_its_owners_key_once() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let first = first_start(&*store, &StoppedClock, "Acme").await?.expect("an empty store");
    assert!(first_start(&*store, &StoppedClock, "Other").await?.is_none());
    assert_eq!(store.organizations().await?, std::slice::from_ref(&first.organization));
    assert_eq!(environment_of_key(first.key.expose()), Some(Environment::Live));
    let key = store.api_key_by_hash(&hash_key(first.key.expose())).await?.expect("the stored key");
    assert_eq!(key.organization, first.organization.id);
    assert_eq!(key.environment, Environment::Live);
    assert_eq!(key.scopes, Scope::ALL);
    Ok(())
}

#[tokio::test]
async fn the_first_start_is_in_the_audit_log() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let first = first_start(&*store, &StoppedClock, "Acme").await?.expect("an empty store");
    let entries = store.audit_entries(first.organization.id, 0, 10).await?;
    let actions: Vec<&str> = entries.iter().map(|entry| entry.event.action.as_str()).collect();
    assert_eq!(actions, ["organization.created"]);
    assert_eq!(entries[0].event.actor, "system");
    let verdict = verify_audit_chain(&*store, first.organization.id).await?;
    assert_eq!(verdict, ChainVerdict::Intact { entry_count: 1, last_hash: entries[0].hash });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_starts_one_makes_the_organization() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..10 {
        let store = store.clone();
        let name = format!("Acme {number}");
        starts.spawn(async move { first_start(&*store, &StoppedClock, &name).await });
    }
    let mut made_count = 0;
    for made in starts.join_all().await {
        made_count += usize::from(made?.is_some());
    }
    assert_eq!(made_count, 1);
    assert_eq!(store.organizations().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_chain_of_several_pages_is_walked_to_its_end() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let organization: OrganizationId =
        first_start(&*store, &StoppedClock, "Acme").await?.expect("an empty store").organization.id;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..1_100 {
        let event = AuditEvent {
            organization,
            actor: "system".to_owned(),
            action: "thing.changed".to_owned(),
            target: format!("thing {number}"),
            ip: None,
            at: Timestamp::UNIX_EPOCH,
        };
        let store = store.clone();
        appends.spawn(async move { store.append_audit(&event).await });
    }
    let mut last = None;
    for entry in appends.join_all().await {
        last = last.max(Some(entry?).map(|entry| (entry.sequence, entry.hash)));
    }
    let (_, last_hash) = last.expect("there are entries");
    let verdict = verify_audit_chain(&*store, organization).await?;
    assert_eq!(verdict, ChainVerdict::Intact { entry_count: 1_101, last_hash });
    Ok(())
}
