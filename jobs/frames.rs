//! What the importing process and its parse worker say to each other over a pipe.
//!
//! The worker gets one line of JSON (the order) and then the file's bytes. It answers with frames:
//! a kind byte, a length `u32` little-endian, the payload. A block's payload is a length-prefixed
//! JSON header and the two column groups; the last frame is the report. The worker reads hostile
//! files, so its frames are checked like any input from outside.

use columns::{BlockView, EncodedBlock};
use domain::{
    Account, Currency, FileError, FileTotal, Money, ProviderId,
    file::{FileReport, OnError},
};
use serde::{Deserialize, Serialize};

/// No frame is larger: two column groups of at most 8 MiB each.
pub(crate) const FRAME_BYTES_MAX: u32 = 17 << 20;
const GROUP_BYTES_MAX: usize = 8 << 20;
pub(crate) const BLOCK: u8 = 1;
pub(crate) const REPORT: u8 = 2;

/// What the worker is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) provider: Option<String>,
    pub(crate) account: Option<String>,
    /// The account of charges that name none: the file stands for itself.
    pub(crate) unnamed_account: String,
    pub(crate) skip_bad_rows: bool,
    pub(crate) now_micros: i64,
}

impl Order {
    pub(crate) const fn on_error(&self) -> OnError {
        if self.skip_bad_rows { OnError::Skip } else { OnError::Reject }
    }
}

#[derive(Serialize, Deserialize)]
struct BlockHeader {
    provider: String,
    account: String,
    day: jiff::civil::Date,
    part: u32,
    row_count: u32,
    digest: [u8; 32],
    core_bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct WireError {
    row: Option<u64>,
    column: Option<String>,
    code: String,
    message: String,
}

#[derive(Serialize, Deserialize)]
struct WireTotal {
    currency: String,
    /// Whole numbers as text: 128 bits do not fit a JSON number.
    femtos: String,
    residue: String,
}

/// The worker's verdict on a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireReport {
    format: Option<String>,
    row_count: u64,
    charge_count: u64,
    totals: Vec<WireTotal>,
    warnings: Vec<WireError>,
    errors: Vec<WireError>,
    /// Whether nothing of the file may be kept.
    pub(crate) is_refused: bool,
}

/// A frame that is not as agreed.
#[derive(Debug, thiserror::Error)]
#[error("the parse worker sent something that is not a {0}")]
pub(crate) struct FrameError(&'static str);

pub(crate) fn encode_block(block: &EncodedBlock) -> Vec<u8> {
    let header = BlockHeader {
        provider: block.account.provider.to_string(),
        account: block.account.id.clone(),
        day: block.day,
        part: block.part,
        row_count: block.row_count,
        digest: block.digest,
        core_bytes: block.core.len(),
    };
    let header = serde_json::to_vec(&header).expect("a header has nothing that JSON lacks");
    let length = u32::try_from(header.len()).expect("a header is small");
    [&length.to_le_bytes()[..], &header, &block.core, &block.detail].concat()
}

/// Reads a block and checks that both groups have the rows that the header says.
pub(crate) fn decode_block(payload: &[u8]) -> Result<EncodedBlock, FrameError> {
    let wrong = || FrameError("block");
    let (length, rest) = payload.split_first_chunk::<4>().ok_or_else(wrong)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (header, groups) = rest.split_at_checked(length).ok_or_else(wrong)?;
    let header: BlockHeader = serde_json::from_slice(header).map_err(|_| wrong())?;
    let (core, detail) = groups.split_at_checked(header.core_bytes).ok_or_else(wrong)?;
    let has_rows = |group: &[u8]| {
        let view = BlockView::open(group).map_err(|_| wrong())?;
        Ok(group.len() <= GROUP_BYTES_MAX && view.row_count() == header.row_count as usize)
    };
    if !has_rows(core)? || !has_rows(detail)? {
        return Err(wrong());
    }
    let provider = ProviderId::parse(&header.provider).map_err(|_| wrong())?;
    Ok(EncodedBlock {
        account: Account { provider, id: header.account },
        day: header.day,
        part: header.part,
        row_count: header.row_count,
        digest: header.digest,
        core: core.to_vec(),
        detail: detail.to_vec(),
    })
}

impl WireReport {
    pub(crate) fn new(report: FileReport, is_refused: bool) -> WireReport {
        let total = |total: &FileTotal| WireTotal {
            currency: total.billed_cost.currency().to_string(),
            femtos: total.billed_cost.femtos().to_string(),
            residue: total.residue.to_string(),
        };
        WireReport {
            totals: report.totals.iter().map(total).collect(),
            format: report.format,
            row_count: report.row_count,
            charge_count: report.charge_count,
            warnings: report.warnings.into_iter().map(wire_error).collect(),
            errors: report.errors.into_iter().map(wire_error).collect(),
            is_refused,
        }
    }

    /// A report that refuses the file for one reason.
    pub(crate) fn refusal(error: FileError) -> WireReport {
        WireReport::new(FileReport { errors: vec![error], ..FileReport::default() }, true)
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<(FileReport, bool), FrameError> {
        let wrong = |_| FrameError("report");
        let report: WireReport = serde_json::from_slice(payload).map_err(wrong)?;
        let total = |total: WireTotal| {
            let currency = Currency::parse(&total.currency)?;
            let billed_cost = Money::from_femtos(total.femtos.parse().ok()?, currency)?;
            Some(FileTotal { billed_cost, residue: total.residue.parse().ok()? })
        };
        let totals: Option<Vec<_>> = report.totals.into_iter().map(total).collect();
        let found = FileReport {
            format: report.format,
            row_count: report.row_count,
            charge_count: report.charge_count,
            totals: totals.ok_or(FrameError("report"))?,
            warnings: report.warnings.into_iter().map(file_error).collect(),
            errors: report.errors.into_iter().map(file_error).collect(),
        };
        Ok((found, report.is_refused))
    }
}

fn wire_error(error: FileError) -> WireError {
    let FileError { row, column, code, message } = error;
    WireError { row, column, code, message }
}

fn file_error(error: WireError) -> FileError {
    let WireError { row, column, code, message } = error;
    FileError { row, column, code, message }
}
