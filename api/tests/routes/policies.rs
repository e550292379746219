//! Policies: made, listed, changed and removed, and what is refused.

use std::{sync::atomic::Ordering, time::Duration};

use api::Limits;
use domain::{Scope, organization::Environment};
use serde_json::{Value, json};

use crate::test_app::TestApp;

const PATH: &str = "/v1/policies";

pub(crate) fn policy(path: &str, unit: &str, amount: Value, mode: &str) -> Value {
    json!({"path": path, "limit": {"unit": unit, "amount": amount},
        "window": {"kind": "calendar", "unit": "month"}, "mode": mode})
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[key] = value;
    body
}

pub(crate) async fn create(app: &TestApp, body: &Value) -> Value {
    app.post(PATH).json(body).send().await.ok(201)
}

#[tokio::test]
async fn a_policy_is_made_and_found_again_with_its_progress() {
    let app = TestApp::start().await;
    let body = json!({
        "path": "acme/app", "scope": {"service": "OpenAI", "model": "gpt-5.4-2026-03-05"},
        "limit": {"unit": "usd", "amount": 12.50}, "window": {"kind": "calendar", "unit": "month"},
        "mode": "strict", "alerts": [{"at_percent": 80}, {"at_amount": "10.00",
            "channels": ["slack"]}],
    });
    let answer = app.post(PATH).json(&body).send().await;
    assert!(answer.header("outlay-position").is_some());
    let made = answer.ok(201);
    let mut expected = json!({
        "id": made["id"], "path": "acme/app",
        "scope": {"service": "openai", "model": "gpt-5.4"},
        "limit": {"unit": "usd", "amount": "12.5"},
        "window": {"kind": "calendar", "unit": "month"}, "mode": "strict",
        "on_unavailable": "refuse",
        "alerts": [{"at_percent": 80, "channels": []},
            {"at_amount": "10", "channels": ["slack"]}],
        "state": "active",
        "progress": {"used": "0", "held": "0", "remaining": "12.5",
            "window_start": "2026-11-01T00:00:00Z", "resets_at": "2026-12-01T00:00:00Z",
            "health": "healthy"},
        "created_at": "2026-11-20T10:00:00Z",
    });
    let progress = expected["progress"].as_object().unwrap().clone();
    expected.as_object_mut().unwrap().extend(progress);
    assert_eq!(made, expected);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("pol_"));
    assert_eq!(app.get(&format!("{PATH}/{id}")).send().await.ok(200), expected);
    assert_eq!(app.get(PATH).send().await.ok(200)["data"], json!([expected]));
}

#[tokio::test]
async fn every_kind_of_window_and_unit_reads_back_as_it_was_sent() {
    let app = TestApp::start().await;
    for (window, unit, amount) in [
        (json!({"kind": "calendar", "unit": "minute"}), "requests", json!(10)),
        (
            json!({"kind": "anchored", "every": "P1M", "anchor": "2026-01-31T00:00:00Z"}),
            "credits",
            json!(0.125),
        ),
        (json!({"kind": "session", "duration": "PT5H"}), "tokens", json!(1_000_000)),
        (json!({"kind": "sliding", "duration": "P7D"}), "usd", json!("0.000000000000001")),
        (json!({"kind": "total"}), "usd", json!("0")),
    ] {
        let body = with(policy("a", unit, amount.clone(), "block"), "/window", window.clone());
        let made = create(&app, &body).await;
        assert_eq!((&made["window"], &made["limit"]["amount"]), (&window, &amount));
        assert_eq!(made["on_unavailable"], "allow");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place() {
    let app = TestApp::start().await;
    let good = policy("a", "usd", json!("1"), "block");
    let many: Vec<_> = (1..=21).map(|percent| json!({"at_percent": percent})).collect();
    for (pointer, value, code, place) in [
        ("/path", json!("A/b"), "validation_failed", "/path"),
        ("/mode", json!("hard"), "validation_failed", "/mode"),
        ("/limit/unit", json!("euros"), "validation_failed", "/limit/unit"),
        ("/limit/amount", json!("-1"), "validation_failed", "/limit/amount"),
        ("/limit/amount", json!("1e19"), "validation_failed", "/limit/amount"),
        ("/limit/amount", json!("0.0000000000000001"), "validation_failed", "/limit/amount"),
        ("/window/kind", json!("moon"), "validation_failed", "/window/kind"),
        ("/window/unit", json!("decade"), "validation_failed", "/window/unit"),
        ("/window", json!({"kind": "session"}), "validation_failed", "/window/duration"),
        (
            "/window",
            json!({"kind": "session", "duration": "P1M"}),
            "validation_failed",
            "/window/duration",
        ),
        (
            "/window",
            json!({"kind": "anchored", "every": "PT1H", "anchor": "2026-01-01"}),
            "validation_failed",
            "/window/every",
        ),
        ("/window", json!({"kind": "total", "unit": "day"}), "validation_failed", "/window/unit"),
        ("/on_unavailable", json!("maybe"), "validation_failed", "/on_unavailable"),
        ("/per", json!("end_user"), "validation_failed", "/per"),
        ("/scope", json!({"model": "gpt-5.4"}), "validation_failed", "/scope/service"),
        ("/alerts", json!(many), "validation_failed", "/alerts"),
        ("/alerts", json!([{"at_percent": 0}]), "validation_failed", "/alerts/0/at_percent"),
        ("/alerts", json!([{}]), "validation_failed", "/alerts/0"),
        ("/color", json!("red"), "unknown_field", "/color"),
    ] {
        let answer = app.post(PATH).json(&with(good.clone(), pointer, value)).send().await;
        answer.refuses(code, place);
    }
    let credits = policy("a", "credits", json!(0.0001), "block");
    app.post(PATH).json(&credits).send().await.refuses("validation_failed", "/limit/amount");
    assert_eq!(app.get(PATH).send().await.ok(200)["data"], json!([]), "nothing was changed");
}

#[tokio::test]
async fn a_path_has_at_most_ten_policies() {
    let app = TestApp::start().await;
    for _ in 0..10 {
        create(&app, &policy("a", "usd", json!("1"), "open")).await;
    }
    let answer = app.post(PATH).json(&policy("a", "usd", json!("1"), "open")).send().await;
    answer.problem(422, "too_many_policies");
}

#[tokio::test]
async fn a_repeat_under_one_key_makes_one_policy() {
    let app = TestApp::start().await;
    let body = policy("a", "usd", json!("1"), "open");
    let first = app.post(PATH).once("k").json(&body).send().await;
    assert!(first.header("outlay-position").is_some());
    let again = app.post(PATH).once("k").json(&body).send().await;
    assert_eq!((again.ok(201), again.header("idempotent-replayed")), (first.ok(201), Some("true")));
    let other = policy("b", "usd", json!("1"), "open");
    let answer = app.post(PATH).once("k").json(&other).send().await;
    answer.problem(422, "idempotency_key_reused");
    assert_eq!(app.get(PATH).send().await.ok(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_policy_that_is_still_opening_is_answered_202_and_refuses_nothing() {
    let limits = Limits { opening_patience: Duration::from_millis(30), ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    app.caps.holds_bases.store(true, Ordering::SeqCst);
    app.call("PUT", "/v1/paths/a").json(&json!({})).send().await.ok(200);
    let answer = app.post(PATH).json(&policy("a", "usd", json!("0"), "block")).send().await;
    let made = answer.ok(202);
    assert_eq!(made["state"], "opening");
    let check = app.get("/v1/check?path=a").send().await.ok(200);
    assert_eq!(check["allowed"], true);
}

#[tokio::test]
async fn limits_modes_and_alerts_change_and_what_is_used_stays() {
    let app = TestApp::start().await;
    let made = create(&app, &policy("a", "requests", json!(5), "block")).await;
    let address = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let event = json!({"events": [{"id": "1", "path": "a", "service": "openai",
        "model": "gpt-5.4", "usage": {"requests": 4}}]});
    app.post("/v1/track").json(&event).send().await.ok(200);
    let patch = json!({"limit": {"amount": 8}, "mode": "strict", "on_unavailable": "allow",
        "alerts": [{"at_percent": 50.5}]});
    let changed = app.call("PATCH", &address).json(&patch).send().await.ok(200);
    assert_eq!(changed["limit"], json!({"unit": "requests", "amount": 8}));
    assert_eq!((&changed["mode"], &changed["on_unavailable"]), (&json!("strict"), &json!("allow")));
    assert_eq!(changed["alerts"], json!([{"at_percent": 50.5, "channels": []}]));
    assert_eq!(
        (&changed["progress"]["used"], &changed["progress"]["remaining"]),
        (&json!(4), &json!(4))
    );
    for (patch, code, place) in [
        (json!({"limit": {"unit": "usd", "amount": 1}}), "validation_failed", "/limit/unit"),
        (json!({"limit": {"amount": 1.5}}), "validation_failed", "/limit/amount"),
        (json!({"window": {"kind": "total"}}), "unknown_field", "/window"),
        (json!({"path": "b"}), "unknown_field", "/path"),
    ] {
        app.call("PATCH", &address).json(&patch).send().await.refuses(code, place);
    }
    assert_eq!(app.call("DELETE", &address).send().await.status.as_u16(), 204);
    app.get(&address).send().await.problem(404, "not_found");
    app.call("DELETE", &address).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn policies_are_listed_below_a_path_and_in_pages() {
    let app = TestApp::start().await;
    for path in ["a", "a/b", "ab", ""] {
        create(&app, &policy(path, "usd", json!("1"), "open")).await;
    }
    let paths = async |query: &str| -> Vec<String> {
        let list = app.get(&format!("{PATH}?{query}")).send().await.ok(200);
        let data = list["data"].as_array().unwrap();
        let mut paths: Vec<_> =
            data.iter().map(|policy| policy["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths("path=a").await, ["a", "a/b"]);
    assert_eq!(paths("path=").await.len(), 4);
    let first = app.get(&format!("{PATH}?limit=3")).send().await.ok(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(paths(&format!("limit=3&cursor={cursor}")).await.len(), 1);
    app.get(&format!("{PATH}?path=A")).send().await.refuses("validation_failed", "path");
}

#[tokio::test]
async fn only_whoever_writes_makes_policies_and_nobody_sees_anothers() {
    let app = TestApp::start().await;
    let body = policy("a", "usd", json!("1"), "open");
    app.post(PATH).no_key().json(&body).send().await.problem(401, "unauthenticated");
    let reader = app.key(Environment::Live, &[Scope::Read, Scope::Track]).await;
    app.post(PATH).key(&reader).json(&body).send().await.problem(403, "forbidden");
    let made = create(&app, &body).await;
    let address = format!("{PATH}/{}", made["id"].as_str().unwrap());
    app.get(&address).key(&reader).send().await.ok(200);
    let test = app.key(Environment::Test, &Scope::ALL).await;
    app.get(&address).key(&test).send().await.problem(404, "not_found");
    let stranger = app.strangers_key().await;
    app.get(&address).key(&stranger).send().await.problem(404, "not_found");
    app.get(&format!("{PATH}/pol_x")).send().await.problem(404, "not_found");
}
