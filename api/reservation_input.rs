//! Reservations and their commits as people send them.

use std::collections::BTreeMap;

use domain::{Path, RateContext, Service};
use engine::{Measures, command::Reserve};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use shards::ReservationView;
use shards::detail::Source;
use utoipa::ToSchema;

use crate::{
    amount::read_amount,
    bodies::sent_body,
    context_input::ContextBody,
    dto_reservation::reservation_id,
    error::{ApiError, FieldError},
    estimate::MODEL_BYTES_MAX,
    event_input::{CallSiteBody, Said},
    json_decimal::Decimal,
    policy_input::read_path,
    pricing::{AskedPrice, Books},
    raw_usage::consumed,
    schemas,
    spend::{Spend, measures},
    usage_input::UsageBody,
};

const TTL_SECONDS_DEFAULT: i64 = 300;
const TTL_SECONDS_MAX: i64 = 86_400;

/// An estimate to be held before a call is made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReservationBody {
    /// Where it will be spent; the key's own path or the environment itself, if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::PathText>)]
    path: Option<String>,
    /// Who will sell it. A strict policy that counts one service needs to know.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Slug>)]
    service: Option<String>,
    /// Which model.
    #[serde(default)]
    #[schema(max_length = 256)]
    model: Option<String>,
    /// What it may consume; one call if absent.
    #[serde(default)]
    estimate: EstimateOf,
    /// How long it is held if nobody says more; 300 if absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    ttl_seconds: Option<i64>,
    /// Not built yet.
    #[serde(default)]
    end_user_id: Option<String>,
    /// Not built yet.
    #[serde(default)]
    feature_key: Option<String>,
    /// Not built yet.
    #[serde(default)]
    units: Option<Decimal>,
    /// Not built yet.
    #[serde(default)]
    commit_policy: Option<String>,
}

/// What a call may consume: its cost, its usage, or both.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EstimateOf {
    /// In dollars; goes before the price of `usage`.
    #[serde(default)]
    cost: Option<Decimal>,
    /// In our words.
    #[serde(default)]
    #[schema(value_type = Option<UsageBody>)]
    usage: Option<Box<RawValue>>,
    /// The provider's own usage block.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    raw_usage: Option<Box<RawValue>>,
    /// What `raw_usage` is.
    #[serde(default)]
    #[schema(value_type = Option<schemas::RawFormat>)]
    raw_format: Option<String>,
    /// What else changes its rates.
    #[serde(default)]
    context: Option<ContextBody>,
}

/// What a reserved call really consumed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[derive(Default)]
pub(crate) struct CommitBody {
    /// In our words; or `raw_usage`, or `cost`.
    #[serde(default)]
    #[schema(value_type = Option<UsageBody>)]
    usage: Option<Box<RawValue>>,
    /// The provider's own usage block, or its whole response, untouched.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    raw_usage: Option<Box<RawValue>>,
    /// What `raw_usage` is.
    #[serde(default)]
    #[schema(value_type = Option<schemas::RawFormat>)]
    raw_format: Option<String>,
    /// In dollars, by your own word: goes before the price of `usage`.
    #[serde(default)]
    cost: Option<Decimal>,
    /// Not built yet.
    #[serde(default)]
    units: Option<Decimal>,
    /// The usage is known in part only, as of a stream that was cut: at least the estimate is
    /// booked. Then nothing else needs to be said.
    #[serde(default)]
    pub(crate) incomplete: bool,
    /// When it happened; when it was received, if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Moment>)]
    timestamp: Option<String>,
    /// Where it belongs; the reservation's path if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::PathText>)]
    path: Option<String>,
    /// Who sold it; the reservation's if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Slug>)]
    service: Option<String>,
    /// The model; the reservation's if absent.
    #[serde(default)]
    #[schema(max_length = 256)]
    model: Option<String>,
    /// What else changes its rates.
    #[serde(default)]
    context: Option<ContextBody>,
    /// For whom it was made, by your own id of them.
    #[serde(default)]
    #[schema(max_length = 128)]
    end_user_id: Option<String>,
    /// From the request to the last byte.
    #[serde(default)]
    latency_ms: Option<u32>,
    /// From the request to the first token.
    #[serde(default)]
    time_to_first_token_ms: Option<u32>,
    /// Where in the application's source it was made.
    #[serde(default)]
    call_site: Option<CallSiteBody>,
    /// What the provider calls the request.
    #[serde(default)]
    #[schema(max_length = 256)]
    provider_request_id: Option<String>,
    /// Up to 32 tags of up to 64 characters, with values of up to 256.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Prompt and answer, JSON of any shape, up to 256 KiB as it is sent. Kept, sealed, only where
    /// the organization's `capture_bodies` is on. What is longer is not kept: the event is booked
    /// and marked `body_too_large`.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    body: Option<Box<RawValue>>,
}

/// How long a reservation goes on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtendBody {
    /// From now on; 300 if absent. Never shortens.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    ttl_seconds: Option<i64>,
}

const CREDITS: &str = "credits of end users are not built yet: leave this field out";

impl ReservationBody {
    /// What is to be held. `prefix` is the path of a key that is bound to one.
    pub(crate) fn check(
        self,
        books: &Books,
        now: Timestamp,
        prefix: Option<&Path>,
        reservation: u128,
    ) -> Result<Reserve, ApiError> {
        let mut errors = vec![];
        for (place, is_said) in [
            ("/end_user_id", self.end_user_id.is_some()),
            ("/feature_key", self.feature_key.is_some()),
            ("/units", self.units.is_some()),
            ("/commit_policy", self.commit_policy.is_some()),
        ] {
            if is_said {
                errors.push(FieldError::at(place, CREDITS));
            }
        }
        let path = match (&self.path, prefix) {
            (Some(text), _) => read_path(text, "/path"),
            (None, prefix) => Ok(prefix.cloned().unwrap_or(Path::root())),
        };
        let path = path.map_err(|wrong| errors.push(wrong)).ok();
        let service = self.service.as_deref().map(Service::parse).transpose();
        let service = service
            .map_err(|error| errors.push(FieldError::at("/service", error.to_string())))
            .ok()
            .flatten();
        let ttl = ttl(self.ttl_seconds).map_err(|wrong| errors.push(wrong)).ok();
        let model = self.model.unwrap_or_default();
        if model.len() > MODEL_BYTES_MAX {
            let detail = format!("a model's name has up to {MODEL_BYTES_MAX} bytes");
            errors.push(FieldError::at("/model", detail));
        }
        let estimated = self.estimate.read(books, service.as_ref(), &model, now);
        let estimated = estimated.map_err(|wrong| {
            errors.extend(wrong.into_iter().map(|wrong| wrong.within("/estimate")));
        });
        match (path, ttl, estimated) {
            (Some(path), Some(ttl), Ok((estimate, model))) if errors.is_empty() => Ok(Reserve {
                reservation,
                path: path.to_string(),
                service: service.map(|service| service.to_string()).unwrap_or_default(),
                model,
                estimate,
                ttl,
            }),
            _ => Err(errors.into()),
        }
    }
}

impl EstimateOf {
    /// What is estimated, and the canonical model. What nobody says is no figure of zero: tokens
    /// below 0, and a cost that is not the whole.
    fn read(
        self,
        books: &Books,
        service: Option<&Service>,
        model: &str,
        at: Timestamp,
    ) -> Result<(Measures, String), Vec<FieldError>> {
        let stated = self.cost.as_ref().map(|cost| {
            read_amount(cost.text(), engine::policy::Unit::Usd)
                .map_err(|wrong| vec![FieldError::at("/cost", wrong)])
        });
        let stated = stated.transpose()?;
        let context = self.context.as_ref().map_or(Ok(RateContext::default()), ContextBody::check);
        let context = context?;
        let canonical = |model: &str| match service {
            Some(service) => books.canonical(service.as_str(), model, at),
            None => model.to_owned(),
        };
        let unsaid = Measures { unpriced: true, requests: 1, tokens: -1, ..Measures::default() };
        let is_said = self.usage.is_some() || self.raw_usage.is_some() || self.raw_format.is_some();
        let (mut estimate, mut model) = (unsaid, canonical(model).to_owned());
        if is_said {
            let (usage, raw) = (self.usage.as_deref(), self.raw_usage.as_deref());
            let said = consumed(usage, raw, self.raw_format.as_deref())?;
            estimate = measures(&said.usage, 0, true);
            if said.usage.input_tokens.is_none() && said.usage.output_tokens.is_none() {
                estimate.tokens = -1;
            }
            if let Some(service) = service {
                let asked = AskedPrice {
                    service: service.clone(),
                    model: model.clone(),
                    answered_model: said.model,
                    usage: said.usage,
                    usage_place: if raw.is_some() { "/raw_usage" } else { "/usage" },
                    context: context.corrected_by(said.context),
                    beyond: said.beyond,
                    at,
                };
                let priced = asked.priced(books).map_err(|wrong| vec![wrong])?;
                let (cost, is_whole) = priced.dollars();
                (estimate.cost, estimate.unpriced) = (cost, !is_whole);
                model = priced.model_name().to_owned();
            }
        }
        if let Some(cost) = stated {
            (estimate.cost, estimate.unpriced) = (cost, false);
        }
        Ok((estimate, model))
    }
}

impl CommitBody {
    /// The spend, with what the reservation says where the commit does not.
    pub(crate) fn check(
        self,
        seen: &ReservationView,
        now: Timestamp,
    ) -> Result<Spend, Vec<FieldError>> {
        let mut errors = vec![];
        if self.units.is_some() {
            errors.push(FieldError::at("/units", CREDITS));
        }
        let is_said = self.usage.is_some() || self.raw_usage.is_some() || self.cost.is_some();
        let usage = match is_said || !self.incomplete {
            true => self.usage,
            // Nothing is known of it: at least the estimate is booked.
            false => serde_json::value::to_raw_value(&BTreeMap::<String, u64>::new()).ok(),
        };
        let own_service = (!seen.service.is_empty()).then(|| seen.service.clone());
        let said = Said {
            timestamp: self.timestamp,
            path: self.path,
            service: self.service.or(own_service),
            model: self.model,
            usage,
            raw_usage: self.raw_usage,
            raw_format: self.raw_format,
            context: self.context,
            cost: self.cost,
            end_user_id: self.end_user_id,
            latency_ms: self.latency_ms,
            time_to_first_token_ms: self.time_to_first_token_ms,
            call_site: self.call_site,
            provider_request_id: self.provider_request_id,
            tags: self.tags,
        };
        match said.check(now, &seen.model, &mut errors) {
            Some(mut spend) if errors.is_empty() => {
                spend.about.source = Source::Commit;
                spend.about.id = reservation_id(seen.id);
                spend.about.sent_body = sent_body(self.body);
                Ok(spend)
            }
            _ => Err(errors),
        }
    }
}

impl ExtendBody {
    /// In microseconds.
    pub(crate) fn check(&self) -> Result<engine::Micros, FieldError> {
        ttl(self.ttl_seconds)
    }
}

fn ttl(seconds: Option<i64>) -> Result<engine::Micros, FieldError> {
    let seconds = seconds.unwrap_or(TTL_SECONDS_DEFAULT);
    match (1..=TTL_SECONDS_MAX).contains(&seconds) {
        true => Ok(seconds * 1_000_000),
        false => {
            let detail = format!("`ttl_seconds` is 1 to {TTL_SECONDS_MAX}");
            Err(FieldError::at("/ttl_seconds", detail))
        }
    }
}
