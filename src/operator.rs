//! Who may say what only an operator says: a command on the server's own machine, or a live key
//! with the scope `admin`. The routes by which they say it are no part of the API.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Clock, OrganizationId, Scope, organization::Environment};
use serde_json::json;
use shards::{Actor, Cluster};
use store::Store;

/// What such routes work with.
pub(crate) struct Door {
    /// What is spoken to.
    pub(crate) cluster: Arc<Cluster>,
    /// Where keys are.
    pub(crate) store: Arc<dyn Store>,
    /// Tells whether a key has expired.
    pub(crate) clock: Arc<dyn Clock>,
    /// SHA-256 of the token of commands on this machine.
    pub(crate) local_sha256: [u8; 32],
}

/// Who speaks.
pub(crate) struct Operator {
    /// For the audit log.
    pub(crate) actor: Actor,
    /// The only organization that they speak for; none where they may speak for each.
    pub(crate) organization: Option<OrganizationId>,
}

impl Door {
    /// Who speaks, where they may; else what they hear.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Operator, Response> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        match self.operator(token.unwrap_or_default()).await {
            Ok(Some(operator)) => Ok(operator),
            Ok(None) => {
                let detail = "this needs a live API key with the scope `admin`";
                Err(refused(StatusCode::FORBIDDEN, "forbidden", detail))
            }
            Err(error) => {
                tracing::warn!(error = %error, "a key could not be looked up");
                let detail = "the store cannot be reached";
                Err(refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail))
            }
        }
    }

    async fn operator(&self, token: &str) -> store::Result<Option<Operator>> {
        let sha256 = identity::hash_key(token);
        if sha256 == self.local_sha256 {
            let actor = Actor::key("local".to_owned(), None, None);
            return Ok(Some(Operator { actor, organization: None }));
        }
        let Some(environment) = identity::environment_of_key(token) else { return Ok(None) };
        let key = self.store.api_key_by_hash(&sha256).await?;
        let key = key.filter(|key| {
            key.is_valid_at(self.clock.now())
                && key.environment == environment
                && key.environment == Environment::Live
                && key.path_prefix.is_none()
                && key.scopes.contains(&Scope::Admin)
        });
        Ok(key.map(|key| Operator {
            actor: Actor::key(key.id.to_string(), None, None),
            organization: Some(key.organization),
        }))
    }
}

/// A problem document, as the API has them.
pub(crate) fn refused(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = json!({"code": code, "title": title, "detail": detail});
    (status, Json(problem)).into_response()
}
