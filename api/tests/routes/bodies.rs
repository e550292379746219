//! Captured bodies: kept only where the organization wants them, shown by their event only, and
//! never in the way of what was spent.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::{Scope, organization::Environment};
use jiff::Timestamp;
use serde_json::{Value, json};
use shards::Shards;
use store::journal::Shard;

use crate::{real_shards::restarted, test_app::TestApp};

const CANARY: &str = "the-canary-of-a-prompt-7f3a";

/// An app over real shards, and what keeps them running.
struct Place {
    app: TestApp,
    shards: Arc<Shards>,
    shard: Shard,
}

impl Place {
    async fn start(is_capturing: bool) -> Place {
        let mut app = TestApp::start().await;
        let store = app.sqlite.clone();
        let shards = restarted(&mut app, &store).await;
        let shard = Shard { organization: app.organization, environment: Environment::Live };
        if is_capturing {
            let on = json!({"capture_bodies": true});
            app.call("PATCH", "/v1/organization").json(&on).send().await.ok(200);
        }
        Place { app, shards, shard }
    }

    /// What is answered to one event with this body.
    async fn track(&self, id: &str, body: &Value) -> Value {
        let event = json!({"id": id, "path": "a/b", "service": "own", "cost": "0.5",
            "body": body});
        let events = json!({"events": [event]});
        self.app.post("/v1/track").json(&events).send().await.ok(200)["results"][0].clone()
    }

    /// All events in the tables, each by its id.
    async fn events(&self) -> Vec<Value> {
        self.shards.settle(self.shard, Duration::from_secs(30)).await.unwrap();
        let listed = self.app.get("/v1/usage-events").send().await.ok(200);
        let mut events = vec![];
        for listed in listed["data"].as_array().unwrap().iter().rev() {
            let path = format!("/v1/usage-events/{}", listed["id"].as_str().unwrap());
            let event = self.app.get(&path).send().await.ok(200);
            assert_eq!(event["has_body"], listed["has_body"]);
            assert!(listed.get("body").is_none(), "lists show no bodies: {listed}");
            events.push(event);
        }
        events
    }

    /// Ids of all bodies that are stored.
    async fn stored(&self) -> Vec<u128> {
        let all = self.app.store.unclaimed_bodies(self.shard, Timestamp::MAX, 99).await.unwrap();
        all.into_iter().map(|(id, _)| id).collect()
    }

    async fn stop(self) {
        tokio::time::timeout(Duration::from_secs(30), self.shards.stop()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_kept_sealed_and_shown_by_its_event() {
    let place = Place::start(true).await;
    let bodies = [
        json!({"request": {"messages": [CANARY]}, "response": {"n": 1.0, "text": "größer"}}),
        json!(CANARY),
        json!([1, null, {"a": []}]),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let result = place.track(&format!("e{number}"), body).await;
        assert_eq!((&result["status"], &result["flags"]), (&json!("accepted"), &stated()));
    }
    let events = place.events().await;
    let shown: Vec<_> = events.iter().map(|event| event["body"].clone()).collect();
    assert_eq!(shown, bodies);
    assert!(events.iter().all(|event| event["has_body"] == true));
    for id in place.stored().await {
        let stored = place.app.store.body(place.shard, id).await.unwrap().unwrap().ciphertext;
        let plain = CANARY.as_bytes();
        assert!(!stored.windows(plain.len()).any(|window| window == plain));
    }
    place.stop().await;
}

/// The flags of an event whose cost was stated, and no others.
fn stated() -> Value {
    json!(["stated_cost"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_where_nobody_wants_it() {
    let place = Place::start(false).await;
    place.track("a", &json!({"prompt": CANARY})).await;
    place.track("b", &json!("x".repeat(300 << 10))).await;
    let events = place.events().await;
    assert_eq!(events.len(), 2);
    for event in events {
        let told = (&event["has_body"], &event["body"], &event["flags"]);
        assert_eq!(told, (&json!(false), &Value::Null, &stated()));
    }
    assert_eq!(place.stored().await, Vec::<u128>::new());
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spent_is_booked_whether_or_not_its_body_can_be_kept() {
    let place = Place::start(true).await;
    // Two quotes are a part of the 256 KiB.
    let fits = json!("x".repeat((256 << 10) - 2));
    let long = json!("x".repeat((256 << 10) - 1));
    for (id, body, flag) in [("fits", &fits, None), ("long", &long, Some("body_too_large"))] {
        let result = place.track(id, body).await;
        assert_eq!(result["status"], "accepted");
        let is_flagged = result["flags"].as_array().unwrap().contains(&json!("body_too_large"));
        assert_eq!(is_flagged, flag.is_some());
    }
    place.app.vault.refuses.store(true, Ordering::SeqCst);
    let result = place.track("locked", &json!(CANARY)).await;
    assert_eq!(result["flags"], json!(["body_not_kept", "stated_cost"]));
    let events = place.events().await;
    let told: Vec<_> = events.iter().map(|event| event["has_body"] == true).collect();
    assert_eq!(told, [true, false, false]);
    assert_eq!(events[0]["body"], fits);
    assert_eq!(events[2]["flags"], json!(["body_not_kept", "stated_cost"]));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_sent_again_keeps_its_first_body() {
    let place = Place::start(true).await;
    assert_eq!(place.track("a", &json!("first")).await["status"], "accepted");
    assert_eq!(place.track("a", &json!("first")).await["status"], "duplicate");
    let other = place.track("a", &json!("second")).await;
    assert_eq!((&other["status"], &other["code"]), (&json!("rejected"), &json!("event_conflict")));
    let events = place.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["body"], "first");
    assert_eq!(place.stored().await.len(), 3, "two that nothing leads to are swept later");
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_has_its_body_too() {
    let place = Place::start(true).await;
    let asked = json!({"path": "a/b", "estimate": {"cost": "1"}});
    let held = place.app.post("/v1/reservations").json(&asked).send().await.ok(201);
    let path = format!("/v1/reservations/{}/commit", held["id"].as_str().unwrap());
    let commit = json!({"service": "own", "cost": "0.5", "body": {"answer": CANARY}});
    for _ in 0..2 {
        place.app.post(&path).json(&commit).send().await.ok(200);
    }
    let events = place.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["body"], json!({"answer": CANARY}));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_shown_to_whoever_may_read_its_event_and_nobody_else() {
    let place = Place::start(true).await;
    place.track("a", &json!(CANARY)).await;
    let event = place.events().await.remove(0);
    let path = format!("/v1/usage-events/{}", event["id"].as_str().unwrap());
    let app = &place.app;
    let tracks = app.key(Environment::Live, &[Scope::Track]).await;
    app.get(&path).key(&tracks).send().await.problem(403, "forbidden");
    let test = app.key(Environment::Test, &[Scope::Read]).await;
    app.get(&path).key(&test).send().await.problem(404, "not_found");
    let reads = app.key(Environment::Live, &[Scope::Read]).await;
    assert_eq!(app.get(&path).key(&reads).send().await.ok(200)["body"], CANARY);
    // What is gone is gone for its event too.
    let removed = app.store.remove_bodies(place.shard, Timestamp::MAX).await.unwrap();
    assert_eq!(removed, 1);
    let event = app.get(&path).send().await.ok(200);
    assert_eq!((&event["has_body"], &event["body"]), (&json!(true), &Value::Null));
    place.stop().await;
}
