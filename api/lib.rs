#![doc = include_str!("README.md")]

mod api_key_input;
mod api_keys;
mod audit_log;
mod auth;
pub mod charge_reports;
mod charges;
mod connection_input;
mod connections;
mod context_input;
mod costs;
mod dto_api_key;
mod dto_audit;
mod dto_charge;
mod dto_connection;
mod dto_cost;
mod dto_estimate;
mod dto_file;
mod dto_organization;
mod dto_own_price;
mod dto_price;
mod dto_price_row;
mod dto_provider;
mod dto_usage_event;
mod envelope;
mod error;
mod estimate;
mod extract;
mod files;
mod health;
mod idempotency;
mod json_decimal;
mod json_number;
mod key_secret;
mod openapi;
mod organization;
mod organization_input;
mod own_price_cache;
mod own_price_input;
mod own_prices;
mod pages;
mod period;
mod price_list;
mod providers;
mod raw_usage;
mod reported_events;
mod reported_sums;
pub mod reports;
mod schemas;
mod spool;
mod state;
mod syncs;
mod upload;
mod usage_events;
mod usage_input;

use std::sync::{Arc, LazyLock};

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use auth::KeyCache;
pub use error::Code;
pub use own_price_cache::OwnPriceCache;
pub use reports::Reports;
pub use state::{AppState, Catalogue, Limits, LocalToken, SealError, Sealer};

/// The state as routes take it.
type Shared = Arc<AppState>;

/// The whole API over `state`. Serve it with connection information
/// (`into_make_service_with_connect_info`), so that the audit log knows the peer's address.
pub fn router(state: Arc<AppState>) -> Router {
    let (router, _) = registered(&state).split_for_parts();
    router
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .fallback(envelope::not_found)
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(envelope::trace())
        .layer(from_fn_with_state(Arc::clone(&state), envelope::enclose))
        .with_state(state)
}

/// The OpenAPI 3.1 document, as `GET /openapi.json` answers it and `openapi.json` holds it.
#[must_use]
pub fn openapi_json() -> &'static str {
    // Nothing in it changes while the process runs.
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| openapi::document(quick_routes().merge(slow_routes()).into_openapi()));
    &DOCUMENT
}

fn registered(state: &Shared) -> OpenApiRouter<Shared> {
    let quick = quick_routes()
        .layer(from_fn_with_state(Arc::clone(state), envelope::within_time))
        .layer(DefaultBodyLimit::max(state.limits.body_bytes_max));
    // Uploads count their own bytes, and have a time limit for each chunk instead of one for all.
    quick.merge(slow_routes().layer(DefaultBodyLimit::disable()))
}

fn quick_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::preface())
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::list_formats))
        .routes(routes!(connections::create_connection, connections::list_connections))
        .routes(routes!(
            connections::get_connection,
            connections::update_connection,
            connections::delete_connection
        ))
        .routes(routes!(connections::replace_credentials))
        .routes(routes!(syncs::start_sync))
        .routes(routes!(syncs::list_syncs))
        .routes(routes!(files::list_files))
        .routes(routes!(files::get_file, files::delete_file))
        .routes(routes!(charges::list_charges))
        .routes(routes!(costs::get_costs))
        .routes(routes!(usage_events::list_usage_events))
        .routes(routes!(usage_events::get_usage_event))
        .routes(routes!(own_prices::list_services))
        .routes(routes!(
            own_prices::get_service,
            own_prices::put_service,
            own_prices::delete_service
        ))
        .routes(routes!(own_prices::list_own_prices))
        .routes(routes!(
            own_prices::get_own_price,
            own_prices::put_own_price,
            own_prices::delete_own_price
        ))
        .routes(routes!(price_list::list_prices))
        .routes(routes!(estimate::estimate_price))
        .routes(routes!(api_keys::create_api_key, api_keys::list_api_keys))
        .routes(routes!(api_keys::get_api_key, api_keys::revoke_api_key))
        .routes(routes!(api_keys::rotate_api_key))
        .routes(routes!(organization::get_organization, organization::update_organization))
        .routes(routes!(audit_log::list_audit_log))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::status))
        .routes(routes!(health::openapi_document))
}

fn slow_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(upload::upload_file))
}
