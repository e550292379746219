//! `Idempotency-Key` on a POST: a repeat gets the first answer, byte for byte.
//!
//! The work of the first request is done in a task of its own, so that a client that hangs up
//! neither stops it half-way nor leaves its key pending. New ids are made from bits that are stored
//! with the claim: a repeat after a crash makes the same ids, and the store recognises what is
//! there already.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    body::to_bytes,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use jiff::SignedDuration;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shards::{
    Position,
    ids::{BodyHash, Identity},
};
use store::{
    Store,
    idempotency::{Claimed, RequestClaim, RequestKey, StoredResponse},
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Shared,
    asking::at_position,
    auth::Caller,
    envelope,
    error::{ApiError, Code, FieldError},
    state::AppState,
};

/// How long an answer is given again.
const KEPT: SignedDuration = SignedDuration::from_hours(48);
/// After how long a try whose process was killed no longer counts as going on.
const PENDING: SignedDuration = SignedDuration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
const KEY_BYTES_MAX: usize = 255;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The header, for the OpenAPI document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header; `Once` reads it")]
pub(crate) struct OnceHeader {
    /// Makes a repeat safe.
    #[param(rename = "Idempotency-Key", required = false, pattern = "^[!-~]([ -~]{0,253}[!-~])?$")]
    key: String,
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    position: Option<Position>,
}

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(value).expect("plain data has only string keys");
        Reply { status, body, position: None }
    }

    /// The same with the place in the journal that it reflects.
    pub(crate) fn at(mut self, position: Position) -> Reply {
        self.position = Some(position);
        self
    }

    fn stored(self) -> First {
        let content_type = "application/json".to_owned();
        let (status, body) = (self.status.as_u16(), self.body);
        First { stored: StoredResponse { status, content_type, body }, position: self.position }
    }
}

/// A first answer: what is kept of it, and the place that only it names.
struct First {
    stored: StoredResponse,
    position: Option<Position>,
}

/// How a POST may be repeated: its key, if it has one, and the route that the key belongs to.
pub(crate) struct Once {
    key: Option<String>,
    route: String,
}

impl FromRequestParts<Shared> for Once {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => Some(checked(value)?),
            (Some(_), Some(_)) => return Err(refused_key("is given twice")),
        };
        Ok(Once { key, route: format!("{} {}", parts.method, parts.uri.path()) })
    }
}

fn checked(value: &HeaderValue) -> Result<String, ApiError> {
    let key = value.to_str().unwrap_or_default();
    match (1..=KEY_BYTES_MAX).contains(&key.len()) {
        true => Ok(key.to_owned()),
        false => Err(refused_key("has 1 to 255 visible ASCII characters")),
    }
}

fn refused_key(what: &str) -> ApiError {
    FieldError::parameter("Idempotency-Key", format!("`Idempotency-Key` {what}")).into()
}

impl Once {
    /// Whether the request carries a key.
    pub(crate) fn is_keyed(&self) -> bool {
        self.key.is_some()
    }

    /// For calls that are repeated by the shard, which renders the answer again from its decision:
    /// what makes a repeat a repeat, where the request carries a key.
    pub(crate) fn identity(&self, body: &[u8]) -> Option<engine::command::Once> {
        let id = digest([self.route.as_bytes(), self.key.as_deref()?.as_bytes()]);
        let identity = Identity::of(b"key", &id).0;
        Some(engine::command::Once { identity, body: BodyHash::of(body).0, seen: None })
    }

    /// The client's key, if there is one. It is stored nowhere: what is stored under it is found by
    /// a hash that it goes into.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Does `work` unless it was done under this key before; then the first answer is given again.
    ///
    /// `bits` are for new ids; `work` gets them, or the first try's where it is taken over from a
    /// crash. `body_sha256` stands for everything that the client sent.
    pub(crate) async fn run<W, F>(
        self,
        state: &Shared,
        caller: &Caller,
        bits: Uuid,
        body_sha256: [u8; 32],
        work: W,
    ) -> Result<Response, ApiError>
    where
        W: FnOnce(Uuid) -> F + Send + 'static,
        F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        let Some(text) = &self.key else {
            let task = tokio::spawn(caught(work(bits)).in_current_span());
            return finished(task).await?.map(|reply| first_answer(reply.stored()));
        };
        let key = request_key(caller, &self.route, text);
        let patience_ends_at = tokio::time::Instant::now() + state.limits.repeat_patience;
        let mut ticks = tokio::time::interval(POLL);
        loop {
            ticks.tick().await;
            let claim = claim(state, key, body_sha256, bits);
            match state.store.claim_request(&claim).await.map_err(ApiError::of_write)? {
                Claimed::Go(bits) => {
                    let store = Arc::clone(&state.store);
                    let request_id = caller.request_id.text().to_string();
                    let first = first_try(store, key, request_id, work(bits));
                    return finished(tokio::spawn(first.in_current_span()))
                        .await?
                        .map(first_answer);
                }
                Claimed::Answered(stored) => return Ok(replayed(stored)),
                Claimed::OtherBody => {
                    let detail = "this `Idempotency-Key` was used with another body";
                    return Err(ApiError::new(Code::IdempotencyKeyReused, detail));
                }
                Claimed::Pending if tokio::time::Instant::now() >= patience_ends_at => {
                    let detail = "the first request with this `Idempotency-Key` is still going on";
                    return Err(ApiError::new(Code::Conflict, detail));
                }
                Claimed::Pending => {}
            }
        }
    }
}

fn claim(state: &AppState, key: RequestKey, body_sha256: [u8; 32], seed: Uuid) -> RequestClaim {
    let at = state.now();
    let after = |span| at.checked_add(span).unwrap_or(at);
    let (pending_until, expires_at) = (after(PENDING), after(KEPT));
    RequestClaim { key, body_sha256, seed, at, pending_until, expires_at }
}

/// The key within its organization, environment and route; each part is preceded by its length.
fn request_key(caller: &Caller, route: &str, key: &str) -> RequestKey {
    let organization = caller.organization.to_string();
    let parts = [&organization, caller.environment.as_str(), route, key];
    digest(parts.map(str::as_bytes))
}

/// SHA-256 over parts, each preceded by its length, so that no two lists of parts have the same
/// bytes.
pub(crate) fn digest<const COUNT: usize>(parts: [&[u8]; COUNT]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Does the work and keeps its answer. A fault of ours is not kept: the next try goes ahead with
/// the same bits.
async fn first_try(
    store: Arc<dyn Store>,
    key: RequestKey,
    request_id: String,
    work: impl Future<Output = Result<Reply, ApiError>>,
) -> Result<First, ApiError> {
    let first = match caught(work).await {
        Ok(reply) => reply.stored(),
        Err(error) if error.is_final() => {
            First { stored: problem_to_store(&error, &request_id).await?, position: None }
        }
        Err(error) => {
            if let Err(failure) = store.release_request(&key).await {
                tracing::warn!(error = %failure, "could not release an idempotency key");
            }
            return Err(error);
        }
    };
    // The work is done and the client is told so. Should this fail, a repeat finds the work by its
    // ids.
    if let Err(failure) = store.answer_request(&key, &first.stored).await {
        tracing::warn!(error = %failure, "could not keep the answer of an idempotency key");
    }
    Ok(first)
}

async fn problem_to_store(error: &ApiError, request_id: &str) -> Result<StoredResponse, ApiError> {
    let (parts, body) = error.problem(request_id).into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
    let content_type = crate::error::PROBLEM_JSON.to_owned();
    Ok(StoredResponse { status: parts.status.as_u16(), content_type, body: body.to_vec() })
}

async fn caught(work: impl Future<Output = Result<Reply, ApiError>>) -> Result<Reply, ApiError> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(payload) => Err(envelope::failed_by_panic(&*payload)),
    }
}

async fn finished<T>(task: tokio::task::JoinHandle<T>) -> Result<T, ApiError> {
    task.await.map_err(ApiError::internal)
}

fn first_answer(first: First) -> Response {
    match first.position {
        Some(position) => at_position(position, answer(first.stored)),
        None => answer(first.stored),
    }
}

fn answer(stored: StoredResponse) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let mut response = (status, stored.body).into_response();
    if let Ok(kind) = HeaderValue::from_str(&stored.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn replayed(stored: StoredResponse) -> Response {
    let mut response = answer(stored);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
