//! Uploaded files in SQLite, and their bytes in the spool's folder.

use bytes::Bytes;
use domain::{
    AuditEvent, Currency, FileError, FileId, FileState, FileTotal, Money, OrganizationId,
    UploadedFile,
    file::{FileOptions, FileReport, OnError},
};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{
    SqliteStore, audit, charges,
    database::{Fields, Spool, all, change, first, micros, stored_count, to_json},
    schedule,
};
use crate::{
    Files, PageQuery, Result, StoreError,
    charges::BatchSource,
    files::{FileCreated, NEEDS_BYTES, first_id_at},
    schedule::Lease,
};

#[async_trait::async_trait]
impl Files for SqliteStore {
    async fn spool_write(&self, file: FileId, chunk: u32, bytes: Bytes) -> Result<()> {
        self.spool(move |spool| spool.write(file, chunk, &bytes)).await
    }

    async fn spool_read(&self, file: FileId, chunk: u32) -> Result<Option<Bytes>> {
        self.spool(move |spool| spool.read(file, chunk)).await
    }

    async fn spool_delete(&self, file: FileId) -> Result<()> {
        self.spool(move |spool| spool.delete(file)).await
    }

    async fn sweep_spool(&self, before: Timestamp) -> Result<u64> {
        let end = first_id_at(before);
        let mut uploads = self.spool(Spool::uploads).await?;
        uploads.retain(|id| *id < end);
        let unneeded = self.read(move |db| without_needed(db, uploads)).await?;
        self.spool(move |spool| {
            unneeded.iter().try_for_each(|id| spool.delete(*id))?;
            Ok(u64::try_from(unneeded.len()).expect("a count fits"))
        })
        .await
    }

    async fn create_file(&self, file: &UploadedFile, audit: &AuditEvent) -> Result<FileCreated> {
        let (file, audit) = (file.clone(), audit.clone());
        let id = file.id;
        self.spool(move |spool| spool.sync(id)).await?;
        self.write(move |db| {
            if by_id(db, file.id)?.is_some() {
                return Ok(FileCreated::Created);
            }
            if let Some(same) = by_content(db, file.organization, &file.sha256)? {
                return Ok(FileCreated::Duplicate(Box::new(same)));
            }
            insert(db, &file)?;
            schedule::make_due(db, &schedule::import_of(file.id), file.created_at)?;
            audit::append(db, &audit)?;
            Ok(FileCreated::Created)
        })
        .await
    }

    async fn file(&self, organization: OrganizationId, id: FileId) -> Result<Option<UploadedFile>> {
        let file = self.read(move |db| by_id(db, id)).await?;
        Ok(file.filter(|file| file.organization == organization))
    }

    async fn file_by_id(&self, id: FileId) -> Result<Option<UploadedFile>> {
        self.read(move |db| by_id(db, id)).await
    }

    async fn files(
        &self,
        organization: OrganizationId,
        page: &PageQuery,
    ) -> Result<Vec<UploadedFile>> {
        let (after, limit) = (page.after.clone().unwrap_or_default(), stored_count(page.limit)?);
        let sql =
            "SELECT * FROM uploaded_files WHERE organization = ? AND id > ? ORDER BY id LIMIT ?";
        self.read(move |db| all(db, sql, params![organization.to_string(), after, limit], file_of))
            .await
    }

    async fn record_file_progress(&self, id: FileId, bytes_parsed: u64) -> Result<()> {
        let bytes_parsed = stored_count(bytes_parsed)?;
        self.write(move |db| {
            let sql = "UPDATE uploaded_files SET state = 'parsing', bytes_parsed = ?
                       WHERE id = ? AND state IN ('queued', 'parsing')";
            change(db, sql, params![bytes_parsed, id.to_string()])?;
            Ok(())
        })
        .await
    }

    async fn end_import(
        &self,
        lease: &Lease,
        id: FileId,
        state: FileState,
        report: &FileReport,
        finished_at: Timestamp,
    ) -> Result<bool> {
        let (lease, report) = (lease.clone(), report.clone());
        self.write(move |db| {
            Ok(schedule::is_held(db, &lease)? && end(db, id, state, &report, finished_at)?)
        })
        .await
    }

    async fn delete_file(
        &self,
        organization: OrganizationId,
        id: FileId,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let audit = audit.clone();
        let existed = self
            .write(move |db| {
                let sql = "DELETE FROM uploaded_files WHERE id = ? AND organization = ?";
                if change(db, sql, [id.to_string(), organization.to_string()])? == 0 {
                    return Ok(false);
                }
                schedule::remove(db, &schedule::import_of(id))?;
                charges::remove(db, organization, BatchSource::File(id))?;
                audit::append(db, &audit)?;
                Ok(true)
            })
            .await?;
        if existed {
            // Whoever is killed here leaves bytes that are swept away later.
            self.spool(move |spool| spool.delete(id)).await?;
        }
        Ok(existed)
    }
}

/// Ends a file's import; `false` where there is none, or it has ended well before.
fn end(
    db: &Connection,
    id: FileId,
    state: FileState,
    report: &FileReport,
    finished_at: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE uploaded_files SET state = ?2, report = ?3, finished_at = ?4,
                   bytes_parsed = iif(?2 = 'done', size_bytes, bytes_parsed)
               WHERE id = ?1 AND state <> 'done'";
    let report = to_json(&ReportRow::from(report))?;
    let params = params![id.to_string(), state.as_str(), report, micros(finished_at)];
    Ok(change(db, sql, params)? > 0)
}

/// Marks a file done, as part of the commit of its charges; `false` where it is gone or was
/// refused.
pub(super) fn finish(
    db: &Connection,
    organization: OrganizationId,
    id: FileId,
    report: &FileReport,
    finished_at: Timestamp,
) -> Result<bool> {
    let file = by_id(db, id)?.filter(|file| file.organization == organization);
    match file.map(|file| file.state) {
        None | Some(FileState::Failed) => Ok(false),
        Some(FileState::Done) => Ok(true),
        Some(_) => end(db, id, FileState::Done, report, finished_at),
    }
}

/// Those uploads whose bytes no file needs.
pub(super) fn without_needed(db: &Connection, uploads: Vec<FileId>) -> Result<Vec<FileId>> {
    let sql = "SELECT state FROM uploaded_files WHERE id = ?";
    let mut unneeded = Vec::new();
    for id in uploads {
        let state = first(db, sql, [id.to_string()], |row| row.named("state", FileState::parse))?;
        if !state.is_some_and(|state| NEEDS_BYTES.contains(&state)) {
            unneeded.push(id);
        }
    }
    Ok(unneeded)
}

fn by_id(db: &Connection, id: FileId) -> Result<Option<UploadedFile>> {
    first(db, "SELECT * FROM uploaded_files WHERE id = ?", [id.to_string()], file_of)
}

fn by_content(
    db: &Connection,
    organization: OrganizationId,
    sha256: &[u8; 32],
) -> Result<Option<UploadedFile>> {
    let sql = "SELECT * FROM uploaded_files
               WHERE organization = ? AND sha256 = ? AND state <> 'failed'";
    first(db, sql, params![organization.to_string(), sha256], file_of)
}

fn insert(db: &Connection, file: &UploadedFile) -> Result<()> {
    change(
        db,
        "INSERT INTO uploaded_files
         (id, organization, name, size_bytes, sha256, provider, account, on_error, state,
          bytes_parsed, report, created_at, finished_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            file.id.to_string(),
            file.organization.to_string(),
            file.name,
            stored_count(file.size_bytes)?,
            file.sha256,
            file.options.provider,
            file.options.account,
            on_error_name(file.options.on_error),
            file.state.as_str(),
            stored_count(file.bytes_parsed)?,
            to_json(&ReportRow::from(&file.report))?,
            micros(file.created_at),
            file.finished_at.map(micros),
        ],
    )?;
    Ok(())
}

fn file_of(row: &Fields<'_>) -> Result<UploadedFile> {
    Ok(UploadedFile {
        id: row.parsed("id", FileId::parse)?,
        organization: row.parsed("organization", OrganizationId::parse)?,
        name: row.get("name")?,
        size_bytes: row.count("size_bytes")?,
        sha256: row.get("sha256")?,
        options: FileOptions {
            provider: row.get("provider")?,
            account: row.get("account")?,
            on_error: row.named("on_error", on_error_of)?,
        },
        state: row.named("state", FileState::parse)?,
        bytes_parsed: row.count("bytes_parsed")?,
        report: row.json::<ReportRow>("report")?.into_report()?,
        created_at: row.instant("created_at")?,
        finished_at: row.instant_or_none("finished_at")?,
    })
}

const fn on_error_name(on_error: OnError) -> &'static str {
    match on_error {
        OnError::Reject => "reject",
        OnError::Skip => "skip",
    }
}

fn on_error_of(name: &str) -> Option<OnError> {
    [OnError::Reject, OnError::Skip].into_iter().find(|known| on_error_name(*known) == name)
}

#[derive(Serialize, Deserialize)]
struct ReportRow {
    format: Option<String>,
    row_count: u64,
    charge_count: u64,
    totals: Vec<TotalRow>,
    warnings: Vec<ErrorRow>,
    errors: Vec<ErrorRow>,
}

/// Integers as text: JSON's own numbers are doubles to many readers.
#[derive(Serialize, Deserialize)]
struct TotalRow {
    currency: String,
    billed_femtos: String,
    residue: String,
}

#[derive(Serialize, Deserialize)]
struct ErrorRow {
    row: Option<u64>,
    column: Option<String>,
    code: String,
    message: String,
}

impl From<&FileReport> for ReportRow {
    fn from(report: &FileReport) -> ReportRow {
        let total = |total: &FileTotal| TotalRow {
            currency: total.billed_cost.currency().code().to_owned(),
            billed_femtos: total.billed_cost.femtos().to_string(),
            residue: total.residue.to_string(),
        };
        ReportRow {
            format: report.format.clone(),
            row_count: report.row_count,
            charge_count: report.charge_count,
            totals: report.totals.iter().map(total).collect(),
            warnings: report.warnings.iter().map(ErrorRow::from).collect(),
            errors: report.errors.iter().map(ErrorRow::from).collect(),
        }
    }
}

impl From<&FileError> for ErrorRow {
    fn from(error: &FileError) -> ErrorRow {
        let FileError { row, column, code, message } = error.clone();
        ErrorRow { row, column, code, message }
    }
}

impl ReportRow {
    fn into_report(self) -> Result<FileReport> {
        let error =
            |ErrorRow { row, column, code, message }| FileError { row, column, code, message };
        Ok(FileReport {
            format: self.format,
            row_count: self.row_count,
            charge_count: self.charge_count,
            totals: self.totals.iter().map(TotalRow::total).collect::<Result<_>>()?,
            warnings: self.warnings.into_iter().map(error).collect(),
            errors: self.errors.into_iter().map(error).collect(),
        })
    }
}

impl TotalRow {
    fn total(&self) -> Result<FileTotal> {
        let read = || {
            let currency = Currency::parse(&self.currency)?;
            let billed_cost = Money::from_femtos(self.billed_femtos.parse().ok()?, currency)?;
            Some(FileTotal { billed_cost, residue: self.residue.parse().ok()? })
        };
        read().ok_or_else(|| StoreError::corrupt("a stored total cannot be read"))
    }
}
