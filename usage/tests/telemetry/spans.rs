//! Requests of traces to test with: spans by their attributes, in JSON and in protobuf.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use usage::{ReportedCall, Traces, read_traces_json, read_traces_protobuf};

pub(crate) const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// A span with an id and attributes, which began at 2025-10-09T08:53:20Z and took 1.2 seconds.
pub(crate) fn span(id: u64, attributes: &Value) -> Value {
    json!({
        "traceId": TRACE,
        "spanId": format!("{id:016x}"),
        "name": "a span",
        "kind": 3,
        "startTimeUnixNano": "1760000000000000000",
        "endTimeUnixNano": "1760000001200000000",
        "attributes": list(attributes),
        "status": {},
    })
}

/// The same within another.
pub(crate) fn within(parent: u64, mut span: Value) -> Value {
    span["parentSpanId"] = format!("{parent:016x}").into();
    span
}

/// A request with a resource and its spans.
pub(crate) fn request(resource: &Value, spans: &[Value]) -> String {
    json!({ "resourceSpans": [{
        "resource": { "attributes": list(resource) },
        "scopeSpans": [{ "scope": { "name": "a scope" }, "spans": spans }],
    }] })
    .to_string()
}

/// The same request in protobuf, by the reading of JSON that is not ours.
pub(crate) fn protobuf(body: &str) -> Vec<u8> {
    serde_json::from_str::<ExportTraceServiceRequest>(body).unwrap().encode_to_vec()
}

/// What a request reports, which is the same in both encodings.
pub(crate) fn traces(body: &str) -> Traces {
    let traces = read_traces_json(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read_traces_protobuf(&protobuf(body)).as_ref(), Ok(&traces));
    traces
}

/// What spans without a resource report.
pub(crate) fn traces_of(spans: &[Value]) -> Traces {
    traces(&request(&json!({}), spans))
}

/// The call that a span with these attributes reports.
pub(crate) fn call(attributes: &Value) -> ReportedCall {
    let mut traces = traces_of(&[span(1, attributes)]);
    assert_eq!((traces.calls.len(), traces.spans_count), (1, 1), "{attributes}: {traces:?}");
    traces.calls.remove(0)
}

fn list(attributes: &Value) -> Value {
    let any = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(is) => json!({ "boolValue": is }),
        Value::Number(number) if number.is_i64() => json!({ "intValue": number.to_string() }),
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::Array(texts) => {
            let values: Vec<Value> =
                texts.iter().map(|text| json!({ "stringValue": text })).collect();
            json!({ "arrayValue": { "values": values } })
        }
        other => panic!("no attribute: {other}"),
    };
    let pairs = attributes.as_object().unwrap().iter();
    pairs.map(|(key, value)| json!({ "key": key, "value": any(value) })).collect()
}
