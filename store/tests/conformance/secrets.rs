//! Cases of data keys: the first of a version wins. Sealed secrets come and go with their
//! connection, whose cases they are.

use std::sync::Arc;

use store::{Created, Store, secrets::WrappedDataKey};

use crate::{Failure, sample::organization};

cases! {
    the_first_data_key_of_a_version_wins,
    of_many_data_keys_of_one_version_exactly_one_is_stored,
    data_keys_come_newest_first_and_only_their_organizations,
    a_record_without_secrets_has_none,
}

fn data_key(number: u128, version: u32, byte: u8) -> WrappedDataKey {
    WrappedDataKey {
        organization: organization(number),
        version,
        wrapped_by: format!("file:{byte}"),
        ciphertext: vec![byte, 0, 255, byte],
    }
}

async fn the_first_data_key_of_a_version_wins(store: Arc<dyn Store>) -> Result<(), Failure> {
    let first = data_key(1, 1, 1);
    assert_eq!(store.create_data_key(&first).await?, Created::Created);
    for again in [first.clone(), data_key(1, 1, 2)] {
        let created = store.create_data_key(&again).await?;
        assert_eq!(created, Created::Exists(first.clone()));
    }
    assert_eq!(store.data_keys(organization(1)).await?, [first]);
    Ok(())
}

async fn of_many_data_keys_of_one_version_exactly_one_is_stored(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let create = |byte: u8| {
        let (store, key) = (Arc::clone(&store), data_key(1, 1, byte));
        async move { (key.clone(), store.create_data_key(&key).await) }
    };
    let tasks: Vec<_> = (0..50).map(|byte| tokio::spawn(create(byte))).collect();
    let (mut winners, mut answers) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await? {
            (key, Ok(Created::Created)) => winners.push(key),
            (_, Ok(Created::Exists(stored))) => answers.push(stored),
            (_, Err(error)) => return Err(error.into()),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(answers.iter().all(|stored| *stored == winners[0]), "all are told the winner");
    assert_eq!(store.data_keys(organization(1)).await?, winners);
    Ok(())
}

async fn data_keys_come_newest_first_and_only_their_organizations(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    for version in [2, u32::MAX, 1] {
        store.create_data_key(&data_key(1, version, 1)).await?;
    }
    store.create_data_key(&data_key(2, 1, 9)).await?;
    let versions: Vec<_> =
        store.data_keys(organization(1)).await?.iter().map(|key| key.version).collect();
    assert_eq!(versions, [u32::MAX, 2, 1]);
    assert_eq!(store.data_keys(organization(2)).await?, [data_key(2, 1, 9)]);
    Ok(())
}

async fn a_record_without_secrets_has_none(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.sealed_secrets(organization(1), "conn_nobody").await?, []);
    Ok(())
}
