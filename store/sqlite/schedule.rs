//! The schedule in SQLite. A lease is held while `leased_until` is set and the fence is its own,
//! even after that time, until somebody else claims the job.

use domain::{ConnectionId, FileId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    database::{Fields, all, change, first, micros, stored_count},
};
use crate::{
    Result, Schedule,
    schedule::{Claim, JobKey, Lease, Run, RunEnd, ScheduledJob},
};

/// How many runs of a job are remembered.
const RUN_COUNT_MAX: i64 = 100;

#[async_trait::async_trait]
impl Schedule for SqliteStore {
    async fn make_due(&self, key: &JobKey, due_at: Timestamp) -> Result<()> {
        let key = key.clone();
        self.write(move |db| make_due(db, &key, due_at)).await
    }

    async fn claim_due(&self, now: Timestamp, lease_seconds: u32) -> Result<Option<Claim>> {
        let length = SignedDuration::from_secs(lease_seconds.into());
        let expires_at = now.checked_add(length).unwrap_or(Timestamp::MAX);
        self.write(move |db| claim_due(db, now, expires_at)).await
    }

    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<bool> {
        let lease = lease.clone();
        self.write(move |db| {
            let JobKey { kind, subject } = &lease.key;
            let renewed = change(
                db,
                "UPDATE schedule SET leased_until = ? WHERE kind = ? AND subject = ?
                 AND fence = ? AND leased_until IS NOT NULL",
                params![micros(expires_at), kind, subject, stored_count(lease.fence)?],
            )?;
            Ok(renewed > 0)
        })
        .await
    }

    async fn finish_run(&self, lease: &Lease, end: &RunEnd) -> Result<bool> {
        let (lease, end) = (lease.clone(), end.clone());
        self.write(move |db| {
            let is_held = is_held(db, &lease)?;
            if is_held {
                reschedule(db, &lease.key, &end)?;
                record_run(db, &lease, &end)?;
            }
            Ok(is_held)
        })
        .await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write(move |db| {
            let JobKey { kind, subject } = &lease.key;
            change(
                db,
                "UPDATE schedule SET leased_until = NULL
                 WHERE kind = ? AND subject = ? AND fence = ?",
                params![kind, subject, stored_count(lease.fence)?],
            )?;
            Ok(())
        })
        .await
    }

    async fn scheduled_jobs(&self, kind: &str) -> Result<Vec<ScheduledJob>> {
        let kind = kind.to_owned();
        let sql = "SELECT * FROM schedule WHERE kind = ? ORDER BY due_at, subject";
        self.read(move |db| all(db, sql, [kind], job_of)).await
    }

    async fn runs(&self, key: &JobKey, limit: usize) -> Result<Vec<Run>> {
        let (key, limit) = (key.clone(), stored_count(limit)?);
        let sql = "SELECT * FROM runs WHERE kind = ? AND subject = ? ORDER BY fence DESC LIMIT ?";
        self.read(move |db| all(db, sql, params![key.kind, key.subject, limit], run_of)).await
    }
}

/// The job that syncs a connection.
pub(super) fn sync_of(connection: ConnectionId) -> JobKey {
    JobKey { kind: "sync_connection".to_owned(), subject: connection.to_string() }
}

/// The job that imports a file.
pub(super) fn import_of(file: FileId) -> JobKey {
    JobKey { kind: "import_file".to_owned(), subject: file.to_string() }
}

/// Puts a job on the schedule or brings it forward. During a run it is only noted, for the run's
/// end.
pub(super) fn make_due(db: &Connection, key: &JobKey, due_at: Timestamp) -> Result<()> {
    change(
        db,
        "INSERT INTO schedule (kind, subject, due_at, failure_count, fence)
         VALUES (?1, ?2, ?3, 0, 0)
         ON CONFLICT (kind, subject) DO UPDATE SET
             due_at = iif(leased_until IS NULL, min(due_at, ?3), due_at),
             asked_at = iif(leased_until IS NULL, asked_at, min(ifnull(asked_at, ?3), ?3))",
        params![key.kind, key.subject, micros(due_at)],
    )?;
    Ok(())
}

/// Whether a lease is still this holder's. Its time may be over, as long as nobody else took it.
pub(super) fn is_held(db: &Connection, lease: &Lease) -> Result<bool> {
    let sql = "SELECT 1 FROM schedule
               WHERE kind = ? AND subject = ? AND fence = ? AND leased_until IS NOT NULL";
    let held = params![lease.key.kind, lease.key.subject, stored_count(lease.fence)?];
    Ok(first(db, sql, held, |_| Ok(()))?.is_some())
}

/// Takes a job off the schedule, whoever holds it, and forgets its runs.
pub(super) fn remove(db: &Connection, key: &JobKey) -> Result<()> {
    let job = [&key.kind, &key.subject];
    change(db, "DELETE FROM schedule WHERE kind = ? AND subject = ?", job)?;
    change(db, "DELETE FROM runs WHERE kind = ? AND subject = ?", job)?;
    Ok(())
}

/// Frees every lease: nobody else can hold one when the file is opened.
pub(super) fn free_all_leases(db: &Connection) -> Result<()> {
    change(db, "UPDATE schedule SET leased_until = NULL", [])?;
    Ok(())
}

fn claim_due(db: &Connection, now: Timestamp, expires_at: Timestamp) -> Result<Option<Claim>> {
    let sql = "SELECT * FROM schedule
               WHERE due_at <= ?1 AND (leased_until IS NULL OR leased_until <= ?1)
               ORDER BY due_at, kind, subject LIMIT 1";
    let Some(job) = first(db, sql, [micros(now)], job_of)? else { return Ok(None) };
    // One counter for all jobs: a job that comes back after it was removed gets a larger number
    // too.
    let sql = "INSERT INTO counters (name, value) VALUES ('fence', 1)
               ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value";
    let fence = first(db, sql, [], |row| row.count("value"))?;
    let fence = fence.expect("an upsert returns its row");
    // What was asked for up to now, this run does.
    change(
        db,
        "UPDATE schedule SET fence = ?3, leased_until = ?4,
             asked_at = iif(asked_at > ?5, asked_at, NULL)
         WHERE kind = ?1 AND subject = ?2",
        params![
            job.key.kind,
            job.key.subject,
            stored_count(fence)?,
            micros(expires_at),
            micros(now)
        ],
    )?;
    let lease = Lease { key: job.key, fence, expires_at };
    Ok(Some(Claim { lease, due_at: job.due_at, failure_count: job.failure_count }))
}

/// Frees the lease and sets the next due time, or takes the job off.
fn reschedule(db: &Connection, key: &JobKey, end: &RunEnd) -> Result<()> {
    let sql = "SELECT asked_at FROM schedule WHERE kind = ? AND subject = ?";
    let asked = first(db, sql, [&key.kind, &key.subject], |row| row.instant_or_none("asked_at"))?;
    let next_due_at = asked.flatten().into_iter().chain(end.next_due_at).min();
    let Some(next_due_at) = next_due_at else {
        let sql = "DELETE FROM schedule WHERE kind = ? AND subject = ?";
        change(db, sql, [&key.kind, &key.subject])?;
        return Ok(());
    };
    change(
        db,
        "UPDATE schedule SET due_at = ?3, leased_until = NULL, asked_at = NULL,
             failure_count = iif(?4, failure_count + 1, 0)
         WHERE kind = ?1 AND subject = ?2",
        params![key.kind, key.subject, micros(next_due_at), end.error.is_some()],
    )?;
    Ok(())
}

fn record_run(db: &Connection, lease: &Lease, end: &RunEnd) -> Result<()> {
    let JobKey { kind, subject } = &lease.key;
    change(
        db,
        "INSERT INTO runs
         (kind, subject, fence, started_at, finished_at, error, missed_count, next_due_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            kind,
            subject,
            stored_count(lease.fence)?,
            micros(end.started_at),
            micros(end.finished_at),
            end.error,
            end.missed_count,
            end.next_due_at.map(micros),
        ],
    )?;
    change(
        db,
        "DELETE FROM runs WHERE kind = ?1 AND subject = ?2 AND fence <= (
             SELECT fence FROM runs WHERE kind = ?1 AND subject = ?2
             ORDER BY fence DESC LIMIT 1 OFFSET ?3)",
        params![kind, subject, RUN_COUNT_MAX],
    )?;
    Ok(())
}

fn key_of(row: &Fields<'_>) -> Result<JobKey> {
    Ok(JobKey { kind: row.get("kind")?, subject: row.get("subject")? })
}

fn job_of(row: &Fields<'_>) -> Result<ScheduledJob> {
    Ok(ScheduledJob {
        key: key_of(row)?,
        due_at: row.instant("due_at")?,
        failure_count: row.get("failure_count")?,
        leased_until: row.instant_or_none("leased_until")?,
    })
}

fn run_of(row: &Fields<'_>) -> Result<Run> {
    Ok(Run {
        key: key_of(row)?,
        fence: row.count("fence")?,
        end: RunEnd {
            started_at: row.instant("started_at")?,
            finished_at: row.instant("finished_at")?,
            error: row.get("error")?,
            missed_count: row.get("missed_count")?,
            next_due_at: row.instant_or_none("next_due_at")?,
        },
    })
}
