//! `docs/traps.md` lists what others got wrong and the test that keeps us from it, and
//! `docs/pricing-rules.md` does so for prices; each test must exist.

use crate::Repository;

const PAGES: [&str; 2] = ["docs/traps.md", "docs/pricing-rules.md"];

/// Tests that the pages name and nobody has written.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    PAGES.iter().flat_map(|page| findings_of(repository, page)).collect()
}

fn findings_of(repository: &Repository, name: &str) -> Vec<String> {
    let Some(page) = repository.files.get(name) else {
        return vec![format!("{name}: missing")];
    };
    let named: Vec<&str> = page.text.lines().flat_map(tests_of_row).collect();
    if named.is_empty() {
        return vec![format!("{name}: names no test")];
    }
    let is_missing = |test: &&str| {
        let declaration = format!("fn {test}(");
        !repository.files_of("rs").any(|file| file.text.contains(&declaration))
    };
    let told = |test: &str| format!("{name}: no test is called `{test}`");
    named.into_iter().filter(is_missing).map(told).collect()
}

/// The names in backticks in a table row's last cell.
fn tests_of_row(line: &str) -> Vec<&str> {
    let last_cell = line.trim().strip_suffix('|').and_then(|row| row.rsplit('|').next());
    last_cell.map_or_else(Vec::new, |cell| cell.split('`').skip(1).step_by(2).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_test_must_exist() {
        let page = "| rule | source | test |\n|---|---|---|\n| `x` | y | `one_is_one`, `gone` |\n";
        let repository =
            Repository::of(&[(PAGES[0], page), ("a.rs", "#[test]\nfn one_is_one() {}\n")]);
        let found = findings_of(&repository, PAGES[0]);
        assert_eq!(found, ["docs/traps.md: no test is called `gone`"]);
    }

    #[test]
    fn a_page_without_tests_is_a_finding() {
        let empty = Repository::of(&[(PAGES[0], "| rule | source | test |\n")]);
        assert_eq!(findings_of(&empty, PAGES[0]).len(), 1);
        assert_eq!(findings(&Repository::of(&[])).len(), PAGES.len());
    }
}
