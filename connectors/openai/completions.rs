//! The feed `usage.completions`: tokens and requests of each day, by project, key, model, batch and
//! tier.
//!
//! <https://platform.openai.com/docs/api-reference/usage/completions>

use std::borrow::Cow;

use domain::{Charge, Currency, Usage, fixed::AmountError};
use serde::Deserialize;

use super::{
    COMPLETIONS, get,
    wire::{cursor_of, query, read_page},
};
use crate::{
    ConnectorError, Context, Page, PageRequest,
    day_buckets::{Day, WireNumber, WireText, count, said, sum},
};

const PATH: &str = "/v1/organization/usage/completions";
const GROUP_BY: &[&str] = &["project_id", "api_key_id", "model", "batch", "service_tier"];

pub(super) async fn fetch_page(
    ctx: &Context<'_>,
    request: &PageRequest,
) -> Result<Page, ConnectorError> {
    let cursor = cursor_of(request)?;
    let query = query(request.window, GROUP_BY, cursor.as_ref());
    let answer = get(ctx, COMPLETIONS, PATH, &query).await?;
    read_page(ctx, request, true, &answer.body, read_usage)
}

/// `input_tokens` holds all input, the cache included. The split by modality changed its meaning:
/// where the cached audio is listed beside it, `input_audio_tokens` is the uncached part, before
/// that it was all.
#[derive(Deserialize)]
struct WireUsage<'a> {
    #[serde(borrow)]
    input_tokens: WireNumber<'a>,
    #[serde(borrow)]
    input_cached_tokens: WireNumber<'a>,
    #[serde(borrow)]
    input_cache_write_tokens: WireNumber<'a>,
    #[serde(borrow)]
    input_audio_tokens: WireNumber<'a>,
    #[serde(borrow)]
    input_cached_audio_tokens: WireNumber<'a>,
    #[serde(borrow)]
    input_image_tokens: WireNumber<'a>,
    #[serde(borrow)]
    input_cached_image_tokens: WireNumber<'a>,
    #[serde(borrow)]
    output_tokens: WireNumber<'a>,
    #[serde(borrow)]
    output_audio_tokens: WireNumber<'a>,
    #[serde(borrow)]
    output_image_tokens: WireNumber<'a>,
    #[serde(borrow)]
    num_model_requests: WireNumber<'a>,
    #[serde(borrow)]
    project_id: WireText<'a>,
    #[serde(borrow)]
    api_key_id: WireText<'a>,
    #[serde(borrow)]
    model: WireText<'a>,
    batch: Option<bool>,
    #[serde(borrow)]
    service_tier: WireText<'a>,
}

impl WireUsage<'_> {
    fn usage(&self) -> Result<Usage, AmountError> {
        Ok(Usage {
            input_tokens: count(self.input_tokens)?,
            cache_read_tokens: count(self.input_cached_tokens)?,
            cache_write_tokens: count(self.input_cache_write_tokens)?,
            input_audio_tokens: both(self.input_audio_tokens, self.input_cached_audio_tokens)?,
            input_image_tokens: both(self.input_image_tokens, self.input_cached_image_tokens)?,
            output_tokens: count(self.output_tokens)?,
            output_audio_tokens: count(self.output_audio_tokens)?,
            output_image_tokens: count(self.output_image_tokens)?,
            requests: count(self.num_model_requests)?,
            ..Usage::default()
        })
    }

    /// What changes the price of a token: batch, and the tier where one is named.
    fn sku(&self) -> Option<Cow<'static, str>> {
        let batch = self.batch.unwrap_or(false).then_some("batch");
        let tier = self.service_tier.as_deref().filter(|tier| !tier.is_empty());
        let parts: Vec<&str> = batch.into_iter().chain(tier).collect();
        (!parts.is_empty()).then(|| Cow::Owned(parts.join(", ")))
    }
}

fn both(uncached: WireNumber<'_>, cached: WireNumber<'_>) -> Result<Option<u64>, AmountError> {
    sum([count(uncached)?, count(cached)?])
}

/// Adds a charge for each quantity that is said and not zero. What does not add up is kept and
/// named.
fn read_usage(day: &mut Day<'_>, wire: WireUsage<'_>) {
    let label = wire.model.as_deref().unwrap_or("without a model").to_owned();
    let usage = match wire.usage() {
        Ok(usage) if usage != Usage::default() => usage,
        Ok(_) => return day.unreadable(&format!("a line of usage ({label}) counts nothing")),
        Err(error) => {
            return day.unreadable(&format!("a line of usage ({label}) cannot be read: {error}"));
        }
    };
    if let Err(error) = usage.check() {
        day.note(&format!("a line of usage ({label}) does not add up: {error}"));
    }
    let mut charge = Charge::empty(day.window.start, day.window.end, Currency::USD);
    charge.service = Some(Cow::Borrowed("openai"));
    charge.sku = wire.sku();
    charge.model = said(wire.model);
    charge.sub_account = said(wire.project_id);
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
    fn modalities_are_whole_in_old_answers_and_in_new_ones() {
        let old = usage_of(r#"{"input_tokens":100,"input_audio_tokens":40}"#);
        assert_eq!(old.input_audio_tokens, Some(40));
        let new = usage_of(
            r#"{"input_tokens":100,"input_audio_tokens":30,"input_cached_audio_tokens":10}"#,
        );
        assert_eq!(new.input_audio_tokens, Some(40));
        assert_eq!(new.output_tokens, None);
    }

    #[test]
    fn batch_and_tier_name_what_was_sold() {
        let sku_of = |json: &str| {
            let wire: WireUsage<'_> = serde_json::from_str(json).unwrap();
            wire.sku().map(Cow::into_owned)
        };
        assert_eq!(sku_of("{}"), None);
        assert_eq!(sku_of(r#"{"batch":false,"service_tier":null}"#), None);
        assert_eq!(sku_of(r#"{"batch":true}"#).as_deref(), Some("batch"));
        assert_eq!(
            sku_of(r#"{"batch":true,"service_tier":"flex"}"#).as_deref(),
            Some("batch, flex")
        );
    }
}
