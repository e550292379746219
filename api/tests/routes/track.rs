//! Reported usage: booked once, each event by itself, priced by the server, and refused with a
//! stable code where something is wrong with it.

use api::Limits;
use domain::{Scope, organization::Environment};
use engine::{Command, Settings};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shards::{EventDetail, ShardError};
use store::journal::Shard;

use crate::{
    policies::{create, policy},
    test_app::{Answer, TestApp},
};

const PATH: &str = "/v1/track";

fn event(id: &str) -> Value {
    json!({"id": id, "path": "acme/app", "service": "openai", "model": "gpt-5.4",
        "usage": {"input_tokens": 1_000, "output_tokens": 100}})
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field);
    event
}

async fn send(app: &TestApp, events: &[Value]) -> Answer {
    app.post(PATH).json(&json!({"events": events})).send().await
}

async fn track(app: &TestApp, events: &[Value]) -> Value {
    send(app, events).await.ok(200)
}

/// What a single event is answered.
async fn one(app: &TestApp, event: Value) -> Value {
    track(app, &[event]).await["results"][0].clone()
}

#[tokio::test]
async fn an_event_is_priced_booked_and_counted_once() {
    let app = TestApp::start().await;
    let answer = send(&app, &[event("e1")]).await;
    let position = answer.header("outlay-position").unwrap().to_owned();
    let expected = json!({"accepted": 1, "duplicates": 0, "rejected": 0, "blocked": [],
        "results": [{"id": "e1", "status": "accepted", "cost": "0.004"}]});
    assert_eq!(answer.ok(200), expected);
    let spelled = r#"{"events": [ {"usage": {"output_tokens": 1e2, "input_tokens": 1000.0},
        "model": "gpt-5.4", "path": "acme\/app", "id": "e1", "service": "openai",
        "latency_ms": null} ]}"#;
    let again = app.post(PATH).body("application/json", spelled.as_bytes()).send().await;
    let duplicate = json!({"accepted": 0, "duplicates": 1, "rejected": 0, "blocked": [],
        "results": [{"id": "e1", "status": "duplicate", "cost": "0.004"}]});
    assert_eq!(again.ok(200), duplicate);
    app.clock.go_on(SignedDuration::from_hours(1));
    assert_eq!(one(&app, event("e1")).await["status"], "duplicate", "receipt takes no part");
    let paths = app.get("/v1/paths").header("Outlay-Position", &position).send().await.ok(200);
    assert_eq!(paths["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn one_bad_event_never_sinks_its_batch() {
    let app = TestApp::start().await;
    let bad = with(event("bad"), "usage", json!({"input_tokens": -5}));
    let answer = track(&app, &[event("a"), bad, json!(7), event("b"), event("a")]).await;
    let told: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["id"].clone(), result["status"].clone()))
        .collect();
    let row = |id: Value, status: &str| (id, json!(status));
    assert_eq!(
        told,
        [
            row(json!("a"), "accepted"),
            row(json!("bad"), "rejected"),
            row(json!(null), "rejected"),
            row(json!("b"), "accepted"),
            row(json!("a"), "duplicate")
        ]
    );
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"], &answer["rejected"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let errors = &answer["results"][1]["errors"];
    assert_eq!(errors[0]["pointer"], "/usage/input_tokens");
}

type Wrong = (Value, &'static str, &'static str);

/// Events whose figures are wrong, with code and place.
fn wrong_figures() -> Vec<Wrong> {
    let usage = |usage: Value| with(event("x"), "usage", usage);
    let at = |at: &str| with(event("x"), "timestamp", json!(at));
    let most = 9_007_199_254_740_992_u64;
    let invalid = "validation_failed";
    vec![
        (usage(json!({"input_tokens": -1})), invalid, "/usage/input_tokens"),
        (usage(json!({"input_tokens": most + 1})), invalid, "/usage/input_tokens"),
        (usage(json!({"input_tokens": most, "output_tokens": most})), invalid, ""),
        (usage(json!({"input_tokens": 1.5})), invalid, "/usage/input_tokens"),
        (
            usage(json!({"input_tokens": 1, "cache_read_tokens": 2})),
            "usage_inconsistent",
            "/usage/cache_read_tokens",
        ),
        (usage(json!({"inputs": 1})), "unknown_field", "/usage/inputs"),
        (without(event("x"), "usage"), invalid, "/usage"),
        (at("2026-11-20T10:06:00Z"), "timestamp_out_of_range", "/timestamp"),
        (at("2026-10-16T09:59:59Z"), "timestamp_out_of_range", "/timestamp"),
        (at("yesterday"), invalid, "/timestamp"),
        (with(event("taken"), "usage", json!({"input_tokens": 7})), "event_conflict", ""),
        (with(event("x"), "cost", json!("1")), invalid, "/cost"),
        (with(event("x"), "latency_ms", json!(-1)), invalid, "/latency_ms"),
    ]
}

/// Events whose names and texts are wrong, with code and place.
fn wrong_names() -> Vec<Wrong> {
    let field = |name: &str, value: Value| with(event("x"), name, value);
    let tags: serde_json::Map<_, _> = (0..33).map(|at| (at.to_string(), json!("x"))).collect();
    let large: serde_json::Map<_, _> =
        (0..32).map(|at| (at.to_string(), json!("x".repeat(200)))).collect();
    let long_file = json!({"file": "f".repeat(257)});
    let old = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let invalid = "validation_failed";
    vec![
        (field("colour", json!(1)), "unknown_field", "/colour"),
        (without(event("x"), "id"), invalid, "/id"),
        (event(""), invalid, "/id"),
        (event("a b"), invalid, "/id"),
        (event(&"x".repeat(129)), invalid, "/id"),
        (event(old), "timestamp_out_of_range", "/id"),
        (field("path", json!("Acme")), invalid, "/path"),
        (without(event("x"), "path"), invalid, "/path"),
        (field("path", json!("bound")), "service_mismatch", ""),
        (field("service", json!("a b")), invalid, "/service"),
        (field("model", json!("m".repeat(257))), invalid, "/model"),
        (field("reservation_id", json!("res_1")), invalid, "/reservation_id"),
        (field("end_user_id", json!("u".repeat(129))), invalid, "/end_user_id"),
        (field("call_site", long_file), invalid, "/call_site"),
        (field("context", json!({"speed": "warp"})), invalid, "/context/speed"),
        (field("tags", json!(tags)), invalid, "/tags"),
        (field("tags", json!(large)), invalid, ""),
    ]
}

#[tokio::test]
async fn every_kind_of_wrong_event_has_its_code() {
    let app = TestApp::start().await;
    app.call("PUT", "/v1/paths/bound").json(&json!({"service": "anthropic"})).send().await.ok(200);
    assert_eq!(one(&app, event("taken")).await["status"], "accepted");
    for (event, code, place) in wrong_figures().into_iter().chain(wrong_names()) {
        let result = one(&app, event.clone()).await;
        let told = (&result["status"], &result["code"]);
        assert_eq!(told, (&json!("rejected"), &json!(code)), "{event}: {result}");
        if !place.is_empty() {
            assert_eq!(result["errors"][0]["pointer"], place, "{result}");
        }
    }
    let booked = app.caps.decisions();
    let count = booked.iter().filter(|decision| decision.once.is_some()).count();
    assert_eq!(count, 1, "bad input changes nothing");
}

#[tokio::test]
async fn unknown_paths_are_rejected_where_none_are_made() {
    let app = TestApp::start().await;
    let shard = Shard { organization: app.organization, environment: Environment::Live };
    let settings = Settings { revision: 1, auto_create_paths: false, ..Settings::default() };
    app.caps.configure(shard, settings);
    assert_eq!(one(&app, event("e")).await["code"], "unknown_path");
    let reserve = app.post("/v1/reservations").json(&json!({"path": "acme"})).send().await;
    reserve.problem(404, "unknown_path");
    app.call("PUT", "/v1/paths/acme/app").json(&json!({})).send().await.ok(200);
    assert_eq!(one(&app, event("e")).await["status"], "accepted");
}

#[tokio::test]
async fn a_request_that_is_wrong_as_a_whole_books_nothing() {
    let limits = Limits { intake_bytes_max: 1 << 20, ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    let many: Vec<_> = (0..1001).map(|at| event(&at.to_string())).collect();
    send(&app, &many).await.problem(422, "too_many_events");
    let large = format!("{{\"events\": [{}]}}", " ".repeat(2 << 20));
    app.post(PATH)
        .body("application/json", large.as_bytes())
        .send()
        .await
        .problem(413, "payload_too_large");
    app.post(PATH)
        .body("application/json", b"{\"events\": [")
        .send()
        .await
        .problem(400, "malformed_json");
    app.post(PATH)
        .body("text/plain", b"{\"events\": []}")
        .send()
        .await
        .problem(415, "unsupported_media_type");
    app.post(PATH)
        .json(&json!({"events": [], "more": 1}))
        .send()
        .await
        .refuses("unknown_field", "/more");
    app.post(PATH)
        .json(&json!({"events": {}}))
        .send()
        .await
        .refuses("validation_failed", "/events");
    app.post(PATH).json(&json!([])).send().await.problem(422, "validation_failed");
    assert_eq!(track(&app, &[]).await["results"], json!([]));
    assert!(app.caps.decisions().is_empty());
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_read() {
    let app = TestApp::start().await;
    let answer = app
        .post(PATH)
        .header("Content-Length", "52428800")
        .body("application/json", b"{")
        .send()
        .await;
    answer.problem(413, "payload_too_large");
}

#[tokio::test]
async fn only_whoever_tracks_reports_and_environments_are_apart() {
    let app = TestApp::start().await;
    let body = json!({"events": [event("e")]});
    app.post(PATH).no_key().json(&body).send().await.problem(401, "unauthenticated");
    let other = app.key(Environment::Live, &[Scope::Read, Scope::Write, Scope::Admin]).await;
    app.post(PATH).key(&other).json(&body).send().await.problem(403, "forbidden");
    let test = app.key(Environment::Test, &[Scope::Track]).await;
    assert_eq!(app.post(PATH).key(&test).json(&body).send().await.ok(200)["accepted"], 1);
    assert_eq!(track(&app, &[event("e")]).await["accepted"], 1, "live has not seen it");
}

#[tokio::test]
async fn what_has_no_price_is_booked_and_flagged_and_never_zero() {
    let app = TestApp::start().await;
    let unknown = with(event("1"), "model", json!("gpt-9"));
    assert_eq!(
        one(&app, unknown).await,
        json!({"id": "1", "status": "accepted", "unpriced": true})
    );
    let partial = with(
        with(event("2"), "model", json!("gpt-5.4-mini")),
        "usage",
        json!({"input_tokens": 1_000_000, "input_audio_tokens": 0, "output_tokens": 0,
            "images": 3}),
    );
    let partial = one(&app, partial).await;
    assert_eq!((&partial["unpriced"], &partial["cost"]), (&json!(true), &json!("0.4")));
    let free = with(event("3"), "model", json!("omni-moderation"));
    assert_eq!(one(&app, free).await, json!({"id": "3", "status": "accepted", "cost": "0"}));
}

#[tokio::test]
async fn a_service_of_ones_own_has_ones_own_prices_or_says_its_cost() {
    let app = TestApp::start().await;
    let own = |id: &str| {
        json!({"id": id, "path": "a", "service": "search-inc",
        "usage": {"custom:searches": 3}})
    };
    assert_eq!(one(&app, own("1")).await["unpriced"], true);
    let stated = without(with(own("2"), "cost", json!(0.25)), "usage");
    assert_eq!(
        one(&app, stated).await,
        json!({"id": "2", "status": "accepted", "cost": "0.25",
        "flags": ["stated_cost"]})
    );
    let finer = with(own("3"), "cost", json!("0.0000000000000001"));
    assert_eq!(one(&app, finer).await["code"], "validation_failed");
    let price = json!({"price": [{"custom": {"searches": "0.01"}}]});
    app.call("PUT", "/v1/services/search-inc").json(&price).send().await.ok(200);
    assert_eq!(one(&app, own("4")).await["cost"], "0.03");
}

#[tokio::test]
async fn the_providers_own_block_says_model_tier_and_usage() {
    let app = TestApp::start().await;
    let raw = json!({"id": "c1", "model": "gpt-5.4-2026-03-05", "object": "chat.completion",
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}});
    let event = with(
        with(without(event("1"), "usage"), "raw_usage", raw),
        "raw_format",
        json!("openai_chat"),
    );
    let event = with(without(event, "model"), "context", json!({"processing": "batch"}));
    assert_eq!(one(&app, event).await["cost"], "0.002");
}

#[tokio::test]
async fn everything_else_that_is_said_is_kept_for_the_facts() {
    let app = TestApp::start().await;
    let mut sent = event("1");
    for (field, value) in [
        ("latency_ms", json!(900)),
        ("time_to_first_token_ms", json!(90)),
        ("call_site", json!({"file": "a.py", "function": "ask", "line": 7})),
        ("provider_request_id", json!("req_1")),
        ("tags", json!({"team": "core"})),
        ("body", json!({"prompt": "a secret"})),
        ("model", json!("gpt-5.4-2026-03-05")),
    ] {
        sent = with(sent, field, value);
    }
    assert_eq!(one(&app, sent).await["status"], "accepted");
    let decisions = app.caps.decisions();
    let engine::Outcome::Booked(booked) = &decisions[0].outcome else { panic!("{decisions:?}") };
    assert_eq!((booked.model.as_str(), booked.measures.tokens), ("gpt-5.4", 1_100));
    let detail = EventDetail::decode(&booked.detail).unwrap();
    assert_eq!((detail.id.as_str(), detail.latency_ms), ("1", Some(900)));
    assert_eq!(detail.named_model.as_deref(), Some("gpt-5.4-2026-03-05"));
    assert_eq!(detail.price_row.as_deref(), Some("openai/gpt-5.4?standard"));
    assert_eq!((detail.call_site.unwrap().line, detail.tags["team"].as_str()), (Some(7), "core"));
    assert!(detail.key.is_some());
    assert!(!format!("{booked:?}").contains("secret"));
}

/// The numbers of end users of all that was booked, in order.
pub(crate) fn booked_for(app: &TestApp) -> Vec<Option<u64>> {
    let decisions = app.caps.decisions();
    let booked = decisions.iter().filter_map(|decision| match &decision.outcome {
        engine::Outcome::Booked(booked) => Some(booked),
        _ => None,
    });
    booked.map(|booked| EventDetail::decode(&booked.detail).unwrap().end_user).collect()
}

#[tokio::test]
async fn end_users_are_booked_by_number_and_never_by_name() {
    let mut app = TestApp::start().await;
    let of = |id: &str, user: &str| with(event(id), "end_user_id", json!(user));
    let events = [of("1", "ann@x"), of("2", "bea@x"), event("3"), of("4", "ann@x")];
    let wrong = with(of("5", "cem@x"), "path", json!("Not/A/Path"));
    track(&app, &[&events[..], &[wrong]].concat()).await;
    assert_eq!(booked_for(&app), [Some(1), Some(2), None, Some(1)]);
    let shard = |environment| Shard { organization: app.organization, environment };
    let live = shard(Environment::Live);
    let names = app.store.end_user_names(live, &[1, 2, 3]).await.unwrap();
    let expected = [Some("ann@x".to_owned()), Some("bea@x".to_owned()), None];
    assert_eq!(names, expected, "what is rejected numbers nobody");
    let other = TestApp::start().await;
    assert_eq!(other.store.find_end_user(live, "ann@x").await.unwrap(), None);
    let found = app.store.find_end_user(shard(Environment::Test), "ann@x").await.unwrap();
    assert_eq!(found, None, "each environment has its own");
    assert!(!format!("{:?}", app.caps.decisions()).contains("@x"));
    app.router = Some(app.node(Limits::default(), false));
    track(&app, &[of("6", "bea@x"), of("7", "dee@x")]).await;
    assert_eq!(booked_for(&app)[4..], [Some(2), Some(3)], "every node gives the same");
}

#[tokio::test]
async fn exhausted_policies_are_told_and_what_left_is_booked_all_the_same() {
    let app = TestApp::start().await;
    let block = create(&app, &policy("acme", "requests", json!(1), "block")).await;
    let strict = create(&app, &policy("acme/app", "usd", json!("1000"), "strict")).await;
    let first = track(&app, &[event("1")]).await;
    assert_eq!(first["results"][0]["flags"], json!(["unreserved"]));
    let blocked = &first["blocked"];
    assert_eq!(blocked.as_array().unwrap().len(), 1);
    assert_eq!(
        (&blocked[0]["policy_id"], &blocked[0]["used"], &blocked[0]["limit"]),
        (&block["id"], &json!(1), &json!(1))
    );
    assert_eq!(track(&app, &[event("2")]).await["accepted"], 1);
    let progress = async |made: &Value| {
        let address = format!("/v1/policies/{}", made["id"].as_str().unwrap());
        app.get(&address).send().await.ok(200)["progress"].clone()
    };
    let spent = progress(&block).await;
    assert_eq!((&spent["used"], &spent["health"]), (&json!(2), &json!("over")));
    assert_eq!(progress(&strict).await["used"], "0.008");
}

#[tokio::test]
async fn nothing_is_recorded_for_an_organization_that_was_deleted() {
    let app = TestApp::start().await;
    one(&app, event("before")).await;
    let environment = Environment::Live;
    let shard = Shard { organization: app.organization, environment };
    app.caps.decide(shard, Command::Close);
    let rejected = one(&app, event("after")).await;
    assert_eq!(rejected["status"], "rejected");
    assert_eq!(rejected["code"], "organization_closed");
    let before = one(&app, event("before")).await;
    assert_eq!(before["status"], "duplicate", "what was counted stays counted");
    let estimate = json!({"path": "acme", "estimate": {"cost": "1"}});
    let answer = app.post("/v1/reservations").json(&estimate).send().await;
    answer.problem(410, "organization_closed");
    let checked = app.get("/v1/check?path=acme").send().await.ok(200);
    assert_eq!(checked["allowed"], false);
}

#[tokio::test]
async fn a_shard_that_cannot_answer_says_whether_it_may_have_been_done() {
    let app = TestApp::start().await;
    let after = std::time::Duration::from_secs(7);
    for (failure, status, code, retry) in [
        (ShardError::Overloaded { retry_after: after }, 503, "overloaded", Some("7")),
        (ShardError::OutcomeUnknown, 503, "outcome_unknown", Some("1")),
        (ShardError::Unavailable("gone".into()), 503, "unavailable", Some("1")),
        (ShardError::Internal("canary".into()), 500, "internal", None),
        (ShardError::Stopped { seq: 7, why: "canary".into() }, 500, "internal", None),
    ] {
        *app.caps.fails.lock().unwrap() = Some(failure);
        let answer = send(&app, &[event("e")]).await;
        answer.problem(status, code);
        assert_eq!(answer.header("retry-after"), retry);
        assert!(!answer.text().contains("canary"));
    }
}
