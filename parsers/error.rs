//! Why a whole file was refused.
//!
//! Each reason has a stable code and says what is wrong and what would be right. Messages name
//! lines and columns; they never repeat the content of a cell or a path.

use std::io;

use domain::FileError;

use crate::SinkError;

/// The file as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// No bytes, or only blank ones.
    #[error("the file is empty")]
    Empty,
    /// No parser claims it.
    #[error(
        "no known billing format has these columns; `outlay formats` lists those that can be read"
    )]
    UnknownFormat,
    /// Several parsers claim it; a mistake in ours.
    #[error("several billing formats have these columns")]
    AmbiguousFormat,
    /// Not a kind of file that can be read here.
    #[error("{what} cannot be read yet: {instead}")]
    UnsupportedMediaType {
        /// What it is.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// The bytes are no text, or text in an encoding that nothing announces.
    #[error("the text is neither UTF-8 nor UTF-16 with a byte-order mark: save it as UTF-8")]
    InvalidEncoding {
        /// Line, where known.
        row: Option<u64>,
    },
    /// A NUL character in the text.
    #[error("the row holds a NUL character")]
    Nul {
        /// Line on which the row begins.
        row: u64,
    },
    /// The file ends in the middle of a row.
    #[error("the file ends in the middle of this row: part of it was lost")]
    Truncated {
        /// Line on which the row begins.
        row: u64,
    },
    /// A record over the limit, mostly because a quote is never closed.
    #[error(
        "the row that begins here is longer than {record_bytes_max} bytes: is a quote not closed?"
    )]
    RecordTooLarge {
        /// Line on which the row begins.
        row: u64,
        /// The limit.
        record_bytes_max: usize,
    },
    /// More columns than allowed.
    #[error("the file has {count} columns, more than {columns_max}")]
    TooManyColumns {
        /// How many there are.
        count: usize,
        /// The limit.
        columns_max: usize,
    },
    /// Columns that cannot be told apart.
    #[error("every column needs a name of its own: {problems}")]
    InvalidHeader {
        /// Line of the header.
        row: u64,
        /// Which columns, and why.
        problems: String,
    },
    /// A column without which no row can be read.
    #[error("the column `{column}` is missing")]
    MissingColumn {
        /// Its name in the format.
        column: &'static str,
    },
    /// Amounts with a decimal comma and amounts with a decimal point.
    #[error("some amounts of the file have a decimal comma and some a decimal point")]
    MixedNumberFormat {
        /// Line of the first that differs.
        row: u64,
        /// Its column.
        column: String,
    },
    /// Dates with the month first and dates with the day first.
    #[error("some dates of the file have the month first and some the day")]
    MixedDateFormat {
        /// Line of the first that differs.
        row: u64,
    },
    /// More money than can be summed.
    #[error("the costs add up to more than 10^18")]
    TotalOutOfRange {
        /// Line of the cost that is too much.
        row: u64,
    },
    /// The bytes could not be had.
    #[error("the file could not be read to its end")]
    Unreadable(#[source] io::Error),
    /// The charges could not be passed on.
    #[error(transparent)]
    Sink(SinkError),
}

impl ParseError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ParseError::Empty => "empty_file",
            ParseError::UnknownFormat => "unknown_format",
            ParseError::AmbiguousFormat => "ambiguous_format",
            ParseError::UnsupportedMediaType { .. } => "unsupported_media_type",
            ParseError::InvalidEncoding { .. } => "invalid_encoding",
            ParseError::Nul { .. } => "nul_character",
            ParseError::Truncated { .. } => "truncated",
            ParseError::RecordTooLarge { .. } => "record_too_large",
            ParseError::TooManyColumns { .. } => "too_many_columns",
            ParseError::InvalidHeader { .. } => "invalid_header",
            ParseError::MissingColumn { .. } => "missing_column",
            ParseError::MixedNumberFormat { .. } => "mixed_number_format",
            ParseError::MixedDateFormat { .. } => "mixed_date_format",
            ParseError::TotalOutOfRange { .. } => "total_out_of_range",
            ParseError::Unreadable(_) => "unreadable",
            ParseError::Sink(_) => "not_stored",
        }
    }

    /// The line it is about, from 1.
    #[must_use]
    pub fn row(&self) -> Option<u64> {
        match self {
            ParseError::InvalidEncoding { row } => *row,
            ParseError::Nul { row }
            | ParseError::Truncated { row }
            | ParseError::RecordTooLarge { row, .. }
            | ParseError::InvalidHeader { row, .. }
            | ParseError::MixedNumberFormat { row, .. }
            | ParseError::MixedDateFormat { row }
            | ParseError::TotalOutOfRange { row } => Some(*row),
            _ => None,
        }
    }

    /// The column it is about.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            ParseError::MissingColumn { column } => Some(column),
            ParseError::MixedNumberFormat { column, .. } => Some(column),
            _ => None,
        }
    }

    /// Whether the fault is the file's. Otherwise the same file may be read well another time.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !matches!(self, ParseError::Unreadable(_) | ParseError::Sink(_))
    }

    /// The error as an import reports it.
    #[must_use]
    pub fn to_file_error(&self) -> FileError {
        FileError {
            row: self.row(),
            column: self.column().map(str::to_owned),
            code: self.code().to_owned(),
            message: self.to_string(),
        }
    }
}
