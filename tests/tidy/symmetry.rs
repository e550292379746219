//! One aggregate of the store is four files of one name: its trait, its SQLite and MongoDB
//! implementations, and its conformance cases.

use std::collections::BTreeSet;

use crate::Repository;

/// Aggregates of which one of the four files is missing, and cases for no aggregate.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    let aggregates = aggregates(repository);
    let mut findings = Vec::new();
    for aggregate in &aggregates {
        for folder in ["store/sqlite", "store/mongo", "store/tests/conformance"] {
            let path = format!("{folder}/{aggregate}.rs");
            if !repository.files.contains_key(&path) {
                findings.push(format!("{path}: missing beside store/{aggregate}.rs"));
            }
        }
    }
    findings
}

/// Names of the files at the store's root that declare a repository.
fn aggregates(repository: &Repository) -> BTreeSet<&str> {
    repository
        .files_of("rs")
        .filter(|file| file.folder() == "store" && file.name() != "lib.rs")
        .filter(|file| file.text.contains("#[async_trait::async_trait]\npub trait "))
        .filter_map(|file| file.name().strip_suffix(".rs"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repository_has_both_stores_and_its_cases() {
        let text = "//! x\n#[async_trait::async_trait]\npub trait AuditLog {}\n";
        let mut repository = Repository::of(&[
            ("store/audit.rs", text),
            ("store/error.rs", "//! x\n"),
            ("store/sqlite/audit.rs", ""),
            ("store/tests/conformance/audit.rs", ""),
        ]);
        assert_eq!(findings(&repository), ["store/mongo/audit.rs: missing beside store/audit.rs"]);
        let mongo = Repository::of(&[("store/mongo/audit.rs", "")]);
        repository.files.extend(mongo.files);
        assert!(findings(&repository).is_empty());
    }
}
