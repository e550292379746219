//! All parsers, and which of them a file belongs to.
//!
//! The content decides, never the name: exports are renamed, and spreadsheets are saved with any
//! ending.

use crate::{Confidence, ParseError, Parser, encoding::decode_head, focus::Focus};

/// Every format that can be read. A new one is a line here, a file, and a folder of fixtures.
pub static REGISTRY: &[&dyn Parser] = &[&Focus];

const AS_CSV: &str = "export the report as CSV, or save the sheet as CSV";
const UNPACKED: &str = "unpack it and upload what is inside";

/// First bytes of kinds of files that are not read, what they are, and what to do.
const OTHER_KINDS: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a spreadsheet or a zip archive", AS_CSV),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of the old format, or one with a password", AS_CSV),
    (b"\x1f\x8b", "a gzip archive", UNPACKED),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACKED),
    (b"PAR1", "a Parquet file", AS_CSV),
    (b"%PDF", "a PDF document", AS_CSV),
];

/// What an HTML page begins with; many "Excel" exports are one.
const HTML_STARTS: [&[u8]; 4] = [b"<!doctype", b"<html", b"<table", b"<?xml"];

/// The parser of a file, by its name and its first [`crate::HEAD_BYTES`].
///
/// # Errors
/// [`ParseError::Empty`], [`ParseError::UnsupportedMediaType`] for kinds of files that are known
/// but not read, [`ParseError::InvalidEncoding`], [`ParseError::UnknownFormat`] where no parser
/// claims it.
pub fn detect(name: &str, head: &[u8]) -> Result<&'static dyn Parser, ParseError> {
    for (start, what, instead) in OTHER_KINDS {
        if head.starts_with(start) {
            return Err(ParseError::UnsupportedMediaType { what, instead });
        }
    }
    let text = decode_head(head).ok_or(ParseError::InvalidEncoding { row: None })?;
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Err(ParseError::Empty);
    }
    let claims = |parser: &&&dyn Parser| parser.sniff(name, head) == Confidence::Claims;
    let mut parsers = REGISTRY.iter().filter(claims);
    match (parsers.next(), parsers.next()) {
        (Some(parser), None) => Ok(*parser),
        (Some(_), Some(_)) => Err(ParseError::AmbiguousFormat),
        (None, _) => Err(unknown(text)),
    }
}

fn unknown(text: &[u8]) -> ParseError {
    let starts_with = |start: &&[u8]| {
        text.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
    };
    if HTML_STARTS.iter().any(starts_with) {
        let what = "an HTML or XML page";
        return ParseError::UnsupportedMediaType { what, instead: AS_CSV };
    }
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return ParseError::UnsupportedMediaType { what: "JSON", instead: AS_CSV };
    }
    ParseError::UnknownFormat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_of_files_are_named_and_answered_with_what_to_do() {
        for (head, code) in [
            (&b""[..], "empty_file"),
            (b"\xef\xbb\xbf\r\n", "empty_file"),
            (b"PK\x03\x04\x14\0", "unsupported_media_type"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", "unsupported_media_type"),
            (b"\x1f\x8b\x08\0", "unsupported_media_type"),
            (b"PAR1\x15\x04", "unsupported_media_type"),
            (b"\n<HTML><table><tr><td>Cost</td>", "unsupported_media_type"),
            (b"{\"costs\": []}", "unsupported_media_type"),
            (b"Date,Cost\n2026-01-01,1\n", "unknown_format"),
            (b"D\0a\0t\0e\0", "invalid_encoding"),
        ] {
            let error = detect("costs.csv", head).err().unwrap();
            assert_eq!(error.code(), code, "{head:?}");
            assert!(!error.to_string().contains("costs.csv"));
        }
    }
}
