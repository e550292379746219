//! What is refused, with which status and words.

use jiff::civil::date;
use sandbox::Throttle;

use crate::client::{ADMIN_KEY, Server, days};

const COSTS: &str = "/v1/organization/costs?start_time=1772323200";

#[tokio::test]
async fn limits_beyond_the_maximum_are_refused_in_the_providers_words() {
    let server = Server::plain().await;
    let usage = "/v1/organization/usage/completions?start_time=1772323200";
    for (path, allowed, refused) in [
        (COSTS.to_owned(), 180, 181),
        (usage.to_owned(), 31, 32),
        (format!("{usage}&bucket_width=1h"), 168, 169),
        (format!("{usage}&bucket_width=1m"), 1_440, 1_441),
        ("/v1/organization/projects?".to_owned(), 100, 101),
    ] {
        assert_eq!(server.get(&format!("{path}&limit={allowed}")).await.status, 200);
        let error = server.get(&format!("{path}&limit={refused}")).await.failure(400);
        let message = format!(
            "Invalid limit provided: {refused}. Limit must be less than or equal to {allowed}."
        );
        assert_eq!((error.message, error.r#type.as_str()), (message, "invalid_request_error"));
        assert_eq!(error.param.as_deref(), Some("limit"));
    }
    for limit in ["0", "-1", "seven", "99999999999999999999"] {
        server.get(&format!("{COSTS}&limit={limit}")).await.failure(400);
    }
}

#[tokio::test]
async fn left_out_limits_are_the_documented_ones() {
    let server = Server::plain().await;
    let window = days(date(2026, 6, 1), date(2026, 10, 1));
    for (path, count) in [
        ("costs?", 7),
        ("usage/completions?", 7),
        ("usage/completions?bucket_width=1h&", 24),
        ("usage/completions?bucket_width=1m&", 60),
    ] {
        let answer = server.get(&format!("/v1/organization/{path}{window}")).await;
        let page: serde_json::Value = answer.json();
        assert_eq!(page["data"].as_array().map(Vec::len), Some(count), "{path}");
        assert_eq!(page["has_more"], true);
    }
}

#[tokio::test]
async fn each_kind_of_wrong_key_has_its_own_refusal() {
    let server = Server::plain().await;
    let with = async |key: Option<&'static str>, path: &'static str| {
        server.send("GET", path, key, "").await
    };
    assert_eq!(with(Some(ADMIN_KEY), COSTS).await.status, 200);
    let missing = with(None, COSTS).await.failure(401);
    assert_eq!((missing.r#type.as_str(), missing.code), ("invalid_request_error", None));
    let wrong = with(Some("sk-mistyped-key-of-nobody"), COSTS).await.failure(401);
    assert_eq!(wrong.code.as_deref(), Some("invalid_api_key"));
    assert!(wrong.message.starts_with("Incorrect API key provided: sk-misty***"));
    assert!(!wrong.message.contains("mistyped-key"));
    let project = with(Some("sk-proj-example"), COSTS).await.failure(403);
    assert!(project.message.contains("Missing scopes: api.usage.read."));
    let project = with(Some("sk-proj-example"), "/v1/organization/projects").await.failure(403);
    assert!(project.message.contains("Missing scopes: api.management.read."));
}

#[tokio::test]
async fn malformed_questions_are_refused() {
    let server = Server::plain().await;
    for (query, param) in [
        ("costs?limit=3", "start_time"),
        ("costs?start_time=yesterday", "start_time"),
        ("costs?start_time=-1", "start_time"),
        ("costs?start_time=1772323200&end_time=1772323200", "end_time"),
        ("costs?start_time=1772323200&bucket_width=1h", "bucket_width"),
        ("costs?start_time=1772323200&group_by=model", "group_by"),
        ("costs?start_time=1772323200&group_by=project_id,line_item", "group_by"),
        ("costs?start_time=1772323200&page=page_AAAA", "page"),
        ("costs?start_time=1772323200&model=gpt-5", "model"),
        ("usage/completions?start_time=1772323200&group_by=line_item", "group_by"),
        ("usage/completions?start_time=1772323200&batch=maybe", "batch"),
        ("usage/embeddings?start_time=1772323200&batch=true", "batch"),
        ("projects?after=proj_nobody", "after"),
    ] {
        let error = server.get(&format!("/v1/organization/{query}")).await.failure(400);
        assert_eq!(error.param.as_deref(), Some(param), "{query}");
    }
    for path in ["costs/all", "usage/dreams?start_time=1", "projects/proj_nobody/api_keys", ""] {
        server.get(&format!("/v1/organization/{path}")).await.failure(404);
    }
    let wrong_method = server.send("POST", COSTS, Some(ADMIN_KEY), "").await;
    assert_eq!(wrong_method.failure(405).code.as_deref(), Some("method_not_supported"));
}

#[tokio::test]
async fn a_cursor_serves_only_the_request_that_it_came_from() {
    let server = Server::plain().await;
    let answer = server.get(COSTS).await;
    let page: serde_json::Value = answer.json();
    let cursor = page["next_page"].as_str().expect("more pages").replace('+', "%2B");
    assert!(cursor.starts_with("page_") && cursor.ends_with('='));
    assert_eq!(server.get(&format!("{COSTS}&page={cursor}")).await.status, 200);
    server.get(&format!("{COSTS}&group_by=line_item&page={cursor}")).await.failure(400);
}

#[tokio::test]
async fn the_third_request_and_then_every_fortieth_are_throttled() {
    let usual = sandbox::SandboxOptions::new(1, date(2026, 11, 20)).throttle;
    let server = Server::start(|options| options.throttle = usual).await;
    let mut refused = Vec::new();
    for number in 1..=90 {
        let answer = server.get("/v1/organization/projects").await;
        if answer.status == 429 {
            assert_eq!(answer.headers["retry-after"], "1");
            let error = answer.failure(429);
            assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
            refused.push(number);
        }
    }
    assert_eq!(refused, [3, 43, 83]);
}

#[tokio::test]
async fn books_and_wrong_keys_do_not_count_towards_the_throttle() {
    let throttle = Throttle { first: 1, every: 0, retry_after_seconds: 9 };
    let server = Server::start(|options| options.throttle = Some(throttle)).await;
    assert_eq!(server.get("/_books").await.status, 200);
    assert_eq!(server.send("GET", COSTS, None, "").await.status, 401);
    assert_eq!(server.get(COSTS).await.headers["retry-after"], "9");
    assert_eq!(server.get(COSTS).await.status, 200);
}

#[tokio::test]
async fn costs_by_key_can_be_refused_for_old_windows() {
    let since = date(2026, 5, 1);
    let server = Server::start(|options| options.costs_by_key_since = Some(since)).await;
    let ask = async |from| {
        let query = format!("{}&group_by=api_key_id", days(from, date(2026, 6, 1)));
        server.get(&format!("/v1/organization/costs?{query}")).await
    };
    assert_eq!(ask(since).await.status, 200);
    let error = ask(date(2026, 4, 30)).await.failure(400);
    assert_eq!(error.param.as_deref(), Some("group_by"));
}
