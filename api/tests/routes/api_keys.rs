//! API keys: made, listed, rotated, revoked; who may, how fast it counts, and that no key is
//! stored.

use std::{sync::atomic::Ordering, time::Duration};

use api::Limits;
use domain::{Clock, KeyId, Scope, organization::Environment};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::idempotency::{Claimed, RequestClaim};

use crate::test_app::{Answer, LOCAL_TOKEN, TestApp};

fn body(name: &str, environment: &str, scopes: &[&str]) -> Value {
    json!({"name": name, "environment": environment, "scopes": scopes})
}

/// Makes a key with the owner's: its id and its text.
async fn made(app: &TestApp, body: &Value) -> (String, String) {
    id_and_key(&app.post("/v1/api-keys").json(body).send().await.ok(201))
}

fn id_and_key(view: &Value) -> (String, String) {
    let text = |field: &str| view[field].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

async fn rotated(app: &TestApp, id: &str, body: &Value) -> Answer {
    app.post(&format!("/v1/api-keys/{id}/rotate")).json(body).send().await
}

async fn owner_id(app: &TestApp) -> String {
    let hash = identity::hash_key(&app.owner);
    app.store.api_key_by_hash(&hash).await.unwrap().unwrap().id.to_string()
}

/// Whether a key opens anything.
async fn opens(app: &TestApp, key: &str) -> bool {
    let answer = app.get("/v1/providers").key(key).send().await;
    if answer.status == 200 {
        return true;
    }
    answer.problem(401, "unauthenticated");
    false
}

/// Lets remembered keys grow old, without waiting.
async fn seconds_pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_new_key_works_at_once_and_is_shown_once() {
    let app = TestApp::start().await;
    let body = json!({
        "name": " ci ", "environment": "live", "scopes": ["track", "read", "read"],
        "path_prefix": "acme/search", "expires_at": "2027-01-31T00:00:00+01:00",
    });
    let mut view = app.post("/v1/api-keys").json(&body).send().await.ok(201);
    let (id, key) = id_and_key(&view);
    assert!(id.starts_with("key_") && key.starts_with("outlay_live_"), "{view}");
    assert!(opens(&app, &key).await);

    view.as_object_mut().unwrap().remove("key");
    let expected = json!({
        "id": id, "name": "ci", "environment": "live", "scopes": ["read", "track"],
        "path_prefix": "acme/search", "created_at": "2026-11-20T10:00:00.000001Z",
        "expires_at": "2027-01-30T23:00:00Z", "revoked_at": null, "rotated_to": null,
    });
    assert_eq!(view, expected);
    assert_eq!(app.get(&format!("/v1/api-keys/{id}")).send().await.ok(200), expected);
    let list = app.get("/v1/api-keys").send().await.ok(200);
    assert!(list["data"].as_array().unwrap().contains(&expected), "{list}");
    let log = app.get("/v1/audit-log").send().await.ok(200);
    assert_eq!(
        (&log["data"][0]["action"], &log["data"][0]["target"]),
        (&json!("api_key.created"), &json!(id))
    );
    assert_eq!(log["data"][0]["actor"], json!(owner_id(&app).await));
}

#[tokio::test]
async fn all_that_is_wrong_with_a_key_is_said_at_once() {
    let app = TestApp::start().await;
    let wrong = json!({
        "name": "", "environment": "prod", "scopes": ["read", "root"],
        "path_prefix": "Acme/", "expires_at": "2026-11-20T10:00:00Z",
    });
    let answer = app.post("/v1/api-keys").json(&wrong).send().await;
    for place in ["/name", "/environment", "/scopes/1", "/path_prefix", "/expires_at"] {
        answer.refuses("validation_failed", place);
    }
    let rows = [
        (body("a", "live", &[]), "validation_failed", "/scopes"),
        (json!({"environment": "live", "scopes": ["read"]}), "validation_failed", "/name"),
        (json!({"name": "a", "scopes": ["read"]}), "validation_failed", "/environment"),
        (
            json!({"name": "a", "environment": "live", "scopes": ["read"], "role": "owner"}),
            "unknown_field",
            "/role",
        ),
        (
            json!({"name": "a", "environment": "live", "scopes": ["read"], "expires_at": "soon"}),
            "validation_failed",
            "/expires_at",
        ),
    ];
    for (body, code, place) in rows {
        app.post("/v1/api-keys").json(&body).send().await.refuses(code, place);
    }
    let malformed = app.post("/v1/api-keys").body("application/json", b"{").send().await;
    malformed.problem(400, "malformed_json");
    assert_eq!(app.get("/v1/api-keys").send().await.ok(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let app = TestApp::start().await;
    for name in ["a", "b", "c"] {
        app.clock.go_on(SignedDuration::from_secs(1));
        made(&app, &body(name, "live", &["read"])).await;
    }
    let first = app.get("/v1/api-keys?limit=3").send().await.ok(200);
    let names = |page: &Value| {
        let names = page["data"].as_array().unwrap().iter().map(|key| key["name"].clone());
        Value::from(names.collect::<Vec<_>>())
    };
    assert_eq!(names(&first), json!(["owner", "a", "b"]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = app.get(&format!("/v1/api-keys?limit=3&cursor={cursor}")).send().await.ok(200);
    assert_eq!((names(&last), &last["next_cursor"]), (json!(["c"]), &Value::Null));
}

#[tokio::test]
async fn an_unknown_key_is_not_found() {
    let app = TestApp::start().await;
    let stranger = app.strangers_key().await;
    let mine = format!("/v1/api-keys/{}", owner_id(&app).await);
    let nobodys = "/v1/api-keys/key_00000000000000000000000001".to_owned();
    for (path, key) in [(&mine, &stranger), (&nobodys, &app.owner)] {
        app.get(path).key(key).send().await.problem(404, "not_found");
        app.call("DELETE", path).key(key).send().await.problem(404, "not_found");
        let rotate = app.post(&format!("{path}/rotate")).key(key).send().await;
        rotate.problem(404, "not_found");
    }
    assert!(opens(&app, &app.owner).await);
}

#[tokio::test]
async fn a_repeat_gets_the_same_key_and_no_stored_byte_has_it() {
    let app = TestApp::start().await;
    let body = body("\"key\":\"sha256:", "test", &["read"]);
    let call = || app.post("/v1/api-keys").once("k").json(&body);
    let first = call().send().await;
    let (id, key) = id_and_key(&first.ok(201));
    assert!(opens(&app, &key).await);
    // Another node, later, and another key of the organization: the same bytes.
    app.clock.go_on(SignedDuration::from_hours(24));
    let node = app.node(Limits::default(), false);
    for repeat in [call(), call().on(&node), call().on(&node).key(LOCAL_TOKEN)] {
        let repeat = repeat.send().await;
        assert_eq!((repeat.status, &repeat.body), (first.status, &first.body));
        assert_eq!(repeat.header("idempotent-replayed"), Some("true"));
        assert_eq!(repeat.header("content-type"), Some("application/json"));
    }
    let rotate = || app.post(&format!("/v1/api-keys/{id}/rotate")).once("k").json(&json!({}));
    let second = rotate().send().await;
    let (_, successor) = id_and_key(&second.ok(201));
    assert_eq!(rotate().send().await.body, second.body);
    let (_, without) = made(&app, &body).await;

    let mut files = 0;
    for file in std::fs::read_dir(app.folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        files += usize::from(holds(&id));
        for key in [&key, &successor, &without, &app.owner] {
            let random = key.rsplit('_').next().unwrap();
            assert!(!holds(random) && !holds(&random[..12]), "{}", file.display());
        }
    }
    assert!(files > 0, "the store's own bytes were looked at");
}

#[tokio::test]
async fn a_repeat_after_a_crash_makes_the_same_key() {
    let app = TestApp::start().await;
    let body = body("ci", "live", &["read"]);
    let call = || app.post("/v1/api-keys").once("k").json(&body);
    let first = call().send().await.ok(201);
    let id = KeyId::parse(first["id"].as_str().unwrap()).unwrap();
    // As if the process had ended between the key and its stored answer: a claim with the bits of
    // the first try, and nothing else.
    let organization = app.organization.to_string();
    let mut key = Sha256::new();
    for part in [organization.as_str(), "live", "POST /v1/api-keys", "k"] {
        key.update(u64::try_from(part.len()).unwrap().to_be_bytes());
        key.update(part);
    }
    let at = app.clock.now();
    let later = at.checked_add(SignedDuration::from_hours(72)).unwrap();
    assert_eq!(app.store.forget_requests(later).await.unwrap(), 1);
    let claim = RequestClaim {
        key: key.finalize().into(),
        body_sha256: Sha256::digest(body.to_string()).into(),
        seed: id.uuid(),
        at,
        pending_until: later,
        expires_at: later,
    };
    assert_eq!(app.store.claim_request(&claim).await.unwrap(), Claimed::Go(id.uuid()));
    app.store.release_request(&claim.key).await.unwrap();

    let again = call().send().await;
    assert_eq!((again.ok(201), again.header("idempotent-replayed")), (first, None));
    assert_eq!(app.get("/v1/api-keys").send().await.ok(200)["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_cannot_be_derived_again_is_not_shown_wrongly() {
    let app = TestApp::start().await;
    let call = || app.post("/v1/api-keys").once("k").json(&body("ci", "live", &["read"]));
    call().send().await.ok(201);
    app.vault.is_another.store(true, Ordering::SeqCst);
    let problem = call().send().await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("revoke it and make another"));
}

#[tokio::test]
async fn two_requests_make_two_keys() {
    let app = TestApp::start().await;
    let body = body("ci", "live", &["read"]);
    let mut keys = vec![made(&app, &body).await, made(&app, &body).await];
    for once in ["a", "b"] {
        let answer = app.post("/v1/api-keys").once(once).json(&body).send().await;
        keys.push(id_and_key(&answer.ok(201)));
    }
    keys.sort();
    keys.dedup_by(|one, other| one.0 == other.0 || one.1 == other.1);
    assert_eq!(keys.len(), 4);
    let reused = app.post("/v1/api-keys").once("a").json(&self::body("x", "live", &["read"]));
    reused.send().await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_revoked_key_stops_within_five_seconds_on_every_node() {
    let app = TestApp::start().await;
    let other = app.node(Limits::default(), false);
    let (id, key) = made(&app, &body("ci", "live", &["read"])).await;
    let on_other = async || app.get("/v1/providers").key(&key).on(&other).send().await;
    assert!(opens(&app, &key).await);
    on_other().await.ok(200);

    let path = format!("/v1/api-keys/{id}");
    let revoked = app.call("DELETE", &path).send().await;
    assert_eq!((revoked.status.as_u16(), revoked.text()), (204, String::new()));
    assert!(!opens(&app, &key).await, "at once where it was revoked");
    // The other node's clock is an hour behind, which changes nothing.
    app.clock.go_on(SignedDuration::from_hours(-1));
    seconds_pass(5).await;
    on_other().await.problem(401, "unauthenticated");

    assert_eq!(app.call("DELETE", &path).send().await.status.as_u16(), 204, "again");
    let view = app.get(&path).send().await.ok(200);
    assert_eq!(view["revoked_at"], "2026-11-20T10:00:00.000001Z", "the first time stays");
    let log = app.get("/v1/audit-log").send().await.ok(200);
    let actions: Vec<_> =
        log["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["api_key.revoked", "api_key.created", "organization.created"]);
}

#[tokio::test]
async fn a_key_stops_when_it_expires() {
    let app = TestApp::start().await;
    let mut body = body("ci", "live", &["read"]);
    body["expires_at"] = json!("2026-11-20T11:00:00Z");
    let (id, key) = made(&app, &body).await;
    app.clock.go_on("PT59M59S".parse().unwrap());
    assert!(opens(&app, &key).await);
    // It is still remembered from the request before.
    app.clock.go_on("PT1S".parse().unwrap());
    assert!(!opens(&app, &key).await);
    let problem = rotated(&app, &id, &json!({})).await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("make a new one"));
}

#[tokio::test]
async fn a_rotated_key_has_a_successor_and_stops_at_once() {
    let app = TestApp::start().await;
    let body = json!({
        "name": "ci", "environment": "test", "scopes": ["read", "track"],
        "path_prefix": "acme", "expires_at": "2027-01-31T00:00:00Z",
    });
    let (old, old_key) = made(&app, &body).await;
    app.clock.go_on(SignedDuration::from_secs(60));
    let answer = app.post(&format!("/v1/api-keys/{old}/rotate")).send().await;
    let mut view = answer.ok(201);
    let (new, new_key) = id_and_key(&view);
    assert!(old != new && old_key != new_key && new_key.starts_with("outlay_test_"));
    assert!(opens(&app, &new_key).await && !opens(&app, &old_key).await);

    view.as_object_mut().unwrap().remove("key");
    let kept = ["name", "environment", "scopes", "path_prefix", "expires_at"];
    for field in kept {
        assert_eq!(view[field], body[field], "{field}");
    }
    let old_view = app.get(&format!("/v1/api-keys/{old}")).send().await.ok(200);
    assert_eq!(old_view["rotated_to"], json!(new));
    assert_eq!(old_view["revoked_at"], "2026-11-20T10:01:00.000001Z");
    let log = app.get("/v1/audit-log").send().await.ok(200);
    assert_eq!(
        (&log["data"][0]["action"], &log["data"][0]["target"]),
        (&json!("api_key.rotated"), &json!(old))
    );

    let problem = rotated(&app, &old, &json!({})).await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains(&new));
}

#[tokio::test]
async fn during_the_overlap_both_keys_open() {
    let app = TestApp::start().await;
    let (old, old_key) = made(&app, &body("ci", "live", &["read"])).await;
    let answer = rotated(&app, &old, &json!({"overlap": "P1D"})).await;
    let (_, new_key) = id_and_key(&answer.ok(201));
    app.clock.go_on("PT23H59M59S".parse().unwrap());
    assert!(opens(&app, &old_key).await && opens(&app, &new_key).await);
    app.clock.go_on("PT1S".parse().unwrap());
    assert!(!opens(&app, &old_key).await && opens(&app, &new_key).await);
    let view = app.get(&format!("/v1/api-keys/{old}")).send().await.ok(200);
    assert_eq!(view["expires_at"], "2026-11-21T10:00:00.000001Z");
}

#[tokio::test]
async fn an_overlap_beyond_seven_days_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let (id, key) = made(&app, &body("ci", "live", &["read"])).await;
    for overlap in [json!("P8D"), json!("-PT1H"), json!("a day"), json!(3600)] {
        let answer = rotated(&app, &id, &json!({"overlap": overlap})).await;
        answer.refuses("validation_failed", "/overlap");
    }
    rotated(&app, &id, &json!({"grace": "P1D"})).await.refuses("unknown_field", "/grace");
    assert!(opens(&app, &key).await);
    rotated(&app, &id, &json!({"overlap": "P7D"})).await.ok(201);
}

#[tokio::test]
async fn the_last_admin_key_cannot_be_revoked() {
    let app = TestApp::start().await;
    let owner = format!("/v1/api-keys/{}", owner_id(&app).await);
    // None of these could manage the organization's keys.
    made(&app, &body("reads", "live", &["read", "write", "track"])).await;
    made(&app, &body("tests", "test", &["admin"])).await;
    let mut bound = body("bound", "live", &["admin"]);
    bound["path_prefix"] = json!("acme");
    made(&app, &bound).await;
    let problem = app.call("DELETE", &owner).send().await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("first make another one"));
    assert!(opens(&app, &app.owner).await);

    let (_, second) = made(&app, &body("second", "live", &["admin", "read"])).await;
    let revoked = app.call("DELETE", &owner).key(&second).send().await;
    assert_eq!(revoked.status.as_u16(), 204, "{revoked:?}");
    assert!(!opens(&app, &app.owner).await);
}

#[tokio::test]
async fn the_owner_may_rotate_the_key_it_calls_with() {
    let app = TestApp::start().await;
    let owner = owner_id(&app).await;
    let (_, new) = id_and_key(&rotated(&app, &owner, &json!({})).await.ok(201));
    assert!(opens(&app, &new).await && !opens(&app, &app.owner).await);
    app.post("/v1/api-keys").key(&new).json(&body("b", "live", &["read"])).send().await.ok(201);
}

#[tokio::test]
async fn a_test_key_sees_and_manages_keys_of_test_only() {
    let app = TestApp::start().await;
    let (tests, key) = made(&app, &body("tests", "test", &["admin", "read"])).await;
    let (other, _) = made(&app, &body("other", "test", &["read"])).await;
    let list = app.get("/v1/api-keys").key(&key).send().await.ok(200);
    let mut ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|key| key["id"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    let mut expected = [tests, other.clone()];
    expected.sort();
    assert_eq!(ids, expected);

    let live = format!("/v1/api-keys/{}", owner_id(&app).await);
    app.get(&live).key(&key).send().await.problem(404, "not_found");
    app.call("DELETE", &live).key(&key).send().await.problem(404, "not_found");
    app.post(&format!("{live}/rotate")).key(&key).send().await.problem(404, "not_found");
    let call =
        |environment| app.post("/v1/api-keys").key(&key).json(&body("x", environment, &["read"]));
    call("live").send().await.problem(403, "forbidden");
    call("test").send().await.ok(201);
    let gone = app.call("DELETE", &format!("/v1/api-keys/{other}")).key(&key).send().await;
    assert_eq!(gone.status.as_u16(), 204);
    assert!(opens(&app, &app.owner).await);
}

#[tokio::test]
async fn a_key_bound_to_a_path_manages_only_keys_below_it() {
    let app = TestApp::start().await;
    let bound = |prefix: Option<&str>| {
        let mut body = body("bound", "live", &["admin", "read"]);
        body["path_prefix"] = json!(prefix);
        body
    };
    let (_, key) = made(&app, &bound(Some("acme"))).await;
    let create = |prefix| app.post("/v1/api-keys").key(&key).once("k").json(&bound(prefix));
    for prefix in [None, Some(""), Some("acme2"), Some("other/acme")] {
        let call = app.post("/v1/api-keys").key(&key).json(&bound(prefix));
        let problem = call.send().await.problem(403, "forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("`acme`"), "{prefix:?}");
    }
    let (below, _) = id_and_key(&create(Some("acme/search")).send().await.ok(201));
    app.post(&format!("/v1/api-keys/{below}/rotate")).key(&key).send().await.ok(201);

    let owner = format!("/v1/api-keys/{}", owner_id(&app).await);
    app.call("DELETE", &owner).key(&key).send().await.problem(403, "forbidden");
    app.post(&format!("{owner}/rotate")).key(&key).send().await.problem(403, "forbidden");
    // Nor does it see the key of somebody else's request by asking again.
    app.post("/v1/api-keys").once("whole").json(&bound(None)).send().await.ok(201);
    let again = app.post("/v1/api-keys").key(&key).once("whole").json(&bound(None));
    again.send().await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_admin_key_hands_out_scopes_that_it_lacks() {
    let app = TestApp::start().await;
    let admin = app.key(Environment::Live, &[Scope::Admin]).await;
    let call = app.post("/v1/api-keys").key(&admin).json(&body("ci", "live", &["write"]));
    call.send().await.ok(201);
}
