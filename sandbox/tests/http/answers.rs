//! The form of answers: field for field that of the published samples, and the same for the same
//! seed.

use jiff::civil::date;
use serde_json::{Value, json};

use crate::client::{Completions, Cost, Page, Server, days, midnight};

fn shape(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    names
}

#[tokio::test]
async fn pages_have_the_fields_of_the_published_samples() {
    let server = Server::plain().await;
    let window = days(date(2026, 11, 2), date(2026, 11, 3));
    let costs = server.get(&format!("/v1/organization/costs?{window}")).await;
    let costs: Value = costs.json();
    assert_eq!(shape(&costs), ["data", "has_more", "next_page", "object"]);
    assert_eq!((&costs["object"], &costs["next_page"]), (&json!("page"), &Value::Null));
    let bucket = &costs["data"][0];
    assert_eq!(shape(bucket), ["end_time", "object", "results", "start_time"]);
    assert_eq!(bucket["object"], "bucket");
    let result = &bucket["results"][0];
    assert_eq!(result["object"], "organization.costs.result");
    assert!(result["amount"]["value"].is_number());
    assert_eq!(result["amount"]["currency"], "usd");
    for field in ["line_item", "project_id", "api_key_id", "quantity", "quantity_unit"] {
        assert_eq!(result.get(field), Some(&Value::Null), "{field} is null unless grouped by");
    }
    let usage = server.get(&format!("/v1/organization/usage/completions?{window}")).await;
    let usage: Value = usage.json();
    let result = &usage["data"][0]["results"][0];
    assert_eq!(result["object"], "organization.usage.completions.result");
    for field in ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"] {
        assert_eq!(result.get(field), Some(&Value::Null), "{field} is null unless grouped by");
    }
}

#[tokio::test]
async fn grouping_fills_exactly_the_fields_asked_for() {
    let server = Server::plain().await;
    let window = days(date(2026, 11, 2), date(2026, 11, 3));
    let query = format!("{window}&group_by[]=line_item&group_by[]=api_key_id");
    let path = format!("/v1/organization/costs?{query}");
    let answer = server.get(&path).await;
    let page: Page<Cost> = answer.json();
    let results = &page.data[0].results;
    assert!(results.iter().all(|cost| cost.line_item.is_some() && cost.project_id.is_none()));
    let tool = results.iter().find(|cost| {
        cost.line_item.as_deref().is_some_and(|line_item| line_item == "web search tool calls")
    });
    let tool = tool.expect("web searches happen every day");
    assert!(tool.quantity.is_some() && tool.quantity_unit.is_none() && tool.api_key_id.is_some());
    let query = format!("{window}&group_by=batch&group_by=service_tier&group_by=user_id");
    let answer = server.get(&format!("/v1/organization/usage/completions?{query}")).await;
    let page: Page<Completions> = answer.json();
    let results = &page.data[0].results;
    assert!(results.iter().any(|used| used.batch == Some(true)));
    assert!(results.iter().all(|used| used.service_tier.as_deref() == Some("default")));
    assert!(results.iter().all(|used| used.user_id.is_some() && used.model.is_none()));
}

#[tokio::test]
async fn web_searches_are_used_as_often_as_they_are_billed() {
    let server = Server::plain().await;
    let window = days(date(2026, 11, 1), date(2026, 11, 8));
    let path = format!("/v1/organization/usage/web_search_calls?{window}&group_by=model");
    let answer = server.get(&path).await;
    let usage: Value = answer.json();
    let count = |page: &Value, field: &str| -> u64 {
        let buckets = page["data"].as_array().expect("buckets").iter();
        let results = buckets.flat_map(|bucket| bucket["results"].as_array().expect("results"));
        results.map(|result| result[field].as_u64().expect("a count")).sum()
    };
    let filter = "group_by=line_item&line_items=web%20search%20tool%20calls";
    let answer = server.get(&format!("/v1/organization/costs?{window}&{filter}")).await;
    assert!(count(&usage, "num_requests") > 0);
    assert_eq!(count(&usage, "num_requests"), count(&answer.json(), "quantity"));
}

#[tokio::test]
async fn unused_kinds_have_empty_buckets() {
    let server = Server::plain().await;
    for kind in ["embeddings", "images", "vector_stores", "file_search_calls"] {
        let window = days(date(2026, 11, 1), date(2026, 11, 3));
        let answer = server.get(&format!("/v1/organization/usage/{kind}?{window}")).await;
        let page: Page<Value> = answer.json();
        assert_eq!(page.data.len(), 2, "{kind}");
        assert!(page.data.iter().all(|bucket| bucket.results.is_empty()));
    }
}

#[tokio::test]
async fn unaligned_windows_begin_and_end_with_partial_buckets() {
    let server = Server::plain().await;
    let noon = midnight(date(2026, 11, 2)) + 43_200;
    let query = format!("start_time={noon}&end_time={}", noon + 2 * 86_400);
    let buckets = server.costs(&query).await;
    let lengths = buckets.iter().map(|bucket| bucket.end_time - bucket.start_time);
    assert_eq!(lengths.collect::<Vec<_>>(), [43_200, 86_400, 43_200]);
    assert_eq!(buckets[0].start_time, noon);
}

#[tokio::test]
async fn the_same_seed_and_day_give_the_same_bytes() {
    let (one, other) = (Server::plain().await, Server::plain().await);
    let different = Server::start(|options| options.seed = 8).await;
    let window = days(date(2026, 6, 1), date(2026, 8, 1));
    for path in [
        format!("/v1/organization/costs?{window}&limit=60&group_by=line_item&group_by=project_id"),
        format!("/v1/organization/usage/completions?{window}&limit=9&group_by=api_key_id"),
        "/v1/organization/projects?include_archived=true".to_owned(),
        "/_books?from=2026-06-01&to=2026-07-01".to_owned(),
    ] {
        let answer = one.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, other.get(&path).await.body);
        assert_ne!(answer.body, different.get(&path).await.body);
    }
}

#[tokio::test]
async fn starting_on_a_later_day_changes_no_past_day() {
    let (one, later) =
        (Server::plain().await, Server::start(|options| options.today = date(2027, 1, 15)).await);
    let books = |server: &Server| server.sandbox.books(date(2026, 2, 1), date(2026, 11, 20));
    assert_eq!(books(&one), books(&later));
}

#[tokio::test]
async fn projects_come_in_pages_and_archived_ones_only_when_asked_for() {
    let server = Server::plain().await;
    let active: Value = server.get("/v1/organization/projects").await.json();
    assert_eq!(active["data"].as_array().map(Vec::len), Some(3));
    assert_eq!((&active["object"], &active["has_more"]), (&json!("list"), &json!(false)));
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/organization/projects?include_archived=true&limit=3{after}");
        let page: Value = server.get(&path).await.json();
        for project in page["data"].as_array().expect("a list") {
            assert_eq!(project["object"], "organization.project");
            assert_eq!(project["status"] == "archived", project["archived_at"].is_number());
            names.push(project["name"].as_str().expect("a name").to_owned());
        }
        match page["has_more"].as_bool() {
            Some(true) => after = format!("&after={}", page["last_id"].as_str().expect("an id")),
            _ => break,
        }
    }
    assert_eq!(names, ["Default project", "Nightly reports", "Support pilot", "Support copilot"]);
}

#[tokio::test]
async fn keys_of_people_who_left_show_only_when_asked_for_and_deleted_ones_never() {
    let server = Server::plain().await;
    let projects: Value =
        server.get("/v1/organization/projects?include_archived=true").await.json();
    let mut counts = Vec::new();
    for project in projects["data"].as_array().expect("a list") {
        let id = project["id"].as_str().expect("an id");
        for access in ["", "?owner_project_access=any", "?owner_project_access=inactive"] {
            let path = format!("/v1/organization/projects/{id}/api_keys{access}");
            let keys: Value = server.get(&path).await.json();
            counts.push(keys["data"].as_array().expect("a list").len());
        }
    }
    assert_eq!(counts, [2, 3, 1, 2, 2, 0, 1, 1, 0, 3, 3, 0]);
}

#[tokio::test]
async fn costs_name_keys_that_no_list_shows() {
    let server = Server::plain().await;
    let projects: Value =
        server.get("/v1/organization/projects?include_archived=true").await.json();
    let mut listed = Vec::new();
    for project in projects["data"].as_array().expect("a list") {
        let id = project["id"].as_str().expect("an id");
        let path = format!("/v1/organization/projects/{id}/api_keys?owner_project_access=any");
        let keys: Value = server.get(&path).await.json();
        listed.extend(keys["data"].as_array().expect("a list").clone());
    }
    let window = days(date(2026, 1, 1), date(2026, 3, 1));
    let buckets = server.costs(&format!("{window}&limit=60&group_by=api_key_id")).await;
    let billed = buckets.iter().flat_map(|bucket| &bucket.results);
    let is_listed = |id: &String| listed.iter().any(|key| key["id"] == json!(id));
    let unlisted = billed.filter_map(|cost| cost.api_key_id.as_ref()).filter(|id| !is_listed(id));
    let unlisted: std::collections::BTreeSet<_> = unlisted.collect();
    assert_eq!(unlisted.len(), 1);
}
