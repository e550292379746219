//! Whatever is sent as telemetry: a request that is broken or too large is one error with its
//! place, and nothing stops us.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

#[path = "telemetry/spans.rs"]
mod spans;

use std::{fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};
use spans::{call, protobuf, request, span, traces, traces_of, within};
use usage::{
    ATTRIBUTES_MAX, EventsForm, RejectionKind, SPANS_MAX, TelemetryErrorKind, Traces,
    read_cloud_events, read_traces_json, read_traces_protobuf,
};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    fs::read_to_string(path).unwrap()
}

fn chat() -> Value {
    json!({ "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5 })
}

/// A field with a length, as protobuf has it.
fn field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = inner.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f | 0x80).unwrap());
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(inner);
    bytes
}

#[test]
fn no_spans_are_no_error() {
    for body in ["{}", r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[{}]}"#] {
        assert_eq!(read_traces_json(body.as_bytes()), Ok(Traces::default()), "{body}");
    }
    assert_eq!(read_traces_protobuf(&[]), Ok(Traces::default()));
}

#[test]
fn a_broken_body_is_an_error_with_its_place() {
    for (body, at) in [
        (&b""[..], "line 1, column 0"),
        (b"[]", "line 1, column 2"),
        (b"{\"resourceSpans\": [}", "line 1, column 20"),
        (b"{\"resourceSpans\": [7]}", "/resourceSpans/0"),
        (b"{\"resourceSpans\": [{\"scopeSpans\": [7]}]}", "/resourceSpans/0/scopeSpans/0"),
        (b"{\"a\": \"\xff\"}", "byte 7"),
    ] {
        let error = read_traces_json(body).unwrap_err();
        assert_eq!((error.kind.code(), error.at.as_str()), ("telemetry_malformed", at), "{error}");
    }
    for (body, at) in [
        // A field of no known kind, one that is longer than all, a number without an end.
        (&[0x0b][..], "byte 0"),
        (&[0x0a, 0x05, 0x00], "byte 0"),
        (&[0x0a, 0x02, 0x0a, 0x05], "byte 2"),
        (&[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "byte 0"),
    ] {
        let error = read_traces_protobuf(body).unwrap_err();
        assert_eq!((error.kind.code(), error.at.as_str()), ("telemetry_malformed", at), "{error}");
    }
    // JSON that was announced as protobuf, and a text that is none.
    assert!(read_traces_protobuf(b"{\"resourceSpans\": []}").is_err());
    let name = field(1, &field(2, &field(2, &field(5, &[0xff]))));
    let error = read_traces_protobuf(&name).unwrap_err();
    assert!(error.at.starts_with("byte "), "{error}");
}

#[test]
fn more_spans_than_a_request_may_have_are_refused_in_either_encoding() {
    let spans = |count: usize| vec![json!({}); count];
    for (count, is_fine) in [(SPANS_MAX, true), (SPANS_MAX + 1, false)] {
        let body = request(&json!({}), &spans(count));
        let bodies = field(1, &[field(2, &[0x12, 0x00].repeat(count)), vec![]].concat());
        for result in [read_traces_json(body.as_bytes()), read_traces_protobuf(&bodies)] {
            match result {
                Ok(traces) => assert!(is_fine && traces.rejected.len() == count),
                Err(error) => assert!(!is_fine && error.kind == TelemetryErrorKind::TooLarge),
            }
        }
    }
}

#[test]
fn small_bodies_that_would_take_much_room_are_refused_before_they_do() {
    // Of each two bytes would come a structure of a hundred.
    let error = read_traces_protobuf(&[0x0a, 0x00].repeat(usage::FIELDS_MAX + 1)).unwrap_err();
    assert_eq!(error.kind, TelemetryErrorKind::TooLarge);
    // A value in a list in a value, and so on.
    let mut value = Vec::new();
    for _ in 0..500 {
        value = field(5, &field(1, &value));
    }
    let deep = field(1, &field(1, &field(1, &field(2, &value))));
    let error = read_traces_protobuf(&deep).unwrap_err();
    assert_eq!(error.kind, TelemetryErrorKind::TooLarge, "{error}");
    let deep = format!("{{\"resourceSpans\":{}", "[".repeat(200_000));
    assert!(read_traces_json(deep.as_bytes()).is_err());
    assert!(read_cloud_events(EventsForm::Either, "[".repeat(200_000).as_bytes()).is_err());
    // In a value that nobody reads it is nothing.
    let list = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = request(&json!({}), &[span(1, &chat())]);
    let body = body.replacen("\"attributes\":[", &format!("\"a\":{list},\"attributes\":["), 1);
    assert_eq!(read_traces_json(body.as_bytes()).unwrap().calls.len(), 1);
}

#[test]
fn a_span_with_too_many_attributes_is_rejected_alone() {
    let mut many = chat();
    for index in 0..=ATTRIBUTES_MAX {
        many[format!("a{index}")] = json!(1);
    }
    let traces = traces_of(&[span(1, &many), span(2, &chat())]);
    assert_eq!((traces.calls.len(), traces.rejected.len()), (1, 1));
    assert_eq!(traces.rejected[0].kind, RejectionKind::TooManyAttributes);
}

#[test]
fn careless_json_is_read_and_a_span_of_another_shape_is_rejected_alone() {
    let mut loose = span(1, &chat());
    loose["startTimeUnixNano"] = json!(1_760_000_000_000_000_000_u64);
    loose["kind"] = json!("SPAN_KIND_CLIENT");
    loose["unknown"] = json!({ "a": [1] });
    loose["attributes"][1]["value"] = json!({ "intValue": 5 });
    loose["events"] = Value::Null;
    let mut shape = span(2, &chat());
    shape["attributes"] = json!("none");
    let mut value = span(3, &chat());
    value["attributes"][1]["value"] = json!({ "stringValue": 5 });
    let mut time = span(4, &chat());
    time["endTimeUnixNano"] = json!("soon");
    let body = request(&json!({}), &[loose, shape, value, time, json!(7)]);
    let traces = read_traces_json(body.as_bytes()).unwrap();
    assert_eq!((traces.calls.len(), traces.spans_count), (1, 5));
    assert_eq!(traces.calls[0].reading.usage.input_tokens, Some(5));
    let kinds: Vec<_> =
        traces.rejected.iter().map(|rejected| (rejected.index, rejected.kind.code())).collect();
    let expected = [
        (1, "report_malformed"),
        (2, "report_malformed"),
        (3, "report_time_invalid"),
        (4, "report_malformed"),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(traces.rejected[1].at, "attributes/1");
}

#[test]
fn text_that_is_cut_anywhere_is_an_error_and_never_a_smaller_usage() {
    let body = fixture("otel/genai_v1_37.json");
    let whole = traces(&body);
    for (at, _) in body.trim_end().char_indices() {
        assert!(read_traces_json(&body.as_bytes()[..at]).is_err(), "{at}");
    }
    let bytes = protobuf(&body);
    for at in 1..bytes.len() {
        assert!(read_traces_protobuf(&bytes[..at]).is_err(), "{at}");
    }
    assert_eq!(read_traces_protobuf(&bytes), Ok(whole));
}

/// Counts small enough that they often contradict each other.
fn count() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0_u64..20).prop_map(Some), (0_u64..1 << 48).prop_map(Some)]
}

proptest! {
    #[test]
    fn whatever_the_counts_a_span_is_read_and_no_part_is_made_smaller(
        counts in prop::collection::vec(count(), 9),
    ) {
        const NAMES: [&str; 9] = [
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.total_tokens",
            "gen_ai.usage.audio.input_tokens",
            "gen_ai.usage.image.input_tokens",
            "gen_ai.usage.prompt_tokens",
        ];
        let mut attributes = json!({ "gen_ai.operation.name": "chat" });
        // One is always said: without any there is no call.
        attributes["gen_ai.usage.output_tokens"] = json!(1);
        for (name, count) in NAMES.iter().zip(&counts) {
            if let Some(count) = count {
                attributes[*name] = json!(count);
            }
        }
        let usage = call(&attributes).reading.usage;
        prop_assert_eq!(usage.check(), Ok(()));
        prop_assert_eq!(usage.cache_read_tokens, counts[2]);
        prop_assert_eq!(usage.cache_write_tokens, counts[3]);
        prop_assert_eq!(usage.output_reasoning_tokens, counts[4]);
        prop_assert_eq!(usage.input_audio_tokens, counts[6]);
        prop_assert!(usage.input_tokens >= counts[0] && usage.output_tokens >= counts[1]);
    }

    #[test]
    fn random_bytes_stop_nobody(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for traces in [read_traces_protobuf(&bytes), read_traces_json(&bytes)].into_iter().flatten()
        {
            prop_assert!(traces.calls.len() <= traces.spans_count);
        }
        let events = read_cloud_events(EventsForm::Either, &bytes);
        prop_assert!(events.is_err() || !bytes.is_empty());
    }

    #[test]
    fn damaged_requests_are_errors_or_still_add_up(
        name in prop::sample::select(vec![
            "otel/genai_v1_37.json", "otel/openinference.json", "otel/openllmetry.json",
        ]),
        damage in prop::collection::vec(any::<u8>(), 0..8),
        (at, length) in (any::<prop::sample::Index>(), 0_usize..8),
    ) {
        let body = fixture(name);
        let hurt = |mut bytes: Vec<u8>| {
            let start = at.index(bytes.len());
            let end = start.saturating_add(length).min(bytes.len());
            bytes.splice(start..end, damage.iter().copied());
            bytes
        };
        let json = read_traces_json(&hurt(body.clone().into_bytes()));
        let binary = read_traces_protobuf(&hurt(protobuf(&body)));
        for traces in [json, binary].into_iter().flatten() {
            let told = traces.calls.len() + traces.ignored_count + traces.rejected.len();
            prop_assert_eq!(told, traces.spans_count);
            for call in traces.calls {
                prop_assert_eq!(call.reading.usage.check(), Ok(()));
            }
        }
    }

    #[test]
    fn every_span_is_a_call_ignored_or_rejected(
        kinds in prop::collection::vec((0_u8..5, 0_u64..6), 0..12),
    ) {
        let spans: Vec<Value> = kinds
            .iter()
            .zip(1_u64..)
            .map(|((kind, parent), id)| within(*parent, match kind {
                0 => span(id, &json!({})),
                1 => span(0, &chat()),
                2 => span(id, &json!({ "gen_ai.operation.name": "chat" })),
                _ => span(id, &chat()),
            }))
            .collect();
        let traces = traces_of(&spans);
        let told = traces.calls.len() + traces.ignored_count + traces.rejected.len();
        prop_assert_eq!((told, traces.spans_count), (spans.len(), spans.len()));
    }
}
