//! Bodies of reported usage: bounded before they are read, inflated where they are compressed, and
//! bounded again as they grow.

use std::io::Read;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::{
    Shared,
    error::{ApiError, Code},
    extract::media_type,
};

/// A body as it was meant, and the type that it says it has.
pub(crate) struct IntakeBytes {
    /// The bytes, inflated.
    pub(crate) bytes: Bytes,
    /// In lower case, without parameters.
    pub(crate) media_type: Option<String>,
}

impl IntakeBytes {
    /// The bytes of a JSON body.
    pub(crate) fn json(self) -> Result<Bytes, ApiError> {
        let is_json = |kind: &String| kind == "application/json" || kind.ends_with("+json");
        match self.media_type.as_ref().is_some_and(is_json) || self.bytes.is_empty() {
            true => Ok(self.bytes),
            false => {
                let detail = "send the body as `Content-Type: application/json`";
                Err(ApiError::new(Code::UnsupportedMediaType, detail))
            }
        }
    }
}

impl FromRequest<Shared> for IntakeBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        let limit = state.limits.intake_bytes_max;
        let headers = request.headers();
        let media_type = media_type(headers);
        let is_compressed = is_compressed(headers)?;
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        // What says that it is too large is not even read.
        if length.and_then(|text| text.parse().ok()).is_some_and(|length: usize| length > limit) {
            return Err(too_large(limit));
        }
        let bytes = to_bytes(request.into_body(), limit).await.map_err(|error| {
            let is_long = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            match is_long {
                true => too_large(limit),
                false => {
                    let detail = "the body ended before it was complete";
                    ApiError::new(Code::MalformedJson, detail)
                }
            }
        })?;
        let bytes = match is_compressed {
            true => tokio::task::spawn_blocking(move || inflated(&bytes, limit))
                .await
                .map_err(ApiError::internal)??,
            false => bytes,
        };
        Ok(IntakeBytes { bytes, media_type })
    }
}

fn is_compressed(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "gzip" => Ok(true),
        "" | "identity" => Ok(false),
        _ => {
            let detail = "bodies are read plain or with `Content-Encoding: gzip`";
            Err(ApiError::new(Code::UnsupportedMediaType, detail))
        }
    }
}

/// What a compressed body holds; one that grows beyond the limit is given up there.
fn inflated(bytes: &[u8], limit: usize) -> Result<Bytes, ApiError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut inflated = vec![];
    MultiGzDecoder::new(bytes).take(most).read_to_end(&mut inflated).map_err(|_| {
        ApiError::new(Code::MalformedEncoding, "the body is not what gzip makes, or is cut off")
    })?;
    match inflated.len() > limit {
        true => Err(too_large(limit)),
        false => Ok(inflated.into()),
    }
}

fn too_large(limit: usize) -> ApiError {
    let detail = format!("a body may have {limit} bytes, once inflated too: send smaller batches");
    ApiError::new(Code::PayloadTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_grows_beyond_the_limit_is_given_up() {
        let bomb = gzip(&vec![0; 1_000_000]);
        assert!(bomb.len() < 2_000);
        assert_eq!(inflated(&bomb, 10_000).unwrap_err().code(), Code::PayloadTooLarge);
        assert_eq!(inflated(&bomb, 1_000_000).unwrap().len(), 1_000_000);
        let error = inflated(&bomb[..bomb.len() / 2], 1_000_000).unwrap_err();
        assert_eq!(error.code(), Code::MalformedEncoding);
        assert_eq!(inflated(b"plain", 100).unwrap_err().code(), Code::MalformedEncoding);
    }
}
