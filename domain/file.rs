//! An uploaded billing file and how its import is going.

use jiff::Timestamp;

use crate::{FileId, Money, OrganizationId};

/// Where an uploaded file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Waits for the runner.
    Queued,
    /// Is being parsed.
    Parsing,
    /// No known format; a person must say which column is which.
    NeedsMapping,
    /// Its charges count.
    Done,
    /// Refused; the errors say where and why. Nothing of it was kept.
    Failed,
}

impl FileState {
    /// All states.
    pub const ALL: [FileState; 5] = [
        FileState::Queued,
        FileState::Parsing,
        FileState::NeedsMapping,
        FileState::Done,
        FileState::Failed,
    ];

    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FileState::Queued => "queued",
            FileState::Parsing => "parsing",
            FileState::NeedsMapping => "needs_mapping",
            FileState::Done => "done",
            FileState::Failed => "failed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<FileState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One thing that is wrong with a file, or with one cell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// Line number in the file, from 1; `None` where the whole file is meant.
    pub row: Option<u64>,
    /// Column name.
    pub column: Option<String>,
    /// Stable code.
    pub code: String,
    /// What is wrong and what would be right; never the cell's own content.
    pub message: String,
}

/// What a file's charges add up to in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileTotal {
    /// Sum of the billed costs.
    pub billed_cost: Money,
    /// What rounding to 10⁻¹⁵ removed in all, in 10⁻³⁰ units.
    pub residue: i128,
}

/// What to do with rows that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// One bad row refuses the file (the default).
    #[default]
    Reject,
    /// Bad rows are left out and listed.
    Skip,
}

/// What the person who uploaded a file said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileOptions {
    /// Who bills, where the file does not say.
    pub provider: Option<String>,
    /// The provider's account, where the file does not say.
    pub account: Option<String>,
    /// What to do with bad rows.
    pub on_error: OnError,
}

/// What an import found, good or bad.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileReport {
    /// Format id; `None` where none was recognised.
    pub format: Option<String>,
    /// Rows read, header apart.
    pub row_count: u64,
    /// Rows that became charges.
    pub charge_count: u64,
    /// Sums per currency.
    pub totals: Vec<FileTotal>,
    /// Departures that did not stop the import.
    pub warnings: Vec<FileError>,
    /// What refused the file, or the rows left out.
    pub errors: Vec<FileError>,
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// Id.
    pub id: FileId,
    /// Owner.
    pub organization: OrganizationId,
    /// Its name as uploaded, cleaned and cut to 200 characters; never used as a path.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes: the same bytes are one file.
    pub sha256: [u8; 32],
    /// What the uploader said about it.
    pub options: FileOptions,
    /// Where it stands.
    pub state: FileState,
    /// Bytes parsed so far.
    pub bytes_parsed: u64,
    /// What the import found.
    pub report: FileReport,
    /// When it came.
    pub created_at: Timestamp,
    /// When its import ended.
    pub finished_at: Option<Timestamp>,
}
