//! What surrounds every request: its id, its metrics, its span, its time limit, and the one place
//! where an [`ApiError`] becomes a problem document.

use std::{any::Any, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::ids;
use tokio::time::Instant;
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Level, Span};

use crate::{
    Shared,
    error::{ApiError, Code},
    state::AppState,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request, in its answer's `x-request-id`, in problem documents and in the log.
#[derive(Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    fn new(state: &AppState) -> RequestId {
        // Without randomness no request gets far, and each refusal should still be written.
        let bits = state.new_bits().unwrap_or_default();
        RequestId(ids::RequestId::from_uuid(bits).to_string().into())
    }

    /// The id as text.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// Gives the request an id, counts and times it, and writes the problem document of a refusal.
pub(crate) async fn enclose(
    State(state): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::new(&state);
    request.extensions_mut().insert(id.clone());
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started_at = Instant::now();

    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        // What the router itself added, such as `Allow`, stays.
        let mut problem = error.problem(&id.0);
        for (name, value) in response.headers() {
            if !problem.headers().contains_key(name) && *name != axum::http::header::CONTENT_LENGTH
            {
                problem.headers_mut().append(name, value.clone());
            }
        }
        response = problem;
    }
    let header = HeaderValue::from_str(&id.0).expect("an id is ASCII");
    response.headers_mut().insert(REQUEST_ID, header);

    // Templates, not paths: the number of label values must not grow with the data.
    let route = route.map_or("unmatched".to_owned(), |route| route.as_str().to_owned());
    let status = format!("{}xx", response.status().as_u16().div_euclid(100));
    let labels = [("route", route), ("method", method.to_owned()), ("status", status)];
    metrics::counter!("outlay_http_requests_total", &labels).increment(1);
    metrics::histogram!("outlay_http_request_duration_seconds", &labels)
        .record(started_at.elapsed());
    response
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
    let id = request.extensions().get::<RequestId>().map(RequestId::text);
    // Neither path nor query: both may hold what a person typed.
    tracing::info_span!("request", request.id = id, method = %request.method(), route)
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
        Err(_) if changes => {
            let detail = "no answer in time; repeat with the same `Idempotency-Key` or id";
            ApiError::new(Code::OutcomeUnknown, detail).into_response()
        }
        Err(_) => {
            let detail = "no answer in time; ask for less or try again later";
            ApiError::new(Code::Overloaded, detail).into_response()
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
