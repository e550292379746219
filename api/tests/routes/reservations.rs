//! Reservations: held on every policy at once, settled once, and refused with a decision.

use domain::{Scope, organization::Environment};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    policies::{create, policy},
    test_app::{Answer, TestApp},
};

const PATH: &str = "/v1/reservations";

fn estimate(cost: &str) -> Value {
    json!({"path": "a/b", "service": "openai", "model": "gpt-5.4", "estimate": {"cost": cost}})
}

async fn reserve(app: &TestApp, body: &Value) -> Answer {
    app.post(PATH).json(body).send().await
}

/// The id of a new reservation.
async fn held(app: &TestApp, cost: &str) -> String {
    reserve(app, &estimate(cost)).await.ok(201)["id"].as_str().unwrap().to_owned()
}

async fn post(app: &TestApp, id: &str, what: &str, body: &Value) -> Answer {
    app.post(&format!("{PATH}/{id}/{what}")).json(body).send().await
}

async fn progress(app: &TestApp) -> (Value, Value) {
    let policies = app.get("/v1/policies").send().await.ok(200);
    let progress = &policies["data"][0]["progress"];
    (progress["used"].clone(), progress["held"].clone())
}

#[tokio::test]
async fn an_estimate_is_held_and_settled_with_what_was_consumed() {
    let app = TestApp::start().await;
    let made = create(&app, &policy("a", "usd", json!("1"), "strict")).await;
    let answer = reserve(&app, &estimate("0.4")).await;
    assert!(answer.header("outlay-position").is_some());
    let body = answer.ok(201);
    assert_eq!(
        body,
        json!({"id": body["id"], "state": "held", "held": [
        {"policy_id": made["id"], "unit": "usd", "amount": "0.4"}],
        "expires_at": "2026-11-20T10:05:00.000001Z"})
    );
    let id = body["id"].as_str().unwrap();
    assert_eq!(progress(&app).await, (json!("0"), json!("0.4")));
    let seen = app.get(&format!("{PATH}/{id}")).send().await.ok(200);
    assert_eq!(
        (&seen["state"], &seen["path"], &seen["model"]),
        (&json!("held"), &json!("a/b"), &json!("gpt-5.4"))
    );
    let commit = json!({"usage": {"input_tokens": 1_000, "output_tokens": 100}});
    let committed = post(&app, id, "commit", &commit).await.ok(200);
    assert_eq!(
        committed,
        json!({"id": id, "state": "committed", "path": "a/b",
        "service": "openai", "model": "gpt-5.4", "cost": "0.004"})
    );
    assert_eq!(progress(&app).await, (json!("0.004"), json!("0")));
    let seen = app.get(&format!("{PATH}/{id}")).send().await.ok(200);
    assert_eq!((&seen["state"], &seen["held"]), (&json!("committed"), &json!([])));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_policys_numbers() {
    let app = TestApp::start().await;
    let made = create(&app, &policy("a", "usd", json!("1"), "strict")).await;
    held(&app, "0.7").await;
    let problem = reserve(&app, &estimate("0.31")).await.problem(402, "quota_exceeded");
    assert_eq!(
        problem["decision"],
        json!({"policy_id": made["id"], "path": "a",
        "mode": "strict", "unit": "usd", "window_start": "2026-11-01T00:00:00Z", "limit": "1",
        "used": "0", "held": "0.7", "remaining": "0.3", "asked": "0.31",
        "resets_at": "2026-12-01T00:00:00Z"})
    );
    reserve(&app, &estimate("0.3")).await.ok(201);
}

#[tokio::test]
async fn twenty_of_seventy_five_on_five_hundred_are_six() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "tokens", json!(500), "strict")).await;
    let body = json!({"path": "a", "service": "openai", "model": "gpt-5.4",
        "estimate": {"usage": {"input_tokens": 50, "output_tokens": 25}}});
    let mut granted = 0;
    for _ in 0..20 {
        granted += u32::from(reserve(&app, &body).await.status.as_u16() == 201);
    }
    assert_eq!(granted, 6);
}

#[tokio::test]
async fn what_strict_cannot_tell_is_refused_by_its_own_code() {
    let app = TestApp::start().await;
    create(&app, &policy("usd", "usd", json!("1"), "strict")).await;
    create(&app, &policy("tokens", "tokens", json!(1), "strict")).await;
    create(&app, &policy("requests", "requests", json!(1), "strict")).await;
    let on = |path: &str, rest: Value| {
        let mut body = json!({"path": path});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let unpriced = json!({"service": "openai", "model": "gpt-9",
        "estimate": {"usage": {"input_tokens": 1}}});
    reserve(&app, &on("usd", unpriced.clone())).await.problem(402, "unpriced");
    reserve(&app, &on("usd", json!({}))).await.problem(402, "unpriced");
    let problem = reserve(&app, &on("tokens", json!({}))).await.problem(402, "unresolved");
    assert!(problem["decision"]["policy_id"].as_str().unwrap().starts_with("pol_"));
    reserve(&app, &on("tokens", unpriced)).await.ok(201);
    let one = reserve(&app, &on("requests", json!({}))).await.ok(201);
    assert_eq!(one["held"][0]["amount"], 1);
}

#[tokio::test]
async fn a_repeat_under_a_key_hears_the_first_answer_whatever_it_was() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "usd", json!("1"), "strict")).await;
    let send =
        async |key: &str, cost: &str| app.post(PATH).once(key).json(&estimate(cost)).send().await;
    let first = send("k", "0.6").await;
    assert_eq!(first.header("idempotent-replayed"), None);
    app.clock.go_on(SignedDuration::from_mins(1));
    let again = send("k", "0.6").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(201), first.ok(201));
    assert_eq!(progress(&app).await, (json!("0"), json!("0.6")), "held once");
    send("k", "0.5").await.problem(422, "idempotency_key_reused");
    let no = send("no", "0.6").await.problem(402, "quota_exceeded");
    let id = first.ok(201)["id"].as_str().unwrap().to_owned();
    post(&app, &id, "release", &json!({})).await.ok(200);
    let again = send("no", "0.6").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "though there is room now");
    assert_eq!(again.problem(402, "quota_exceeded")["decision"], no["decision"]);
}

#[tokio::test]
async fn a_reservation_ends_once_and_a_repeat_hears_how() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "usd", json!("10"), "strict")).await;
    let commit = json!({"cost": "0.5", "tags": {"a": "b"}});
    let id = held(&app, "1").await;
    let first = post(&app, &id, "commit", &commit).await.ok(200);
    assert_eq!((&first["cost"], &first["flags"]), (&json!("0.5"), &json!(["stated_cost"])));
    let keyed = app.post(&format!("{PATH}/{id}/commit")).once("k").json(&commit).send().await;
    assert_eq!(keyed.header("idempotent-replayed"), Some("true"));
    assert_eq!(keyed.ok(200), first);
    let other = post(&app, &id, "commit", &json!({"cost": "0.6"})).await;
    other.problem(409, "already_committed");
    post(&app, &id, "release", &json!({})).await.problem(409, "already_committed");
    post(&app, &id, "extend", &json!({})).await.problem(409, "already_committed");
    assert_eq!(progress(&app).await, (json!("0.5"), json!("0")));

    let id = held(&app, "1").await;
    let released = json!({"id": id, "state": "released"});
    assert_eq!(post(&app, &id, "release", &json!({})).await.ok(200), released);
    assert_eq!(post(&app, &id, "release", &json!({})).await.ok(200), released);
    post(&app, &id, "commit", &commit).await.problem(409, "already_released");
    assert_eq!(progress(&app).await, (json!("0.5"), json!("0")));
}

#[tokio::test]
async fn an_expired_reservation_holds_nothing_and_its_commit_is_late() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "usd", json!("10"), "strict")).await;
    let id = held(&app, "1").await;
    let extended = post(&app, &id, "extend", &json!({"ttl_seconds": 600})).await.ok(200);
    assert_eq!(
        extended,
        json!({"id": id, "state": "held",
        "expires_at": "2026-11-20T10:10:00.000001Z"})
    );
    app.clock.go_on(SignedDuration::from_mins(10));
    assert_eq!(progress(&app).await, (json!("0"), json!("0")));
    let seen = app.get(&format!("{PATH}/{id}")).send().await.ok(200);
    assert_eq!(seen["state"], "expired");
    let extend = async || {
        let address = format!("{PATH}/{id}/extend");
        app.post(&address).once("late").json(&json!({})).send().await
    };
    extend().await.problem(409, "reservation_expired");
    let again = extend().await;
    again.problem(409, "reservation_expired");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let late = post(&app, &id, "commit", &json!({"cost": "2"})).await.ok(200);
    assert_eq!((&late["late"], &late["cost"]), (&json!(true), &json!("2")));
    assert_eq!(progress(&app).await, (json!("2"), json!("0")));
}

#[tokio::test]
async fn an_incomplete_commit_books_at_least_what_was_held() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "usd", json!("10"), "strict")).await;
    let id = held(&app, "1").await;
    let answer = post(&app, &id, "commit", &json!({"incomplete": true})).await.ok(200);
    assert!(answer["flags"].to_string().contains("incomplete"), "{answer}");
    assert_eq!(progress(&app).await, (json!("1"), json!("0")));
    let id = held(&app, "1").await;
    let usage = json!({"input_tokens": 1_000_000, "output_tokens": 0});
    let more = json!({"incomplete": true, "usage": usage});
    assert_eq!(post(&app, &id, "commit", &more).await.ok(200)["cost"], "5");
}

#[tokio::test]
async fn a_tracked_event_commits_its_reservation() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "usd", json!("10"), "strict")).await;
    let id = held(&app, "1").await;
    let event = |event: &str| {
        json!({"events": [{"id": event, "path": "a/b", "service": "openai",
        "model": "gpt-5.4", "reservation_id": id, "usage": {"output_tokens": 1_000}}]})
    };
    let answer = app.post("/v1/track").json(&event("1")).send().await.ok(200);
    assert_eq!(answer["results"][0], json!({"id": "1", "status": "accepted", "cost": "0.015"}));
    assert_eq!(progress(&app).await, (json!("0.015"), json!("0")));
    let further = app.post("/v1/track").json(&event("2")).send().await.ok(200);
    assert_eq!(further["results"][0]["flags"], json!(["unreserved"]));
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_holds_nothing() {
    let app = TestApp::start().await;
    for (field, value, code, place) in [
        ("path", json!("A"), "validation_failed", "/path"),
        ("service", json!("a b"), "validation_failed", "/service"),
        ("model", json!("m".repeat(257)), "validation_failed", "/model"),
        ("ttl_seconds", json!(0), "validation_failed", "/ttl_seconds"),
        ("ttl_seconds", json!(86_401), "validation_failed", "/ttl_seconds"),
        ("estimate", json!({"cost": "-1"}), "validation_failed", "/estimate/cost"),
        (
            "estimate",
            json!({"usage": {"input_tokens": -1}}),
            "validation_failed",
            "/estimate/usage/input_tokens",
        ),
        (
            "estimate",
            json!({"usage": {"input_tokens": 1, "cache_read_tokens": 2}}),
            "usage_inconsistent",
            "/estimate/usage/cache_read_tokens",
        ),
        ("estimate", json!({"price": 1}), "unknown_field", "/estimate/price"),
        ("end_user_id", json!("u"), "validation_failed", "/end_user_id"),
        ("feature_key", json!("f"), "validation_failed", "/feature_key"),
        ("units", json!(1), "validation_failed", "/units"),
        ("commit_policy", json!("hold_only"), "validation_failed", "/commit_policy"),
        ("colour", json!(1), "unknown_field", "/colour"),
    ] {
        let mut body = estimate("1");
        body[field] = value;
        reserve(&app, &body).await.refuses(code, place);
    }
    assert!(app.caps.decisions().is_empty());
    let id = held(&app, "1").await;
    for (body, code, place) in [
        (json!({}), "validation_failed", "/usage"),
        (json!({"units": 1}), "validation_failed", "/units"),
        (json!({"cost": "-1"}), "validation_failed", "/cost"),
        (json!({"cost": "1", "id": "x"}), "unknown_field", "/id"),
        (
            json!({"usage": {"input_tokens": 1, "cache_read_tokens": 2}}),
            "usage_inconsistent",
            "/usage/cache_read_tokens",
        ),
    ] {
        post(&app, &id, "commit", &body).await.refuses(code, place);
    }
    post(&app, &id, "extend", &json!({"ttl_seconds": 0}))
        .await
        .refuses("validation_failed", "/ttl_seconds");
    let nobody = "res_00000000000000000000000000";
    app.get(&format!("{PATH}/{nobody}")).send().await.problem(404, "not_found");
    for what in ["commit", "release", "extend"] {
        let body = if what == "commit" { json!({"cost": "1"}) } else { json!({}) };
        post(&app, nobody, what, &body).await.problem(404, "not_found");
    }
    reserve(&app, &json!([])).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn only_whoever_tracks_reserves() {
    let app = TestApp::start().await;
    let body = estimate("1");
    app.post(PATH).no_key().json(&body).send().await.problem(401, "unauthenticated");
    let reader = app.key(Environment::Live, &[Scope::Read, Scope::Write]).await;
    app.post(PATH).key(&reader).json(&body).send().await.problem(403, "forbidden");
    let id = held(&app, "1").await;
    app.get(&format!("{PATH}/{id}")).key(&reader).send().await.ok(200);
    let stranger = app.strangers_key().await;
    app.get(&format!("{PATH}/{id}")).key(&stranger).send().await.problem(404, "not_found");
}
