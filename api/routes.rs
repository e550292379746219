//! Every route of the API, registered with what the OpenAPI document says of it, and the limits of
//! those that belong together.

use std::sync::Arc;

use axum::{extract::DefaultBodyLimit, middleware::from_fn_with_state, routing::post};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Shared, api_keys, audit_log, charges, check, cloud_events, connections, costs, envelope,
    estimate, files, health, openapi, organization, otlp, own_prices, paths, policies, price_list,
    providers, reprice, reservations, reversal, syncs, track, upload, usage_events,
};

/// All routes, without their limits.
pub(crate) fn all() -> OpenApiRouter<Shared> {
    quick_routes().merge(intake_routes()).merge(slow_routes())
}

/// All routes with their limits.
pub(crate) fn registered(state: &Shared) -> OpenApiRouter<Shared> {
    let quick = quick_routes()
        .layer(from_fn_with_state(Arc::clone(state), envelope::within_time))
        .layer(DefaultBodyLimit::max(state.limits.body_bytes_max));
    // Reported usage and uploads count their own bytes; uploads have a time limit for each chunk
    // instead of one for all.
    let intake = intake_routes()
        .layer(from_fn_with_state(Arc::clone(state), envelope::within_time))
        .layer(DefaultBodyLimit::disable());
    quick.merge(intake).merge(slow_routes().layer(DefaultBodyLimit::disable()))
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
        .routes(routes!(reversal::reverse_usage_event))
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
        .routes(routes!(reprice::reprice_events))
        .routes(routes!(paths::list_paths))
        .routes(routes!(paths::get_path, paths::put_path))
        .route("/v1/paths/{*path}", post(paths::post_path))
        .routes(routes!(policies::create_policy, policies::list_policies))
        .routes(routes!(policies::get_policy, policies::update_policy, policies::delete_policy))
        .routes(routes!(check::check_call))
        .routes(routes!(reservations::create_reservation))
        .routes(routes!(reservations::get_reservation))
        .routes(routes!(reservations::commit_reservation))
        .routes(routes!(reservations::release_reservation))
        .routes(routes!(reservations::extend_reservation))
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

fn intake_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(track::track_events))
        .routes(routes!(cloud_events::report_cloud_events))
        .routes(routes!(otlp::export_traces))
        .routes(routes!(otlp::export_metrics))
        .routes(routes!(otlp::export_logs))
}

fn slow_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(upload::upload_file))
}
