//! What must not be committed: text that looks like a credential, and paths of somebody's machine.
//!
//! Secret scanners of code hosts raise an alarm for such text even where it is made up, and nobody
//! can tell the made-up one from a real one. Test credentials are short, or put together where they
//! are used.

use crate::{File, Repository};

/// What a credential starts with, and how many more letters, digits, `-` and `_` make it look real
/// where there is a digit among them.
const CREDENTIALS: &[(&str, usize)] = &[
    ("sk-", 24),
    ("outlay_live_", 30),
    ("outlay_test_", 30),
    ("AKIA", 16),
    ("AIza", 30),
    ("ghp_", 30),
    ("xoxb-", 20),
    ("-----BEGIN RSA PRIVATE KEY-----", 0),
    ("-----BEGIN EC PRIVATE KEY-----", 0),
    ("-----BEGIN PRIVATE KEY-----", 0),
];

/// Paths that exist on one machine only. Written in halves, so that this file does not find itself.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("../sha", "red"),
    concat!("/tmp/", "t-"),
    concat!("/ro", "ot/"),
];

/// The file that lists what to look for.
const THIS_FILE: &str = "tests/tidy/leaks.rs";

/// Lines that look like a credential or name a place on somebody's machine.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    let files = repository.files.values().filter(|file| file.path != THIS_FILE);
    files.flat_map(file_findings).collect()
}

fn file_findings(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let place = format!("{}:{}", file.path, index + 1);
        if let Some(start) = credential(line) {
            findings.push(format!("{place}: looks like a credential (`{start}…`): shorten it"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| names_path(line, path)) {
            findings.push(format!("{place}: names `{path}`, a place on one machine"));
        }
    }
    findings
}

fn credential(line: &str) -> Option<&'static str> {
    let looks_real = |(start, length): &&(&'static str, usize)| {
        line.match_indices(start).any(|(at, _)| {
            let begins = !line[..at].ends_with(|letter: char| letter.is_alphanumeric());
            let rest = &line[at + start.len()..];
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
            let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            let has_digit = rest[..end].contains(|letter: char| letter.is_ascii_digit());
            begins && end >= *length && (has_digit || *length == 0)
        })
    };
    CREDENTIALS.iter().find(looks_real).map(|(start, _)| *start)
}

/// Whether `path` stands there by itself, not inside an address or a longer path.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|letter: char| letter.is_alphanumeric() || "._-".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(line: &str) -> usize {
        findings(&Repository::of(&[("a.json", line)])).len()
    }

    #[test]
    fn long_credentials_are_found_and_short_ones_allowed() {
        for start in ["sk-admin-", "sk-ant-admin01-", "outlay_live_", "ghp_"] {
            assert_eq!(
                count(&format!("{{\"key\": \"{start}{}\"}}", "a1B2".repeat(10))),
                1,
                "{start}"
            );
            assert_eq!(count(&format!("{{\"key\": \"{start}test\"}}")), 0, "{start}");
        }
        assert_eq!(count("-----BEGIN PRIVATE KEY-----"), 1);
        assert_eq!(count("-----BEGIN CERTIFICATE-----"), 0);
    }

    #[test]
    fn a_word_that_ends_like_a_credential_begins_is_none() {
        assert_eq!(count(&format!("task-{}", "a1".repeat(20))), 0);
        assert_eq!(count("sk-learn-and-many-other-libraries"), 0);
    }

    #[test]
    fn machine_paths_are_found_and_addresses_are_not() {
        assert_eq!(count(concat!("see `/wo", "rk/notes.md`")), 1);
        assert_eq!(count(concat!("(../sha", "red/STYLE.md)")), 1);
        assert_eq!(count(concat!("https://example.com/wo", "rk/notes.md")), 0);
        assert_eq!(count(concat!("net", "wo", "rk/notes.md")), 0);
    }
}
