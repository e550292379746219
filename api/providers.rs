//! What can be connected, and what can be uploaded: the catalogue, from the connectors' and
//! parsers' own words.

use axum::extract::State;

use crate::{
    Shared,
    auth::{Authorized, Read},
    dto_provider::{FormatView, ProviderView},
    error::ApiError,
    extract::Parameters,
    json_answer::Json,
    pages::{self, Asked, ListQuery, Page, refused_cursor},
};

/// Providers that can be connected, what they need and what they can tell.
#[utoipa::path(get, path = "/v1/providers", tag = "billing", params(ListQuery),
    responses((status = 200, body = Page<ProviderView>)))]
pub(crate) async fn list_providers(
    State(state): State<Shared>,
    _: Authorized<Read>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<ProviderView>>, ApiError> {
    let page = slice(&state.catalogue.connectors, &query.asked()?, |connector| connector.id)?;
    Ok(Json(page.map(ProviderView::from)))
}

/// Billing-file formats that can be uploaded.
#[utoipa::path(get, path = "/v1/formats", tag = "billing", params(ListQuery),
    responses((status = 200, body = Page<FormatView>)))]
pub(crate) async fn list_formats(
    State(state): State<Shared>,
    _: Authorized<Read>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<FormatView>>, ApiError> {
    let page = slice(&state.catalogue.formats, &query.asked()?, |format| format.id)?;
    Ok(Json(page.map(FormatView::from)))
}

/// A page of a list that lies in memory, in the list's own order.
fn slice<T: Copy>(
    items: &[T],
    asked: &Asked,
    id: impl Fn(&T) -> &'static str,
) -> Result<Page<T>, ApiError> {
    let start = match asked.after.as_deref() {
        None => 0,
        Some(last) => match items.iter().position(|item| id(item) == last) {
            Some(index) => index + 1,
            None => return Err(refused_cursor()),
        },
    };
    let rest = &items[start..];
    let data = &rest[..asked.limit.min(rest.len())];
    let has_more = data.len() < rest.len();
    let next_cursor = data.last().filter(|_| has_more).map(|item| pages::cursor(id(item)));
    Ok(Page { data: data.to_vec(), next_cursor })
}
