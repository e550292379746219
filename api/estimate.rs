//! What a call costs, past, present or future, without booking it.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::{RateContext, Service};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::{
    Shared,
    auth::{Authorized, Caller, Read},
    context_input::ContextBody,
    dto_estimate::{EstimateView, Shown},
    error::{ApiError, FieldError},
    extract::{JsonBytes, json},
    idempotency::{Once, OnceHeader, Reply},
    pricing::{AskedPrice, Books, is_unknown},
    raw_usage::{Said, consumed},
    schemas,
    state::AppState,
    usage_input::UsageBody,
};

/// No model has a longer name.
pub(crate) const MODEL_BYTES_MAX: usize = 256;

/// A call to be priced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EstimateBody {
    /// Who sells it, in any case.
    #[schema(value_type = schemas::Slug)]
    service: String,
    /// The model as requests or responses name it. Only a service of your own can do without.
    #[serde(default)]
    #[schema(max_length = 256)]
    model: Option<String>,
    /// What it consumes, in our words; or `raw_usage`.
    #[serde(default)]
    #[schema(value_type = Option<UsageBody>)]
    usage: Option<Box<RawValue>>,
    /// The provider's own usage block, or its whole response, untouched.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    raw_usage: Option<Box<RawValue>>,
    /// What `raw_usage` is: `openai_chat`, `anthropic_messages`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::RawFormat>)]
    raw_format: Option<String>,
    /// What else changes its rates. What a response says in `raw_usage` goes before.
    #[serde(default)]
    context: Option<ContextBody>,
    /// When it begins, past or future: instant, or date in UTC; now if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Moment>)]
    at: Option<String>,
}

/// Says what a call costs, line by line, or what is missing to say so. Nothing is booked.
#[utoipa::path(post, path = "/v1/prices/estimate", tag = "quota", request_body = EstimateBody,
    params(OnceHeader),
    responses((status = 200, body = EstimateView)))]
pub(crate) async fn estimate_price(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let work = {
        let (state, caller, body) = (Arc::clone(&state), caller.clone(), body.clone());
        move |_| estimate(state, caller, body)
    };
    once.run(&state, &caller, state.new_bits()?, Sha256::digest(&body).into(), work).await
}

async fn estimate(state: Shared, caller: Caller, body: Bytes) -> Result<Reply, ApiError> {
    let (asked, said) = json::<EstimateBody>(&body)?.check(&state)?;
    let books = Books::of(&state, &caller).await?;
    Ok(Reply::json(StatusCode::OK, &view(&asked, said, &books)?))
}

impl EstimateBody {
    fn check(self, state: &AppState) -> Result<(AskedPrice, Said), ApiError> {
        let mut errors = vec![];
        let service = Service::parse(&self.service)
            .map_err(|error| errors.push(FieldError::at("/service", error.to_string())));
        let context = self.context.as_ref().map_or(Ok(RateContext::default()), ContextBody::check);
        let context = context.map_err(|wrong| errors.extend(wrong));
        let at = self.at.as_deref().map_or(Ok(state.now()), instant);
        let at = at.map_err(|wrong| errors.push(wrong));
        let said =
            consumed(self.usage.as_deref(), self.raw_usage.as_deref(), self.raw_format.as_deref());
        let said = said.map_err(|wrong| errors.extend(wrong));
        let model = self.model.unwrap_or_default();
        let is_named = !model.is_empty() || said.as_ref().is_ok_and(|raw| raw.model.is_some());
        let is_own = |service: &Service| state.prices.seller(service.as_str()).is_none();
        if model.len() > MODEL_BYTES_MAX {
            let detail = format!("a model's name has up to {MODEL_BYTES_MAX} bytes");
            errors.push(FieldError::at("/model", detail));
        } else if !is_named && !service.as_ref().is_ok_and(is_own) {
            errors.push(FieldError::at("/model", "this field is needed: name a model"));
        }
        let usage_place = if self.raw_usage.is_some() { "/raw_usage" } else { "/usage" };
        match (service, context, at, said) {
            (Ok(service), Ok(context), Ok(at), Ok(raw)) if errors.is_empty() => {
                let asked = AskedPrice {
                    service,
                    model,
                    answered_model: raw.model,
                    usage: raw.usage,
                    usage_place,
                    context: context.corrected_by(raw.context),
                    beyond: raw.beyond,
                    at,
                };
                Ok((asked, raw.said))
            }
            _ => Err(errors.into()),
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, FieldError> {
    prices::instant(text).ok_or_else(|| {
        let what = "is an instant (`2026-01-31T12:00:00Z`) or a date (`2026-01-31`) in UTC";
        FieldError::at("/at", format!("`at` {what}"))
    })
}

/// The price as clients see it.
fn view(asked: &AskedPrice, said: Said, books: &Books) -> Result<EstimateView, ApiError> {
    let priced = asked.priced(books)?;
    let nearest = match is_unknown(&priced.estimate) {
        true => books.catalogue.nearest(asked.service.as_str(), priced.model),
        false => vec![],
    };
    let shown = Shown {
        catalogue: books.catalogue.id(),
        canonical: priced.canonical,
        model: priced.model,
        notes: priced.notes,
        nearest,
        said: Some(said),
    };
    Ok(EstimateView::new(&priced.estimate, shown))
}
