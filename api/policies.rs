//! Policies: limits on what paths may consume. They are decided by the shard, so every change
//! answers its place in the journal.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{Path, PolicyId};
use engine::Command;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shards::{Answered, PolicyStanding, Position, Question, Said};

use uuid::Uuid;

use crate::{
    Shared,
    allowed_path::{allowed_path, path_prefix},
    asking::{Least, LeastHeader, OtherAnswer, ask, at_position, refused, submit_one},
    auth::{Authorized, Caller, Read, Write},
    dto_policy::{PolicyView, policy_id},
    error::{ApiError, FieldError},
    extract::{Id, JsonBytes, Parameters, json},
    idempotency::{Once, OnceHeader, Reply},
    json_answer::Json,
    pages::{Asked, Page, page_of},
    policy_input::{PolicyBody, PolicyPatch},
    pricing::Books,
    schemas,
    state::AppState,
};

/// How often a new policy is looked at until it is in force.
const OPENING_POLL: Duration = Duration::from_millis(20);

/// The parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PolicyQuery {
    /// Only policies of this path and of everything below it.
    #[param(inline, value_type = schemas::PathText, required = false)]
    path: Option<String>,
    /// Most items, 1 to 1000; 100 if absent.
    #[param(inline, value_type = schemas::Limit, required = false)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(inline, value_type = schemas::Cursor, required = false)]
    cursor: Option<String>,
}

/// Makes a policy. 201 once it is in force; 202 where what its window had used before is still
/// being summed: until then it refuses nothing.
#[utoipa::path(post, path = "/v1/policies", tag = "quota", request_body = PolicyBody,
    params(OnceHeader),
    responses((status = 201, body = PolicyView), (status = 202, body = PolicyView)))]
pub(crate) async fn create_policy(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let work = {
        let (state, caller, body) = (Arc::clone(&state), caller.clone(), body.clone());
        move |bits| async move { create(&state, &caller, &body, bits).await }
    };
    once.run(&state, &caller, state.new_bits()?, Sha256::digest(&body).into(), work).await
}

async fn create(
    state: &AppState,
    caller: &Caller,
    body: &[u8],
    bits: Uuid,
) -> Result<Reply, ApiError> {
    let books = Books::of(state, caller).await?;
    let now = state.now();
    // A try that goes on after a crash makes the very same policy.
    let created_at = made_at(bits).unwrap_or(now);
    let record =
        json::<PolicyBody>(body)?.check(bits.as_u128(), created_at, |service, model| {
            books.canonical(service.as_str(), model, now)
        })?;
    allowed_path(caller, &Path::parse(&record.path).unwrap_or(Path::root()))?;
    let id = record.id;
    let (answer, position) = submit_one(state, caller, None, Command::CreatePolicy(record)).await?;
    if let Answered::Refused(refusal) = &answer.result {
        return Err(refused(refusal));
    }
    let (standing, position) = in_force(state, caller, id, position).await?;
    let status = if standing.is_opening { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok(Reply::json(status, &PolicyView::from(standing)).at(position))
}

/// The instant within the bits of an id.
fn made_at(bits: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = bits.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

/// Waits until a new policy is in force, or for as long as somebody waits for it.
async fn in_force(
    state: &AppState,
    caller: &Caller,
    id: u128,
    least: Position,
) -> Result<(PolicyStanding, Position), ApiError> {
    let patience_ends_at = tokio::time::Instant::now() + state.limits.opening_patience;
    let mut ticks = tokio::time::interval(OPENING_POLL);
    loop {
        ticks.tick().await;
        let (standing, position) = standing(state, caller, id, Some(least)).await?;
        if !standing.is_opening || tokio::time::Instant::now() >= patience_ends_at {
            return Ok((standing, position));
        }
    }
}

/// The policies of a path and of everything below it, in the order of their ids.
#[utoipa::path(get, path = "/v1/policies", tag = "quota", params(PolicyQuery, LeastHeader),
    responses((status = 200, body = Page<PolicyView>)))]
pub(crate) async fn list_policies(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Least(least): Least,
    Parameters(query): Parameters<PolicyQuery>,
) -> Result<Response, ApiError> {
    let path = query.path.as_deref().map(|text| {
        Path::parse(text).map_err(|error| FieldError::parameter("path", error.to_string()))
    });
    let path = path.transpose()?.or_else(|| path_prefix(&caller).cloned());
    if let Some(path) = &path {
        allowed_path(&caller, path)?;
    }
    let asked = Asked::parse(query.limit.as_deref(), query.cursor.as_deref())?;
    let question = Question::Policies { path: path.map(|path| path.to_string()) };
    let reply = ask(&state, &caller, question, least).await?;
    let Said::Policies(mut policies) = reply.said else {
        return Err(ApiError::internal(OtherAnswer));
    };
    // Ids are in the order of time, and a cursor is an id.
    policies.sort_by_key(|standing| standing.record.id);
    let page = page_of(policies, &asked, |standing| policy_id(standing.record.id));
    Ok(at_position(reply.position, Json(page.map(PolicyView::from))))
}

/// One policy and how it stands.
#[utoipa::path(get, path = "/v1/policies/{id}", tag = "quota",
    params(("id" = inline(schemas::PolicyKey), Path), LeastHeader),
    responses((status = 200, body = PolicyView)))]
pub(crate) async fn get_policy(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Least(least): Least,
    Id(id): Id<PolicyId>,
) -> Result<Response, ApiError> {
    let (standing, position) = standing(&state, &caller, id.uuid().as_u128(), least).await?;
    Ok(at_position(position, Json(PolicyView::from(standing))))
}

/// Changes a policy's limit, mode, alerts, or what is answered while nobody can tell. What is used
/// stays.
#[utoipa::path(patch, path = "/v1/policies/{id}", tag = "quota", request_body = PolicyPatch,
    params(("id" = inline(schemas::PolicyKey), Path)),
    responses((status = 200, body = PolicyView)))]
pub(crate) async fn update_policy(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    Id(id): Id<PolicyId>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let policy = id.uuid().as_u128();
    let (before, _) = standing(&state, &caller, policy, None).await?;
    let change = json::<PolicyPatch>(&body)?.check(&before.record)?;
    let command = Command::ChangePolicy { policy, change };
    let (answer, position) = submit_one(&state, &caller, None, command).await?;
    if let Answered::Refused(refusal) = &answer.result {
        return Err(refused(refusal));
    }
    let (standing, position) = standing(&state, &caller, policy, Some(position)).await?;
    Ok(at_position(position, Json(PolicyView::from(standing))))
}

/// Removes a policy. What was spent stays in the books.
#[utoipa::path(delete, path = "/v1/policies/{id}", tag = "quota",
    params(("id" = inline(schemas::PolicyKey), Path)),
    responses((status = 204)))]
pub(crate) async fn delete_policy(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    Id(id): Id<PolicyId>,
) -> Result<Response, ApiError> {
    let policy = id.uuid().as_u128();
    standing(&state, &caller, policy, None).await?;
    let command = Command::RemovePolicy { policy };
    let (answer, position) = submit_one(&state, &caller, None, command).await?;
    match &answer.result {
        Answered::Refused(refusal) => Err(refused(refusal)),
        _ => Ok(at_position(position, StatusCode::NO_CONTENT.into_response())),
    }
}

/// A policy that the caller may see.
async fn standing(
    state: &AppState,
    caller: &Caller,
    id: u128,
    least: Option<Position>,
) -> Result<(PolicyStanding, Position), ApiError> {
    let reply = ask(state, caller, Question::Policy(id), least).await?;
    let Said::Policies(found) = reply.said else { return Err(ApiError::internal(OtherAnswer)) };
    let standing = found.into_iter().next().ok_or_else(ApiError::not_found)?;
    let path = Path::parse(&standing.record.path).unwrap_or(Path::root());
    allowed_path(caller, &path).map_err(|_| ApiError::not_found())?;
    Ok((standing, reply.position))
}
