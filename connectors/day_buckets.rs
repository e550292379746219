//! Pages of day buckets, as several providers answer: numbers that stay text, and the cursor.
//!
//! One place decides what the days of a page mean: which are missing, which are partial, where the
//! next page must go on.

use std::borrow::Cow;

use domain::{
    Charge, ConnectorDescriptor, Quantity, Window,
    fixed::{self, AmountError},
    time::{day_start, utc_day},
};
use jiff::{Timestamp, ToSpan, civil::Date};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{ConnectorError, Context, ErrorKind, Page, PageRequest};

/// A number as the provider wrote it.
pub(crate) type WireNumber<'a> = Option<&'a RawValue>;
/// A text that is null unless it was grouped by.
pub(crate) type WireText<'a> = Option<Cow<'a, str>>;

/// A bucket of a provider's answer.
pub(crate) trait Bucket {
    /// One of its lines.
    type Line;

    /// Its first instant, and the first after it; `None` where they cannot be read.
    fn period(&self) -> Option<(Timestamp, Timestamp)>;

    /// What it has.
    fn lines(self) -> Vec<Self::Line>;
}

#[derive(Deserialize)]
struct WirePage<B> {
    data: Vec<B>,
    has_more: Option<bool>,
    next_page: Option<String>,
}

/// Where the next page goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Whether charges are grouped by API key; it must stay the same on all pages.
    pub(crate) by_key: bool,
    /// The first day that has not been read.
    pub(crate) read_through: Date,
    /// The provider's own cursor.
    pub(crate) page: String,
}

impl Cursor {
    pub(crate) fn parse(text: &str) -> Option<Cursor> {
        let mut parts = text.splitn(3, '|');
        let by_key = parts.next()? == "by_key";
        let read_through = parts.next()?.parse().ok()?;
        Some(Cursor { by_key, read_through, page: parts.next()?.to_owned() })
    }

    fn write(&self) -> String {
        let mode = if self.by_key { "by_key" } else { "plain" };
        format!("{mode}|{}|{}", self.read_through, self.page)
    }

    /// The cursor of a request, if it has one.
    pub(crate) fn of(
        descriptor: &'static ConnectorDescriptor,
        request: &PageRequest,
    ) -> Result<Option<Cursor>, ConnectorError> {
        let Some(text) = &request.cursor else {
            return Ok(None);
        };
        let message = "not a cursor of ours";
        let unreadable =
            || ConnectorError::new(descriptor, request.feed, ErrorKind::BadRequest, message);
        Cursor::parse(text).map(Some).ok_or_else(unreadable)
    }
}

/// How many days a window has, as a page's limit: at most `most`.
pub(crate) fn days_of(window: Window, most: i64) -> i64 {
    let (first, last) = window.days();
    let days = i64::from(first.until(last).map_or(0, |span| span.get_days())).saturating_add(1);
    days.clamp(1, most)
}

/// A UTC day while its lines are read: what could not be read goes here.
pub(crate) struct Day<'a> {
    /// The day, whole, whatever the bucket's own bounds.
    pub(crate) window: Window,
    page: &'a mut Page,
}

impl Day<'_> {
    /// A line of which nothing or not all can be read: the day is incomplete.
    pub(crate) fn unreadable(&mut self, what: &str) {
        self.note(what);
        incomplete_from(self.page, self.window.start);
    }

    /// Something that people should know, with the day.
    pub(crate) fn note(&mut self, what: &str) {
        let day = utc_day(self.window.start);
        self.page.issues.push(format!("{day}: {what}"));
    }

    pub(crate) fn push(&mut self, charge: Charge<'static>) {
        self.page.charges.push(charge);
    }

    /// A charge for each quantity of a usage that is said and not zero, else like `charge`.
    pub(crate) fn push_usage(&mut self, charge: &Charge<'static>, usage: &domain::Usage) {
        for (unit, quantity) in usage.quantities().filter(|(_, count)| *count != Quantity::ZERO) {
            let mut charge = charge.clone();
            charge.consumed_quantity = Some(quantity);
            charge.consumed_unit = Some(Cow::Borrowed(unit));
            self.push(charge);
        }
    }
}

fn incomplete_from(page: &mut Page, at: Timestamp) {
    page.complete_through = Some(page.complete_through.map_or(at, |known| known.min(at)));
}

/// Reads a page: `read` takes each line of each day.
pub(crate) fn read_page<'a, B: Bucket + Deserialize<'a>>(
    descriptor: &'static ConnectorDescriptor,
    ctx: &Context<'_>,
    request: &PageRequest,
    by_key: bool,
    body: &'a [u8],
    mut read: impl FnMut(&mut Day<'_>, B::Line),
) -> Result<Page, ConnectorError> {
    let broken = |message: &str| {
        ConnectorError::new(descriptor, request.feed, ErrorKind::Malformed, message)
    };
    let wire: WirePage<B> = serde_json::from_slice(body)
        .map_err(|error| malformed(descriptor, request.feed, &error))?;
    let cursor = Cursor::of(descriptor, request)?;
    let mut page = Page::default();
    let mut read_through =
        cursor.as_ref().map_or(request.window.start, |cursor| day_start(cursor.read_through));
    let mut is_first = cursor.is_none();
    for bucket in wire.data {
        let (day, is_whole) = bucket
            .period()
            .and_then(day_of)
            .ok_or_else(|| broken("a bucket is not within one UTC day"))?;
        if day.start < read_through && !is_first {
            return Err(broken("a day is there twice, or the days are out of order"));
        }
        is_first = false;
        if let Some(gap) = Window::new(read_through, day.start) {
            incomplete_from(&mut page, gap.start);
            page.unanswered.push(gap);
            page.issues.push(leaves_out(descriptor, gap));
        }
        if !is_whole {
            incomplete_from(&mut page, day.start);
        }
        read_through = day.end;
        let mut day = Day { window: day, page: &mut page };
        bucket.lines().into_iter().for_each(|line| read(&mut day, line));
    }
    if wire.has_more.unwrap_or(wire.next_page.is_some()) {
        let next = wire.next_page.filter(|page| !page.is_empty());
        let next = next.ok_or_else(|| broken("there is more, and no word where"))?;
        let read_through = utc_day(read_through);
        page.next_cursor = Some(Cursor { by_key, read_through, page: next }.write());
    } else if let Some(rest) = Window::new(read_through, request.window.end) {
        incomplete_from(&mut page, rest.start);
        page.unanswered.push(rest);
        // The last days may not have begun to be reported; days that are final should have been.
        let delay = i64::from(descriptor.settle_delay_hours).hours();
        let settled = day_start(utc_day(ctx.now.checked_sub(delay).unwrap_or(Timestamp::MIN)));
        if let Some(overdue) = Window::new(rest.start, settled.min(rest.end)) {
            page.issues.push(leaves_out(descriptor, overdue));
        }
    }
    Ok(page)
}

fn leaves_out(descriptor: &ConnectorDescriptor, days: Window) -> String {
    let (first, last) = days.days();
    format!("{}'s answer leaves out the days from {first} through {last}", descriptor.title)
}

/// The UTC day of a bucket, and whether the bucket is all of it; `None` where it is no part of one
/// day.
fn day_of((start, end): (Timestamp, Timestamp)) -> Option<(Window, bool)> {
    let day = Window::of_day(utc_day(start));
    let is_whole = start == day.start && end == day.end;
    (start < end && end <= day.end).then_some((day, is_whole))
}

/// An unreadable body. The parser's own words may quote the body, so only the place is told.
pub(crate) fn malformed(
    descriptor: &'static ConnectorDescriptor,
    operation: &'static str,
    error: &serde_json::Error,
) -> ConnectorError {
    let (line, column) = (error.line(), error.column());
    let message = format!("the answer cannot be read at line {line}, column {column}");
    ConnectorError::new(descriptor, operation, ErrorKind::Malformed, message)
}

/// A number's text. Quotes are accepted: a provider may start to quote money.
pub(crate) fn number_text(number: &RawValue) -> &str {
    number.get().trim_matches('"')
}

/// A count; `Ok(None)` where none is said.
pub(crate) fn count(number: WireNumber<'_>) -> Result<Option<u64>, AmountError> {
    let Some(number) = number else {
        return Ok(None);
    };
    let quantity = Quantity::parse_rounded(number_text(number))?.femtos();
    if quantity.rem_euclid(fixed::ONE) != 0 {
        return Err(AmountError::TooPrecise);
    }
    let count = u64::try_from(quantity.div_euclid(fixed::ONE));
    count.map(Some).map_err(|_| AmountError::OutOfRange)
}

/// The sum of what is said; `Ok(None)` where nothing is.
pub(crate) fn sum(
    counts: impl IntoIterator<Item = Option<u64>>,
) -> Result<Option<u64>, AmountError> {
    let mut said = counts.into_iter().flatten();
    let Some(first) = said.next() else { return Ok(None) };
    let sum = said.try_fold(first, u64::checked_add);
    sum.map(Some).ok_or(AmountError::OutOfRange)
}

/// A text that says something.
pub(crate) fn said(text: WireText<'_>) -> Option<Cow<'static, str>> {
    let text = text.filter(|text| !text.is_empty())?;
    Some(Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start_second: i64, end_second: i64) -> (Timestamp, Timestamp) {
        let at = |second| Timestamp::from_second(second).unwrap();
        (at(start_second), at(end_second))
    }

    #[test]
    fn buckets_are_filed_under_whole_utc_days() {
        // The first and second bucket of the answer that OpenAI's cookbook prints.
        let (day, is_whole) = day_of(period(1_736_616_660, 1_736_640_000)).unwrap();
        assert_eq!(utc_day(day.start).to_string(), "2025-01-11");
        assert!(!is_whole);
        let whole = day_of(period(1_736_640_000, 1_736_726_400));
        assert_eq!(whole.map(|(_, is_whole)| is_whole), Some(true));
        for (start, end) in [(10, 10), (10, 9), (86_399, 86_401), (0, 200_000)] {
            assert_eq!(day_of(period(start, end)), None, "{start} {end}");
        }
        assert_eq!(day_of((Timestamp::MIN, Timestamp::MAX)), None);
    }

    #[test]
    fn counts_are_whole_and_zero_is_not_unsaid() {
        let count_of = |text: &str| {
            let number = RawValue::from_string(text.to_owned()).unwrap();
            count(Some(&number))
        };
        assert_eq!(count(None), Ok(None));
        assert_eq!(count_of("0"), Ok(Some(0)));
        assert_eq!(count_of("3.0"), Ok(Some(3)));
        assert_eq!(count_of("1000000000000000000"), Ok(Some(1_000_000_000_000_000_000)));
        for bad in ["-1", "1.5", "18446744073709551615", "true", "\"\""] {
            assert!(count_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sum_of_nothing_said_is_nothing_said() {
        assert_eq!(sum([None, None]), Ok(None));
        assert_eq!(sum([None, Some(0)]), Ok(Some(0)));
        assert_eq!(sum([Some(2), None, Some(3)]), Ok(Some(5)));
        assert_eq!(sum([Some(u64::MAX), Some(1)]), Err(AmountError::OutOfRange));
    }

    #[test]
    fn cursors_survive_the_way_there_and_back() {
        let read_through = jiff::civil::date(2025, 12, 6);
        let cursor = Cursor { by_key: true, read_through, page: "page_AAAA|=".to_owned() };
        assert_eq!(Cursor::parse(&cursor.write()), Some(cursor));
        for bad in ["", "by_key", "by_key|soon|page", "by_key|2025-12-06"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
