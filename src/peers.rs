//! How the processes that share a store reach each other: one internal route that takes over what a
//! shard's home is asked, and the client of it. Both know the same key, which follows from the
//! organization's data key, so that whoever can open the store's secrets is a peer and nobody else.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use domain::{Clock, OrganizationId};
use hmac::{Hmac, KeyInit, Mac};
use net::{HttpClient, HttpRequest};
use reqwest::{Method, header::HeaderValue};
use sha2::Sha256;
use shards::{Cluster, PeerError, Peers};
use vault::Vault;

/// The internal route.
const PATH: &str = "/internal/v1/shards";
/// Says when and by whom a request was made: `MILLISECONDS.HMAC`.
const SIGNATURE: &str = "outlay-peer";
/// How far the two clocks may differ.
const AGE_MS_MAX: i64 = 60_000;
/// Most bytes of what is handed over: a batch of reports with all its details.
const BODY_BYTES_MAX: usize = 32 << 20;

/// What peers know each other by.
#[derive(Clone)]
pub(crate) struct PeerKey(Arc<[u8; 32]>);

impl PeerKey {
    /// The key of everybody who shares this store.
    pub(crate) async fn of(vault: &Vault, organization: OrganizationId) -> Result<PeerKey> {
        let key = vault.derive(organization, "cluster peers", &[]).await;
        Ok(PeerKey(Arc::new(*key.context("deriving the cluster's key")?)))
    }

    fn mac(&self, at_ms: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("any length is a key");
        mac.update(&at_ms.to_be_bytes());
        mac.update(body);
        mac
    }

    fn signature(&self, at_ms: i64, body: &[u8]) -> String {
        let tag = self.mac(at_ms, body).finalize().into_bytes();
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{at_ms}.{hex}")
    }

    /// Whether a peer signed this body, and not long ago.
    fn knows(&self, signature: &str, body: &[u8], now_ms: i64) -> bool {
        let Some((at, hex)) = signature.split_once('.') else { return false };
        let Ok(at_ms) = at.parse::<i64>() else { return false };
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let tag: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
        let is_fresh = at_ms.abs_diff(now_ms) <= AGE_MS_MAX.unsigned_abs();
        is_fresh && tag.is_some_and(|tag| self.mac(at_ms, body).verify_slice(&tag).is_ok())
    }
}

/// Calls peers over HTTP.
pub(crate) struct HttpPeers {
    client: HttpClient,
    key: PeerKey,
    clock: Arc<dyn Clock>,
}

impl HttpPeers {
    pub(crate) fn new(key: PeerKey, clock: Arc<dyn Clock>) -> Result<HttpPeers> {
        Ok(HttpPeers { client: HttpClient::plain()?, key, clock })
    }
}

#[async_trait::async_trait]
impl Peers for HttpPeers {
    async fn call(
        &self,
        address: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, PeerError> {
        let failed = |why: String| PeerError { address: address.to_owned(), why };
        let url = format!("http://{address}{PATH}").parse();
        let url = url.map_err(|_| failed("it is no address".to_owned()))?;
        let signature = self.key.signature(self.clock.now().as_millisecond(), &body);
        let signature = HeaderValue::from_str(&signature).map_err(|e| failed(e.to_string()))?;
        let mut request = HttpRequest::get(url);
        request.method = Method::POST;
        request.headers.insert(SIGNATURE, signature);
        request.body = body.into();
        let sent = tokio::time::timeout(patience, self.client.send(request)).await;
        let sent = sent.map_err(|_| failed(format!("nothing came in {patience:?}")))?;
        let response = sent.map_err(|error| failed(error.to_string()))?;
        match response.is_success() {
            true => Ok(response.body.into()),
            false => Err(failed(format!("it answered {}", response.status))),
        }
    }
}

/// What the internal route works with.
struct Door {
    cluster: Arc<Cluster>,
    key: PeerKey,
    clock: Arc<dyn Clock>,
}

/// The internal route. It is no part of the API: only peers can use it.
pub(crate) fn router(cluster: Arc<Cluster>, key: PeerKey, clock: Arc<dyn Clock>) -> Router {
    let door = Door { cluster, key, clock };
    Router::new()
        .route(PATH, post(take_over))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(door))
}

async fn take_over(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> Response {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let now_ms = door.clock.now().as_millisecond();
    if !signature.is_some_and(|signature| door.key.knows(signature, &body, now_ms)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match door.cluster.take_over(&body).await {
        Ok(back) => back.into_response(),
        Err(error) => {
            tracing::warn!(error = %error, "a peer was not understood");
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_body_one_moment_and_one_key() {
        let key = PeerKey(Arc::new([7; 32]));
        let signature = key.signature(1_000_000, b"body");
        assert!(key.knows(&signature, b"body", 1_000_000 + AGE_MS_MAX));
        assert!(!key.knows(&signature, b"body", 1_000_001 + AGE_MS_MAX));
        assert!(!key.knows(&signature, b"Body", 1_000_000));
        assert!(!PeerKey(Arc::new([8; 32])).knows(&signature, b"body", 1_000_000));
        for bad in ["", "1000000", "1000000.", "x.00", "1000000.é0", &signature[..20]] {
            assert!(!key.knows(bad, b"body", 1_000_000), "{bad}");
        }
    }
}
