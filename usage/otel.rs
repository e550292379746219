//! Traces as OTLP sends them: the calls of models among their spans, in our one vocabulary.
//!
//! Spans that are no calls are ignored, those that cannot be booked are rejected one by one, which
//! is what OTLP's partial success says. The same request gives the same answer, and a call that is
//! in it twice is told twice with one identity. Compression is the business of whoever listens.
//! <https://opentelemetry.io/docs/specs/otlp/>

use crate::{
    otel_calls::{self, Outcome},
    otel_json, otel_protobuf,
    otel_repeats::{self, Parents},
    otel_span::ResourceOfSpans,
    reported::{RejectedReport, ReportedCall, TelemetryError},
};

/// What a request of traces reports. Every span is in one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traces {
    /// Calls of models, in the order they were sent.
    pub calls: Vec<ReportedCall>,
    /// How many spans there were.
    pub spans_count: usize,
    /// Of them: spans that are no call of a model, that repeat the calls within them, or that
    /// failed and say no usage.
    pub ignored_count: usize,
    /// Of them: spans that cannot be booked, with the reason. A call that did not fail and says no
    /// usage is one of them, since no usage is never zero.
    pub rejected: Vec<RejectedReport>,
}

/// Reads an `ExportTraceServiceRequest` in protobuf (`application/x-protobuf`).
///
/// # Errors
/// [`TelemetryError`] where the body is no such message, with the byte where that shows, or has
/// more of something than a request may have.
pub fn read_traces_protobuf(body: &[u8]) -> Result<Traces, TelemetryError> {
    Ok(traces(&otel_protobuf::read(body)?))
}

/// Reads an `ExportTraceServiceRequest` in JSON (`application/json`).
///
/// ```
/// let body = br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{
///     "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
///     "attributes": [
///         {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
///         {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
///         {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1200"}}
///     ]}]}]}]}"#;
/// let traces = usage::read_traces_json(body).unwrap();
/// assert_eq!(traces.calls[0].reading.usage.input_tokens, Some(1200));
/// assert_eq!(traces.calls[0].identity, "5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174");
/// ```
///
/// # Errors
/// [`TelemetryError`] where the body is no such message, with the place where that shows, or has
/// more of something than a request may have.
pub fn read_traces_json(body: &[u8]) -> Result<Traces, TelemetryError> {
    Ok(traces(&otel_json::read(body)?))
}

fn traces(resources: &[ResourceOfSpans]) -> Traces {
    let mut traces = Traces::default();
    let mut parents = Parents::default();
    for resource in resources {
        for span in &resource.spans {
            traces.spans_count += 1;
            let span = match span {
                Ok(span) => span,
                Err(rejected) => {
                    traces.rejected.push(rejected.clone());
                    continue;
                }
            };
            if !span.parent_id.is_empty() {
                let parent = format!("{}:{}", span.trace_id, span.parent_id);
                parents.insert(span.identity(), parent);
            }
            match otel_calls::read(span, &resource.attributes) {
                Ok(Outcome::Call(call)) => traces.calls.push(*call),
                Ok(Outcome::Ignored) => traces.ignored_count += 1,
                Err(reason) => {
                    traces.rejected.push(reason.rejected(span.index, Some(span.identity())));
                }
            }
        }
    }
    let repeating = otel_repeats::repeating(&traces.calls, &parents);
    let before = traces.calls.len();
    traces.calls.retain(|call| !repeating.contains(&call.identity));
    traces.ignored_count += before - traces.calls.len();
    traces
}
