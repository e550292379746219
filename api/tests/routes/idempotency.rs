//! `Idempotency-Key`: the first answer again, and the work once.

use std::{sync::atomic::Ordering, time::Duration};

use api::Limits;
use domain::{Scope, organization::Environment};
use serde_json::json;

use crate::test_app::{TestApp, connection_body};

async fn connection_count(app: &TestApp) -> usize {
    let list = app.get("/v1/connections").send().await.ok(200);
    list["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_byte_for_byte() {
    let app = TestApp::start().await;
    let body = connection_body("mine");
    let first = app.post("/v1/connections").once("k").json(&body).send().await;
    assert_eq!(first.header("idempotent-replayed"), None);
    app.clock.go_on(jiff::SignedDuration::from_hours(24));
    let replay = app.post("/v1/connections").once("k").json(&body).send().await;
    assert_eq!((replay.status, &replay.body), (first.status, &first.body));
    assert_eq!(replay.header("content-type"), first.header("content-type"));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_ne!(replay.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(connection_count(&app).await, 1);
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let app = TestApp::start().await;
    let body = json!({"provider": "acme"});
    let first = app.post("/v1/connections").once("k").json(&body).send().await;
    first.refuses("validation_failed", "/name");
    let replay = app.post("/v1/connections").once("k").json(&body).send().await;
    assert_eq!((replay.status, &replay.body), (first.status, &first.body));
    assert_eq!(replay.header("content-type"), Some("application/problem+json"));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_key_belongs_to_its_body() {
    let app = TestApp::start().await;
    app.post("/v1/connections").once("k").json(&connection_body("a")).send().await.ok(201);
    let other = app.post("/v1/connections").once("k").json(&connection_body("b")).send().await;
    other.problem(422, "idempotency_key_reused");
    assert_eq!(connection_count(&app).await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_organization_and_route() {
    let app = TestApp::start().await;
    let stranger = app.strangers_key().await;
    let body = connection_body("a");
    let mine = app.post("/v1/connections").once("k").json(&body).send().await.ok(201);
    let theirs =
        app.post("/v1/connections").key(&stranger).once("k").json(&body).send().await.ok(201);
    assert_ne!(mine["id"], theirs["id"]);
    let id = mine["id"].as_str().unwrap();
    app.post(&format!("/v1/connections/{id}/sync")).once("k").send().await.ok(202);
    let second = app.key(Environment::Live, &[Scope::Write]).await;
    let replay = app.post("/v1/connections").key(&second).once("k").json(&body).send().await;
    assert_eq!(replay.ok(201)["id"], mine["id"], "two keys of one organization share it");
}

#[tokio::test]
async fn of_many_requests_at_once_one_does_the_work() {
    let app = TestApp::start().await;
    let body = connection_body("mine");
    let calls = (0..10).map(|_| app.post("/v1/connections").once("k").json(&body).send());
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "{answers:?}");
    let is_replay =
        |answer: &&crate::test_app::Answer| answer.header("idempotent-replayed").is_some();
    assert_eq!(answers.iter().filter(is_replay).count(), 9);
    assert_eq!(connection_count(&app).await, 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_work() {
    let app = TestApp::start().await;
    let body = connection_body("mine");
    let closed = app.vault.gate.acquire_many(100).await.unwrap();
    let mut call = Box::pin(app.post("/v1/connections").once("k").json(&body).send());
    // Polled until the work waits at the gate, then dropped.
    let hangs_up = tokio::time::timeout(Duration::from_millis(300), &mut call).await;
    assert!(hangs_up.is_err());
    drop(call);
    drop(closed);
    let replay = app.post("/v1/connections").once("k").json(&body).send().await;
    replay.ok(201);
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(connection_count(&app).await, 1);
}

#[tokio::test]
async fn a_repeat_does_not_wait_for_ever() {
    let repeat_patience = Duration::from_millis(300);
    let app = TestApp::start_with(Limits { repeat_patience, ..Limits::default() }, false).await;
    let body = connection_body("mine");
    let closed = app.vault.gate.acquire_many(100).await.unwrap();
    let call = || app.post("/v1/connections").once("k").json(&body).send();
    // Whichever claims the key, its work waits at the gate, and the other gives up.
    let (one, two) = (call(), call());
    tokio::pin!(one, two);
    let refused = tokio::select! {
        answer = &mut one => answer,
        answer = &mut two => answer,
    };
    refused.problem(409, "conflict");
    let other = app.post("/v1/connections").once("k").json(&connection_body("yours")).send().await;
    other.problem(422, "idempotency_key_reused");
    drop(closed);
    call().await.ok(201);
    assert_eq!(connection_count(&app).await, 1);
}

#[tokio::test]
async fn a_fault_of_ours_is_not_kept() {
    let app = TestApp::start().await;
    let body = connection_body("mine");
    app.vault.refuses.store(true, Ordering::SeqCst);
    let failed = app.post("/v1/connections").once("k").json(&body).send().await;
    failed.problem(500, "internal");
    assert!(!failed.text().contains("canary"), "the cause goes to the log only");
    app.vault.refuses.store(false, Ordering::SeqCst);
    let done = app.post("/v1/connections").once("k").json(&body).send().await;
    done.ok(201);
    assert_eq!(done.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn a_repeat_after_a_crash_finds_what_the_first_try_made() {
    let app = TestApp::start().await;
    let body = connection_body("mine");
    app.wake_panics.store(true, Ordering::SeqCst);
    app.post("/v1/connections").once("k").json(&body).send().await.problem(500, "internal");
    let made = app.get("/v1/connections").send().await.ok(200);
    let again = app.post("/v1/connections").once("k").json(&body).send().await.ok(201);
    assert_eq!(again["id"], made["data"][0]["id"]);
    assert_eq!(connection_count(&app).await, 1);
}

#[tokio::test]
async fn keys_have_1_to_255_characters_and_stand_once() {
    let app = TestApp::start().await;
    let call = || app.post("/v1/connections").json(&connection_body("mine"));
    let long = "k".repeat(256);
    for key in ["", long.as_str(), "ä"] {
        call().once(key).send().await.refuses("validation_failed", "Idempotency-Key");
    }
    let twice = call().once("a").once("b").send().await;
    twice.refuses("validation_failed", "Idempotency-Key");
    call().once(&long[1..]).send().await.ok(201);
}
