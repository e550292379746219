//! Paths: made by name and by use, changed, archived and restored.

use domain::{Scope, organization::Environment};
use serde_json::{Value, json};

use crate::{
    policies::{create, policy},
    test_app::{Answer, TestApp},
};

async fn put(app: &TestApp, path: &str, body: Value) -> Answer {
    app.call("PUT", &format!("/v1/paths/{path}")).json(&body).send().await
}

#[tokio::test]
async fn a_path_is_made_with_all_above_it_and_keeps_its_service() {
    let app = TestApp::start().await;
    let body = json!({"service": "OpenAI", "notes": "search", "tags": {"team": "core"}});
    let answer = put(&app, "acme/search/rewrite", body.clone()).await;
    assert!(answer.header("outlay-position").is_some());
    let made = answer.ok(200);
    let expected = json!({"path": "acme/search/rewrite", "service": "openai", "notes": "search",
        "tags": {"team": "core"}, "archived": false, "health": "none", "policy_count": 0,
        "created_at": "2026-11-20T10:00:00.000001Z"});
    assert_eq!(made, expected);
    assert_eq!(app.get("/v1/paths/acme/search/rewrite").send().await.ok(200), expected);
    assert_eq!(put(&app, "acme/search/rewrite", body).await.ok(200), expected, "again is the same");
    let other = put(&app, "acme/search/rewrite", json!({"service": "anthropic"})).await;
    other.problem(409, "service_mismatch");
    let changed = put(&app, "acme/search/rewrite", json!({"notes": "", "tags": {}})).await.ok(200);
    assert_eq!(
        (&changed["service"], &changed["notes"], &changed["tags"]),
        (&json!("openai"), &json!(""), &json!({}))
    );
    let list = app.get("/v1/paths").send().await.ok(200);
    let paths: Vec<_> = list["data"].as_array().unwrap().iter().map(|at| &at["path"]).collect();
    assert_eq!(paths, ["", "acme", "acme/search", "acme/search/rewrite"]);
    assert_eq!(list["data"][0]["created_at"], json!(null));
}

#[tokio::test]
async fn the_list_tells_the_worst_policy_and_comes_in_pages() {
    let app = TestApp::start().await;
    create(&app, &policy("a", "requests", json!(10), "block")).await;
    create(&app, &policy("a", "requests", json!(100), "block")).await;
    create(&app, &policy("a/b", "requests", json!(9), "open")).await;
    let event = json!({"events": [{"id": "1", "path": "a/b", "service": "openai",
        "model": "gpt-5.4", "usage": {"requests": 9}}]});
    app.post("/v1/track").json(&event).send().await.ok(200);
    let list = app.get("/v1/paths?limit=2").send().await.ok(200);
    let told = |list: &Value| -> Vec<String> {
        let each = |at: &Value| format!("{}:{}", at["path"], at["health"]).replace('"', "");
        list["data"].as_array().unwrap().iter().map(each).collect()
    };
    assert_eq!(told(&list), [":none", "a:warning"]);
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/v1/paths?limit=2&cursor={cursor}")).send().await.ok(200);
    assert_eq!((told(&rest), &rest["next_cursor"]), (vec!["a/b:over".to_owned()], &json!(null)));
    let root = app.get("/v1/paths?limit=1").send().await.ok(200);
    let cursor = root["next_cursor"].as_str().unwrap();
    let next = app.get(&format!("/v1/paths?limit=1&cursor={cursor}")).send().await.ok(200);
    assert_eq!(told(&next), ["a:warning"], "the environment has a place in the list too");
    assert_eq!(told(&app.get("/v1/paths?path=a/b").send().await.ok(200)), ["a/b:over"]);
}

#[tokio::test]
async fn an_archived_path_takes_nothing_until_it_is_restored() {
    let app = TestApp::start().await;
    put(&app, "a/b", json!({})).await.ok(200);
    let archived = app.post("/v1/paths/a/archive").send().await;
    assert!(archived.header("outlay-position").is_some());
    assert_eq!(archived.ok(200)["archived"], true);
    app.post("/v1/paths/a/archive").send().await.ok(200);
    let event = json!({"events": [{"id": "1", "path": "a/b", "service": "openai",
        "model": "gpt-5.4", "usage": {}}]});
    let track = async || app.post("/v1/track").json(&event).send().await.ok(200);
    assert_eq!(track().await["results"][0]["code"], "path_archived");
    let reserve = app.post("/v1/reservations").json(&json!({"path": "a/b"})).send().await;
    reserve.problem(409, "path_archived");
    let check = app.get("/v1/check?path=a/b").send().await.ok(200);
    assert_eq!((&check["allowed"], &check["reason"]), (&json!(false), &json!("path_archived")));
    let restored = app.post("/v1/paths/a/restore").once("k").send().await.ok(200);
    assert_eq!(restored["archived"], false);
    let again = app.post("/v1/paths/a/restore").once("k").send().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(track().await["accepted"], 1);
}

#[tokio::test]
async fn what_is_wrong_or_not_there_is_refused() {
    let app = TestApp::start().await;
    let many: serde_json::Map<_, _> = (0..33).map(|at| (at.to_string(), json!("x"))).collect();
    for (body, code, place) in [
        (json!({"service": "a b"}), "validation_failed", "/service"),
        (json!({"notes": "x".repeat(4097)}), "validation_failed", "/notes"),
        (json!({"tags": many}), "validation_failed", "/tags"),
        (json!({"tags": {"a": "x".repeat(257)}}), "validation_failed", "/tags/a"),
        (json!({"archived": true}), "unknown_field", "/archived"),
    ] {
        put(&app, "a", body).await.refuses(code, place);
    }
    put(&app, "A", json!({})).await.refuses("validation_failed", "path");
    app.call("PUT", "/v1/paths/a")
        .body("application/json", b"{")
        .send()
        .await
        .problem(400, "malformed_json");
    app.get("/v1/paths/a").send().await.problem(404, "not_found");
    app.post("/v1/paths/a/archive").send().await.problem(404, "not_found");
    app.post("/v1/paths/a/burn").send().await.problem(404, "not_found");
    let reader = app.key(Environment::Live, &[Scope::Read]).await;
    app.call("PUT", "/v1/paths/a")
        .key(&reader)
        .json(&json!({}))
        .send()
        .await
        .problem(403, "forbidden");
    app.get("/v1/paths").no_key().send().await.problem(401, "unauthenticated");
}
