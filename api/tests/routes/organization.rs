//! The organization's settings: read, changed, refused, and what follows them.

use std::sync::atomic::Ordering;

use domain::{Granularity, Scope, organization::Environment};
use serde_json::{Value, json};

use crate::test_app::{Answer, Call, TestApp};

fn patch(app: &TestApp, body: &Value) -> Call {
    app.call("PATCH", "/v1/organization").json(body)
}

async fn patched(app: &TestApp, body: &Value) -> Answer {
    patch(app, body).send().await
}

async fn actions(app: &TestApp) -> Vec<Value> {
    let log = app.get("/v1/audit-log").send().await.ok(200);
    log["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect()
}

#[tokio::test]
async fn a_new_organization_has_the_usual_settings() {
    let app = TestApp::start().await;
    let expected = json!({
        "id": app.organization.to_string(), "name": "Acme", "time_zone": "UTC",
        "week_start": "mon", "reset_hour": 0, "fiscal_year_start_month": 1, "currency": null,
        "retention_days": 90, "auto_create_paths": true, "capture_bodies": false,
        "settings_revision": 0, "created_at": "2026-11-20T10:00:00.000001Z",
    });
    assert_eq!(app.get("/v1/organization").send().await.ok(200), expected);
    // Both environments share it.
    let key = app.key(Environment::Test, &[Scope::Read]).await;
    assert_eq!(app.get("/v1/organization").key(&key).send().await.ok(200), expected);
}

#[tokio::test]
async fn settings_change_and_their_followers_are_told() {
    let app = TestApp::start().await;
    let body = json!({
        "name": " Größe 株式会社 ", "time_zone": "europe/berlin", "week_start": "sun",
        "reset_hour": 23, "fiscal_year_start_month": 4, "currency": "eur",
        "retention_days": 3650, "auto_create_paths": false, "capture_bodies": true,
    });
    let changed = patched(&app, &body).await.ok(200);
    let expected = json!({
        "id": app.organization.to_string(), "name": "Größe 株式会社",
        "time_zone": "Europe/Berlin", "week_start": "sun", "reset_hour": 23,
        "fiscal_year_start_month": 4, "currency": "EUR", "retention_days": 3650,
        "auto_create_paths": false, "capture_bodies": true,
        "settings_revision": 1, "created_at": "2026-11-20T10:00:00.000001Z",
    });
    assert_eq!(changed, expected);
    assert_eq!(app.get("/v1/organization").send().await.ok(200), expected);
    assert_eq!(app.wake_count.load(Ordering::SeqCst), 1);
    assert_eq!(actions(&app).await, ["organization.updated", "organization.created"]);
}

#[tokio::test]
async fn the_same_settings_again_change_nothing() {
    let app = TestApp::start().await;
    let body = json!({"week_start": "sat", "currency": "USD"});
    let first = patched(&app, &body).await.ok(200);
    assert_eq!(first["settings_revision"], 1);
    for same in [&body, &json!({}), &json!({"reset_hour": 0}), &json!({"currency": "usd"})] {
        assert_eq!(patched(&app, same).await.ok(200), first);
    }
    assert_eq!(actions(&app).await.len(), 2);
    let none = patched(&app, &json!({"currency": null})).await.ok(200);
    assert_eq!((&none["currency"], &none["settings_revision"]), (&Value::Null, &json!(2)));
    assert_eq!(none["week_start"], "sat", "what is absent stays");
}

#[tokio::test]
async fn all_that_is_wrong_with_settings_is_said_at_once_and_nothing_changes() {
    let app = TestApp::start().await;
    let before = app.get("/v1/organization").send().await.ok(200);
    let wrong = json!({
        "name": "", "time_zone": "Mars/Base", "week_start": "monday", "reset_hour": 24,
        "fiscal_year_start_month": 13, "currency": "XYZ", "retention_days": 3651,
        "auto_create_paths": false,
    });
    let answer = patched(&app, &wrong).await;
    for field in wrong.as_object().unwrap().keys().filter(|field| *field != "auto_create_paths") {
        answer.refuses("validation_failed", &format!("/{field}"));
    }
    for (field, value) in [
        ("reset_hour", json!(-1)),
        ("reset_hour", json!(1.5)),
        ("reset_hour", json!("7")),
        ("fiscal_year_start_month", json!(0)),
        ("retention_days", json!(0)),
        ("retention_days", json!(4_294_967_297_u64)),
        ("time_zone", json!("")),
        ("capture_bodies", json!("yes")),
        ("currency", json!("")),
    ] {
        let answer = patched(&app, &json!({ field: value })).await;
        answer.refuses("validation_failed", &format!("/{field}"));
    }
    for field in ["settings_revision", "id", "colour"] {
        let answer = patched(&app, &json!({ field: 1 })).await;
        answer.refuses("unknown_field", &format!("/{field}"));
    }
    let malformed = app.call("PATCH", "/v1/organization").body("application/json", b"{");
    malformed.send().await.problem(400, "malformed_json");
    assert_eq!(app.get("/v1/organization").send().await.ok(200), before);
}

#[tokio::test]
async fn only_a_whole_live_admin_key_changes_settings() {
    let app = TestApp::start().await;
    let test = app.key(Environment::Test, &Scope::ALL).await;
    let body = json!({"reset_hour": 5});
    patch(&app, &body).key(&test).send().await.problem(403, "forbidden");
    let bound = json!({
        "name": "a", "environment": "live", "scopes": ["admin"], "path_prefix": "acme",
    });
    let bound = app.post("/v1/api-keys").json(&bound).send().await.ok(201);
    let problem = patch(&app, &body).key(bound["key"].as_str().unwrap()).send().await;
    problem.problem(403, "forbidden");
    // A key whose organization is not stored, as after its deletion.
    let stranger = app.strangers_key().await;
    app.get("/v1/organization").key(&stranger).send().await.problem(404, "not_found");
    patch(&app, &body).key(&stranger).send().await.problem(404, "not_found");
    let mine = app.get("/v1/organization").send().await.ok(200);
    assert_eq!(mine["settings_revision"], 0);
}

#[tokio::test]
async fn costs_by_week_begin_with_the_organizations_week() {
    let app = TestApp::start().await;
    // 2026-11-20 is a Friday.
    let at = "2026-11-20T12:00:00Z".parse().unwrap();
    for (week_start, start) in [
        ("mon", "2026-11-15T15:00:00Z"),
        ("sun", "2026-11-14T15:00:00Z"),
        ("sat", "2026-11-13T15:00:00Z"),
    ] {
        let body = json!({"week_start": week_start, "time_zone": "Asia/Tokyo"});
        patched(&app, &body).await.ok(200);
        app.get("/v1/costs?granularity=week").send().await.ok(200);
        let query = app.reports.cost_query.lock().unwrap().take().unwrap();
        let found = query.zone.period_start(at, Granularity::Week);
        assert_eq!(found.to_string(), start, "{week_start}");
    }
}
