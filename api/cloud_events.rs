//! `CloudEvents` 1.0: calls of models as events, one or a batch of them.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use shards::{Lane, detail::Source};
use usage::{EventsForm, TelemetryError, TelemetryErrorKind};

use crate::{
    Shared,
    asking::at_position,
    auth::{Authorized, Track},
    dto_track::TrackView,
    error::{ApiError, Code},
    intake::IntakeBytes,
    json_answer::Json,
    telemetry::Telemetry,
    track::{book, off_thread},
};

/// Only the binary mode has it.
const BINARY: HeaderName = HeaderName::from_static("ce-specversion");

/// Books calls of models that are sent as `CloudEvents`, structured or batched: idempotent by
/// source and id, the subject is the end user, the extension `outlaypath` says where it belongs.
/// Each event is answered by itself, in order.
#[utoipa::path(post, path = "/v1/events", tag = "telemetry",
    request_body(content(
        (serde_json::Value = "application/cloudevents+json"),
        (Vec<serde_json::Value> = "application/cloudevents-batch+json"))),
    responses((status = 200, body = TrackView)))]
pub(crate) async fn report_cloud_events(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    headers: HeaderMap,
    body: IntakeBytes,
) -> Result<Response, ApiError> {
    let form = match body.media_type.as_deref() {
        _ if headers.contains_key(&BINARY) => None,
        Some("application/cloudevents+json") => Some(EventsForm::Single),
        Some("application/cloudevents-batch+json") => Some(EventsForm::Batch),
        Some("application/json") => Some(EventsForm::Either),
        _ => None,
    };
    let form = form.ok_or_else(|| {
        let detail = "CloudEvents are read in structured mode (`application/cloudevents+json`) \
                      and batched (`application/cloudevents-batch+json`)";
        ApiError::new(Code::UnsupportedMediaType, detail)
    })?;
    let (bytes, size) = (body.bytes.clone(), body.bytes.len());
    let read = off_thread(size, move || usage::read_cloud_events(form, &bytes)).await?;
    let calls = read.map_err(|error| refused(&error))?;
    let known = calls.iter().filter_map(|call| call.as_ref().ok());
    let telemetry = Telemetry::new(&state, &caller, Source::CloudEvents, known).await?;
    let prepared = off_thread(size, move || telemetry.prepare(calls)).await?;
    let (results, blocked, position) = book(&state, &caller, prepared, Lane::Bulk).await?;
    let answer = (StatusCode::OK, Json(TrackView::new(results, &blocked)));
    Ok(match position {
        Some(position) => at_position(position, answer),
        None => answer.into_response(),
    })
}

fn refused(error: &TelemetryError) -> ApiError {
    let code = match error.kind {
        TelemetryErrorKind::Malformed => Code::MalformedJson,
        TelemetryErrorKind::TooLarge => Code::TooManyEvents,
    };
    ApiError::new(code, error.to_string())
}
