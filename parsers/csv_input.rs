//! Records of a delimited text file, within limits.
//!
//! Finds the header among the first rows and the delimiter with it, then reads record by record.
//! Guards against what a CSV reader alone lets pass: endless records, NUL characters, files that
//! end inside a quote or a row. Only a line feed ends a record, so that line numbers are exact; a
//! carriage return before it is dropped.

use std::{
    collections::BTreeSet,
    io::{self, Chain, Cursor, Read},
};

use csv::{ByteRecord, ErrorKind, ReaderBuilder, StringRecord, Terminator};

use crate::{
    HEAD_BYTES, Limits, ParseError,
    encoding::{Malformed, Utf8Input},
};

/// Delimiters, likeliest first: comma, what spreadsheets of comma-decimal countries write, "Unicode
/// text".
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Appended to every file. Alone in a record it says that the file ended between records; anywhere
/// else, that it ended inside a quote. It cannot be mistaken for content, which must not hold NUL.
const END_MARK: &[u8] = b"\n\0";
/// How much is read at once.
const BUFFER_BYTES: usize = 128 * 1024;
/// The longest column name that a message repeats.
const NAME_CHARS_MAX: usize = 64;

type Source<'a> = Guard<Chain<Cursor<Vec<u8>>, Utf8Input<'a>>>;

/// A delimited file whose header was found.
pub(crate) struct CsvInput<'a> {
    reader: csv::Reader<Source<'a>>,
    record: StringRecord,
    line: u64,
    header: Vec<String>,
    sample: Vec<StringRecord>,
    record_bytes_max: usize,
}

impl<'a> CsvInput<'a> {
    /// Opens a file and reads to the end of its header: the first of the first rows that
    /// `is_header` accepts.
    pub(crate) fn open(
        input: &'a mut dyn Read,
        limits: &Limits,
        is_header: fn(&[String]) -> bool,
    ) -> Result<CsvInput<'a>, ParseError> {
        let mut input =
            Utf8Input::new(input).map_err(|error| fault(error, 1, limits.record_bytes_max))?;
        let mut head = Vec::new();
        let head_bytes_max = HEAD_BYTES as u64;
        let head_read = input.by_ref().take(head_bytes_max).read_to_end(&mut head);
        head_read.map_err(|error| fault(error, 1, limits.record_bytes_max))?;
        let is_all = head.len() < HEAD_BYTES;
        if is_all && head.trim_ascii().is_empty() {
            return Err(ParseError::Empty);
        }
        let place = find_header(&head, limits.preamble_rows_max, is_header);
        let place = place.ok_or(ParseError::UnknownFormat)?;
        let sample = sample(&head, &place, is_all);
        let source = Guard::new(Cursor::new(head).chain(input), limits.record_bytes_max);
        let mut opened = CsvInput {
            reader: builder(place.delimiter).from_reader(source),
            record: StringRecord::new(),
            line: 0,
            header: Vec::new(),
            sample,
            record_bytes_max: limits.record_bytes_max,
        };
        for _ in 0..=place.record_index {
            opened.read_record()?;
        }
        opened.header = header_names(&opened.record, opened.line, limits.columns_max)?;
        Ok(opened)
    }

    /// The column names, trimmed; each once, none empty.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// The first rows, to learn from before any is read for good.
    pub(crate) fn sample(&self) -> &[StringRecord] {
        &self.sample
    }

    /// The present record.
    pub(crate) fn record(&self) -> &StringRecord {
        &self.record
    }

    /// The line on which the present record begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Goes to the next record that is not blank; `false` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<bool, ParseError> {
        while self.read_record()? {
            if !is_blank(&self.record) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_record(&mut self) -> Result<bool, ParseError> {
        self.reader.get_mut().bytes_since_record = 0;
        let start = self.reader.position().line();
        if let Err(error) = self.reader.read_record(&mut self.record) {
            return Err(self.fault_of(error, start));
        }
        let text = self.record.as_slice();
        let next = self.reader.position();
        let content_bytes = self.reader.get_ref().content_bytes();
        if next.byte() >= content_bytes.saturating_add(END_MARK.len() as u64) && text == "\0" {
            return Ok(false);
        }
        let is_last = next.byte() > content_bytes;
        let is_cut = is_last && text.as_bytes().ends_with(END_MARK);
        self.line = first_line(text, start, next.line(), is_cut);
        let row = self.line;
        if is_cut {
            return Err(ParseError::Truncated { row });
        }
        if text.as_bytes().contains(&0) {
            return Err(ParseError::Nul { row });
        }
        if text.len() > self.record_bytes_max {
            let record_bytes_max = self.record_bytes_max;
            return Err(ParseError::RecordTooLarge { row, record_bytes_max });
        }
        // The last row has no line end and too few fields: the rest was lost.
        if is_last && self.record.len() < self.header.len() && !is_blank(&self.record) {
            return Err(ParseError::Truncated { row });
        }
        Ok(true)
    }

    fn fault_of(&self, error: csv::Error, row: u64) -> ParseError {
        match error.into_kind() {
            ErrorKind::Io(error) => fault(error, row, self.record_bytes_max),
            ErrorKind::Utf8 { .. } => ParseError::InvalidEncoding { row: Some(row) },
            other => ParseError::Unreadable(io::Error::other(format!("{other:?}"))),
        }
    }
}

/// The text of a field, without the carriage return of its line's end.
pub(crate) fn field(record: &StringRecord, index: usize) -> &str {
    let text = record.get(index).unwrap_or_default();
    match index + 1 == record.len() {
        true => text.strip_suffix('\r').unwrap_or(text),
        false => text,
    }
}

/// Whether a header that `is_header` accepts is among the first rows of `head`.
pub(crate) fn has_header(head: &[u8], rows_max: usize, is_header: fn(&[String]) -> bool) -> bool {
    find_header(head, rows_max, is_header).is_some()
}

/// Where the header is, in records that are not empty.
struct Place {
    delimiter: u8,
    record_index: usize,
}

fn find_header(head: &[u8], rows_max: usize, is_header: fn(&[String]) -> bool) -> Option<Place> {
    DELIMITERS.into_iter().find_map(|delimiter| {
        let mut reader = builder(delimiter).from_reader(head);
        let rows = reader.byte_records().map_while(Result::ok).take(rows_max);
        let record_index = rows.map(|row| names_of(&row)).position(|names| is_header(&names))?;
        Some(Place { delimiter, record_index })
    })
}

/// The whole rows of `head` after its header.
fn sample(head: &[u8], place: &Place, is_whole_file: bool) -> Vec<StringRecord> {
    let mut reader = builder(place.delimiter).from_reader(head);
    let rows = reader.byte_records().map_while(Result::ok).skip(place.record_index + 1);
    let mut sample: Vec<StringRecord> =
        rows.filter_map(|row| StringRecord::from_byte_record(row).ok()).collect();
    if !is_whole_file {
        sample.pop();
    }
    sample
}

fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    builder.terminator(Terminator::Any(b'\n')).buffer_capacity(BUFFER_BYTES);
    builder
}

fn names_of(row: &ByteRecord) -> Vec<String> {
    row.iter().map(|name| clean_name(&String::from_utf8_lossy(name))).collect()
}

fn clean_name(name: &str) -> String {
    name.trim_start_matches('\u{feff}').trim().to_owned()
}

/// The header's names, where each column has one of its own.
fn header_names(
    record: &StringRecord,
    row: u64,
    columns_max: usize,
) -> Result<Vec<String>, ParseError> {
    let count = record.len();
    if count > columns_max {
        return Err(ParseError::TooManyColumns { count, columns_max });
    }
    let names: Vec<String> = record.iter().map(clean_name).collect();
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            problems.push(format!("column {} has no name", index + 1));
        } else if !seen.insert(name.to_ascii_lowercase()) {
            problems.push(format!("`{}` is there twice", printable(name)));
        }
    }
    match problems.is_empty() {
        true => Ok(names),
        false => Err(ParseError::InvalidHeader { row, problems: problems.join(", ") }),
    }
}

/// A column's name for a message: short, and without control characters.
pub(crate) fn printable(name: &str) -> String {
    let visible = name.chars().map(|letter| if letter.is_control() { '�' } else { letter });
    visible.take(NAME_CHARS_MAX).collect()
}

fn is_blank(record: &StringRecord) -> bool {
    record.as_slice().trim_start().is_empty()
}

/// The line on which a record begins. Blank lines before it belong to nobody, so it is counted from
/// its end.
fn first_line(text: &str, start: u64, next_line: u64, is_cut: bool) -> u64 {
    if next_line <= start + 1 {
        return start;
    }
    let inner = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    let line_ends = if is_cut { inner } else { inner + 1 };
    next_line.saturating_sub(line_ends).max(start)
}

fn fault(error: io::Error, row: u64, record_bytes_max: usize) -> ParseError {
    let inner = error.get_ref();
    if inner.is_some_and(|inner| inner.is::<Malformed>()) {
        return ParseError::InvalidEncoding { row: None };
    }
    if inner.is_some_and(|inner| inner.is::<RecordTooLong>()) {
        return ParseError::RecordTooLarge { row, record_bytes_max };
    }
    ParseError::Unreadable(error)
}

/// Stops a record that does not end. Travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("a record does not end")]
struct RecordTooLong;

/// Passes bytes on, counts them between records, and appends the end mark.
struct Guard<R> {
    input: R,
    bytes_since_record: usize,
    bytes_since_record_max: usize,
    /// Bytes passed on, the mark's apart.
    bytes: u64,
    /// How much of the mark has been passed on.
    mark_sent: usize,
}

impl<R: Read> Guard<R> {
    fn new(input: R, record_bytes_max: usize) -> Guard<R> {
        // A read fills a whole buffer, so a record within the limit may cost up to a buffer more.
        let bytes_since_record_max = record_bytes_max.saturating_add(BUFFER_BYTES);
        Guard { input, bytes_since_record: 0, bytes_since_record_max, bytes: 0, mark_sent: 0 }
    }

    /// Length of the content, once its end was seen.
    fn content_bytes(&self) -> u64 {
        if self.mark_sent == 0 { u64::MAX } else { self.bytes }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.bytes_since_record > self.bytes_since_record_max {
            return Err(io::Error::other(RecordTooLong));
        }
        if self.mark_sent == 0 {
            let count = self.input.read(out)?;
            self.bytes_since_record += count;
            self.bytes += count as u64;
            if count > 0 {
                return Ok(count);
            }
        }
        let rest = &END_MARK[self.mark_sent..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.mark_sent += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_header(names: &[String]) -> bool {
        names.iter().any(|name| name == "Cost")
    }

    fn limits() -> Limits {
        Limits { record_bytes_max: 100, columns_max: 5, ..Limits::default() }
    }

    /// Where a record begins, and its fields.
    type Line = (u64, Vec<String>);

    /// All records, or the code and line of the error.
    fn read(text: &str) -> Result<Vec<Line>, (&'static str, Option<u64>)> {
        let told = |error: ParseError| (error.code(), error.row());
        let mut bytes = text.as_bytes();
        let mut input = CsvInput::open(&mut bytes, &limits(), is_header).map_err(told)?;
        let mut rows = Vec::new();
        while input.next().map_err(told)? {
            let record = input.record();
            let fields = (0..record.len()).map(|index| field(record, index).to_owned());
            rows.push((input.line(), fields.collect()));
        }
        Ok(rows)
    }

    fn row(line: u64, fields: &[&str]) -> Line {
        (line, fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn lines_are_counted_as_an_editor_shows_them() {
        for end in ["\n", "\r\n"] {
            let lines =
                ["", "Cost,Day", "", "1,\"a", "b\"", "", "", "2,c", ",", "\"3", "\",\"d", "", "\""];
            let rows = read(&lines.join(end)).unwrap();
            assert_eq!(rows[0], row(4, &["1", &format!("a{end}b")]));
            assert_eq!(rows[1], row(8, &["2", "c"]));
            assert_eq!(rows[2].0, 10);
            assert_eq!(rows.len(), 3);
        }
    }

    #[test]
    fn the_header_is_found_after_a_title_and_with_any_delimiter() {
        for text in [
            "Cost,Day\n1,a\n",
            "Report for May\n\nAll, of, it\nCost,Day\n1,a",
            " Cost ;Day\n1;a\n\n\n",
            "Cost\tDay\n1\ta\n",
            "\u{feff}\"Cost\",\"Day\"\r\n\"1\",\"a\"\r\n",
        ] {
            let rows = read(text).unwrap();
            assert_eq!(rows.len(), 1, "{text:?}");
            assert_eq!(rows[0].1, ["1", "a"], "{text:?}");
        }
        assert_eq!(
            read(&format!("{}Cost\n1\n", "title\n".repeat(30))).unwrap_err().0,
            "unknown_format"
        );
    }

    #[test]
    fn what_a_csv_reader_would_let_pass_is_refused() {
        let long = "x".repeat(200);
        let endless = format!("Cost\n1\n\"{}", "x\n".repeat(200_000));
        let wide = "Cost,a,b,c,d,e\n";
        for (text, code, line) in [
            ("", "empty_file", None),
            ("\u{feff}", "empty_file", None),
            ("\r\n \n", "empty_file", None),
            ("Cost,Day\n1,\0\n", "nul_character", Some(2)),
            ("Cost,Day\n1,a\n\0", "nul_character", Some(3)),
            ("Cost,Day\n1,a\n\0\n2,b\n", "nul_character", Some(3)),
            ("Cost,Day\n1,a\n2,\"b", "truncated", Some(3)),
            ("Cost,Day\n1,a\n\n2,\"b\nc\n", "truncated", Some(4)),
            ("Cost,Day\n1,a\n2", "truncated", Some(3)),
            ("Cost,Cost\n", "invalid_header", Some(1)),
            ("Cost,COST ,x\n", "invalid_header", Some(1)),
            ("Cost,,\n", "invalid_header", Some(1)),
            (wide, "too_many_columns", None),
            (&format!("Cost\n1\n{long}\n"), "record_too_large", Some(3)),
            (&endless, "record_too_large", Some(3)),
        ] {
            assert_eq!(read(text), Err((code, line)), "{:?}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn other_encodings_are_refused_with_their_line() {
        let mut latin: &[u8] = b"Cost,Name\n1,M\xfcller\n";
        let mut input = CsvInput::open(&mut latin, &limits(), is_header).unwrap();
        let error = input.next().unwrap_err();
        assert_eq!((error.code(), error.row()), ("invalid_encoding", Some(2)));
    }
}
