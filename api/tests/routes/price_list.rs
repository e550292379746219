//! A model's price rows: own ones first, those of the time, with what is disputed and noted.

use domain::{Scope, organization::Environment};
use serde_json::{Value, json};

use crate::test_app::TestApp;

async fn list(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/v1/prices?{query}")).send().await.ok(200)
}

fn prices(rates: &Value) -> Vec<(String, String, Option<u64>)> {
    let rate = |rate: &Value| {
        let text = |field: &str| rate[field].as_str().unwrap().to_owned();
        (text("unit"), text("price"), rate["over_input_tokens"].as_u64())
    };
    rates.as_array().unwrap().iter().map(rate).collect()
}

#[tokio::test]
async fn a_models_rows_have_their_rates_conditions_and_sources() {
    let app = TestApp::start().await;
    let answer = list(&app, "service=openai&model=gpt-5.4-2026-03-05").await;
    let rows = answer["data"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let standard = &rows[0];
    assert_eq!(standard["model"], "gpt-5.4");
    assert_eq!(standard["condition"], "standard");
    assert_eq!(rows[1]["condition"], "processing=batch");
    let of = |unit: &str, price: &str, over| (unit.to_owned(), price.to_owned(), over);
    assert_eq!(
        prices(&standard["rates"]),
        [
            of("input_tokens", "2.5", None),
            of("cache_read_tokens", "0.25", None),
            of("output_tokens", "15", None),
            of("web_searches", "0.01", None),
            of("input_tokens", "5", Some(272_000)),
            of("cache_read_tokens", "0.5", Some(272_000)),
            of("output_tokens", "22.5", Some(272_000)),
        ]
    );
    assert_eq!(standard["source"], "list 1");
    assert_eq!(
        standard["notes"],
        json!(["tokens cost 1.1 times as much with data residency `eu`"])
    );
}

#[tokio::test]
async fn rows_are_those_of_the_time_or_of_all_times() {
    let app = TestApp::start().await;
    let inputs = async |more: &str| {
        let answer = list(&app, &format!("service=openai&model=gpt-5.4-mini{more}")).await;
        let rows = answer["data"].as_array().unwrap().clone();
        rows.iter().map(|row| prices(&row["rates"])[0].1.clone()).collect::<Vec<_>>()
    };
    assert_eq!(inputs("&at=2026-09-30").await, ["0.5"]);
    assert_eq!(inputs("&at=2026-10-01T00:00:00Z").await, ["0.4"]);
    assert_eq!(inputs("&at=2027-06-01").await, ["0.3"]);
    assert_eq!(inputs("&history=true").await, ["0.5", "0.4", "0.3"]);
    let answer = list(&app, "service=openai&model=gpt-5.4-mini&at=2026-10-01").await;
    assert_eq!(answer["data"][0]["rates"][1]["disputed"], "list 2 says 1.8");
}

#[tokio::test]
async fn own_rows_go_first_and_only_to_their_owner() {
    let app = TestApp::start().await;
    let body = json!({"price": [{"input": "2", "custom": {"tasks": "0.01"}}]});
    app.call("PUT", "/v1/services/openai/models/gpt-5*").json(&body).send().await.ok(200);
    let answer = list(&app, "model=gpt-5.4").await;
    let rows = answer["data"].as_array().unwrap();
    assert_eq!((&rows[0]["own"], &rows[0]["model"]), (&json!(true), &json!("gpt-5*")));
    assert_eq!(rows[0]["rates"][1]["unit"], "custom:tasks");
    assert_eq!(rows[1]["own"], false);
    let stranger = app.strangers_key().await;
    let others = app.get("/v1/prices?model=gpt-5.4").key(&stranger).send().await.ok(200);
    assert_eq!(others["data"][0]["own"], false);
}

#[tokio::test]
async fn an_unknown_model_has_no_rows_and_names_like_its_own() {
    let app = TestApp::start().await;
    let answer = list(&app, "service=openai&model=gpt-5.5").await;
    assert_eq!(answer["data"], json!([]));
    assert_eq!(answer["nearest"][0], "openai/gpt-5.4");
}

#[tokio::test]
async fn wrong_questions_are_refused() {
    let app = TestApp::start().await;
    for (query, code) in [
        ("service=openai", "validation_failed"),
        ("model=gpt-5.4&at=yesterday", "validation_failed"),
        ("model=gpt-5.4&at=2026-01-31T12:00", "validation_failed"),
        ("model=gpt-5.4&colour=red", "unknown_field"),
    ] {
        let answer = app.get(&format!("/v1/prices?{query}")).send().await;
        answer.problem(422, code);
    }
    let writer = app.key(Environment::Live, &[Scope::Write]).await;
    app.get("/v1/prices?model=a").key(&writer).send().await.problem(403, "forbidden");
    app.get("/v1/prices?model=a").no_key().send().await.problem(401, "unauthenticated");
}
