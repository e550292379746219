//! What costs and usage have in common: the query, and buckets that begin and end in seconds.

use domain::Window;
use jiff::Timestamp;
use serde::Deserialize;

use super::DESCRIPTOR;
use crate::{
    ConnectorError, Context, Page, PageRequest,
    day_buckets::{self, Bucket, Cursor, Day, days_of},
};

/// Buckets on one page: the most that usage allows; costs would allow 180.
const BUCKETS_MAX: i64 = 31;

/// `results` must be there: an answer that renamed it would otherwise read as days without use.
/// Some answers of early 2025 call it `result`.
#[derive(Deserialize)]
struct WireBucket<R> {
    start_time: i64,
    end_time: i64,
    #[serde(alias = "result")]
    results: Vec<R>,
}

impl<R> Bucket for WireBucket<R> {
    type Line = R;

    fn period(&self) -> Option<(Timestamp, Timestamp)> {
        let at = |second| Timestamp::from_second(second).ok();
        Some((at(self.start_time)?, at(self.end_time)?))
    }

    fn lines(self) -> Vec<R> {
        self.results
    }
}

/// The query that costs and usage share. Lists have brackets, as OpenAI's own clients send them.
pub(super) fn query(
    window: Window,
    group_by: &[&str],
    cursor: Option<&Cursor>,
) -> Vec<(&'static str, String)> {
    let mut query = vec![
        ("start_time", window.start.as_second().to_string()),
        ("end_time", window.end.as_second().to_string()),
        ("bucket_width", "1d".to_owned()),
        ("limit", days_of(window, BUCKETS_MAX).to_string()),
    ];
    query.extend(group_by.iter().map(|field| ("group_by[]", (*field).to_owned())));
    query.extend(cursor.map(|cursor| ("page", cursor.page.clone())));
    query
}

/// The cursor of a request, if it has one.
pub(super) fn cursor_of(request: &PageRequest) -> Result<Option<Cursor>, ConnectorError> {
    Cursor::of(&DESCRIPTOR, request)
}

/// Reads a page: `read` takes each line of each day.
pub(super) fn read_page<'a, R: Deserialize<'a>>(
    ctx: &Context<'_>,
    request: &PageRequest,
    by_key: bool,
    body: &'a [u8],
    read: impl FnMut(&mut Day<'_>, R),
) -> Result<Page, ConnectorError> {
    day_buckets::read_page::<WireBucket<R>>(&DESCRIPTOR, ctx, request, by_key, body, read)
}
