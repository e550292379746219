//! Costs and charges: what is asked of the reports, and how their answers look.

use std::borrow::Cow;

use api::reports::{
    ChargeLine, ChargePage, ChargeSource, CostReport, CostRow, Dimension, ReportError,
};
use domain::{Charge, ConnectionId, Currency, Granularity, Money, ProviderId, Quantity};
use jiff::Timestamp;
use serde_json::json;

use crate::test_app::TestApp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse_rounded(text).unwrap()
}

#[tokio::test]
async fn costs_are_exact_text_and_unknown_is_null() {
    let app = TestApp::start().await;
    let euro = Currency::parse("EUR").unwrap();
    *app.reports.costs.lock().unwrap() = CostReport {
        totals: vec![
            (euro, None),
            (Currency::USD, Some(Money::parse_exact("0.000000000000001", Currency::USD).unwrap())),
        ],
        complete_through: Some(at("2026-11-18T00:00:00Z")),
        rows: vec![CostRow {
            period_start: at("2026-11-01T00:00:00Z"),
            group: vec![(Dimension::Provider, Some("openai".to_owned())), (Dimension::Model, None)],
            currency: Currency::USD,
            cost: None,
            requests: quantity("12"),
            quantities: vec![
                ("input_tokens".to_owned(), quantity("1000")),
                ("GB-Hours".to_owned(), quantity("0.5")),
            ],
        }],
    };
    let answer = app.get("/v1/costs?group_by=provider,model").send().await;
    assert_eq!(
        answer.ok(200),
        json!({
            "totals": [
                {"currency": "EUR", "total": null},
                {"currency": "USD", "total": "0.000000000000001"},
            ],
            "unpriced_events": 0,
            "complete_through": "2026-11-18T00:00:00Z",
            "rows": [{
                "period_start": "2026-11-01T00:00:00Z",
                "group": {"provider": "openai", "model": null},
                "currency": "USD", "cost": null, "requests": 12,
                "quantities": [
                    {"unit": "input_tokens", "quantity": 1000},
                    {"unit": "GB-Hours", "quantity": 0.5},
                ],
            }],
        })
    );
    assert!(answer.text().contains("\"quantity\":1000}"), "an integer, not 1000.0");
}

#[tokio::test]
async fn a_cost_query_is_passed_on_as_it_is_meant() {
    let app = TestApp::start().await;
    let id = ConnectionId::from_uuid(uuid::Uuid::from_u128(7));
    let query = format!(
        "from=2026-01-01&to=2026-02-01T12:00:00Z&granularity=month&group_by=model,api_key\
         &source=billed&provider=OpenAI&service=Bedrock&model=gpt%204&sub_account=p1\
         &connection={id}&currency=usd"
    );
    app.get(&format!("/v1/costs?{query}")).send().await.ok(200);
    let asked = app.reports.cost_query.lock().unwrap().clone().unwrap();
    assert_eq!(asked.window.start, at("2026-01-01T00:00:00Z"));
    assert_eq!(asked.window.end, at("2026-02-01T12:00:00Z"));
    assert_eq!(asked.granularity, Granularity::Month);
    assert_eq!(asked.group_by, [Dimension::Model, Dimension::ApiKey]);
    let filters = asked.filters;
    assert_eq!(filters.provider.unwrap().as_str(), "openai");
    assert_eq!(filters.service.unwrap().as_str(), "bedrock");
    assert_eq!(filters.model.as_deref(), Some("gpt 4"));
    assert_eq!(filters.sub_account.as_deref(), Some("p1"));
    assert_eq!(filters.connection, Some(id));
    assert_eq!(filters.currency, Some(Currency::USD));

    app.get("/v1/costs").send().await.ok(200);
    let asked = app.reports.cost_query.lock().unwrap().clone().unwrap();
    assert_eq!(asked.window.start, at("2026-10-21T00:00:00Z"), "the last 30 days");
    assert_eq!(asked.window.end, at("2026-11-20T10:00:00.000001Z"));
    assert_eq!((asked.granularity, asked.group_by.len()), (Granularity::Day, 0));
}

#[tokio::test]
async fn wrong_and_unbuilt_questions_are_refused() {
    let app = TestApp::start().await;
    for (query, parameter) in [
        ("from=yesterday", "from"),
        ("from=2026-02-01&to=2026-01-01", "from"),
        ("granularity=year", "granularity"),
        ("group_by=colour", "group_by"),
        ("currency=TOKEN", "currency"),
        ("provider=a%20b", "provider"),
        ("connection=file_1", "connection"),
        ("source=guessed", "source"),
    ] {
        let answer = app.get(&format!("/v1/costs?{query}")).send().await;
        answer.refuses("validation_failed", parameter);
    }
    for (query, parameter, what_to_do) in [
        ("source=effective", "source", "not built yet"),
        ("group_by=model,path", "group_by", "add `source=reported`"),
        ("group_by=tag:team", "group_by", "add `source=reported`"),
        ("path=acme", "path", "add `source=reported`"),
    ] {
        let answer = app.get(&format!("/v1/costs?{query}")).send().await;
        answer.refuses("validation_failed", parameter);
        assert!(answer.text().contains(what_to_do), "{answer:?}");
    }
    app.get("/v1/costs?modell=x").send().await.refuses("unknown_field", "modell");
    app.get("/v1/charges?group_by=x").send().await.refuses("unknown_field", "group_by");
}

#[tokio::test]
async fn a_question_that_the_reports_refuse_is_a_problem() {
    let app = TestApp::start().await;
    let refused = ReportError::Refused { parameter: "granularity", detail: "too fine".into() };
    *app.reports.fails.lock().unwrap() = Some(refused);
    app.get("/v1/costs").send().await.refuses("validation_failed", "granularity");
    let kind = store::StoreErrorKind::Unavailable;
    let failure = store::StoreError::new(kind, true, "canary");
    *app.reports.fails.lock().unwrap() = Some(ReportError::Store(failure));
    let answer = app.get("/v1/costs").send().await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.text().contains("canary"));
}

#[tokio::test]
async fn charges_say_whether_they_count() {
    let app = TestApp::start().await;
    let id = ConnectionId::from_uuid(uuid::Uuid::from_u128(7));
    let (start, end) = (at("2026-11-01T00:00:00Z"), at("2026-11-02T00:00:00Z"));
    let mut charge = Charge::empty(start, end, Currency::USD);
    charge.model = Some(Cow::Borrowed("gpt-4o"));
    charge.billed_cost = Some(-1_500_000_000_000_000);
    charge.consumed_quantity = Some(quantity("3"));
    let line = ChargeLine {
        id: "line-1".to_owned(),
        provider: ProviderId::parse("openai").unwrap(),
        account: "org-1".to_owned(),
        feed: "costs".to_owned(),
        source: ChargeSource::Connection(id),
        is_superseded: true,
        charge,
    };
    *app.reports.charges.lock().unwrap() =
        ChargePage { lines: vec![line], next: Some("place".to_owned()) };

    let page = app.get("/v1/charges?limit=1&provider=openai").send().await.ok(200);
    let charge = &page["data"][0];
    assert_eq!(charge["superseded"], true);
    assert_eq!(charge["connection_id"], id.to_string());
    assert_eq!(charge["file_id"], json!(null));
    assert_eq!(charge["billed_cost"], "-1.5");
    assert_eq!(charge["effective_cost"], json!(null));
    assert_eq!(charge["consumed_quantity"], 3);
    assert_eq!(charge["category"], "usage");

    let cursor = page["next_cursor"].as_str().unwrap();
    app.get(&format!("/v1/charges?limit=1&cursor={cursor}")).send().await.ok(200);
    let asked = app.reports.charge_query.lock().unwrap().clone().unwrap();
    assert_eq!((asked.limit, asked.after.as_deref()), (1, Some("place")));
}
