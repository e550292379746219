//! The OpenAPI document: its snapshot at the repository's root, and what every operation must say.

use std::path::Path;

use serde_json::Value;

#[test]
fn the_snapshot_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.json");
    let document = api::openapi_json();
    let command = "UPDATE_OPENAPI=1 cargo test -p outlay-api --test routes openapi";
    #[expect(clippy::disallowed_methods, reason = "asks whoever runs the test, not the product")]
    let updates = std::env::var_os("UPDATE_OPENAPI").is_some();
    if updates {
        std::fs::write(&path, document).unwrap();
    }
    let snapshot = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(snapshot == document, "openapi.json is stale; run: {command}");
}

#[test]
fn the_document_is_openapi_3_1_with_every_code() {
    let document: Value = serde_json::from_str(api::openapi_json()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let codes = document["components"]["schemas"]["Code"].to_string();
    for code in api::Code::ALL {
        assert!(codes.contains(&format!("\"{}\"", code.as_str())), "{}", code.as_str());
    }
}

#[test]
fn every_operation_has_a_summary_a_success_and_a_problem() {
    let document: Value = serde_json::from_str(api::openapi_json()).unwrap();
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            count += 1;
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
            assert!(responses.contains_key("default"), "{method} {path}");
            let is_described = |response: &Value| response["description"].is_string();
            assert!(responses.values().all(is_described), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["operationId"].is_string(), "{method} {path}");
        }
    }
    assert_eq!(count, 64);
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(api::openapi_json()).unwrap();
    let mut found = vec![];
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
