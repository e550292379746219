//! API keys: made, listed, rotated, revoked.
//!
//! From the live environment the keys of both are managed, from the test environment those of test.
//! A key with the scope `admin` hands out any scopes, also those that it lacks itself; one that is
//! bound to a path manages only keys that are bound to that path or one below it.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::{ApiKey, KeyId, Path, organization::Environment};
use identity::KeyRequest;
use sha2::{Digest, Sha256};
use store::{
    Created,
    api_keys::{Revoked, Rotated, Rotation},
};
use uuid::Uuid;

use crate::{
    Shared,
    api_key_input::{CreateApiKey, RotateApiKey},
    auth::{Admin, Authorized, Caller, Read},
    dto_api_key::ApiKeyView,
    error::{ApiError, Code},
    extract::{Id, JsonBytes, Parameters, json},
    idempotency::{Once, OnceHeader, Reply},
    json_answer::Json,
    key_secret::{KeySeed, in_place_of},
    pages::{ListQuery, Page, paged},
    state::AppState,
};

/// Makes an API key. The answer shows it, and nothing shows it again.
#[utoipa::path(post, path = "/v1/api-keys", tag = "control", request_body = CreateApiKey,
    params(OnceHeader),
    responses((status = 201, body = ApiKeyView)))]
pub(crate) async fn create_api_key(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Admin>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let body_sha256 = Sha256::digest(&body).into();
    let seed = KeySeed::of(&once)?;
    let work = {
        let (state, caller, seed) = (Arc::clone(&state), caller.clone(), seed.clone());
        move |bits| create(state, caller, seed, body, bits)
    };
    let response = once.run(&state, &caller, state.new_bits()?, body_sha256, work).await?;
    seed.shown(&state, &caller, response).await
}

async fn create(
    state: Shared,
    caller: Caller,
    seed: KeySeed,
    body: Bytes,
    bits: Uuid,
) -> Result<Reply, ApiError> {
    let now = state.now();
    let checked = json::<CreateApiKey>(&body)?.check(now)?;
    if !sees(&caller, checked.environment) {
        let detail = "a key of the test environment makes keys of that environment only";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    may_manage(&caller, checked.path_prefix.as_ref())?;
    let request = KeyRequest {
        organization: caller.organization,
        name: checked.name,
        environment: checked.environment,
        scopes: checked.scopes,
        path_prefix: checked.path_prefix,
        expires_at: checked.expires_at,
        at: now,
    };
    let id = KeyId::from_uuid(bits);
    let new = identity::api_key_of(request, id, &seed.bits(&state, &caller, id).await?).key;
    let event = caller.did("api_key.created", id.to_string(), now);
    match state.store.create_api_key(&new, &event).await.map_err(ApiError::of_write)? {
        Created::Created => Ok(made(new)),
        Created::Exists(stored) => Ok(made(stored)),
    }
}

/// The answer that made a key, as it is stored.
fn made(key: ApiKey) -> Reply {
    let instead = in_place_of(&key.sha256);
    Reply::json(StatusCode::CREATED, &ApiKeyView::from(key).with_key(instead))
}

/// API keys, also those that were revoked or have expired.
#[utoipa::path(get, path = "/v1/api-keys", tag = "control", params(ListQuery),
    responses((status = 200, body = Page<ApiKeyView>)))]
pub(crate) async fn list_api_keys(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<ApiKeyView>>, ApiError> {
    let id = |key: &ApiKey| key.id.to_string();
    let environment = match caller.environment {
        Environment::Live => None,
        Environment::Test => Some(Environment::Test),
    };
    let page = paged!(&query.asked()?, id, |page| {
        state.store.api_keys(caller.organization, environment, &page)
    });
    Ok(Json(page.map(ApiKeyView::from)))
}

/// One API key.
#[utoipa::path(get, path = "/v1/api-keys/{id}", tag = "control",
    params(("id" = String, Path, description = "`key_…`")),
    responses((status = 200, body = ApiKeyView)))]
pub(crate) async fn get_api_key(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Id(id): Id<KeyId>,
) -> Result<Json<ApiKeyView>, ApiError> {
    Ok(Json(ApiKeyView::from(find(&state, &caller, id).await?)))
}

/// Revokes an API key: it stops within 5 seconds, everywhere and for good. It stays in the list.
/// The last key that manages all others is not revoked, or nobody could make a new one.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "control",
    params(("id" = String, Path, description = "`key_…`")),
    responses((status = 204)))]
pub(crate) async fn revoke_api_key(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Admin>,
    Id(id): Id<KeyId>,
) -> Result<StatusCode, ApiError> {
    may_manage(&caller, find(&state, &caller, id).await?.path_prefix.as_ref())?;
    let now = state.now();
    let event = caller.did("api_key.revoked", id.to_string(), now);
    let revoked = state.store.revoke_api_key(caller.organization, id, now, &event).await;
    match revoked.map_err(ApiError::of_write)? {
        Revoked::Revoked(key) => {
            state.keys.forget(&key.sha256);
            Ok(StatusCode::NO_CONTENT)
        }
        Revoked::LastAdmin => {
            let detail = "this is the last key that can manage the organization's keys; first make \
                          another one of the live environment with the scope `admin` and without \
                          a path prefix";
            Err(ApiError::new(Code::Conflict, detail))
        }
        Revoked::Unknown => Err(ApiError::not_found()),
    }
}

/// Puts a new key in an old one's place: of the same name, environment, scopes, path and expiry.
/// The old one stops after the overlap. To rotate the key that you call with, leave an overlap:
/// should the answer be lost, only the old key can ask for it again.
#[utoipa::path(post, path = "/v1/api-keys/{id}/rotate", tag = "control",
    params(("id" = String, Path, description = "`key_…`"), OnceHeader),
    request_body = Option<RotateApiKey>,
    responses((status = 201, body = ApiKeyView)))]
pub(crate) async fn rotate_api_key(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Admin>,
    Id(id): Id<KeyId>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let body_sha256 = Sha256::digest(&body).into();
    let seed = KeySeed::of(&once)?;
    let work = {
        let (state, caller, seed) = (Arc::clone(&state), caller.clone(), seed.clone());
        move |bits| rotate(state, caller, seed, id, body, bits)
    };
    let response = once.run(&state, &caller, state.new_bits()?, body_sha256, work).await?;
    seed.shown(&state, &caller, response).await
}

async fn rotate(
    state: Shared,
    caller: Caller,
    seed: KeySeed,
    old: KeyId,
    body: Bytes,
    bits: Uuid,
) -> Result<Reply, ApiError> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let overlap = json::<RotateApiKey>(text)?.check()?;
    let old = find(&state, &caller, old).await?;
    may_manage(&caller, old.path_prefix.as_ref())?;
    let (at, new) = (state.now(), KeyId::from_uuid(bits));
    let request = KeyRequest {
        organization: caller.organization,
        name: old.name,
        environment: old.environment,
        scopes: old.scopes,
        path_prefix: old.path_prefix,
        expires_at: old.expires_at,
        at,
    };
    let new = identity::api_key_of(request, new, &seed.bits(&state, &caller, new).await?).key;
    let old_ends_at = at.checked_add(overlap).unwrap_or(at);
    let event = caller.did("api_key.rotated", old.id.to_string(), at);
    let rotation = Rotation { old: old.id, new, at, old_ends_at };
    let rotated = state.store.rotate_api_key(&rotation, &event).await;
    state.keys.forget(&old.sha256);
    match rotated.map_err(ApiError::of_write)? {
        Rotated::Rotated => Ok(made(rotation.new)),
        Rotated::Exists(stored) => Ok(made(stored)),
        Rotated::Ended(old) => Err(ended(&old)),
        Rotated::Unknown => Err(ApiError::not_found()),
    }
}

fn ended(old: &ApiKey) -> ApiError {
    let detail = match old.rotated_to {
        Some(new) => {
            format!("the key was rotated already: `{new}` took its place, rotate that one")
        }
        None => "the key is revoked or has expired; make a new one".to_owned(),
    };
    ApiError::new(Code::Conflict, detail)
}

/// The key of this id, where the caller's environment shows it.
async fn find(state: &AppState, caller: &Caller, id: KeyId) -> Result<ApiKey, ApiError> {
    let found = state.store.api_key(caller.organization, id).await?;
    found.filter(|key| sees(caller, key.environment)).ok_or_else(ApiError::not_found)
}

fn sees(caller: &Caller, environment: Environment) -> bool {
    caller.environment == Environment::Live || environment == Environment::Test
}

/// Whether the caller may manage a key that is bound to this path.
fn may_manage(caller: &Caller, path_prefix: Option<&Path>) -> Result<(), ApiError> {
    caller.may_use(path_prefix.unwrap_or(&Path::root()))
}
