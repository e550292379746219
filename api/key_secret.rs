//! The text of a new API key: in the answer that makes it, and in no stored byte.
//!
//! The first answer to a POST is stored for its repeats, so the text may not stand in it. In its
//! place stands the key's hash, and the text is put in on the way out, for the first answer and
//! each repeat alike. Its bits are derived from the key's id and from the `Idempotency-Key`, which
//! is not stored either, under the organization's data key. So a repeat after a crash makes the
//! same key, and neither the store nor the store with its key-encryption key is enough to make it
//! unless the client's text can be guessed. A POST without an `Idempotency-Key` has no repeats, and
//! random bits in its place.

use axum::{
    body::{Body, to_bytes},
    http::{StatusCode, header},
    response::Response,
};
use domain::{KeyId, Path, organization::Environment};
use identity::KeyBits;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    auth::Caller,
    dto_file::hex,
    error::{ApiError, Code},
    idempotency::Once,
    state::{AppState, SealError},
};

const PURPOSE: &str = "api key";

/// What the bits of one request's new key are derived from, besides its id.
#[derive(Clone)]
pub(crate) struct KeySeed(KeyBits);

/// What is read out of an answer in order to put the key in.
#[derive(Deserialize)]
struct Made {
    id: String,
    key: String,
    environment: String,
    path_prefix: Option<String>,
}

impl KeySeed {
    /// The seed of a request.
    pub(crate) fn of(once: &Once) -> Result<KeySeed, ApiError> {
        Ok(KeySeed(match once.key() {
            Some(key) => Zeroizing::new(Sha256::digest(key.as_bytes()).into()),
            None => identity::new_key_bits().map_err(ApiError::internal)?,
        }))
    }

    /// The bits of the key of an id.
    pub(crate) async fn bits(
        &self,
        state: &AppState,
        caller: &Caller,
        id: KeyId,
    ) -> Result<KeyBits, ApiError> {
        let id = id.uuid();
        let parts: [&[u8]; 2] = [id.as_bytes(), self.0.as_slice()];
        let derived = state.vault.derive(caller.organization, PURPOSE, &parts).await;
        derived.map_err(not_derived)
    }

    /// An answer with the key in the place of its hash. Any other answer stays as it is.
    pub(crate) async fn shown(
        &self,
        state: &AppState,
        caller: &Caller,
        response: Response,
    ) -> Result<Response, ApiError> {
        if response.status() != StatusCode::CREATED {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
        let made: Made = serde_json::from_slice(&body).map_err(ApiError::internal)?;
        // Another caller than the first may ask again, and may not see every key.
        let prefix = Path::parse(made.path_prefix.as_deref().unwrap_or_default());
        caller.may_use(&prefix.map_err(ApiError::internal)?)?;
        let id = KeyId::parse(&made.id).map_err(ApiError::internal)?;
        let environment = Environment::parse(&made.environment).ok_or_else(cannot_be_shown)?;
        let text = identity::key_text(environment, &self.bits(state, caller, id).await?);
        if in_place_of(&identity::hash_key(text.expose())) != made.key {
            return Err(cannot_be_shown());
        }
        let body = std::str::from_utf8(&body).map_err(ApiError::internal)?;
        // Within a text quotes are escaped, so this is the field and nothing in a name.
        let field = |value: &str| format!("\"key\":\"{value}\"");
        let body = body.replacen(&field(&made.key), &field(text.expose()), 1);
        parts.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

/// What stands in the key's place in an answer that is stored.
pub(crate) fn in_place_of(sha256: &[u8; 32]) -> String {
    format!("sha256:{}", hex(sha256))
}

fn not_derived(error: SealError) -> ApiError {
    match error.is_temporary {
        true => ApiError::new(Code::Unavailable, "the key cannot be made now; try again")
            .caused_by(error),
        false => ApiError::internal(error),
    }
}

/// The organization's data key is another one by now.
fn cannot_be_shown() -> ApiError {
    let detail = "the key was made and cannot be shown again; revoke it and make another";
    ApiError::new(Code::Conflict, detail)
}
