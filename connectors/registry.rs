//! The one list of all connectors. Nothing else names them all.

use crate::Connector;

#[path = "anthropic/mod.rs"]
mod anthropic;
#[path = "openai/mod.rs"]
mod openai;
// scripts/new-connector declares the next one above this line.

/// Every connector, in the order in which they came.
pub const REGISTRY: &[&dyn Connector] = &[
    &openai::OpenAi,
    &anthropic::Anthropic,
    // scripts/new-connector lists the next one above this line.
];

/// The connector of a provider id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Connector> {
    REGISTRY.iter().copied().find(|connector| connector.descriptor().id == id)
}
