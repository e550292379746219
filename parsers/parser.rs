//! What a billing-file format is, and what an import may ask of it.
//!
//! A parser is told everything that it needs, the present instant included. It reads once, from
//! front to back, and keeps no more than a record and a bounded list of problems in memory.

use std::io::Read;

use domain::{FormatDescriptor, file::OnError};
use jiff::Timestamp;

use crate::{ChargeSink, ParseError, ParseReport};

/// How much of a file's beginning [`crate::detect`] wants to see. Fewer bytes are fine only if
/// there are no more: a header that lies beyond is not found.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Whether a file is of a parser's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// It is not.
    Declines,
    /// It is, whatever its name says.
    Claims,
}

/// One billing-file format.
pub trait Parser: Sync {
    /// What the format says of itself.
    fn descriptor(&self) -> &'static FormatDescriptor;

    /// Whether the file is of this format, by its first [`HEAD_BYTES`]. The content decides; the
    /// name may only help where two formats look alike.
    fn sniff(&self, name: &str, head: &[u8]) -> Confidence;

    /// Reads the whole file. Good rows go to `sink`, in file order; bad rows go to the report.
    ///
    /// With [`OnError::Reject`] reading ends once `errors_max` bad rows are known, since nothing
    /// will be kept. Whether the charges pushed so far are kept is the caller's decision in every
    /// case.
    ///
    /// # Errors
    /// [`ParseError`] where the file as a whole cannot be read: another format, broken text, a
    /// limit. What had been pushed before must be thrown away.
    fn parse(
        &self,
        input: &mut dyn Read,
        options: &ParseOptions,
        sink: &mut dyn ChargeSink,
    ) -> Result<ParseReport, ParseError>;
}

/// What the uploader said, and what the host allows.
#[derive(Debug, Clone)]
pub struct ParseOptions {
    /// Who bills, by name or id, where the file does not say.
    pub provider: Option<String>,
    /// The provider's account, where the file does not say.
    pub account: Option<String>,
    /// Whether the import will survive bad rows.
    pub on_error: OnError,
    /// The present; charges of the far future are typing errors.
    pub now: Timestamp,
    /// Bounds on what is read and kept.
    pub limits: Limits,
}

impl ParseOptions {
    /// Nothing said, and the usual limits.
    #[must_use]
    pub fn new(now: Timestamp) -> ParseOptions {
        ParseOptions {
            provider: None,
            account: None,
            on_error: OnError::Reject,
            now,
            limits: Limits::default(),
        }
    }
}

/// Bounds that keep a hostile file from using more than its share. There is none on rows: they are
/// streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest record, as UTF-8. An unclosed quote ends here.
    pub record_bytes_max: usize,
    /// The most columns.
    pub columns_max: usize,
    /// The most rows in which the header is searched; reports may begin with a title.
    pub preamble_rows_max: usize,
    /// How many errors are listed; more are only counted.
    pub errors_max: usize,
    /// How many warnings are listed.
    pub warnings_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            record_bytes_max: 1024 * 1024,
            columns_max: 512,
            preamble_rows_max: 30,
            errors_max: 100,
            warnings_max: 100,
        }
    }
}
