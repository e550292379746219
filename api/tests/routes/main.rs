//! Every route over the real store and vault: what it answers, and what it refuses and how.

mod audit_log;
mod auth;
mod connections;
mod envelope;
mod files;
mod health;
mod idempotency;
mod openapi;
mod providers;
mod reports;
mod syncs;
mod test_app;
