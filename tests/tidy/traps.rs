//! `docs/traps.md` lists what others got wrong and the test that keeps us from it; each test must
//! exist.

use crate::Repository;

const PAGE: &str = "docs/traps.md";

/// Tests that the page names and nobody has written.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    let Some(page) = repository.files.get(PAGE) else {
        return vec![format!("{PAGE}: missing")];
    };
    let named: Vec<&str> = page.text.lines().flat_map(tests_of_row).collect();
    if named.is_empty() {
        return vec![format!("{PAGE}: names no test")];
    }
    let is_missing = |name: &&str| {
        let declaration = format!("fn {name}(");
        !repository.files_of("rs").any(|file| file.text.contains(&declaration))
    };
    named
        .into_iter()
        .filter(is_missing)
        .map(|name| format!("{PAGE}: no test is called `{name}`"))
        .collect()
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
        let repository = Repository::of(&[(PAGE, page), ("a.rs", "#[test]\nfn one_is_one() {}\n")]);
        assert_eq!(findings(&repository), ["docs/traps.md: no test is called `gone`"]);
    }

    #[test]
    fn a_page_without_tests_is_a_finding() {
        assert_eq!(findings(&Repository::of(&[(PAGE, "| rule | source | test |\n")])).len(), 1);
        assert_eq!(findings(&Repository::of(&[])).len(), 1);
    }
}
