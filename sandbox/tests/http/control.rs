//! The control endpoints: books, clock, restatements, failures.

use jiff::civil::date;
use serde_json::{Value, json};

use crate::client::{ADMIN_KEY, Server, days, sum, tokens};

const COSTS: &str = "/v1/organization/costs?start_time=1772323200";

#[tokio::test]
async fn every_answer_of_the_provider_names_its_request_and_organization() {
    let server = Server::plain().await;
    let (one, other) = (server.get(COSTS).await, server.get("/v1/nothing").await);
    assert_eq!(one.headers["openai-organization"], "org-sandbox-7");
    assert_eq!(other.headers["openai-organization"], "org-sandbox-7");
    assert!(one.headers["x-request-id"].starts_with("req_"));
    assert_ne!(one.headers["x-request-id"], other.headers["x-request-id"]);
}

#[tokio::test]
async fn the_front_page_explains_itself() {
    let server = Server::plain().await;
    let page = server.send("GET", "/", None, "").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].starts_with("text/plain"));
    for word in ["Seed 7.", "2026-11-20", "/_books", "/v1/organization/costs", "curl"] {
        assert!(page.body.contains(word), "{word}");
    }
    for blank in ["{seed}", "{first_day}", "{today}"] {
        assert!(!page.body.contains(blank), "{blank} is filled in");
    }
}

#[tokio::test]
async fn books_over_http_are_the_books() {
    let server = Server::plain().await;
    let (from, to) = (date(2026, 11, 1), date(2026, 11, 8));
    let books = server.sandbox.books(from, to);
    let answer = server.send("GET", "/_books?from=2026-11-01&to=2026-11-08", None, "").await;
    let written: Value = answer.json();
    assert_eq!(written["currency"], "USD");
    assert_eq!(written["total"], books.total.to_string());
    let rows = written["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), books.rows.len());
    for (written, row) in rows.iter().zip(&books.rows) {
        assert_eq!(written["provider"], "openai");
        assert_eq!(written["date"], row.date.to_string());
        assert_eq!(written["model"], json!(row.model));
        assert_eq!(written["cost"], row.cost.to_string());
        let quantity = |(unit, count): &(&str, u64)| json!({"unit": unit, "quantity": count});
        let quantities: Vec<Value> = row.quantities.iter().map(quantity).collect();
        assert_eq!(written["quantities"], json!(quantities));
    }
    assert!(books.rows.iter().all(|row| from <= row.date && row.date < to));
    let all: Value = server.get("/_books").await.json();
    let (first, today) = server.sandbox.days();
    assert_eq!(all["total"], server.sandbox.books(first, today).total.to_string());
    server.get("/_books?from=November").await.failure(400);
}

#[tokio::test]
async fn restating_changes_one_day_and_no_other() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    let before = server.sandbox.books(first, today);
    let day = date(2026, 11, 10);
    let window = days(day, day.tomorrow().unwrap());
    let costs_before = sum(&server.costs(&window).await);
    let tokens_before = tokens(&server.completions(&window).await);
    let answer = server.post("/_restate", r#"{"date": "2026-11-10"}"#).await;
    assert_eq!(answer.status, 200);
    let after = server.sandbox.books(first, today);
    let others = |books: &sandbox::Books| {
        let rows = books.rows.iter().filter(|row| row.date != day);
        rows.cloned().collect::<Vec<_>>()
    };
    assert_eq!(others(&before), others(&after));
    assert_ne!(before.total, after.total);
    let costs_after = sum(&server.costs(&window).await);
    assert_ne!(costs_before, costs_after);
    assert_ne!(tokens_before, tokens(&server.completions(&window).await));
    assert_eq!(costs_after, server.sandbox.books(day, day.tomorrow().unwrap()).total.femtos());
}

#[tokio::test]
async fn a_restatement_with_a_seed_may_be_repeated() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    let mut seen = Vec::new();
    for body in [
        r#"{"date": "2026-11-10", "seed": 5}"#,
        r#"{"date": "2026-11-10"}"#,
        r#"{"date": "2026-11-10", "seed": 5}"#,
    ] {
        assert_eq!(server.post("/_restate", body).await.status, 200);
        seen.push(server.sandbox.books(first, today));
    }
    assert_eq!(seen[0], seen[2]);
    assert_ne!(seen[0], seen[1]);
    for body in [r#"{"date": "2026-11-20"}"#, r#"{"date": "2020-01-01"}"#, r#"{"day": 1}"#, ""] {
        server.post("/_restate", body).await.failure(400);
    }
}

#[tokio::test]
async fn restating_an_idle_day_fills_it() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    let idle = first
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day < today)
        .find(|day| server.sandbox.books(*day, day.tomorrow().unwrap()).rows.is_empty());
    let idle = idle.expect("every quarter has an idle day");
    server.sandbox.restate(idle, None).unwrap();
    assert!(!server.sandbox.books(idle, idle.tomorrow().unwrap()).rows.is_empty());
}

#[tokio::test]
async fn the_clock_adds_days_and_never_takes_any() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    let before = server.sandbox.books(first, today);
    let answer = server.post("/_clock", r#"{"today": "2026-11-22"}"#).await;
    let clock: Value = answer.json();
    assert_eq!(clock["today"], "2026-11-22");
    let after = server.sandbox.books(first, date(2026, 12, 31));
    assert_eq!(after.rows[..before.rows.len()], before.rows);
    let new = &after.rows[before.rows.len()..];
    let mut dates: Vec<_> = new.iter().map(|row| row.date).collect();
    dates.dedup();
    assert_eq!(dates, [date(2026, 11, 20), date(2026, 11, 21)]);
    server.post("/_clock", r#"{"today": "2026-11-21"}"#).await.failure(400);
    server.post("/_clock", r#"{"today": "tomorrow"}"#).await.failure(400);
}

#[tokio::test]
async fn late_bills_complete_a_day_when_the_next_is_over() {
    let server = Server::start(|options| options.bills_late = true).await;
    let (first, today) = server.sandbox.days();
    let yesterday = today.yesterday().unwrap();
    let complete = Server::plain().await.sandbox;
    let early = server.sandbox.books(first, today);
    assert_eq!(early.rows.len(), complete.books(first, today).rows.len());
    assert_eq!(server.sandbox.books(first, yesterday), complete.books(first, yesterday));
    let (late, whole) = (server.sandbox.books(yesterday, today), complete.books(yesterday, today));
    assert!(late.total.femtos() < whole.total.femtos());
    let quantities = |books: sandbox::Books| -> Vec<_> {
        books.rows.into_iter().map(|row| row.quantities).collect()
    };
    assert_eq!(quantities(late.clone()), quantities(whole.clone()), "usage is never late");
    assert_eq!(sum(&server.costs(&days(yesterday, today)).await), late.total.femtos());
    server.sandbox.move_clock(today.tomorrow().unwrap()).unwrap();
    assert_eq!(server.sandbox.books(yesterday, today), whole);
    assert_eq!(sum(&server.costs(&days(yesterday, today)).await), whole.total.femtos());
}

#[tokio::test]
async fn failures_happen_as_often_as_ordered_and_where() {
    let server = Server::plain().await;
    let order = r#"{"status": 500, "count": 2, "path": "/v1/organization/costs"}"#;
    let pending: Value = server.post("/_faults", order).await.json();
    assert_eq!(pending["pending"], 2);
    assert_eq!(server.get("/v1/organization/projects").await.status, 200);
    for _ in 0..2 {
        assert_eq!(server.get(COSTS).await.failure(500).r#type, "server_error");
    }
    assert_eq!(server.get(COSTS).await.status, 200);
    server.post("/_faults", r#"{"status": 429, "retry_after": 17}"#).await;
    server.post("/_faults", r#"{"status": 401}"#).await;
    server.post("/_faults", r#"{"status": 502, "body": "<html>bad gateway</html>"}"#).await;
    assert_eq!(server.get(COSTS).await.headers["retry-after"], "17");
    let revoked = server.get(COSTS).await.failure(401);
    assert_eq!(revoked.code.as_deref(), Some("invalid_api_key"));
    let broken = server.get(COSTS).await;
    assert_eq!((broken.status, broken.body.as_str()), (502, "<html>bad gateway</html>"));
    server.post("/_faults", r#"{"status": 503, "count": 9}"#).await;
    assert_eq!(server.send("DELETE", "/_faults", Some(ADMIN_KEY), "").await.status, 200);
    assert_eq!(server.get(COSTS).await.status, 200);
    server.post("/_faults", r#"{"status": 200}"#).await.failure(400);
}
