//! Corrections of reported events: taken back once and for good, and repriced when a price came.

use std::time::Duration;

use domain::{Scope, organization::Environment};
use serde_json::{Value, json};

use crate::{
    policies::policy,
    real_shards::restarted,
    reported::{CALL, Journal, Reported, get},
    test_app::{Answer, TestApp},
};

const REPRICE: &str = "/v1/prices/reprice";

/// The address that takes the newest event back.
async fn newest(app: &TestApp, key: &str) -> String {
    let page = app.get("/v1/usage-events?limit=1").key(key).send().await.ok(200);
    format!("/v1/usage-events/{}/reverse", page["data"][0]["id"].as_str().unwrap())
}

async fn reverse(app: &TestApp, address: &str, reason: &str) -> Answer {
    app.post(address).json(&json!({"reason": reason})).send().await
}

#[tokio::test]
async fn an_event_is_taken_back_once_whatever_the_reason() {
    let app = TestApp::start().await;
    Journal::new(&app, Environment::Live).report(&[CALL]).await;
    let address = newest(&app, &app.owner).await;
    let first = reverse(&app, &address, "booked twice").await;
    assert!(first.header("outlay-position").is_some());
    assert_eq!(first.header("idempotent-replayed"), None);
    let id = address.split('/').nth(3).unwrap();
    let expected = json!({"reversed": id, "cost": "-0.0015", "path": "acme/search", "flags": []});
    assert_eq!(first.ok(200), expected);
    for reason in ["booked twice", "another reason"] {
        let again = reverse(&app, &address, reason).await;
        assert_eq!(again.ok(200), expected, "{reason}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{reason}");
    }
}

#[tokio::test]
async fn what_is_in_the_facts_already_is_answered_from_them_and_no_correction_is_taken_back() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    journal.report(&[CALL]).await;
    let original = newest(&app, &app.owner).await;
    journal.reverse(&CALL).await;
    let again = reverse(&app, &original, "once more").await;
    assert_eq!(again.ok(200)["cost"], "-0.0015");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let correction = newest(&app, &app.owner).await;
    assert_ne!(correction, original);
    reverse(&app, &correction, "no, after all").await.problem(409, "conflict");
}

#[tokio::test]
async fn who_may_not_take_back_does_not() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    journal.report(&[CALL]).await;
    let address = newest(&app, &app.owner).await;
    let body = json!({"reason": "x"});
    let post = || app.post(&address).json(&body);
    post().no_key().send().await.problem(401, "unauthenticated");
    let read = app.key(Environment::Live, &[Scope::Read, Scope::Track]).await;
    post().key(&read).send().await.problem(403, "forbidden");
    let test = app.key(Environment::Test, &[Scope::Write]).await;
    post().key(&test).send().await.problem(404, "not_found");
    post().key(&app.strangers_key().await).send().await.problem(404, "not_found");
    let bound = json!({"name": "b", "environment": "live", "scopes": ["write"],
        "path_prefix": "beta"});
    let bound = app.post("/v1/api-keys").json(&bound).send().await.ok(201);
    let bound = bound["key"].as_str().unwrap();
    post().key(bound).send().await.problem(404, "not_found");
    let nothing = "/v1/usage-events/evt_00000000000000000000000000/reverse";
    reverse(&app, nothing, "x").await.problem(404, "not_found");
    for reason in ["", "  ", &"x".repeat(501)] {
        reverse(&app, &address, reason).await.refuses("validation_failed", "/reason");
    }
    post().send().await.ok(200);
}

#[tokio::test]
async fn repricing_needs_the_write_scope_and_asks_for_right_fields() {
    let app = TestApp::start().await;
    let post = |body: Value| app.post(REPRICE).json(&body);
    post(json!({})).no_key().send().await.problem(401, "unauthenticated");
    let read = app.key(Environment::Live, &[Scope::Read]).await;
    post(json!({})).key(&read).send().await.problem(403, "forbidden");
    for (body, place) in [
        (json!({"from": "yesterday"}), "/from"),
        (json!({"path": "Acme"}), "/path"),
        (json!({"service": "a b"}), "/service"),
    ] {
        post(body).send().await.refuses("validation_failed", place);
    }
    let nothing = post(json!({})).send().await.ok(200);
    assert_eq!(
        nothing,
        json!({"dry_run": true, "examined": 0, "changed": 0, "priced": 0, "unchanged": 0,
            "skipped": 0, "conflicts": 0, "difference": "0", "changes": [], "next_cursor": null})
    );
}

#[tokio::test]
async fn live_and_test_are_repriced_apart() {
    let app = TestApp::start().await;
    let unpriced = Reported { model: "gpt-5.4", cost: None, ..CALL };
    Journal::new(&app, Environment::Test).report(&[unpriced]).await;
    let test = app.key(Environment::Test, &[Scope::Write]).await;
    let told = app.post(REPRICE).json(&json!({})).key(&test).send().await.ok(200);
    assert_eq!(told["examined"], 1);
    assert_eq!(app.post(REPRICE).json(&json!({})).send().await.ok(200)["examined"], 0);
}

/// Events as they are in the facts, once there are so many.
async fn events(app: &TestApp, count: usize) -> Vec<Value> {
    let asking = async {
        loop {
            let page = get(app, "/v1/usage-events").await;
            let events = page["data"].as_array().unwrap().clone();
            if events.len() >= count {
                break events;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.unwrap()
}

async fn used(app: &TestApp, policy: &Value) -> Value {
    let address = format!("/v1/policies/{}", policy["id"].as_str().unwrap());
    get(app, &address).await["progress"]["used"].clone()
}

async fn reported(app: &TestApp) -> (Value, Value, Value) {
    let costs = get(app, "/v1/costs?source=reported&granularity=total&to=2026-11-21").await;
    let row = &costs["rows"][0];
    (row["cost"].clone(), row["requests"].clone(), costs["unpriced_events"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_comes_later_is_booked_once_and_a_reversal_takes_the_whole_back() {
    let mut app = TestApp::start().await;
    let store = app.sqlite.clone();
    let shards = restarted(&mut app, &store).await;
    let cap = app.post("/v1/policies").json(&policy("a", "usd", json!("100"), "open"));
    let cap = cap.send().await.ok(201);
    let event = json!({"events": [{"id": "1", "path": "a/b", "service": "openai",
        "model": "our-model", "usage": {"input_tokens": 1_000_000, "output_tokens": 100_000}}]});
    let booked = app.post("/v1/track").json(&event).send().await.ok(200);
    assert_eq!(booked["results"][0]["unpriced"], true);
    let original = events(&app, 1).await.remove(0);
    assert_eq!(reported(&app).await, (json!(null), json!(1), json!(1)));

    let reprice = async |body: Value| app.post(REPRICE).json(&body).send().await.ok(200);
    let before = reprice(json!({"dry_run": false})).await;
    assert_eq!((&before["examined"], &before["unchanged"]), (&json!(1), &json!(1)), "no price yet");

    let price = json!({"price": [{"input": "2", "output": "10"}]});
    let put = app.call("PUT", "/v1/services/openai/models/our-model").json(&price);
    put.send().await.ok(200);
    let told = reprice(json!({})).await;
    let changes = json!([
        {"service": "openai", "model": "our-model", "events": 1, "difference": "3"}]);
    assert_eq!((&told["changes"], &told["priced"]), (&changes, &json!(1)));
    assert_eq!(used(&app, &cap).await, "0", "nothing is booked when it is only told");

    let done = reprice(json!({"dry_run": false})).await;
    assert_eq!((&done["changes"], &done["conflicts"]), (&changes, &json!(0)));
    assert_eq!(used(&app, &cap).await, "3");
    // At once, and after the facts have it.
    reprice(json!({"dry_run": false})).await;
    let correction = events(&app, 2).await.remove(0);
    assert_eq!((&correction["source"], &correction["cost"]), (&json!("reprice"), &json!("3")));
    let again = reprice(json!({"dry_run": false})).await;
    assert_eq!((&again["changed"], &again["unchanged"]), (&json!(0), &json!(1)));
    assert_eq!(used(&app, &cap).await, "3");
    assert_eq!(reported(&app).await, (json!("3"), json!(1), json!(0)));
    assert_eq!(get(&app, "/v1/usage-events").await["data"][1], original, "as it was booked");

    let dearer = json!({"price": [{"input": "3", "output": "10"}]});
    let put = app.call("PUT", "/v1/services/openai/models/our-model").json(&dearer);
    put.send().await.ok(200);
    assert_eq!(reprice(json!({"dry_run": false})).await["difference"], "1");
    assert_eq!(used(&app, &cap).await, "4");
    events(&app, 3).await;

    let address = format!("/v1/usage-events/{}/reverse", original["id"].as_str().unwrap());
    assert_eq!(reverse(&app, &address, "a test run").await.ok(200)["cost"], "-4");
    assert_eq!(used(&app, &cap).await, "0");
    events(&app, 4).await;
    assert_eq!(reported(&app).await, (json!("0"), json!(0), json!(0)));
    let replayed = reverse(&app, &address, "a test run").await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    let after = reprice(json!({"dry_run": false})).await;
    assert_eq!((&after["changed"], &after["skipped"]), (&json!(0), &json!(1)));
    tokio::time::timeout(Duration::from_secs(30), shards.stop()).await.unwrap();
}
