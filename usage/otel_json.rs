//! OTLP in JSON, as tolerant as its emitters are careless: 64-bit numbers are texts or numbers, ids
//! hex in any case, and fields that nobody knows are not looked at.
//!
//! A span that is of a wrong shape is rejected by itself. Values are only taken apart where they
//! are read, so that no depth of a value is a way to stop us.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    otel_span::{
        ATTRIBUTES_MAX, Attributes, ResourceOfSpans, SPANS_MAX, Span, too_large,
        too_many_attributes,
    },
    reported::{Reason, RejectedReport, RejectionKind, TelemetryError, TelemetryErrorKind},
};

type Raws<'a> = Option<Vec<&'a RawValue>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    #[serde(borrow)]
    resource_spans: Raws<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<WireResource<'a>>,
    #[serde(borrow)]
    scope_spans: Raws<'a>,
}

#[derive(Deserialize)]
struct WireResource<'a> {
    #[serde(borrow)]
    attributes: Raws<'a>,
}

#[derive(Deserialize)]
struct WireScopeSpans<'a> {
    #[serde(borrow)]
    spans: Raws<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSpan<'a> {
    trace_id: Option<Cow<'a, str>>,
    span_id: Option<Cow<'a, str>>,
    parent_span_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    start_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    end_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Raws<'a>,
    #[serde(borrow)]
    status: Option<WireStatus<'a>>,
}

#[derive(Deserialize)]
struct WireStatus<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireKeyValue<'a> {
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAnyValue<'a> {
    string_value: Option<Cow<'a, str>>,
    bool_value: Option<bool>,
    #[serde(borrow)]
    int_value: Option<&'a RawValue>,
    #[serde(borrow)]
    double_value: Option<&'a RawValue>,
    #[serde(borrow)]
    array_value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireList<'a> {
    #[serde(borrow)]
    values: Raws<'a>,
}

/// Takes a request apart.
pub(crate) fn read(body: &[u8]) -> Result<Vec<ResourceOfSpans>, TelemetryError> {
    let text = text_of(body)?;
    let request: WireRequest<'_> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let mut index = 0_usize;
    let mut resources = Vec::new();
    for (number, raw) in request.resource_spans.unwrap_or_default().into_iter().enumerate() {
        let at = format!("/resourceSpans/{number}");
        let wire: WireResourceSpans<'_> = shaped(raw, &at)?;
        let attributes = wire.resource.and_then(|resource| resource.attributes);
        let mut attributes = attributes.unwrap_or_default();
        // What a resource has beyond the limit is not read: its spans say most themselves.
        attributes.truncate(ATTRIBUTES_MAX);
        let attributes = kept(&attributes).map_err(|reason| {
            let at = format!("{at}/resource/{}", reason.at);
            TelemetryError::new(TelemetryErrorKind::Malformed, &at, &reason.detail)
        })?;
        let mut spans = Vec::new();
        for (number, raw) in wire.scope_spans.unwrap_or_default().into_iter().enumerate() {
            let at = format!("{at}/scopeSpans/{number}");
            let scope: WireScopeSpans<'_> = shaped(raw, &at)?;
            for raw in scope.spans.unwrap_or_default() {
                if index >= SPANS_MAX {
                    return Err(too_large(&at, "spans", SPANS_MAX));
                }
                spans.push(read_span(raw, index));
                index = index.saturating_add(1);
            }
        }
        // An empty one takes three bytes to send: a body could have millions.
        if !spans.is_empty() {
            resources.push(ResourceOfSpans { attributes, spans });
        }
    }
    Ok(resources)
}

/// The text of a body of JSON.
pub(crate) fn text_of(body: &[u8]) -> Result<&str, TelemetryError> {
    std::str::from_utf8(body).map_err(|error| {
        let at = format!("byte {}", error.valid_up_to());
        TelemetryError::new(TelemetryErrorKind::Malformed, &at, "no UTF-8, as JSON is")
    })
}

/// What is wrong with a body, at its place.
pub(crate) fn not_json(error: &serde_json::Error) -> TelemetryError {
    let at = format!("line {}, column {}", error.line(), error.column());
    let detail = match error.is_data() {
        true => "JSON of another shape than was announced",
        false => "not JSON: is the content type right?",
    };
    TelemetryError::new(TelemetryErrorKind::Malformed, &at, detail)
}

fn shaped<'a, T: Deserialize<'a>>(raw: &'a RawValue, at: &str) -> Result<T, TelemetryError> {
    serde_json::from_str(raw.get()).map_err(|_| {
        TelemetryError::new(TelemetryErrorKind::Malformed, at, "another shape is needed here")
    })
}

fn read_span(raw: &RawValue, index: usize) -> Result<Span, RejectedReport> {
    let wire: WireSpan<'_> = serde_json::from_str(raw.get()).map_err(|_| {
        let detail = "the span's fields have other shapes than OTLP's";
        Reason::new(RejectionKind::Malformed, "", detail).rejected(index, None)
    })?;
    let attributes = wire.attributes.unwrap_or_default();
    let mut span = Span {
        index,
        trace_id: id(wire.trace_id),
        span_id: id(wire.span_id),
        parent_id: id(wire.parent_span_id),
        started_nanos: 0,
        ended_nanos: 0,
        has_failed: wire.status.and_then(|status| status.code).is_some_and(is_error),
        attributes: Attributes::default(),
    };
    span.check_ids().map_err(|reason| reason.rejected(index, None))?;
    let identity = span.identity();
    let mut fill = || {
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(too_many_attributes("attributes"));
        }
        span.attributes = kept(&attributes)?;
        span.started_nanos = nanos(wire.start_time_unix_nano, "startTimeUnixNano")?;
        span.ended_nanos = nanos(wire.end_time_unix_nano, "endTimeUnixNano")?;
        Ok(())
    };
    match fill() {
        Ok(()) => Ok(span),
        Err(reason) => Err(reason.rejected(index, Some(identity))),
    }
}

fn id(said: Option<Cow<'_, str>>) -> String {
    let id = said.unwrap_or_default();
    // No id is longer, and what is longer is none.
    id.chars().take(64).map(|digit| digit.to_ascii_lowercase()).collect()
}

fn is_error(code: &RawValue) -> bool {
    matches!(unquoted(code), "2" | "STATUS_CODE_ERROR")
}

/// The text of a number, quoted or not.
fn unquoted(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn nanos(raw: Option<&RawValue>, at: &str) -> Result<u64, Reason> {
    let Some(text) = raw.map(unquoted).filter(|text| !text.is_empty() && *text != "null") else {
        return Ok(0);
    };
    text.parse().map_err(|_| {
        let detail = "an instant is a whole number of nanoseconds since 1970";
        Reason::new(RejectionKind::TimeInvalid, at, detail)
    })
}

fn kept(all: &[&RawValue]) -> Result<Attributes, Reason> {
    let mut attributes = Attributes::default();
    for (number, raw) in all.iter().enumerate() {
        let at = format!("attributes/{number}");
        let malformed =
            || Reason::new(RejectionKind::Malformed, &at, "an attribute has a key and a value");
        let pair: WireKeyValue<'_> = serde_json::from_str(raw.get()).map_err(|_| malformed())?;
        let Some((key, value)) = pair.key.zip(pair.value) else {
            continue;
        };
        attributes.insert(&key, || text(value).map_err(|_| malformed()))?;
    }
    Ok(attributes)
}

/// A value as text; of a list its first.
fn text(value: &RawValue) -> Result<Option<String>, serde_json::Error> {
    let value: WireAnyValue<'_> = serde_json::from_str(value.get())?;
    if let Some(text) = value.string_value {
        return Ok(Some(text.into_owned()));
    }
    if let Some(number) = value.int_value.or(value.double_value) {
        return Ok(Some(unquoted(number).to_owned()));
    }
    let Some(list) = value.array_value else {
        return Ok(value.bool_value.map(|is| is.to_string()));
    };
    let list: WireList<'_> = serde_json::from_str(list.get())?;
    let Some(first) = list.values.and_then(|values| values.first().copied()) else {
        return Ok(None);
    };
    let first: WireAnyValue<'_> = serde_json::from_str(first.get())?;
    Ok(first.string_value.map(Cow::into_owned))
}
