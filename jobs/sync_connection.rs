//! The sync job: polls every feed of a connection, window by window, and commits each window with
//! the progress it stands for. Killed anywhere, it goes on after the last window that was
//! committed.

use std::{sync::Arc, time::Duration};

use connectors::{Connector, ConnectorError, Driver, ErrorKind, Retry, Settings};
use domain::{
    Account, BatchId, Clock, Connection, ConnectionError, ConnectionId, ConnectionStatus,
    ConnectorDescriptor, Feed, SyncId, Window, connection::Sync as SyncRun,
    descriptor::FeedDescriptor, time,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    Created, Store,
    charges::{BatchSource, Block, Commit, CommitWith, Committed, NewBatch},
    connections::ConnectionHealth,
    schedule::Claim,
    syncs::SyncEnd,
};
use vault::Vault;

use crate::{
    Job, JobError, JobOutcome, new_bits,
    pull_blocks::{complete_through, days_of_pull, keep_changed},
};

/// A provider that refuses the credentials is asked again after a day, in case the fault was its
/// own.
const REFUSED_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// After so many failures in a row the connection asks for a person's attention, though polling
/// goes on.
const FAILURES_MAX: u32 = 5;
const STAGED_BLOCKS_MAX: usize = 64;

/// The job that polls connections.
pub struct SyncConnection {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    vault: Arc<Vault>,
    driver: Arc<Driver>,
    find: fn(&str) -> Option<&'static dyn Connector>,
}

/// One run on its way.
struct Run<'a> {
    claim: &'a Claim,
    connection: &'a Connection,
    connector: &'static dyn Connector,
    settings: Settings,
    account: Account,
    sync: SyncRun,
    window: Window,
    issues: Vec<String>,
}

/// Why a run stopped.
enum Stopped {
    /// The store, the vault or the lease.
    Job(JobError),
    /// The provider.
    Provider(ConnectorError),
}

impl From<JobError> for Stopped {
    fn from(error: JobError) -> Stopped {
        Stopped::Job(error)
    }
}

impl From<store::StoreError> for Stopped {
    fn from(error: store::StoreError) -> Stopped {
        Stopped::Job(JobError::store(&error))
    }
}

impl From<ConnectorError> for Stopped {
    fn from(error: ConnectorError) -> Stopped {
        Stopped::Provider(error)
    }
}

impl SyncConnection {
    /// Its name on the schedule.
    pub const KIND: &'static str = "sync_connection";

    /// The job. `find` looks a provider's connector up.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        vault: Arc<Vault>,
        driver: Arc<Driver>,
        find: fn(&str) -> Option<&'static dyn Connector>,
    ) -> SyncConnection {
        SyncConnection { store, clock, vault, driver, find }
    }

    async fn sync(&self, claim: &Claim, connection: &Connection) -> Result<(), Stopped> {
        let source = BatchSource::Connection(connection.id);
        self.store.abandon_staged(source, self.clock.now()).await?;
        let sync = self.open_sync(connection).await?;
        let mut run = self.begin(claim, connection, sync).await?;
        for feed in run.connector.descriptor().feeds {
            let from = progress(&run.sync, feed.id).unwrap_or(run.window.start);
            for window in Driver::windows(feed, from, run.window.end) {
                self.pull_window(&mut run, feed, window).await?;
            }
        }
        self.finish(&run).await
    }

    /// The open sync, or a new one where the schedule itself asked.
    async fn open_sync(&self, connection: &Connection) -> Result<SyncRun, Stopped> {
        if let Some(sync) = self.store.open_sync(connection.id).await? {
            return Ok(sync);
        }
        let sync = SyncRun {
            id: SyncId::from_uuid(new_bits(&*self.clock)?),
            organization: connection.organization,
            connection: connection.id,
            from: None,
            to: None,
            state: domain::connection::SyncState::Queued,
            progress: Vec::new(),
            charges_written: 0,
            issues: Vec::new(),
            error: None,
            created_at: self.clock.now(),
            finished_at: None,
        };
        Ok(match self.store.request_sync(&sync, None).await? {
            Created::Created => sync,
            Created::Exists(open) => open,
        })
    }

    /// Opens the credentials, asks the provider who it is, and fixes the window.
    async fn begin<'a>(
        &self,
        claim: &'a Claim,
        connection: &'a Connection,
        sync: SyncRun,
    ) -> Result<Run<'a>, Stopped> {
        let provider = connection.provider.as_str();
        let connector = (self.find)(provider).ok_or_else(|| permanent("unknown provider"))?;
        let record = connection.id.to_string();
        let credentials = self.vault.open_record(connection.organization, &record).await;
        let credentials = credentials.map_err(|error| match error.is_temporary() {
            true => JobError::Retry { message: error.to_string(), after: None },
            false => permanent(&error.to_string()),
        })?;
        let descriptor = connector.descriptor();
        let base_url = connection.base_url.clone().unwrap_or(descriptor.base_url.to_owned());
        let settings = Settings { base_url, credentials, account: connection.account.clone() };
        let account = self.driver.check(connector, &settings).await?.account;
        same_account(connection, &account, descriptor)?;
        let window = self.window(connection, descriptor);
        let feeds: Vec<_> = descriptor.feeds.iter().map(|feed| feed.id.to_owned()).collect();
        let started = self.store.start_sync(sync.id, window.start, window.end, &feeds).await?;
        let sync = started.ok_or_else(JobError::lease_lost)?;
        let stored = sync.from.zip(sync.to).and_then(|(from, to)| Window::new(from, to));
        let account = Account { provider: connection.provider.clone(), id: account };
        let window = stored.unwrap_or(window);
        let issues = Vec::new();
        Ok(Run { claim, connection, connector, settings, account, sync, window, issues })
    }

    /// What to read: the whole back-fill the first time; later everything that was not final, and
    /// the days before it that the provider may still restate. It is derived from what is final and
    /// not from the last window, so interrupted runs do not make it creep.
    fn window(&self, connection: &Connection, descriptor: &ConnectorDescriptor) -> Window {
        let days = |count: u32| SignedDuration::from_hours(24 * i64::from(count));
        let today = time::day_start(time::utc_day(self.clock.now()));
        let start = match connection.complete_through {
            Some(complete) => complete - days(descriptor.trailing_days),
            None => today - days(connection.backfill_days),
        };
        let earliest = today - days(descriptor.history_days);
        let start = time::day_start(time::utc_day(start.clamp(earliest, today)));
        Window { start, end: today + days(1) }
    }

    async fn pull_window(
        &self,
        run: &mut Run<'_>,
        descriptor: &'static FeedDescriptor,
        window: Window,
    ) -> Result<(), Stopped> {
        let pull = self.driver.pull(run.connector, &run.settings, descriptor, window).await?;
        for issue in &pull.issues {
            if !run.issues.contains(issue) {
                run.issues.push(issue.clone());
            }
        }
        let feed = Feed::parse(descriptor.id).map_err(|error| permanent(&error.to_string()))?;
        let mut days = days_of_pull(&run.account, &feed, window, &pull);
        let organization = run.connection.organization;
        let (first, last) = window.days();
        let visible = self.store.visible_blocks(organization, first, last).await?;
        keep_changed(&mut days, run.connection.id, &run.account, &feed, &visible);
        let charges_written = days.values().map(|day| day.charge_count()).sum();
        let blocks: Vec<_> = days.into_values().flat_map(|day| day.blocks).collect();
        let batch = self.stage(run, &blocks).await?;
        let commit = Commit {
            batch,
            organization,
            lease: run.claim.lease.clone(),
            with: CommitWith::Sync {
                sync: run.sync.id,
                feed: descriptor.id.to_owned(),
                done_through: window.end,
                charges_written,
            },
        };
        match self.store.commit(&commit).await? {
            Committed::Committed => {
                tracing::info!(connection.id = %run.connection.id, feed = descriptor.id,
                    window.start = %window.start, window.end = %window.end, charges_written,
                    "window committed");
                Ok(())
            }
            Committed::Refused => Err(JobError::lease_lost().into()),
        }
    }

    /// Stages the blocks in a batch of their own; nothing to stage is no batch.
    async fn stage(&self, run: &Run<'_>, blocks: &[Block]) -> Result<Option<BatchId>, Stopped> {
        if blocks.is_empty() {
            return Ok(None);
        }
        let organization = run.connection.organization;
        let id = BatchId::from_uuid(new_bits(&*self.clock)?);
        let source = BatchSource::Connection(run.connection.id);
        let created_at = self.clock.now();
        let new = NewBatch { id, organization, source, created_at };
        self.store.begin_batch(&new).await?;
        for chunk in blocks.chunks(STAGED_BLOCKS_MAX) {
            self.store.put_blocks(organization, id, chunk).await?;
        }
        Ok(Some(id))
    }

    async fn finish(&self, run: &Run<'_>) -> Result<(), Stopped> {
        let feeds = run.connector.descriptor().feeds.iter();
        let feeds: Vec<_> = feeds.filter_map(|feed| Feed::parse(feed.id).ok()).collect();
        let (first, last) = run.window.days();
        let visible = self.store.visible_blocks(run.connection.organization, first, last).await?;
        let through = complete_through(run.window, &run.account, &feeds, &visible);
        let finished_at = self.clock.now();
        let health = ConnectionHealth {
            status: ConnectionStatus::Ok,
            account: Some(run.account.id.clone()),
            last_sync_at: Some(finished_at),
            complete_through: Some(through),
            error: None,
        };
        // Health first: if the process dies in between, the sync is found open and ends again the
        // same way.
        self.store.record_connection_health(run.connection.id, &health).await?;
        let end = SyncEnd { finished_at, error: None, issues: run.issues.clone() };
        Ok(self.store.finish_sync(run.sync.id, &end).await?)
    }

    /// Tells the connection's owner what the provider said and decides when to ask again.
    async fn provider_failed(
        &self,
        claim: &Claim,
        id: ConnectionId,
        error: &ConnectorError,
    ) -> JobError {
        let told = ConnectionError {
            code: error.code().to_owned(),
            message: error.to_string(),
            what_to_do: error.what_to_do().to_owned(),
        };
        let is_permanent = matches!(error.retry(), Retry::Never);
        // What may pass by itself is told too, so that nobody waits without knowing for what.
        let status = match is_permanent || claim.failure_count >= FAILURES_MAX {
            true => ConnectionStatus::NeedsAttention,
            false => ConnectionStatus::Syncing,
        };
        let health = ConnectionHealth {
            status,
            account: None,
            last_sync_at: None,
            complete_through: None,
            error: Some(told.clone()),
        };
        if let Err(error) = self.store.record_connection_health(id, &health).await {
            return JobError::store(&error);
        }
        if is_permanent && let Err(error) = self.fail_sync(id, told).await {
            return JobError::store(&error);
        }
        let message = error.to_string();
        match error.retry() {
            Retry::Never => JobError::Permanent { message, again: Some(REFUSED_AGAIN) },
            Retry::After(after) => JobError::Retry { message, after: Some(after) },
            Retry::Backoff => JobError::Retry { message, after: None },
        }
    }

    async fn fail_sync(
        &self,
        id: ConnectionId,
        error: ConnectionError,
    ) -> Result<(), store::StoreError> {
        let Some(sync) = self.store.open_sync(id).await? else { return Ok(()) };
        let finished_at = self.clock.now();
        let end = SyncEnd { finished_at, error: Some(error), issues: Vec::new() };
        self.store.finish_sync(sync.id, &end).await
    }
}

/// A connection belongs to one account for good. Charges of another would be counted beside those
/// of the first, and where a provider names one account in two ways, twice.
fn same_account(
    connection: &Connection,
    account: &str,
    descriptor: &'static ConnectorDescriptor,
) -> Result<(), ConnectorError> {
    let Some(known) = connection.account.as_deref().filter(|known| *known != account) else {
        return Ok(());
    };
    let message = format!("the key belongs to account `{account}`, the connection to `{known}`");
    let error = ConnectorError::new(descriptor, "check", ErrorKind::OtherAccount, message);
    Err(error.advising(format!(
        "put back a key of account `{known}`, or make another connection for `{account}`"
    )))
}

fn progress(sync: &SyncRun, feed: &str) -> Option<Timestamp> {
    sync.progress.iter().find(|progress| progress.feed == feed).map(|at| at.done_through)
}

fn permanent(message: &str) -> JobError {
    JobError::Permanent { message: message.to_owned(), again: Some(REFUSED_AGAIN) }
}

#[async_trait::async_trait]
impl Job for SyncConnection {
    fn kind(&self) -> &'static str {
        SyncConnection::KIND
    }

    async fn run(&self, claim: &Claim) -> Result<JobOutcome, JobError> {
        let Ok(id) = ConnectionId::parse(&claim.lease.key.subject) else {
            return Ok(JobOutcome::Finished);
        };
        let found = self.store.connection_by_id(id).await;
        let Some(connection) = found.map_err(|error| JobError::store(&error))? else {
            return Ok(JobOutcome::Finished);
        };
        if connection.status == ConnectionStatus::Paused {
            return Ok(JobOutcome::Finished);
        }
        match self.sync(claim, &connection).await {
            Ok(()) => {
                let minutes = u64::from(connection.interval_minutes);
                Ok(JobOutcome::Again(Duration::from_secs(minutes * 60)))
            }
            Err(Stopped::Job(error)) => Err(error),
            Err(Stopped::Provider(error)) => {
                Err(self.provider_failed(claim, connection.id, &error).await)
            }
        }
    }
}
