//! The vault over a real store: what is sealed comes back to its owner, and to nobody else.

use std::{error::Error, sync::Arc};

use domain::{
    AuditEvent, Connection, ConnectionId, ConnectionStatus, OrganizationId, ProviderId, Secret,
    SyncId,
    connection::{Sync, SyncState},
};
use jiff::Timestamp;
use store::{
    Created, Store,
    connections::NewConnection,
    secrets::{SealedSecret, WrappedDataKey},
    sqlite::SqliteStore,
};
use tempfile::TempDir;
use uuid::Uuid;
use vault::{DataKey, KeySource, LocalKey, Vault, VaultError};

type Failure = Box<dyn Error>;

const RECORD: &str = "conn_1";

fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(number))
}

fn secret() -> Secret {
    Secret::new("größer than ASCII".to_owned())
}

async fn open_store() -> Result<(TempDir, Arc<dyn Store>), Failure> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(&folder.path().join("outlay.db")).await?;
    Ok((folder, Arc::new(store)))
}

fn local_key() -> Result<Arc<LocalKey>, Failure> {
    let mut text = String::new();
    for byte in DataKey::generate()?.expose() {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(Arc::new(LocalKey::from_text(&text)?))
}

/// What opening gave, in a form that can be compared and printed.
fn outcome(opened: Result<Secret, VaultError>) -> Result<String, VaultError> {
    opened.map(|secret| secret.expose().to_owned())
}

#[tokio::test]
async fn what_is_sealed_comes_back() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let keys = local_key()?;
    let vault = Vault::new(store.clone(), keys.clone());
    for text in ["sk-admin", "", "größer than ASCII", "two\nlines\0"] {
        let secret = Secret::new(text.to_owned());
        let sealed = vault.seal(organization(1), RECORD, "admin_key", &secret).await?;
        assert_eq!(outcome(vault.open(&sealed).await)?, text);
        // Nothing depends on this vault's memory.
        let later = Vault::new(store.clone(), keys.clone());
        assert_eq!(outcome(later.open(&sealed).await)?, text);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_sealed_apart_opens_in_its_place_and_under_its_own_key_only() -> Result<(), Failure>
{
    let (_folder, store) = open_store().await?;
    let vault = Vault::new(store, local_key()?);
    let secrets = [("live/1".to_owned(), secret()), ("live/2".to_owned(), secret())];
    let sealed = vault.seal_apart(organization(1), "body", &secrets).await?;
    vault.seal(organization(2), RECORD, "body", &secret()).await?;
    for (sealed, (record, secret)) in sealed.iter().zip(&secrets) {
        assert_eq!((&*sealed.record, &*sealed.field), (&**record, "body"));
        assert_eq!(outcome(vault.open_apart(sealed).await)?, secret.expose());
        let damaged = vault.open(sealed).await;
        assert!(matches!(damaged, Err(VaultError::Damaged { .. })), "under the data key itself");
    }
    let changes: [fn(&mut SealedSecret); 4] = [
        |sealed| sealed.organization = organization(2),
        |sealed| sealed.record = "live/2".to_owned(),
        |sealed| sealed.field = "admin_key".to_owned(),
        |sealed| sealed.ciphertext[20] ^= 1,
    ];
    for change in changes {
        let mut other = sealed[0].clone();
        change(&mut other);
        let opened = vault.open_apart(&other).await;
        assert!(matches!(opened, Err(VaultError::Damaged { .. })));
    }
    assert!(vault.seal_apart(organization(1), "body", &[]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_sealed_value_opens_only_where_it_was_sealed() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let vault = Vault::new(store, local_key()?);
    let sealed = vault.seal(organization(1), RECORD, "admin_key", &secret()).await?;
    vault.seal(organization(2), RECORD, "admin_key", &secret()).await?;
    let changes: [fn(&mut SealedSecret); 5] = [
        |sealed| sealed.organization = organization(2),
        |sealed| sealed.record = "conn_2".to_owned(),
        |sealed| sealed.field = "project_key".to_owned(),
        |sealed| {
            // The same letters, divided otherwise.
            sealed.record = "conn_1a".to_owned();
            sealed.field = "dmin_key".to_owned();
        },
        |sealed| sealed.ciphertext[20] ^= 1,
    ];
    for change in changes {
        let mut moved = sealed.clone();
        change(&mut moved);
        let opened = outcome(vault.open(&moved).await);
        assert!(matches!(opened, Err(VaultError::Damaged { .. })), "{opened:?}");
    }
    let mut moved = sealed;
    moved.data_key_version = 2;
    let opened = outcome(vault.open(&moved).await);
    assert!(matches!(opened, Err(VaultError::MissingDataKey { version: 2, .. })), "{opened:?}");
    Ok(())
}

#[tokio::test]
async fn a_value_does_not_open_under_another_version_of_the_same_data_key() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let keys = local_key()?;
    let same = DataKey::generate()?;
    for version in [1, 2] {
        let context = vault::KeyContext { organization: organization(1), version };
        let ciphertext = keys.wrap(&context, &same).await?;
        let wrapped_by = keys.id().to_owned();
        let key = WrappedDataKey { organization: organization(1), version, wrapped_by, ciphertext };
        store.create_data_key(&key).await?;
    }
    let vault = Vault::new(store, keys);
    let mut sealed = vault.seal(organization(1), RECORD, "admin_key", &secret()).await?;
    assert_eq!(sealed.data_key_version, 2, "the newest one seals");
    assert!(vault.open(&sealed).await.is_ok());
    sealed.data_key_version = 1;
    let opened = outcome(vault.open(&sealed).await);
    assert!(matches!(opened, Err(VaultError::Damaged { .. })), "{opened:?}");
    Ok(())
}

#[tokio::test]
async fn another_key_file_is_told_apart_and_named() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let first = Vault::new(store.clone(), local_key()?);
    let other = Vault::new(store, local_key()?);
    other.check(organization(1)).await?;
    let sealed = first.seal(organization(1), RECORD, "admin_key", &secret()).await?;
    let failures = [
        outcome(other.open(&sealed).await).err(),
        other.check(organization(1)).await.err(),
        other.seal(organization(1), RECORD, "admin_key", &secret()).await.err(),
    ];
    for failure in failures {
        let message = failure.expect("the wrong key opens nothing").to_string();
        assert!(message.contains("start with the key file that made them"), "{message}");
    }
    first.check(organization(1)).await?;
    Ok(())
}

#[tokio::test]
async fn a_wrapped_data_key_does_not_move_to_another_organization() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let keys = local_key()?;
    let vault = Vault::new(store.clone(), keys.clone());
    vault.seal(organization(1), RECORD, "admin_key", &secret()).await?;
    let mut stolen = store.data_keys(organization(1)).await?.remove(0);
    stolen.organization = organization(2);
    assert_eq!(store.create_data_key(&stolen).await?, Created::Created);
    let failure = vault.check(organization(2)).await.expect_err("a moved key");
    assert!(matches!(failure, VaultError::DamagedDataKey { version: 1, .. }), "{failure}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vaults_that_race_for_the_first_data_key_agree_on_one() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let keys = local_key()?;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let vault = Vault::new(store.clone(), keys.clone());
        racers.spawn(
            async move { vault.seal(organization(1), RECORD, "admin_key", &secret()).await },
        );
    }
    let judge = Vault::new(store.clone(), keys);
    for sealed in racers.join_all().await {
        assert_eq!(outcome(judge.open(&sealed?).await)?, secret().expose());
    }
    assert_eq!(store.data_keys(organization(1)).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_record_opens_as_a_whole_for_its_owner_only() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let vault = Vault::new(store.clone(), local_key()?);
    let id = ConnectionId::from_uuid(Uuid::from_u128(7));
    let record = id.to_string();
    let mut secrets = Vec::new();
    for (field, text) in [("client_id", "abc"), ("client_secret", "xyz")] {
        let secret = Secret::new(text.to_owned());
        secrets.push(vault.seal(organization(1), &record, field, &secret).await?);
    }
    let (new, audit) = connection(id, secrets)?;
    store.create_connection(&new, &audit).await?;
    let opened = vault.open_record(organization(1), &record).await?;
    let texts: Vec<_> =
        opened.iter().map(|(field, secret)| (field.as_str(), secret.expose())).collect();
    assert_eq!(texts, [("client_id", "abc"), ("client_secret", "xyz")]);
    assert!(vault.open_record(organization(2), &record).await?.is_empty());
    assert!(vault.open_record(organization(1), "conn_8").await?.is_empty());
    Ok(())
}

fn connection(
    id: ConnectionId,
    secrets: Vec<SealedSecret>,
) -> Result<(NewConnection, AuditEvent), Failure> {
    let at = Timestamp::UNIX_EPOCH;
    let connection = Connection {
        id,
        organization: organization(1),
        provider: ProviderId::parse("openai")?,
        name: "production".to_owned(),
        account: None,
        base_url: None,
        backfill_days: 30,
        interval_minutes: 60,
        status: ConnectionStatus::Syncing,
        last_sync_at: None,
        complete_through: None,
        error: None,
        created_at: at,
    };
    let sync = Sync {
        id: SyncId::from_uuid(Uuid::from_u128(8)),
        organization: organization(1),
        connection: id,
        from: None,
        to: None,
        state: SyncState::Queued,
        progress: Vec::new(),
        charges_written: 0,
        issues: Vec::new(),
        error: None,
        created_at: at,
        finished_at: None,
    };
    let audit = AuditEvent {
        organization: organization(1),
        actor: "system".to_owned(),
        action: "connection.created".to_owned(),
        target: id.to_string(),
        ip: None,
        at,
    };
    Ok((NewConnection { connection, secrets, sync }, audit))
}

#[tokio::test]
async fn what_is_derived_is_the_same_for_the_same_parts_only() -> Result<(), Failure> {
    let (_folder, store) = open_store().await?;
    let keys = local_key()?;
    let vault = Vault::new(store.clone(), keys.clone());
    let bits = vault.derive(organization(1), "a purpose", &[b"ab", b"c"]).await?;
    // Nothing depends on this vault's memory.
    let later = Vault::new(store.clone(), keys);
    assert_eq!(later.derive(organization(1), "a purpose", &[b"ab", b"c"]).await?, bits);
    for (of, purpose, parts) in [
        (organization(2), "a purpose", &[&b"ab"[..], b"c"][..]),
        (organization(1), "another", &[b"ab", b"c"]),
        (organization(1), "a purpose", &[b"a", b"bc"]),
        (organization(1), "a purpose", &[b"ab"]),
        (organization(1), "a purpose", &[b"ab", b"c", b""]),
    ] {
        assert_ne!(vault.derive(of, purpose, parts).await?, bits, "{purpose} {parts:?}");
    }
    Ok(())
}
