//! The organization: its name and its settings, which both environments share.

use axum::extract::State;
use domain::Path;

use crate::{
    Shared,
    auth::{AdminOrganization, Authorized, Read},
    dto_organization::OrganizationView,
    error::ApiError,
    extract::{JsonBytes, json},
    json_answer::Json,
    organization_input::UpdateOrganization,
};

/// Your organization and its settings.
#[utoipa::path(get, path = "/v1/organization", tag = "control",
    responses((status = 200, body = OrganizationView)))]
pub(crate) async fn get_organization(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
) -> Result<Json<OrganizationView>, ApiError> {
    let found = state.store.organization(caller.organization).await?;
    Ok(Json(OrganizationView::from(found.ok_or_else(ApiError::not_found)?)))
}

/// Changes settings. What is as it was said changes nothing, and the revision stays.
#[utoipa::path(patch, path = "/v1/organization", tag = "control",
    request_body = UpdateOrganization,
    responses((status = 200, body = OrganizationView)))]
pub(crate) async fn update_organization(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<AdminOrganization>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<OrganizationView>, ApiError> {
    caller.may_use(&Path::root())?;
    let patch = json::<UpdateOrganization>(&body)?.check()?;
    let id = caller.organization;
    let event = caller.did("organization.updated", id.to_string(), state.now());
    let changed = state.store.change_settings(id, &patch, &event).await;
    let organization = changed.map_err(ApiError::of_write)?.ok_or_else(ApiError::not_found)?;
    state.settings_changed(&organization);
    Ok(Json(OrganizationView::from(organization)))
}
