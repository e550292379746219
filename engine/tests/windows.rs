//! The bounds of windows: tables of worked cases in `tables/windows`, and what holds for every
//! zone, rule and instant.
//!
//! A table's line that begins with a blank is a case; its instants are written as the zone's clocks
//! show them, with their distance from UTC. The other lines say for which rules: `zone` begins with
//! weeks from Monday, days from midnight and years from January again.

use std::{fs, path::Path};

use domain::policy::{CalendarUnit, WindowRule};
use engine::calendar::{
    Calendar, CalendarRules, SLIDING_BUCKETS, bucket_end, bucket_left_at, first_counted_bucket,
    sliding_bucket,
};
use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use proptest::prelude::*;

const DAY: i64 = 86_400_000_000;

#[test]
fn days_have_23_24_or_25_hours() {
    check("days.txt");
}

#[test]
fn a_day_without_midnight_begins_with_its_first_instant() {
    check("missing_midnights.txt");
}

#[test]
fn a_reset_hour_that_is_skipped_or_repeated_counts_once() {
    check("reset_hours.txt");
}

#[test]
fn weeks_begin_on_the_organizations_day() {
    check("weeks.txt");
}

#[test]
fn quarters_and_years_follow_the_fiscal_year() {
    check("fiscal_years.txt");
}

#[test]
fn a_billing_cycle_is_counted_from_its_anchor_and_never_drifts() {
    check("cycles.txt");
}

#[test]
fn minutes_and_hours_are_those_of_utc() {
    check("utc_periods.txt");
}

#[test]
fn a_sliding_window_never_counts_too_little() {
    check("sliding.txt");
}

#[test]
fn every_table_is_checked() {
    let listed = fs::read_dir(folder()).expect("the folder of tables is there");
    assert_eq!(listed.count(), 8);
}

#[test]
fn rules_that_mean_nothing_have_no_calendar() {
    let calendar = |zone: &str, week_start, reset_hour, fiscal_month| {
        Calendar::new(&CalendarRules {
            zone: zone.to_owned(),
            week_start,
            reset_hour,
            fiscal_month,
        })
    };
    assert!(calendar("UTC", 1, 0, 1).is_some());
    assert!(calendar("Europe/Berlin", 7, 23, 12).is_some());
    for zone in ["", "Mars/Olympus", "Etc/Unknown", "+01:00", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        assert!(calendar(zone, 1, 0, 1).is_none(), "{zone}");
    }
    for (week_start, reset_hour, fiscal_month) in
        [(0, 0, 1), (8, 0, 1), (255, 0, 1), (1, 24, 1), (1, 255, 1), (1, 0, 0), (1, 0, 13)]
    {
        let found = calendar("UTC", week_start, reset_hour, fiscal_month);
        assert!(found.is_none(), "{week_start} {reset_hour} {fiscal_month}");
    }
}

/// A machine's own database has names that the binary's has not.
#[test]
fn zones_come_from_the_binary_and_not_from_the_machine() {
    for zone in ["posix/Europe/Berlin", "right/Europe/Berlin", "localtime", "posixrules"] {
        let rules = CalendarRules { zone: zone.to_owned(), ..CalendarRules::default() };
        assert!(Calendar::new(&rules).is_none(), "{zone}");
    }
}

#[test]
fn rules_keep_their_names_in_the_journal() {
    let text = r#"{"zone":"UTC","week_start":1,"reset_hour":0,"fiscal_month":1}"#;
    assert_eq!(serde_json::to_string(&CalendarRules::default()).unwrap(), text);
    assert_eq!(serde_json::from_str::<CalendarRules>(text).unwrap(), CalendarRules::default());
}

#[test]
fn a_total_never_resets_and_what_moves_has_no_fixed_bounds() {
    let calendar = Calendar::new(&CalendarRules::default()).unwrap();
    assert_eq!(calendar.bounds(&WindowRule::Total, 0), Some((i64::MIN, i64::MAX)));
    assert_eq!(calendar.bounds(&WindowRule::Session { micros: DAY }, 0), None);
    assert_eq!(calendar.bounds(&WindowRule::Sliding { micros: DAY }, 0), None);
    let endless = WindowRule::Anchored { months: 0, days: 0, anchor_at: 0 };
    assert_eq!(calendar.bounds(&endless, 0), None);
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/windows")
}

/// Runs every case of a table.
fn check(name: &str) {
    let text = fs::read_to_string(folder().join(name)).expect("the table is there");
    let mut rules = CalendarRules::default();
    let mut window = "";
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        if line.starts_with("  at ") || line.is_empty() || line.starts_with('#') {
            continue;
        } else if line.starts_with(' ') {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            match window.strip_prefix("last ") {
                Some(length) => check_sliding(micros(length), &cells, &place),
                None => check_bounds(&rules, &rule(window), &cells, &place),
            }
            count += 1;
        } else if let Some(zone) = line.strip_prefix("zone ") {
            rules = CalendarRules { zone: zone.to_owned(), ..CalendarRules::default() };
        } else if let Some(day) = line.strip_prefix("weeks start ") {
            rules.week_start = number_of(day, &WEEKDAYS);
        } else if let Some(hour) = line.strip_prefix("days start ") {
            let hour = hour.strip_suffix(":00").expect("days start at a whole hour");
            rules.reset_hour = hour.parse().expect("an hour is a number");
        } else if let Some(month) = line.strip_prefix("years start ") {
            rules.fiscal_month = number_of(month, &MONTHS);
        } else {
            window = line.strip_prefix("window ").expect("a line is a rule or a case");
        }
    }
    assert!(count >= 10, "{name}: only {count} cases were found");
}

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn number_of(name: &str, names: &[&str]) -> u8 {
    let index = names.iter().position(|known| *known == name).expect("the name is a known one");
    u8::try_from(index + 1).expect("there are few names")
}

fn rule(window: &str) -> WindowRule {
    let words: Vec<&str> = window.split(' ').collect();
    let number = |word: &str| word.parse().expect("a cycle has a number of months or days");
    match words[..] {
        ["every", months, "month" | "months", "from", ..] => anchored(number(months), 0, window),
        ["every", days, "day" | "days", "from", ..] => anchored(0, number(days), window),
        ["every", months, "month" | "months", "and", days, "days", "from", ..] => {
            anchored(number(months), number(days), window)
        }
        [name] => WindowRule::Calendar(
            *UNITS.iter().find(|unit| unit.as_str() == name).expect("a calendar has this unit"),
        ),
        _ => panic!("no such window: {window}"),
    }
}

const UNITS: [CalendarUnit; 7] = [
    CalendarUnit::Minute,
    CalendarUnit::Hour,
    CalendarUnit::Day,
    CalendarUnit::Week,
    CalendarUnit::Month,
    CalendarUnit::Quarter,
    CalendarUnit::Year,
];

fn anchored(months: u16, days: u16, window: &str) -> WindowRule {
    let (_, anchor) = window.split_once(" from ").expect("a cycle has its first boundary");
    WindowRule::Anchored { months, days, anchor_at: instant(anchor) }
}

fn check_bounds(rules: &CalendarRules, rule: &WindowRule, cells: &[&str], place: &str) {
    let [at_text, start_text, end_text, length_text] = cells else {
        panic!("{place}: a case has four cells");
    };
    let calendar = Calendar::new(rules).expect("a table's rules mean something");
    let zone = TimeZoneDatabase::bundled().get(&rules.zone).expect("a table's zone is known");
    let at = instant(at_text);
    assert_eq!(&shown(at, &zone), at_text, "{place}: the zone's clocks");
    let (start, end) = calendar.bounds(rule, at).expect("a table's rules have fixed windows");
    assert_eq!(&shown(start, &zone), start_text, "{place}: start");
    assert_eq!(&shown(end, &zone), end_text, "{place}: end");
    assert_eq!(&length(end - start), length_text, "{place}: length");
}

fn check_sliding(micros: i64, cells: &[&str], place: &str) {
    let [at_text, start_text, left_text] = cells else {
        panic!("{place}: a case has three cells");
    };
    let oldest = first_counted_bucket(micros, instant(at_text));
    let start = bucket_end(micros, oldest - 1);
    assert_eq!(&shown(start, &TimeZone::UTC), start_text, "{place}: counts from");
    let left_at = bucket_left_at(micros, oldest);
    assert_eq!(&shown(left_at, &TimeZone::UTC), left_text, "{place}: smaller from");
}

/// An instant such as `2026-03-29 03:00 +02:00`.
fn instant(text: &str) -> i64 {
    let compact = text.replacen(' ', "T", 1).replace(' ', "");
    let at: Timestamp = compact.parse().expect("an instant has a date, a time and an offset");
    at.as_microsecond()
}

fn shown(at: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_microsecond(at).expect("a table's instants are of this era");
    let local = at.to_zoned(zone.clone());
    let format = match (local.second(), local.subsec_nanosecond()) {
        (0, 0) => "%Y-%m-%d %H:%M %:z",
        (_, 0) => "%Y-%m-%d %H:%M:%S %:z",
        _ => "%Y-%m-%d %H:%M:%S%.6f %:z",
    };
    local.strftime(format).to_string()
}

const UNIT_MICROS: [(&str, i64); 4] =
    [("d", DAY), ("h", DAY / 24), ("min", 60_000_000), ("s", 1_000_000)];

/// A length such as `23 h 30 min`; in days from two days on.
fn length(micros: i64) -> String {
    let mut rest = micros;
    let mut parts = Vec::new();
    for (name, unit) in UNIT_MICROS {
        if rest / unit > 0 && (name != "d" || micros >= 2 * DAY) {
            parts.push(format!("{} {name}", rest / unit));
            rest %= unit;
        }
    }
    assert_eq!(rest, 0, "a table's lengths are whole seconds");
    parts.join(" ")
}

fn micros(length: &str) -> i64 {
    let (count, name) = length.split_once(' ').expect("a length has a number and a unit");
    let unit = UNIT_MICROS.iter().find(|unit| unit.0 == name).expect("a length has a known unit");
    unit.1 * count.parse::<i64>().expect("a length has a number")
}

/// Zones with clocks that change at midnight, by half an hour, over the date line, twice a year
/// for Ramadan, to the south and to the north of the equator, or never.
const ZONES: [&str; 30] = [
    "UTC",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Europe/London",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
];

fn calendars() -> impl Strategy<Value = Calendar> {
    let zones = proptest::sample::select(ZONES.as_slice());
    (zones, 1_u8..=7, 0_u8..24, 1_u8..=12).prop_map(|(zone, week_start, reset_hour, month)| {
        let zone = zone.to_owned();
        let rules = CalendarRules { zone, week_start, reset_hour, fiscal_month: month };
        Calendar::new(&rules).expect("the rules mean something")
    })
}

/// Between 1990 and 2060.
fn instants() -> impl Strategy<Value = i64> {
    631_152_000_000_000_i64..2_840_140_800_000_000
}

fn window_rules(anchors: impl Strategy<Value = i64>) -> impl Strategy<Value = WindowRule> {
    let cycle = (0_u16..40, 0_u16..40, anchors);
    prop_oneof![
        proptest::sample::select(UNITS.as_slice()).prop_map(WindowRule::Calendar),
        cycle.prop_map(|(months, days, anchor_at)| WindowRule::Anchored {
            months,
            days: days + u16::from(months == 0 && days == 0),
            anchor_at,
        }),
    ]
}

/// When a zone's clocks change next; the instant itself where they never do again.
fn next_change(zone: &str, from: i64) -> i64 {
    let zone = TimeZoneDatabase::bundled().get(zone).expect("the zone is known");
    let at = Timestamp::from_microsecond(from).expect("the instant is of this era");
    zone.following(at).next().map_or(from, |change| change.timestamp().as_microsecond())
}

fn tiles_around(calendar: &Calendar, rule: &WindowRule, at: i64) -> Result<(), TestCaseError> {
    let window = calendar.bounds(rule, at);
    let (start, end) = window.expect("the rule has fixed windows");
    prop_assert!(start <= at && at < end, "{start} {at} {end}");
    prop_assert_eq!(calendar.bounds(rule, start), window);
    prop_assert_eq!(calendar.bounds(rule, end - 1), window);
    if end < i64::MAX {
        let next = calendar.bounds(rule, end).expect("the rule has fixed windows");
        prop_assert_eq!(next.0, end);
    }
    if start > i64::MIN {
        let last = calendar.bounds(rule, start - 1).expect("the rule has fixed windows");
        prop_assert_eq!(last.1, start);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn windows_tile_time(
        calendar in calendars(),
        rule in window_rules(instants()),
        at in instants(),
    ) {
        tiles_around(&calendar, &rule, at)?;
    }

    #[test]
    fn windows_tile_time_where_clocks_change(
        zone in proptest::sample::select(ZONES.as_slice()),
        reset_hour in 0_u8..24,
        rule in window_rules(instants()),
        near in instants(),
        away in -DAY..DAY,
    ) {
        let change = next_change(zone, near);
        let zone = zone.to_owned();
        let rules = CalendarRules { zone, reset_hour, ..CalendarRules::default() };
        let calendar = Calendar::new(&rules).expect("the rules mean something");
        for at in [change - 1, change, change + away] {
            tiles_around(&calendar, &rule, at)?;
        }
    }

    #[test]
    fn far_instants_have_a_window_too(
        calendar in calendars(),
        rule in window_rules(any::<i64>()),
        at in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX - 1)],
    ) {
        tiles_around(&calendar, &rule, at)?;
        let last = calendar.bounds(&rule, i64::MAX).expect("the rule has fixed windows");
        prop_assert_eq!(last, calendar.bounds(&rule, i64::MAX - 1).expect("as above"));
    }

    /// The k-th boundary has the anchor's day of the month or is its month's last day.
    #[test]
    fn monthly_cycles_keep_their_day(
        calendar in calendars(),
        months in 1_u16..40,
        anchor_at in instants(),
        at in instants(),
    ) {
        let utc = Calendar::new(&CalendarRules::default()).expect("the rules mean something");
        let rule = WindowRule::Anchored { months, days: 0, anchor_at };
        let (start, end) = utc.bounds(&rule, at).expect("the rule has fixed windows");
        let date = |at| {
            let at = Timestamp::from_microsecond(at).expect("the instant is of this era");
            TimeZone::UTC.to_datetime(at)
        };
        for boundary in [start, end] {
            let wanted = date(anchor_at).day().min(date(boundary).days_in_month());
            prop_assert_eq!(date(boundary).day(), wanted);
            prop_assert_eq!(date(boundary).time(), date(anchor_at).time());
        }
        tiles_around(&calendar, &rule, at)?;
    }

    #[test]
    fn a_sliding_window_covers_its_time_and_at_most_a_bucket_more(
        micros in prop_oneof![1_i64..10_000, 1_i64..400 * DAY],
        now in instants(),
    ) {
        let newest = sliding_bucket(micros, now);
        prop_assert!(bucket_end(micros, newest - 1) <= now && now < bucket_end(micros, newest));
        let length = bucket_end(micros, newest) - bucket_end(micros, newest - 1);
        prop_assert_eq!(length, (micros + SLIDING_BUCKETS - 1) / SLIDING_BUCKETS);
        let oldest = first_counted_bucket(micros, now);
        prop_assert!(newest - oldest <= SLIDING_BUCKETS);
        let counts_from = bucket_end(micros, oldest - 1);
        prop_assert!(counts_from <= now - micros && now - micros < counts_from + length);
        let left_at = bucket_left_at(micros, oldest);
        prop_assert!(now < left_at);
        prop_assert_eq!(first_counted_bucket(micros, left_at - 1), oldest);
        prop_assert_eq!(first_counted_bucket(micros, left_at), oldest + 1);
    }

    #[test]
    fn sliding_arithmetic_never_overflows(micros in any::<i64>(), at in any::<i64>()) {
        let oldest = first_counted_bucket(micros, at);
        prop_assert!(oldest <= sliding_bucket(micros, at));
        prop_assert!(bucket_left_at(micros, oldest) >= bucket_end(micros, oldest));
    }
}
