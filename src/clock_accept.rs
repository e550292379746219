//! `outlay clock accept`: a person says that this machine's clock is right, and the route by which
//! a running server hears it. The route is no part of the API.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use domain::{Clock, Scope, organization::Environment};
use serde_json::{Value, json};
use shards::Cluster;
use store::Store;

use crate::{client::Client, config::Config, output::say};

const PATH: &str = "/internal/v1/clock/accept";

/// Tells the running server.
pub(crate) async fn run(config: &Config) -> Result<()> {
    let client = Client::of_running(config)?.context(
        "no server was found: run this on the machine of the server that holds the SQLite file, or \
         set OUTLAY_URL to the server and OUTLAY_API_KEY to a live key with the scope `admin`",
    )?;
    let _accepted: Value = client.post(PATH, &json!({})).await?;
    say("The server goes on with its machine's clock as it is.");
    Ok(())
}

/// What the route works with.
pub(crate) struct Door {
    /// Whose clock it is about.
    pub(crate) cluster: Arc<Cluster>,
    /// Where keys are.
    pub(crate) store: Arc<dyn Store>,
    /// Tells whether a key has expired.
    pub(crate) clock: Arc<dyn Clock>,
    /// SHA-256 of the token of commands on this machine.
    pub(crate) local_sha256: [u8; 32],
}

/// The route.
pub(crate) fn router(door: Door) -> Router {
    Router::new().route(PATH, post(accept)).with_state(Arc::new(door))
}

async fn accept(State(door): State<Arc<Door>>, headers: HeaderMap) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    match door.admits(token.unwrap_or_default()).await {
        Ok(true) => {
            tracing::warn!("a person has accepted this machine's clock");
            door.cluster.accept_clock();
            Json(json!({"accepted": true})).into_response()
        }
        Ok(false) => {
            let detail = "this needs a live API key with the scope `admin`";
            refused(StatusCode::FORBIDDEN, "forbidden", detail)
        }
        Err(error) => {
            tracing::warn!(error = %error, "a key could not be looked up");
            refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the store cannot be reached")
        }
    }
}

fn refused(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = json!({"code": code, "title": title, "detail": detail});
    (status, Json(problem)).into_response()
}

impl Door {
    /// Whether whoever has this token may say so.
    async fn admits(&self, token: &str) -> store::Result<bool> {
        let sha256 = identity::hash_key(token);
        if sha256 == self.local_sha256 {
            return Ok(true);
        }
        let Some(environment) = identity::environment_of_key(token) else { return Ok(false) };
        let key = self.store.api_key_by_hash(&sha256).await?;
        Ok(key.is_some_and(|key| {
            key.is_valid_at(self.clock.now())
                && key.environment == environment
                && key.environment == Environment::Live
                && key.path_prefix.is_none()
                && key.scopes.contains(&Scope::Admin)
        }))
    }
}
