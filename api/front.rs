//! What every request meets first. The calls that stand around each call of an application are
//! answered by their handlers directly; everything else goes to the router. Both ways give a
//! request its id, count and time it, catch its panic and write the problem of its refusal.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    handler::Handler,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use futures::{FutureExt, future::BoxFuture};
use metrics::{Counter, Histogram};
use tokio::time::Instant;
use tower::Service;

use crate::{
    Shared, check,
    envelope::{self, RequestId, RequestIds},
    reservations,
    state::AppState,
    track,
};

/// The whole API, as a service. Serve it with connection information
/// (`into_make_service_with_connect_info`), so that the audit log knows the peer's address.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    state: Shared,
    router: Router,
    lanes: Vec<Lane>,
    ids: RequestIds,
}

/// A way past the router.
struct Lane {
    method: Method,
    /// The route's template, which names it in the metrics.
    route: &'static str,
    /// What stands before the id and after it, where the route has one; else all of it.
    path: (&'static str, Option<&'static str>),
    limit: DefaultBodyLimit,
    answer: Box<Answer>,
    seen: [OnceLock<Seen>; STATUS_CLASSES],
}

type Answer = dyn Fn(Request, Shared) -> BoxFuture<'static, Response> + Send + Sync;

/// The id in the path of a request that took a lane.
#[derive(Clone)]
pub(crate) struct LaneId(pub(crate) String);

/// What is counted of a route's answers of one class.
struct Seen {
    count: Counter,
    took: Histogram,
}

/// From 1xx to 5xx.
const STATUS_CLASSES: usize = 5;

impl Front {
    /// The API over `state`, with what `others` answers beside it.
    #[must_use]
    pub fn new(state: Arc<AppState>, others: Router) -> Front {
        let router = crate::router(&state).merge(others);
        Front(Arc::new(Inner {
            lanes: lanes(state.limits.body_bytes_max),
            router,
            state,
            ids: RequestIds::default(),
        }))
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let front = Arc::clone(&self.0);
        let id = front.ids.next(front.state.now());
        request.extensions_mut().insert(id);
        Box::pin(async move {
            match front.lanes.iter().find_map(|lane| Some((lane, lane.fits(&request)?))) {
                Some((lane, path_id)) => {
                    if let Some(path_id) = path_id {
                        request.extensions_mut().insert(path_id);
                    }
                    Ok(lane.enclose(&front.state, id, request).await)
                }
                None => front.router.clone().call(request).await,
            }
        })
    }
}

fn lanes(body_bytes_max: usize) -> Vec<Lane> {
    let quick = DefaultBodyLimit::max(body_bytes_max);
    let intake = DefaultBodyLimit::disable();
    let reservations = "/v1/reservations";
    let below = "/v1/reservations/";
    vec![
        Lane::new(Method::GET, "/v1/check", quick, check::check_call),
        Lane::new(Method::POST, "/v1/track", intake, track::track_events),
        Lane::new(Method::POST, reservations, quick, reservations::create_reservation),
        Lane::new(
            Method::POST,
            "/v1/reservations/{id}/commit",
            quick,
            reservations::commit_reservation,
        )
        .around_id(below, "/commit"),
        Lane::new(
            Method::POST,
            "/v1/reservations/{id}/release",
            quick,
            reservations::release_reservation,
        )
        .around_id(below, "/release"),
    ]
}

impl Lane {
    fn new<T, H>(method: Method, route: &'static str, limit: DefaultBodyLimit, handler: H) -> Lane
    where
        H: Handler<T, Shared, Future = BoxFuture<'static, Response>> + Sync,
        T: 'static,
    {
        Lane {
            method,
            route,
            path: (route, None),
            limit,
            answer: Box::new(move |request, state| handler.clone().call(request, state)),
            seen: Default::default(),
        }
    }

    fn around_id(self, before: &'static str, after: &'static str) -> Lane {
        Lane { path: (before, Some(after)), ..self }
    }

    /// Whether a request takes this lane, and the id in its path. An id with anything unusual in it
    /// is left to the router.
    fn fits(&self, request: &Request) -> Option<Option<LaneId>> {
        let path = request.uri().path();
        if *request.method() != self.method {
            return None;
        }
        match self.path {
            (whole, None) => (path == whole).then_some(None),
            (before, Some(after)) => {
                let id = path.strip_prefix(before)?.strip_suffix(after)?;
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                id.bytes().all(is_plain).then(|| Some(LaneId(id.to_owned())))
            }
        }
    }

    /// What the router's layers do, at once. These requests are too many to be logged one by one
    /// unless somebody looks for them.
    async fn enclose(&self, state: &Shared, id: RequestId, mut request: Request) -> Response {
        let started_at = Instant::now();
        self.limit.apply(&mut request);
        let changes = !self.method.is_safe();
        let work = AssertUnwindSafe((self.answer)(request, Arc::clone(state))).catch_unwind();
        let answered = match tokio::time::timeout(state.limits.request_timeout, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => envelope::panicked(panic),
            Err(_) => envelope::too_late(changes).into_response(),
        };
        let response = envelope::closed(id, answered);
        tracing::debug!(request.id = &*id.text(), route = self.route, status = %response.status());
        let seen = self.seen(response.status());
        seen.count.increment(1);
        seen.took.record(started_at.elapsed());
        response
    }

    fn seen(&self, status: StatusCode) -> &Seen {
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUS_CLASSES);
        self.seen[class.saturating_sub(1)].get_or_init(|| {
            let labels = envelope::labels(self.route.to_owned(), &self.method, status);
            Seen { count: envelope::count(&labels), took: envelope::took(&labels) }
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_calls_around_a_call_go_past_the_router_and_nothing_else_does() {
        let lanes = lanes(1);
        let rows = [
            ("GET", "/v1/check?path=a", Some("/v1/check")),
            ("POST", "/v1/track", Some("/v1/track")),
            ("POST", "/v1/reservations", Some("/v1/reservations")),
            ("POST", "/v1/reservations/res_1/commit", Some("/v1/reservations/{id}/commit")),
            ("POST", "/v1/reservations/res_1/release", Some("/v1/reservations/{id}/release")),
            ("HEAD", "/v1/check", None),
            ("GET", "/v1/track", None),
            ("POST", "/v1/track/", None),
            ("GET", "/v1/reservations/res_1", None),
            ("POST", "/v1/reservations/res_1/extend", None),
            ("POST", "/v1/reservations/a/b/commit", None),
            ("POST", "/v1/reservations/res%5F1/commit", None),
            ("POST", "/v1/policies", None),
        ];
        for (method, uri, route) in rows {
            let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
            let lane = lanes.iter().find(|lane| lane.fits(&request).is_some());
            assert_eq!(lane.map(|lane| lane.route), route, "{method} {uri}");
        }
    }

    #[test]
    fn every_lane_is_a_route() {
        let document: serde_json::Value = serde_json::from_str(crate::openapi_json()).unwrap();
        for lane in lanes(1) {
            let method = lane.method.as_str().to_lowercase();
            let operation = &document["paths"][lane.route][&method];
            assert!(operation.is_object(), "{method} {}", lane.route);
        }
    }
}
