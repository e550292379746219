//! How long a file and a line may be. A function's 70 lines are clippy's to count.
//!
//! Unit tests at the end of a file do not count: they make it longer, not harder to read.

use crate::{File, Repository};

const LINE_CHARACTERS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;
const PLUG_IN_LINES_MAX: usize = 400;
const LIBRARY_ROOT_LINES_MAX: usize = 150;

/// Rooms and folders whose files are one plug-in, job or group of routes each.
const PLUG_INS: &[&str] = &["connectors/", "parsers/", "jobs/", "api/"];

/// Files that may be longer, how long, and why. Only ever shortened.
const EXCEPTIONS: &[(&str, usize, &str)] = &[];

/// Files and lines that are too long.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    repository.files_of("rs").flat_map(file_findings).collect()
}

fn file_findings(file: &File) -> Vec<String> {
    let path = &file.path;
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        // An address cannot be broken.
        if line.chars().count() > LINE_CHARACTERS_MAX && !line.contains("https://") {
            let number = index + 1;
            findings.push(format!("{path}:{number}: longer than {LINE_CHARACTERS_MAX} characters"));
        }
    }
    let count = line_count_without_tests(&file.text);
    let max = lines_max(file);
    if count > max {
        findings.push(format!("{path}: {count} lines without its tests; {max} are allowed"));
    }
    findings
}

fn lines_max(file: &File) -> usize {
    if let Some((_, max, _)) = EXCEPTIONS.iter().find(|(path, ..)| *path == file.path) {
        return *max;
    }
    let is_plug_in = PLUG_INS.iter().any(|start| file.path.starts_with(start));
    match file.name() {
        "lib.rs" => LIBRARY_ROOT_LINES_MAX,
        _ if is_plug_in && !file.path.contains("/tests/") => PLUG_IN_LINES_MAX,
        _ => FILE_LINES_MAX,
    }
}

/// Lines outside of `#[cfg(test)] mod …`, as rustfmt writes it: from the attribute to a brace at
/// the margin.
fn line_count_without_tests(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_test_module = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if is_test_module {
            lines.by_ref().take_while(|line| *line != "}").for_each(drop);
        } else {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: usize) -> Repository {
        Repository::of(&[(path, &"//! x\n".repeat(lines))])
    }

    #[test]
    fn files_have_the_budget_of_their_place() {
        for (path, max) in [
            ("connectors/openai.rs", 400),
            ("connectors/openai/costs.rs", 400),
            ("connectors/tests/contract.rs", 600),
            ("api/costs.rs", 400),
            ("store/lib.rs", 150),
            ("store/sqlite/charges.rs", 600),
        ] {
            assert!(findings(&file(path, max)).is_empty(), "{path}");
            assert_eq!(findings(&file(path, max + 1)).len(), 1, "{path}");
        }
    }

    #[test]
    fn tests_in_a_file_do_not_count() {
        let text = "a\n#[cfg(test)]\nmod tests {\n    b\n    }\n}\nc\n#[cfg(test)]\nfn d() {\n}\n";
        assert_eq!(line_count_without_tests(text), 5);
    }

    #[test]
    fn a_line_is_counted_in_characters_and_an_address_may_be_long() {
        let long = "é".repeat(101);
        let address = format!("// https://example.com/{}", "a".repeat(100));
        assert_eq!(findings(&Repository::of(&[("a.rs", &long)])).len(), 1);
        assert!(findings(&Repository::of(&[("a.rs", &"é".repeat(100))])).is_empty());
        assert!(findings(&Repository::of(&[("a.rs", &address)])).is_empty());
    }
}
