//! Connections: made, listed, changed, removed.

use std::sync::atomic::Ordering;

use api::Limits;
use serde_json::{Value, json};

use crate::test_app::{TestApp, connection_body};

fn with(changes: Value) -> Value {
    let mut body = connection_body("n");
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_new_connection_syncs_and_never_shows_its_credentials() {
    let app = TestApp::start().await;
    let answer = app.post("/v1/connections").json(&connection_body(" Main ")).send().await;
    let connection = answer.ok(201);
    let id = connection["id"].as_str().unwrap();
    assert!(id.starts_with("conn_") && id.len() == "conn_".len() + 26);
    assert_eq!(
        connection,
        json!({
            "id": id, "provider": "acme", "name": "Main", "status": "syncing", "base_url": null,
            "schedule": "PT1H", "backfill_days": 90, "account": null, "last_sync": null,
            "complete_through": null, "error": null, "created_at": "2026-11-20T10:00:00.000001Z",
        })
    );
    assert_eq!(app.wake_count.load(Ordering::SeqCst), 1);

    let one = app.get(&format!("/v1/connections/{id}")).send().await;
    assert_eq!(one.ok(200), connection);
    let list = app.get("/v1/connections").send().await;
    assert_eq!(list.ok(200), json!({"data": [connection], "next_cursor": null}));
    for answer in [answer, one, list] {
        assert!(!answer.text().contains("canary") && !answer.text().contains("admin_key"));
    }
    let syncs = app.get(&format!("/v1/connections/{id}/syncs")).send().await.ok(200);
    assert_eq!(syncs["data"][0]["state"], "queued");
    let scheduled = app.store.scheduled_jobs("sync_connection").await.unwrap();
    assert_eq!(scheduled[0].key.subject, id);
}

#[tokio::test]
async fn credentials_are_stored_sealed() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let sealed = app.store.sealed_secrets(app.organization, &id).await.unwrap();
    let [secret] = sealed.as_slice() else { panic!("one credential") };
    assert_eq!(secret.field, "admin_key");
    assert!(!secret.ciphertext.windows(6).any(|bytes| bytes == b"canary"));
}

#[tokio::test]
async fn wrong_values_are_refused_where_they_stand() {
    let app = TestApp::start().await;
    let long = "x".repeat(201);
    for (change, place) in [
        (json!({"provider": "nobody"}), "/provider"),
        (json!({"provider": 7}), "/provider"),
        (json!({"name": ""}), "/name"),
        (json!({"name": long}), "/name"),
        (json!({"credentials": {}}), "/credentials/admin_key"),
        (json!({"credentials": {"admin_key": ""}}), "/credentials/admin_key"),
        (json!({"credentials": {"admin_key": 1}}), "/credentials/admin_key"),
        (json!({"credentials": "ak-admin-canary"}), "/credentials"),
        (json!({"backfill_days": 0}), "/backfill_days"),
        (json!({"backfill_days": 366}), "/backfill_days"),
        (json!({"backfill_days": -1}), "/backfill_days"),
        (json!({"backfill_days": 1.5}), "/backfill_days"),
        (json!({"schedule": "PT1M"}), "/schedule"),
        (json!({"schedule": "hourly"}), "/schedule"),
        (json!({"base_url": "https://gateway.example/v1"}), "/base_url"),
        (json!({"base_url": "http://127.0.0.1:9"}), "/base_url"),
        (json!({"default_path": "a/b"}), "/default_path"),
    ] {
        let answer = app.post("/v1/connections").json(&with(change)).send().await;
        answer.refuses("validation_failed", place);
        assert!(!answer.text().contains("canary"), "{answer:?}");
    }
    let list = app.get("/v1/connections").send().await.ok(200);
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once() {
    let app = TestApp::start().await;
    let body = with(json!({"name": "", "schedule": "x", "credentials": {"admin_key": "sk-1"}}));
    let answer = app.post("/v1/connections").json(&body).send().await;
    for place in ["/name", "/schedule", "/credentials/admin_key"] {
        answer.refuses("validation_failed", place);
    }
}

#[tokio::test]
async fn a_wrong_kind_of_key_is_told_what_is_needed_and_where_to_get_it() {
    let app = TestApp::start().await;
    let body = with(json!({"credentials": {"admin_key": "ak-user-canary"}}));
    let answer = app.post("/v1/connections").json(&body).send().await;
    answer.refuses("validation_failed", "/credentials/admin_key");
    let text = answer.text();
    assert!(text.contains("`ak-admin-`") && text.contains("https://acme.example/keys"));
    assert!(!text.contains("canary"));
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    let app = TestApp::start().await;
    let body = with(json!({"colour": "red"}));
    app.post("/v1/connections").json(&body).send().await.refuses("unknown_field", "/colour");
    let credentials = json!({"admin_key": "ak-admin-canary", "other/key": "x"});
    let body = with(json!({"credentials": credentials}));
    let answer = app.post("/v1/connections").json(&body).send().await;
    answer.refuses("unknown_field", "/credentials/other~1key");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let app = TestApp::start().await;
    let call = || app.post("/v1/connections");
    call().body("application/json", b"{\"name\":").send().await.problem(400, "malformed_json");
    call().send().await.problem(400, "malformed_json");
    call().body("text/plain", b"{}").send().await.problem(415, "unsupported_media_type");
    let large = vec![b' '; Limits::default().body_bytes_max + 1];
    call().body("application/json", &large).send().await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn http_base_urls_need_the_operators_leave() {
    let app = TestApp::start_with(Limits::default(), true).await;
    let body = with(json!({"base_url": "http://127.0.0.1:9000/", "schedule": "PT30M"}));
    let connection = app.post("/v1/connections").json(&body).send().await.ok(201);
    assert_eq!(connection["base_url"], "http://127.0.0.1:9000");
    assert_eq!(connection["schedule"], "PT30M");
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let app = TestApp::start().await;
    for name in ["a", "b", "c", "d"] {
        app.clock.go_on(jiff::SignedDuration::from_secs(1));
        app.connect(name).await;
    }
    let first = app.get("/v1/connections?limit=2").send().await.ok(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app.get(&format!("/v1/connections?limit=2&cursor={cursor}")).send().await.ok(200);
    let names = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap();
        data.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!([names(&first), names(&second)].concat(), ["a", "b", "c", "d"]);
    assert_eq!(second["next_cursor"], Value::Null, "a full last page is still the last");
}

#[tokio::test]
async fn wrong_pages_are_refused() {
    let app = TestApp::start().await;
    for (query, code, parameter) in [
        ("limit=0", "validation_failed", "limit"),
        ("limit=1001", "validation_failed", "limit"),
        ("cursor=%25%25", "validation_failed", "cursor"),
        ("limit=1&limit=2", "validation_failed", "limit"),
        ("colour=red", "unknown_field", "colour"),
    ] {
        let answer = app.get(&format!("/v1/connections?{query}")).send().await;
        answer.refuses(code, parameter);
    }
}

#[tokio::test]
async fn a_connection_is_renamed_rescheduled_paused_and_resumed() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connections/{id}");
    let patch = |change: Value| app.call("PATCH", &path).json(&change);

    let changed = patch(json!({"name": "Yours", "schedule": "P1D"})).send().await.ok(200);
    assert_eq!((&changed["name"], &changed["schedule"]), (&json!("Yours"), &json!("P1D")));
    assert_eq!(patch(json!({"paused": true})).send().await.ok(200)["status"], "paused");
    app.post(&format!("{path}/sync")).send().await.problem(409, "conflict");
    assert_eq!(patch(json!({"paused": false})).send().await.ok(200)["status"], "syncing");

    patch(json!({"name": ""})).send().await.refuses("validation_failed", "/name");
    patch(json!({"provider": "beta"})).send().await.refuses("unknown_field", "/provider");
    let log = app.get("/v1/audit-log?limit=3").send().await.ok(200);
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert_eq!(actions, ["connection.updated"; 3]);
}

#[tokio::test]
async fn an_empty_change_changes_and_audits_nothing() {
    let app = TestApp::start().await;
    let connection = app.connect("mine").await;
    let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
    let log = app.get("/v1/audit-log").send().await.ok(200);
    assert_eq!(app.call("PATCH", &path).json(&json!({})).send().await.ok(200), connection);
    assert_eq!(app.get("/v1/audit-log").send().await.ok(200), log);
}

#[tokio::test]
async fn credentials_are_replaced_as_a_whole() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let before = app.store.sealed_secrets(app.organization, &id).await.unwrap();
    let path = format!("/v1/connections/{id}/credentials");
    let put = |body: Value| app.call("PUT", &path).json(&body);

    let right = json!({"admin_key": "ak-admin-2"});
    let answer = put(json!({"credentials": right})).send().await;
    assert_eq!(answer.ok(200)["status"], "syncing");
    assert!(!answer.text().contains("ak-admin-2"));
    let after = app.store.sealed_secrets(app.organization, &id).await.unwrap();
    assert_ne!(before, after);
    put(right).send().await.ok(200);

    let wrong = json!({"credentials": {"admin_key": "sk-canary"}});
    put(wrong).send().await.refuses("validation_failed", "/credentials/admin_key");
    put(json!({"admin_key": "sk-1"})).send().await.refuses("validation_failed", "/admin_key");
    put(json!({})).send().await.refuses("validation_failed", "/credentials");
    let two = json!({"credentials": {}, "also": 1});
    put(two).send().await.refuses("unknown_field", "/also");
}

#[tokio::test]
async fn a_deleted_connection_is_gone() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connections/{id}");
    let wrong = app.call("DELETE", &format!("{path}?charges=all")).send().await;
    wrong.refuses("validation_failed", "charges");
    let deleted = app.call("DELETE", &format!("{path}?charges=delete")).send().await;
    assert_eq!((deleted.status.as_u16(), deleted.text().as_str()), (204, ""));
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone())] {
        app.call(method, &path).send().await.problem(404, "not_found");
    }
    app.get(&format!("{path}/syncs")).send().await.problem(404, "not_found");
    assert!(app.store.sealed_secrets(app.organization, &id).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_id_is_not_found() {
    let app = TestApp::start().await;
    for id in ["x", "conn_1", "file_00000000000000000000000000", "%2e%2e", "%ff"] {
        app.get(&format!("/v1/connections/{id}")).send().await.problem(404, "not_found");
    }
}
