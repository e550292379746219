//! Whether the process lives, whether it can work, what it counts, and the document of this API. No
//! key needed.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::{StoreError, StoreErrorKind};
use utoipa::ToSchema;

use crate::{Shared, error::ApiError, state::AppState};

const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// A plain yes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// `ok`
    status: &'static str,
}

/// How the server is doing.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerStatus {
    /// `ok`, or `degraded` where the store cannot be reached.
    status: &'static str,
    /// Outlay's version.
    version: &'static str,
    /// The server's time.
    #[schema(format = DateTime)]
    time: String,
    store: StoreStatus,
}

/// How the store is doing.
#[derive(Serialize, ToSchema)]
struct StoreStatus {
    /// `sqlite` or `mongodb`.
    kind: &'static str,
    /// Whether it answers.
    reachable: bool,
}

/// Whether the process lives. Says nothing of the store, so that a lost store does not restart it.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, body = Alive)))]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether requests can be served: the store reads and writes.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Alive)))]
pub(crate) async fn readyz(State(state): State<Shared>) -> Result<Json<Alive>, ApiError> {
    ping(&state).await?;
    Ok(Json(Alive { status: "ok" }))
}

/// Counts and times, in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(state): State<Shared>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], (state.metrics)()).into_response()
}

/// How the server is doing.
#[utoipa::path(get, path = "/status", tag = "operations", security(()),
    responses((status = 200, body = ServerStatus)))]
pub(crate) async fn status(State(state): State<Shared>) -> Json<ServerStatus> {
    let reachable = ping(&state).await.is_ok();
    Json(ServerStatus {
        status: if reachable { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        time: state.now().to_string(),
        store: StoreStatus { kind: state.store.kind(), reachable },
    })
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, body = Object)))]
pub(crate) async fn openapi_document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi_json()).into_response()
}

async fn ping(state: &AppState) -> Result<(), ApiError> {
    match tokio::time::timeout(PING_TIMEOUT, state.store.ping()).await {
        Ok(answer) => answer.map_err(ApiError::from),
        Err(_) => {
            let message = "no answer to a ping in time";
            Err(StoreError::new(StoreErrorKind::Timeout, true, message).into())
        }
    }
}
