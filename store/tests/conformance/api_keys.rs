//! Cases of API keys: found by hash, made once, revoked once.

use std::sync::Arc;

use domain::{ApiKey, KeyId, Scope, organization::Environment};
use jiff::Timestamp;
use store::{Created, Store};
use uuid::Uuid;

use crate::{
    Failure,
    sample::{api_key, at, audit, organization},
};

cases! {
    a_key_is_found_by_its_hash_as_it_was_stored,
    the_same_id_again_changes_nothing,
    of_many_creations_of_one_id_exactly_one_creates,
    keys_come_in_id_order_and_only_their_organizations,
    a_key_is_revoked_once,
    another_organizations_key_cannot_be_revoked,
}

async fn a_key_is_found_by_its_hash_as_it_was_stored(store: Arc<dyn Store>) -> Result<(), Failure> {
    let plain = api_key(1, organization(1))?;
    let rich = ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(u128::MAX)),
        name: "\"quoted\" 'and' größer, 鍵\0end".to_owned(),
        environment: Environment::Test,
        scopes: vec![Scope::Admin, Scope::Read, Scope::Write, Scope::Track],
        sha256: [0xff; 32],
        created_at: Timestamp::from_microsecond(1_700_000_000_123_456)?,
        revoked_at: Some(at(-62_135_596_800)?),
        ..plain.clone()
    };
    for key in [&plain, &rich] {
        let created = store.create_api_key(key, &audit(organization(1), 1)?).await?;
        assert_eq!(created, Created::Created);
        assert_eq!(store.api_key_by_hash(&key.sha256).await?.as_ref(), Some(key));
    }
    assert_eq!(store.api_key_by_hash(&[7; 32]).await?, None);
    Ok(())
}

async fn the_same_id_again_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    let key = api_key(1, organization(1))?;
    let event = audit(organization(1), 1)?;
    store.create_api_key(&key, &event).await?;
    let changed = ApiKey { name: "changed".to_owned(), sha256: [9; 32], ..key.clone() };
    for again in [&key, &changed] {
        let created = store.create_api_key(again, &event).await?;
        assert_eq!(created, Created::Exists(key.clone()));
    }
    assert_eq!(store.api_key_by_hash(&[9; 32]).await?, None);
    assert_eq!(store.audit_entries(organization(1), 0, 10).await?.len(), 1);
    Ok(())
}

async fn of_many_creations_of_one_id_exactly_one_creates(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let key = api_key(1, organization(1))?;
    let event = audit(organization(1), 1)?;
    let create = || {
        let (store, key, event) = (Arc::clone(&store), key.clone(), event.clone());
        async move { store.create_api_key(&key, &event).await }
    };
    let tasks: Vec<_> = (0..50).map(|_| tokio::spawn(create())).collect();
    let mut created_count = 0;
    for task in tasks {
        match task.await?? {
            Created::Created => created_count += 1,
            Created::Exists(stored) => assert_eq!(stored, key),
        }
    }
    assert_eq!(created_count, 1);
    assert_eq!(store.audit_entries(organization(1), 0, 10).await?.len(), 1);
    Ok(())
}

async fn keys_come_in_id_order_and_only_their_organizations(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    for number in [3, 1, 2] {
        let key = api_key(number, organization(1))?;
        store.create_api_key(&key, &audit(organization(1), 1)?).await?;
    }
    let others = api_key(4, organization(2))?;
    store.create_api_key(&others, &audit(organization(2), 1)?).await?;
    let of_one = store.api_keys(organization(1)).await?;
    let ids: Vec<_> = of_one.iter().map(|key| key.id.uuid().as_u128()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(store.api_keys(organization(2)).await?, [others]);
    assert_eq!(store.api_keys(organization(3)).await?, []);
    Ok(())
}

async fn a_key_is_revoked_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let key = api_key(1, organization(1))?;
    let event = audit(organization(1), 1)?;
    store.create_api_key(&key, &event).await?;
    let revoked = ApiKey { revoked_at: Some(at(50)?), ..key.clone() };
    for second in [50, 60] {
        let answer = store.revoke_api_key(organization(1), key.id, at(second)?, &event).await?;
        assert_eq!(answer.as_ref(), Some(&revoked), "the first revocation stays");
    }
    assert_eq!(store.api_key_by_hash(&key.sha256).await?, Some(revoked));
    let entries = store.audit_entries(organization(1), 0, 10).await?;
    assert_eq!(entries.len(), 2, "one for the key, one for its revocation");
    Ok(())
}

async fn another_organizations_key_cannot_be_revoked(store: Arc<dyn Store>) -> Result<(), Failure> {
    let key = api_key(1, organization(1))?;
    store.create_api_key(&key, &audit(organization(1), 1)?).await?;
    let event = audit(organization(2), 1)?;
    assert_eq!(store.revoke_api_key(organization(2), key.id, at(2)?, &event).await?, None);
    assert_eq!(store.api_key_by_hash(&key.sha256).await?, Some(key));
    assert_eq!(store.audit_entries(organization(2), 0, 10).await?, []);
    Ok(())
}
