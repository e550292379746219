//! The page of time buckets that usage and costs answer with.

use serde::Serialize;

use crate::query::{Bucket, Page};

#[derive(Debug, Serialize)]
pub(crate) struct WirePage<R> {
    object: &'static str,
    data: Vec<WireBucket<R>>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Debug, Serialize)]
struct WireBucket<R> {
    object: &'static str,
    start_time: i64,
    end_time: i64,
    results: Vec<R>,
}

impl<R> WirePage<R> {
    /// Fills every bucket of `page`; a bucket without use stays, with no results.
    pub(crate) fn fill(page: Page, results: impl Fn(&Bucket) -> Vec<R>) -> WirePage<R> {
        let fill = |bucket: &Bucket| WireBucket {
            object: "bucket",
            start_time: bucket.start,
            end_time: bucket.end,
            results: results(bucket),
        };
        let data = page.buckets.iter().map(fill).collect();
        WirePage { object: "page", data, has_more: page.next.is_some(), next_page: page.next }
    }
}
