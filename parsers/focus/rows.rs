//! Rows of a FOCUS file to charges.
//!
//! A row whose amount, currency, period or provider cannot be read is left out and listed; anything
//! else that departs from the format is noted and kept.

use std::borrow::Cow;

use csv::StringRecord;
use domain::{Charge, ChargeCategory, Currency, Money, ProviderId, Quantity};
use jiff::Timestamp;

use super::{
    columns::Columns,
    problems::{
        DATE_FORMAT, EMPTY_PERIOD, MISSING_ACCOUNT, NULL_COST, NULL_WORD, NUMBER_FORMAT, ROUNDED,
        UNKNOWN_CATEGORY, date_error, missing, number_error,
    },
};
use crate::{
    ParseError, ParseOptions,
    amounts::{Amount, Amounts, NumberProblem},
    csv_input::field,
    dates::{Dates, PeriodEdge},
    report::{BilledCost, Recorder, RowError},
};

/// Providers that sell models in their own name, so that who bills is also whose price applies.
const DIRECT_SELLERS: [&str; 15] = [
    "anthropic",
    "cerebras",
    "cohere",
    "deepseek",
    "fireworks",
    "groq",
    "mistral",
    "moonshot",
    "openai",
    "openrouter",
    "perplexity",
    "together",
    "xai",
    "elevenlabs",
    "replicate",
];

/// A row that was read.
pub(super) struct Row<'r> {
    pub(super) charge: Charge<'r>,
    pub(super) billed: BilledCost,
    pub(super) account: Option<&'r str>,
    /// Values of the other columns.
    pub(super) extra: Vec<Option<&'r str>>,
}

/// Why a row was not read.
pub(super) enum Fault {
    /// It is left out.
    Row(RowError),
    /// The file is refused.
    File(ParseError),
}

impl From<RowError> for Fault {
    fn from(error: RowError) -> Fault {
        Fault::Row(error)
    }
}

/// Who bills, as the last row named it.
struct KnownProvider {
    name: String,
    id: ProviderId,
    service: Option<&'static str>,
}

/// Reads the rows of one file.
pub(super) struct RowReader<'o> {
    columns: Columns,
    options: &'o ParseOptions,
    amounts: Amounts,
    dates: Dates,
    provider: Option<KnownProvider>,
    currency: Option<(String, Currency)>,
}

impl<'o> RowReader<'o> {
    pub(super) fn new(columns: Columns, options: &'o ParseOptions) -> RowReader<'o> {
        RowReader {
            columns,
            options,
            amounts: Amounts::new(),
            dates: Dates::new(options.now),
            provider: None,
            currency: None,
        }
    }

    /// Learns from the first rows how the file writes amounts and dates.
    pub(super) fn learn(&mut self, sample: &[StringRecord]) -> Result<(), ParseError> {
        let field_count = self.columns.count;
        for record in sample.iter().filter(|record| record.len() == field_count) {
            for index in self.columns.amounts() {
                if let Some(text) = cell(record, index) {
                    self.amounts.learn_from(text);
                }
            }
            let row = record.position().map_or(1, csv::Position::line);
            self.learn_dates(record, row)?;
        }
        Ok(())
    }

    /// Who bills the row that was read last.
    pub(super) fn provider(&self) -> Option<&ProviderId> {
        self.provider.as_ref().map(|provider| &provider.id)
    }

    /// Reads a row.
    pub(super) fn read<'r>(
        &mut self,
        record: &'r StringRecord,
        recorder: &mut Recorder<'_>,
    ) -> Result<Row<'r>, Fault>
    where
        'o: 'r,
    {
        self.check_length(record)?;
        self.learn_dates(record, recorder.row()).map_err(Fault::File)?;
        let service = self.resolve_provider(record)?;
        let (period_start, period_end) = self.period(record, recorder)?;
        let currency = self.currency(record)?;
        let columns = &self.columns;
        let mut charge = Charge::empty(period_start, period_end, currency);
        charge.category = category(record, columns.category, recorder);
        charge.service = service.map(Cow::Borrowed);
        charge.model = text(record, columns.model);
        charge.sub_account = text(record, columns.sub_account);
        charge.consumed_unit = text(record, columns.consumed_unit);
        charge.pricing_unit = text(record, columns.pricing_unit);
        charge.service_name = text(record, columns.service_name);
        charge.sku = text(record, columns.sku);
        charge.description = text(record, columns.description);
        let billed = self.read_amounts(record, &mut charge, recorder)?;
        let account = self.account(record);
        if account.is_none() {
            recorder.note(MISSING_ACCOUNT, self.columns.account, 1);
        }
        note_null_words(record, recorder);
        let extra = self.columns.extra.iter();
        let extra = extra.map(|index| cell(record, *index).map(|_| field(record, *index)));
        Ok(Row { charge, billed, account, extra: extra.collect() })
    }

    /// The cost of a row that was left out for another reason, where it can be read.
    pub(super) fn billed_cost(&mut self, record: &StringRecord) -> Option<BilledCost> {
        self.check_length(record).ok()?;
        let currency = self.currency(record).ok()?;
        let amount = self.amounts.read(cell(record, self.columns.billed_cost)?).ok()?;
        let cost = Money::from_femtos(amount.value, currency)?;
        Some(BilledCost { cost, residue: amount.residue })
    }

    fn check_length(&self, record: &StringRecord) -> Result<(), RowError> {
        let (found, wanted) = (record.len(), self.columns.count);
        if found == wanted {
            return Ok(());
        }
        let message = format!("the row has {found} fields and the header {wanted}");
        Err(RowError { code: "wrong_field_count", column: None, message })
    }

    fn learn_dates(&mut self, record: &StringRecord, row: u64) -> Result<(), ParseError> {
        let columns = &self.columns;
        let slash_date = |index| cell(record, index).filter(|text| text.contains('/'));
        let period = columns
            .billing_period
            .and_then(|(start, end)| Some((slash_date(start)?, slash_date(end)?)));
        let charged = [columns.period_start, columns.period_end].map(slash_date);
        if period.is_none() && charged == [None, None] {
            return Ok(());
        }
        let others: Vec<&str> = charged.into_iter().flatten().collect();
        let learned = self.dates.learn(period, &others);
        learned.map_err(|_| ParseError::MixedDateFormat { row })
    }

    /// Finds out who bills, and the service where that is certain.
    fn resolve_provider(
        &mut self,
        record: &StringRecord,
    ) -> Result<Option<&'static str>, RowError> {
        let columns = [self.columns.service_provider, self.columns.provider];
        let given = columns.into_iter().flatten().find_map(|index| cell(record, index));
        let column = self.columns.service_provider.or(self.columns.provider);
        let name = given.or(self.options.provider.as_deref()).ok_or_else(|| RowError {
            code: "missing_provider",
            column,
            message: "the row does not say who bills: name the provider with the upload".to_owned(),
        })?;
        if let Some(known) = self.provider.as_ref().filter(|known| known.name == name) {
            return Ok(known.service);
        }
        let id = ProviderId::from_display_name(name).ok_or_else(|| RowError {
            code: "invalid_provider",
            column,
            message: "the provider's name has neither Latin letters nor digits".to_owned(),
        })?;
        let service = DIRECT_SELLERS.into_iter().find(|seller| *seller == id.as_str());
        self.provider = Some(KnownProvider { name: name.to_owned(), id, service });
        Ok(service)
    }

    fn period(
        &self,
        record: &StringRecord,
        recorder: &mut Recorder<'_>,
    ) -> Result<(Timestamp, Timestamp), RowError> {
        let (start_index, end_index) = (self.columns.period_start, self.columns.period_end);
        let start = self.date(record, start_index, PeriodEdge::Start, recorder)?;
        let end = self.date(record, end_index, PeriodEdge::End, recorder)?;
        if end < start {
            return Err(RowError {
                code: "invalid_period",
                column: Some(end_index),
                message: "the charge period ends before it begins".to_owned(),
            });
        }
        if end == start {
            recorder.note(EMPTY_PERIOD, Some(end_index), 1);
        }
        Ok((start, end))
    }

    fn date(
        &self,
        record: &StringRecord,
        index: usize,
        edge: PeriodEdge,
        recorder: &mut Recorder<'_>,
    ) -> Result<Timestamp, RowError> {
        let text = cell(record, index).ok_or_else(|| missing(index))?;
        let instant = self.dates.read(text, edge).map_err(|problem| date_error(problem, index))?;
        if !instant.is_plain {
            recorder.note(DATE_FORMAT, Some(index), 1);
        }
        Ok(instant.at)
    }

    fn currency(&mut self, record: &StringRecord) -> Result<Currency, RowError> {
        let index = self.columns.currency;
        let code = cell(record, index).ok_or_else(|| missing(index))?;
        if let Some((_, currency)) = self.currency.as_ref().filter(|(known, _)| known == code) {
            return Ok(*currency);
        }
        let currency = Currency::parse(code).ok_or_else(|| RowError {
            code: "unknown_currency",
            column: Some(index),
            message: "not a currency code of ISO 4217, such as `USD`".to_owned(),
        })?;
        self.currency = Some((code.to_owned(), currency));
        Ok(currency)
    }

    /// Reads costs and quantities into `charge`.
    fn read_amounts<'r>(
        &mut self,
        record: &'r StringRecord,
        charge: &mut Charge<'r>,
        recorder: &mut Recorder<'_>,
    ) -> Result<BilledCost, Fault> {
        let (index, currency) = (self.columns.billed_cost, charge.currency);
        let billed = self.amount(record, Some(index), currency, recorder)?;
        let billed = billed.ok_or_else(|| missing(index))?;
        let cost = Money::from_femtos(billed.value, currency);
        let cost = cost.ok_or_else(|| number_error(NumberProblem::OutOfRange, index))?;
        charge.billed_cost = Some(billed.value);
        if billed.is_rounded {
            charge.billed_cost_text = cell(record, index).map(Cow::Borrowed);
        }
        for (index, cost) in [
            (self.columns.effective_cost, &mut charge.effective_cost),
            (self.columns.list_cost, &mut charge.list_cost),
        ] {
            let amount = self.amount(record, index, currency, recorder)?;
            if amount.is_none() && index.is_some() {
                recorder.note(NULL_COST, index, 1);
            }
            *cost = amount.map(|amount| amount.value);
        }
        for (index, quantity) in [
            (self.columns.consumed_quantity, &mut charge.consumed_quantity),
            (self.columns.pricing_quantity, &mut charge.pricing_quantity),
        ] {
            let amount = self.amount(record, index, currency, recorder)?;
            *quantity = amount.and_then(|amount| Quantity::from_femtos(amount.value));
        }
        Ok(BilledCost { cost, residue: billed.residue })
    }

    fn amount(
        &mut self,
        record: &StringRecord,
        index: Option<usize>,
        currency: Currency,
        recorder: &mut Recorder<'_>,
    ) -> Result<Option<Amount>, Fault> {
        let Some(index) = index else { return Ok(None) };
        let Some(text) = cell(record, index) else { return Ok(None) };
        let amount = match self.amounts.read(text) {
            Ok(amount) => amount,
            Err(NumberProblem::Mixed) => {
                let (row, column) = (recorder.row(), recorder.column(index));
                return Err(Fault::File(ParseError::MixedNumberFormat { row, column }));
            }
            Err(problem) => return Err(number_error(problem, index).into()),
        };
        if amount.sign.is_some_and(|sign| !is_sign_of(sign, currency)) {
            let message =
                "the amount carries the sign of another currency than the row's".to_owned();
            return Err(RowError { code: "currency_mismatch", column: Some(index), message }.into());
        }
        if !amount.is_plain {
            recorder.note(NUMBER_FORMAT, Some(index), 1);
        }
        if amount.is_rounded {
            recorder.note(ROUNDED, Some(index), 1);
        }
        Ok(Some(amount))
    }

    fn account<'r>(&self, record: &'r StringRecord) -> Option<&'r str>
    where
        'o: 'r,
    {
        let given = self.columns.account.and_then(|index| cell(record, index));
        given.or(self.options.account.as_deref())
    }
}

/// The text of a cell, trimmed; `None` where it is null.
fn cell(record: &StringRecord, index: usize) -> Option<&str> {
    let text = field(record, index).trim();
    (!text.is_empty() && !is_null_word(text)).then_some(text)
}

fn text<'r>(record: &'r StringRecord, index: Option<usize>) -> Option<Cow<'r, str>> {
    index.and_then(|index| cell(record, index)).map(Cow::Borrowed)
}

fn is_null_word(text: &str) -> bool {
    text.len() == 4 && text.eq_ignore_ascii_case("null")
}

fn note_null_words(record: &StringRecord, recorder: &mut Recorder<'_>) {
    let count = record.iter().filter(|text| is_null_word(text)).count();
    if count > 0 {
        recorder.note(NULL_WORD, None, count as u64);
    }
}

fn category(
    record: &StringRecord,
    index: Option<usize>,
    recorder: &mut Recorder<'_>,
) -> ChargeCategory {
    let text = index.and_then(|index| cell(record, index));
    text.and_then(ChargeCategory::parse).unwrap_or_else(|| {
        recorder.note(UNKNOWN_CATEGORY, index, 1);
        ChargeCategory::Usage
    })
}

/// Whether an amount in `currency` may carry the sign. Many dollars share one.
fn is_sign_of(sign: char, currency: Currency) -> bool {
    match sign {
        '€' => currency.code() == "EUR",
        '£' => currency.code() == "GBP",
        '¥' => matches!(currency.code(), "JPY" | "CNY"),
        '₹' => currency.code() == "INR",
        '₩' => currency.code() == "KRW",
        _ => true,
    }
}
