//! API keys as plain data. The key itself stands only in the answer that makes it.

use domain::ApiKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    /// `key_…`: names the key and opens nothing.
    id: String,
    /// The key itself, shown in the answer that makes it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Name given by a person.
    name: String,
    /// `live` or `test`: whose data it opens.
    #[schema(value_type = schemas::EnvironmentName)]
    environment: &'static str,
    /// What it may do. None implies another.
    #[schema(value_type = Vec<schemas::ScopeName>)]
    scopes: Vec<&'static str>,
    /// It may be used for this path and those below; null for all.
    path_prefix: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused; null where it does not expire.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// Id of the key that took its place.
    rotated_to: Option<String>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> ApiKeyView {
        ApiKeyView {
            id: key.id.to_string(),
            key: None,
            name: key.name,
            environment: key.environment.as_str(),
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            path_prefix: key.path_prefix.map(|path| path.to_string()),
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
            rotated_to: key.rotated_to.map(|id| id.to_string()),
        }
    }
}

impl ApiKeyView {
    /// The same with what stands in the key's place.
    pub(crate) fn with_key(mut self, key: String) -> ApiKeyView {
        self.key = Some(key);
        self
    }
}
