//! Path ids, query parameters and JSON bodies, each refused with a problem that says where.
//!
//! Serde's messages can quote the value that is wrong, which may be a credential. Only the half
//! that says what would be right leaves this file.

use std::error::Error;

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use domain::{ConnectionId, FileId, KeyId, PolicyId, ReservationId};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_path_to_error::Segment;

use crate::{
    Shared,
    error::{ApiError, Code, FieldError},
    front::LaneId,
};

/// An id that can stand in a path.
pub(crate) trait PathId: Sized {
    /// The id of a text, if it is one.
    fn of_text(text: &str) -> Option<Self>;
}

impl PathId for ConnectionId {
    fn of_text(text: &str) -> Option<Self> {
        ConnectionId::parse(text).ok()
    }
}

impl PathId for FileId {
    fn of_text(text: &str) -> Option<Self> {
        FileId::parse(text).ok()
    }
}

impl PathId for PolicyId {
    fn of_text(text: &str) -> Option<Self> {
        PolicyId::parse(text).ok()
    }
}

impl PathId for ReservationId {
    fn of_text(text: &str) -> Option<Self> {
        ReservationId::parse(text).ok()
    }
}

impl PathId for KeyId {
    fn of_text(text: &str) -> Option<Self> {
        KeyId::parse(text).ok()
    }
}

/// The id in the path. A text that is no id names nothing: 404.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: PathId> FromRequestParts<Shared> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let text = match parts.extensions.remove::<LaneId>() {
            Some(LaneId(text)) => text,
            None => {
                let found = Path::<String>::from_request_parts(parts, state).await;
                found.map_err(|_| ApiError::not_found())?.0
            }
        };
        T::of_text(&text).map(Id).ok_or_else(ApiError::not_found)
    }
}

/// The texts in the path, percent-decoded. One that is no UTF-8 names nothing: 404.
pub(crate) struct PathTexts<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for PathTexts<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let Path(texts) =
            Path::<T>::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        Ok(PathTexts(texts))
    }
}

/// The query's parameters. Unknown ones are refused, so that a typing error does not widen an
/// answer in silence.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Parameters(parameters)),
            Err(rejection) => Err(refused_query(&rejection)),
        }
    }
}

fn refused_query(rejection: &(dyn Error + 'static)) -> ApiError {
    type Cause = serde_path_to_error::Error<serde::de::value::Error>;
    let mut source = Some(rejection);
    while let Some(error) = source {
        if let Some(cause) = error.downcast_ref::<Cause>() {
            let (what, detail) = explain(&cause.inner().to_string());
            let path = cause.path().iter().find_map(key_of);
            let name = path.map(str::to_owned).or_else(|| what.name()).unwrap_or_default();
            let error = FieldError::parameter(name, detail);
            return ApiError::from(what.mark(error));
        }
        source = error.source();
    }
    ApiError::new(Code::ValidationFailed, "the query cannot be read")
}

/// The bytes of a JSON body, to be parsed by [`json`] once the request is known to be the first of
/// its key.
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl FromRequest<Shared> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let limit = state.limits.body_bytes_max;
                let detail = format!("a body may have {limit} bytes");
                return ApiError::new(Code::PayloadTooLarge, detail);
            }
            ApiError::new(Code::MalformedJson, "the body ended before it was complete")
        })?;
        if !is_json && !bytes.is_empty() {
            let detail = "send the body as `Content-Type: application/json`";
            return Err(ApiError::new(Code::UnsupportedMediaType, detail));
        }
        Ok(JsonBytes(bytes))
    }
}

/// The type of a body, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|kind| kind.trim().to_ascii_lowercase())
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}

/// Reads a JSON body.
pub(crate) fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    let is_array = bytes.trim_ascii_start().starts_with(b"[");
    if !is_array && let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    // Something is wrong: first whether it is JSON at all, which outweighs a wrong value.
    let _: IgnoredAny = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    if is_array {
        // Serde would take the items of an array for the fields of an object.
        return Err(FieldError::at("", "expected an object").into());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let cause = error.inner();
        if !cause.is_data() {
            return malformed(cause);
        }
        let (what, detail) = explain(&cause.to_string());
        let mut pointer: String = error.path().iter().map(pointer_part).collect();
        if let What::Field(name) = &what {
            pointer.push_str(&pointer_of(name));
        }
        ApiError::from(what.mark(FieldError::at(pointer, detail)))
    })
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    let detail = format!("the body is not JSON at line {line}, column {column}");
    ApiError::new(Code::MalformedJson, detail)
}

fn key_of(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Map { key } => Some(key),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// A key as one step of a JSON pointer: <https://www.rfc-editor.org/rfc/rfc6901#section-3>
pub(crate) fn pointer_of(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn pointer_part(segment: &Segment) -> String {
    match segment {
        Segment::Map { key } => pointer_of(key),
        Segment::Seq { index } => format!("/{index}"),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

/// What serde found.
enum What {
    /// A field that is not known.
    Unknown,
    /// A field that is not there, or there twice: by its name in our types, which the path lacks.
    Field(String),
    /// Anything else.
    Wrong,
}

impl What {
    fn mark(&self, error: FieldError) -> FieldError {
        match self {
            What::Unknown => error.unknown(),
            What::Field(_) | What::Wrong => error,
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            What::Field(name) => Some(name.clone()),
            What::Unknown | What::Wrong => None,
        }
    }
}

/// Serde has no structured errors; its wording is as stable as its tests, and ours below.
fn explain(message: &str) -> (What, String) {
    // The expectation is ours and comes last; whatever stands before it may quote the client.
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| {
        let position = expected.rfind(" at line ").unwrap_or(expected.len());
        expected[..position].to_owned()
    });
    if message.starts_with("unknown field") {
        let known = expected.map(|known| format!("; known here: {known}")).unwrap_or_default();
        return (What::Unknown, format!("this field is not known{known}"));
    }
    for (start, detail) in [
        ("missing field `", "this field is needed"),
        ("duplicate field `", "this field is given twice"),
    ] {
        if let Some(rest) = message.strip_prefix(start) {
            let name = rest.split('`').next().unwrap_or_default().to_owned();
            return (What::Field(name), detail.to_owned());
        }
    }
    let detail =
        expected.map_or("this value is not valid".to_owned(), |what| format!("expected {what}"));
    (What::Wrong, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read counts")]
    struct Body {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read counts")]
    struct Inner {
        days: u32,
    }

    fn refusal(body: &str) -> String {
        let error = json::<Body>(body.as_bytes()).unwrap_err();
        format!("{error:?}")
    }

    #[test]
    fn a_refusal_says_where_and_never_quotes_the_value() {
        let rows = [
            (r#"{"name": 1}"#, "ValidationFailed", "\"/name\""),
            (r#"{}"#, "ValidationFailed", "\"/name\""),
            (
                r#"{"name":"a","inner":{"days":"sk-admin, expected 1"}}"#,
                "expected u32",
                "/inner/days",
            ),
            (r#"{"name":"a","inner":"sk-admin"}"#, "ValidationFailed", "\"/inner\""),
            (r#"{"name":"a","inner":{"days":1,"d/a~ys":2}}"#, "UnknownField", "/inner/d~1a~0ys"),
            (r#"{"name":"a","nome":"b"}"#, "UnknownField", "\"/nome\""),
            (r#"{"name":"a","name":"b"}"#, "given twice", "\"/name\""),
            (r#"["sk-admin"]"#, "expected an object", "\"\""),
            (r#""sk-admin""#, "ValidationFailed", "\"\""),
        ];
        for (body, what, place) in rows {
            let text = refusal(body);
            assert!(text.contains(what) && text.contains(place), "{body}: {text}");
            assert!(!text.contains("sk-admin"), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = format!(r#"{{"name":{}"#, "[".repeat(10_000));
        for body in ["", "{", "{\"name\":1} x", "{\"name\":1", "\u{feff}{}", "NaN", deep.as_str()] {
            assert!(refusal(body).contains("MalformedJson"), "{body}");
        }
    }
}
