//! OTLP over HTTP: calls of models among the spans that an application exports anyway.

use axum::{extract::State, http::StatusCode, response::Response};
use shards::{Lane, detail::Source};
use usage::{TelemetryError, TelemetryErrorKind, Traces};

use crate::{
    Shared,
    asking::at_position,
    auth::{Authorized, Caller, Track},
    error::{ApiError, Code},
    intake::IntakeBytes,
    otlp_answer::{Encoding, ExportView, Signal, wrong},
    state::AppState,
    telemetry::Telemetry,
    track::{book, off_thread},
};

/// How many reasons an answer tells.
const REASONS_MAX: usize = 5;

/// Books the calls of models among exported spans, by the `GenAI` semantic conventions; other spans
/// are ignored. Idempotent by trace and span. Protobuf or JSON, plain or with gzip; answered in the
/// encoding of the request.
#[utoipa::path(post, path = "/otlp/v1/traces", tag = "telemetry",
    request_body(content(
        (serde_json::Value = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses((status = 200, body = ExportView)))]
pub(crate) async fn export_traces(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    body: IntakeBytes,
) -> Result<Response, ApiError> {
    let encoding = encoding(&body)?;
    let bytes = body.bytes;
    let read = off_thread(bytes.len(), move || match encoding {
        Encoding::Protobuf => usage::read_traces_protobuf(&bytes),
        Encoding::Json => usage::read_traces_json(&bytes),
    });
    match read.await? {
        Ok(traces) => export(&state, &caller, traces, encoding).await,
        Err(error) => refuse(&error, encoding),
    }
}

async fn export(
    state: &AppState,
    caller: &Caller,
    traces: Traces,
    encoding: Encoding,
) -> Result<Response, ApiError> {
    let telemetry = Telemetry::new(state, caller, Source::Otlp, traces.calls.iter()).await?;
    let size = traces.spans_count.saturating_mul(1_000);
    let calls = traces.calls.into_iter().map(Ok);
    let all: Vec<_> = calls.chain(traces.rejected.into_iter().map(Err)).collect();
    let prepared = off_thread(size, move || telemetry.prepare(all)).await?;
    let (results, _, position) = book(state, caller, prepared, Lane::Bulk).await?;
    let reasons: Vec<_> = results.iter().filter_map(|result| result.rejection()).collect();
    let message = reasons.iter().take(REASONS_MAX).copied().collect::<Vec<_>>().join("; ");
    let answer = encoding.taken(Signal::Traces, reasons.len(), &message);
    Ok(match position {
        Some(position) => at_position(position, answer),
        None => answer,
    })
}

/// Takes metrics and does nothing with them: calls are read from traces.
#[utoipa::path(post, path = "/otlp/v1/metrics", tag = "telemetry",
    request_body(content(
        (serde_json::Value = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses((status = 200, body = ExportView)))]
pub(crate) async fn export_metrics(
    _: Authorized<Track>,
    body: IntakeBytes,
) -> Result<Response, ApiError> {
    let message = "metrics are not used: calls of models are read from traces";
    Ok(encoding(&body)?.taken(Signal::Metrics, 0, message))
}

/// Takes log records and does nothing with them: calls are read from traces.
#[utoipa::path(post, path = "/otlp/v1/logs", tag = "telemetry",
    request_body(content(
        (serde_json::Value = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses((status = 200, body = ExportView)))]
pub(crate) async fn export_logs(
    _: Authorized<Track>,
    body: IntakeBytes,
) -> Result<Response, ApiError> {
    let message = "log records are not used: calls of models are read from traces";
    Ok(encoding(&body)?.taken(Signal::Logs, 0, message))
}

fn encoding(body: &IntakeBytes) -> Result<Encoding, ApiError> {
    Encoding::of(body.media_type.as_deref()).ok_or_else(|| {
        let detail = "OTLP is read as `application/x-protobuf` or `application/json`";
        ApiError::new(Code::UnsupportedMediaType, detail)
    })
}

/// The refusal of a whole request, in the encoding of the request.
fn refuse(error: &TelemetryError, encoding: Encoding) -> Result<Response, ApiError> {
    let (code, status) = match (error.kind, encoding) {
        (TelemetryErrorKind::TooLarge, _) => (Code::PayloadTooLarge, StatusCode::PAYLOAD_TOO_LARGE),
        (TelemetryErrorKind::Malformed, Encoding::Json) => {
            (Code::MalformedJson, StatusCode::BAD_REQUEST)
        }
        (TelemetryErrorKind::Malformed, Encoding::Protobuf) => {
            (Code::MalformedProtobuf, StatusCode::BAD_REQUEST)
        }
    };
    match encoding {
        Encoding::Json => Err(ApiError::new(code, error.to_string())),
        Encoding::Protobuf => Ok(wrong(status, &format!("{}: {error}", code.as_str()))),
    }
}
