//! Health, metrics and the document need no key.

use serde_json::json;

use crate::test_app::TestApp;

#[tokio::test]
async fn operations_need_no_key() {
    let app = TestApp::start().await;
    let get = |path: &str| app.get(path).no_key().send();
    assert_eq!(get("/healthz").await.ok(200), json!({"status": "ok"}));
    assert_eq!(get("/readyz").await.ok(200), json!({"status": "ok"}));
    let status = get("/status").await.ok(200);
    assert_eq!(status["store"], json!({"kind": "sqlite", "reachable": true}));
    assert_eq!(status["status"], "ok");
    let metrics = get("/metrics").await;
    assert_eq!(metrics.text(), "outlay_up 1\n");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    assert_eq!(get("/openapi.json").await.ok(200)["openapi"], "3.1.0");
}
