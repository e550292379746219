//! How routes ask the shards: who asks, which place the answer must reflect, and what a shard's
//! refusals and failures are over HTTP.

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::fixed::DecimalText;
use engine::{Command, Refusal, Request, command::Once};
use shards::{
    Answer, Answered, Done, Group, Lane, Position, Question, Reply, ShardError, answer::ended_code,
};
use store::journal::Shard;

use crate::{
    Shared,
    auth::Caller,
    dto_decision::DecisionView,
    error::{ApiError, Code, FieldError},
    state::AppState,
};

/// Opaque to clients: sent back, it is the least place that an answer may reflect.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("outlay-position");

/// The least place that an answer must reflect, where the request names one.
pub(crate) struct Least(pub(crate) Option<Position>);

/// The header, for the OpenAPI document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header; `Least` reads it")]
pub(crate) struct LeastHeader {
    /// The `Outlay-Position` of an earlier answer: this one reflects at least that.
    #[param(rename = "Outlay-Position", required = false)]
    position: String,
}

impl FromRequestParts<Shared> for Least {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Least, ApiError> {
        let Some(value) = parts.headers.get(POSITION) else { return Ok(Least(None)) };
        let position = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        position.map(|position| Least(Some(position))).ok_or_else(|| {
            let detail = "`Outlay-Position` is that of an earlier answer";
            FieldError::parameter("Outlay-Position", detail).into()
        })
    }
}

/// The shard of a caller's data.
pub(crate) fn shard_of(caller: &Caller) -> Shard {
    Shard { organization: caller.organization, environment: caller.environment }
}

/// The bits of the caller's key, where it is one.
pub(crate) fn key_of(caller: &Caller) -> Option<u128> {
    caller.key.map(|key| key.uuid().as_u128())
}

/// A request of a caller.
pub(crate) fn request(caller: &Caller, once: Option<Once>, command: Command) -> Request {
    Request { once, actor: caller.actor().to_vec(), command }
}

/// Has requests decided.
pub(crate) async fn submit(
    state: &AppState,
    caller: &Caller,
    requests: Vec<Request>,
    id_days: Vec<Option<u32>>,
    lane: Lane,
) -> Result<Done, ApiError> {
    let patience = state.limits.request_timeout;
    let group = Group { requests, id_days, lane, patience, with_blocked: true };
    Ok(state.caps.submit(shard_of(caller), group).await?)
}

/// Has one command decided.
pub(crate) async fn submit_one(
    state: &AppState,
    caller: &Caller,
    once: Option<Once>,
    command: Command,
) -> Result<(Answer, Position), ApiError> {
    let group = Group {
        requests: vec![request(caller, once, command)],
        id_days: vec![],
        lane: Lane::Interactive,
        patience: state.limits.request_timeout,
        with_blocked: false,
    };
    let done = state.caps.submit(shard_of(caller), group).await?;
    let answer = done.answers.into_iter().next();
    let answer = answer.ok_or_else(|| ApiError::internal(NoAnswer))?;
    match answer.result {
        Answered::Fault => Err(ApiError::internal(Undecided)),
        _ => Ok((answer, done.position)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a shard gave no answer to a request")]
struct NoAnswer;

/// Something other was said than what was asked.
#[derive(Debug, thiserror::Error)]
#[error("a shard answered another question")]
pub(crate) struct OtherAnswer;

/// A shard could not decide a request, by a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("a shard could not decide a request")]
pub(crate) struct Undecided;

/// Asks without changing anything.
pub(crate) async fn ask(
    state: &AppState,
    caller: &Caller,
    question: Question,
    least: Option<Position>,
) -> Result<Reply, ApiError> {
    Ok(state.caps.ask(shard_of(caller), question, least).await?)
}

/// The same answer with the place that it reflects.
pub(crate) fn at_position(position: Position, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(POSITION, position_value(position));
    response
}

/// A place as a header's value.
pub(crate) fn position_value(position: Position) -> HeaderValue {
    let digits = |number: u64| DecimalText::with_decimals::<0>(number.into());
    let mut text = Vec::with_capacity(24);
    text.extend_from_slice(digits(position.incarnation.into()).bytes());
    text.push(b'.');
    text.extend_from_slice(digits(position.seq).bytes());
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("digits and a point are ASCII")
}

/// The problem that a refusal is. A conflict is that of an event.
pub(crate) fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Policy(policy) => {
            let detail = "a policy has no room for it; `decision` says which and until when";
            ApiError::new(Code::QuotaExceeded, detail).decided((&**policy).into())
        }
        Refusal::Unpriced(policy) => {
            let detail = "a strict policy needs a price, and there is none for all of it";
            ApiError::new(Code::Unpriced, detail).decided(DecisionView::of_policy(*policy))
        }
        Refusal::Unresolved(policy) => {
            let detail = "a strict policy needs the service, the model or the tokens, and the \
                          request does not say them";
            ApiError::new(Code::Unresolved, detail).decided(DecisionView::of_policy(*policy))
        }
        Refusal::UnknownPath => {
            let detail = "there is no such path, and paths are not made by themselves here; \
                          make it with `PUT /v1/paths/{path}`";
            ApiError::new(Code::UnknownPath, detail)
        }
        Refusal::PathArchived => {
            ApiError::new(Code::PathArchived, "the path, or one above it, is archived")
        }
        Refusal::ServiceMismatch(own) => {
            ApiError::new(Code::ServiceMismatch, format!("the path takes the service `{own}` only"))
        }
        Refusal::PathLimit => ApiError::new(Code::PathLimit, "there are too many paths"),
        Refusal::TooManyPolicies => {
            let detail = format!("a path has at most {} policies", domain::policy::POLICIES_MAX);
            ApiError::new(Code::TooManyPolicies, detail)
        }
        Refusal::NotFound => ApiError::not_found(),
        Refusal::Ended(how) => {
            let name = ended_code(*how);
            let code = Code::ALL.iter().find(|code| code.as_str() == name);
            ApiError::new(
                code.copied().unwrap_or(Code::Conflict),
                "the reservation has ended already",
            )
        }
        Refusal::Conflict => {
            ApiError::new(Code::EventConflict, "this id came before with other fields")
        }
        Refusal::Closed => {
            let detail = "the organization was deleted; nothing is recorded for it any more";
            ApiError::new(Code::OrganizationClosed, detail)
        }
        Refusal::OutOfRange => {
            let detail = "an amount or count is too large: up to 10^18 dollars and 2^53 of others";
            ApiError::new(Code::ValidationFailed, detail)
        }
    }
}

impl From<ShardError> for ApiError {
    fn from(error: ShardError) -> ApiError {
        match &error {
            ShardError::Overloaded { retry_after } => {
                let retry_after = *retry_after;
                let detail = "too many requests are waiting; nothing was done";
                ApiError::new(Code::Overloaded, detail).caused_by(error).retry_after(retry_after)
            }
            ShardError::OutcomeUnknown => {
                let detail = "repeat the request with the same `Idempotency-Key` or ids";
                ApiError::new(Code::OutcomeUnknown, detail).caused_by(error)
            }
            ShardError::Unavailable(_) => {
                let detail = "nobody can tell at present, and nothing was done; try again";
                ApiError::new(Code::Unavailable, detail).caused_by(error)
            }
            ShardError::Stopped { .. } | ShardError::Internal(_) => ApiError::internal(error),
        }
    }
}
