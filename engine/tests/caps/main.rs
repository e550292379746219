//! How caps count, in words that a finance person can read: the tables in `tables/caps`, and the
//! small stage that plays them.
//!
//! A line at the margin begins a scenario; `at` sets the clock; the indented lines below are what
//! is asked then, `->` what is answered, and after each `;` what a cap says. What is not said does
//! not happen: no threshold is told and no closed window corrected without its line.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

mod stage;
mod words;

use std::{fs, path::Path};

use stage::Stage;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/caps")
}

/// Plays every scenario of a table.
fn check(name: &str) {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let mut stage = Stage::default();
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        match line.strip_prefix("  ") {
            _ if line.is_empty() || line.starts_with('#') => {}
            Some(step) => {
                stage.play(step, &place);
                count += 1;
            }
            None => match line.strip_prefix("at ") {
                Some(time) => stage.set_time(words::instant(time)),
                None => stage = Stage::default(),
            },
        }
    }
    assert!(count >= 4, "{name}: only {count} steps were found");
}

#[test]
fn a_reservation_settles_in_the_windows_that_admitted_it() {
    check("midnight.txt");
}

#[test]
fn a_late_event_does_not_charge_the_present_window() {
    check("late_events.txt");
}

#[test]
fn a_burst_is_admitted_up_to_the_limit_and_no_further() {
    check("bursts.txt");
}

#[test]
fn every_cap_above_counts() {
    check("tree.txt");
}

#[test]
fn open_records_block_stops_and_strict_fits() {
    check("modes.txt");
}

#[test]
fn a_reservation_ends_once() {
    check("reservations.txt");
}

#[test]
fn what_is_not_known_settles_at_the_estimate() {
    check("unknown_usage.txt");
}

#[test]
fn a_path_takes_what_belongs_to_it() {
    check("paths.txt");
}

#[test]
fn a_sliding_window_eases_bucket_by_bucket() {
    check("sliding.txt");
}

#[test]
fn a_session_opens_at_its_first_use_and_does_not_move() {
    check("sessions.txt");
}

#[test]
fn a_cap_resets_by_the_organizations_calendar() {
    check("resets.txt");
}

#[test]
fn a_changed_cap_keeps_what_it_counted() {
    check("changes.txt");
}

#[test]
fn a_threshold_is_told_once_a_window() {
    check("thresholds.txt");
}

#[test]
fn a_new_cap_knows_what_its_window_had_used() {
    check("new_caps.txt");
}

#[test]
fn an_adjustment_is_absolute() {
    check("adjustments.txt");
}

#[test]
fn a_correction_counts_where_its_event_did() {
    check("corrections.txt");
}

#[test]
fn every_table_of_caps_is_played() {
    let listed = fs::read_dir(folder()).unwrap();
    assert_eq!(listed.count(), 16);
}
