//! What surrounds every request: its id, its metrics, its span, its time limit, and the one place
//! where an [`ApiError`] becomes a problem document.

use std::{
    any::Any,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Extensions, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::ids::{self, IdText};
use jiff::Timestamp;
use metrics::{Counter, Histogram};
use tokio::time::Instant;
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Level, Span};
use uuid::Uuid;

use crate::{
    Shared,
    error::{ApiError, Code},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request, in its answer's `x-request-id`, in problem documents and in the log.
#[derive(Clone, Copy)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    /// The id of the request that a handler answers.
    pub(crate) fn of(extensions: &Extensions) -> RequestId {
        extensions.get().copied().unwrap_or(RequestId(Uuid::nil()))
    }

    /// The id as text.
    pub(crate) fn text(self) -> IdText {
        ids::RequestId::from_uuid(self.0).text()
    }
}

/// Ids of requests. They have to differ from each other, here and on every other node; nobody has
/// to be unable to guess them, so each costs a count and not a question to the system.
pub(crate) struct RequestIds {
    start: u64,
    count: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> RequestIds {
        // Without randomness no request gets far, and each refusal should still be written.
        let bits = identity::new_uuid(Timestamp::UNIX_EPOCH).unwrap_or_default();
        RequestIds { start: bits.as_u64_pair().1, count: AtomicU64::new(0) }
    }
}

impl RequestIds {
    /// A new one.
    pub(crate) fn next(&self, at: Timestamp) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let mut random = [0; 10];
        random[..2].copy_from_slice(&self.start.to_be_bytes()[..2]);
        // An odd factor: within a process no two counts meet.
        let mixed = self.start.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random[2..].copy_from_slice(&mixed.to_be_bytes());
        RequestId(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
    }
}

/// Counts and times a request, and writes the problem document of a refusal.
pub(crate) async fn enclose(request: Request, next: Next) -> Response {
    let id = RequestId::of(request.extensions());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started_at = Instant::now();

    let response = closed(id, next.run(request).await);
    // Templates, not paths: the number of label values must not grow with the data.
    let route = route.map_or("unmatched".to_owned(), |route| route.as_str().to_owned());
    let labels = labels(route, &method, response.status());
    count(&labels).increment(1);
    took(&labels).record(started_at.elapsed());
    response
}

/// The answer as it leaves: a refusal as its problem document, and the request's id.
pub(crate) fn closed(id: RequestId, mut response: Response) -> Response {
    let text = id.text();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        // What the router itself added, such as `Allow`, stays.
        let mut problem = error.problem(&text);
        for (name, value) in response.headers() {
            if !problem.headers().contains_key(name) && *name != axum::http::header::CONTENT_LENGTH
            {
                problem.headers_mut().append(name, value.clone());
            }
        }
        response = problem;
    }
    let header = HeaderValue::from_str(&text).expect("an id is ASCII");
    response.headers_mut().insert(REQUEST_ID, header);
    response
}

/// What a request is counted under.
pub(crate) type Labels = [(&'static str, String); 3];

/// What a request is counted under.
pub(crate) fn labels(route: String, method: &Method, status: StatusCode) -> Labels {
    let status = format!("{}xx", status.as_u16().div_euclid(100));
    [("route", route), ("method", method_label(method).to_owned()), ("status", status)]
}

/// How many requests there were.
pub(crate) fn count(labels: &Labels) -> Counter {
    metrics::counter!("outlay_http_requests_total", labels)
}

/// How long requests took, in seconds.
pub(crate) fn took(labels: &Labels) -> Histogram {
    metrics::histogram!("outlay_http_request_duration_seconds", labels)
}

fn method_label(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let place = KNOWN.iter().position(|known| known == method);
    place.map_or("OTHER", |index| NAMES[index])
}

/// Traces each request by its span and logs its end. Failures are logged with their cause by the
/// problem document, not twice.
type Trace = TraceLayer<
    SharedClassifier<ServerErrorsAsFailures>,
    fn(&Request) -> Span,
    (),
    DefaultOnResponse,
    (),
    (),
    (),
>;

/// A span for each request.
pub(crate) fn trace() -> Trace {
    TraceLayer::new_for_http()
        .make_span_with(span as fn(&Request) -> Span)
        .on_request(())
        .on_response(DefaultOnResponse::new().level(Level::INFO))
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let id = RequestId::of(request.extensions()).text();
    // Neither path nor query: both may hold what a person typed.
    tracing::info_span!("request", request.id = &*id, method = %request.method(), route)
}

/// Ends a request that takes too long. What it began to change goes on and is finished.
pub(crate) async fn within_time(
    State(state): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !request.method().is_safe();
    match tokio::time::timeout(state.limits.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => too_late(changes).into_response(),
    }
}

/// Nobody waits any longer for a request, which `changes` something or not.
pub(crate) fn too_late(changes: bool) -> ApiError {
    match changes {
        true => {
            let detail = "no answer in time; repeat with the same `Idempotency-Key` or id";
            ApiError::new(Code::OutcomeUnknown, detail)
        }
        false => {
            let detail = "no answer in time; ask for less or try again later";
            ApiError::new(Code::Overloaded, detail)
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a panic: {0}")]
struct Panicked(String);

/// The answer to a request whose handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the panic layer calls")]
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    failed_by_panic(&*payload).into_response()
}

/// A panic as a failure of ours.
pub(crate) fn failed_by_panic(payload: &(dyn Any + Send)) -> ApiError {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    ApiError::internal(Panicked(text.to_owned()))
}

/// No route has this path.
pub(crate) async fn not_found() -> ApiError {
    ApiError::not_found()
}

/// A route has this path, but not with this method.
pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::new(Code::MethodNotAllowed, "the `Allow` header lists the methods of this address")
}
