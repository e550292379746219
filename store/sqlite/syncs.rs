//! Syncs in SQLite. Progress, issues and errors are JSON in their column: they are only read whole.
//! That a connection has one open sync is a unique index.

use domain::{
    AuditEvent, ConnectionId, OrganizationId, SyncId,
    connection::{FeedProgress, Sync as SyncRun, SyncState},
};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{
    SqliteStore, audit,
    connections::{error_of, error_text},
    database::{Fields, all, change, first, micros, stored_count, to_json},
    schedule,
};
use crate::{Created, PageQuery, Result, StoreError, Syncs, instants::from_micros, syncs::SyncEnd};

#[async_trait::async_trait]
impl Syncs for SqliteStore {
    async fn request_sync(
        &self,
        sync: &SyncRun,
        audit: Option<&AuditEvent>,
    ) -> Result<Created<SyncRun>> {
        let (sync, audit) = (sync.clone(), audit.cloned());
        self.write(move |db| {
            if let Some(stored) = by_id(db, sync.id)? {
                return Ok(Created::Exists(stored));
            }
            if audit.is_some() {
                schedule::make_due(db, &schedule::sync_of(sync.connection), sync.created_at)?;
            }
            if let Some(open) = open_of(db, sync.connection)? {
                return Ok(Created::Exists(open));
            }
            insert(db, &sync)?;
            if let Some(audit) = audit {
                audit::append(db, &audit)?;
            }
            Ok(Created::Created)
        })
        .await
    }

    async fn open_sync(&self, connection: ConnectionId) -> Result<Option<SyncRun>> {
        self.read(move |db| open_of(db, connection)).await
    }

    async fn start_sync(
        &self,
        id: SyncId,
        from: Timestamp,
        to: Timestamp,
        feeds: &[String],
    ) -> Result<Option<SyncRun>> {
        let feeds = feeds.to_vec();
        self.write(move |db| {
            let Some(mut sync) = by_id(db, id)?.filter(|sync| sync.state.is_open()) else {
                return Ok(None);
            };
            sync.state = SyncState::Running;
            if sync.from.is_none() {
                (sync.from, sync.to) = (Some(from), Some(to));
                let start = |feed| FeedProgress { feed, done_through: from };
                sync.progress = feeds.into_iter().map(start).collect();
            }
            update(db, &sync)?;
            Ok(Some(sync))
        })
        .await
    }

    async fn finish_sync(&self, id: SyncId, end: &SyncEnd) -> Result<()> {
        let end = end.clone();
        self.write(move |db| {
            let Some(mut sync) = by_id(db, id)?.filter(|sync| sync.state.is_open()) else {
                return Ok(());
            };
            sync.state = if end.error.is_none() { SyncState::Done } else { SyncState::Failed };
            sync.finished_at = Some(end.finished_at);
            sync.error = end.error;
            sync.issues = end.issues;
            update(db, &sync)
        })
        .await
    }

    async fn syncs(
        &self,
        organization: OrganizationId,
        connection: ConnectionId,
        page: &PageQuery,
    ) -> Result<Vec<SyncRun>> {
        let (after, limit) = (page.after.clone().unwrap_or_default(), stored_count(page.limit)?);
        let sql = "SELECT * FROM syncs WHERE connection = ? AND organization = ? AND id > ?
                   ORDER BY id LIMIT ?";
        self.read(move |db| {
            let params = params![connection.to_string(), organization.to_string(), after, limit];
            all(db, sql, params, sync_of)
        })
        .await
    }
}

/// What a commit adds to its sync.
pub(super) struct Advance<'a> {
    pub(super) organization: OrganizationId,
    pub(super) sync: SyncId,
    pub(super) feed: &'a str,
    pub(super) done_through: Timestamp,
    pub(super) charges_written: u64,
    /// Whether charges become visible with it; else a repeat is known by the progress it does not
    /// make.
    pub(super) has_batch: bool,
}

/// Moves a feed of an open sync forward; `false`, and nothing changes, where the sync is not open.
pub(super) fn advance(db: &Connection, advance: &Advance<'_>) -> Result<bool> {
    let is_theirs =
        |sync: &SyncRun| sync.organization == advance.organization && sync.state.is_open();
    let Some(mut sync) = by_id(db, advance.sync)?.filter(is_theirs) else { return Ok(false) };
    let done_through = advance.done_through;
    let advances = match sync.progress.iter_mut().find(|known| known.feed == advance.feed) {
        Some(known) => {
            let advances = known.done_through < done_through;
            known.done_through = known.done_through.max(done_through);
            advances
        }
        None => {
            sync.progress.push(FeedProgress { feed: advance.feed.to_owned(), done_through });
            true
        }
    };
    if advances || advance.has_batch {
        sync.charges_written = sync.charges_written.saturating_add(advance.charges_written);
    }
    update(db, &sync)?;
    Ok(true)
}

/// Stores a sync that is not there yet.
pub(super) fn insert(db: &Connection, sync: &SyncRun) -> Result<()> {
    change(
        db,
        "INSERT INTO syncs
         (id, organization, connection, window_start, window_end, state, progress,
          charges_written, issues, error, created_at, finished_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            sync.id.to_string(),
            sync.organization.to_string(),
            sync.connection.to_string(),
            sync.from.map(micros),
            sync.to.map(micros),
            sync.state.as_str(),
            progress_text(&sync.progress)?,
            stored_count(sync.charges_written)?,
            to_json(&sync.issues)?,
            error_text(sync.error.as_ref())?,
            micros(sync.created_at),
            sync.finished_at.map(micros),
        ],
    )?;
    Ok(())
}

/// Removes a connection's syncs.
pub(super) fn remove(db: &Connection, connection: ConnectionId) -> Result<()> {
    change(db, "DELETE FROM syncs WHERE connection = ?", [connection.to_string()])?;
    Ok(())
}

/// Writes what can change of a sync.
fn update(db: &Connection, sync: &SyncRun) -> Result<()> {
    change(
        db,
        "UPDATE syncs SET window_start = ?2, window_end = ?3, state = ?4, progress = ?5,
             charges_written = ?6, issues = ?7, error = ?8, finished_at = ?9
         WHERE id = ?1",
        params![
            sync.id.to_string(),
            sync.from.map(micros),
            sync.to.map(micros),
            sync.state.as_str(),
            progress_text(&sync.progress)?,
            stored_count(sync.charges_written)?,
            to_json(&sync.issues)?,
            error_text(sync.error.as_ref())?,
            sync.finished_at.map(micros),
        ],
    )?;
    Ok(())
}

fn by_id(db: &Connection, id: SyncId) -> Result<Option<SyncRun>> {
    first(db, "SELECT * FROM syncs WHERE id = ?", [id.to_string()], sync_of)
}

fn open_of(db: &Connection, connection: ConnectionId) -> Result<Option<SyncRun>> {
    let sql = "SELECT * FROM syncs WHERE connection = ? AND state IN ('queued', 'running')";
    first(db, sql, [connection.to_string()], sync_of)
}

fn sync_of(row: &Fields<'_>) -> Result<SyncRun> {
    Ok(SyncRun {
        id: row.parsed("id", SyncId::parse)?,
        organization: row.parsed("organization", OrganizationId::parse)?,
        connection: row.parsed("connection", ConnectionId::parse)?,
        from: row.instant_or_none("window_start")?,
        to: row.instant_or_none("window_end")?,
        state: row.named("state", SyncState::parse)?,
        progress: progress_of(row)?,
        charges_written: row.count("charges_written")?,
        issues: row.json("issues")?,
        error: error_of(row)?,
        created_at: row.instant("created_at")?,
        finished_at: row.instant_or_none("finished_at")?,
    })
}

#[derive(Serialize, Deserialize)]
struct ProgressRow {
    feed: String,
    done_through_micros: i64,
}

fn progress_text(progress: &[FeedProgress]) -> Result<String> {
    let row = |known: &FeedProgress| ProgressRow {
        feed: known.feed.clone(),
        done_through_micros: micros(known.done_through),
    };
    to_json(&progress.iter().map(row).collect::<Vec<_>>())
}

fn progress_of(row: &Fields<'_>) -> Result<Vec<FeedProgress>> {
    let unreadable = |error| StoreError::corrupt("stored progress cannot be read").caused_by(error);
    let progress = |ProgressRow { feed, done_through_micros }| {
        let done_through = from_micros(done_through_micros).map_err(unreadable)?;
        Ok(FeedProgress { feed, done_through })
    };
    row.json::<Vec<ProgressRow>>("progress")?.into_iter().map(progress).collect()
}
