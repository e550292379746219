//! Who may do what.

use domain::{Scope, organization::Environment};

use crate::test_app::{LOCAL_TOKEN, TestApp, connection_body};

/// Each route with the scope that it needs.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/v1/providers", "read"),
    ("GET", "/v1/formats", "read"),
    ("POST", "/v1/connections", "write"),
    ("GET", "/v1/connections", "read"),
    ("GET", "/v1/connections/conn_1", "read"),
    ("PATCH", "/v1/connections/conn_1", "write"),
    ("DELETE", "/v1/connections/conn_1", "write"),
    ("PUT", "/v1/connections/conn_1/credentials", "write"),
    ("POST", "/v1/connections/conn_1/sync", "write"),
    ("GET", "/v1/connections/conn_1/syncs", "read"),
    ("POST", "/v1/files", "write"),
    ("GET", "/v1/files", "read"),
    ("GET", "/v1/files/file_1", "read"),
    ("DELETE", "/v1/files/file_1", "write"),
    ("GET", "/v1/charges", "read"),
    ("GET", "/v1/costs", "read"),
    ("GET", "/v1/audit-log", "read"),
];

/// The same for what both environments may ask for.
const SHARED_ROUTES: &[(&str, &str, &str)] = &[
    ("POST", "/v1/api-keys", "admin"),
    ("GET", "/v1/api-keys", "read"),
    ("GET", "/v1/api-keys/key_1", "read"),
    ("DELETE", "/v1/api-keys/key_1", "admin"),
    ("POST", "/v1/api-keys/key_1/rotate", "admin"),
    ("GET", "/v1/organization", "read"),
    ("PATCH", "/v1/organization", "admin"),
];

#[tokio::test]
async fn every_route_needs_a_key() {
    let app = TestApp::start().await;
    let unknown = format!("outlay_live_{}", "a".repeat(43));
    for (method, path, _) in ROUTES.iter().chain(SHARED_ROUTES) {
        let answer = app.call(method, path).no_key().send().await;
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"outlay\""));
        app.call(method, path).key(&unknown).send().await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn no_scope_implies_another() {
    let app = TestApp::start().await;
    for (method, path, scope) in ROUTES.iter().chain(SHARED_ROUTES) {
        let needed = Scope::parse(scope).unwrap();
        let others: Vec<_> = Scope::ALL.into_iter().filter(|other| *other != needed).collect();
        let key = app.key(Environment::Live, &others).await;
        let problem = app.call(method, path).key(&key).send().await.problem(403, "forbidden");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`{scope}`")), "{method} {path}: {detail}");
    }
}

#[tokio::test]
async fn a_test_key_never_sees_live_data() {
    let app = TestApp::start().await;
    let key = app.key(Environment::Test, &Scope::ALL).await;
    for (method, path, _) in ROUTES.iter().filter(|(_, path, _)| path.len() > "/v1/providers".len())
    {
        let problem = app.call(method, path).key(&key).send().await.problem(403, "forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("live environment"));
    }
    app.get("/v1/providers").key(&key).send().await.ok(200);
}

#[tokio::test]
async fn a_key_of_the_wrong_shape_is_unauthenticated() {
    let app = TestApp::start().await;
    let live_as_test = app.owner.replace("outlay_live_", "outlay_test_");
    for authorization in
        ["Basic abc".to_owned(), "Bearer".to_owned(), "Bearer  ".to_owned(), app.owner.clone()]
            .into_iter()
            .chain([format!("Bearer {live_as_test}"), format!("Bearer {} x", app.owner)])
    {
        let call = app.get("/v1/connections").no_key().header("Authorization", &authorization);
        call.send().await.problem(401, "unauthenticated");
    }
    let any_case = format!("bEARER {}", app.owner);
    let call = app.get("/v1/connections").no_key().header("Authorization", &any_case);
    call.send().await.ok(200);
}

#[tokio::test]
async fn the_local_token_has_every_scope() {
    let app = TestApp::start().await;
    app.connect("mine").await;
    let list = app.get("/v1/connections").key(LOCAL_TOKEN).send().await.ok(200);
    assert_eq!(list["data"][0]["name"], "mine");
    let body = connection_body("by hand");
    app.post("/v1/connections").key(LOCAL_TOKEN).json(&body).send().await.ok(201);
    let log = app.get("/v1/audit-log").send().await.ok(200);
    assert_eq!(log["data"][0]["actor"], "local");
    app.get("/v1/connections").key("local-token").send().await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn another_organizations_things_are_not_found() {
    let app = TestApp::start().await;
    let stranger = app.strangers_key().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let one = format!("/v1/connections/{id}");
    for (method, path) in [
        ("GET", one.clone()),
        ("DELETE", one.clone()),
        ("POST", format!("{one}/sync")),
        ("GET", format!("{one}/syncs")),
    ] {
        app.call(method, &path).key(&stranger).send().await.problem(404, "not_found");
    }
    let patch = app.call("PATCH", &one).key(&stranger).json(&serde_json::json!({"name": "x"}));
    patch.send().await.problem(404, "not_found");
    let list = app.get("/v1/connections").key(&stranger).send().await.ok(200);
    assert_eq!(list, serde_json::json!({"data": [], "next_cursor": null}));
    let mine = app.get(&one).send().await.ok(200);
    assert_eq!(mine["name"], "mine");
}
