//! Uploaded files as plain data.

use domain::{FileError, FileTotal, UploadedFile, file::OnError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// An uploaded billing file and how its import is going.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileView {
    /// `file_…`
    id: String,
    /// Its name as uploaded, cleaned.
    name: String,
    /// Its size.
    size_bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    sha256: String,
    /// `queued`, `parsing`, `needs_mapping`, `done` or `failed`.
    #[schema(value_type = schemas::FileState)]
    state: &'static str,
    /// Format id; null until one is recognised.
    format: Option<String>,
    progress: ProgressView,
    /// Rows read, header apart.
    rows: u64,
    /// Rows that became charges.
    charges: u64,
    /// Sums per currency.
    totals: Vec<TotalView>,
    /// Departures that did not stop the import.
    warnings: Vec<FindingView>,
    /// What refused the file, or the rows left out.
    errors: Vec<FindingView>,
    /// Who bills, as the upload said.
    provider: Option<String>,
    /// The provider's account, as the upload said.
    account: Option<String>,
    /// `reject` or `skip`.
    #[schema(value_type = schemas::OnError)]
    on_error: &'static str,
    /// When it came.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its import ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

/// How far the import has come.
#[derive(Debug, Serialize, ToSchema)]
struct ProgressView {
    /// Bytes parsed so far.
    bytes_parsed: u64,
    /// Of so many.
    bytes_total: u64,
}

/// What a file's charges add up to in one currency.
#[derive(Debug, Serialize, ToSchema)]
struct TotalView {
    /// ISO 4217 code.
    currency: String,
    /// Sum of the billed costs.
    billed_cost: String,
    /// What rounding to 15 decimals removed in all, where it removed anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding_residue: Option<String>,
}

/// One thing that is wrong with a file, or with one cell of it.
#[derive(Debug, Serialize, ToSchema)]
struct FindingView {
    /// Line number, from 1; null where the whole file is meant.
    row: Option<u64>,
    /// Column name.
    column: Option<String>,
    /// Stable code.
    code: String,
    /// What is wrong and what would be right.
    message: String,
}

impl From<FileError> for FindingView {
    fn from(error: FileError) -> FindingView {
        let FileError { row, column, code, message } = error;
        FindingView { row, column, code, message }
    }
}

impl From<FileTotal> for TotalView {
    fn from(total: FileTotal) -> TotalView {
        TotalView {
            currency: total.billed_cost.currency().to_string(),
            billed_cost: total.billed_cost.to_string(),
            rounding_residue: (total.residue != 0).then(|| residue_text(total.residue)),
        }
    }
}

/// A count of 10⁻³⁰ units as plain decimal text.
fn residue_text(residue: i128) -> String {
    const ONE: u128 = 10_u128.pow(30);
    let sign = if residue < 0 { "-" } else { "" };
    let magnitude = residue.unsigned_abs();
    let digits = format!("{sign}{}.{:030}", magnitude / ONE, magnitude % ONE);
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl From<UploadedFile> for FileView {
    fn from(file: UploadedFile) -> FileView {
        let report = file.report;
        FileView {
            id: file.id.to_string(),
            name: file.name,
            size_bytes: file.size_bytes,
            sha256: hex(&file.sha256),
            state: file.state.as_str(),
            format: report.format,
            progress: ProgressView {
                bytes_parsed: file.bytes_parsed,
                bytes_total: file.size_bytes,
            },
            rows: report.row_count,
            charges: report.charge_count,
            totals: report.totals.into_iter().map(TotalView::from).collect(),
            warnings: report.warnings.into_iter().map(FindingView::from).collect(),
            errors: report.errors.into_iter().map(FindingView::from).collect(),
            provider: file.options.provider,
            account: file.options.account,
            on_error: match file.options.on_error {
                OnError::Reject => "reject",
                OnError::Skip => "skip",
            },
            created_at: file.created_at.to_string(),
            finished_at: file.finished_at.map(|at| at.to_string()),
        }
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileAccepted {
    /// `file_…`
    pub(crate) id: String,
    /// Where it stands.
    #[schema(value_type = schemas::FileState)]
    pub(crate) state: &'static str,
    /// Present where the same bytes came before; `id` is then the first file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duplicate: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residues_are_plain_decimals() {
        let one = 10_i128.pow(30);
        for (residue, text) in [
            (1, "0.000000000000000000000000000001"),
            (-one / 2, "-0.5"),
            (12 * one, "12"),
            (10 * one, "10"),
        ] {
            assert_eq!(residue_text(residue), text);
        }
    }
}
