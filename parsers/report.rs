//! What came of a file: control totals and a list of problems.
//!
//! Every row that is read is either a charge or left out for a reason, and so is its money where it
//! can be read at all: no cent disappears without a line that says so.

use std::collections::BTreeMap;

use domain::{
    Currency, FileError, FileTotal, Money,
    file::{FileReport, OnError},
};

use crate::{Limits, ParseError, ParseOptions};

/// Rows left out for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The code of the errors.
    pub code: &'static str,
    /// How many rows.
    pub row_count: u64,
}

/// What a parser found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParseReport {
    /// Rows read, without the header and blank rows. `charge_count` and the skipped rows add up to
    /// it.
    pub row_count: u64,
    /// Rows that became charges.
    pub charge_count: u64,
    /// Rows left out, by reason.
    pub skipped: Vec<Skipped>,
    /// What the charges add up to, per currency.
    pub totals: Vec<FileTotal>,
    /// What those rows left out add up to whose cost and currency can be read.
    pub skipped_totals: Vec<FileTotal>,
    /// Departures from the format that did not stop a row: one entry each, with the first line and
    /// the count.
    pub warnings: Vec<FileError>,
    /// The first rows left out, one entry each.
    pub errors: Vec<FileError>,
    /// Whether the file was read to its end; not so where it was going to be refused anyway.
    pub is_complete: bool,
}

impl ParseReport {
    /// How many rows were left out.
    #[must_use]
    pub fn skipped_count(&self) -> u64 {
        self.skipped.iter().map(|skipped| skipped.row_count).sum()
    }

    /// The report as an import keeps it.
    #[must_use]
    pub fn into_file_report(self, format: &str) -> FileReport {
        FileReport {
            format: Some(format.to_owned()),
            row_count: self.row_count,
            charge_count: self.charge_count,
            totals: self.totals,
            warnings: self.warnings,
            errors: self.errors,
        }
    }
}

/// A departure that is told once per column, however often it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowError {
    pub(crate) code: &'static str,
    pub(crate) column: Option<usize>,
    pub(crate) message: String,
}

/// What a row's charge costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BilledCost {
    pub(crate) cost: Money,
    pub(crate) residue: i128,
}

struct Tally {
    notice: Notice,
    column: Option<usize>,
    first_row: u64,
    count: u64,
}

/// A report in the making.
pub(crate) struct Recorder<'a> {
    header: &'a [String],
    limits: Limits,
    on_error: OnError,
    row: u64,
    tallies: Vec<Tally>,
    skipped: BTreeMap<&'static str, u64>,
    report: ParseReport,
}

impl<'a> Recorder<'a> {
    /// Nothing read yet; `header` are the printable column names.
    pub(crate) fn new(header: &'a [String], options: &ParseOptions) -> Recorder<'a> {
        Recorder {
            header,
            limits: options.limits,
            on_error: options.on_error,
            row: 0,
            tallies: Vec::new(),
            skipped: BTreeMap::new(),
            report: ParseReport::default(),
        }
    }

    /// A row begins on this line.
    pub(crate) fn begin_row(&mut self, line: u64) {
        self.row = line;
        self.report.row_count += 1;
    }

    /// The line on which the present row begins.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    /// A column's name.
    pub(crate) fn column(&self, index: usize) -> String {
        self.header[index].clone()
    }

    /// The present row departs from the format, in `count` cells of a column or of any.
    pub(crate) fn note(&mut self, notice: Notice, column: Option<usize>, count: u64) {
        let is_same =
            |tally: &&mut Tally| tally.column == column && tally.notice.code == notice.code;
        match self.tallies.iter_mut().find(is_same) {
            Some(tally) => tally.count += count,
            None => self.tallies.push(Tally { notice, column, first_row: self.row, count }),
        }
    }

    /// The whole file departs from the format.
    pub(crate) fn warn(&mut self, code: &str, column: Option<String>, message: String) {
        if self.report.warnings.len() < self.limits.warnings_max {
            let code = code.to_owned();
            self.report.warnings.push(FileError { row: None, column, code, message });
        }
    }

    /// The present row became a charge.
    pub(crate) fn accept(&mut self, billed: BilledCost) -> Result<(), ParseError> {
        self.report.charge_count += 1;
        add(&mut self.report.totals, billed).ok_or(ParseError::TotalOutOfRange { row: self.row })
    }

    /// The present row is left out. `billed` is its cost, where that much can be read.
    pub(crate) fn reject(
        &mut self,
        error: RowError,
        billed: Option<BilledCost>,
    ) -> Result<(), ParseError> {
        *self.skipped.entry(error.code).or_default() += 1;
        if self.report.errors.len() < self.limits.errors_max {
            self.report.errors.push(FileError {
                row: Some(self.row),
                column: error.column.map(|index| self.header[index].clone()),
                code: error.code.to_owned(),
                message: error.message,
            });
        }
        let Some(billed) = billed else { return Ok(()) };
        let added = add(&mut self.report.skipped_totals, billed);
        added.ok_or(ParseError::TotalOutOfRange { row: self.row })
    }

    /// Whether reading on has no point: the file will be refused, and enough is known of why.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.on_error == OnError::Reject && self.report.errors.len() >= self.limits.errors_max
    }

    /// The report of a file that was read to its end, or given up.
    pub(crate) fn finish(mut self, is_complete: bool) -> ParseReport {
        for tally in &self.tallies {
            if self.report.warnings.len() >= self.limits.warnings_max {
                break;
            }
            self.report.warnings.push(FileError {
                row: Some(tally.first_row),
                column: tally.column.map(|index| self.header[index].clone()),
                code: tally.notice.code.to_owned(),
                message: format!("{} (in {} places)", tally.notice.message, tally.count),
            });
        }
        let skipped = self.skipped.into_iter();
        self.report.skipped =
            skipped.map(|(code, row_count)| Skipped { code, row_count }).collect();
        self.report.is_complete = is_complete;
        self.report
    }
}

fn add(totals: &mut Vec<FileTotal>, billed: BilledCost) -> Option<()> {
    let currency: Currency = billed.cost.currency();
    let known = totals.iter_mut().find(|total| total.billed_cost.currency() == currency);
    match known {
        Some(total) => {
            total.billed_cost = total.billed_cost.checked_add(billed.cost)?;
            total.residue = total.residue.checked_add(billed.residue)?;
        }
        None => totals.push(FileTotal { billed_cost: billed.cost, residue: billed.residue }),
    }
    Some(())
}
