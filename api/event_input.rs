//! Reported events and commits as people send them, each checked by itself: everything that is
//! wrong with one is said at once, and touches no other.

use std::collections::BTreeMap;

use domain::{Path, RateContext, ReservationId, Service};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use shards::{
    detail::{CallSite, Source},
    ids::{HORIZON_DAYS, OwnDay, own_day},
};
use utoipa::ToSchema;

use crate::{
    amount::read_amount,
    bodies::sent_body,
    context_input::ContextBody,
    error::{Code, FieldError},
    estimate::MODEL_BYTES_MAX,
    json_decimal::Decimal,
    paths::check_tags,
    policy_input::read_path,
    pricing::{AskedPrice, Books},
    raw_usage::{RawUsage, consumed},
    schemas,
    spend::{About, Spend},
    usage_input::UsageBody,
};

/// Most characters of an event's id, and of an end user's.
const ID_CHARACTERS_MAX: usize = 128;
/// Most characters of the other texts of an event.
const TEXT_CHARACTERS_MAX: usize = 256;
/// How far ahead of our clock an event may be.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Something that an application reports to have consumed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventBody {
    /// Unique in the environment, whatever the path, key or day: the same id counts once.
    #[schema(pattern = "^[!-~]{1,128}$")]
    pub(crate) id: String,
    /// When it happened; when it was received, if absent. Up to 35 days ago.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Moment>)]
    timestamp: Option<String>,
    /// Where it belongs. A key that is bound to a path can do without.
    #[serde(default)]
    #[schema(value_type = Option<schemas::PathText>)]
    path: Option<String>,
    /// Who sold it.
    #[schema(value_type = schemas::Slug)]
    service: String,
    /// The model as requests or responses name it.
    #[serde(default)]
    #[schema(max_length = 256)]
    model: Option<String>,
    /// What it consumed, in our words; or `raw_usage`.
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
    /// What else changes its rates.
    #[serde(default)]
    context: Option<ContextBody>,
    /// What it cost in dollars: only of services that the price catalogue does not have.
    #[serde(default)]
    cost: Option<Decimal>,
    /// The reservation that it was spent under: the event is its commit.
    #[serde(default)]
    #[schema(value_type = Option<schemas::ReservationKey>)]
    reservation_id: Option<String>,
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

/// A place in an application's source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallSiteBody {
    /// The file.
    #[serde(default)]
    #[schema(max_length = 256)]
    file: String,
    /// The function.
    #[serde(default)]
    #[schema(max_length = 256)]
    function: String,
    /// The line.
    #[serde(default)]
    line: Option<u32>,
}

/// The fields that events and commits share.
pub(crate) struct Said {
    pub(crate) timestamp: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Box<RawValue>>,
    pub(crate) raw_usage: Option<Box<RawValue>>,
    pub(crate) raw_format: Option<String>,
    pub(crate) context: Option<ContextBody>,
    pub(crate) cost: Option<Decimal>,
    pub(crate) end_user_id: Option<String>,
    pub(crate) latency_ms: Option<u32>,
    pub(crate) time_to_first_token_ms: Option<u32>,
    pub(crate) call_site: Option<CallSiteBody>,
    pub(crate) provider_request_id: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl EventBody {
    /// The event, everything right. `prefix` is the path of a key that is bound to one.
    pub(crate) fn check(
        mut self,
        books: &Books,
        now: Timestamp,
        prefix: Option<&Path>,
    ) -> Result<Spend, Vec<FieldError>> {
        let mut errors = vec![];
        let is_visible = self.id.bytes().all(|byte| byte.is_ascii_graphic());
        if self.id.is_empty() || self.id.len() > ID_CHARACTERS_MAX || !is_visible {
            let detail = format!("an id has 1 to {ID_CHARACTERS_MAX} visible ASCII characters");
            errors.push(FieldError::at("/id", detail));
        } else if own_day(self.id.as_bytes(), now.as_microsecond()) == OwnDay::OutOfRange {
            let detail = format!(
                "the id is a UUIDv7 that was made more than {HORIZON_DAYS} days ago, or ahead"
            );
            errors.push(FieldError::at("/id", detail).of(Code::TimestampOutOfRange));
        }
        let reservation = self.reservation_id.as_deref().map(|text| {
            let detail = "a reservation's id is `res_` and 26 characters";
            ReservationId::parse(text).map_err(|_| FieldError::at("/reservation_id", detail))
        });
        let reservation = noted(&mut errors, reservation.transpose()).flatten();
        let (id, is_placed) = (self.id.clone(), self.path.is_some() || prefix.is_some());
        if !is_placed {
            let detail = "say where it belongs: a path, or `\"\"` for the environment itself";
            errors.push(FieldError::at("/path", detail));
        }
        let custom_only =
            Service::parse(&self.service).is_ok_and(|service| !books.is_custom(service.as_str()));
        if self.cost.is_some() && custom_only {
            let detail = "the price catalogue has this service: its calls are priced by their \
                          usage, and `cost` is for services that it does not have";
            errors.push(FieldError::at("/cost", detail));
        }
        let body = self.body.take();
        let mut said = self.said();
        if said.path.is_none() {
            said.path = prefix.map(ToString::to_string);
        }
        match said.check(now, "", &mut errors) {
            Some(mut spend) if errors.is_empty() => {
                spend.reservation = reservation.map(|id| id.uuid().as_u128());
                spend.about.source = Source::Track;
                spend.about.id = id;
                spend.about.sent_body = sent_body(body);
                Ok(spend)
            }
            _ => Err(errors),
        }
    }

    fn said(self) -> Said {
        Said {
            timestamp: self.timestamp,
            path: self.path,
            service: Some(self.service),
            model: self.model,
            usage: self.usage,
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
        }
    }
}

impl Said {
    /// The spend, unless something is wrong, which `errors` then say. Where nobody says who sold
    /// it, nothing is priced; `default_model` is for a model that is not said.
    pub(crate) fn check(
        self,
        now: Timestamp,
        default_model: &str,
        errors: &mut Vec<FieldError>,
    ) -> Option<Spend> {
        let path = self.path.as_deref().map(|text| read_path(text, "/path")).transpose();
        let path = noted(errors, path).flatten();
        let service = self.service.as_deref().map(|text| {
            Service::parse(text).map_err(|error| FieldError::at("/service", error.to_string()))
        });
        let service = noted(errors, service.transpose()).flatten();
        let at = self.timestamp.as_deref().map_or(Ok(now), |text| instant(text, now));
        let at = noted(errors, at);
        let context = self.context.as_ref().map_or(Ok(RateContext::default()), ContextBody::check);
        let context = context.map_err(|wrong| errors.extend(wrong)).ok();
        let stated = self.cost.as_ref().map(|cost| {
            read_amount(cost.text(), engine::policy::Unit::Usd)
                .map_err(|wrong| FieldError::at("/cost", wrong))
        });
        let stated = noted(errors, stated.transpose()).flatten();
        let consumed = self.consumed().map_err(|wrong| errors.extend(wrong)).ok().flatten();
        let model = self.model.clone().filter(|model| !model.is_empty());
        if model.as_ref().is_some_and(|model| model.len() > MODEL_BYTES_MAX) {
            let detail = format!("a model's name has up to {MODEL_BYTES_MAX} bytes");
            errors.push(FieldError::at("/model", detail));
        }
        let about = self.about(errors);
        let usage_place = if self.raw_usage.is_some() { "/raw_usage" } else { "/usage" };
        let (at, context) = (at?, context?);
        let mut about = about;
        let asked = match (&service, consumed) {
            (Some(service), Some(raw)) => {
                about.marks.extend(raw.said.flags.iter().map(|flag| flag.kind.to_owned()));
                Some(AskedPrice {
                    service: service.clone(),
                    model: model.unwrap_or_else(|| default_model.to_owned()),
                    answered_model: raw.model,
                    usage: raw.usage,
                    usage_place,
                    context: context.corrected_by(raw.context),
                    beyond: raw.beyond,
                    at,
                })
            }
            _ => None,
        };
        Some(Spend {
            at,
            path: path.map(|path| path.to_string()).unwrap_or_default(),
            asked,
            service: service.map(|service| service.to_string()).unwrap_or_default(),
            stated,
            stated_if_unpriced: None,
            is_kept: false,
            reservation: None,
            about,
        })
    }

    /// What was consumed; nothing where only a cost is said.
    fn consumed(&self) -> Result<Option<RawUsage>, Vec<FieldError>> {
        if self.cost.is_some()
            && self.usage.is_none()
            && self.raw_usage.is_none()
            && self.raw_format.is_none()
        {
            // A service is known by its name even so, and its model too.
            let usage = domain::Usage::default();
            return Ok(Some(RawUsage::of_usage(usage)));
        }
        let (usage, raw) = (self.usage.as_deref(), self.raw_usage.as_deref());
        consumed(usage, raw, self.raw_format.as_deref()).map(Some)
    }

    fn about(&self, errors: &mut Vec<FieldError>) -> About {
        let mut short = |place: &str, text: &Option<String>, most: usize| {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > most) {
                let detail = format!("this has 1 to {most} characters");
                errors.push(FieldError::at(place, detail));
            }
        };
        short("/end_user_id", &self.end_user_id, ID_CHARACTERS_MAX);
        short("/provider_request_id", &self.provider_request_id, TEXT_CHARACTERS_MAX);
        let site = self.call_site.as_ref();
        let is_long = |text: &String| text.chars().count() > TEXT_CHARACTERS_MAX;
        if site.is_some_and(|site| is_long(&site.file) || is_long(&site.function)) {
            let detail = format!("file and function have up to {TEXT_CHARACTERS_MAX} characters");
            errors.push(FieldError::at("/call_site", detail));
        }
        errors.extend(check_tags(&self.tags).err());
        About {
            latency_ms: self.latency_ms,
            time_to_first_token_ms: self.time_to_first_token_ms,
            call_site: site.map(|site| CallSite {
                file: site.file.clone(),
                function: site.function.clone(),
                line: site.line,
            }),
            end_user: self.end_user_id.clone(),
            provider_request_id: self.provider_request_id.clone(),
            tags: self.tags.clone(),
            ..About::default()
        }
    }
}

fn noted<T>(errors: &mut Vec<FieldError>, read: Result<T, FieldError>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

/// An event's instant, within what is taken.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, FieldError> {
    let at = prices::instant(text).ok_or_else(|| {
        let detail = "a time is an instant (`2026-01-31T12:00:00Z`) or a date in UTC";
        FieldError::at("/timestamp", detail)
    })?;
    in_range(at, now)
        .map_err(|detail| FieldError::at("/timestamp", detail).of(Code::TimestampOutOfRange))
}

/// Refuses what is too far ahead, and what is older than ids are remembered.
pub(crate) fn in_range(at: Timestamp, now: Timestamp) -> Result<Timestamp, String> {
    let age = now.duration_since(at);
    let oldest = SignedDuration::from_hours(24 * i64::from(HORIZON_DAYS));
    match age {
        age if age > oldest => Err(format!("this is more than {HORIZON_DAYS} days ago")),
        age if age < -AHEAD_MAX => Err("this is more than 5 minutes ahead of our clock".to_owned()),
        _ => Ok(at),
    }
}
