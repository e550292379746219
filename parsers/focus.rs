//! FOCUS CSV, versions 1.0 to 1.3: the FinOps Open Cost and Usage Specification's cost and usage
//! dataset.
//!
//! <https://focus.finops.org/focus-specification/>, read in November 2026 with the sample data of
//! <https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS-Sample-Data>.
//!
//! | column | charge |
//! |---|---|
//! | `ChargePeriodStart`, `ChargePeriodEnd` | the period, half-open |
//! | `ChargeCategory` (before 1.0 `ChargeType`) | category |
//! | `BilledCost`, `EffectiveCost` (`AmortizedCost`), `ListCost` in `BillingCurrency` | costs |
//! | `ConsumedQuantity`, `ConsumedUnit` (`UsageQuantity`, `UsageUnit`) | what was consumed |
//! | `PricingQuantity`, `PricingUnit` | what was priced |
//! | `ServiceName`, `SkuId` | service name, SKU |
//! | `ChargeDescription`, `SubAccountId` | description, sub-account |
//! | `ServiceProviderName` (1.3), else `ProviderName` | provider; also kept as text |
//! | `BillingAccountId` | account |
//! | `x_Model`, `x_model`, `x_ModelId` | model |
//! | all others | kept as text |
//!
//! **Quirks** of real files: null as the word `NULL`, dates without `T` and `Z` or as `4/1/25`,
//! amounts such as `$10,000.00 `, a byte-order mark, mandatory columns missing. They are read, and
//! told once each.

mod columns;
mod problems;
mod rows;

use std::{borrow::Cow, io::Read};

use csv::StringRecord;
use domain::FormatDescriptor;

use crate::{
    ChargeAccount, ChargeSink, Confidence, Limits, ParseError, ParseOptions, ParseReport, Parser,
    csv_input::{CsvInput, has_header, printable},
    encoding::decode_head,
    masking,
    report::{Notice, Recorder},
};
use columns::Columns;
use rows::{Fault, RowReader};

/// FOCUS as CSV.
pub(crate) struct Focus;

const DESCRIPTOR: FormatDescriptor = FormatDescriptor {
    id: "focus",
    title: "FOCUS",
    extensions: &["csv", "tsv", "txt"],
    versions: &["1.0", "1.1", "1.2", "1.3"],
    documentation_url: "https://focus.finops.org/focus-specification/",
};

const MASKED_SECRET: Notice =
    Notice { code: "masked_secret", message: "a value that looks like a secret key was cut out" };

impl Parser for Focus {
    fn descriptor(&self) -> &'static FormatDescriptor {
        &DESCRIPTOR
    }

    fn sniff(&self, _name: &str, head: &[u8]) -> Confidence {
        let rows_max = Limits::default().preamble_rows_max;
        match decode_head(head) {
            Some(head) if has_header(&head, rows_max, columns::is_header) => Confidence::Claims,
            _ => Confidence::Declines,
        }
    }

    fn parse(
        &self,
        input: &mut dyn Read,
        options: &ParseOptions,
        sink: &mut dyn ChargeSink,
    ) -> Result<ParseReport, ParseError> {
        let mut input = CsvInput::open(input, &options.limits, columns::is_header)?;
        let columns = Columns::find(input.header())?;
        let names: Vec<String> = input.header().iter().map(|name| printable(name)).collect();
        let mut recorder = Recorder::new(&names, options);
        columns::note_departures(input.header(), &mut recorder);
        let extra: Vec<String> =
            columns.extra.iter().map(|index| input.header()[*index].clone()).collect();
        sink.columns(&extra).map_err(ParseError::Sink)?;
        let mut rows = RowReader::new(columns, options);
        rows.learn(input.sample())?;
        while input.next()? {
            recorder.begin_row(input.line());
            let record = without_secrets(input.record(), &mut recorder);
            parse_row(&record, &mut rows, &mut recorder, sink)?;
            if recorder.is_hopeless() {
                return Ok(recorder.finish(false));
            }
        }
        Ok(recorder.finish(true))
    }
}

fn parse_row(
    record: &StringRecord,
    rows: &mut RowReader<'_>,
    recorder: &mut Recorder<'_>,
    sink: &mut dyn ChargeSink,
) -> Result<(), ParseError> {
    match rows.read(record, recorder) {
        Ok(row) => {
            let provider = rows.provider().expect("a row that was read has a provider");
            let account = ChargeAccount { provider, account: row.account };
            recorder.accept(row.billed)?;
            sink.push(&account, &row.charge, &row.extra).map_err(ParseError::Sink)
        }
        Err(Fault::Row(error)) => recorder.reject(error, rows.billed_cost(record)),
        Err(Fault::File(error)) => Err(error),
    }
}

/// The record as it is, or a copy without secret-looking values.
fn without_secrets<'r>(
    record: &'r StringRecord,
    recorder: &mut Recorder<'_>,
) -> Cow<'r, StringRecord> {
    if !masking::is_suspect(record.as_slice()) {
        return Cow::Borrowed(record);
    }
    let masked: StringRecord = record.iter().map(masking::mask).collect();
    if masked == *record {
        return Cow::Borrowed(record);
    }
    recorder.note(MASKED_SECRET, None, 1);
    Cow::Owned(masked)
}
