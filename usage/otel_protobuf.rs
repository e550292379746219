//! OTLP in protobuf. The request is walked first, without keeping anything, and is only decoded if
//! it has no more of anything than a request may have.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#binary-protobuf-encoding>

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1 as wire,
};
use prost::Message;

use crate::{
    otel_span::{
        ATTRIBUTES_MAX, Attributes, FIELDS_MAX, NESTING_MAX, ResourceOfSpans, SPANS_MAX, Span,
        too_large, too_many_attributes,
    },
    reported::{TelemetryError, TelemetryErrorKind},
};

/// The status of a span that has failed.
const ERROR: i32 = 2;

/// Takes a request apart.
pub(crate) fn read(body: &[u8]) -> Result<Vec<ResourceOfSpans>, TelemetryError> {
    Walk::default().message(body, 0, Level::Request, 1)?;
    let mut rest = body;
    let request = ExportTraceServiceRequest::decode(&mut rest)
        .map_err(|_| malformed(body.len().saturating_sub(rest.len())))?;
    let mut index = 0_usize;
    let mut resources = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        // What a resource has beyond the limit is not read: its spans say most themselves.
        let attributes = attributes.get(..ATTRIBUTES_MAX).unwrap_or(&attributes);
        let mut spans = Vec::new();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(read_span(span, index));
            index = index.saturating_add(1);
        }
        resources.push(ResourceOfSpans { attributes: kept(attributes), spans });
    }
    Ok(resources)
}

fn read_span(span: wire::Span, index: usize) -> Result<Span, crate::RejectedReport> {
    let is_over = span.attributes.len() > ATTRIBUTES_MAX;
    let read = Span {
        index,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        started_nanos: span.start_time_unix_nano,
        ended_nanos: span.end_time_unix_nano,
        has_failed: span.status.is_some_and(|status| status.code == ERROR),
        attributes: kept(if is_over { &[] } else { &span.attributes }),
    };
    read.check_ids().map_err(|reason| reason.rejected(index, None))?;
    match is_over {
        true => Err(too_many_attributes("attributes").rejected(index, Some(read.identity()))),
        false => Ok(read),
    }
}

fn kept(all: &[KeyValue]) -> Attributes {
    let mut attributes = Attributes::default();
    for KeyValue { key, value, .. } in all {
        let text = || Ok::<_, std::convert::Infallible>(value.as_ref().and_then(text));
        match attributes.insert(key, text) {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
    attributes
}

/// A value as text; of a list its first. Numbers are shown with all digits that make them.
fn text(value: &AnyValue) -> Option<String> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::BoolValue(is) => Some(is.to_string()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::ArrayValue(list) => match list.values.first()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.clone()),
            _ => None,
        },
        Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_) => None,
    }
}

fn hex(id: &[u8]) -> String {
    // Ids have at most 16 bytes; whatever is longer is none, and need not be shown in full.
    id.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

fn malformed(place: usize) -> TelemetryError {
    let detail = "no ExportTraceServiceRequest in protobuf: is the content type right?";
    TelemetryError::new(TelemetryErrorKind::Malformed, &format!("byte {place}"), detail)
}

/// The messages of a request that lie within others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Request,
    ResourceSpans,
    Resource,
    EntityRef,
    ScopeSpans,
    Scope,
    Span,
    EventOfSpan,
    LinkOfSpan,
    KeyValue,
    AnyValue,
    List,
    Map,
}

impl Level {
    /// What the field of this number is, where it is a message.
    fn within(self, field: u64) -> Option<Level> {
        Some(match (self, field) {
            (Level::Request, 1) => Level::ResourceSpans,
            (Level::ResourceSpans, 1) => Level::Resource,
            (Level::ResourceSpans, 2) => Level::ScopeSpans,
            (Level::Resource, 3) => Level::EntityRef,
            (Level::ScopeSpans, 1) => Level::Scope,
            (Level::ScopeSpans, 2) => Level::Span,
            (Level::Span, 11) => Level::EventOfSpan,
            (Level::Span, 13) => Level::LinkOfSpan,
            (Level::Resource, 1)
            | (Level::Scope, 3)
            | (Level::Span, 9)
            | (Level::EventOfSpan, 3)
            | (Level::LinkOfSpan, 4)
            | (Level::Map, 1) => Level::KeyValue,
            (Level::KeyValue, 2) | (Level::List, 1) => Level::AnyValue,
            (Level::AnyValue, 5) => Level::List,
            (Level::AnyValue, 6) => Level::Map,
            _ => return None,
        })
    }
}

/// What has been counted.
#[derive(Debug, Default)]
struct Walk {
    spans_count: usize,
    fields_count: usize,
}

impl Walk {
    /// Walks the fields of a message that starts at byte `start` of the body.
    fn message(
        &mut self,
        bytes: &[u8],
        start: usize,
        level: Level,
        depth: usize,
    ) -> Result<(), TelemetryError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let place = start + (bytes.len() - rest.len());
            let (field, inner) = next_field(&mut rest).ok_or_else(|| malformed(place))?;
            let Some(inner) = inner else {
                continue;
            };
            self.fields_count += 1;
            if self.fields_count > FIELDS_MAX {
                let what = "messages, attributes and texts in all";
                return Err(too_large(&format!("byte {place}"), what, FIELDS_MAX));
            }
            if let Some(level) = level.within(field) {
                self.count_span(level, place)?;
                if depth >= NESTING_MAX {
                    let what = "messages within one another";
                    return Err(too_large(&format!("byte {place}"), what, NESTING_MAX));
                }
                let start = start + (bytes.len() - rest.len() - inner.len());
                self.message(inner, start, level, depth + 1)?;
            }
        }
        Ok(())
    }

    fn count_span(&mut self, level: Level, place: usize) -> Result<(), TelemetryError> {
        if level == Level::Span {
            self.spans_count += 1;
        }
        match self.spans_count > SPANS_MAX {
            true => Err(too_large(&format!("byte {place}"), "spans", SPANS_MAX)),
            false => Ok(()),
        }
    }
}

/// The next field's number, and its bytes where it has a length.
fn next_field<'b>(rest: &mut &'b [u8]) -> Option<(u64, Option<&'b [u8]>)> {
    let key = varint(rest)?;
    let inner = match key & 7 {
        0 => varint(rest).map(|_| None)?,
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Some(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        // Groups, which protobuf has given up.
        _ => return None,
    };
    Some((key >> 3, inner))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
