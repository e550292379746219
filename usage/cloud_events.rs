//! Events in the shape of CloudEvents 1.0: one, or a list of them, each a call of a model.
//!
//! An event's `source` and `id` are its identity, its `subject` is the end user, the extension
//! `outlaypath` says where it belongs, and `event_data.rs` reads its `data`. `OpenMeter` takes the
//! same shape, so that what is sent there can be sent here.
//! <https://github.com/cloudevents/spec>, <https://openmeter.io/docs>

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::value::RawValue;

use crate::{
    event_data,
    otel_json::{not_json, text_of},
    otel_span::too_large,
    reported::{
        IDENTITY_CHARACTERS_MAX, Limits, PATH_CHARACTERS_MAX, Reason, RejectedReport,
        RejectionKind, ReportedCall, TelemetryError,
    },
    wire::Object,
};

/// Most events of a batch.
pub const EVENTS_MAX: usize = 1000;

/// How a body has its events, which the content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsForm {
    /// `application/cloudevents+json`: one event.
    Single,
    /// `application/cloudevents-batch+json`: a list, which may be empty.
    Batch,
    /// `application/json`, which may be either.
    Either,
}

/// Reads events: a result for each, in the order they were sent. One that cannot be booked does
/// not touch the others.
///
/// # Errors
/// [`TelemetryError`] where the body is not JSON of that form, with the place where that shows, or
/// has more than [`EVENTS_MAX`] events.
pub fn read_cloud_events(
    form: EventsForm,
    body: &[u8],
) -> Result<Vec<Result<ReportedCall, RejectedReport>>, TelemetryError> {
    let text = text_of(body)?;
    let is_batch = match form {
        EventsForm::Single => false,
        EventsForm::Batch => true,
        EventsForm::Either => text.trim_start().starts_with('['),
    };
    let events: Vec<&RawValue> = match is_batch {
        true => serde_json::from_str(text).map_err(|error| not_json(&error))?,
        false => vec![serde_json::from_str(text).map_err(|error| not_json(&error))?],
    };
    if events.len() > EVENTS_MAX {
        return Err(too_large("", "events", EVENTS_MAX));
    }
    Ok(events.into_iter().enumerate().map(|(index, raw)| read_event(raw, index)).collect())
}

/// The attributes of an event, without its data.
pub(crate) struct Envelope {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) subject: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) limits: Limits,
}

fn read_event(raw: &RawValue, index: usize) -> Result<ReportedCall, RejectedReport> {
    let event = Object::of(raw, String::new());
    let event = event.map_err(|error| {
        Reason::new(RejectionKind::Malformed, &error.pointer, &error.detail).rejected(index, None)
    })?;
    let envelope =
        envelope(&event).map_err(|reason| reason.rejected(index, identity(&event, "id").ok()))?;
    let id = envelope.id.clone();
    event_data::read(&event, envelope).map_err(|reason| reason.rejected(index, Some(id)))
}

fn envelope(event: &Object<'_>) -> Result<Envelope, Reason> {
    let malformed = |at: &str, detail| Err(Reason::new(RejectionKind::Malformed, at, detail));
    let (source, id) = (identity(event, "source")?, identity(event, "id")?);
    if event.text("specversion").as_deref() != Some("1.0") {
        return malformed("/specversion", "CloudEvents are read in version `1.0`");
    }
    if event.text("type").is_none() {
        return malformed("/type", "an event has a type, whatever it is");
    }
    let content = event.text("datacontenttype").unwrap_or_default().to_ascii_lowercase();
    let content = content.split(';').next().unwrap_or_default().trim();
    let is_json = content.is_empty() || content == "application/json" || content.ends_with("+json");
    if !is_json {
        return malformed("/datacontenttype", "data are read as JSON only");
    }
    let mut limits = Limits::default();
    let subject = event.text("subject").and_then(|text| limits.text("/subject", &text));
    let path = event.text("outlaypath");
    let path = path.and_then(|text| limits.within("/outlaypath", &text, PATH_CHARACTERS_MAX));
    Ok(Envelope { source, id, subject, path, time: time(event, "time")?, limits })
}

fn identity(event: &Object<'_>, field: &str) -> Result<String, Reason> {
    let said = event.text(field).filter(|text| {
        text.chars().count() <= IDENTITY_CHARACTERS_MAX && !text.chars().any(char::is_control)
    });
    said.ok_or_else(|| {
        let detail = format!("a text of 1 to {IDENTITY_CHARACTERS_MAX} characters is needed here");
        Reason::new(RejectionKind::IdentityInvalid, &event.at_field(field), &detail)
    })
}

/// An instant in the words of RFC 3339. Without a zone it is UTC, as LiteLLM means it.
pub(crate) fn time(object: &Object<'_>, field: &str) -> Result<Option<Timestamp>, Reason> {
    if !object.has(field) {
        return Ok(None);
    }
    let text = object.text(field).unwrap_or_default();
    let zoned = text.parse::<Timestamp>().ok();
    let utc = || {
        let civil: DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    zoned.or_else(utc).map(Some).ok_or_else(|| {
        let detail = "an instant as RFC 3339 has it: `2026-10-01T00:00:00Z`";
        Reason::new(RejectionKind::TimeInvalid, &object.at_field(field), detail)
    })
}
