//! The checks, run on this repository.

use std::sync::LazyLock;

use tidy::{Repository, arrows, budgets, headers, leaks, links, lints, orphans, symmetry, traps};

static REPOSITORY: LazyLock<Repository> =
    LazyLock::new(|| Repository::read().expect("the repository can be read"));

#[track_caller]
fn assert_none(check: fn(&Repository) -> Vec<String>) {
    let findings = check(&REPOSITORY);
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn the_whole_repository_is_read() {
    assert!(REPOSITORY.rooms.len() >= 14, "{:?}", REPOSITORY.rooms);
    assert!(REPOSITORY.files.contains_key("domain/money.rs"));
}

#[test]
fn arrows_between_rooms_point_down() {
    assert_none(arrows::findings);
}

#[test]
fn files_and_lines_keep_their_budgets() {
    assert_none(budgets::findings);
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_none(headers::findings);
}

#[test]
fn nothing_looks_like_a_credential_or_a_path_of_one_machine() {
    assert_none(leaks::findings);
}

#[test]
fn links_between_documents_lead_somewhere() {
    assert_none(links::findings);
}

#[test]
fn every_room_keeps_the_lints_and_floats_stay_where_no_money_is() {
    assert_none(lints::findings);
}

#[test]
fn every_source_file_belongs_to_a_crate() {
    assert_none(orphans::findings);
}

#[test]
fn each_repository_of_the_store_has_both_implementations_and_cases() {
    assert_none(symmetry::findings);
}

#[test]
fn every_trap_has_a_test() {
    assert_none(traps::findings);
}
