//! What a call costs: the built-in price, one's own, a part of it, or none, and never a guess.

use domain::{Scope, organization::Environment};
use serde_json::{Value, json};

use crate::test_app::{Answer, TestApp};

const PATH: &str = "/v1/prices/estimate";

fn call(model: &str, usage: Value) -> Value {
    json!({"service": "openai", "model": model, "usage": usage})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

async fn send(app: &TestApp, body: &Value) -> Answer {
    app.post(PATH).json(body).send().await
}

async fn estimate(app: &TestApp, body: &Value) -> Value {
    send(app, body).await.ok(200)
}

async fn put(app: &TestApp, path: &str, body: Value) {
    app.call("PUT", path).json(&body).send().await.ok(200);
}

#[tokio::test]
async fn a_call_is_priced_line_by_line_with_where_the_price_is_from() {
    let app = TestApp::start().await;
    let usage = json!({"input_tokens": 10_000, "cache_read_tokens": 8_000, "output_tokens": 500,
        "output_reasoning_tokens": 300, "web_searches": 2});
    let body = with(call("gpt-5.4-2026-03-05", usage), "service", json!("OpenAI"));
    let answer = estimate(&app, &body).await;
    let catalogue = answer["price"]["catalogue"].as_str().unwrap().to_owned();
    assert!(catalogue.starts_with("2026-11-20-"), "{catalogue}");
    let line = |unit: &str, quantity: u64, rate: &str, price: &str, per: u64, cost: &str| {
        json!({"unit": unit, "quantity": quantity, "rate": rate, "price": price, "per": per,
            "cost": cost})
    };
    let expected = json!({
        "status": "priced", "cost": "0.0345", "currency": "USD",
        "lines": [
            line("web_searches", 2, "0.01", "0.01", 1, "0.02"),
            line("input_tokens", 2_000, "0.0000025", "2.5", 1_000_000, "0.005"),
            line("cache_read_tokens", 8_000, "0.00000025", "0.25", 1_000_000, "0.002"),
            line("output_tokens", 500, "0.000015", "15", 1_000_000, "0.0075"),
        ],
        "missing": [], "notes": [], "nearest": [],
        "price": {
            "service": "openai", "model": "gpt-5.4", "row": "openai/gpt-5.4?standard",
            "own": false, "adjusted_by": null, "source": "list 1",
            "link": "https://example.com/prices", "read_on": "2026-11-20",
            "effective_from": null, "effective_until": null, "confidence": "agreed",
            "disputed": [], "catalogue": catalogue,
        },
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn much_input_batches_and_places_have_rates_of_their_own() {
    let app = TestApp::start().await;
    let usage = |input: u64| json!({"input_tokens": input, "output_tokens": 1_000});
    let cost = async |input: u64, context: Value| {
        let body = with(call("gpt-5.4", usage(input)), "context", context);
        let answer = estimate(&app, &body).await;
        assert_eq!(answer["status"], "priced", "{answer}");
        answer["cost"].as_str().unwrap().to_owned()
    };
    assert_eq!(cost(272_000, json!({})).await, "0.695");
    assert_eq!(cost(272_001, json!({})).await, "1.382505", "every token of a long request");
    assert_eq!(cost(1_000, json!({"processing": "batch"})).await, "0.00875");
    assert_eq!(cost(300_000, json!({"processing": "Batch"})).await, "0.76125");
    assert_eq!(cost(1_000, json!({"data_residency": "eu"})).await, "0.01925");
    let body = with(call("gpt-5.4", usage(1_000)), "context", json!({"data_residency": "eu"}));
    let line = &estimate(&app, &body).await["lines"][0];
    let parts = ["rate", "price", "multiplier"].map(|key| line[key].as_str().unwrap().to_owned());
    assert_eq!(parts, ["0.00000275", "2.5", "1.1"]);
}

#[tokio::test]
async fn the_price_is_the_one_of_its_time() {
    let app = TestApp::start().await;
    let usage = json!({"input_tokens": 1_000_000});
    let body = call("gpt-5.4-mini", usage);
    for (at, cost, from, until) in [
        ("2020-01-01", "0.5", json!(null), json!("2026-10-01T00:00:00Z")),
        ("2026-09-30T23:59:59.999999Z", "0.5", json!(null), json!("2026-10-01T00:00:00Z")),
        (
            "2026-10-01T02:00:00+02:00",
            "0.4",
            json!("2026-10-01T00:00:00Z"),
            json!("2027-01-01T00:00:00Z"),
        ),
        ("2031-01-01", "0.3", json!("2027-01-01T00:00:00Z"), json!(null)),
    ] {
        let answer = estimate(&app, &with(body.clone(), "at", json!(at))).await;
        assert_eq!(answer["cost"], cost, "{at}");
        let price = &answer["price"];
        assert_eq!((&price["effective_from"], &price["effective_until"]), (&from, &until));
    }
    assert_eq!(estimate(&app, &body).await["cost"], "0.4", "now");
    for at in ["yesterday", "2026-10-01T00:00:00", "", "2026-13-01", "1700000000"] {
        let answer = send(&app, &with(body.clone(), "at", json!(at))).await;
        answer.refuses("validation_failed", "/at");
    }
}

#[tokio::test]
async fn a_disputed_rate_is_told_with_what_others_say() {
    let app = TestApp::start().await;
    let only_input = estimate(&app, &call("gpt-5.4-mini", json!({"input_tokens": 10}))).await;
    assert_eq!(only_input["price"]["confidence"], "agreed", "that rate nobody disputes");
    let answer = estimate(&app, &call("gpt-5.4-mini", json!({"output_tokens": 10}))).await;
    assert_eq!(answer["price"]["confidence"], "disputed");
    let disputed = json!([{"rate": "output", "over": null, "figure": "1.8", "source": "list 2"}]);
    assert_eq!(answer["price"]["disputed"], disputed);
}

#[tokio::test]
async fn an_unknown_model_has_no_cost_and_names_like_its_own() {
    let app = TestApp::start().await;
    let answer = estimate(&app, &call("gpt-5.5", json!({"input_tokens": 10}))).await;
    assert_eq!(answer["status"], "unpriced");
    assert_eq!((&answer["cost"], &answer["price"]), (&json!(null), &json!(null)));
    assert_eq!((&answer["currency"], &answer["lines"]), (&json!(null), &json!([])));
    assert_eq!(answer["missing"], json!(["model"]));
    assert_eq!(answer["nearest"][0], "openai/gpt-5.4");
    let body = with(call("gpt-5.4", json!({"input_tokens": 10})), "service", json!("opnai"));
    let answer = estimate(&app, &body).await;
    assert_eq!((&answer["status"], &answer["missing"]), (&json!("unpriced"), &json!(["service"])));
}

#[tokio::test]
async fn a_cost_in_part_says_what_is_missing() {
    let app = TestApp::start().await;
    let usage = json!({"input_tokens": 1_000, "input_audio_tokens": 100, "output_tokens": 10});
    let answer = estimate(&app, &call("gpt-5.4-mini", usage)).await;
    assert_eq!(answer["status"], "partial");
    assert_eq!(answer["missing"], json!(["input_audio_tokens"]));
    let tier = json!({"service_tier": "priority"});
    let body = with(call("gpt-5.4", json!({"output_tokens": 10})), "context", tier);
    let answer = estimate(&app, &body).await;
    assert_eq!((&answer["status"], &answer["cost"]), (&json!("partial"), &json!("0.00015")));
    assert_eq!(answer["missing"], json!(["service_tier=priority"]));
}

#[tokio::test]
async fn a_free_model_costs_zero_and_an_unpriced_one_does_not() {
    let app = TestApp::start().await;
    let answer = estimate(&app, &call("omni-moderation", json!({"input_tokens": 10}))).await;
    assert_eq!((&answer["status"], &answer["cost"]), (&json!("priced"), &json!("0")));
}

#[tokio::test]
async fn a_custom_service_has_units_of_its_own() {
    let app = TestApp::start().await;
    let prices = json!({"price": [{"currency": "EUR", "custom": {"tasks": 0.02, "gb": "1.5"}}]});
    put(&app, "/v1/services/crawler", prices).await;
    let body = |usage: Value| json!({"service": "Crawler", "usage": usage});
    let usage = json!({"custom:tasks": 3, "custom:gb": 0.000001});
    let answer = estimate(&app, &body(usage)).await;
    assert_eq!((&answer["cost"], &answer["currency"]), (&json!("0.0600015"), &json!("EUR")));
    let units: Vec<_> =
        answer["lines"].as_array().unwrap().iter().map(|line| &line["unit"]).collect();
    assert_eq!(units, ["custom:gb", "custom:tasks"]);
    assert_eq!(
        (&answer["price"]["own"], &answer["price"]["source"]),
        (&json!(true), &json!("own"))
    );
    let answer = estimate(&app, &body(json!({"custom:tasks": 1, "custom:new": 1}))).await;
    assert_eq!(
        (&answer["status"], &answer["missing"]),
        (&json!("partial"), &json!(["custom:new"]))
    );
    assert_eq!(answer["cost"], "0.02");
    let named = with(body(json!({"custom:tasks": 1})), "model", json!("any"));
    assert_eq!(estimate(&app, &named).await["price"]["model"], "any");
}

#[tokio::test]
async fn own_prices_go_before_and_a_change_counts_from_the_next_request_on() {
    let app = TestApp::start().await;
    let body = call("gpt-5.4-2026-03-05", json!({"input_tokens": 1_000_000}));
    let cost = async || estimate(&app, &body).await["cost"].as_str().unwrap().to_owned();
    assert_eq!(cost().await, "5", "more than 272,000 tokens");
    put(&app, "/v1/services/openai", json!({"price": [{"discount": "0.15"}]})).await;
    assert_eq!(cost().await, "4.25");
    let answer = estimate(&app, &body).await;
    let price = &answer["price"];
    assert_eq!((&price["own"], &price["adjusted_by"]), (&json!(false), &json!("own:openai/*")));
    assert_eq!(answer["lines"][0]["multiplier"], "0.85");
    put(&app, "/v1/services/openai/models/gpt-5*", json!({"price": [{"input": "3"}]})).await;
    assert_eq!(cost().await, "3");
    put(&app, "/v1/services/openai/models/gpt-5.4", json!({"price": [{"input": 2}]})).await;
    let answer = estimate(&app, &body).await;
    assert_eq!((&answer["cost"], &answer["price"]["own"]), (&json!("2"), &json!(true)));
    assert_eq!(answer["price"]["row"], "own:openai/gpt-5.4");
    assert_eq!(answer["price"]["confidence"], "own");
    app.call("DELETE", "/v1/services/openai").send().await;
    assert_eq!(cost().await, "5");
}

#[tokio::test]
async fn nobody_pays_by_anothers_prices() {
    let app = TestApp::start().await;
    put(&app, "/v1/services/openai/models/gpt-5.4", json!({"price": [{"input": 2}]})).await;
    let body = call("gpt-5.4", json!({"input_tokens": 1_000}));
    let test = app.key(Environment::Test, &[Scope::Read]).await;
    let stranger = app.strangers_key().await;
    for key in [&test, &stranger] {
        let answer = app.post(PATH).key(key).json(&body).send().await.ok(200);
        assert_eq!(answer["cost"], "0.0025");
    }
    assert_eq!(estimate(&app, &body).await["cost"], "0.002");
}

#[tokio::test]
async fn a_providers_own_block_is_read_as_it_was_sent() {
    let app = TestApp::start().await;
    let block = json!({"input_tokens": 3, "cache_creation_input_tokens": 12_304,
        "cache_read_input_tokens": 100, "output_tokens": 550});
    let raw = |block: Value| {
        json!({"service": "anthropic", "model": "claude-sonnet-4-5-20250929",
            "raw_usage": block, "raw_format": "anthropic_messages"})
    };
    let answer = estimate(&app, &raw(block.clone())).await;
    assert_eq!((&answer["status"], &answer["cost"]), (&json!("priced"), &json!("0.054429")));
    assert_eq!(answer.get("stated_cost"), None);
    let response = json!({"id": "msg_1", "model": "claude-sonnet-4-5", "usage": block});
    let named = with(raw(response.clone()), "model", json!("our-alias"));
    let answer = estimate(&app, &named).await;
    assert_eq!(
        (&answer["cost"], &answer["price"]["model"]),
        (&json!("0.054429"), &json!("claude-sonnet-4-5"),)
    );
    assert!(answer["notes"][0].as_str().unwrap().contains("`claude-sonnet-4-5`"), "{answer}");
    let own = json!({"price": [{"input": 1, "output": 1, "cache_read": 1, "cache_write_5m": 1}]});
    put(&app, "/v1/services/anthropic/models/our-alias", own).await;
    let answer = estimate(&app, &named).await;
    assert_eq!(answer["cost"], "0.012957", "the deployment has a price of one's own");
    let other = json!({"id": "msg_1", "model": "claude-next", "usage": block});
    let answer = estimate(&app, &raw(other)).await;
    assert_eq!(answer["cost"], "0.054429", "by the model that was asked for");
}

#[tokio::test]
async fn what_the_response_says_goes_before_what_was_asked_for() {
    let app = TestApp::start().await;
    let block = json!({"model": "gpt-5.4", "service_tier": "default",
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}});
    let body = json!({"service": "openai", "model": "gpt-5.4", "raw_usage": block,
        "raw_format": "openai_chat", "context": {"service_tier": "priority"}});
    let answer = estimate(&app, &body).await;
    assert_eq!((&answer["status"], &answer["cost"]), (&json!("priced"), &json!("0.004")));
}

#[tokio::test]
async fn a_stated_cost_is_told_beside_the_computed_one() {
    let app = TestApp::start().await;
    let block = r#"{"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "cost": 0.004000000000001}"#;
    let body = format!(
        r#"{{"service": "openai", "model": "gpt-5.4", "raw_format": "openai_chat",
            "raw_usage": {block}}}"#
    );
    let answer = app.post(PATH).body("application/json", body.as_bytes()).send().await.ok(200);
    assert_eq!(answer["cost"], "0.004");
    assert_eq!(answer["stated_cost"], "0.004000000000001", "every digit as it was sent");
    assert_eq!(answer["stated_currency"], "USD");
    assert_eq!(answer["difference"], "0.000000000000001");
}

#[tokio::test]
async fn calls_that_cannot_be_are_refused_with_their_places() {
    let app = TestApp::start().await;
    let usage = |usage: Value| call("gpt-5.4", usage);
    let fine = || usage(json!({"input_tokens": 1}));
    let raw = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let none = json!({"service": "openai", "model": "gpt-5.4"});
    let raw_only =
        |format: Value| with(with(none.clone(), "raw_usage", raw.clone()), "raw_format", format);
    for (body, code, place) in [
        (usage(json!({"input_tokens": "1"})), "validation_failed", "/usage/input_tokens"),
        (usage(json!({"input_tokens": -1})), "validation_failed", "/usage/input_tokens"),
        (usage(json!({"pages": 0.5})), "validation_failed", "/usage/pages"),
        (
            usage(json!({"output_tokens": 9_007_199_254_740_993_u64})),
            "validation_failed",
            "/usage/output_tokens",
        ),
        (usage(json!({"audio_seconds": 0.0000001})), "validation_failed", "/usage/audio_seconds"),
        (usage(json!({"custom:a b": 1})), "validation_failed", "/usage/custom:a b"),
        (usage(json!({"prompt_tokens": 1})), "unknown_field", "/usage/prompt_tokens"),
        (usage(json!([1])), "validation_failed", "/usage"),
        (
            usage(json!({"input_tokens": 1, "cache_read_tokens": 2})),
            "usage_inconsistent",
            "/usage/cache_read_tokens",
        ),
        (usage(json!({"cache_read_tokens": 2})), "usage_inconsistent", "/usage/cache_read_tokens"),
        (none.clone(), "validation_failed", "/usage"),
        (with(fine(), "raw_usage", raw.clone()), "validation_failed", "/raw_usage"),
        (with(fine(), "raw_format", json!("openai_chat")), "validation_failed", "/raw_format"),
        (raw_only(json!(null)), "validation_failed", "/raw_format"),
        (raw_only(json!("openai_chats")), "validation_failed", "/raw_format"),
        (
            with(raw_only(json!("openai_chat")), "raw_usage", json!({"prompt_tokens": -1})),
            "validation_failed",
            "/raw_usage/prompt_tokens",
        ),
        (
            with(raw_only(json!("openai_chat")), "raw_usage", json!({})),
            "validation_failed",
            "/raw_usage",
        ),
        (with(fine(), "context", json!({"tier": "x"})), "unknown_field", "/context/tier"),
        (
            with(fine(), "context", json!({"service_tier": "gold"})),
            "validation_failed",
            "/context/service_tier",
        ),
        (with(fine(), "service", json!("a b")), "validation_failed", "/service"),
        (with(fine(), "model", json!(null)), "validation_failed", "/model"),
        (with(fine(), "model", json!("x".repeat(257))), "validation_failed", "/model"),
        (with(fine(), "colour", json!(1)), "unknown_field", "/colour"),
    ] {
        send(&app, &body).await.refuses(code, place);
    }
    let inconsistent = json!({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 20}});
    let body = with(raw_only(json!("openai_chat")), "raw_usage", inconsistent);
    let problem = send(&app, &body).await.problem(422, "usage_inconsistent");
    let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
    assert!(pointer.starts_with("/raw_usage/"), "{problem}");
}

#[tokio::test]
async fn estimates_need_read_and_may_be_repeated() {
    let app = TestApp::start().await;
    let body = call("gpt-5.4", json!({"input_tokens": 1_000}));
    let others = [Scope::Write, Scope::Track, Scope::Admin];
    let writer = app.key(Environment::Live, &others).await;
    app.post(PATH).key(&writer).json(&body).send().await.problem(403, "forbidden");
    app.post(PATH).no_key().json(&body).send().await.problem(401, "unauthenticated");
    let first = app.post(PATH).once("k").json(&body).send().await;
    put(&app, "/v1/services/openai/models/gpt-5.4", json!({"price": [{"input": 2}]})).await;
    let replay = app.post(PATH).once("k").json(&body).send().await;
    assert_eq!((replay.status, &replay.body), (first.status, &first.body));
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.ok(200)["cost"], "0.0025");
}
