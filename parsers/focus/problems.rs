//! What can be wrong with a FOCUS file's rows, in codes and words.
//!
//! Notices are departures that a row survives; errors leave it out. Codes are part of the API and
//! never change.

use crate::{
    amounts::NumberProblem,
    dates::DateProblem,
    report::{Notice, RowError},
};

pub(super) const NULL_WORD: Notice = Notice {
    code: "null_word",
    message: "null is an empty cell in FOCUS; the word was read as null",
};
pub(super) const NUMBER_FORMAT: Notice = Notice {
    code: "number_format",
    message: "amounts are plain decimals in FOCUS; signs and separators were read",
};
pub(super) const DATE_FORMAT: Notice = Notice {
    code: "date_format",
    message: "dates are `YYYY-MM-DDTHH:mm:ssZ` in FOCUS; read as UTC",
};
pub(super) const ROUNDED: Notice = Notice {
    code: "rounded_amount",
    message: "finer than 10^-15: rounded half to even, the rest is totalled",
};
pub(super) const NULL_COST: Notice =
    Notice { code: "null_cost", message: "this cost is never null in FOCUS" };
pub(super) const EMPTY_PERIOD: Notice =
    Notice { code: "empty_period", message: "the charge period ends when it begins" };
pub(super) const UNKNOWN_CATEGORY: Notice =
    Notice { code: "unknown_category", message: "not a charge category of FOCUS; read as `Usage`" };
pub(super) const MISSING_ACCOUNT: Notice =
    Notice { code: "missing_account", message: "the row does not say which account was billed" };

pub(super) fn missing(index: usize) -> RowError {
    let message = "the cell is empty, and no charge can do without it".to_owned();
    RowError { code: "missing_value", column: Some(index), message }
}

pub(super) fn number_error(problem: NumberProblem, index: usize) -> RowError {
    let (code, message) = match problem {
        NumberProblem::Invalid => ("invalid_number", "not a decimal number"),
        NumberProblem::OutOfRange => {
            ("number_out_of_range", "the number is too large (at most 10^18) or too long")
        }
        NumberProblem::Ambiguous | NumberProblem::Mixed => (
            "ambiguous_number",
            "the comma could be a decimal comma or a thousands separator, \
             and the rows before do not tell",
        ),
    };
    RowError { code, column: Some(index), message: message.to_owned() }
}

pub(super) fn date_error(problem: DateProblem, index: usize) -> RowError {
    let (code, message) = match problem {
        DateProblem::Invalid => ("invalid_date", "not a date: write `YYYY-MM-DDTHH:mm:ssZ`"),
        DateProblem::OutOfRange => {
            ("date_out_of_range", "the date is before 2000 or in the far future")
        }
        DateProblem::Ambiguous | DateProblem::Mixed => (
            "ambiguous_date",
            "the month or the day could be first, and no billing period tells: \
             write `YYYY-MM-DDTHH:mm:ssZ`",
        ),
    };
    RowError { code, column: Some(index), message: message.to_owned() }
}
