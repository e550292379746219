//! # OpenAI: costs and usage of an organization
//!
//! API reference, read on 2026-08-21: <https://platform.openai.com/docs/api-reference/usage>,
//! <https://platform.openai.com/docs/api-reference/usage/costs>, and the OpenAPI description in
//! <https://github.com/openai/openai-openapi>. "Unverified" below means: seen or supposed, and not
//! promised there.
//!
//! **Authoritative for cost:** the feed `costs`, which is what the invoice adds up from.
//! `usage.completions` has tokens and no money, so the two are never added up.
//!
//! **Quirks**
//! - Only an Admin key works; a project's key is refused with a message that names the missing
//!   scope, which must not read as an outage. The prefix tells the two apart before anybody is
//!   called.
//! - Costs are JSON numbers in dollars with many digits (spend limits elsewhere are cents). They
//!   are read as text: a float would lose digits.
//! - Days are UTC. When asked for parts of a day the first and the last bucket are parts too
//!   (<https://cookbook.openai.com/examples/completions_usage_api> prints one), so a charge is
//!   filed under the whole day and a partial bucket counts as incomplete.
//! - A day without use is there with an empty list. A day that is not there at all is therefore
//!   reported as an issue and never taken for zero.
//! - Every grouping field is null unless it is grouped by. Costs know no model: `line_item` is free
//!   text, usually `MODEL, METER`, good enough for a label and nothing else.
//! - Costs grouped by `api_key_id` are refused (400) for early windows and some organizations; they
//!   are then asked for without it, and an issue says what is lost.
//! - `input_tokens` includes what was read from and written to the cache.
//! - Finality is not documented (unverified): 48 hours count as provisional and 3 days are read
//!   again. How far back the API answers is not documented either (unverified): two years are
//!   allowed.
//! - No answer's body names the organization (unverified). Its id is taken from the header
//!   `openai-organization`; without it the id of the first project stands in, which never changes.

mod completions;
mod costs;
mod wire;

use domain::{
    AuthField, ConnectorDescriptor, Reports, descriptor::FeedDescriptor, time::day_start,
    time::utc_day,
};
use jiff::ToSpan;
use net::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::{
    CheckReport, Connector, ConnectorError, Context, ErrorKind, Page, PageRequest,
    day_buckets::malformed,
};

/// OpenAI's admin API.
pub(crate) struct OpenAi;

const COSTS: &str = "costs";
const COMPLETIONS: &str = "usage.completions";
const ADMIN_KEY: &str = "admin_key";
const COSTS_PATH: &str = "/v1/organization/costs";
const PROJECTS_PATH: &str = "/v1/organization/projects";
/// More pages of projects than this are taken for an answer that never ends.
const PROJECT_PAGES_MAX: u32 = 100;

static DESCRIPTOR: ConnectorDescriptor = ConnectorDescriptor {
    id: "openai",
    title: "OpenAI",
    base_url: "https://api.openai.com",
    hosts: &["api.openai.com"],
    auth_fields: &[AuthField {
        name: ADMIN_KEY,
        title: "Admin key",
        help: "An organization owner makes it under Settings › Organization › Admin keys; it needs \
               the scope api.usage.read. A project's key cannot read costs.",
        prefix: "sk-admin-",
        is_secret: true,
    }],
    feeds: &[
        FeedDescriptor { id: COSTS, window_days_max: 90 },
        FeedDescriptor { id: COMPLETIONS, window_days_max: 31 },
    ],
    granularity: "day",
    history_days: 730,
    settle_delay_hours: 48,
    trailing_days: 3,
    request_interval_ms_min: 250,
    reports: Reports { usage: true, cost: true, invoice: false },
    data_sent: "The admin key, the days asked for and the names of the groupings. Nothing about \
                the calls that your applications make.",
    documentation_url: "https://platform.openai.com/docs/api-reference/usage",
};

#[async_trait::async_trait]
impl Connector for OpenAi {
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
            COMPLETIONS => completions::fetch_page(ctx, request).await,
            other => Err(refuse("feed", ErrorKind::NotFound, format!("no feed `{other}`"))),
        }
    }

    async fn check(&self, ctx: &Context<'_>) -> Result<CheckReport, ConnectorError> {
        let today = day_start(utc_day(ctx.now));
        let yesterday = today.checked_sub(24.hours()).unwrap_or(today);
        let query = [
            ("start_time", yesterday.as_second().to_string()),
            ("end_time", today.as_second().to_string()),
            ("limit", "1".to_owned()),
        ];
        let response = get(ctx, "check", COSTS_PATH, &query).await?;
        if let Some(organization) = response.header("openai-organization")
            && !organization.trim().is_empty()
        {
            return Ok(CheckReport { account: organization.trim().to_owned() });
        }
        let found = first_project(ctx).await;
        match (found, &ctx.settings.account) {
            (Ok(Some(account)), _) => Ok(CheckReport { account }),
            (_, Some(account)) => Ok(CheckReport { account: account.clone() }),
            (Err(error), None) if error.is_temporary() => Err(error),
            (Err(error), None) => Err(no_account().caused_by(error)),
            (Ok(None), None) => Err(no_account()),
        }
    }

    fn classify(&self, status: u16, body: &[u8]) -> ErrorKind {
        let Ok(WireFailure { error: said }) = serde_json::from_slice(body) else {
            return ErrorKind::of_status(status);
        };
        let message = said.message.unwrap_or_default();
        let refused = matches!(status, 401 | 403);
        if refused && message.to_ascii_lowercase().contains("missing scopes") {
            return ErrorKind::MissingScope;
        }
        if refused && said.code.as_deref() == Some("invalid_api_key") {
            return ErrorKind::InvalidKey;
        }
        ErrorKind::of_status(status)
    }
}

#[derive(Deserialize)]
struct WireFailure {
    error: WireFailureText,
}

#[derive(Deserialize)]
struct WireFailureText {
    message: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct WireProjects {
    data: Vec<WireProject>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct WireProject {
    id: String,
    created_at: Option<i64>,
}

/// The id of the project that was made first, archived ones included.
async fn first_project(ctx: &Context<'_>) -> Result<Option<String>, ConnectorError> {
    let mut first: Option<(i64, String)> = None;
    let mut after: Option<String> = None;
    for _ in 0..PROJECT_PAGES_MAX {
        let mut query = vec![("include_archived", "true".to_owned()), ("limit", "100".to_owned())];
        query.extend(after.map(|id| ("after", id)));
        let response = get(ctx, "projects", PROJECTS_PATH, &query).await?;
        let page: WireProjects = serde_json::from_slice(&response.body)
            .map_err(|error| malformed(&DESCRIPTOR, "projects", &error))?;
        after = page.data.last().map(|project| project.id.clone());
        let made = |project: WireProject| Some((project.created_at?, project.id));
        first = first.into_iter().chain(page.data.into_iter().filter_map(made)).min();
        if !page.has_more || after.is_none() {
            break;
        }
    }
    Ok(first.map(|(_, id)| id))
}

fn no_account() -> ConnectorError {
    let message = "the key works, but nothing says which organization it belongs to";
    refuse("check", ErrorKind::AccountUnknown, message).advising(
        "give the key the scope api.management.read as well, so that it may list projects",
    )
}

fn refuse(operation: &'static str, kind: ErrorKind, message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(&DESCRIPTOR, operation, kind, message)
}

async fn get(
    ctx: &Context<'_>,
    operation: &'static str,
    path: &str,
    query: &[(&str, String)],
) -> Result<HttpResponse, ConnectorError> {
    let mut url = ctx.url(&OpenAi, path)?;
    url.query_pairs_mut().extend_pairs(query);
    let mut request = HttpRequest::get(url);
    let key = ctx.secret_header(&OpenAi, "Bearer ", ADMIN_KEY)?;
    request.headers.insert("authorization", key);
    ctx.send(&OpenAi, operation, request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scope_is_not_a_wrong_key_whatever_the_status() {
        let scope = br#"{"error":{"message":"Missing scopes: api.usage.read","code":null}}"#;
        assert_eq!(OpenAi.classify(401, scope), ErrorKind::MissingScope);
        assert_eq!(OpenAi.classify(403, scope), ErrorKind::MissingScope);
        let wrong =
            br#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
        assert_eq!(OpenAi.classify(401, wrong), ErrorKind::InvalidKey);
        assert_eq!(OpenAi.classify(403, wrong), ErrorKind::InvalidKey);
        assert_eq!(OpenAi.classify(500, wrong), ErrorKind::Unavailable);
        assert_eq!(OpenAi.classify(401, b"<html>"), ErrorKind::InvalidKey);
    }
}
