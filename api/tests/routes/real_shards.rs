//! The quota routes over real shards and a real journal: what the state in memory alone does not
//! show, a restart among it.

use std::{sync::Arc, time::Duration};

use api::Limits;
use domain::organization::Environment;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shards::{Parts, Shards};
use store::{journal::Shard, sqlite::SqliteStore};
use uuid::Uuid;

use crate::{policies::policy, test_app::TestApp};

/// The same app over shards that were just started.
pub(crate) async fn restarted(app: &mut TestApp, store: &Arc<SqliteStore>) -> Arc<Shards> {
    let shards = Arc::new(Shards::new(Parts {
        store: store.clone(),
        clock: app.clock.clone(),
        random: Arc::new(|| Uuid::new_v4().as_u128()),
        limits: shards::Limits::default(),
        formats: Default::default(),
    }));
    app.router = Some(app.node_over(Limits::default(), false, shards.clone()));
    shards
}

fn report(id: &str) -> Value {
    json!({"events": [{"id": id, "path": "a/b", "service": "openai", "model": "gpt-5.4",
        "usage": {"input_tokens": 1_000, "output_tokens": 100}}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_is_shown_and_settled_late_after_the_state_forgot_it() {
    let mut app = TestApp::start().await;
    let store = SqliteStore::open(&app.folder.path().join("shards.db")).await.unwrap();
    let shards = restarted(&mut app, &Arc::new(store)).await;
    let shard = Shard { organization: app.organization, environment: Environment::Live };
    let asked = json!({"path": "a/b", "service": "openai", "model": "gpt-5.4",
        "estimate": {"cost": "0.9"}, "ttl_seconds": 60});
    let mut ids = vec![];
    for key in ["committed", "expired"] {
        let held = app.post("/v1/reservations").once(key).json(&asked).send().await.ok(201);
        ids.push(format!("/v1/reservations/{}", held["id"].as_str().unwrap()));
    }
    let cost = json!({"cost": "0.5"});
    let commit = |address: &str| app.post(&format!("{address}/commit")).json(&cost);
    let committed = commit(&ids[0]).send().await.ok(200);
    app.clock.go_on(SignedDuration::from_mins(2));
    for step in 0..3 {
        app.post("/v1/track").json(&report(&format!("e{step}"))).send().await.ok(200);
        shards.settle(shard, Duration::from_secs(30)).await.unwrap();
    }
    for (address, state) in ids.iter().zip(["committed", "expired"]) {
        let seen = app.get(address).send().await.ok(200);
        let shown = (&seen["state"], &seen["path"], &seen["service"]);
        assert_eq!(shown, (&json!(state), &json!("a/b"), &json!("openai")));
    }
    assert_eq!(commit(&ids[0]).send().await.ok(200)["id"], committed["id"], "a repeat is told");
    let late = commit(&ids[1]).send().await.ok(200);
    assert_eq!((&late["late"], &late["cost"]), (&json!(true), &json!("0.5")));
    let nobody = "/v1/reservations/res_00000000000000000000000000";
    app.get(nobody).send().await.problem(404, "not_found");
    tokio::time::timeout(Duration::from_secs(30), shards.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_answered_again_after_a_restart() {
    let mut app = TestApp::start().await;
    let store = SqliteStore::open(&app.folder.path().join("shards.db")).await.unwrap();
    let store = Arc::new(store);
    let shards = restarted(&mut app, &store).await;
    let track = async |app: &TestApp, id: &str| {
        app.post("/v1/track").json(&report(id)).send().await.ok(200)
    };
    assert_eq!(track(&app, "1").await["results"][0]["cost"], "0.004");
    let made = app.post("/v1/policies").json(&policy("a", "usd", json!("1"), "strict"));
    let made = made.send().await.ok(201);
    assert_eq!(
        (&made["state"], &made["progress"]["used"]),
        (&json!("active"), &json!("0.004")),
        "what came before counts, once"
    );
    let asked = json!({"path": "a/b", "service": "openai", "model": "gpt-5.4",
        "estimate": {"cost": "0.9"}});
    let reserve = async |app: &TestApp, key: &str| {
        app.post("/v1/reservations").once(key).json(&asked).send().await
    };
    let held = reserve(&app, "k").await.ok(201);
    reserve(&app, "no").await.problem(402, "quota_exceeded");
    let id = held["id"].as_str().unwrap();
    let commit = json!({"usage": {"input_tokens": 1_000, "output_tokens": 100}});
    let settle = async |app: &TestApp| {
        let address = format!("/v1/reservations/{id}/commit");
        app.post(&address).once("c").json(&commit).send().await
    };
    let committed = settle(&app).await.ok(200);
    assert_eq!(committed["cost"], "0.004");

    shards.stop().await;
    let shards = restarted(&mut app, &store).await;
    assert_eq!(track(&app, "1").await["results"][0]["status"], "duplicate");
    let again = reserve(&app, "k").await;
    assert_eq!((again.ok(201), again.header("idempotent-replayed")), (held.clone(), Some("true")));
    let no = reserve(&app, "no").await;
    no.problem(402, "quota_exceeded");
    assert_eq!(no.header("idempotent-replayed"), Some("true"));
    assert_eq!(settle(&app).await.ok(200), committed);
    let other = json!({"cost": "0.5"});
    let answer = app.post(&format!("/v1/reservations/{id}/commit")).json(&other).send().await;
    answer.problem(409, "already_committed");
    let address = format!("/v1/policies/{}", made["id"].as_str().unwrap());
    let progress = app.get(&address).send().await.ok(200)["progress"].clone();
    assert_eq!((&progress["used"], &progress["held"]), (&json!("0.008"), &json!("0")));
    let seen = app.get(&format!("/v1/reservations/{id}")).send().await.ok(200);
    assert_eq!(seen["state"], "committed");
    tokio::time::timeout(Duration::from_secs(30), shards.stop()).await.unwrap();
}
