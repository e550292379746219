//! Connections: made, listed, changed, removed. Syncing itself is a job; a route only makes it due.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::{
    Connection, ConnectionId, ConnectionStatus, ConnectorDescriptor, OrganizationId, Secret,
    SyncId,
    connection::{Sync as SyncRun, SyncState},
};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::{Created, connections::NewConnection, secrets::SealedSecret};
use uuid::Uuid;

use crate::{
    Shared,
    auth::{Authorized, Caller, ReadBilling, WriteBilling},
    connection_input::{CreateConnection, CredentialsBody, UpdateConnection, check_credentials},
    dto_connection::ConnectionView,
    error::{ApiError, Code, FieldError},
    extract::{Id, JsonBytes, Parameters, json},
    idempotency::{Once, OnceHeader, Reply},
    json_answer::Json,
    pages::{ListQuery, Page, paged},
    schemas,
    state::AppState,
};

/// Connects a provider. The first sync is queued at once.
#[utoipa::path(post, path = "/v1/connections", tag = "billing", request_body = CreateConnection,
    params(OnceHeader),
    responses((status = 201, body = ConnectionView)))]
pub(crate) async fn create_connection(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let work = {
        let (state, caller, body) = (Arc::clone(&state), caller.clone(), body.clone());
        move |bits| create(state, caller, body, bits)
    };
    once.run(&state, &caller, state.new_bits()?, Sha256::digest(&body).into(), work).await
}

async fn create(state: Shared, caller: Caller, body: Bytes, bits: Uuid) -> Result<Reply, ApiError> {
    let input: CreateConnection = json(&body)?;
    let checked = input.check(&state)?;
    let (id, now) = (ConnectionId::from_uuid(bits), state.now());
    let secrets = seal(&state, caller.organization, id, &checked.credentials).await?;
    let connection = Connection {
        id,
        organization: caller.organization,
        provider: checked.provider,
        name: checked.name,
        account: None,
        base_url: checked.base_url,
        backfill_days: checked.backfill_days,
        interval_minutes: checked.interval_minutes,
        status: ConnectionStatus::Syncing,
        last_sync_at: None,
        complete_through: None,
        error: None,
        created_at: now,
    };
    let sync = queued_sync(caller.organization, id, SyncId::from_uuid(bits), now);
    let new = NewConnection { connection, secrets, sync };
    let event = caller.did("connection.created", id.to_string(), now);
    let created = state.store.create_connection(&new, &event).await.map_err(ApiError::of_write)?;
    (state.wake)();
    let connection = match created {
        Created::Created => new.connection,
        Created::Exists(connection) => connection,
    };
    Ok(Reply::json(StatusCode::CREATED, &ConnectionView::from(connection)))
}

/// A sync that waits for the runner, which chooses its window.
pub(crate) fn queued_sync(
    organization: OrganizationId,
    connection: ConnectionId,
    id: SyncId,
    now: Timestamp,
) -> SyncRun {
    SyncRun {
        id,
        organization,
        connection,
        from: None,
        to: None,
        state: SyncState::Queued,
        progress: vec![],
        charges_written: 0,
        issues: vec![],
        error: None,
        created_at: now,
        finished_at: None,
    }
}

async fn seal(
    state: &AppState,
    organization: OrganizationId,
    id: ConnectionId,
    credentials: &BTreeMap<&'static str, Secret>,
) -> Result<Vec<SealedSecret>, ApiError> {
    let record = id.to_string();
    let mut sealed = Vec::with_capacity(credentials.len());
    for (field, secret) in credentials {
        let seal = state.vault.seal(organization, &record, field, secret).await;
        sealed.push(seal.map_err(|error| {
            match error.is_temporary {
                true => ApiError::new(
                    Code::Unavailable,
                    "the credentials cannot be sealed now; try again",
                )
                .caused_by(error),
                false => ApiError::internal(error),
            }
        })?);
    }
    Ok(sealed)
}

/// Connections.
#[utoipa::path(get, path = "/v1/connections", tag = "billing", params(ListQuery),
    responses((status = 200, body = Page<ConnectionView>)))]
pub(crate) async fn list_connections(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<ConnectionView>>, ApiError> {
    let id = |connection: &Connection| connection.id.to_string();
    let page =
        paged!(&query.asked()?, id, |page| { state.store.connections(caller.organization, &page) });
    Ok(Json(page.map(ConnectionView::from)))
}

/// One connection.
#[utoipa::path(get, path = "/v1/connections/{id}", tag = "billing",
    params(("id" = String, Path, description = "`conn_…`")),
    responses((status = 200, body = ConnectionView)))]
pub(crate) async fn get_connection(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Id(id): Id<ConnectionId>,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(ConnectionView::from(find(&state, &caller, id).await?)))
}

/// The caller's connection of this id.
pub(crate) async fn find(
    state: &AppState,
    caller: &Caller,
    id: ConnectionId,
) -> Result<Connection, ApiError> {
    let found = state.store.connection(caller.organization, id).await?;
    found.ok_or_else(ApiError::not_found)
}

/// Renames, reschedules, pauses or resumes a connection.
#[utoipa::path(patch, path = "/v1/connections/{id}", tag = "billing",
    params(("id" = String, Path, description = "`conn_…`")),
    request_body = UpdateConnection,
    responses((status = 200, body = ConnectionView)))]
pub(crate) async fn update_connection(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    Id(id): Id<ConnectionId>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<ConnectionView>, ApiError> {
    let patch = json::<UpdateConnection>(&body)?.check()?;
    let is_empty =
        patch.name.is_none() && patch.interval_minutes.is_none() && patch.paused.is_none();
    if is_empty {
        // Nothing is changed, so nothing is audited.
        return Ok(Json(ConnectionView::from(find(&state, &caller, id).await?)));
    }
    let event = caller.did("connection.updated", id.to_string(), state.now());
    let updated = state.store.update_connection(caller.organization, id, &patch, &event).await;
    let connection = updated.map_err(ApiError::of_write)?.ok_or_else(ApiError::not_found)?;
    (state.wake)();
    Ok(Json(ConnectionView::from(connection)))
}

/// What happens to a deleted connection's charges.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// `keep` (the default) or `delete`.
    #[param(inline, value_type = schemas::ChargesFate, required = false)]
    charges: Option<String>,
}

/// Removes a connection with its credentials. Its charges stay unless `charges=delete`.
#[utoipa::path(delete, path = "/v1/connections/{id}", tag = "billing",
    params(("id" = String, Path, description = "`conn_…`"), DeleteQuery),
    responses((status = 204)))]
pub(crate) async fn delete_connection(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    Id(id): Id<ConnectionId>,
    Parameters(query): Parameters<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let deletes_charges = match query.charges.as_deref() {
        None | Some("keep") => false,
        Some("delete") => true,
        Some(_) => {
            let error = FieldError::parameter("charges", "`charges` is `keep` or `delete`");
            return Err(error.into());
        }
    };
    let action = match deletes_charges {
        true => "connection.deleted_with_charges",
        false => "connection.deleted",
    };
    let event = caller.did(action, id.to_string(), state.now());
    let organization = caller.organization;
    let deleted = state.store.delete_connection(organization, id, deletes_charges, &event).await;
    match deleted.map_err(ApiError::of_write)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found()),
    }
}

/// Replaces all credentials, and syncs with them at once.
#[utoipa::path(put, path = "/v1/connections/{id}/credentials", tag = "billing",
    params(("id" = String, Path, description = "`conn_…`")),
    request_body = CredentialsBody,
    responses((status = 200, body = ConnectionView)))]
pub(crate) async fn replace_credentials(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    Id(id): Id<ConnectionId>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<ConnectionView>, ApiError> {
    let connection = find(&state, &caller, id).await?;
    let connector = connector_of(&state, &connection)?;
    let (credentials, pointer) = CredentialsBody::read(&body)?;
    let mut errors = vec![];
    let credentials = check_credentials(connector, credentials, pointer, &mut errors);
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let secrets = seal(&state, caller.organization, id, &credentials).await?;
    let event = caller.did("connection.credentials_replaced", id.to_string(), state.now());
    let organization = caller.organization;
    let replaced = state.store.replace_credentials(organization, id, &secrets, &event).await;
    let connection = replaced.map_err(ApiError::of_write)?.ok_or_else(ApiError::not_found)?;
    (state.wake)();
    Ok(Json(ConnectionView::from(connection)))
}

fn connector_of(
    state: &AppState,
    connection: &Connection,
) -> Result<&'static ConnectorDescriptor, ApiError> {
    let found = state.catalogue.connector(connection.provider.as_str());
    found.ok_or_else(|| {
        let detail = "this version has no connector for the connection's provider";
        ApiError::new(Code::Conflict, detail)
    })
}
