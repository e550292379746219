//! Things to store: small, valid, and different where their number is.

use bytes::Bytes;
use domain::{
    Account, ApiKey, AuditEvent, BatchId, Connection, ConnectionId, ConnectionStatus, Feed, FileId,
    FileState, KeyId, OrganizationId, ProviderId, Scope, SyncId, UploadedFile,
    connection::{Sync as SyncRun, SyncState},
    file::{FileOptions, FileReport},
    organization::Environment,
};
use jiff::{Timestamp, civil::Date};
use store::{
    PageQuery, Store,
    charges::{BatchSource, Block, BlockKey, Commit, CommitWith, NewBatch},
    connections::NewConnection,
    journal::Shard,
    schedule::{JobKey, Lease},
    secrets::SealedSecret,
};
use uuid::Uuid;

use crate::Failure;

/// The organization of a number.
pub(crate) fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(number))
}

/// The live shard of an organization's number.
pub(crate) fn shard(number: u128) -> Shard {
    Shard { organization: organization(number), environment: Environment::Live }
}

/// The same organization's other shard.
pub(crate) fn test_shard(number: u128) -> Shard {
    Shard { environment: Environment::Test, ..shard(number) }
}

/// An instant in seconds after the epoch.
pub(crate) fn at(second: i64) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_second(second)?)
}

/// What a person did, at an instant in seconds.
pub(crate) fn audit(organization: OrganizationId, second: i64) -> Result<AuditEvent, Failure> {
    Ok(AuditEvent {
        organization,
        actor: "key_00000000000000000000000001".to_owned(),
        action: "thing.changed".to_owned(),
        target: "the thing: größer, 大きい".to_owned(),
        ip: Some("192.0.2.7".to_owned()),
        at: at(second)?,
    })
}

/// An API key of an organization; its hash is all its number's last byte.
pub(crate) fn api_key(number: u128, organization: OrganizationId) -> Result<ApiKey, Failure> {
    Ok(ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(number)),
        organization,
        name: format!("key {number}"),
        environment: Environment::Live,
        scopes: vec![Scope::Read, Scope::Write],
        path_prefix: None,
        sha256: [number.to_le_bytes()[0]; 32],
        created_at: at(1)?,
        expires_at: None,
        revoked_at: None,
        rotated_to: None,
    })
}

/// How many entries the audit log of an organization has.
pub(crate) async fn audit_count(
    store: &dyn Store,
    organization: OrganizationId,
) -> Result<usize, Failure> {
    Ok(store.audit_entries(organization, 0, 1000).await?.len())
}

/// A page of a list.
pub(crate) fn page(limit: usize, after: Option<&dyn ToString>) -> PageQuery {
    PageQuery { limit, after: after.map(ToString::to_string) }
}

/// The id of a connection.
pub(crate) fn connection_id(number: u128) -> ConnectionId {
    ConnectionId::from_uuid(Uuid::from_u128(number))
}

/// The id of a sync.
pub(crate) fn sync_id(number: u128) -> SyncId {
    SyncId::from_uuid(Uuid::from_u128(number))
}

/// The id of a file.
pub(crate) fn file_id(number: u128) -> FileId {
    FileId::from_uuid(Uuid::from_u128(number))
}

/// The id of a batch.
pub(crate) fn batch_id(number: u128) -> BatchId {
    BatchId::from_uuid(Uuid::from_u128(number))
}

/// The job that syncs a connection.
pub(crate) fn sync_job(connection: ConnectionId) -> JobKey {
    JobKey { kind: "sync_connection".to_owned(), subject: connection.to_string() }
}

/// The job that imports a file.
pub(crate) fn import_job(file: FileId) -> JobKey {
    JobKey { kind: "import_file".to_owned(), subject: file.to_string() }
}

/// A connection that was just made, at second 100.
pub(crate) fn connection(
    organization: OrganizationId,
    number: u128,
) -> Result<Connection, Failure> {
    Ok(Connection {
        id: connection_id(number),
        organization,
        provider: ProviderId::parse("openai")?,
        name: format!("Zugang {number} – 接続 🔑"),
        account: None,
        base_url: None,
        backfill_days: 90,
        interval_minutes: 360,
        status: ConnectionStatus::Syncing,
        last_sync_at: None,
        complete_through: None,
        error: None,
        created_at: at(100)?,
    })
}

/// A queued sync of a connection, asked for at second 100.
pub(crate) fn sync(
    organization: OrganizationId,
    connection: ConnectionId,
    number: u128,
) -> Result<SyncRun, Failure> {
    Ok(SyncRun {
        id: sync_id(number),
        organization,
        connection,
        from: None,
        to: None,
        state: SyncState::Queued,
        progress: Vec::new(),
        charges_written: 0,
        issues: Vec::new(),
        error: None,
        created_at: at(100)?,
        finished_at: None,
    })
}

/// A value sealed for a connection.
pub(crate) fn sealed(
    organization: OrganizationId,
    connection: ConnectionId,
    field: &str,
    ciphertext: &[u8],
) -> SealedSecret {
    SealedSecret {
        organization,
        record: connection.to_string(),
        field: field.to_owned(),
        data_key_version: 1,
        ciphertext: ciphertext.to_vec(),
    }
}

/// A connection with one sealed value and its first sync, which has the same number.
pub(crate) fn new_connection(
    organization: OrganizationId,
    number: u128,
) -> Result<NewConnection, Failure> {
    let id = connection_id(number);
    Ok(NewConnection {
        connection: connection(organization, number)?,
        secrets: vec![sealed(organization, id, "api_key", &[0, 1, 255])],
        sync: sync(organization, id, number)?,
    })
}

/// An uploaded file that was just queued, at second 100. Its bytes differ from every other
/// number's.
pub(crate) fn file(organization: OrganizationId, number: u128) -> Result<UploadedFile, Failure> {
    let mut sha256 = [7; 32];
    sha256[..16].copy_from_slice(&number.to_be_bytes());
    Ok(UploadedFile {
        id: file_id(number),
        organization,
        name: "Rechnung März – 請求書.csv".to_owned(),
        size_bytes: 1 << 40,
        sha256,
        options: FileOptions::default(),
        state: FileState::Queued,
        bytes_parsed: 0,
        report: FileReport::default(),
        created_at: at(100)?,
        finished_at: None,
    })
}

/// A block of a day, part 0, of the feed `costs` of one account.
pub(crate) fn block(day: Date) -> Result<Block, Failure> {
    let account =
        Account { provider: ProviderId::parse("openai")?, id: "org-größe-大".to_owned() };
    Ok(Block {
        key: BlockKey { account, feed: Feed::parse("costs")?, day, part: 0 },
        row_count: u32::MAX,
        is_complete: true,
        digest: [9; 32],
        core: Bytes::from_static(b"core\0"),
        detail: Bytes::from_static(b"detail\0"),
    })
}

/// Somebody who may commit: a connection with a running sync, or a file, and the lease of its job.
pub(crate) struct Worker {
    pub(crate) organization: OrganizationId,
    pub(crate) source: BatchSource,
    pub(crate) lease: Lease,
    with: CommitWith,
}

impl Worker {
    /// A sync of a new connection, running over seconds 0 to 1,000,000 with the feed `costs`.
    pub(crate) async fn sync(
        store: &dyn Store,
        organization: OrganizationId,
        number: u128,
    ) -> Result<Worker, Failure> {
        let new = new_connection(organization, number)?;
        store.create_connection(&new, &audit(organization, 100)?).await?;
        let feed = "costs".to_owned();
        let feeds = [feed.clone()];
        store.start_sync(new.sync.id, at(0)?, at(1_000_000)?, &feeds).await?;
        Ok(Worker {
            organization,
            source: BatchSource::Connection(new.connection.id),
            lease: lease_of(store, &sync_job(new.connection.id)).await?,
            with: CommitWith::Sync {
                sync: new.sync.id,
                feed,
                done_through: at(1000)?,
                charges_written: 10,
            },
        })
    }

    /// The import of a new file.
    pub(crate) async fn import(
        store: &dyn Store,
        organization: OrganizationId,
        number: u128,
    ) -> Result<Worker, Failure> {
        let file = file(organization, number)?;
        store.create_file(&file, &audit(organization, 100)?).await?;
        let report = Box::new(FileReport { charge_count: 10, ..FileReport::default() });
        Ok(Worker {
            organization,
            source: BatchSource::File(file.id),
            lease: lease_of(store, &import_job(file.id)).await?,
            with: CommitWith::File { file: file.id, report, finished_at: at(300)? },
        })
    }

    /// A batch of this worker, made at second 100.
    pub(crate) fn batch(&self, number: u128) -> Result<NewBatch, Failure> {
        Ok(NewBatch {
            id: batch_id(number),
            organization: self.organization,
            source: self.source,
            created_at: at(100)?,
        })
    }

    /// Stages a batch of such blocks.
    pub(crate) async fn stage(
        &self,
        store: &dyn Store,
        number: u128,
        blocks: &[Block],
    ) -> Result<BatchId, Failure> {
        let batch = self.batch(number)?;
        store.begin_batch(&batch).await?;
        store.put_blocks(self.organization, batch.id, blocks).await?;
        Ok(batch.id)
    }

    /// The commit of a batch, or of progress alone: ten charges, done through second 1,000.
    pub(crate) fn commit(&self, batch: Option<BatchId>) -> Commit {
        Commit {
            batch,
            organization: self.organization,
            lease: self.lease.clone(),
            with: self.with.clone(),
        }
    }
}

/// Claims at second 200 until it gets this job, for 1,000 seconds; the others are given back.
async fn lease_of(store: &dyn Store, key: &JobKey) -> Result<Lease, Failure> {
    let mut others = Vec::new();
    let lease = loop {
        let claim = store.claim_due(at(200)?, 1000).await?.ok_or("the job is not due")?;
        match claim.lease.key == *key {
            true => break claim.lease,
            false => others.push(claim.lease),
        }
    };
    for other in &others {
        store.release_lease(other).await?;
    }
    Ok(lease)
}

/// Takes a job away from its holder, whose lease has run out at second 5,000.
pub(crate) async fn take_over(store: &dyn Store, lease: &Lease) -> Result<Lease, Failure> {
    let claim = store.claim_due(at(5000)?, 60).await?.ok_or("no lease has run out")?;
    assert_eq!(claim.lease.key, lease.key, "no other job is due");
    Ok(claim.lease)
}
