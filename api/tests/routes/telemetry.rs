//! Telemetry: calls of models in traces and `CloudEvents`, booked once, answered in the encoding of
//! the request, and nothing of a bad request.

use std::io::Write;

use api::Limits;
use domain::{Scope, organization::Environment};
use engine::Outcome;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use shards::EventDetail;

use crate::{
    test_app::{Answer, TestApp},
    track::booked_for,
};

const TRACES: &str = "/otlp/v1/traces";
const EVENTS: &str = "/v1/events";
/// 2026-11-20T09:59:00Z.
const ENDED: &str = "1795168740000000000";

fn attribute(key: &str, value: &str) -> Value {
    match value.parse::<u64>() {
        Ok(_) => json!({"key": key, "value": {"intValue": value}}),
        Err(_) => json!({"key": key, "value": {"stringValue": value}}),
    }
}

fn span(id: u32, attributes: &[(&str, &str)]) -> Value {
    let attributes: Vec<_> = attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": format!("{id:016x}"),
        "startTimeUnixNano": ENDED, "endTimeUnixNano": ENDED, "attributes": attributes})
}

const CHAT: [(&str, &str); 5] = [
    ("gen_ai.operation.name", "chat"),
    ("gen_ai.provider.name", "openai"),
    ("gen_ai.response.model", "gpt-5.4"),
    ("gen_ai.usage.input_tokens", "1000"),
    ("gen_ai.usage.output_tokens", "100"),
];

fn traces(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": [
        attribute("service.name", "Shop (prod)")]}, "scopeSpans": [{"spans": spans}]}]})
}

fn chat(id: u32, more: &[(&str, &str)]) -> Value {
    let all: Vec<_> = CHAT.iter().chain(more).copied().collect();
    span(id, &all)
}

async fn export(app: &TestApp, body: &Value) -> Answer {
    app.post(TRACES).json(body).send().await
}

/// Where what was booked belongs, who sold it, and what it cost.
fn booked(app: &TestApp) -> Vec<(String, String, i128, bool)> {
    let mut names = vec![String::new()];
    let mut booked = vec![];
    for decision in app.caps.decisions() {
        if let Outcome::PathPut { new_paths, .. } = &decision.outcome {
            names.extend(new_paths.clone());
        }
        if let Outcome::Booked(made) = decision.outcome {
            names.extend(made.new_paths.clone());
            let path = names[usize::try_from(made.path).unwrap()].clone();
            let measures = made.measures;
            booked.push((path, made.service, measures.cost, measures.unpriced));
        }
    }
    booked
}

const FOUR_MILLIS: i128 = 4_000_000_000_000;

fn row(path: &str, service: &str, cost: i128, unpriced: bool) -> (String, String, i128, bool) {
    (path.to_owned(), service.to_owned(), cost, unpriced)
}

#[tokio::test]
async fn end_users_of_every_door_share_their_numbers() {
    let app = TestApp::start().await;
    let spans = traces(&[
        chat(1, &[("enduser.id", "ann")]),
        chat(2, &[]),
        chat(3, &[("enduser.id", "bea")]),
    ]);
    export(&app, &spans).await.ok(200);
    let event = json!({"specversion": "1.0", "type": "ai.usage", "source": "s", "id": "1",
        "subject": "bea", "data": {"service": "openai", "model": "gpt-5.4",
            "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let sent = app.post(EVENTS).body("application/cloudevents+json", event.to_string().as_bytes());
    sent.send().await.ok(200);
    let tracked = json!({"events": [{"id": "t", "path": "a", "service": "openai",
        "model": "gpt-5.4", "end_user_id": "ann", "usage": {"output_tokens": 1}}]});
    app.post("/v1/track").json(&tracked).send().await.ok(200);
    let asked = json!({"path": "a", "estimate": {"cost": "1"}});
    let held = app.post("/v1/reservations").json(&asked).send().await.ok(201);
    let commit = format!("/v1/reservations/{}/commit", held["id"].as_str().unwrap());
    app.post(&commit).json(&json!({"cost": "1", "end_user_id": "cem"})).send().await.ok(200);
    assert_eq!(booked_for(&app), [Some(1), None, Some(2), Some(2), Some(1), Some(3)]);
}

#[tokio::test]
async fn calls_among_spans_are_booked_once_under_the_applications_name() {
    let app = TestApp::start().await;
    let spans = [chat(1, &[]), span(2, &[("http.method", "GET")])];
    let answer = export(&app, &traces(&spans)).await;
    assert!(answer.header("outlay-position").is_some());
    assert_eq!(answer.ok(200), json!({}));
    assert_eq!(export(&app, &traces(&spans)).await.ok(200), json!({}), "sent again");
    assert_eq!(booked(&app), [row("otel/shop-prod", "openai", FOUR_MILLIS, false)]);
}

#[tokio::test]
async fn a_span_says_where_it_belongs_or_its_key_does() {
    let app = TestApp::start().await;
    export(&app, &traces(&[chat(1, &[("outlay.path", "acme/app")])])).await.ok(200);
    let asked = json!({"name": "bound", "environment": "live", "scopes": ["track", "read"],
        "path_prefix": "team/a"});
    let made = app.post("/v1/api-keys").json(&asked).send().await.ok(201);
    let key = made["key"].as_str().unwrap();
    let send =
        async |span: Value| app.post(TRACES).key(key).json(&traces(&[span])).send().await.ok(200);
    assert_eq!(send(chat(2, &[])).await, json!({}));
    let elsewhere = send(chat(3, &[("outlay.path", "acme/app")])).await;
    assert_eq!(elsewhere["partialSuccess"]["rejectedSpans"], "1");
    assert!(elsewhere.to_string().contains("team/a"));
    let paths: Vec<_> = booked(&app).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["acme/app", "team/a"]);
    let track = json!({"events": [
        {"id": "1", "service": "openai", "model": "gpt-5.4", "usage": {}},
        {"id": "2", "path": "acme", "service": "openai", "model": "gpt-5.4", "usage": {}}]});
    let answer = app.post("/v1/track").key(key).json(&track).send().await.ok(200);
    assert_eq!(
        (&answer["results"][0]["status"], &answer["results"][1]["code"]),
        (&json!("accepted"), &json!("forbidden"))
    );
    let held = app.post("/v1/reservations").json(&json!({"path": "acme"})).send().await.ok(201);
    let id = held["id"].as_str().unwrap();
    let others = json!({"events": [{"id": "3", "service": "openai", "model": "gpt-5.4", "usage": {},
        "reservation_id": id}]});
    let answer = app.post("/v1/track").key(key).json(&others).send().await.ok(200);
    assert_eq!(answer["results"][0]["code"], "forbidden");
    let address = format!("/v1/reservations/{id}");
    app.get(&address).key(key).send().await.problem(404, "not_found");
    let release = app.post(&format!("{address}/release")).key(key).send().await;
    release.problem(404, "not_found");
    app.get("/v1/check?path=acme").key(key).send().await.problem(403, "forbidden");
    let reserve = app.post("/v1/reservations").key(key).json(&json!({"path": "acme"}));
    reserve.send().await.problem(403, "forbidden");
    let list = app.get("/v1/paths").key(key).send().await.ok(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_sold_it_is_the_paths_service_or_the_only_seller_or_unknown() {
    let app = TestApp::start().await;
    app.call("PUT", "/v1/paths/own").json(&json!({"service": "azure"})).send().await.ok(200);
    let unsaid = |id: u32, model: &str, path: &str| {
        span(
            id,
            &[
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.request.model", model),
                ("gen_ai.usage.input_tokens", "1000"),
                ("gen_ai.usage.output_tokens", "100"),
                ("outlay.path", path),
            ],
        )
    };
    let body = traces(&[
        unsaid(1, "gpt-5.4", "a"),
        unsaid(2, "gpt-5.4", "own"),
        unsaid(3, "llama-9", "a"),
    ]);
    assert_eq!(export(&app, &body).await.ok(200), json!({}));
    let services: Vec<_> = booked(&app).into_iter().map(|(_, service, ..)| service).collect();
    assert_eq!(services, ["openai", "azure", "unknown"]);
    let decisions = app.caps.decisions();
    let Some(Outcome::Booked(last)) = decisions.last().map(|last| &last.outcome) else {
        panic!("{decisions:?}")
    };
    assert!(last.measures.unpriced);
    let marks = EventDetail::decode(&last.detail).unwrap().marks;
    assert!(marks.contains(&"service_unknown".to_owned()), "{marks:?}");
}

#[tokio::test]
async fn what_cannot_be_booked_is_told_in_part_and_sinks_nothing() {
    let app = TestApp::start().await;
    let mut old = chat(2, &[]);
    old["endTimeUnixNano"] = json!("1700000000000000000");
    old["startTimeUnixNano"] = json!("1700000000000000000");
    let mut nameless = chat(3, &[]);
    nameless["spanId"] = json!("00");
    let body = traces(&[chat(1, &[]), old, nameless, chat(4, &[("outlay.path", "No Path")])]);
    let answer = export(&app, &body).await.ok(200);
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "3");
    let message = answer["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("35 days"), "{message}");
    assert_eq!(booked(&app).len(), 1);
}

#[tokio::test]
async fn figures_that_do_not_add_up_are_kept_and_flagged() {
    let app = TestApp::start().await;
    let odd = chat(1, &[("gen_ai.usage.cache_read.input_tokens", "5000")]);
    assert_eq!(export(&app, &traces(&[odd])).await.ok(200), json!({}));
    let decisions = app.caps.decisions();
    let Outcome::Booked(made) = &decisions[0].outcome else { panic!("{decisions:?}") };
    assert!(made.measures.tokens >= 5_100, "{:?}", made.measures);
    let marks = EventDetail::decode(&made.detail).unwrap().marks;
    assert!(!marks.is_empty());
}

/// A field of protobuf's wire format that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f | 0x80).unwrap());
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(bytes);
    out
}

fn protobuf_traces() -> Vec<u8> {
    let mut span = [field(1, &[7; 16]), field(2, &[9; 8])].concat();
    for (number, nanos) in [(7_u8, 1_795_168_740_000_000_000_u64), (8, 1_795_168_740_000_000_000)] {
        span.push(number << 3 | 1);
        span.extend_from_slice(&nanos.to_le_bytes());
    }
    for (key, value) in CHAT {
        let value = match value.parse::<u16>() {
            Ok(100) => vec![3 << 3, 100],
            Ok(_) => vec![3 << 3, 0xe8, 0x07],
            Err(_) => field(1, value.as_bytes()),
        };
        span.extend(field(9, &[field(1, key.as_bytes()), field(2, &value)].concat()));
    }
    field(1, &field(2, &field(2, &span)))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn protobuf_is_read_plain_and_compressed_and_answered_as_protobuf() {
    let app = TestApp::start().await;
    let plain = app.post(TRACES).body("application/x-protobuf", &protobuf_traces()).send().await;
    assert_eq!((plain.status.as_u16(), plain.body.as_slice()), (200, &[][..]), "all was taken");
    assert_eq!(plain.header("content-type"), Some("application/x-protobuf"));
    let packed = app
        .post(TRACES)
        .header("Content-Encoding", "gzip")
        .body("application/x-protobuf", &gzip(&protobuf_traces()))
        .send()
        .await;
    assert_eq!(packed.status.as_u16(), 200);
    assert_eq!(booked(&app), [row("otel/unknown", "openai", FOUR_MILLIS, false)]);
    let broken = app.post(TRACES).body("application/x-protobuf", b"\x0a\xff").send().await;
    assert_eq!(broken.status.as_u16(), 400);
    assert_eq!(broken.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(broken.body.first_chunk(), Some(&[0x08, 3, 0x12]), "a status: invalid argument");
    assert!(String::from_utf8_lossy(&broken.body).contains("malformed_protobuf"));
}

#[tokio::test]
async fn bad_requests_have_codes_of_their_own_and_book_nothing() {
    let limits = Limits { intake_bytes_max: 100_000, ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    let bomb = gzip(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < 100_000);
    for path in [TRACES, EVENTS, "/v1/track"] {
        let send = async |kind: &str, encoding: &str, body: &[u8]| {
            app.post(path).header("Content-Encoding", encoding).body(kind, body).send().await
        };
        send("application/json", "gzip", &bomb).await.problem(413, "payload_too_large");
        send("application/json", "", &vec![b' '; 100_001]).await.problem(413, "payload_too_large");
        send("application/json", "gzip", b"no").await.problem(400, "malformed_encoding");
        send("application/json", "br", b"{}").await.problem(415, "unsupported_media_type");
        send("text/plain", "", b"{}").await.problem(415, "unsupported_media_type");
        send("application/json", "", b"{").await.problem(400, "malformed_json");
        app.post(path).no_key().json(&json!({})).send().await.problem(401, "unauthenticated");
        let key = app.key(Environment::Live, &[Scope::Read]).await;
        app.post(path).key(&key).json(&json!({})).send().await.problem(403, "forbidden");
    }
    assert!(booked(&app).is_empty());
}

#[tokio::test]
async fn metrics_and_logs_are_taken_and_not_used() {
    let app = TestApp::start().await;
    for (path, count) in [("metrics", "rejectedDataPoints"), ("logs", "rejectedLogRecords")] {
        let answer = app.post(&format!("/otlp/v1/{path}")).json(&json!({})).send().await.ok(200);
        let told = &answer["partialSuccess"];
        assert_eq!(told[count], "0");
        assert!(told["errorMessage"].as_str().unwrap().contains("not used"));
    }
}

fn cloud_event(id: &str) -> Value {
    json!({"specversion": "1.0", "type": "call", "source": "shop", "id": id, "subject": "u1",
        "time": "2026-11-20T09:59:00Z", "outlaypath": "acme/app",
        "data": {"service": "openai", "model": "gpt-5.4",
            "usage": {"input_tokens": 1_000, "output_tokens": 100}}})
}

#[tokio::test]
async fn cloud_events_are_booked_one_by_one_and_in_batches() {
    let app = TestApp::start().await;
    let send = async |kind: &str, body: &Value| {
        app.post(EVENTS).body(kind, body.to_string().as_bytes()).send().await
    };
    let one = send("application/cloudevents+json", &cloud_event("1")).await;
    assert!(one.header("outlay-position").is_some());
    assert_eq!(
        one.ok(200),
        json!({"accepted": 1, "duplicates": 0, "rejected": 0, "blocked": [],
        "results": [{"id": "1", "status": "accepted", "cost": "0.004"}]})
    );
    let batch = json!([cloud_event("1"), cloud_event("2"), {"id": "3"}, 7]);
    let batch = send("application/cloudevents-batch+json", &batch).await.ok(200);
    assert_eq!(
        (&batch["accepted"], &batch["duplicates"], &batch["rejected"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(batch["results"][2]["code"], "validation_failed");
    let mut other = cloud_event("1");
    other["source"] = json!("another");
    assert_eq!(send("application/json", &other).await.ok(200)["accepted"], 1, "another's id");
    let mut changed = cloud_event("2");
    changed["data"]["usage"]["input_tokens"] = json!(7);
    let conflict = send("application/json", &changed).await.ok(200);
    assert_eq!(conflict["results"][0]["code"], "event_conflict");
    let mut old = cloud_event("4");
    old["time"] = json!("2026-01-01T00:00:00Z");
    let late = send("application/json", &old).await.ok(200);
    assert_eq!(late["results"][0]["code"], "timestamp_out_of_range");
    let many: Vec<_> = (0..1001).map(|id| cloud_event(&id.to_string())).collect();
    send("application/cloudevents-batch+json", &json!(many)).await.problem(422, "too_many_events");
    let binary = app.post(EVENTS).header("ce-specversion", "1.0").json(&json!({})).send().await;
    binary.problem(415, "unsupported_media_type");
}
