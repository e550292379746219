#![doc = include_str!("README.md")]

mod allowed_path;
mod amount;
mod answer_text;
mod api_key_input;
mod api_keys;
mod asking;
mod audit_log;
mod auth;
mod bodies;
mod canonical_body;
pub mod charge_reports;
mod charges;
mod check;
mod check_text;
mod cloud_events;
mod connection_input;
mod connections;
mod context_input;
mod corrections;
mod costs;
mod dto_api_key;
mod dto_audit;
mod dto_charge;
mod dto_check;
mod dto_connection;
mod dto_correction;
mod dto_cost;
mod dto_decision;
mod dto_estimate;
mod dto_file;
mod dto_organization;
mod dto_own_price;
mod dto_path;
mod dto_policy;
mod dto_price;
mod dto_price_row;
mod dto_provider;
mod dto_reservation;
mod dto_track;
mod dto_usage_event;
mod end_users;
mod envelope;
mod error;
mod estimate;
mod event_input;
mod extract;
mod files;
mod front;
mod health;
mod idempotency;
mod instants;
mod intake;
mod iso_duration;
mod json_answer;
mod json_decimal;
mod json_number;
mod key_secret;
mod openapi;
mod organization;
mod organization_input;
mod otlp;
mod otlp_answer;
mod own_price_cache;
mod own_price_input;
mod own_prices;
mod pages;
mod paths;
mod period;
mod policies;
mod policy_input;
mod price_list;
mod pricing;
mod providers;
mod raw_usage;
mod reported_events;
mod reported_sums;
pub mod reports;
mod reprice;
mod repricing;
mod reservation_input;
mod reservations;
mod reversal;
mod routes;
mod schemas;
mod spend;
mod spool;
mod state;
mod stored_call;
mod syncs;
mod telemetry;
mod track;
mod upload;
mod usage_events;
mod usage_input;
mod window_input;

use std::sync::{Arc, LazyLock};

use axum::{Router, middleware::from_fn};
use tower_http::catch_panic::CatchPanicLayer;

pub use auth::KeyCache;
pub use end_users::EndUserCache;
pub use error::Code;
pub use front::Front;
pub use own_price_cache::OwnPriceCache;
pub use reports::Reports;
pub use state::{AppState, Catalogue, Limits, LocalToken, SealError, Sealer};

/// The state as routes take it.
type Shared = Arc<AppState>;

/// Every route over `state`; [`Front`] goes before it.
fn router(state: &Shared) -> Router {
    let (router, _) = routes::registered(state).split_for_parts();
    router
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .fallback(envelope::not_found)
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(envelope::trace())
        .layer(from_fn(envelope::enclose))
        .with_state(Arc::clone(state))
}

/// The OpenAPI 3.1 document, as `GET /openapi.json` answers it and `openapi.json` holds it.
#[must_use]
pub fn openapi_json() -> &'static str {
    // Nothing in it changes while the process runs.
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| openapi::document(routes::all().into_openapi()));
    &DOCUMENT
}
