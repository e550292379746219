//! The schedule on MongoDB: one document for each job, and one for each of its last runs.
//!
//! A job that is off the schedule keeps its document, without a due time: its fence number must
//! grow for ever, or a holder from before could pass for the holder of now. Transactions that
//! depend on a lease write to the job's document ([`MongoStore::hold`]), so that a claim in the
//! same moment collides with them.

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use mongodb::{
    ClientSession, Collection,
    bson::{Bson, Document, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{count, instant, instant_if_any, known, limit as at_most, stored_count},
    transaction::atomically,
};
use crate::{
    Result, Schedule,
    schedule::{Claim, JobKey, Lease, Run, RunEnd, ScheduledJob},
};

/// How many runs of a job are remembered.
const RUN_COUNT_MAX: u64 = 100;

#[derive(Serialize, Deserialize)]
struct StoredKey {
    kind: String,
    subject: String,
}

#[derive(Serialize, Deserialize)]
struct StoredJob {
    #[serde(rename = "_id")]
    key: StoredKey,
    /// `None` where the job is off the schedule.
    due_at: Option<i64>,
    /// The earliest time that was asked for during the run.
    wanted_at: Option<i64>,
    fence: i64,
    failure_count: i64,
    leased_until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredRun {
    job: StoredKey,
    fence: i64,
    started_at: i64,
    finished_at: i64,
    error: Option<String>,
    missed_count: i64,
    next_due_at: Option<i64>,
}

impl StoredKey {
    fn new(key: &JobKey) -> StoredKey {
        StoredKey { kind: key.kind.clone(), subject: key.subject.clone() }
    }

    fn read(self) -> JobKey {
        JobKey { kind: self.kind, subject: self.subject }
    }
}

impl StoredJob {
    fn read(self) -> Result<ScheduledJob> {
        Ok(ScheduledJob {
            key: self.key.read(),
            due_at: instant(known(self.due_at, "a due time")?)?,
            failure_count: known(u32::try_from(self.failure_count).ok(), "a count of failures")?,
            leased_until: instant_if_any(self.leased_until)?,
        })
    }

    fn read_claim(self) -> Result<Claim> {
        let fence = count(self.fence)?;
        let job = self.read()?;
        let expires_at = known(job.leased_until, "a lease")?;
        Ok(Claim {
            lease: Lease { key: job.key, fence, expires_at },
            due_at: job.due_at,
            failure_count: job.failure_count,
        })
    }
}

impl StoredRun {
    fn new(lease: &Lease, end: &RunEnd) -> Result<StoredRun> {
        Ok(StoredRun {
            job: StoredKey::new(&lease.key),
            fence: stored_count(lease.fence)?,
            started_at: end.started_at.as_microsecond(),
            finished_at: end.finished_at.as_microsecond(),
            error: end.error.clone(),
            missed_count: i64::from(end.missed_count),
            next_due_at: end.next_due_at.map(Timestamp::as_microsecond),
        })
    }

    fn read(self) -> Result<Run> {
        Ok(Run {
            key: self.job.read(),
            fence: count(self.fence)?,
            end: RunEnd {
                started_at: instant(self.started_at)?,
                finished_at: instant(self.finished_at)?,
                error: self.error,
                missed_count: known(u32::try_from(self.missed_count).ok(), "a count of runs")?,
                next_due_at: instant_if_any(self.next_due_at)?,
            },
        })
    }
}

/// As the server compares it: fields in this order.
fn id(key: &JobKey) -> Document {
    doc! { "kind": &key.kind, "subject": &key.subject }
}

/// The job's document, while this lease holds.
fn held(lease: &Lease) -> Result<Document> {
    let fence = stored_count(lease.fence)?;
    Ok(doc! { "_id": id(&lease.key), "fence": fence, "leased_until": { "$ne": null } })
}

/// What puts a job on the schedule or brings it forward. During a run it is only noted, for the
/// run's end.
///
/// A pipeline, because it depends on the document, and because its `$min` leaves nulls out
/// (<https://www.mongodb.com/docs/manual/reference/operator/aggregation/min/>), unlike the update
/// operator.
fn due_by(due_at: Timestamp) -> Vec<Document> {
    let at = due_at.as_microsecond();
    let runs = doc! { "$gt": ["$leased_until", null] };
    vec![doc! { "$set": {
        "due_at": { "$cond": [runs.clone(), "$due_at", { "$min": ["$due_at", at] }] },
        "wanted_at": { "$cond": [runs, { "$min": ["$wanted_at", at] }, null] },
        "fence": { "$ifNull": ["$fence", 0_i64] },
        "failure_count": { "$ifNull": ["$failure_count", 0_i64] },
        "leased_until": { "$ifNull": ["$leased_until", null] },
    } }]
}

/// What gives a job's lease to a new holder. What was asked for up to now, this run does.
fn claim(now: i64, until: Timestamp) -> Vec<Document> {
    vec![doc! { "$set": {
        "fence": { "$add": ["$fence", 1_i64] },
        "leased_until": until.as_microsecond(),
        "wanted_at": { "$cond": [{ "$gt": ["$wanted_at", now] }, "$wanted_at", null] },
    } }]
}

impl MongoStore {
    fn jobs(&self) -> Collection<StoredJob> {
        self.collection("schedule")
    }

    fn run_documents(&self) -> Collection<StoredRun> {
        self.collection("runs")
    }

    /// [`Schedule::make_due`] as a part of a transaction.
    pub(super) async fn schedule(
        &self,
        session: &mut ClientSession,
        key: &JobKey,
        due_at: Timestamp,
    ) -> Attempt<()> {
        let this = doc! { "_id": id(key) };
        self.jobs().update_one(this, due_by(due_at)).upsert(true).session(session).await?;
        Ok(())
    }

    /// Takes a job off the schedule and its lease from whoever holds it, as a part of a
    /// transaction.
    pub(super) async fn unschedule(
        &self,
        session: &mut ClientSession,
        key: &JobKey,
    ) -> Attempt<()> {
        let off = doc! { "$set": {
            "due_at": null,
            "wanted_at": null,
            "leased_until": null,
            "failure_count": 0_i64,
        } };
        self.jobs().update_one(doc! { "_id": id(key) }, off).session(&mut *session).await?;
        let its_runs = doc! { "job": id(key) };
        self.run_documents().delete_many(its_runs).session(session).await?;
        Ok(())
    }

    /// Whether the lease still holds; if so it holds until this transaction is committed, because a
    /// claim in between collides with the write.
    pub(super) async fn hold(&self, session: &mut ClientSession, lease: &Lease) -> Attempt<bool> {
        let touched = doc! { "$inc": { "commit_count": 1_i64 } };
        let update = self.jobs().update_one(held(lease)?, touched).session(session).await?;
        Ok(update.matched_count == 1)
    }

    async fn try_finish(
        &self,
        session: &mut ClientSession,
        lease: &Lease,
        end: &RunEnd,
    ) -> Attempt<bool> {
        let this = held(lease)?;
        let found = self.jobs().find_one(this.clone()).session(&mut *session).await?;
        let Some(job) = found else { return Ok(false) };
        let next = end.next_due_at.map(Timestamp::as_microsecond);
        let due_at = [next, job.wanted_at].into_iter().flatten().min();
        // A job that is off the schedule and comes back begins anew, but for its fence number.
        let has_failed = end.error.is_some() && due_at.is_some();
        let failure_count = if has_failed { job.failure_count + 1 } else { 0 };
        let change = doc! { "$set": {
            "due_at": due_at,
            "wanted_at": null,
            "leased_until": null,
            "failure_count": failure_count.min(i64::from(u32::MAX)),
        } };
        self.jobs().update_one(this, change).session(&mut *session).await?;
        self.run_documents().insert_one(StoredRun::new(lease, end)?).session(&mut *session).await?;
        self.forget_runs(session, &lease.key).await?;
        Ok(true)
    }

    async fn forget_runs(&self, session: &mut ClientSession, key: &JobKey) -> Attempt<()> {
        let runs = self.run_documents();
        let newest_first = runs.find_one(doc! { "job": id(key) });
        let first_too_many = newest_first.sort(doc! { "fence": -1 }).skip(RUN_COUNT_MAX);
        if let Some(run) = first_too_many.session(&mut *session).await? {
            let old = doc! { "job": id(key), "fence": { "$lte": run.fence } };
            runs.delete_many(old).session(session).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Schedule for MongoStore {
    async fn make_due(&self, key: &JobKey, due_at: Timestamp) -> Result<()> {
        let this = doc! { "_id": id(key) };
        self.jobs().update_one(this, due_by(due_at)).upsert(true).await?;
        Ok(())
    }

    async fn claim_due(&self, now: Timestamp, lease_seconds: u32) -> Result<Option<Claim>> {
        let length = SignedDuration::from_secs(lease_seconds.into());
        let until = now.checked_add(length).unwrap_or(Timestamp::MAX);
        let now = now.as_microsecond();
        // A due time of null is no number, so it is not below one.
        let free = doc! {
            "due_at": { "$lte": now },
            "$or": [{ "leased_until": null }, { "leased_until": { "$lte": now } }],
        };
        let claimed = self
            .jobs()
            .find_one_and_update(free, claim(now, until))
            .sort(doc! { "due_at": 1, "_id": 1 })
            .return_document(ReturnDocument::After)
            .await?;
        claimed.map(StoredJob::read_claim).transpose()
    }

    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<bool> {
        let renewed = doc! { "$set": { "leased_until": expires_at.as_microsecond() } };
        Ok(self.jobs().update_one(held(lease)?, renewed).await?.matched_count == 1)
    }

    async fn finish_run(&self, lease: &Lease, end: &RunEnd) -> Result<bool> {
        atomically!(self, |session| self.try_finish(session, lease, end))
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let freed = doc! { "$set": { "leased_until": Bson::Null } };
        self.jobs().update_one(held(lease)?, freed).await?;
        Ok(())
    }

    async fn scheduled_jobs(&self, kind: &str) -> Result<Vec<ScheduledJob>> {
        let scheduled = doc! { "_id.kind": kind, "due_at": { "$ne": null } };
        let found = self.jobs().find(scheduled).sort(doc! { "due_at": 1, "_id": 1 }).await?;
        let jobs: Vec<_> = found.try_collect().await?;
        jobs.into_iter().map(StoredJob::read).collect()
    }

    async fn runs(&self, key: &JobKey, limit: usize) -> Result<Vec<Run>> {
        // To the server a limit of 0 means none.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let documents = self.run_documents();
        let found = documents.find(doc! { "job": id(key) }).sort(doc! { "fence": -1 });
        let runs: Vec<_> = found.limit(at_most(limit)).await?.try_collect().await?;
        runs.into_iter().map(StoredRun::read).collect()
    }
}
