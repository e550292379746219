//! May the next call be made? Always 200, and nothing is written.

use domain::{Scope, organization::Environment};
use serde_json::{Value, json};
use shards::ShardError;

use crate::{
    policies::{create, policy},
    test_app::TestApp,
};

async fn check(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/v1/check?{query}")).send().await.ok(200)
}

async fn use_requests(app: &TestApp, id: &str, count: u64) {
    let event = json!({"events": [{"id": id, "path": "a/b", "service": "openai",
        "model": "gpt-5.4", "usage": {"requests": count}}]});
    app.post("/v1/track").json(&event).send().await.ok(200);
}

#[tokio::test]
async fn a_path_that_nobody_has_seen_is_decided_by_those_above_it() {
    let app = TestApp::start().await;
    let free = json!({"allowed": true, "mode": "open", "reservation_required": false,
        "policies": []});
    assert_eq!(check(&app, "path=a/new&service=openai&model=gpt-5.4").await, free);
    let made = create(&app, &policy("a", "requests", json!(2), "block")).await;
    use_requests(&app, "1", 2).await;
    let before = app.caps.decisions().len();
    let standing = json!({"policy_id": made["id"], "path": "a", "scope": {}, "mode": "block",
        "unit": "requests", "limit": 2, "used": 2, "held": 0, "remaining": 0,
        "resets_at": "2026-12-01T00:00:00Z"});
    let no = json!({"allowed": false, "mode": "block", "reservation_required": false,
        "reason": "quota_exceeded", "policy": standing, "policies": [standing]});
    assert_eq!(check(&app, "path=a/new&service=openai&model=gpt-5.4").await, no);
    assert_eq!(check(&app, "path=b").await, free);
    assert_eq!(app.caps.decisions().len(), before, "nothing is written");
}

#[tokio::test]
async fn a_scope_is_met_by_the_dated_name_of_its_model() {
    let app = TestApp::start().await;
    let mut body = policy("a", "requests", json!(0), "block");
    body["scope"] = json!({"service": "openai", "model": "gpt-5.4"});
    create(&app, &body).await;
    let allowed = async |query: &str| check(&app, query).await["allowed"].clone();
    assert_eq!(allowed("path=a&service=OpenAI&model=gpt-5.4-2026-03-05").await, false);
    assert_eq!(allowed("path=a&service=openai&model=gpt-5.4-mini").await, true);
}

#[tokio::test]
async fn strict_needs_a_reservation_and_a_price() {
    let app = TestApp::start().await;
    let made = create(&app, &policy("a", "usd", json!("1"), "strict")).await;
    let priced = check(&app, "path=a&service=openai&model=gpt-5.4").await;
    assert_eq!(
        (&priced["allowed"], &priced["reservation_required"], &priced["mode"]),
        (&json!(true), &json!(true), &json!("strict"))
    );
    let unpriced = check(&app, "path=a&service=openai&model=gpt-9").await;
    assert_eq!(
        (&unpriced["allowed"], &unpriced["unpriced"], &unpriced["reason"]),
        (&json!(false), &json!(true), &json!("unpriced"))
    );
    assert_eq!(unpriced["policy"]["policy_id"], made["id"]);
    let address = format!("/v1/policies/{}", made["id"].as_str().unwrap());
    let patch = json!({"on_unavailable": "allow"});
    app.call("PATCH", &address).json(&patch).send().await.ok(200);
    let lenient = check(&app, "path=a&service=openai&model=gpt-9").await;
    assert_eq!((&lenient["allowed"], &lenient["unpriced"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn a_stale_answer_says_so_and_each_policy_decides_what_it_means() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "requests", json!(9), "strict")).await;
    create(&app, &policy("b", "requests", json!(0), "block")).await;
    *app.caps.stale_ms.lock().unwrap() = Some(2_500);
    let refused = check(&app, "path=a").await;
    assert_eq!(
        (&refused["allowed"], &refused["stale_ms"], &refused["reason"]),
        (&json!(false), &json!(2_500), &json!("unavailable"))
    );
    assert_eq!(check(&app, "path=b").await["allowed"], true, "its policy lets pass");
    *app.caps.fails.lock().unwrap() = Some(ShardError::Unavailable("gone".into()));
    app.get("/v1/check?path=a").send().await.problem(503, "unavailable");
}

#[tokio::test]
async fn a_path_of_another_service_and_wrong_questions_are_told() {
    let app = TestApp::start().await;
    app.call("PUT", "/v1/paths/a").json(&json!({"service": "openai"})).send().await.ok(200);
    assert_eq!(check(&app, "path=a&service=anthropic").await["reason"], "service_mismatch");
    for (query, place) in [("path=A", "path"), ("path=a&service=a%20b", "service"), ("", "path")] {
        let answer = app.get(&format!("/v1/check?{query}")).send().await;
        answer.refuses("validation_failed", place);
    }
    app.get("/v1/check?path=a&colour=red").send().await.refuses("unknown_field", "colour");
    let least = app.get("/v1/check?path=a").header("Outlay-Position", "x").send().await;
    least.refuses("validation_failed", "Outlay-Position");
    app.get("/v1/check?path=a").no_key().send().await.problem(401, "unauthenticated");
    for scope in [Scope::Read, Scope::Track] {
        let key = app.key(Environment::Live, &[scope]).await;
        app.get("/v1/check?path=a").key(&key).send().await.ok(200);
    }
    let key = app.key(Environment::Live, &[Scope::Write]).await;
    app.get("/v1/check?path=a").key(&key).send().await.problem(403, "forbidden");
}
