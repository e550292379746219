//! What a call costs, past, present or future, without booking it.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::{RateContext, Service, Usage};
use jiff::Timestamp;
use prices::{Call, Estimate, EstimateError, Missing, OwnPrices};
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
    extract::{JsonBytes, json, pointer_of},
    idempotency::{Once, OnceHeader, Reply},
    own_prices::owner,
    raw_usage::{RawUsage, Said, read_raw},
    schemas,
    state::AppState,
    usage_input::{UsageBody, read_usage},
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
    let asked = json::<EstimateBody>(&body)?.check(&state)?;
    let book = state.own_prices.book(&state, owner(&caller)).await?;
    let own = [&book.prices, &*state.operator_prices];
    let view = asked.priced(&state.prices, &own)?;
    Ok(Reply::json(StatusCode::OK, &view))
}

/// A call in which everything is right.
struct AskedPrice {
    service: Service,
    /// As the request names it; empty where nobody says.
    model: String,
    /// As the response names it.
    answered_model: Option<String>,
    usage: Usage,
    /// Where the usage stands in the body.
    usage_place: &'static str,
    context: RateContext,
    beyond: Vec<&'static str>,
    said: Option<Said>,
    at: Timestamp,
}

impl EstimateBody {
    fn check(self, state: &AppState) -> Result<AskedPrice, ApiError> {
        let mut errors = vec![];
        let service = Service::parse(&self.service)
            .map_err(|error| errors.push(FieldError::at("/service", error.to_string())));
        let context = self.context.as_ref().map_or(Ok(RateContext::default()), ContextBody::check);
        let context = context.map_err(|wrong| errors.extend(wrong));
        let at = self.at.as_deref().map_or(Ok(state.now()), instant);
        let at = at.map_err(|wrong| errors.push(wrong));
        let said = self.consumed().map_err(|wrong| errors.extend(wrong));
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
            (Ok(service), Ok(context), Ok(at), Ok(raw)) if errors.is_empty() => Ok(AskedPrice {
                service,
                model,
                answered_model: raw.model,
                usage: raw.usage,
                usage_place,
                context: context.corrected_by(raw.context),
                beyond: raw.beyond,
                said: Some(raw.said),
                at,
            }),
            _ => Err(errors.into()),
        }
    }

    /// What was consumed, by whichever of the two ways says it.
    fn consumed(&self) -> Result<RawUsage, Vec<FieldError>> {
        match (&self.usage, &self.raw_usage, &self.raw_format) {
            (Some(usage), None, None) => Ok(RawUsage {
                usage: read_usage(usage, "/usage")?,
                context: RateContext::default(),
                model: None,
                beyond: vec![],
                said: Said::default(),
            }),
            (None, Some(raw), Some(format)) => read_raw(raw, format).map_err(|wrong| vec![wrong]),
            (None, Some(_), None) => {
                let detail = "`raw_usage` needs its `raw_format`, such as `openai_chat`";
                Err(vec![FieldError::at("/raw_format", detail)])
            }
            (Some(_), None, Some(_)) => {
                let detail = "`raw_format` is for `raw_usage`; `usage` has one form only";
                Err(vec![FieldError::at("/raw_format", detail)])
            }
            (Some(_), Some(_), _) => {
                let detail = "say `usage` or `raw_usage`, not both";
                Err(vec![FieldError::at("/raw_usage", detail)])
            }
            (None, None, _) => {
                let detail = "say what is consumed: `usage`, or `raw_usage` with its `raw_format`";
                Err(vec![FieldError::at("/usage", detail)])
            }
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, FieldError> {
    prices::instant(text).ok_or_else(|| {
        let what = "is an instant (`2026-01-31T12:00:00Z`) or a date (`2026-01-31`) in UTC";
        FieldError::at("/at", format!("`at` {what}"))
    })
}

impl AskedPrice {
    /// The price by the model that the response names, or else by the one that was asked for.
    fn priced(
        mut self,
        catalogue: &prices::Catalogue,
        own: &[&OwnPrices],
    ) -> Result<EstimateView, ApiError> {
        let mut notes = vec![];
        let said = self.said.take();
        let mut model = self.first_model(own);
        let mut estimate = self.estimate(catalogue, own, model)?;
        if model != self.model && !self.model.is_empty() {
            if is_unknown(&estimate) {
                notes.push(format!("the response names `{model}`, which has no price here"));
                model = &self.model;
                estimate = self.estimate(catalogue, own, model)?;
            } else {
                notes.push(format!("priced as `{model}`, which the response names"));
            }
        }
        let service = self.service.as_str();
        let found = catalogue.resolve(service, model, self.at);
        let nearest = match is_unknown(&estimate) {
            true => catalogue.nearest(service, model),
            false => vec![],
        };
        let shown = Shown {
            catalogue: catalogue.id(),
            canonical: found.as_ref().map(|found| found.model.id.as_str()),
            model,
            notes,
            nearest,
            said,
        };
        Ok(EstimateView::new(&estimate, shown))
    }

    /// The response's model goes before the request's, unless only the latter has a price of one's
    /// own by its exact name, as a deployment has.
    fn first_model<'a>(&'a self, own: &[&OwnPrices]) -> &'a str {
        let Some(answered) = &self.answered_model else { return &self.model };
        let has_own_price = |name: &str| {
            own.iter().any(|own| {
                let found = own.rated(self.service.as_str(), name, None, self.at);
                found.is_some_and(|(_, model)| {
                    model.id == name || model.names.iter().any(|other| other == name)
                })
            })
        };
        match has_own_price(&self.model) && !has_own_price(answered) {
            true => &self.model,
            false => answered,
        }
    }

    fn estimate<'c>(
        &self,
        catalogue: &'c prices::Catalogue,
        own: &[&'c OwnPrices],
        model: &str,
    ) -> Result<Estimate<'c>, ApiError> {
        let call = Call {
            service: self.service.as_str(),
            model,
            usage: &self.usage,
            context: &self.context,
            beyond: &self.beyond,
            at: self.at,
        };
        catalogue.estimate(own, &call).map_err(|error| self.refused(&error).into())
    }

    fn refused(&self, error: &EstimateError) -> FieldError {
        let (place, detail) = (self.usage_place, error.to_string());
        // In a provider's own block our words have no place.
        let at = |unit: &str| match place {
            "/usage" => format!("{place}{}", pointer_of(unit)),
            _ => place.to_owned(),
        };
        match error {
            EstimateError::Usage(wrong) => FieldError::at(at(wrong.unit()), detail).inconsistent(),
            EstimateError::WholeNotSaid { part, .. } => {
                FieldError::at(at(part), detail).inconsistent()
            }
            EstimateError::OutOfRange => FieldError::at(place, detail),
        }
    }
}

/// Whether nobody knows the model or its seller.
fn is_unknown(estimate: &Estimate<'_>) -> bool {
    estimate.missing.iter().any(|missing| matches!(missing, Missing::Model | Missing::Service))
}
