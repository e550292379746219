//! What surrounds every request: ids, problem documents, panics, time limits.

use std::{sync::atomic::Ordering, time::Duration};

use api::Limits;
use serde_json::json;

use crate::test_app::TestApp;

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_are_problems() {
    let app = TestApp::start().await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/connections/", "/v1/tracks"] {
        app.get(path).send().await.problem(404, "not_found");
    }
    let answer = app.call("PUT", "/v1/connections").send().await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST,GET,HEAD"));
    app.call("BREW", "/v1/costs").send().await.problem(405, "method_not_allowed");
    app.post("/v1/files/file_1").send().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn every_answer_has_its_requests_id() {
    let app = TestApp::start().await;
    let fine = app.get("/v1/providers").send().await;
    assert!(fine.header("x-request-id").unwrap().starts_with("req_"));
    let refused = app.get("/nowhere").send().await;
    let problem = refused.problem(404, "not_found");
    assert_eq!(problem["request_id"].as_str(), refused.header("x-request-id"));
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_that_tells_nothing() {
    let app = TestApp::start().await;
    app.reports.panics.store(true, Ordering::SeqCst);
    let answer = app.get("/v1/costs").send().await;
    answer.problem(500, "internal");
    assert!(!answer.text().contains("canary"));
    app.get("/v1/providers").send().await.ok(200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let limits = Limits { request_timeout: Duration::from_millis(50), ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    app.reports.hangs.store(true, Ordering::SeqCst);
    app.get("/v1/costs").send().await.problem(503, "overloaded");
}

#[tokio::test]
async fn a_change_that_takes_too_long_may_have_happened() {
    let limits = Limits { request_timeout: Duration::from_millis(500), ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    let closed = app.vault.gate.acquire_many(100).await.unwrap();
    let call = || {
        let body = crate::test_app::connection_body("mine");
        app.post("/v1/connections").once("k").json(&body)
    };
    call().send().await.problem(503, "outcome_unknown");
    drop(closed);
    let replay = call().send().await;
    assert_eq!(replay.ok(201)["name"], "mine");
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
}

/// They do not go through the router.
const CHECK: &str = "/v1/check?path=acme";

#[tokio::test]
async fn a_check_that_panics_is_an_internal_problem_too() {
    let app = TestApp::start().await;
    app.caps.panics.store(true, Ordering::SeqCst);
    let answer = app.get(CHECK).send().await;
    let problem = answer.problem(500, "internal");
    assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"));
    assert!(!answer.text().contains("canary"));
    let fine = app.get(CHECK).send().await;
    fine.ok(200);
    assert!(fine.header("x-request-id").unwrap().starts_with("req_"));
    assert_ne!(fine.header("x-request-id"), answer.header("x-request-id"));
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_ended_and_a_report_may_have_happened() {
    let limits = Limits { request_timeout: Duration::from_millis(50), ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    app.caps.hangs.store(true, Ordering::SeqCst);
    app.get(CHECK).send().await.problem(503, "overloaded");
    let event = json!({"id": "1", "path": "acme", "service": "openai", "model": "gpt-4o",
        "usage": {"input_tokens": 1}});
    let report = app.post("/v1/track").json(&json!({"events": [event]}));
    report.send().await.problem(503, "outcome_unknown");
}

#[tokio::test]
async fn a_check_is_asked_for_with_escapes_or_without() {
    let app = TestApp::start().await;
    app.post("/v1/policies")
        .json(&json!({"path": "acme/app", "limit": {"unit": "requests", "amount": "5"},
            "scope": {"service": "openai", "model": "a+b=c d"}, "window": {"kind": "total"},
            "mode": "block"}))
        .send()
        .await
        .ok(201);
    for query in [
        "path=acme/app&model=a%2Bb=c%20d",
        "path=acme%2Fapp&model=a%2Bb%3Dc+d",
        "&model=a%2bb=c+d&&path=acme%2fapp",
        "p%61th=acme/app&model=a%2Bb%3Dc%20d",
    ] {
        let answer = app.get(&format!("/v1/check?service=openai&{query}")).send().await;
        let seen = answer.ok(200);
        assert_eq!(seen["policies"].as_array().map(Vec::len), Some(1), "{query}: {seen}");
    }
    for query in ["path=a&path=b", "path=a&what=b", "model=b"] {
        let answer = app.get(&format!("/v1/check?{query}")).send().await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text());
    }
}
