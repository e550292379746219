//! The audit log: every mutation is in it, newest first, chained.

use serde_json::{Value, json};

use crate::test_app::TestApp;

#[tokio::test]
async fn every_mutation_is_in_the_log_with_who_and_from_where() {
    let app = TestApp::start().await;
    let id = app.connect("mine").await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connections/{id}");
    app.call("PATCH", &path).json(&json!({"name": "x"})).send().await.ok(200);
    let body = json!({"credentials": {"admin_key": "ak-admin-2"}});
    app.call("PUT", &format!("{path}/credentials")).json(&body).send().await.ok(200);
    let form = [("file", Some("a.csv"), b"a\n".as_slice())];
    let file = app.post("/v1/files").form(&form).send().await.ok(202);
    let file_path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    app.call("DELETE", &file_path).send().await;
    app.call("DELETE", &path).send().await;

    let log = app.get("/v1/audit-log").send().await.ok(200);
    let data = log["data"].as_array().unwrap();
    let actions: Vec<_> = data.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "connection.deleted",
            "file.deleted",
            "file.uploaded",
            "connection.credentials_replaced",
            "connection.updated",
            "connection.created",
            "organization.created",
        ]
    );
    let newest = &data[0];
    assert_eq!(newest["target"], id);
    assert_eq!(newest["ip"], "192.0.2.7");
    assert!(newest["actor"].as_str().unwrap().starts_with("key_"));
    assert_eq!(newest["previous_hash"], data[1]["hash"]);
    assert_eq!(newest["hash"].as_str().unwrap().len(), 64);
    assert!(!log.to_string().contains("ak-admin"));
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let app = TestApp::start().await;
    for name in ["a", "b", "c"] {
        app.connect(name).await;
    }
    let mut sequences = vec![];
    let mut path = "/v1/audit-log?limit=2".to_owned();
    loop {
        let page = app.get(&path).send().await.ok(200);
        let data = page["data"].as_array().unwrap();
        sequences.extend(data.iter().map(|entry| entry["sequence"].as_u64().unwrap()));
        match &page["next_cursor"] {
            Value::String(cursor) => path = format!("/v1/audit-log?limit=2&cursor={cursor}"),
            other => break assert_eq!(*other, Value::Null),
        }
    }
    assert_eq!(sequences, [4, 3, 2, 1]);
    // base64 of `conn_1`: a cursor of another list.
    let foreign = app.get("/v1/audit-log?cursor=Y29ubl8x").send().await;
    foreign.refuses("validation_failed", "cursor");
}
