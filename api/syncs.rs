//! Syncs of a connection: asked for, and listed.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::{ConnectionId, ConnectionStatus, SyncId, connection::Sync as SyncRun};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::{Created, PageQuery};
use uuid::Uuid;

use crate::{
    Shared,
    auth::{Authorized, Caller, ReadBilling, WriteBilling},
    connections::{find, queued_sync},
    dto_connection::{SyncStarted, SyncView},
    error::{ApiError, Code},
    extract::{Id, JsonBytes, Parameters, json},
    idempotency::{Once, OnceHeader, Reply},
    json_answer::Json,
    pages::{ListQuery, Page, paged},
    state::AppState,
};

/// Asks for a sync now. While one waits or runs, the answer is that one.
#[utoipa::path(post, path = "/v1/connections/{id}/sync", tag = "billing",
    params(("id" = String, Path, description = "`conn_…`"),
        OnceHeader),
    responses((status = 202, body = SyncStarted)))]
pub(crate) async fn start_sync(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    Id(id): Id<ConnectionId>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let body_sha256 = Sha256::digest(&body).into();
    let work = {
        let (state, caller) = (Arc::clone(&state), caller.clone());
        move |bits| start(state, caller, id, body, bits)
    };
    once.run(&state, &caller, state.new_bits()?, body_sha256, work).await
}

/// A body is not needed; `{}` is fine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn start(
    state: Shared,
    caller: Caller,
    connection: ConnectionId,
    body: Bytes,
    bits: Uuid,
) -> Result<Reply, ApiError> {
    if !body.is_empty() {
        let Nothing {} = json(&body)?;
    }
    let status = find(&state, &caller, connection).await?.status;
    if status == ConnectionStatus::Paused {
        let detail = "the connection is paused; set `paused` to false first, which also syncs";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    let id = SyncId::from_uuid(bits);
    if !exists(&state, &caller, connection, id).await? {
        let now = state.now();
        let sync = queued_sync(caller.organization, connection, id, now);
        let event = caller.did("connection.sync_requested", connection.to_string(), now);
        let requested = state.store.request_sync(&sync, Some(&event)).await;
        if let Created::Exists(open) = requested.map_err(ApiError::of_write)? {
            return Ok(accepted(open.id));
        }
    }
    (state.wake)();
    Ok(accepted(id))
}

fn accepted(id: SyncId) -> Reply {
    Reply::json(StatusCode::ACCEPTED, &SyncStarted { sync_id: id.to_string() })
}

/// Whether an earlier try of this request, cut off by a crash, queued its sync. It may even have
/// ended since.
async fn exists(
    state: &AppState,
    caller: &Caller,
    connection: ConnectionId,
    id: SyncId,
) -> Result<bool, ApiError> {
    let bits_before = id.uuid().as_u128().saturating_sub(1);
    let before = SyncId::from_uuid(Uuid::from_u128(bits_before));
    let page = PageQuery { limit: 1, after: Some(before.to_string()) };
    let found = state.store.syncs(caller.organization, connection, &page).await?;
    Ok(found.first().is_some_and(|sync| sync.id == id))
}

/// A connection's syncs, oldest first.
#[utoipa::path(get, path = "/v1/connections/{id}/syncs", tag = "billing",
    params(("id" = String, Path, description = "`conn_…`"), ListQuery),
    responses((status = 200, body = Page<SyncView>)))]
pub(crate) async fn list_syncs(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Id(id): Id<ConnectionId>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<SyncView>>, ApiError> {
    let asked = query.asked()?;
    find(&state, &caller, id).await?;
    let place = |sync: &SyncRun| sync.id.to_string();
    let page = paged!(&asked, place, |page| { state.store.syncs(caller.organization, id, &page) });
    Ok(Json(page.map(SyncView::from)))
}
