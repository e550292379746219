//! Syncs: at most one open for each connection.

use serde_json::json;

use crate::test_app::TestApp;

#[tokio::test]
async fn while_a_sync_is_open_the_answer_is_that_one() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connections/{id}/sync");
    let first = app.post(&path).send().await.ok(202);
    let again = app.post(&path).json(&json!({})).send().await.ok(202);
    assert_eq!(first, again);
    let syncs = app.get(&format!("{path}s")).send().await.ok(200);
    assert_eq!(syncs["data"].as_array().unwrap().len(), 1);
    assert_eq!(syncs["data"][0]["id"], first["sync_id"]);
}

#[tokio::test]
async fn after_one_sync_has_ended_the_next_is_another() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connections/{id}/sync");
    let connection = domain::ConnectionId::parse(&id).unwrap();
    let open = app.store.open_sync(connection).await.unwrap().unwrap();
    let end = store::syncs::SyncEnd { finished_at: open.created_at, error: None, issues: vec![] };
    app.store.finish_sync(open.id, &end).await.unwrap();

    app.clock.go_on(jiff::SignedDuration::from_secs(1));
    let next = app.post(&path).once("k").send().await.ok(202);
    assert_ne!(next["sync_id"], open.id.to_string());
    let syncs = app.get(&format!("{path}s")).send().await.ok(200);
    let states: Vec<_> = syncs["data"].as_array().unwrap().iter().map(|s| &s["state"]).collect();
    assert_eq!(states, ["done", "queued"]);
    let replay = app.post(&path).once("k").send().await;
    assert_eq!(replay.ok(202), next);
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_sync_takes_no_fields() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connections/{id}/sync");
    let answer = app.post(&path).json(&json!({"from": "2026-01-01"})).send().await;
    answer.refuses("unknown_field", "/from");
    let nobody = "/v1/connections/conn_00000000000000000000000000/sync";
    app.post(nobody).send().await.problem(404, "not_found");
}
