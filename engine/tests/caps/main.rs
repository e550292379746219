//! How caps count, in words that a finance person can read: the tables in `tables/caps`, and the
//! small stage that plays them.
//!
//! A line at the margin begins a scenario; `at` sets the clock; the indented lines below are what
//! is asked then, `->` what is answered, and after each `;` what a cap says. What is not said does not
//! happen: no threshold is told and no closed window corrected without its line.
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

macro_rules! tables {
    ($($test:ident: $file:literal,)*) => {
        $(#[test]
        fn $test() {
            check($file);
        })*

        #[test]
        fn every_table_of_caps_is_played() {
            let mut played = vec![$($file),*];
            played.sort_unstable();
            let found = fs::read_dir(folder()).unwrap();
            let mut found: Vec<_> =
                found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            found.sort_unstable();
            assert_eq!(found, played);
        }
    };
}

tables! {
    a_reservation_settles_in_the_windows_that_admitted_it: "midnight.txt",
    a_late_event_does_not_charge_the_present_window: "late_events.txt",
    a_burst_is_admitted_up_to_the_limit_and_no_further: "bursts.txt",
    every_cap_above_counts: "tree.txt",
    open_records_block_stops_and_strict_fits: "modes.txt",
    a_reservation_ends_once: "reservations.txt",
    what_is_not_known_settles_at_the_estimate: "unknown_usage.txt",
    a_path_takes_what_belongs_to_it: "paths.txt",
    a_sliding_window_eases_bucket_by_bucket: "sliding.txt",
    a_session_opens_at_its_first_use_and_does_not_move: "sessions.txt",
    a_cap_resets_by_the_organizations_calendar: "resets.txt",
    a_changed_cap_keeps_what_it_counted: "changes.txt",
    a_threshold_is_told_once_a_window: "thresholds.txt",
    a_new_cap_knows_what_its_window_had_used: "new_caps.txt",
    an_adjustment_is_absolute: "adjustments.txt",
    a_correction_counts_where_its_event_did: "corrections.txt",
}
