//! May this call still be made? Asked before each call, so it writes nothing and is always 200.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::Response,
};
use domain::{Path, Service};
use engine::policy::{Mode, Unit};
use serde::Deserialize;
use shards::{CheckView as Seen, PolicyStanding, Question, Said};
use url::form_urlencoded;

use crate::{
    Shared,
    allowed_path::allowed_path,
    asking::{Least, LeastHeader, OtherAnswer, ask, at_position},
    auth::{Authorized, TrackOrRead},
    check_text::check_text,
    dto_check::CheckView,
    dto_policy::mode_name,
    error::{ApiError, Code, FieldError},
    estimate::MODEL_BYTES_MAX,
    extract::Parameters,
    pricing::Books,
    schemas,
};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckQuery {
    /// Where the call will belong. A path that was not seen yet is decided by those above it.
    #[param(inline, value_type = schemas::PathText)]
    path: String,
    /// Who will sell it; any if absent.
    #[param(inline, value_type = schemas::Slug, required = false)]
    service: Option<String>,
    /// Which model; any if absent.
    #[param(max_length = 256)]
    model: Option<String>,
}

/// The same, read.
pub(crate) struct Asked(CheckQuery);

/// What the policies say together; the fields of [`CheckView`].
pub(crate) struct Verdict<'a> {
    pub(crate) mode: &'static str,
    pub(crate) reservation_required: bool,
    pub(crate) unpriced: bool,
    pub(crate) stale_ms: Option<u64>,
    pub(crate) reason: Option<Code>,
    pub(crate) policy: Option<&'a PolicyStanding>,
    pub(crate) policies: &'a [PolicyStanding],
}

/// Says whether a call may be made now, and how full every policy is that it would meet. Writes
/// nothing.
#[utoipa::path(get, path = "/v1/check", tag = "quota", params(CheckQuery, LeastHeader),
    responses((status = 200, body = CheckView)))]
pub(crate) async fn check_call(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<TrackOrRead>,
    Least(least): Least,
    Asked(query): Asked,
) -> Result<Response, ApiError> {
    let path = Path::parse(&query.path)
        .map_err(|error| FieldError::parameter("path", error.to_string()))?;
    let service = query.service.as_deref().filter(|text| !text.is_empty()).map(|text| {
        Service::parse(text).map_err(|error| FieldError::parameter("service", error.to_string()))
    });
    let service = service.transpose()?;
    let model = query.model.unwrap_or_default();
    if model.len() > MODEL_BYTES_MAX {
        let detail = format!("a model's name has up to {MODEL_BYTES_MAX} bytes");
        return Err(FieldError::parameter("model", detail).into());
    }
    allowed_path(&caller, &path)?;
    let (books, now) = (Books::recent(&state, &caller).await?, state.now());
    let canonical = service.as_ref().map(|service| books.canonical(service.as_str(), &model, now));
    let question = Question::Check {
        path: path.to_string(),
        service: service.as_ref().map(Service::to_string).unwrap_or_default(),
        model: canonical.unwrap_or_else(|| model.clone()),
    };
    let reply = ask(&state, &caller, question, least).await?;
    let Said::Check(seen) = reply.said else { return Err(ApiError::internal(OtherAnswer)) };
    let is_unpriced = seen.policies.iter().any(needs_price)
        && service
            .as_ref()
            .is_some_and(|service| !model.is_empty() && books.has_no_price(service, &model, now));
    let text = check_text(&verdict(&seen, is_unpriced, reply.stale_ms));
    Ok(at_position(reply.position, text))
}

impl FromRequestParts<Shared> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Asked, ApiError> {
        match parts.uri.query().and_then(plain) {
            Some(query) => Ok(Asked(query)),
            // Whatever is unusual is refused with its place.
            None => Parameters::from_request_parts(parts, state).await.map(|found| Asked(found.0)),
        }
    }
}

/// A query of the known parameters, each once.
fn plain(query: &str) -> Option<CheckQuery> {
    let (mut path, mut service, mut model) = (None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let place = match name {
            "path" => &mut path,
            "service" => &mut service,
            "model" => &mut model,
            _ => return None,
        };
        if place.replace(decoded(pair, value)).is_some() {
            return None;
        }
    }
    Some(CheckQuery { path: path?, service, model })
}

/// The value of a pair as it was meant; most are meant as they stand.
fn decoded(pair: &str, value: &str) -> String {
    if !value.contains(['%', '+']) {
        return value.to_owned();
    }
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// A policy that a call without a price cannot meet.
fn needs_price(standing: &PolicyStanding) -> bool {
    standing.record.mode == Mode::Strict
        && matches!(standing.record.unit, Unit::Usd | Unit::Credits)
}

/// What the policies say together.
fn verdict(seen: &Seen, is_unpriced: bool, stale_ms: Option<u64>) -> Verdict<'_> {
    let needs_price = |standing: &&PolicyStanding| is_unpriced && needs_price(standing);
    let refuses_in_doubt =
        |standing: &&PolicyStanding| !standing.is_opening && !standing.record.allow_on_unavailable;
    let is_enforced = |standing: &&PolicyStanding| standing.record.mode != Mode::Open;
    let policies = || seen.policies.iter();
    let no = if stale_ms.is_some() {
        policies().filter(is_enforced).find(refuses_in_doubt).map(|no| (Code::Unavailable, no))
    } else {
        policies().find(|standing| standing.is_exhausted).map(|no| (Code::QuotaExceeded, no))
    };
    let no = no.or_else(|| {
        policies().filter(needs_price).find(refuses_in_doubt).map(|no| (Code::Unpriced, no))
    });
    let reason = match () {
        () if seen.is_archived => Some(Code::PathArchived),
        () if seen.other_service.is_some() => Some(Code::ServiceMismatch),
        () => no.map(|(code, _)| code),
    };
    let hardest = policies().map(|standing| standing.record.mode).max_by_key(|mode| rank(*mode));
    let mode = no.map(|(_, standing)| standing.record.mode).or(hardest).unwrap_or(Mode::Open);
    Verdict {
        mode: mode_name(mode),
        reservation_required: policies().any(|standing| standing.record.mode == Mode::Strict),
        unpriced: policies().any(|standing| needs_price(&standing)),
        stale_ms,
        reason,
        policy: no.map(|(_, standing)| standing),
        policies: &seen.policies,
    }
}

fn rank(mode: Mode) -> u8 {
    match mode {
        Mode::Open => 0,
        Mode::Block => 1,
        Mode::Strict => 2,
    }
}
