//! Own prices: what models and services cost by an organization's own word, and services that the
//! built-in catalogue does not know.
//!
//! Live and test have prices of their own. The model `*` of a service is the service itself.

use axum::{extract::State, http::StatusCode};
use store::own_prices::{OwnPrice, OwnPricePut, OwnService, PriceOwner, WHOLE_SERVICE};

use crate::{
    Shared,
    auth::{Authorized, Caller, Read, Write},
    dto_own_price::{OwnPriceView, ServiceView},
    dto_price_row::{ModelPrices, ServicePrices},
    error::{ApiError, Code},
    extract::{JsonBytes, Parameters, PathTexts},
    json_answer::Json,
    own_price_input::{EntryName, find_service, read_model, read_service},
    pages::{ListQuery, Page, paged},
    state::AppState,
};

/// Whose prices a caller reads and writes.
pub(crate) fn owner(caller: &Caller) -> PriceOwner {
    PriceOwner { organization: caller.organization, environment: caller.environment }
}

/// The services of which you have prices.
#[utoipa::path(get, path = "/v1/services", tag = "quota", params(ListQuery),
    responses((status = 200, body = Page<ServiceView>)))]
pub(crate) async fn list_services(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<ServiceView>>, ApiError> {
    let id = |service: &OwnService| service.service.clone();
    let page =
        paged!(&query.asked()?, id, |page| { state.store.own_services(owner(&caller), &page) });
    Ok(Json(page.try_map(|service| view_of(&state, service))?))
}

/// One service of which you have prices.
#[utoipa::path(get, path = "/v1/services/{service}", tag = "quota",
    params(("service" = String, Path, description = "Who sells.")),
    responses((status = 200, body = ServiceView)))]
pub(crate) async fn get_service(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    PathTexts(service): PathTexts<String>,
) -> Result<Json<ServiceView>, ApiError> {
    let service = find_service(&service)?;
    Ok(Json(service_view(&state, &caller, service.as_str()).await?))
}

/// Makes a service of your own, or says what all models of a service cost: most often a
/// `discount` or `multiplier` of the built-in prices. Prices of single models stay.
#[utoipa::path(put, path = "/v1/services/{service}", tag = "quota",
    params(("service" = String, Path, description = "Who sells.")),
    request_body = ServicePrices,
    responses((status = 200, body = ServiceView)))]
pub(crate) async fn put_service(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    PathTexts(service): PathTexts<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<ServiceView>, ApiError> {
    let name = EntryName::check(&service, WHOLE_SERVICE)?;
    let book = state.own_prices.book(&state, owner(&caller)).await?;
    let value = read_service(&state, &book, &name, &body)?;
    put(&state, &caller, &name, value, "service.set").await?;
    Ok(Json(service_view(&state, &caller, name.service.as_str()).await?))
}

/// Removes all your prices of a service, those of its models too.
#[utoipa::path(delete, path = "/v1/services/{service}", tag = "quota",
    params(("service" = String, Path, description = "Who sells.")),
    responses((status = 204)))]
pub(crate) async fn delete_service(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    PathTexts(service): PathTexts<String>,
) -> Result<StatusCode, ApiError> {
    let service = find_service(&service)?;
    let event = caller.did("service.deleted", service.to_string(), state.now());
    let owner = owner(&caller);
    let deleted = state.store.delete_own_service(owner, service.as_str(), &event).await;
    state.own_prices.changed(owner);
    gone(deleted.map_err(ApiError::of_write)?)
}

/// The models and patterns of a service of which you have prices.
#[utoipa::path(get, path = "/v1/services/{service}/models", tag = "quota",
    params(("service" = String, Path, description = "Who sells."), ListQuery),
    responses((status = 200, body = Page<OwnPriceView>)))]
pub(crate) async fn list_own_prices(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    PathTexts(service): PathTexts<String>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<OwnPriceView>>, ApiError> {
    let service = find_service(&service)?;
    let page = paged!(&query.asked()?, OwnPrice::key, |page| {
        state.store.own_prices(owner(&caller), Some(service.as_str()), &page)
    });
    Ok(Json(page.try_map(OwnPriceView::try_from)?))
}

/// Your prices of one model or pattern.
#[utoipa::path(get, path = "/v1/services/{service}/models/{model}", tag = "quota",
    params(("service" = String, Path, description = "Who sells."),
        ("model" = String, Path, description = "A name or pattern, percent-encoded.")),
    responses((status = 200, body = OwnPriceView)))]
pub(crate) async fn get_own_price(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    PathTexts((service, model)): PathTexts<(String, String)>,
) -> Result<Json<OwnPriceView>, ApiError> {
    let name = EntryName::find(&service, &model)?;
    let found = state.store.own_price(owner(&caller), name.service.as_str(), &name.model).await?;
    let entry = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(OwnPriceView::try_from(entry)?))
}

/// Says what a model costs, or every model whose name a pattern with `*` matches, in the place of
/// what was said before. The same content again changes nothing.
#[utoipa::path(put, path = "/v1/services/{service}/models/{model}", tag = "quota",
    params(("service" = String, Path, description = "Who sells."),
        ("model" = String, Path, description = "A name or pattern, percent-encoded.")),
    request_body = ModelPrices,
    responses((status = 200, body = OwnPriceView)))]
pub(crate) async fn put_own_price(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    PathTexts((service, model)): PathTexts<(String, String)>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<OwnPriceView>, ApiError> {
    let name = EntryName::check(&service, &model)?;
    let book = state.own_prices.book(&state, owner(&caller)).await?;
    let value = read_model(&state, &book, &name, &body)?;
    let entry = put(&state, &caller, &name, value, "own_price.set").await?;
    Ok(Json(OwnPriceView::try_from(entry)?))
}

/// Takes your prices of one model or pattern back.
#[utoipa::path(delete, path = "/v1/services/{service}/models/{model}", tag = "quota",
    params(("service" = String, Path, description = "Who sells."),
        ("model" = String, Path, description = "A name or pattern, percent-encoded.")),
    responses((status = 204)))]
pub(crate) async fn delete_own_price(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    PathTexts((service, model)): PathTexts<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let name = EntryName::find(&service, &model)?;
    let event = caller.did("own_price.deleted", name.target(), state.now());
    let (owner, service) = (owner(&caller), name.service.as_str());
    let deleted = state.store.delete_own_price(owner, service, &name.model, &event).await;
    state.own_prices.changed(owner);
    gone(deleted.map_err(ApiError::of_write)?)
}

/// Stores an entry; answers it as it is stored then.
async fn put(
    state: &AppState,
    caller: &Caller,
    name: &EntryName,
    value: String,
    action: &str,
) -> Result<OwnPrice, ApiError> {
    let (service, model, updated_at) = (name.service.to_string(), name.model.clone(), state.now());
    let entry = OwnPrice { service, model, value, updated_at };
    let event = caller.did(action, name.target(), updated_at);
    let most = state.limits.own_prices_max;
    let put = state.store.put_own_price(owner(caller), &entry, most, &event).await;
    state.own_prices.changed(owner(caller));
    match put.map_err(ApiError::of_write)? {
        OwnPricePut::Created | OwnPricePut::Replaced => Ok(entry),
        OwnPricePut::Unchanged(stored) => Ok(stored),
        OwnPricePut::Full => {
            let detail = format!("there may be {most} own prices: delete some, or use patterns");
            Err(ApiError::new(Code::Conflict, detail))
        }
    }
}

async fn service_view(
    state: &AppState,
    caller: &Caller,
    service: &str,
) -> Result<ServiceView, ApiError> {
    let found = state.store.own_service(owner(caller), service).await?;
    view_of(state, found.ok_or_else(ApiError::not_found)?)
}

fn view_of(state: &AppState, service: OwnService) -> Result<ServiceView, ApiError> {
    let has_built_in_prices = state.prices.seller(&service.service).is_some();
    Ok(ServiceView::new(service, has_built_in_prices)?)
}

fn gone(was_there: bool) -> Result<StatusCode, ApiError> {
    match was_there {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found()),
    }
}
