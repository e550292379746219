//! # Anthropic: costs and messages of an organization
//!
//! Guide and API reference, read on 2026-08-21:
//! <https://platform.claude.com/docs/en/build-with-claude/usage-cost-api>,
//! <https://platform.claude.com/docs/en/api/admin>,
//! <https://platform.claude.com/docs/en/api/errors>. "Unverified" below means: seen or supposed,
//! and not promised there.
//!
//! **Authoritative for cost:** the feed `costs`. `usage.messages` has tokens and no money, so the
//! two are never added up.
//!
//! **Quirks**
//! - Only an Admin key (`sk-ant-admin…`) works; a workspace's key is refused. Individual accounts
//!   have no Admin API. Use by way of Bedrock, Vertex or Foundry is in neither report.
//! - Amounts are decimal texts in *cents*: `"123.78912"` of `USD` is 1.2378912 dollars. They are
//!   moved by two places as text.
//! - Costs know workspace and description, and no API key. Use in the Priority Tier is billed
//!   otherwise and is missing in `costs`; its tokens are in `usage.messages`.
//! - The four pools of input are apart: uncached, written for five minutes, written for an hour,
//!   and read. Our input is their sum.
//! - A workspace of null is the organization's default workspace, here called `default`; a key of
//!   null is use in the Console. Both are null also where nothing was grouped by, so everything
//!   always is.
//! - There is no count of requests. Web searches are counted.
//! - Days are UTC; a day without use is there with an empty list. A day that is not there at all is
//!   reported as an issue and never taken for zero.
//! - Data is there within minutes; when a day is final is not documented (unverified): 24 hours
//!   count as provisional and 3 days are read again. How far back it answers is not documented
//!   either (unverified): a year is allowed.
//! - What is left of credits, taxes and agreed discounts is not documented (unverified): `costs` is
//!   no invoice.

mod costs;
mod messages;

use std::borrow::Cow;

use domain::{AuthField, ConnectorDescriptor, Reports, Window, descriptor::FeedDescriptor};
use jiff::Timestamp;
use net::{HeaderValue, HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::{
    CheckReport, Connector, ConnectorError, Context, ErrorKind, Page, PageRequest,
    day_buckets::{Bucket, Cursor, WireText, days_of, malformed},
};

/// Anthropic's admin API.
pub(crate) struct Anthropic;

const COSTS: &str = "costs";
const MESSAGES: &str = "usage.messages";
const ADMIN_KEY: &str = "admin_key";
/// Buckets on one page: the most that days allow.
const BUCKETS_MAX: i64 = 31;

static DESCRIPTOR: ConnectorDescriptor = ConnectorDescriptor {
    id: "anthropic",
    title: "Anthropic",
    base_url: "https://api.anthropic.com",
    hosts: &["api.anthropic.com"],
    auth_fields: &[AuthField {
        name: ADMIN_KEY,
        title: "Admin key",
        help: "An organization admin makes it in the Claude Console under Settings › Admin keys. \
               A workspace's key cannot read costs, and individual accounts have no Admin keys.",
        prefix: "sk-ant-admin",
        is_secret: true,
    }],
    feeds: &[
        FeedDescriptor { id: COSTS, window_days_max: 31 },
        FeedDescriptor { id: MESSAGES, window_days_max: 31 },
    ],
    granularity: "day",
    history_days: 365,
    settle_delay_hours: 24,
    trailing_days: 3,
    request_interval_ms_min: 1_000,
    reports: Reports { usage: true, cost: true, invoice: false },
    data_sent: "The admin key, the days asked for and the names of the groupings. Nothing about \
                the calls that your applications make.",
    documentation_url: "https://platform.claude.com/docs/en/build-with-claude/usage-cost-api",
};

#[async_trait::async_trait]
impl Connector for Anthropic {
    fn descriptor(&self) -> &'static ConnectorDescriptor {
        &DESCRIPTOR
    }

    async fn fetch_page(
        &self,
        ctx: &Context<'_>,
        request: &PageRequest,
    ) -> Result<Page, ConnectorError> {
        match request.feed {
            COSTS => costs::fetch_page(ctx, request).await,
            MESSAGES => messages::fetch_page(ctx, request).await,
            other => {
                let message = format!("no feed `{other}`");
                Err(ConnectorError::new(&DESCRIPTOR, "feed", ErrorKind::NotFound, message))
            }
        }
    }

    async fn check(&self, ctx: &Context<'_>) -> Result<CheckReport, ConnectorError> {
        let response = get(ctx, "check", "/v1/organizations/me", &[]).await?;
        let WireOrganization { id } = serde_json::from_slice(&response.body)
            .map_err(|error| malformed(&DESCRIPTOR, "check", &error))?;
        match id.trim() {
            "" => {
                let message = "the key works, but its organization has no id";
                Err(ConnectorError::new(&DESCRIPTOR, "check", ErrorKind::AccountUnknown, message))
            }
            id => Ok(CheckReport { account: id.to_owned() }),
        }
    }

    fn classify(&self, status: u16, body: &[u8]) -> ErrorKind {
        let said = serde_json::from_slice(body).map(|WireFailure { error }| error.kind);
        match said.as_deref() {
            Ok("authentication_error") => ErrorKind::InvalidKey,
            Ok("permission_error") => ErrorKind::MissingScope,
            Ok("rate_limit_error") => ErrorKind::RateLimited,
            Ok("overloaded_error" | "api_error" | "timeout_error") => ErrorKind::Unavailable,
            _ => ErrorKind::of_status(status),
        }
    }
}

#[derive(Deserialize)]
struct WireOrganization {
    id: String,
}

#[derive(Deserialize)]
struct WireFailure {
    error: WireFailureText,
}

#[derive(Deserialize)]
struct WireFailureText {
    #[serde(rename = "type")]
    kind: String,
}

/// `results` must be there: an answer that renamed it would otherwise read as days without use.
#[derive(Deserialize)]
struct WireBucket<R> {
    starting_at: String,
    ending_at: String,
    results: Vec<R>,
}

impl<R> Bucket for WireBucket<R> {
    type Line = R;

    fn period(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.starting_at.parse().ok()?, self.ending_at.parse().ok()?))
    }

    fn lines(self) -> Vec<R> {
        self.results
    }
}

/// The query that both reports share.
fn query(
    window: Window,
    group_by: &[&str],
    cursor: Option<&Cursor>,
) -> Vec<(&'static str, String)> {
    let mut query = vec![
        ("starting_at", window.start.to_string()),
        ("ending_at", window.end.to_string()),
        ("bucket_width", "1d".to_owned()),
        ("limit", days_of(window, BUCKETS_MAX).to_string()),
    ];
    query.extend(group_by.iter().map(|field| ("group_by[]", (*field).to_owned())));
    query.extend(cursor.map(|cursor| ("page", cursor.page.clone())));
    query
}

/// The workspace of a line of a report that is grouped by it.
fn workspace(id: WireText<'_>) -> Option<Cow<'static, str>> {
    Some(
        id.filter(|id| !id.is_empty())
            .map_or(Cow::Borrowed("default"), |id| Cow::Owned(id.into_owned())),
    )
}

/// What changes the price of a token: everything that is not as usual.
fn conditions<'a>(
    service_tier: &'a WireText<'_>,
    context_window: &'a WireText<'_>,
    inference_geo: &'a WireText<'_>,
) -> impl Iterator<Item = &'a str> {
    let usual = ["", "standard", "0-200k", "global", "not_available"];
    let said = [service_tier, context_window, inference_geo].into_iter();
    said.filter_map(|text| text.as_deref()).filter(move |text| !usual.contains(text))
}

async fn get(
    ctx: &Context<'_>,
    operation: &'static str,
    path: &str,
    query: &[(&str, String)],
) -> Result<HttpResponse, ConnectorError> {
    let mut url = ctx.url(&Anthropic, path)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let mut request = HttpRequest::get(url);
    request.headers.insert("x-api-key", ctx.secret_header(&Anthropic, "", ADMIN_KEY)?);
    request.headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    ctx.send(&Anthropic, operation, request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_of_an_error_outweighs_the_status() {
        let said = |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}"}}}}"#);
        for (status, kind, expected) in [
            (401, "authentication_error", ErrorKind::InvalidKey),
            (403, "permission_error", ErrorKind::MissingScope),
            (401, "permission_error", ErrorKind::MissingScope),
            (404, "not_found_error", ErrorKind::NotFound),
            (429, "rate_limit_error", ErrorKind::RateLimited),
            (529, "overloaded_error", ErrorKind::Unavailable),
            (400, "overloaded_error", ErrorKind::Unavailable),
            (400, "invalid_request_error", ErrorKind::BadRequest),
        ] {
            assert_eq!(Anthropic.classify(status, said(kind).as_bytes()), expected, "{kind}");
        }
        assert_eq!(Anthropic.classify(529, b"<html>"), ErrorKind::Unavailable);
    }

    #[test]
    fn a_workspace_of_null_is_the_default_one() {
        assert_eq!(workspace(None).as_deref(), Some("default"));
        assert_eq!(workspace(Some("wrkspc_1".into())).as_deref(), Some("wrkspc_1"));
    }
}
