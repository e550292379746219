//! `outlay clock accept`: a person says that this machine's clock is right, and the route by which
//! a running server hears it. The route is no part of the API.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use crate::{client::Client, config::Config, operator::Door, output::say};

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

/// The route.
pub(crate) fn router(door: Arc<Door>) -> Router {
    Router::new().route(PATH, post(accept)).with_state(door)
}

async fn accept(State(door): State<Arc<Door>>, headers: HeaderMap) -> Response {
    if let Err(refused) = door.admit(&headers).await {
        return refused;
    }
    tracing::warn!("a person has accepted this machine's clock");
    door.cluster.accept_clock();
    Json(json!({"accepted": true})).into_response()
}
