//! Results for people and for programs: tables, JSON as the API sent it, CSV.

use std::io::{Write as _, stdout};

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::value::RawValue;

use crate::cli::Output;

/// A result as rows of text, with the JSON it came from.
pub(crate) struct Listing<'a> {
    /// Column names; those that begin with `>` are aligned to the right.
    pub(crate) columns: Vec<&'a str>,
    /// Cells.
    pub(crate) rows: Vec<Vec<String>>,
    /// The array as the API sent it, digit for digit.
    pub(crate) json: &'a RawValue,
}

impl Listing<'_> {
    /// Prints it.
    pub(crate) fn print(&self, output: Output) -> Result<()> {
        match output {
            Output::Table => say(&self.table()),
            Output::Json => say(self.json.get()),
            Output::Csv => say(self.csv()?.trim_end()),
        }
        Ok(())
    }

    /// The rows as a table.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().map(|name| name.trim_start_matches('>')));
        for row in &self.rows {
            table.add_row(row);
        }
        for (index, name) in self.columns.iter().enumerate() {
            if let (true, Some(column)) = (name.starts_with('>'), table.column_mut(index)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|name| name.trim_start_matches('>')))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| guarded(cell)))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// Spreadsheets run cells that begin like a formula, even when quoted: text of that kind gets a
/// leading apostrophe (OWASP, CSV injection). Numbers, negative ones too, stay numbers.
fn guarded(cell: &str) -> String {
    let is_number = domain::fixed::parse_rounded(cell).is_ok();
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') if !is_number => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

/// Prints a line of the result. Text from files and providers loses control characters, which a
/// terminal would obey.
pub(crate) fn say(text: &str) {
    let printable =
        |letter: char| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter };
    let line: String = text.chars().map(printable).collect();
    // Whoever closed the pipe, as `head` does, has read enough.
    let _written = writeln!(stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_disarmed_and_numbers_are_not() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("-1+1", "'-1+1"),
            ("-5.0", "-5.0"),
            ("gpt-4o", "gpt-4o"),
        ] {
            assert_eq!(guarded(cell), written);
        }
    }
}
