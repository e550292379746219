//! Own prices: put, shown, listed and removed, by whoever may, for their own environment.

use api::Limits;
use domain::{Scope, organization::Environment};
use serde_json::{Value, json};

use crate::test_app::{Answer, TestApp};

const MODEL: &str = "/v1/services/openai/models/gpt-5.4";

fn rates() -> Value {
    json!({"price": [{"input": "2", "output": 10}]})
}

async fn put(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.call("PUT", path).json(body).send().await
}

async fn actions(app: &TestApp) -> Vec<String> {
    let log = app.get("/v1/audit-log").send().await.ok(200);
    let entries = log["data"].as_array().unwrap().iter();
    entries.map(|e| format!("{} {}", e["action"], e["target"]).replace('"', "")).collect()
}

#[tokio::test]
async fn a_price_is_shown_as_it_was_put_with_decimals_as_strings() {
    let app = TestApp::start().await;
    let body = r#"{"names": ["our-gpt"], "prices": [
        {"from": "2026-01-01T00:00:00Z", "until": "2027-01-01", "currency": "EUR", "per": 1000,
         "input": 0.0021, "output": "0.0100", "cache_read": 2.1e-4,
         "over": [{"input_tokens_above": 200000, "input": 0.0042, "output": "0.02"}],
         "data_residency": {"eu": 1.1}, "source": "contract 7"},
        {"when": {"processing": "batch"}, "input": "1", "output": "5",
         "hours": [{"zone": "Asia/Shanghai", "days": "Mon-Fri", "windows": ["09:00-12:00"]}]}]}"#;
    let answer = app.call("PUT", MODEL).body("application/json", body.as_bytes()).send().await;
    let expected = json!({
        "service": "openai", "model": "gpt-5.4", "names": ["our-gpt"],
        "price": [
            {"from": "2026-01-01T00:00:00Z", "until": "2027-01-01", "currency": "EUR",
             "per": 1000, "input": "0.0021", "output": "0.01", "cache_read": "0.00021",
             "over": [{"input_tokens_above": 200_000, "input": "0.0042", "output": "0.02"}],
             "data_residency": {"eu": "1.1"}, "source": "contract 7"},
            {"when": {"processing": "batch"}, "input": "1", "output": "5",
             "hours": [{"zone": "Asia/Shanghai", "days": "Mon-Fri", "windows": ["09:00-12:00"]}]},
        ],
        "updated_at": "2026-11-20T10:00:00.000001Z",
    });
    assert_eq!(answer.ok(200), expected);
    assert_eq!(app.get(MODEL).send().await.ok(200), expected);
}

#[tokio::test]
async fn the_same_content_again_changes_and_audits_nothing() {
    let app = TestApp::start().await;
    let first = put(&app, MODEL, &rates()).await;
    let log = actions(&app).await;
    assert_eq!(log[0], "own_price.set openai/gpt-5.4");
    app.clock.go_on(jiff::SignedDuration::from_hours(1));
    let same = json!({"prices": [{"output": "10.0", "input": 2}], "names": []});
    let again = put(&app, MODEL, &same).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body), "2.0 is 2");
    assert_eq!(actions(&app).await, log);
    let other = put(&app, MODEL, &json!({"price": [{"input": "2", "output": "9"}]})).await.ok(200);
    assert_eq!(other["updated_at"], "2026-11-20T11:00:00.000001Z");
    assert_eq!(actions(&app).await.len(), log.len() + 1);
}

#[tokio::test]
async fn names_in_addresses_are_decoded_and_services_lowered() {
    let app = TestApp::start().await;
    for (sent, model) in [
        ("accounts%2Ffireworks%2Fmodels%2Fx", "accounts/fireworks/models/x"),
        ("gpt-5*", "gpt-5*"),
        ("%2A-mini", "*-mini"),
        ("gr%C3%B6%C3%9Fe%3A1%20b", "größe:1 b"),
    ] {
        let path = format!("/v1/services/ACME/models/{sent}");
        let made = put(&app, &path, &rates()).await.ok(200);
        assert_eq!((&made["service"], &made["model"]), (&json!("acme"), &json!(model)));
        assert_eq!(app.get(&path).send().await.ok(200)["model"], model);
        let gone = app.call("DELETE", &path).send().await;
        assert_eq!((gone.status.as_u16(), gone.text().as_str()), (204, ""));
        app.get(&path).send().await.problem(404, "not_found");
        app.call("DELETE", &path).send().await.problem(404, "not_found");
    }
    let slashed = app.get("/v1/services/acme/models/a/b").send().await;
    slashed.problem(404, "not_found");
    for model in ["%FF", "%00", "%20a"] {
        let path = format!("/v1/services/acme/models/{model}");
        app.get(&path).send().await.problem(404, "not_found");
    }
    put(&app, "/v1/services/acme/models/%00", &rates()).await.refuses("validation_failed", "model");
    put(&app, "/v1/services/a%20b/models/m", &rates())
        .await
        .refuses("validation_failed", "service");
    let long = format!("/v1/services/acme/models/{}", "x".repeat(257));
    put(&app, &long, &rates()).await.refuses("validation_failed", "model");
}

#[tokio::test]
async fn an_empty_body_makes_a_service_of_ones_own() {
    let app = TestApp::start().await;
    let made = put(&app, "/v1/services/Acme", &json!({})).await.ok(200);
    let expected = json!({
        "service": "acme", "custom": true, "price": [], "model_count": 0,
        "updated_at": "2026-11-20T10:00:00.000001Z",
    });
    assert_eq!(made, expected);
    assert_eq!(put(&app, "/v1/services/acme", &json!({})).await.ok(200), expected);
    assert_eq!(actions(&app).await[0], "service.set acme");
    assert_eq!(app.get("/v1/services/acme").send().await.ok(200), expected);
    assert_eq!(app.get("/v1/services/acme/models/*").send().await.ok(200)["price"], json!([]));

    let discount = json!({"price": [{"discount": "0.15", "until": "2027-01-01T00:00:00Z"}]});
    let openai = put(&app, "/v1/services/openai", &discount).await.ok(200);
    assert_eq!((&openai["custom"], &openai["price"]), (&json!(false), &discount["price"]));
    let list = app.get("/v1/services").send().await.ok(200);
    assert_eq!(list, json!({"data": [expected, openai], "next_cursor": null}));
}

#[tokio::test]
async fn a_service_goes_with_all_its_models() {
    let app = TestApp::start().await;
    put(&app, "/v1/services/acme", &json!({})).await.ok(200);
    put(&app, "/v1/services/acme/models/a", &rates()).await.ok(200);
    put(&app, "/v1/services/acme-2/models/a", &rates()).await.ok(200);
    let service = app.get("/v1/services/acme").send().await.ok(200);
    assert_eq!(service["model_count"], 1);
    let gone = app.call("DELETE", "/v1/services/acme").send().await;
    assert_eq!(gone.status.as_u16(), 204);
    assert_eq!(actions(&app).await[0], "service.deleted acme");
    for path in ["/v1/services/acme", "/v1/services/acme/models/a"] {
        app.get(path).send().await.problem(404, "not_found");
        app.call("DELETE", path).send().await.problem(404, "not_found");
    }
    app.get("/v1/services/acme-2/models/a").send().await.ok(200);
}

#[tokio::test]
async fn lists_have_pages() {
    let app = TestApp::start().await;
    for service in ["b", "a", "a-b"] {
        for model in ["y", "x%2F1", "*"] {
            put(&app, &format!("/v1/services/{service}/models/{model}"), &rates()).await.ok(200);
        }
    }
    let walk = async |path: &str, key: &str| {
        let (mut found, mut cursor) = (vec![], String::new());
        loop {
            let page = app.get(&format!("{path}?limit=2{cursor}")).send().await.ok(200);
            let items = page["data"].as_array().unwrap();
            found.extend(items.iter().map(|item| item[key].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break found };
            cursor = format!("&cursor={next}");
        }
    };
    assert_eq!(walk("/v1/services", "service").await, ["a", "a-b", "b"]);
    assert_eq!(walk("/v1/services/a/models", "model").await, ["*", "x/1", "y"]);
    let empty = json!({"data": [], "next_cursor": null});
    assert_eq!(app.get("/v1/services/none/models").send().await.ok(200), empty);
    let wrong = app.get("/v1/services?limit=0").send().await;
    wrong.refuses("validation_failed", "limit");
}

#[tokio::test]
async fn all_wrong_figures_are_said_at_once_with_their_places() {
    let app = TestApp::start().await;
    let body = json!({"prices": [
        {"input": "-1", "output": "ten"},
        {"input": 0, "from": "soon"},
        {"over": [{"input": "1"}], "input": "1", "currency": "BITCOIN"},
        {"custom": {"custom:tasks": "1", "a b": "1"}},
        {"discount": "0.1"},
    ]});
    let answer = put(&app, "/v1/services/acme/models/m", &body).await;
    for place in [
        "/prices/0/input",
        "/prices/0/output",
        "/prices/1/input",
        "/prices/1/from",
        "/prices/2/over/0/input_tokens_above",
        "/prices/2/currency",
        "/prices/3/custom/custom:tasks",
        "/prices/3/custom/a b",
        "/prices/4",
    ] {
        answer.refuses("validation_failed", place);
    }
    app.get("/v1/services/acme").send().await.problem(404, "not_found");
}

#[tokio::test]
async fn bodies_of_another_shape_are_refused_with_their_places() {
    let app = TestApp::start().await;
    let row = |row: Value| json!({"price": [row]});
    for (body, code, place) in [
        (json!({}), "validation_failed", "/price"),
        (json!({"price": []}), "validation_failed", "/price"),
        (json!({"price": {}}), "validation_failed", "/price"),
        (json!({"rows": []}), "unknown_field", "/rows"),
        (json!({"price": [], "prices": []}), "validation_failed", "/price"),
        (row(json!({"inputs": "1"})), "unknown_field", "/price/0/inputs"),
        (row(json!({"input": true})), "validation_failed", "/price/0/input"),
        (row(json!({"input": "1", "per": 0})), "validation_failed", "/price/0/per"),
        (row(json!({"input": "1", "per": "1"})), "validation_failed", "/price/0/per"),
        (row(json!({"over": [{"above": 1}]})), "unknown_field", "/price/0/over/0/above"),
        (
            row(json!({"input": "1", "when": {"service_tier": "gold"}})),
            "validation_failed",
            "/price/0/when/service_tier",
        ),
        (json!({"price": [{"input": "1"}, {"input": "2"}]}), "validation_failed", "/price/1"),
        (json!({"price": [{"input": "1"}], "names": ["gpt-5.4"]}), "validation_failed", "/names/0"),
        (json!({"price": [{"input": "1"}], "names": ["a*"]}), "validation_failed", "/names/0"),
        (json!({"price": [{"input": "1"}], "names": [""]}), "validation_failed", "/names/0"),
    ] {
        put(&app, MODEL, &body).await.refuses(code, place);
    }
    let pattern = json!({"price": [{"input": "1"}], "names": ["a"]});
    let answer = put(&app, "/v1/services/openai/models/gpt*", &pattern).await;
    answer.refuses("validation_failed", "/names");
    let named = json!({"names": ["a"]});
    put(&app, "/v1/services/openai", &named).await.refuses("unknown_field", "/names");
    let broken = app.call("PUT", MODEL).body("application/json", b"{").send().await;
    broken.problem(400, "malformed_json");
    app.call("PUT", MODEL)
        .body("text/plain", b"{}")
        .send()
        .await
        .problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_name_means_one_model_of_a_service() {
    let app = TestApp::start().await;
    let named = json!({"price": [{"input": "1"}], "names": ["fast"]});
    put(&app, "/v1/services/acme/models/a", &named).await.ok(200);
    let again = put(&app, "/v1/services/acme/models/b", &named).await;
    again.refuses("validation_failed", "/names/0");
    put(&app, "/v1/services/acme/models/fast", &rates())
        .await
        .refuses("validation_failed", "model");
    put(&app, "/v1/services/acme/models/a", &named).await.ok(200);
    put(&app, "/v1/services/other/models/b", &named).await.ok(200);
    app.call("DELETE", "/v1/services/acme/models/a").send().await;
    put(&app, "/v1/services/acme/models/b", &named).await.ok(200);
}

#[tokio::test]
async fn one_price_too_many_is_refused() {
    let limits = Limits { own_prices_max: 2, ..Limits::default() };
    let app = TestApp::start_with(limits, false).await;
    put(&app, "/v1/services/acme/models/a", &rates()).await.ok(200);
    put(&app, "/v1/services/acme", &json!({})).await.ok(200);
    put(&app, "/v1/services/acme/models/b", &rates()).await.problem(409, "conflict");
    put(&app, "/v1/services/acme/models/a", &json!({"price": [{"input": "1"}]})).await.ok(200);
    let row = |n: usize| {
        json!({"from": format!("{:04}-01-01", n), "until":
        format!("{:04}-01-01", n + 1), "input": "1", "source": "x".repeat(100)})
    };
    let rows: Vec<_> = (1000..1500).map(row).collect();
    let large = put(&app, "/v1/services/acme/models/a", &json!({"price": rows})).await;
    large.problem(413, "payload_too_large");
}

#[tokio::test]
async fn neither_organizations_nor_environments_see_each_others_prices() {
    let app = TestApp::start().await;
    put(&app, MODEL, &rates()).await.ok(200);
    let stranger = app.strangers_key().await;
    let test = app.key(Environment::Test, &Scope::ALL).await;
    for key in [&stranger, &test] {
        for path in [MODEL, "/v1/services/openai"] {
            app.get(path).key(key).send().await.problem(404, "not_found");
            app.call("DELETE", path).key(key).send().await.problem(404, "not_found");
        }
        let list = app.get("/v1/services").key(key).send().await.ok(200);
        assert_eq!(list["data"], json!([]));
        let theirs = json!({"price": [{"input": "7"}]});
        app.call("PUT", MODEL).key(key).json(&theirs).send().await.ok(200);
    }
    let mine = app.get(MODEL).send().await.ok(200);
    assert_eq!(mine["price"], json!([{"input": "2", "output": "10"}]));
}

#[tokio::test]
async fn reading_needs_read_and_changing_needs_write() {
    let app = TestApp::start().await;
    put(&app, MODEL, &rates()).await.ok(200);
    let reader = app.key(Environment::Live, &[Scope::Read]).await;
    let others = [Scope::Write, Scope::Track, Scope::Admin];
    let writer = app.key(Environment::Live, &others).await;
    for path in [MODEL, "/v1/services/openai", "/v1/services", "/v1/services/openai/models"] {
        app.get(path).key(&reader).send().await.ok(200);
        app.get(path).key(&writer).send().await.problem(403, "forbidden");
        app.get(path).no_key().send().await.problem(401, "unauthenticated");
    }
    for path in [MODEL, "/v1/services/openai"] {
        for method in ["PUT", "DELETE"] {
            let call = || app.call(method, path).json(&rates());
            call().key(&reader).send().await.problem(403, "forbidden");
            call().no_key().send().await.problem(401, "unauthenticated");
        }
    }
    app.call("PUT", MODEL).key(&writer).json(&rates()).send().await.ok(200);
}

#[tokio::test]
async fn a_changed_own_price_counts_for_the_next_report() {
    let app = TestApp::start().await;
    let model = "/v1/services/acme-own/models/big";
    for (number, rate) in [("1", "2"), ("2", "3")] {
        put(&app, model, &json!({"price": [{"input": rate}]})).await.ok(200);
        let event = json!({"id": number, "path": "a", "service": "acme-own", "model": "big",
            "usage": {"input_tokens": 1_000_000}});
        let body = json!({"events": [event]});
        let told = app.post("/v1/track").json(&body).send().await.ok(200);
        assert_eq!(told["results"][0]["cost"], rate, "{told}");
    }
}
