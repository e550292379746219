//! The feed `usage.messages`: tokens and web searches of each day, by workspace, key, model, tier,
//! length of the context and place of inference.
//!
//! <https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages>

use std::borrow::Cow;

use domain::{Charge, Currency, Usage, fixed::AmountError};
use serde::Deserialize;

use super::{DESCRIPTOR, MESSAGES, WireBucket, conditions, get, query, workspace};
use crate::{
    ConnectorError, Context, Page, PageRequest,
    day_buckets::{Cursor, Day, WireNumber, WireText, count, read_page, said, sum},
};

const PATH: &str = "/v1/organizations/usage_report/messages";
const GROUP_BY: &[&str] =
    &["workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo"];

pub(super) async fn fetch_page(
    ctx: &Context<'_>,
    request: &PageRequest,
) -> Result<Page, ConnectorError> {
    let cursor = Cursor::of(&DESCRIPTOR, request)?;
    let query = query(request.window, GROUP_BY, cursor.as_ref());
    let answer = get(ctx, MESSAGES, PATH, &query).await?;
    read_page::<WireBucket<WireUsage<'_>>>(
        &DESCRIPTOR,
        ctx,
        request,
        true,
        &answer.body,
        read_usage,
    )
}

/// The pools of input are apart: none is in another.
#[derive(Deserialize)]
struct WireUsage<'a> {
    #[serde(borrow)]
    uncached_input_tokens: WireNumber<'a>,
    #[serde(borrow)]
    cache_creation: Option<WireCacheCreation<'a>>,
    #[serde(borrow)]
    cache_read_input_tokens: WireNumber<'a>,
    #[serde(borrow)]
    output_tokens: WireNumber<'a>,
    #[serde(borrow)]
    server_tool_use: Option<WireServerToolUse<'a>>,
    #[serde(borrow)]
    workspace_id: WireText<'a>,
    #[serde(borrow)]
    api_key_id: WireText<'a>,
    #[serde(borrow)]
    model: WireText<'a>,
    #[serde(borrow)]
    service_tier: WireText<'a>,
    #[serde(borrow)]
    context_window: WireText<'a>,
    #[serde(borrow)]
    inference_geo: WireText<'a>,
}

#[derive(Deserialize)]
struct WireCacheCreation<'a> {
    #[serde(borrow)]
    ephemeral_5m_input_tokens: WireNumber<'a>,
    #[serde(borrow)]
    ephemeral_1h_input_tokens: WireNumber<'a>,
}

#[derive(Deserialize)]
struct WireServerToolUse<'a> {
    #[serde(borrow)]
    web_search_requests: WireNumber<'a>,
}

impl WireUsage<'_> {
    fn usage(&self) -> Result<Usage, AmountError> {
        let written = self.cache_creation.as_ref();
        let five_minutes = count(written.and_then(|one| one.ephemeral_5m_input_tokens))?;
        let an_hour = count(written.and_then(|one| one.ephemeral_1h_input_tokens))?;
        let read = count(self.cache_read_input_tokens)?;
        let uncached = count(self.uncached_input_tokens)?;
        let tools = self.server_tool_use.as_ref();
        Ok(Usage {
            input_tokens: sum([uncached, five_minutes, an_hour, read])?,
            cache_read_tokens: read,
            cache_write_tokens: sum([five_minutes, an_hour])?,
            cache_write_1h_tokens: an_hour,
            output_tokens: count(self.output_tokens)?,
            web_searches: count(tools.and_then(|tools| tools.web_search_requests))?,
            ..Usage::default()
        })
    }

    fn sku(&self) -> Option<Cow<'static, str>> {
        let parts: Vec<&str> =
            conditions(&self.service_tier, &self.context_window, &self.inference_geo).collect();
        (!parts.is_empty()).then(|| Cow::Owned(parts.join(", ")))
    }
}

/// Adds a charge for each quantity that is said and not zero.
fn read_usage(day: &mut Day<'_>, wire: WireUsage<'_>) {
    let label = wire.model.as_deref().unwrap_or("without a model").to_owned();
    let usage = match wire.usage() {
        Ok(usage) if usage != Usage::default() => usage,
        Ok(_) => return day.unreadable(&format!("a line of usage ({label}) counts nothing")),
        Err(error) => {
            return day.unreadable(&format!("a line of usage ({label}) cannot be read: {error}"));
        }
    };
    let mut charge = Charge::empty(day.window.start, day.window.end, Currency::USD);
    charge.service = Some(Cow::Borrowed("anthropic"));
    charge.sku = wire.sku();
    charge.model = said(wire.model);
    charge.sub_account = workspace(wire.workspace_id);
    charge.api_key = said(wire.api_key_id);
    day.push_usage(&charge, &usage);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage_of(json: &str) -> Usage {
        serde_json::from_str::<WireUsage<'_>>(json).unwrap().usage().unwrap()
    }

    #[test]
    fn input_is_the_sum_of_its_four_pools() {
        let usage = usage_of(
            r#"{"uncached_input_tokens":1500,"cache_read_input_tokens":200,"output_tokens":500,
            "cache_creation":{"ephemeral_1h_input_tokens":1000,"ephemeral_5m_input_tokens":500}}"#,
        );
        assert_eq!(usage.input_tokens, Some(3_200));
        assert_eq!(
            (usage.cache_write_tokens, usage.cache_write_1h_tokens),
            (Some(1_500), Some(1_000))
        );
        assert_eq!((usage.cache_read_tokens, usage.web_searches), (Some(200), None));
        assert!(usage.check().is_ok());
    }

    #[test]
    fn what_is_not_said_is_not_zero() {
        let usage = usage_of(r#"{"output_tokens":0}"#);
        assert_eq!((usage.input_tokens, usage.output_tokens), (None, Some(0)));
        assert_eq!(usage.cache_write_tokens, None);
    }
}
