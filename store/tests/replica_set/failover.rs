//! What was acknowledged survives the loss of a primary, and nothing is there twice.
//!
//! Writers work against a replica set of their own whose primary is killed, as a power cut would,
//! again and again. Where a write fails they repeat it as it was, as a job or an HTTP client does.
//! The shared set is left alone.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{
    Account, ApiKey, AuditEvent, BatchId, Connection, ConnectionId, ConnectionStatus, Feed, KeyId,
    OrganizationId, ProviderId, Scope, SyncId,
    connection::{Sync as SyncRun, SyncState},
    organization::Environment,
};
use jiff::{Timestamp, civil::date};
use libtest_mimic::Failed;
use store::{
    ApiKeys as _, AuditLog as _, Charges as _, Connections as _, PageQuery, Schedule as _,
    StoreError, Syncs as _,
    charges::{BatchSource, Block, BlockKey, Commit, CommitWith, Committed, NewBatch},
    connections::NewConnection,
    mongo::MongoStore,
    schedule::Lease,
};
use support::mongo::ReplicaSet;
use uuid::Uuid;

const WRITER_COUNT: usize = 4;
const WRITES_PER_WRITER: usize = 60;
const COMMIT_COUNT: usize = 60;
const WRITE_COUNT: usize = WRITER_COUNT * WRITES_PER_WRITER + COMMIT_COUNT;
const KILL_COUNT: usize = 2;
const REPEATS_MAX: usize = 20;

pub(crate) async fn kill_primaries_during_writes() -> Result<(), Failed> {
    let set = ReplicaSet::start().await.map_err(|error| format!("{error:#}"))?;
    let scene = Arc::new(Scene {
        store: MongoStore::open(&set.uri("failover")).await?,
        acknowledged_count: AtomicUsize::new(0),
    });
    let lease = scene.prepare().await?;
    let mut writers: Vec<_> = (0..WRITER_COUNT)
        .map(|writer| tokio::spawn(Arc::clone(&scene).create_keys(writer)))
        .collect();
    writers.push(tokio::spawn(Arc::clone(&scene).commit_batches(lease)));
    for kill in 1..=KILL_COUNT {
        scene.wait_for(WRITE_COUNT * kill / (KILL_COUNT + 1)).await;
        let victim = set.kill_primary().await.map_err(|error| format!("{error:#}"))?;
        assert!(scene.acknowledged_count.load(Ordering::SeqCst) < WRITE_COUNT, "amid the writes");
        set.restart_member(victim).await.map_err(|error| format!("{error:#}"))?;
    }
    for writer in writers {
        writer.await??;
    }
    // Once more, so that what is read was replicated and not merely remembered by the last primary.
    set.kill_primary().await.map_err(|error| format!("{error:#}"))?;
    scene.check_keys().await?;
    scene.check_commits().await
}

struct Scene {
    store: MongoStore,
    acknowledged_count: AtomicUsize,
}

impl Scene {
    /// Makes the connection whose sync the commits advance, and claims its job.
    async fn prepare(&self) -> Result<Lease, Failed> {
        let new = NewConnection { connection: connection()?, secrets: vec![], sync: sync() };
        self.store.create_connection(&new, &event("connection".to_owned())).await?;
        self.store.start_sync(sync_id(), second(0)?, second(1_000_000)?, &[]).await?;
        let claim = self.store.claim_due(second(1)?, 1_000_000).await?;
        Ok(claim.ok_or("the sync is due")?.lease)
    }

    async fn create_keys(self: Arc<Scene>, writer: usize) -> Result<(), Failed> {
        for index in 0..WRITES_PER_WRITER {
            let key = key(writer * WRITES_PER_WRITER + index)?;
            let event = event(key.id.to_string());
            persist(async || self.store.create_api_key(&key, &event).await).await?;
            self.acknowledged_count.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn commit_batches(self: Arc<Scene>, lease: Lease) -> Result<(), Failed> {
        for index in 0..COMMIT_COUNT {
            let (batch, block) = (new_batch(index)?, block(index)?);
            let commit = commit(index, &lease)?;
            persist(async || self.store.begin_batch(&batch).await).await?;
            let blocks = std::slice::from_ref(&block);
            persist(async || self.store.put_blocks(organization(), batch.id, blocks).await).await?;
            let committed = persist(async || self.store.commit(&commit).await).await?;
            assert_eq!(committed, Committed::Committed);
            self.acknowledged_count.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn wait_for(&self, count: usize) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while self.acknowledged_count.load(Ordering::SeqCst) < count {
            ticks.tick().await;
        }
    }

    /// Every key is there, and its creation stands in the audit log once.
    async fn check_keys(&self) -> Result<(), Failed> {
        let page = PageQuery { limit: 10_000, after: None };
        let keys = persist(async || self.store.api_keys(organization(), None, &page).await).await?;
        let ids: BTreeSet<_> = keys.iter().map(|key| key.id.to_string()).collect();
        assert_eq!(ids.len(), WRITER_COUNT * WRITES_PER_WRITER);
        let entries =
            persist(async || self.store.audit_entries(organization(), 0, 10_000).await).await?;
        let targets: BTreeSet<_> = entries.iter().map(|entry| entry.event.target.clone()).collect();
        assert_eq!(entries.len(), ids.len() + 1, "the connection's and one for each key");
        assert!(targets.is_superset(&ids));
        let mut previous = None;
        for entry in &entries {
            assert!(entry.follows(previous), "entry {} stands at its place", entry.sequence);
            previous = Some(entry);
        }
        Ok(())
    }

    /// Every batch is seen once, generations have no gap, and every charge is counted once.
    async fn check_commits(&self) -> Result<(), Failed> {
        let day = date(2026, 1, 1);
        let read = async || self.store.visible_blocks(organization(), day, day).await;
        let blocks = persist(read).await?;
        let generations: Vec<_> = blocks.iter().map(|block| block.generation).collect();
        let expected: Vec<_> = (1..=u64::try_from(COMMIT_COUNT)?).collect();
        assert_eq!(generations, expected);
        let open = persist(async || self.store.open_sync(connection_id()).await).await?;
        let sync = open.ok_or("the sync is open")?;
        assert_eq!(sync.charges_written, u64::try_from(COMMIT_COUNT)?);
        assert_eq!(sync.progress[0].done_through, second(i64::try_from(COMMIT_COUNT)?)?);
        Ok(())
    }
}

/// Repeats a write that failed as it was. Only failures that may pass are forgiven.
pub(crate) async fn persist<T, F>(write: impl Fn() -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..REPEATS_MAX {
        ticks.tick().await;
        match write().await {
            Ok(value) => return Ok(value),
            Err(error) => assert!(error.is_temporary(), "{error:?}"),
        }
    }
    Err("a write failed over and over".into())
}

fn second(second: i64) -> Result<Timestamp, Failed> {
    Ok(Timestamp::from_second(second)?)
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(1))
}

fn connection_id() -> ConnectionId {
    ConnectionId::from_uuid(Uuid::from_u128(1))
}

fn sync_id() -> SyncId {
    SyncId::from_uuid(Uuid::from_u128(1))
}

fn event(target: String) -> AuditEvent {
    AuditEvent {
        organization: organization(),
        actor: "system".to_owned(),
        action: "thing.created".to_owned(),
        target,
        ip: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

fn key(number: usize) -> Result<ApiKey, Failed> {
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&u64::try_from(number)?.to_be_bytes());
    Ok(ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(u128::try_from(number)?)),
        organization: organization(),
        name: format!("key {number}"),
        environment: Environment::Live,
        scopes: vec![Scope::Read],
        path_prefix: None,
        sha256,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
        rotated_to: None,
    })
}

fn connection() -> Result<Connection, Failed> {
    Ok(Connection {
        id: connection_id(),
        organization: organization(),
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
        created_at: Timestamp::UNIX_EPOCH,
    })
}

fn sync() -> SyncRun {
    SyncRun {
        id: sync_id(),
        organization: organization(),
        connection: connection_id(),
        from: None,
        to: None,
        state: SyncState::Queued,
        progress: vec![],
        charges_written: 0,
        issues: vec![],
        error: None,
        created_at: Timestamp::UNIX_EPOCH,
        finished_at: None,
    }
}

fn batch_id(index: usize) -> Result<BatchId, Failed> {
    Ok(BatchId::from_uuid(Uuid::from_u128(u128::try_from(index)?)))
}

fn new_batch(index: usize) -> Result<NewBatch, Failed> {
    Ok(NewBatch {
        id: batch_id(index)?,
        organization: organization(),
        source: BatchSource::Connection(connection_id()),
        created_at: Timestamp::UNIX_EPOCH,
    })
}

fn block(index: usize) -> Result<Block, Failed> {
    let account = Account { provider: ProviderId::parse("openai")?, id: "org-1".to_owned() };
    let feed = Feed::parse("costs")?;
    Ok(Block {
        key: BlockKey { account, feed, day: date(2026, 1, 1), part: 0 },
        row_count: u32::try_from(index)?,
        is_complete: true,
        digest: [1; 32],
        core: Bytes::from(vec![1; 20_000]),
        detail: Bytes::from(vec![2; 20_000]),
    })
}

fn commit(index: usize, lease: &Lease) -> Result<Commit, Failed> {
    Ok(Commit {
        batch: Some(batch_id(index)?),
        organization: organization(),
        lease: lease.clone(),
        with: CommitWith::Sync {
            sync: sync_id(),
            feed: "costs".to_owned(),
            done_through: second(i64::try_from(index)? + 1)?,
            charges_written: 1,
        },
    })
}
