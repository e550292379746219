//! Files: uploaded, listed, looked at, removed.

use std::{path::Path, sync::atomic::Ordering};

use api::Limits;
use domain::FileId;
use serde_json::json;

use crate::test_app::{Answer, Call, TestApp};

const CSV: &[u8] = b"BilledCost,BillingCurrency\n1.5,USD\n";

fn upload(app: &TestApp, content: &[u8]) -> Call {
    app.post("/v1/files").form(&[("file", Some("may.csv"), content)])
}

fn id_of(answer: &Answer) -> FileId {
    FileId::parse(answer.json()["id"].as_str().unwrap()).unwrap()
}

/// Waits until no upload lies in the spool: bytes that are not kept are removed after the answer.
async fn spool_is_empty(app: &TestApp) {
    fn files(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
    }
    let folders = || std::fs::read_dir(app.folder.path()).unwrap().flatten();
    let count = || -> usize {
        folders().filter(|entry| entry.path().is_dir()).map(|entry| files(&entry.path())).sum()
    };
    let emptied = async {
        while count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), emptied).await.unwrap();
}

#[tokio::test]
async fn an_upload_waits_for_its_import_with_all_its_bytes() {
    let app = TestApp::start().await;
    let content: Vec<u8> =
        (0..2_500_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
    let call = app.post("/v1/files").form(&[
        ("provider", None, b"OpenAI"),
        ("account", None, b" org-1 "),
        ("file", Some("../may.csv"), &content),
        ("on_error", None, b"skip"),
    ]);
    let answer = call.send().await;
    let accepted = answer.ok(202);
    let id = id_of(&answer);
    assert_eq!(accepted, json!({"id": id.to_string(), "state": "queued"}));
    assert_eq!(app.wake_count.load(Ordering::SeqCst), 1);

    let file = app.get(&format!("/v1/files/{id}")).send().await.ok(200);
    assert_eq!(
        file,
        json!({
            "id": id.to_string(), "name": "may.csv", "size_bytes": 2_500_000,
            "sha256": file["sha256"], "state": "queued", "format": null,
            "progress": {"bytes_parsed": 0, "bytes_total": 2_500_000},
            "rows": 0, "charges": 0, "totals": [], "warnings": [], "errors": [],
            "provider": "openai", "account": "org-1", "on_error": "skip",
            "created_at": "2026-11-20T10:00:00.000001Z", "finished_at": null,
        })
    );
    let list = app.get("/v1/files").send().await.ok(200);
    assert_eq!(list, json!({"data": [file], "next_cursor": null}));

    let mut spooled = Vec::new();
    for chunk in 0.. {
        let Some(bytes) = app.store.spool_read(id, chunk).await.unwrap() else { break };
        spooled.extend_from_slice(&bytes);
    }
    assert!(spooled == content);
    let jobs = app.store.scheduled_jobs("import_file").await.unwrap();
    assert_eq!(jobs[0].key.subject, id.to_string());
}

#[tokio::test]
async fn the_same_bytes_again_are_the_first_file() {
    let app = TestApp::start().await;
    let first = upload(&app, CSV).send().await;
    let again = app.post("/v1/files").form(&[("file", Some("other-name.csv"), CSV)]).send().await;
    let id = id_of(&first).to_string();
    assert_eq!(again.ok(200), json!({"id": id, "state": "queued", "duplicate": true}));
    let list = app.get("/v1/files").send().await.ok(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert!(app.store.spool_read(id_of(&first), 0).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_file_takes_its_bytes_along_and_may_come_again() {
    let app = TestApp::start().await;
    let first = upload(&app, CSV).send().await;
    let path = format!("/v1/files/{}", id_of(&first));
    let deleted = app.call("DELETE", &path).send().await;
    assert_eq!(deleted.status.as_u16(), 204);
    app.get(&path).send().await.problem(404, "not_found");
    app.call("DELETE", &path).send().await.problem(404, "not_found");
    spool_is_empty(&app).await;
    upload(&app, CSV).send().await.ok(202);
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused_and_leaves_nothing() {
    let limits = Limits { upload_bytes_max: 2_000_000, ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    upload(&app, &vec![b'x'; 2_000_001]).send().await.problem(413, "payload_too_large");
    spool_is_empty(&app).await;
    let announced = upload(&app, CSV).header("Content-Length", "9000000");
    announced.send().await.problem(413, "payload_too_large");
    upload(&app, &vec![b'x'; 2_000_000]).send().await.ok(202);
}

#[tokio::test]
async fn a_form_that_is_not_right_stores_nothing() {
    let app = TestApp::start().await;
    let file = ("file", Some("a.csv"), CSV);
    let long = vec![b'x'; 5000];
    let cases: &[(&str, &str, &[u8])] = &[
        ("validation_failed", "/provider", b"not a name!"),
        ("validation_failed", "/account", b"a\tb"),
        ("validation_failed", "/account", &long),
        ("validation_failed", "/account", b"\xff"),
        ("validation_failed", "/on_error", b"ignore"),
        ("validation_failed", "/mapping", b"{}"),
        ("unknown_field", "/colour", b"red"),
        ("validation_failed", "/file", b"another"),
    ];
    for (code, place, value) in cases {
        let call = app.post("/v1/files").form(&[file, (&place[1..], None, value)]);
        call.send().await.refuses(code, place);
    }
    let none = app.post("/v1/files").form(&[("provider", None, b"openai")]).send().await;
    none.refuses("validation_failed", "/file");
    spool_is_empty(&app).await;
    assert_eq!(app.get("/v1/files").send().await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn other_types_are_refused_at_once() {
    let app = TestApp::start().await;
    let call = || app.post("/v1/files");
    call().body("text/csv", CSV).send().await.problem(415, "unsupported_media_type");
    call().json(&json!({})).send().await.problem(415, "unsupported_media_type");
    let page = upload(&app, b"<!doctype html><title>Sign in</title>").send().await;
    page.problem(415, "unsupported_media_type");
    upload(&app, b"%PDF-1.7").send().await.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_form_that_breaks_off_is_malformed() {
    let app = TestApp::start().await;
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let body = format!("{head}{}", "x".repeat(2_000_000));
    let call = app.post("/v1/files").body("multipart/form-data; boundary=b", body.as_bytes());
    call.send().await.problem(400, "malformed_multipart");
    spool_is_empty(&app).await;
    let call = app.post("/v1/files").body("multipart/form-data", CSV);
    call.send().await.problem(400, "malformed_multipart");
}

#[tokio::test]
async fn an_upload_under_one_key_is_done_once() {
    let app = TestApp::start().await;
    let first = upload(&app, CSV).once("k").send().await;
    first.ok(202);
    let replay = upload(&app, CSV).once("k").send().await;
    assert_eq!((replay.status, &replay.body), (first.status, &first.body));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    let other = upload(&app, b"BilledCost\n2\n").once("k").send().await;
    other.problem(422, "idempotency_key_reused");
    let fields = [("file", Some("may.csv"), CSV), ("on_error", None, b"skip".as_slice())];
    let other = app.post("/v1/files").form(&fields).once("k").send().await;
    other.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn an_upload_that_was_killed_after_its_file_was_stored_is_found_again() {
    let app = TestApp::start().await;
    app.wake_panics.store(true, Ordering::SeqCst);
    upload(&app, CSV).once("k").send().await.problem(500, "internal");
    let again = upload(&app, CSV).once("k").send().await;
    let accepted = again.ok(202);
    assert_eq!(accepted, json!({"id": id_of(&again).to_string(), "state": "queued"}));
    let list = app.get("/v1/files").send().await.ok(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert!(app.store.spool_read(id_of(&again), 0).await.unwrap().is_some());
}
