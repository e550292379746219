//! Answers to OTLP in the encoding of the request. The messages have two fields each, so they are
//! written here by hand.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

const PROTOBUF: &str = "application/x-protobuf";

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// What one of the three signals calls what it rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// What became of a request of telemetry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportView {
    /// Absent where everything was taken and there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_success: Option<PartialView>,
}

/// What was rejected.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartialView {
    /// How many spans were rejected, as text: it has 64 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_spans: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_data_points: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log_records: Option<String>,
    /// Why; or, where nothing was rejected, what people should know.
    error_message: String,
}

impl Encoding {
    /// The encoding that a media type names.
    pub(crate) fn of(media_type: Option<&str>) -> Option<Encoding> {
        match media_type? {
            PROTOBUF => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    /// The answer to a request that was taken.
    pub(crate) fn taken(self, signal: Signal, rejected: usize, message: &str) -> Response {
        let says_something = rejected > 0 || !message.is_empty();
        match self {
            Encoding::Json => {
                let count = |of: Signal| (signal == of).then(|| rejected.to_string());
                let partial_success = says_something.then(|| PartialView {
                    rejected_spans: count(Signal::Traces),
                    rejected_data_points: count(Signal::Metrics),
                    rejected_log_records: count(Signal::Logs),
                    error_message: message.to_owned(),
                });
                Json(ExportView { partial_success }).into_response()
            }
            Encoding::Protobuf => {
                let mut partial = vec![];
                push_number(1, u64::try_from(rejected).unwrap_or(u64::MAX), &mut partial);
                push_bytes(2, message.as_bytes(), &mut partial);
                let mut answer = vec![];
                push_bytes(1, &partial, &mut answer);
                protobuf(StatusCode::OK, answer)
            }
        }
    }
}

/// A `google.rpc.Status` that says that the request is wrong.
pub(crate) fn wrong(status: StatusCode, message: &str) -> Response {
    const INVALID_ARGUMENT: u64 = 3;
    let mut answer = vec![];
    push_number(1, INVALID_ARGUMENT, &mut answer);
    push_bytes(2, message.as_bytes(), &mut answer);
    protobuf(status, answer)
}

fn protobuf(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}

/// A field that is a number; zero is left out.
fn push_number(field: u8, value: u64, out: &mut Vec<u8>) {
    if value > 0 {
        out.push(field << 3);
        push_varint(value, out);
    }
}

/// A field that is a text or a message; empty ones are left out.
fn push_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        out.push(field << 3 | 2);
        push_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), out);
        out.extend_from_slice(bytes);
    }
}

fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_written_as_protobuf_has_them() {
        let mut out = vec![];
        push_number(1, 300, &mut out);
        push_bytes(2, b"no", &mut out);
        // protoc --encode of rejected_spans: 300, error_message: "no"
        assert_eq!(out, [0x08, 0xac, 0x02, 0x12, 0x02, b'n', b'o']);
        let mut none = vec![];
        push_number(1, 0, &mut none);
        push_bytes(2, b"", &mut none);
        assert!(none.is_empty());
    }
}
