//! Who asks, and whether they may: API keys by their hash, scopes, environments.
//!
//! A route names the right it needs in the type of its first argument, so no route can forget to
//! check it.

use std::{
    collections::HashMap,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts},
};
use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, Path, Scope, organization::Environment};
use jiff::Timestamp;
use shards::Actor;
use tokio::time::Instant;

use crate::{
    Shared,
    envelope::RequestId,
    error::{ApiError, Code},
    state::AppState,
};

/// Who asks.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Whose data it is about.
    pub(crate) organization: OrganizationId,
    /// Which of the organization's worlds the key opens.
    pub(crate) environment: Environment,
    /// The key's id; none for the local token.
    pub(crate) key: Option<KeyId>,
    /// The path that the key is bound to, where it is.
    pub(crate) path_prefix: Option<Path>,
    /// The peer's address, where it is known.
    pub(crate) ip: Option<IpAddr>,
    /// The request's id.
    pub(crate) request_id: RequestId,
    scopes: Vec<Scope>,
    /// Made when it is first asked for: a batch asks for each of its events.
    actor: OnceLock<Vec<u8>>,
}

impl Caller {
    /// The audit log's entry of something this caller did.
    pub(crate) fn did(&self, action: &str, target: String, at: Timestamp) -> AuditEvent {
        AuditEvent {
            organization: self.organization,
            actor: self.key.map_or_else(|| "local".to_owned(), |key| key.to_string()),
            action: action.to_owned(),
            target,
            ip: self.ip.map(|ip| ip.to_string()),
            at,
        }
    }

    /// Who asks, as the journal keeps it.
    pub(crate) fn actor(&self) -> &[u8] {
        self.actor.get_or_init(|| {
            let id = self.key.map_or_else(|| "local".to_owned(), |key| key.text().to_string());
            let ip = self.ip.map(|ip| ip.to_string());
            Actor::key(id, ip, Some(self.request_id.text().to_string())).encode()
        })
    }

    /// Refuses keys of the test environment what lives in the live one only.
    pub(crate) fn must_be_live(&self) -> Result<(), ApiError> {
        match self.environment {
            Environment::Live => Ok(()),
            Environment::Test => Err(forbidden(
                "this lives in the live environment: use an `outlay_live_…` key".to_owned(),
            )),
        }
    }

    /// Whether the key may be used for a path: one that is bound to a path, for that one and those
    /// below it. What concerns all paths is asked for as the root.
    pub(crate) fn may_use(&self, path: &Path) -> Result<(), ApiError> {
        match &self.path_prefix {
            Some(prefix) if !prefix.holds(path.as_str()) => Err(forbidden(format!(
                "the key is bound to the path `{prefix}`; use that path or one below it"
            ))),
            _ => Ok(()),
        }
    }
}

/// What a route needs.
pub(crate) trait Right {
    /// The scope; none implies another.
    const SCOPE: Scope;
    /// Another scope that will do.
    const OR: Option<Scope> = None;
    /// Whether the data lives in the live environment only.
    const IS_LIVE_ONLY: bool;
}

/// To read what both environments share, or each has of its own.
pub(crate) struct Read;
impl Right for Read {
    const SCOPE: Scope = Scope::Read;
    const IS_LIVE_ONLY: bool = false;
}

/// To change what each environment has of its own.
pub(crate) struct Write;
impl Right for Write {
    const SCOPE: Scope = Scope::Write;
    const IS_LIVE_ONLY: bool = false;
}

/// To report usage, and to hold and settle what is about to be used.
pub(crate) struct Track;
impl Right for Track {
    const SCOPE: Scope = Scope::Track;
    const IS_LIVE_ONLY: bool = false;
}

/// To ask before a call, as whoever reads and whoever reports may.
pub(crate) struct TrackOrRead;
impl Right for TrackOrRead {
    const SCOPE: Scope = Scope::Track;
    const OR: Option<Scope> = Some(Scope::Read);
    const IS_LIVE_ONLY: bool = false;
}

/// To read connections, files, charges, costs and what was done to them.
pub(crate) struct ReadBilling;
impl Right for ReadBilling {
    const SCOPE: Scope = Scope::Read;
    const IS_LIVE_ONLY: bool = true;
}

/// To change connections and files.
pub(crate) struct WriteBilling;
impl Right for WriteBilling {
    const SCOPE: Scope = Scope::Write;
    const IS_LIVE_ONLY: bool = true;
}

/// To manage keys.
pub(crate) struct Admin;
impl Right for Admin {
    const SCOPE: Scope = Scope::Admin;
    const IS_LIVE_ONLY: bool = false;
}

/// To change what both environments share.
pub(crate) struct AdminOrganization;
impl Right for AdminOrganization {
    const SCOPE: Scope = Scope::Admin;
    const IS_LIVE_ONLY: bool = true;
}

/// A caller who has the right `R`.
pub(crate) struct Authorized<R> {
    /// Who asks.
    pub(crate) caller: Caller,
    right: PhantomData<R>,
}

impl<R: Right> FromRequestParts<Shared> for Authorized<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = identify(parts, state).await?;
        let has = |scope: &Scope| caller.scopes.contains(scope);
        if !has(&R::SCOPE) && !R::OR.as_ref().is_some_and(has) {
            let scope = R::SCOPE.as_str();
            return Err(forbidden(format!("the key lacks the scope `{scope}`")));
        }
        if R::IS_LIVE_ONLY {
            caller.must_be_live()?;
        }
        Ok(Authorized { caller, right: PhantomData })
    }
}

async fn identify(parts: &Parts, state: &AppState) -> Result<Caller, ApiError> {
    let token = bearer(parts)
        .ok_or_else(|| unauthenticated("send `Authorization: Bearer` with an API key"))?;
    let sha256 = identity::hash_key(token);
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let ip = peer.map(|ConnectInfo(address)| address.ip().to_canonical());
    let request_id = RequestId::of(&parts.extensions);
    if let Some(local) = state.local_token.filter(|local| local.sha256 == sha256) {
        return Ok(Caller {
            organization: local.organization,
            environment: Environment::Live,
            key: None,
            path_prefix: None,
            ip,
            request_id,
            scopes: Scope::ALL.to_vec(),
            actor: OnceLock::new(),
        });
    }
    let unknown = || unauthenticated("the key is unknown, revoked or expired");
    let environment = identity::environment_of_key(token).ok_or_else(unknown)?;
    let key = state.keys.key(state, sha256).await?.ok_or_else(unknown)?;
    if !key.is_valid_at(state.now()) || key.environment != environment {
        return Err(unknown());
    }
    Ok(Caller {
        organization: key.organization,
        environment: key.environment,
        key: Some(key.id),
        path_prefix: key.path_prefix.clone(),
        ip,
        request_id,
        scopes: key.scopes.clone(),
        actor: OnceLock::new(),
    })
}

/// The scheme's name may be in any case: <https://www.rfc-editor.org/rfc/rfc9110#section-11.1>
fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthenticated(detail: &'static str) -> ApiError {
    ApiError::new(Code::Unauthenticated, detail)
}

fn forbidden(detail: String) -> ApiError {
    ApiError::new(Code::Forbidden, detail)
}

/// Keys by hash, each remembered for a moment. A revoked key stops within 5 seconds on every node,
/// which leaves room for a slow request, and at once on the node that revoked it. Expiry is looked
/// at with each request. Unknown keys are not remembered: a new one works at once.
#[derive(Default)]
pub struct KeyCache(Mutex<HashMap<[u8; 32], LookedUp>>);

/// When a key was looked up, and what it is.
type LookedUp = (Instant, Arc<ApiKey>);

impl KeyCache {
    const AGE_MAX: Duration = Duration::from_secs(3);
    const SIZE_MAX: usize = 10_000;

    async fn key(
        &self,
        state: &AppState,
        sha256: [u8; 32],
    ) -> Result<Option<Arc<ApiKey>>, ApiError> {
        let now = Instant::now();
        if let Some(key) = self.remembered(&sha256, now) {
            return Ok(Some(key));
        }
        let found = state.store.api_key_by_hash(&sha256).await?.map(Arc::new);
        if let Some(key) = &found {
            let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= Self::SIZE_MAX {
                keys.clear();
            }
            // The age counts from before the store was asked, so the limit holds whatever it took.
            keys.insert(sha256, (now, Arc::clone(key)));
        }
        Ok(found)
    }

    /// Forgets a key that has changed.
    pub(crate) fn forget(&self, sha256: &[u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(sha256);
    }

    fn remembered(&self, sha256: &[u8; 32], now: Instant) -> Option<Arc<ApiKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (looked_up_at, key) = keys.get(sha256)?;
        (now.duration_since(*looked_up_at) < Self::AGE_MAX).then(|| Arc::clone(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound_to(prefix: Option<&str>) -> Caller {
        Caller {
            organization: OrganizationId::from_uuid(uuid::Uuid::nil()),
            environment: Environment::Live,
            key: None,
            path_prefix: prefix.map(|text| Path::parse(text).unwrap()),
            ip: None,
            request_id: RequestId::of(&axum::http::Extensions::new()),
            scopes: vec![],
            actor: OnceLock::new(),
        }
    }

    #[test]
    fn a_key_bound_to_a_path_may_use_it_and_what_is_below() {
        let rows = [
            (None, "", true),
            (None, "acme/app", true),
            (Some("acme/app"), "acme/app", true),
            (Some("acme/app"), "acme/app/search", true),
            (Some("acme/app"), "acme/app2", false),
            (Some("acme/app"), "acme", false),
            (Some("acme/app"), "", false),
        ];
        for (prefix, path, may) in rows {
            let asked = bound_to(prefix).may_use(&Path::parse(path).unwrap());
            assert_eq!(asked.is_ok(), may, "{prefix:?} {path}");
            assert!(
                asked.map_err(|error| format!("{error:?}")).err().is_none_or(|text| {
                    text.contains("Forbidden") && text.contains("`acme/app`")
                })
            );
        }
    }
}
