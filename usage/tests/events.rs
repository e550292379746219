//! Calls that CloudEvents report: whose they are, what their data say, and what is wrong with them.

#[path = "telemetry/shown.rs"]
mod shown;

use std::{fs, path::Path};

use serde_json::{Value, json};
use shown::{shown, shown_rejection};
use usage::{
    EVENTS_MAX, EventsForm, FlagKind, RejectedReport, ReportedCall, TelemetryErrorKind,
    read_cloud_events,
};

type Results = Vec<Result<ReportedCall, RejectedReport>>;

fn events(form: EventsForm, body: &str) -> Results {
    read_cloud_events(form, body.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn event(data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": "e1", "source": "/shop", "type": "call",
        "time": "2026-10-01T12:00:00Z", "data": data,
    })
}

/// What one event comes to.
fn one(event: &Value) -> Result<ReportedCall, RejectedReport> {
    let mut results = events(EventsForm::Single, &event.to_string());
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn call(data: &Value) -> ReportedCall {
    one(&event(data)).unwrap_or_else(|rejected| panic!("{data}: {rejected}"))
}

#[test]
fn every_fixture_reports_exactly_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cloud_events");
    for (name, form) in [
        ("single", EventsForm::Single),
        ("batch", EventsForm::Batch),
        ("litellm", EventsForm::Single),
    ] {
        let body = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let expected = fs::read_to_string(folder.join(format!("{name}.expected.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let results = events(form, &body);
        let told: Vec<Value> = results
            .iter()
            .map(|result| result.as_ref().map_or_else(shown_rejection, shown))
            .collect();
        assert_eq!(Value::from(told), expected, "{name}");
        assert_eq!(events(EventsForm::Either, &body), results, "{name}");
    }
}

#[test]
fn our_own_words_are_read_as_track_has_them() {
    let told = call(&json!({
        "path": "acme/search", "service": "Anthropic", "model": "claude-sonnet-4-5",
        "usage": {
            "input_tokens": 1000, "cache_read_tokens": 600, "cache_write_tokens": 300,
            "cache_write_1h_tokens": 200, "input_audio_tokens": 5, "output_tokens": 50,
            "output_reasoning_tokens": 30, "requests": 2, "web_searches": 1, "pages": 3,
            "audio_seconds": 1.5, "custom:tasks": 0.25,
        },
        "context": { "processing": "batch", "service_tier": "priority", "speed": "warp" },
        "cost": "1.25", "latency_ms": 1200, "time_to_first_token_ms": 250,
        "call_site": { "file": "ask.py", "function": "answer", "line": 42 },
        "provider_request_id": "req_1", "end_user_id": "u1",
        "tags": { "team": "search", "version": 7, "canary": true, "deep": { "a": 1 }, "x": null },
    }));
    let reading = &told.reading;
    assert_eq!(
        shown(&told),
        json!({
            "identity_source": "/shop", "identity": "e1", "path": "acme/search",
            "service": "anthropic", "model": "claude-sonnet-4-5", "end_user": "u1",
            "usage": {
                "input_tokens": "1000", "cache_read_tokens": "600", "cache_write_tokens": "300",
                "cache_write_1h_tokens": "200", "input_audio_tokens": "5", "output_tokens": "50",
                "output_reasoning_tokens": "30", "requests": "2", "web_searches": "1",
                "pages": "3", "audio_seconds": "1.5", "custom:tasks": "0.25",
            },
            "service_tier": "priority", "stated_cost": "1.25", "latency_ms": 1200,
            "time_to_first_token_ms": 250, "provider_request_id": "req_1",
            "ended_at": "2026-10-01T12:00:00Z",
            "tags": { "team": "search", "version": "7", "canary": "true" },
        })
    );
    assert_eq!(reading.context.processing, Some(domain::Processing::Batch));
    assert_eq!(reading.context.unknown[0].to_string(), "`warp` is not a known speed");
    let site = told.call_site.unwrap();
    assert_eq!((site.file.as_deref(), site.line), (Some("ask.py"), Some(42)));
}

#[test]
fn a_providers_own_block_is_read_in_its_shape() {
    let told = call(&json!({
        "service": "anthropic", "model": "asked-for", "raw_format": "anthropic_messages",
        "raw_usage": { "input_tokens": 3, "cache_creation_input_tokens": 12304,
                       "output_tokens": 550 },
    }));
    assert_eq!(told.reading.usage.input_tokens, Some(12_307));
    assert_eq!(told.reading.model.as_deref(), Some("asked-for"));
    let response = call(&json!({
        "raw_format": "openai_chat",
        "raw_usage": { "id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "service_tier": "flex",
                       "usage": { "prompt_tokens": 10, "completion_tokens": 2 } },
        "context": { "service_tier": "priority" },
    }));
    assert_eq!(response.reading.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(response.reading.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(response.reading.context.service_tier.unwrap().as_str(), "flex");
    let wrong = |data| {
        let rejected = one(&event(&data)).unwrap_err();
        (rejected.kind.code(), rejected.at)
    };
    let block = json!({ "prompt_tokens": -1 });
    assert_eq!(
        wrong(json!({ "raw_usage": block, "raw_format": "openai_chat" })),
        ("usage_not_a_count", "/data/raw_usage/prompt_tokens".to_owned())
    );
    let unknown = ("report_malformed", "/data/raw_format".to_owned());
    assert_eq!(wrong(json!({ "raw_usage": block, "raw_format": "openai" })), unknown);
    assert_eq!(wrong(json!({ "raw_usage": block })), unknown);
}

#[test]
fn flat_counts_are_read_and_what_does_not_add_up_is_flagged() {
    for (data, input, output, flag) in [
        (json!({ "prompt_tokens": 5, "completion_tokens": "7" }), Some(5), Some(7), None),
        (json!({ "tokens": "5", "type": "input" }), Some(5), None, None),
        (json!({ "tokens": 5, "type": "prompt" }), Some(5), None, None),
        (json!({ "tokens": 5, "type": "output" }), None, Some(5), None),
        (json!({ "input_tokens": 5, "cached_tokens": 2 }), Some(5), None, None),
        (
            json!({ "prompt_tokens": 5, "cache_read_input_tokens": 20 }),
            Some(25),
            None,
            Some(FlagKind::CacheOutside),
        ),
        (
            json!({ "prompt_tokens": 5, "prompt_tokens_details": { "cached_tokens": 5 },
                    "completion_tokens": 2, "total_tokens": 12 }),
            Some(10),
            Some(2),
            Some(FlagKind::CacheOutside),
        ),
        (
            json!({ "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 20 }),
            Some(5),
            Some(7),
            Some(FlagKind::Inconsistent),
        ),
        (json!({ "tokens": 5 }), None, None, Some(FlagKind::Inconsistent)),
    ] {
        let call = call(&data);
        let usage = &call.reading.usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (input, output), "{data}");
        let kinds: Vec<FlagKind> = call.reading.flags.iter().map(|flag| flag.kind).collect();
        assert_eq!(kinds, flag.into_iter().collect::<Vec<_>>(), "{data}");
    }
    assert_eq!(call(&json!({ "tokens": 5 })).reading.beyond, [("unexplained_tokens", 5)]);
}

#[test]
fn the_envelope_says_whose_the_call_is() {
    let mut event = event(&json!({ "tokens": 5, "type": "input", "path": "a", "user": "u2",
        "provider": "x_ai" }));
    event["outlaypath"] = json!("acme/search");
    event["subject"] = json!("u1");
    let told = one(&event).unwrap();
    assert_eq!(told.path.as_deref(), Some("acme/search"));
    assert_eq!(told.end_user.as_deref(), Some("u1"));
    assert_eq!(told.service.unwrap().as_str(), "xai");
    event.as_object_mut().unwrap().remove("time");
    assert_eq!(one(&event).unwrap().ended_at, None, "the instant of receipt");
    event["data"]["timestamp"] = json!("2026-10-01T14:00:00+02:00");
    assert_eq!(one(&event).unwrap().ended_at.unwrap().to_string(), "2026-10-01T12:00:00Z");
}

#[test]
fn one_bad_event_does_not_sink_the_batch() {
    let good = event(&json!({ "tokens": 5, "type": "input" }));
    let with = |field: &str, value: Value| {
        let mut event = good.clone();
        match value {
            Value::Null => event.as_object_mut().unwrap().remove(field),
            value => event.as_object_mut().unwrap().insert(field.to_owned(), value),
        };
        event
    };
    let long = "x".repeat(257);
    let cases = [
        (with("id", Value::Null), "report_identity_invalid", "/id"),
        (with("id", json!("")), "report_identity_invalid", "/id"),
        (with("id", json!(7)), "report_identity_invalid", "/id"),
        (with("id", json!("a\nb")), "report_identity_invalid", "/id"),
        (with("source", json!(long)), "report_identity_invalid", "/source"),
        (with("specversion", json!("0.3")), "report_malformed", "/specversion"),
        (with("type", Value::Null), "report_malformed", "/type"),
        (with("datacontenttype", json!("text/xml")), "report_malformed", "/datacontenttype"),
        (with("time", json!("yesterday")), "report_time_invalid", "/time"),
        (with("time", json!(1_760_000_000)), "report_time_invalid", "/time"),
        (with("data", json!("text")), "report_malformed", "/data"),
        (with("data", Value::Null), "usage_missing", "/data"),
        (with("data", json!({ "usage": {} })), "usage_missing", "/data/usage"),
        (with("data", json!({ "usage": 5 })), "report_malformed", "/data/usage"),
        (with("data", json!({ "prompt_tokens": 1.5 })), "usage_not_a_count", "/data/prompt_tokens"),
        (
            with("data", json!({ "usage": { "custom:": 1 } })),
            "usage_malformed",
            "/data/usage/custom:",
        ),
        (json!("no event"), "report_malformed", ""),
        (json!([]), "report_malformed", ""),
    ];
    let mut batch: Vec<Value> = cases.iter().map(|(event, ..)| event.clone()).collect();
    batch.push(good.clone());
    let results = events(EventsForm::Batch, &Value::from(batch).to_string());
    for (index, (event, code, at)) in cases.iter().enumerate() {
        let rejected = results[index].as_ref().unwrap_err();
        let told = (rejected.index, rejected.kind.code(), rejected.at.as_str());
        assert_eq!(told, (index, *code, *at), "{event}");
    }
    assert_eq!(results.len(), cases.len() + 1);
    assert_eq!(results[cases.len()], one(&good));
}

#[test]
fn a_batch_may_be_empty_and_has_an_end() {
    assert_eq!(events(EventsForm::Batch, "[]"), []);
    assert_eq!(events(EventsForm::Either, " [] "), []);
    let body = |count: usize| {
        Value::from(vec![event(&json!({ "tokens": 5, "type": "input" })); count]).to_string()
    };
    // Twice the same is told twice: whoever books it counts it once.
    let full = events(EventsForm::Batch, &body(EVENTS_MAX));
    assert_eq!((full.len(), full[0].is_ok()), (EVENTS_MAX, true));
    let error = read_cloud_events(EventsForm::Batch, body(EVENTS_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.kind, TelemetryErrorKind::TooLarge);
}

#[test]
fn a_body_of_another_form_is_an_error_with_its_place() {
    for (form, body, at) in [
        (EventsForm::Batch, &b"{}"[..], "line 1, column 0"),
        (EventsForm::Single, b"{\"id\": }", "line 1, column 8"),
        (EventsForm::Batch, b"[{}\n,", "line 2, column 1"),
        (EventsForm::Either, b"", "line 1, column 0"),
        (EventsForm::Single, b"{\"id\": \"\xff\"}", "byte 8"),
    ] {
        let error = read_cloud_events(form, body).unwrap_err();
        assert_eq!(error.kind, TelemetryErrorKind::Malformed, "{body:?}");
        assert_eq!(error.at, at, "{body:?}: {error}");
    }
}
