//! Uploaded files: listed, looked at, removed. Uploading has a file of its own.

use axum::{extract::State, http::StatusCode};
use domain::{FileId, UploadedFile};

use crate::{
    Shared,
    auth::{Authorized, ReadBilling, WriteBilling},
    dto_file::FileView,
    error::ApiError,
    extract::{Id, Parameters},
    json_answer::Json,
    pages::{ListQuery, Page, paged},
};

/// Uploaded files.
#[utoipa::path(get, path = "/v1/files", tag = "billing", params(ListQuery),
    responses((status = 200, body = Page<FileView>)))]
pub(crate) async fn list_files(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<FileView>>, ApiError> {
    let id = |file: &UploadedFile| file.id.to_string();
    let page =
        paged!(&query.asked()?, id, |page| { state.store.files(caller.organization, &page) });
    Ok(Json(page.map(FileView::from)))
}

/// One file and how its import is going.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "billing",
    params(("id" = String, Path, description = "`file_…`")),
    responses((status = 200, body = FileView)))]
pub(crate) async fn get_file(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Id(id): Id<FileId>,
) -> Result<Json<FileView>, ApiError> {
    let found = state.store.file(caller.organization, id).await?;
    Ok(Json(FileView::from(found.ok_or_else(ApiError::not_found)?)))
}

/// Removes a file and takes its charges back out. What they covered counts again as it did before.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "billing",
    params(("id" = String, Path, description = "`file_…`")),
    responses((status = 204)))]
pub(crate) async fn delete_file(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    Id(id): Id<FileId>,
) -> Result<StatusCode, ApiError> {
    let event = caller.did("file.deleted", id.to_string(), state.now());
    let deleted = state.store.delete_file(caller.organization, id, &event).await;
    match deleted.map_err(ApiError::of_write)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found()),
    }
}
