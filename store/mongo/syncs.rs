//! Syncs on MongoDB: one document each. A partial unique index allows one open sync for each
//! connection.

use domain::{
    AuditEvent, ConnectionId, OrganizationId, SyncId,
    connection::{FeedProgress, Sync as SyncRun, SyncState},
};
use jiff::Timestamp;
use mongodb::{ClientSession, Collection, bson::doc};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    connections::{StoredError, sync_job},
    failure::Attempt,
    read_page,
    stored::{count, instant, instant_if_any, known, micros_if_any, stored_count},
    transaction::atomically,
};
use crate::{Created, PageQuery, Result, Syncs, syncs::SyncEnd};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredSync {
    #[serde(rename = "_id")]
    id: String,
    organization: String,
    connection: String,
    from: Option<i64>,
    to: Option<i64>,
    state: String,
    /// Says again what the state says, for the index.
    is_open: bool,
    progress: Vec<StoredProgress>,
    charges_written: i64,
    issues: Vec<String>,
    error: Option<StoredError>,
    created_at: i64,
    finished_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredProgress {
    feed: String,
    done_through: i64,
}

impl StoredSync {
    pub(super) fn new(sync: &SyncRun) -> Result<StoredSync> {
        Ok(StoredSync {
            id: sync.id.to_string(),
            organization: sync.organization.to_string(),
            connection: sync.connection.to_string(),
            from: micros_if_any(sync.from),
            to: micros_if_any(sync.to),
            state: sync.state.as_str().to_owned(),
            is_open: sync.state.is_open(),
            progress: sync.progress.iter().map(StoredProgress::new).collect(),
            charges_written: stored_count(sync.charges_written)?,
            issues: sync.issues.clone(),
            error: sync.error.as_ref().map(StoredError::new),
            created_at: sync.created_at.as_microsecond(),
            finished_at: micros_if_any(sync.finished_at),
        })
    }

    fn read(self) -> Result<SyncRun> {
        let organization = OrganizationId::parse(&self.organization).ok();
        let progress = self.progress.into_iter().map(StoredProgress::read);
        Ok(SyncRun {
            id: known(SyncId::parse(&self.id).ok(), "a sync's id")?,
            organization: known(organization, "a sync's organization")?,
            connection: known(ConnectionId::parse(&self.connection).ok(), "a sync's connection")?,
            from: instant_if_any(self.from)?,
            to: instant_if_any(self.to)?,
            state: known(SyncState::parse(&self.state), "a sync's state")?,
            progress: progress.collect::<Result<_>>()?,
            charges_written: count(self.charges_written)?,
            issues: self.issues,
            error: self.error.map(StoredError::read),
            created_at: instant(self.created_at)?,
            finished_at: instant_if_any(self.finished_at)?,
        })
    }

    /// Moves a feed forward; `false` where it was there already.
    fn advance(&mut self, feed: &str, done_through: i64) -> bool {
        match self.progress.iter_mut().find(|progress| progress.feed == feed) {
            Some(progress) if progress.done_through >= done_through => false,
            Some(progress) => {
                progress.done_through = done_through;
                true
            }
            None => {
                self.progress.push(StoredProgress { feed: feed.to_owned(), done_through });
                true
            }
        }
    }
}

impl StoredProgress {
    fn new(progress: &FeedProgress) -> StoredProgress {
        StoredProgress {
            feed: progress.feed.clone(),
            done_through: progress.done_through.as_microsecond(),
        }
    }

    fn read(self) -> Result<FeedProgress> {
        Ok(FeedProgress { feed: self.feed, done_through: instant(self.done_through)? })
    }
}

/// What a commit reports of a sync.
pub(super) struct Advance<'a> {
    pub(super) sync: SyncId,
    pub(super) organization: OrganizationId,
    pub(super) feed: &'a str,
    pub(super) done_through: Timestamp,
    pub(super) charges_written: u64,
    /// Whether the same commit made a batch visible. Without one, only progress tells a first
    /// commit from its repetition.
    pub(super) has_batch: bool,
}

impl MongoStore {
    pub(super) fn sync_documents(&self) -> Collection<StoredSync> {
        self.collection("syncs")
    }

    async fn try_request(
        &self,
        session: &mut ClientSession,
        sync: &SyncRun,
        audit: Option<&AuditEvent>,
    ) -> Attempt<Created<SyncRun>> {
        let documents = self.sync_documents();
        let this = doc! { "_id": sync.id.to_string() };
        if let Some(found) = documents.find_one(this).session(&mut *session).await? {
            return Ok(Created::Exists(found.read()?));
        }
        if audit.is_some() {
            self.schedule(session, &sync_job(sync.connection), sync.created_at).await?;
        }
        let open = doc! { "connection": sync.connection.to_string(), "is_open": true };
        if let Some(found) = documents.find_one(open).session(&mut *session).await? {
            return Ok(Created::Exists(found.read()?));
        }
        documents.insert_one(StoredSync::new(sync)?).session(&mut *session).await?;
        if let Some(audit) = audit {
            self.append(session, audit).await?;
        }
        Ok(Created::Created)
    }

    /// Records the progress that a commit stands for; `false` where the sync is not open.
    pub(super) async fn advance_sync(
        &self,
        session: &mut ClientSession,
        advance: &Advance<'_>,
    ) -> Attempt<bool> {
        let this = doc! {
            "_id": advance.sync.to_string(),
            "organization": advance.organization.to_string(),
            "is_open": true,
        };
        let found = self.sync_documents().find_one(this.clone()).session(&mut *session).await?;
        let Some(mut sync) = found else { return Ok(false) };
        let moved = sync.advance(advance.feed, advance.done_through.as_microsecond());
        if moved || advance.has_batch {
            let written = stored_count(advance.charges_written)?;
            sync.charges_written = sync.charges_written.saturating_add(written);
        }
        self.sync_documents().replace_one(this, sync).session(session).await?;
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Syncs for MongoStore {
    async fn request_sync(
        &self,
        sync: &SyncRun,
        audit: Option<&AuditEvent>,
    ) -> Result<Created<SyncRun>> {
        atomically!(self, |session| self.try_request(session, sync, audit))
    }

    async fn open_sync(&self, connection: ConnectionId) -> Result<Option<SyncRun>> {
        let open = doc! { "connection": connection.to_string(), "is_open": true };
        self.sync_documents().find_one(open).await?.map(StoredSync::read).transpose()
    }

    async fn start_sync(
        &self,
        id: SyncId,
        from: Timestamp,
        to: Timestamp,
        feeds: &[String],
    ) -> Result<Option<SyncRun>> {
        let open = doc! { "_id": id.to_string(), "is_open": true };
        atomically!(self, |session| async {
            let found = self.sync_documents().find_one(open.clone()).session(&mut *session).await?;
            let Some(mut sync) = found else { return Ok(None) };
            sync.state = SyncState::Running.as_str().to_owned();
            if sync.from.is_none() {
                let start = |feed: &String| StoredProgress {
                    feed: feed.clone(),
                    done_through: from.as_microsecond(),
                };
                sync.from = Some(from.as_microsecond());
                sync.to = Some(to.as_microsecond());
                sync.progress = feeds.iter().map(start).collect();
            }
            self.sync_documents().replace_one(open.clone(), &sync).session(session).await?;
            Ok(Some(sync.read()?))
        })
    }

    async fn finish_sync(&self, id: SyncId, end: &SyncEnd) -> Result<()> {
        let state = if end.error.is_some() { SyncState::Failed } else { SyncState::Done };
        let error = end.error.as_ref().map(StoredError::document);
        let change = doc! { "$set": {
            "state": state.as_str(),
            "is_open": false,
            "issues": &end.issues,
            "error": error,
            "finished_at": end.finished_at.as_microsecond(),
        } };
        let open = doc! { "_id": id.to_string(), "is_open": true };
        self.sync_documents().update_one(open, change).await?;
        Ok(())
    }

    async fn syncs(
        &self,
        organization: OrganizationId,
        connection: ConnectionId,
        page: &PageQuery,
    ) -> Result<Vec<SyncRun>> {
        let which = doc! {
            "connection": connection.to_string(),
            "organization": organization.to_string(),
        };
        let syncs = read_page(&self.sync_documents(), which, page).await?;
        syncs.into_iter().map(StoredSync::read).collect()
    }
}
