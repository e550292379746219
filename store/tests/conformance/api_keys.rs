//! Cases of API keys: found by hash, made once, revoked once, rotated once, and never all of them
//! ended that manage the others.

use std::sync::Arc;

use domain::{ApiKey, KeyId, Path, Scope, organization::Environment};
use jiff::Timestamp;
use store::{
    Created, Store,
    api_keys::{Revoked, Rotated, Rotation},
};
use uuid::Uuid;

use crate::{
    Failure,
    sample::{api_key, at, audit, audit_count, organization, page},
};

cases! {
    a_key_is_found_by_its_hash_as_it_was_stored,
    the_same_id_again_changes_nothing,
    of_many_creations_of_one_id_exactly_one_creates,
    keys_come_in_id_order_and_only_their_organizations,
    pages_of_keys_hold_those_of_one_environment,
    a_key_is_revoked_once,
    another_organizations_key_cannot_be_found_revoked_or_rotated,
    the_last_key_that_manages_all_keys_stays,
    of_two_last_admin_keys_revoked_at_once_one_stays,
    a_rotated_key_has_a_successor_and_ends_when_it_was_asked_to,
    a_rotation_never_makes_a_key_last_longer,
    a_rotation_again_finds_the_same_key,
    what_has_ended_or_was_rotated_is_not_rotated,
    of_many_rotations_at_once_one_counts,
}

async fn a_key_is_found_by_its_hash_as_it_was_stored(store: Arc<dyn Store>) -> Result<(), Failure> {
    let plain = api_key(1, organization(1))?;
    let rich = ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(u128::MAX)),
        name: "\"quoted\" 'and' größer, 鍵\0end".to_owned(),
        environment: Environment::Test,
        scopes: vec![Scope::Admin, Scope::Read, Scope::Write, Scope::Track],
        path_prefix: Some(Path::parse("acme/search.v2/query_rewrite-1")?),
        sha256: [0xff; 32],
        created_at: Timestamp::from_microsecond(1_700_000_000_123_456)?,
        expires_at: Some(Timestamp::from_microsecond(253_402_207_199_999_999)?),
        revoked_at: Some(at(-62_135_596_800)?),
        rotated_to: Some(KeyId::from_uuid(Uuid::from_u128(7))),
        ..plain.clone()
    };
    for key in [&plain, &rich] {
        let created = store.create_api_key(key, &audit(organization(1), 1)?).await?;
        assert_eq!(created, Created::Created);
        assert_eq!(store.api_key_by_hash(&key.sha256).await?.as_ref(), Some(key));
        assert_eq!(store.api_key(organization(1), key.id).await?.as_ref(), Some(key));
    }
    assert_eq!(store.api_key_by_hash(&[7; 32]).await?, None);
    let unknown = KeyId::from_uuid(Uuid::from_u128(7));
    assert_eq!(store.api_key(organization(1), unknown).await?, None);
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
    let all = page(10, None);
    let of_one = store.api_keys(organization(1), None, &all).await?;
    let ids: Vec<_> = of_one.iter().map(|key| key.id.uuid().as_u128()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(store.api_keys(organization(2), None, &all).await?, [others]);
    assert_eq!(store.api_keys(organization(3), None, &all).await?, []);
    Ok(())
}

async fn pages_of_keys_hold_those_of_one_environment(store: Arc<dyn Store>) -> Result<(), Failure> {
    for number in 1..=5 {
        let environment = if number % 2 == 0 { Environment::Test } else { Environment::Live };
        let key = ApiKey { environment, ..api_key(number, organization(1))? };
        store.create_api_key(&key, &audit(organization(1), 1)?).await?;
    }
    let numbers = async |environment, limit, after: Option<u128>| {
        let after = after.map(|number| KeyId::from_uuid(Uuid::from_u128(number)));
        let page = page(limit, after.as_ref().map(|id| id as &dyn ToString));
        let keys = store.api_keys(organization(1), environment, &page).await?;
        Ok::<_, Failure>(keys.iter().map(|key| key.id.uuid().as_u128()).collect::<Vec<_>>())
    };
    assert_eq!(numbers(None, 2, None).await?, [1, 2]);
    assert_eq!(numbers(None, 2, Some(2)).await?, [3, 4]);
    assert_eq!(numbers(None, 9, Some(4)).await?, [5]);
    assert_eq!(numbers(Some(Environment::Live), 2, None).await?, [1, 3]);
    assert_eq!(numbers(Some(Environment::Live), 2, Some(3)).await?, [5]);
    assert_eq!(numbers(Some(Environment::Test), 9, None).await?, [2, 4]);
    assert!(numbers(None, 9, Some(5)).await?.is_empty());
    Ok(())
}

async fn a_key_is_revoked_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let key = api_key(1, organization(1))?;
    let event = audit(organization(1), 1)?;
    store.create_api_key(&key, &event).await?;
    let revoked = ApiKey { revoked_at: Some(at(50)?), ..key.clone() };
    for second in [50, 60] {
        let answer = store.revoke_api_key(organization(1), key.id, at(second)?, &event).await?;
        assert_eq!(
            answer,
            Revoked::Revoked(Box::new(revoked.clone())),
            "the first revocation stays"
        );
    }
    assert_eq!(store.api_key_by_hash(&key.sha256).await?, Some(revoked));
    let entries = store.audit_entries(organization(1), 0, 10).await?;
    assert_eq!(entries.len(), 2, "one for the key, one for its revocation");
    Ok(())
}

async fn another_organizations_key_cannot_be_found_revoked_or_rotated(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let key = api_key(1, organization(1))?;
    store.create_api_key(&key, &audit(organization(1), 1)?).await?;
    let event = audit(organization(2), 1)?;
    let answer = store.revoke_api_key(organization(2), key.id, at(2)?, &event).await?;
    assert_eq!(answer, Revoked::Unknown);
    let theirs = rotation(&key, api_key(2, organization(2))?, 5, 5)?;
    assert_eq!(store.rotate_api_key(&theirs, &event).await?, Rotated::Unknown);
    assert_eq!(store.api_key(organization(2), key.id).await?, None);
    assert_eq!(store.api_key_by_hash(&key.sha256).await?, Some(key));
    assert_eq!(store.audit_entries(organization(2), 0, 10).await?, []);
    Ok(())
}

fn admin(number: u128) -> Result<ApiKey, Failure> {
    let key = api_key(number, organization(1))?;
    Ok(ApiKey { scopes: vec![Scope::Read, Scope::Admin], ..key })
}

async fn stored(store: &dyn Store, keys: &[ApiKey]) -> Result<(), Failure> {
    for key in keys {
        store.create_api_key(key, &audit(key.organization, 1)?).await?;
    }
    Ok(())
}

async fn the_last_key_that_manages_all_keys_stays(store: Arc<dyn Store>) -> Result<(), Failure> {
    let event = audit(organization(1), 1)?;
    let (first, second) = (admin(1)?, admin(2)?);
    // None of these could manage the others, or not for long.
    let others = [
        api_key(3, organization(1))?,
        ApiKey { environment: Environment::Test, ..admin(4)? },
        ApiKey { path_prefix: Path::parse("acme").ok(), ..admin(5)? },
        ApiKey { expires_at: Some(at(50)?), ..admin(6)? },
        ApiKey { rotated_to: Some(first.id), expires_at: Some(at(60)?), ..admin(7)? },
        ApiKey { organization: organization(2), ..admin(8)? },
    ];
    stored(&*store, &[first.clone(), second.clone()]).await?;
    stored(&*store, &others).await?;
    let now = at(50)?;
    let revoke = async |id| store.revoke_api_key(organization(1), id, now, &event).await;
    assert!(matches!(revoke(first.id).await?, Revoked::Revoked(_)));
    let before = audit_count(&*store, organization(1)).await?;
    assert_eq!(revoke(second.id).await?, Revoked::LastAdmin);
    assert_eq!(store.api_key(organization(1), second.id).await?, Some(second));
    assert_eq!(audit_count(&*store, organization(1)).await?, before);
    for other in &others[..5] {
        assert!(matches!(revoke(other.id).await?, Revoked::Revoked(_)), "{other:?}");
    }
    Ok(())
}

async fn of_two_last_admin_keys_revoked_at_once_one_stays(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    for round in 0..10_u128 {
        let of = organization(100 + round);
        let keys = [
            ApiKey { organization: of, ..admin(2 * round + 1)? },
            ApiKey { organization: of, ..admin(2 * round + 2)? },
        ];
        stored(&*store, &keys).await?;
        let revoke = |id| {
            let store = Arc::clone(&store);
            async move { Ok(store.revoke_api_key(of, id, at(5)?, &audit(of, 5)?).await?) }
        };
        let tasks = keys.clone().map(|key| tokio::spawn(revoke(key.id)));
        let mut refused_count = 0;
        for task in tasks {
            let answer: Result<_, Failure> = task.await?;
            refused_count += usize::from(answer? == Revoked::LastAdmin);
        }
        assert_eq!(refused_count, 1);
        let left = store.api_keys(of, None, &page(10, None)).await?;
        assert_eq!(left.iter().filter(|key| key.revoked_at.is_none()).count(), 1);
    }
    Ok(())
}

/// A rotation at one second, after which the old key ends at another.
fn rotation(old: &ApiKey, new: ApiKey, second: i64, ends: i64) -> Result<Rotation, Failure> {
    Ok(Rotation { old: old.id, new, at: at(second)?, old_ends_at: at(ends)? })
}

async fn a_rotated_key_has_a_successor_and_ends_when_it_was_asked_to(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let event = audit(organization(1), 1)?;
    let (at_once, later) = (admin(1)?, admin(2)?);
    stored(&*store, &[at_once.clone(), later.clone()]).await?;
    let (for_at_once, for_later) = (admin(11)?, admin(12)?);
    let now = rotation(&at_once, for_at_once.clone(), 5, 5)?;
    assert_eq!(store.rotate_api_key(&now, &event).await?, Rotated::Rotated);
    let then = rotation(&later, for_later.clone(), 5, 65)?;
    assert_eq!(store.rotate_api_key(&then, &event).await?, Rotated::Rotated);

    let at_once = ApiKey { revoked_at: Some(at(5)?), rotated_to: Some(for_at_once.id), ..at_once };
    let later = ApiKey { expires_at: Some(at(65)?), rotated_to: Some(for_later.id), ..later };
    for key in [at_once, later, for_at_once, for_later] {
        assert_eq!(store.api_key_by_hash(&key.sha256).await?, Some(key));
    }
    assert_eq!(audit_count(&*store, organization(1)).await?, 4);
    Ok(())
}

async fn a_rotation_never_makes_a_key_last_longer(store: Arc<dyn Store>) -> Result<(), Failure> {
    let old = ApiKey { expires_at: Some(at(10)?), ..admin(1)? };
    stored(&*store, std::slice::from_ref(&old)).await?;
    let rotation = rotation(&old, admin(2)?, 5, 65)?;
    store.rotate_api_key(&rotation, &audit(organization(1), 5)?).await?;
    let left = store.api_key(organization(1), old.id).await?;
    assert_eq!(left.and_then(|key| key.expires_at), Some(at(10)?));
    Ok(())
}

async fn a_rotation_again_finds_the_same_key(store: Arc<dyn Store>) -> Result<(), Failure> {
    let (old, new) = (admin(1)?, admin(2)?);
    stored(&*store, std::slice::from_ref(&old)).await?;
    let event = audit(organization(1), 5)?;
    store.rotate_api_key(&rotation(&old, new.clone(), 5, 5)?, &event).await?;
    let again = ApiKey { name: "changed".to_owned(), ..new.clone() };
    let answer = store.rotate_api_key(&rotation(&old, again, 6, 60)?, &event).await?;
    assert_eq!(answer, Rotated::Exists(new.clone()));
    assert_eq!(store.api_key(organization(1), new.id).await?, Some(new));
    assert_eq!(audit_count(&*store, organization(1)).await?, 2);
    Ok(())
}

async fn what_has_ended_or_was_rotated_is_not_rotated(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let ended = [
        ApiKey { revoked_at: Some(at(1)?), ..admin(1)? },
        ApiKey { expires_at: Some(at(5)?), ..admin(2)? },
        ApiKey { expires_at: Some(at(9)?), rotated_to: Some(admin(9)?.id), ..admin(3)? },
    ];
    stored(&*store, &ended).await?;
    for key in ended {
        let rotation = rotation(&key, admin(11)?, 5, 5)?;
        let answer = store.rotate_api_key(&rotation, &audit(organization(1), 5)?).await?;
        assert_eq!(answer, Rotated::Ended(key.clone()));
        assert_eq!(store.api_key(organization(1), key.id).await?, Some(key));
    }
    assert_eq!(store.api_key(organization(1), admin(11)?.id).await?, None);
    assert_eq!(audit_count(&*store, organization(1)).await?, 3);
    Ok(())
}

async fn of_many_rotations_at_once_one_counts(store: Arc<dyn Store>) -> Result<(), Failure> {
    let old = admin(1)?;
    stored(&*store, std::slice::from_ref(&old)).await?;
    let rotate = |number| {
        let (store, old) = (Arc::clone(&store), old.clone());
        async move {
            let rotation = rotation(&old, admin(number)?, 5, 65)?;
            Ok(store.rotate_api_key(&rotation, &audit(organization(1), 5)?).await?)
        }
    };
    let tasks: Vec<_> = (2..=21).map(|number| tokio::spawn(rotate(number))).collect();
    let mut rotated_count = 0;
    for task in tasks {
        let answer: Result<_, Failure> = task.await?;
        rotated_count += usize::from(answer? == Rotated::Rotated);
    }
    assert_eq!(rotated_count, 1);
    let keys = store.api_keys(organization(1), None, &page(100, None)).await?;
    assert_eq!(keys.len(), 2, "the losers left nothing");
    assert_eq!(keys[0].rotated_to, Some(keys[1].id));
    Ok(())
}
