//! Every route over the real store and vault: what it answers, and what it refuses and how.

#![expect(clippy::unwrap_used, reason = "what fails in a test's own functions fails the test")]

mod api_keys;
mod audit_log;
mod auth;
mod bodies;
mod check;
mod connections;
mod corrections;
mod envelope;
mod estimate;
mod files;
mod health;
mod idempotency;
mod memory_caps;
mod openapi;
mod organization;
mod own_prices;
mod paths;
mod policies;
mod price_cases;
mod price_catalogue;
mod price_list;
mod providers;
mod real_shards;
mod reported;
mod reports;
mod reservations;
mod syncs;
mod telemetry;
mod test_app;
mod track;
