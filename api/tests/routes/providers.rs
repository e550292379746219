//! The catalogue of what can be connected and uploaded.

use serde_json::{Value, json};

use crate::test_app::TestApp;

#[tokio::test]
async fn providers_say_what_they_need_and_what_they_can_tell() {
    let app = TestApp::start().await;
    let list = app.get("/v1/providers").send().await.ok(200);
    assert_eq!(list["next_cursor"], Value::Null);
    assert_eq!(
        list["data"][0],
        json!({
            "id": "acme", "title": "Acme", "base_url": "https://api.acme.example",
            "credentials": [{
                "name": "admin_key", "title": "An admin key", "prefix": "ak-admin-",
                "help": "Make one at https://acme.example/keys.", "secret": true,
            }],
            "feeds": ["costs"], "granularity": "day", "history_days": 365,
            "settle_delay_hours": 48, "trailing_days": 7,
            "reports": {"usage": true, "cost": true, "invoice": false},
            "hosts": ["api.acme.example"], "data_sent": "dates",
            "documentation_url": "https://acme.example/docs",
        })
    );
    let formats = app.get("/v1/formats").send().await.ok(200);
    assert_eq!(formats["data"][0]["id"], "focus");
}

#[tokio::test]
async fn providers_come_in_pages_like_every_list() {
    let app = TestApp::start().await;
    let first = app.get("/v1/providers?limit=1").send().await.ok(200);
    assert_eq!(first["data"][0]["id"], "acme");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app.get(&format!("/v1/providers?limit=1&cursor={cursor}")).send().await.ok(200);
    assert_eq!(second["data"][0]["id"], "beta");
    assert_eq!(second["next_cursor"], Value::Null);
    app.get("/v1/providers?x=1").send().await.refuses("unknown_field", "x");
    // Beginning again instead would keep a client that follows cursors going for ever.
    for cursor in ["", "bm9ib2R5"] {
        let path = format!("/v1/providers?cursor={cursor}");
        app.get(&path).send().await.refuses("validation_failed", "cursor");
    }
}
