//! Hostile and broken FOCUS files, and what a person is told about each.

use std::slice::from_ref;

use domain::file::OnError;
use parsers::ParseOptions;

use crate::recording::{options, read, read_skipping, read_with};

/// Stands in cells where a message must not repeat it.
const CANARY: &str = "CANARY-4711";

const HEADER: &str = concat!(
    "BilledCost,EffectiveCost,ListCost,BillingCurrency,ChargeCategory,",
    "ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,BillingPeriodEnd,",
    "ServiceName,ProviderName,BillingAccountId,ConsumedQuantity,Tags",
);

/// A good row with some cells replaced.
fn row(cells: &[(&str, &str)]) -> String {
    let mut values = [
        "1.50",
        "1.50",
        "1.50",
        "USD",
        "Usage",
        "2026-05-03T00:00:00Z",
        "2026-05-04T00:00:00Z",
        "2026-05-01T00:00:00Z",
        "2026-06-01T00:00:00Z",
        "OpenAI API",
        "OpenAI",
        "org-1",
        "1000",
        CANARY,
    ];
    for (column, value) in cells {
        let index = HEADER.split(',').position(|name| name == *column);
        values[index.expect("the column is in the header")] = value;
    }
    values.map(|value| format!("\"{}\"", value.replace('"', "\"\""))).join(",")
}

fn file(rows: &[String]) -> String {
    let mut lines = vec![HEADER.to_owned()];
    lines.extend_from_slice(rows);
    lines.join("\n") + "\n"
}

/// Code, line and column of the only thing wrong with a file.
fn only_error(text: &str) -> (String, Option<u64>, Option<String>) {
    let error = match read(text.as_bytes()) {
        Err(error) => error.to_file_error(),
        Ok(reading) => {
            assert_eq!(reading.report.errors.len(), 1, "{:?}", reading.report.errors);
            reading.report.errors[0].clone()
        }
    };
    assert!(!error.message.contains(CANARY), "{}", error.message);
    (error.code, error.row, error.column)
}

#[test]
fn unreadable_cells_are_errors_with_their_line_and_column() {
    let huge = "9".repeat(400);
    for (column, value, code) in [
        ("BilledCost", CANARY, "invalid_number"),
        ("BilledCost", "NaN", "invalid_number"),
        ("BilledCost", "Infinity", "invalid_number"),
        ("BilledCost", "١٢٣", "invalid_number"),
        ("BilledCost", "−5", "invalid_number"),
        ("BilledCost", "1e999", "number_out_of_range"),
        ("BilledCost", &huge, "number_out_of_range"),
        ("BilledCost", "€1.50", "currency_mismatch"),
        ("BilledCost", "", "missing_value"),
        ("BilledCost", "NULL", "missing_value"),
        ("EffectiveCost", CANARY, "invalid_number"),
        ("ListCost", CANARY, "invalid_number"),
        ("ConsumedQuantity", CANARY, "invalid_number"),
        ("BillingCurrency", CANARY, "unknown_currency"),
        ("BillingCurrency", "Token", "unknown_currency"),
        ("BillingCurrency", "", "missing_value"),
        ("ChargePeriodStart", CANARY, "invalid_date"),
        ("ChargePeriodStart", "0000-00-00", "invalid_date"),
        ("ChargePeriodStart", "1e308", "invalid_date"),
        ("ChargePeriodStart", "31/04/2026", "invalid_date"),
        ("ChargePeriodStart", "9999-12-31", "date_out_of_range"),
        ("ChargePeriodStart", "1999-12-31", "date_out_of_range"),
        ("ChargePeriodStart", "", "missing_value"),
        ("ChargePeriodEnd", "2026-05-02T00:00:00Z", "invalid_period"),
        ("ProviderName", "", "missing_provider"),
        ("ProviderName", "供应商", "invalid_provider"),
    ] {
        let text = file(&[row(&[]), row(&[(column, value)])]);
        let expected = (code.to_owned(), Some(3), Some(column.to_owned()));
        assert_eq!(only_error(&text), expected, "{column}: {value}");
    }
}

#[test]
fn broken_files_are_refused_as_a_whole() {
    let good = file(&[row(&[])]);
    let twice = good.replacen("ListCost", "billedcost", 1);
    let nameless = good.replacen("ListCost", "", 1);
    let no_end = good.replacen("ChargePeriodEnd", "x_End", 1);
    let nul = file(&[row(&[]), row(&[("BilledCost", "1\0.0")])]);
    let cut_in_quote = format!("{good}{}", &row(&[])[..40]);
    let cut_in_row = format!("{good}\"1.50\",\"1.50\"");
    let unclosed = format!("{good}\"{}", "1,2\n".repeat(1_000_000));
    let wide = format!("{HEADER}{}\n", (0..600).map(|n| format!(",x_{n}")).collect::<String>());
    let endless = format!("{good}{}\n", "x".repeat(2_000_000));
    for (text, code, line) in [
        ("", "empty_file", None),
        ("\u{feff}", "empty_file", None),
        ("\n\r\n\n", "empty_file", None),
        (&twice, "invalid_header", Some(1)),
        (&nameless, "invalid_header", Some(1)),
        (&no_end, "missing_column", None),
        (&nul, "nul_character", Some(3)),
        (&cut_in_quote, "truncated", Some(3)),
        (&cut_in_row, "truncated", Some(3)),
        (&unclosed, "record_too_large", Some(3)),
        (&endless, "record_too_large", Some(3)),
        (&wide, "too_many_columns", None),
    ] {
        let error = read(text.as_bytes()).err().unwrap();
        assert_eq!((error.code(), error.row()), (code, line));
        assert!(error.is_permanent());
        assert!(!error.to_string().contains(CANARY));
    }
    assert!(read(twice.as_bytes()).err().unwrap().to_string().contains("`billedcost`"));
    assert!(read(nameless.as_bytes()).err().unwrap().to_string().contains("column 3"));
}

#[test]
fn other_encodings_than_unicode_are_refused_and_never_guessed() {
    let text = file(&[row(&[]), row(&[("ServiceName", "Kuenstliche Intelligenz")])]);
    let latin = text.replace("Kuenstliche", "K\u{1}nstliche");
    let latin: Vec<u8> = latin.bytes().map(|byte| if byte == 1 { 0xfc } else { byte }).collect();
    let error = read(&latin).err().unwrap();
    assert_eq!((error.code(), error.row()), ("invalid_encoding", Some(3)));
    let unmarked: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&unmarked).err().unwrap().code(), "invalid_encoding");
}

#[test]
fn a_header_alone_is_an_empty_month() {
    for text in [HEADER.to_owned(), format!("{HEADER}\r\n"), format!("\u{feff}{HEADER}\n\n")] {
        let reading = read(text.as_bytes()).unwrap();
        assert_eq!(reading.report.row_count, 0);
        assert!(reading.report.is_complete && reading.report.errors.is_empty());
        assert_eq!(
            reading.sink.columns,
            ["BillingPeriodStart", "BillingPeriodEnd", "ProviderName", "Tags"]
        );
    }
}

#[test]
fn ragged_rows_are_left_out_with_their_line() {
    let short = "\"1.50\",\"USD\"".to_owned();
    let long = format!("{},\"more\"", row(&[]));
    let reading = read_skipping(file(&[short, row(&[]), long]).as_bytes()).unwrap();
    let errors = &reading.report.errors;
    assert_eq!(errors.iter().map(|error| error.row).collect::<Vec<_>>(), [Some(2), Some(4)]);
    assert!(errors.iter().all(|error| error.code == "wrong_field_count"));
    assert_eq!(reading.report.charge_count, 1);
    assert_eq!(reading.report.totals[0].billed_cost.to_string(), "1.5");
}

#[test]
fn comma_and_point_are_decided_per_file_and_refused_where_they_could_be_either() {
    let costs = |costs: &[&str]| {
        let rows: Vec<String> = costs
            .iter()
            .map(|cost| row(&[("BilledCost", cost), ("EffectiveCost", ""), ("ListCost", "")]))
            .collect();
        file(&rows)
    };
    let total = |text: String| {
        let reading = read(text.as_bytes()).unwrap();
        assert_eq!(reading.report.errors, []);
        reading.report.totals[0].billed_cost.to_string()
    };
    // The rows after may tell, as long as they are near.
    assert_eq!(total(costs(&["1,234", "0.50"])), "1234.5");
    assert_eq!(total(costs(&["1,234", "0,50"])), "1.734");
    assert_eq!(total(costs(&["1.234", "0,50"])), "1234.5");
    assert_eq!(total(costs(&["$1,234.50 ", "(0.50)"])), "1234");
    assert_eq!(only_error(&costs(&["1,234", "7"])).0, "ambiguous_number");
    assert_eq!(only_error(&costs(&["1,234.50", "0,50"])).0, "mixed_number_format");
    assert_eq!(only_error(&costs(&["1,234.50", "0,50"])).1, Some(3));
}

#[test]
fn slash_dates_follow_the_billing_periods() {
    let dated = |period: (&str, &str), start: &str, end: &str| {
        row(&[
            ("BillingPeriodStart", period.0),
            ("BillingPeriodEnd", period.1),
            ("ChargePeriodStart", start),
            ("ChargePeriodEnd", end),
        ])
    };
    let first = |rows: &[String]| read(file(rows).as_bytes()).unwrap().sink.charges[0].clone();
    let american = dated(("4/1/25", "5/1/25"), "4/2/25", "4/3/25");
    assert!(first(from_ref(&american)).starts_with("2025-04-02T00:00:00Z to 2025-04-03"));
    let european = dated(("1/4/25", "1/5/25"), "2/4/25", "3/4/25");
    assert!(first(from_ref(&european)).starts_with("2025-04-02T00:00:00Z to 2025-04-03"));
    let either = dated(("1/1/25", "1/1/26"), "4/2/25", "4/3/25");
    assert_eq!(only_error(&file(&[either])).0, "ambiguous_date");
    assert_eq!(only_error(&file(&[american, european])).0, "mixed_date_format");
}

#[test]
fn finer_costs_are_rounded_once_and_their_rest_is_totalled() {
    let fine = row(&[("BilledCost", "0.13080438340307526")]);
    let reading = read(file(&[fine.clone(), fine]).as_bytes()).unwrap();
    // The exact sum is 0.26160876680615052: the total and the residue together.
    assert_eq!(reading.report.totals[0].billed_cost.to_string(), "0.26160876680615");
    assert_eq!(reading.report.totals[0].residue, 520_000_000_000_000);
    assert!(reading.sink.charges[0].contains("exactly   0.13080438340307526"));
    assert!(reading.report.warnings.iter().any(|warning| warning.code == "rounded_amount"));
}

#[test]
fn what_the_uploader_said_fills_what_the_file_does_not_say() {
    let anonymous = row(&[("ProviderName", ""), ("BillingAccountId", "")]);
    let told = ParseOptions {
        provider: Some("Anthropic, PBC".to_owned()),
        account: Some("org-9".to_owned()),
        ..options()
    };
    let text = file(&[anonymous, row(&[])]);
    let reading = read_with(text.as_bytes(), &told).unwrap();
    assert!(reading.sink.charges[0].contains("who       anthropic | org-9 | -"));
    assert!(reading.sink.charges[1].contains("who       openai | org-1 | -"));
}

#[test]
fn older_and_newer_column_names_are_read() {
    let old = HEADER
        .replace("EffectiveCost", "AmortizedCost")
        .replace("ChargeCategory", "ChargeType")
        .replace("ConsumedQuantity", "UsageQuantity");
    let new = HEADER.replace("ProviderName", "ServiceProviderName");
    let expected = read(file(&[row(&[])]).as_bytes()).unwrap().sink.charges;
    for header in [old, new, HEADER.to_lowercase()] {
        let text = file(&[row(&[])]).replacen(HEADER, &header, 1);
        assert_eq!(read(text.as_bytes()).unwrap().sink.charges, expected, "{header}");
    }
}

#[test]
fn secret_looking_values_never_reach_the_sink() {
    let key = ["sk-proj-", "abcDEF0123456789xyz"].concat();
    let tags = format!("{{\"key\": \"{key}\", \"team\": \"search\"}}");
    let reading = read(file(&[row(&[("Tags", &tags)])]).as_bytes()).unwrap();
    let tags = ("Tags".to_owned(), r#"{"key": "sk-…", "team": "search"}"#.to_owned());
    assert!(reading.sink.extras[0].contains(&tags));
    assert!(reading.report.warnings.iter().any(|warning| warning.code == "masked_secret"));
}

#[test]
fn errors_are_listed_up_to_a_limit_and_counted_beyond() {
    let bad = row(&[("BilledCost", CANARY)]);
    let text = file(&vec![bad; 250]);
    let refused = read(text.as_bytes()).unwrap().report;
    assert_eq!((refused.errors.len(), refused.row_count), (100, 100));
    assert!(!refused.is_complete);
    let kept = read_with(text.as_bytes(), &ParseOptions { on_error: OnError::Skip, ..options() });
    let kept = kept.unwrap().report;
    assert_eq!((kept.errors.len(), kept.row_count, kept.skipped_count()), (100, 250, 250));
    assert_eq!(kept.skipped[0].code, "invalid_number");
    assert!(kept.is_complete);
}
