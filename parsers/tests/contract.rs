//! What every parser owes: it claims its own files and no others, loses no cent, and reads the same
//! charges from the same content however it is written down.

#[path = "contract/bad_input.rs"]
mod bad_input;
#[path = "contract/recording.rs"]
mod recording;

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use csv::{QuoteStyle, ReaderBuilder, Terminator, WriterBuilder};
use domain::Money;
use parsers::{Confidence, ParseReport, REGISTRY, detect};
use recording::{Reading, add, read, read_as, read_skipping};

/// A snapshot lists the charges of files up to this size one by one.
const LISTED_CHARGES_MAX: usize = 20;

fn fixture_folder(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(id)
}

fn fixture(id: &str, name: &str) -> Vec<u8> {
    fs::read(fixture_folder(id).join(name)).expect("the fixture is there")
}

/// Names and contents of a parser's files, by name.
fn fixtures(id: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(fixture_folder(id)).expect("every parser has a folder of fixtures");
    let paths = entries.map(|entry| entry.expect("the folder can be listed").path());
    let is_csv = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "csv");
    let mut paths: Vec<PathBuf> = paths.filter(is_csv).collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("the fixture can be read"));
    paths.into_iter().map(read).collect()
}

/// Every fixture of every parser.
fn all_fixtures() -> Vec<(&'static str, PathBuf, Vec<u8>)> {
    let ids = REGISTRY.iter().map(|parser| parser.descriptor().id);
    ids.flat_map(|id| fixtures(id).into_iter().map(move |(path, bytes)| (id, path, bytes)))
        .collect()
}

#[test]
fn every_parser_describes_itself_and_has_fixtures() {
    let mut ids = BTreeSet::new();
    for parser in REGISTRY {
        let descriptor = parser.descriptor();
        assert!(ids.insert(descriptor.id), "`{}` is there twice", descriptor.id);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(descriptor.id);
        assert!(source.with_extension("rs").exists(), "the file is named like the format");
        assert!(!fixtures(descriptor.id).is_empty());
        assert!(!descriptor.versions.is_empty() && !descriptor.extensions.is_empty());
        assert!(descriptor.documentation_url.starts_with("https://"));
    }
}

#[test]
fn exactly_one_parser_claims_each_fixture() {
    for (id, path, bytes) in all_fixtures() {
        let head = &bytes[..bytes.len().min(parsers::HEAD_BYTES)];
        // The name must not matter: a file called otherwise is the same file.
        for name in ["costs.csv", "Book1.xlsx", ""] {
            let claims =
                |parser: &&&dyn parsers::Parser| parser.sniff(name, head) == Confidence::Claims;
            let claiming: Vec<&str> =
                REGISTRY.iter().filter(claims).map(|parser| parser.descriptor().id).collect();
            assert_eq!(claiming, [id], "{}", path.display());
            assert_eq!(detect(name, head).unwrap().descriptor().id, id);
        }
    }
}

#[test]
fn foreign_files_are_claimed_by_nobody() {
    for text in [
        "Date,Cost\n2026-01-01,1.5\n",
        "Date,Model,Input (w/ Cache Write),Output Tokens,Cost\n",
        "lineItem/UsageStartDate,lineItem/UnblendedCost,lineItem/CurrencyCode\n",
        "BilledCost,EffectiveCost,BillingCurrency,ChargePeriodStart\n1,1,USD,2026-05-01\n",
        "the words BilledCost EffectiveCost BillingCurrency in a sentence\n",
    ] {
        let error = detect("costs.csv", text.as_bytes()).err().unwrap();
        assert_eq!(error.code(), "unknown_format", "{text}");
    }
}

/// Compares with the file beside the fixture. To accept a change, run the command that the failure
/// prints.
#[test]
fn every_fixture_reads_as_expected() {
    let mut stale = Vec::new();
    for (_, path, bytes) in all_fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = snapshot(name, &read(&bytes).unwrap());
        let expected_path = path.with_extension("expected.txt");
        if fs::read_to_string(&expected_path).is_ok_and(|expected| expected == found) {
            continue;
        }
        let found_path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&found_path, &found).unwrap();
        stale.push(format!("cp {} {}", found_path.display(), expected_path.display()));
    }
    assert!(stale.is_empty(), "not as expected; if it should be:\n{}", stale.join("\n"));
}

#[test]
fn the_public_sample_adds_up_to_the_last_digit() {
    // python3 -c '
    // import csv, decimal
    // rows = csv.DictReader(open("focus_1.0_sample_excerpt.csv"))
    // print(sum(decimal.Decimal(row["BilledCost"]) for row in rows))'
    let reading = read(&fixture("focus", "focus_1.0_sample_excerpt.csv")).unwrap();
    assert_eq!(reading.report.totals.len(), 1);
    assert_eq!(reading.report.totals[0].billed_cost.to_string(), "9.44532991675");
    assert_eq!(reading.report.totals[0].residue, 0);
    assert_eq!((reading.report.row_count, reading.report.charge_count), (667, 667));
}

#[test]
fn control_totals_equal_the_charges_and_what_was_left_out() {
    for (_, path, bytes) in all_fixtures() {
        let whole = read(&bytes).unwrap();
        check_controls(&whole);
        // Now with every third row's period broken: what is left out is counted, with its money.
        let mut index = 0;
        let damaged = rewrite(&bytes, &Style::default(), |header, row| {
            index += 1;
            let period = header.iter().position(|name| name == "ChargePeriodStart").unwrap();
            if index % 3 == 0 {
                row[period] = "soon".to_owned();
            }
        });
        let damaged = read_skipping(&damaged).unwrap();
        check_controls(&damaged);
        assert_eq!(damaged.report.skipped_count(), index / 3, "{}", path.display());
        let mut sums = damaged.sink.sums;
        for skipped in &damaged.report.skipped_totals {
            add(&mut sums, skipped.billed_cost);
        }
        assert_eq!(sorted(sums), sorted(whole.sink.sums), "{}", path.display());
    }
}

fn check_controls(reading: &Reading) {
    let report = &reading.report;
    assert!(report.is_complete);
    assert_eq!(report.row_count, report.charge_count + report.skipped_count());
    assert_eq!(report.charge_count, reading.sink.charges.len() as u64);
    assert_eq!(report.errors.len() as u64, report.skipped_count().min(100));
    assert_eq!(sorted(totals(report)), sorted(reading.sink.sums.clone()));
}

fn totals(report: &ParseReport) -> Vec<Money> {
    report.totals.iter().map(|total| total.billed_cost).collect()
}

fn sorted(sums: Vec<Money>) -> Vec<String> {
    let mut sums: Vec<String> = sums.iter().map(|sum| format!("{sum:?}")).collect();
    sums.sort();
    sums
}

/// Another way to write the same table down.
#[derive(Clone, Copy)]
struct Style {
    line_end: &'static str,
    delimiter: u8,
    quotes: QuoteStyle,
    is_reversed: bool,
    before: &'static str,
    after: &'static str,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            line_end: "\n",
            delimiter: b',',
            quotes: QuoteStyle::Necessary,
            is_reversed: false,
            before: "",
            after: "",
        }
    }
}

fn rewrite(bytes: &[u8], style: &Style, mut edit: impl FnMut(&[String], &mut [String])) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let rows = reader.records().map(|row| row.expect("fixtures are well formed"));
    let mut rows: Vec<Vec<String>> =
        rows.map(|row| row.iter().map(str::to_owned).collect()).collect();
    let header = rows[0].clone();
    rows[1..].iter_mut().for_each(|row| edit(&header, row));
    let mut writer = WriterBuilder::new()
        .delimiter(style.delimiter)
        .quote_style(style.quotes)
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    for mut row in rows {
        if style.is_reversed {
            row.reverse();
        }
        writer.write_record(&row).expect("memory takes records");
    }
    let text = String::from_utf8(writer.into_inner().expect("memory takes all")).expect("UTF-8");
    let text = text.replace('\n', style.line_end);
    [style.before, &text, style.after].concat().into_bytes()
}

#[test]
fn the_same_table_reads_the_same_however_it_is_written() {
    let plain = Style::default();
    let styles = [
        Style { line_end: "\r\n", ..plain },
        Style { before: "\u{feff}", ..plain },
        Style { quotes: QuoteStyle::Always, ..plain },
        Style { quotes: QuoteStyle::Always, line_end: "\r\n", before: "\u{feff}", ..plain },
        Style { after: "\n\n\r\n \n", ..plain },
        Style { before: "Cost report\nfor May, all teams\n\n", ..plain },
        Style { delimiter: b';', ..plain },
        Style { delimiter: b'\t', ..plain },
        Style { is_reversed: true, ..plain },
    ];
    for (_, path, bytes) in all_fixtures() {
        let first = read(&bytes).unwrap();
        for (index, style) in styles.iter().enumerate() {
            let again = read(&rewrite(&bytes, style, |_, _| {})).unwrap();
            check_same(&first, &again, &format!("{}, style {index}", path.display()));
        }
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let text = String::from_utf8(rewrite(&bytes, &plain, |_, _| {})).unwrap();
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            let utf16: Vec<u8> = units.flat_map(to_bytes).collect();
            check_same(&first, &read(&utf16).unwrap(), &format!("{}, UTF-16", path.display()));
        }
    }
}

fn check_same(first: &Reading, again: &Reading, context: &str) {
    assert_eq!(first.sink.charges, again.sink.charges, "{context}");
    assert_eq!(first.sink.extras, again.sink.extras, "{context}");
    assert_eq!(first.report.totals, again.report.totals, "{context}");
    assert_eq!(first.report.row_count, again.report.row_count, "{context}");
    assert_eq!(first.report.warnings.len(), again.report.warnings.len(), "{context}");
}

#[test]
fn line_breaks_inside_quotes_belong_to_their_cell() {
    let lines = "one\ntwo\r\n\"three\", four";
    for (_, path, bytes) in all_fixtures() {
        let first = read(&bytes).unwrap();
        let column = first.sink.columns.last().unwrap();
        let broken = rewrite(&bytes, &Style::default(), |header, row| {
            row[header.iter().position(|name| name == column).unwrap()] = lines.to_owned();
        });
        let again = read(&broken).unwrap();
        assert_eq!(first.sink.charges, again.sink.charges, "{}", path.display());
        let cell = (column.clone(), lines.to_owned());
        assert!(again.sink.extras.iter().all(|extras| extras.contains(&cell)));
    }
}

#[test]
fn a_file_cut_anywhere_never_yields_a_charge_that_it_does_not_hold() {
    for parser in REGISTRY {
        let (path, bytes) = fixtures(parser.descriptor().id)
            .into_iter()
            .min_by_key(|(_, bytes)| bytes.len())
            .unwrap();
        let whole = read(&bytes).unwrap();
        for length in 0..bytes.len() {
            let options = recording::options();
            let Ok(cut) = read_as(*parser, &bytes[..length], &options) else { continue };
            // Only the very last cell of the file can be shortened without anybody noticing.
            let sure = cut.sink.charges.len().saturating_sub(1);
            assert!(sure <= whole.sink.charges.len(), "{} at {length}", path.display());
            assert_eq!(cut.sink.charges[..sure], whole.sink.charges[..sure], "at {length}");
        }
    }
}

/// What came out of a file, for a person to check against the file.
fn snapshot(name: &str, reading: &Reading) -> String {
    let report = &reading.report;
    let mut text = String::new();
    let mut line = |content: String| writeln!(text, "{content}").expect("text takes text");
    line(name.to_owned());
    line(format!("rows read      {}", report.row_count));
    line(format!("charges        {}", report.charge_count));
    line(format!("rows left out  {}", report.skipped_count()));
    for total in &report.totals {
        line(format!("billed         {:?}", total.billed_cost));
        line(format!("rounded off    {} x 10^-30", total.residue));
    }
    line(format!("\nother columns: {}", reading.sink.columns.join(", ")));
    line("\nwarnings:".to_owned());
    for warning in &report.warnings {
        let row = warning.row.map_or(String::new(), |row| format!(" from line {row}"));
        let column = warning.column.as_deref().unwrap_or("(any)");
        line(format!("  {column}{row}: {}: {}", warning.code, warning.message));
    }
    let charges = &reading.sink.charges;
    line(format!("\ncharges, the first {}:\n", charges.len().min(LISTED_CHARGES_MAX)));
    for (charge, extras) in charges.iter().zip(&reading.sink.extras).take(LISTED_CHARGES_MAX) {
        line(charge.trim_end().to_owned());
        for (column, value) in extras {
            line(format!("    {column}: {value}"));
        }
        line(String::new());
    }
    text
}
