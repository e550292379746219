//! Paths: the tree that spend belongs to. Slashes stand in the address as they are, so one route
//! has everything below `/v1/paths/`, and a POST says by its last segment what it does.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::StatusCode, response::Response};
use domain::{Path, Service};
use engine::{Command, command::PutPath};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shards::{Answered, Position, Question, Said};
use utoipa::OpenApi;

use crate::{
    Shared,
    allowed_path::{allowed_path, path_prefix},
    asking::{Least, LeastHeader, OtherAnswer, ask, at_position, refused, submit_one},
    auth::{Authorized, Caller, Read, Write},
    dto_path::{PathBody, PathView},
    error::{ApiError, FieldError},
    extract::{JsonBytes, Parameters, PathTexts, json, pointer_of},
    idempotency::{Once, OnceHeader, Reply},
    json_answer::Json,
    pages::{Asked, Page, page_of},
    schemas,
    state::AppState,
};

/// Most bytes of a path's notes.
const NOTES_BYTES_MAX: usize = 4096;
/// Most tags of a path or an event.
pub(crate) const TAGS_MAX: usize = 32;
const TAG_KEY_CHARACTERS_MAX: usize = 64;
const TAG_VALUE_CHARACTERS_MAX: usize = 256;

/// Operations that share one route and are told apart by the address's last segment.
#[derive(OpenApi)]
#[openapi(paths(archive_path, restore_path))]
pub(crate) struct SuffixedOperations;

/// The parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PathQuery {
    /// Only this path and everything below it.
    #[param(inline, value_type = schemas::PathText, required = false)]
    path: Option<String>,
    /// Most items, 1 to 1000; 100 if absent.
    #[param(inline, value_type = schemas::Limit, required = false)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(inline, value_type = schemas::Cursor, required = false)]
    cursor: Option<String>,
}

/// The tree of paths as a flat list in the order of their texts, the environment itself first.
#[utoipa::path(get, path = "/v1/paths", tag = "quota", params(PathQuery, LeastHeader),
    responses((status = 200, body = Page<PathView>)))]
pub(crate) async fn list_paths(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Least(least): Least,
    Parameters(query): Parameters<PathQuery>,
) -> Result<Response, ApiError> {
    let below = match &query.path {
        Some(text) => {
            Path::parse(text).map_err(|error| FieldError::parameter("path", error.to_string()))?
        }
        None => path_prefix(&caller).cloned().unwrap_or(Path::root()),
    };
    allowed_path(&caller, &below)?;
    let asked = Asked::parse(query.limit.as_deref(), query.cursor.as_deref())?;
    let question = Question::Paths { below: below.to_string() };
    let reply = ask(&state, &caller, question, least).await?;
    let Said::Paths(paths) = reply.said else { return Err(ApiError::internal(OtherAnswer)) };
    // The environment's text is empty, and a cursor is not.
    let page = page_of(paths, &asked, |seen| format!("/{}", seen.node.name));
    Ok(at_position(reply.position, Json(page.map(PathView::from))))
}

/// One path.
#[utoipa::path(get, path = "/v1/paths/{*path}", tag = "quota",
    params(("path" = inline(schemas::PathText), Path, description = "Slashes as they are."),
        LeastHeader),
    responses((status = 200, body = PathView)))]
pub(crate) async fn get_path(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Least(least): Least,
    PathTexts(path): PathTexts<String>,
) -> Result<Response, ApiError> {
    let path = Path::parse(&path).map_err(|_| ApiError::not_found())?;
    allowed_path(&caller, &path)?;
    let (view, position) = seen(&state, &caller, path.as_str(), least).await?;
    Ok(at_position(position, Json(view)))
}

/// Makes a path, with all above it, or changes what is said of it. A path that has a service keeps
/// it: another one is `service_mismatch`.
#[utoipa::path(put, path = "/v1/paths/{*path}", tag = "quota", request_body = PathBody,
    params(("path" = inline(schemas::PathText), Path, description = "Slashes as they are.")),
    responses((status = 200, body = PathView)))]
pub(crate) async fn put_path(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    PathTexts(path): PathTexts<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let path =
        Path::parse(&path).map_err(|error| FieldError::parameter("path", error.to_string()))?;
    allowed_path(&caller, &path)?;
    let put = json::<PathBody>(&body)?.check(&path)?;
    let (answer, position) = submit_one(&state, &caller, None, Command::PutPath(put)).await?;
    if let Answered::Refused(refusal) = &answer.result {
        return Err(refused(refusal));
    }
    let (view, position) = seen(&state, &caller, path.as_str(), Some(position)).await?;
    Ok(at_position(position, Json(view)))
}

/// Takes a path out of use: nothing more is booked on it or below it. Its history stays.
#[utoipa::path(post, path = "/v1/paths/{path}/archive", tag = "quota",
    params(("path" = inline(schemas::PathText), Path, description = "Slashes as they are."),
        OnceHeader),
    responses((status = 200, body = PathView)))]
async fn archive_path(state: Shared, caller: Caller, named: String) -> Result<Reply, ApiError> {
    archive(&state, &caller, &named, true).await
}

/// Takes a path back into use.
#[utoipa::path(post, path = "/v1/paths/{path}/restore", tag = "quota",
    params(("path" = inline(schemas::PathText), Path, description = "Slashes as they are."),
        OnceHeader),
    responses((status = 200, body = PathView)))]
async fn restore_path(state: Shared, caller: Caller, named: String) -> Result<Reply, ApiError> {
    archive(&state, &caller, &named, false).await
}

/// What a POST below `/v1/paths/` does, by its last segment.
pub(crate) async fn post_path(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    once: Once,
    PathTexts(address): PathTexts<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let (path, action) = address.rsplit_once('/').ok_or_else(ApiError::not_found)?;
    let is_archived = match action {
        "archive" => true,
        "restore" => false,
        _ => return Err(ApiError::not_found()),
    };
    let path = Path::parse(path).map_err(|_| ApiError::not_found())?;
    allowed_path(&caller, &path)?;
    let work = {
        let (state, caller, path) = (Arc::clone(&state), caller.clone(), path.to_string());
        move |_| async move {
            match is_archived {
                true => archive_path(state, caller, path).await,
                false => restore_path(state, caller, path).await,
            }
        }
    };
    once.run(&state, &caller, state.new_bits()?, Sha256::digest(&body).into(), work).await
}

async fn archive(
    state: &AppState,
    caller: &Caller,
    path: &str,
    archived: bool,
) -> Result<Reply, ApiError> {
    let command = Command::ArchivePath { path: path.to_owned(), archived };
    let (answer, position) = submit_one(state, caller, None, command).await?;
    if let Answered::Refused(refusal) = &answer.result {
        return Err(refused(refusal));
    }
    let (view, position) = seen(state, caller, path, Some(position)).await?;
    Ok(Reply::json(StatusCode::OK, &view).at(position))
}

async fn seen(
    state: &AppState,
    caller: &Caller,
    path: &str,
    least: Option<Position>,
) -> Result<(PathView, Position), ApiError> {
    let reply = ask(state, caller, Question::Path(path.to_owned()), least).await?;
    let Said::Paths(found) = reply.said else { return Err(ApiError::internal(OtherAnswer)) };
    let found = found.into_iter().next().ok_or_else(ApiError::not_found)?;
    Ok((found.into(), reply.position))
}

impl PathBody {
    fn check(self, path: &Path) -> Result<PutPath, ApiError> {
        let mut errors = vec![];
        let service = self.service.as_deref().map(Service::parse).transpose();
        let service = service
            .map_err(|error| errors.push(FieldError::at("/service", error.to_string())))
            .ok()
            .flatten();
        if self.notes.as_ref().is_some_and(|notes| notes.len() > NOTES_BYTES_MAX) {
            let detail = format!("notes have up to {NOTES_BYTES_MAX} bytes");
            errors.push(FieldError::at("/notes", detail));
        }
        errors.extend(self.tags.as_ref().and_then(|tags| check_tags(tags).err()));
        match errors.is_empty() {
            true => Ok(PutPath {
                path: path.to_string(),
                service: service.map(|service| service.to_string()),
                notes: self.notes,
                tags: self.tags.map(|tags| tags.into_iter().collect()),
            }),
            false => Err(errors.into()),
        }
    }
}

/// Refuses tags beyond their limits.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), FieldError> {
    if tags.len() > TAGS_MAX {
        return Err(FieldError::at("/tags", format!("there may be up to {TAGS_MAX} tags")));
    }
    let is_wrong = |(key, value): &(&String, &String)| {
        key.is_empty()
            || key.chars().count() > TAG_KEY_CHARACTERS_MAX
            || value.chars().count() > TAG_VALUE_CHARACTERS_MAX
    };
    match tags.iter().find(is_wrong) {
        None => Ok(()),
        Some((key, _)) => {
            let detail = format!(
                "a tag has a name of 1 to {TAG_KEY_CHARACTERS_MAX} characters and a value of up \
                 to {TAG_VALUE_CHARACTERS_MAX}"
            );
            Err(FieldError::at(format!("/tags{}", pointer_of(key)), detail))
        }
    }
}
