//! The numbers: pages, groups and windows of any kind add up to the books, to the last digit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    ToSpan,
    civil::{Date, date},
};
use sandbox::Books;

use crate::client::{DAY, Server, TODAY, days, midnight, sum, tokens};

fn books_tokens(books: &Books) -> [u64; 4] {
    let of = |unit: &str| {
        let quantities = books.rows.iter().flat_map(|row| &row.quantities);
        quantities.filter(|(name, _)| *name == unit).map(|(_, count)| count).sum()
    };
    [of("input_tokens"), of("cache_read_tokens"), of("output_tokens"), of("requests")]
}

#[tokio::test]
async fn all_pages_of_the_whole_history_add_up_to_the_books() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    let books = server.sandbox.books(first, today);
    for limit in [1, 50, 180] {
        let query = format!("{}&limit={limit}", days(first, today));
        let buckets = server.costs(&query).await;
        assert_eq!(buckets.len(), 430);
        assert_eq!(sum(&buckets), books.total.femtos());
        assert!(buckets.windows(2).all(|pair| pair[0].end_time == pair[1].start_time));
    }
    let buckets = server.completions(&format!("{}&limit=31", days(first, today))).await;
    assert_eq!(tokens(&buckets), books_tokens(&books));
}

#[tokio::test]
async fn grouping_changes_no_total() {
    let server = Server::plain().await;
    let (from, to) = (date(2026, 2, 1), date(2026, 4, 1));
    let books = server.sandbox.books(from, to);
    let window = days(from, to);
    let costs = ["project_id", "line_item", "api_key_id"];
    for mask in 0..8 {
        let chosen = (0..3).filter(|bit| mask >> bit & 1 == 1);
        let groups: String = chosen.map(|bit| format!("&group_by[]={}", costs[bit])).collect();
        let total = sum(&server.costs(&format!("{window}&limit=180{groups}")).await);
        assert_eq!(total, books.total.femtos(), "{groups}");
    }
    let usage = ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"];
    for mask in 0..64 {
        let chosen = (0..6).filter(|bit| mask >> bit & 1 == 1);
        let groups: String = chosen.map(|bit| format!("&group_by={}", usage[bit])).collect();
        let buckets = server.completions(&format!("{window}&limit=31{groups}")).await;
        assert_eq!(tokens(&buckets), books_tokens(&books), "{groups}");
    }
}

#[tokio::test]
async fn books_agree_with_line_items_and_models_row_by_row() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    let window = days(first, today);
    let mut costs = BTreeMap::<(i64, Option<String>), i128>::new();
    for bucket in server.costs(&format!("{window}&limit=180&group_by=line_item")).await {
        for cost in bucket.results {
            let line_item = cost.line_item.expect("grouped by line item");
            let model = line_item.rsplit_once(", ").map(|(model, _)| model.to_owned());
            *costs.entry((bucket.start_time, model)).or_default() += cost.amount.femtos();
        }
    }
    let mut used = BTreeMap::<(i64, Option<String>), [u64; 4]>::new();
    for bucket in server.completions(&format!("{window}&limit=31&group_by=model")).await {
        for result in bucket.results {
            let counts = [
                result.input_tokens,
                result.input_cached_tokens,
                result.output_tokens,
                result.num_model_requests,
            ];
            used.insert((bucket.start_time, result.model), counts);
        }
    }
    let books = server.sandbox.books(first, today);
    assert_eq!(books.rows.len(), costs.len());
    for row in &books.rows {
        let key = (midnight(row.date), row.model.clone());
        assert_eq!(costs.get(&key), Some(&row.cost.femtos()), "{key:?}");
        let alone = Books { rows: vec![row.clone()], ..books.clone() };
        assert_eq!(used.get(&key).copied().unwrap_or_default(), books_tokens(&alone), "{key:?}");
    }
    let models: BTreeSet<_> = books.rows.iter().map(|row| row.model.clone()).collect();
    assert_eq!(models.len(), 10, "nine models, and what belongs to none");
}

#[tokio::test]
async fn any_split_of_a_window_adds_up_to_the_window() {
    let server = Server::plain().await;
    let mut draw = 1_u64;
    let mut below = |most: i64| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(draw >> 33).expect("31 bits") % most
    };
    for _ in 0..40 {
        let start = midnight(date(2026, 3, 1)) + below(200 * DAY);
        let end = start + 1 + below(3 * DAY);
        let cut = start + below(end - start);
        let span = |start, end| format!("start_time={start}&end_time={end}&limit=7");
        let (whole, left, right) = (span(start, end), span(start, cut), span(cut, end));
        let mut costs = sum(&server.costs(&right).await);
        let mut used = tokens(&server.completions(&right).await);
        if cut > start {
            costs += sum(&server.costs(&left).await);
            let more = tokens(&server.completions(&left).await);
            used = std::array::from_fn(|index| used[index] + more[index]);
        }
        assert_eq!(costs, sum(&server.costs(&whole).await), "{start} {cut} {end}");
        assert_eq!(used, tokens(&server.completions(&whole).await), "{start} {cut} {end}");
    }
}

#[tokio::test]
async fn hours_and_minutes_add_up_to_their_day() {
    let server = Server::plain().await;
    let day = date(2026, 11, 18);
    let window = days(day, day.tomorrow().unwrap());
    let whole = tokens(&server.completions(&window).await);
    for (width, count) in [("1h", 24), ("1m", 1_440)] {
        let query = format!("{window}&bucket_width={width}&group_by=model");
        let buckets = server.completions(&query).await;
        assert_eq!(buckets.len(), count);
        assert_eq!(tokens(&buckets), whole);
    }
}

#[tokio::test]
async fn filters_keep_their_part_and_nothing_else() {
    let server = Server::plain().await;
    let window = format!("{}&limit=31", days(date(2026, 10, 1), date(2026, 11, 1)));
    let all =
        server.completions(&format!("{window}&group_by=api_key_id&group_by=project_id")).await;
    let results = || all.iter().flat_map(|bucket| &bucket.results);
    let keys: BTreeSet<_> = results().filter_map(|used| used.api_key_id.clone()).collect();
    let projects: BTreeSet<_> = results().filter_map(|used| used.project_id.clone()).collect();
    assert_eq!((keys.len(), projects.len()), (7, 3));
    let mut total = [0; 4];
    let mut cost = 0;
    for key in &keys {
        let part = tokens(&server.completions(&format!("{window}&api_key_ids[]={key}")).await);
        total = std::array::from_fn(|index| total[index] + part[index]);
        cost += sum(&server.costs(&format!("{window}&api_key_ids={key}")).await);
    }
    assert_eq!(total, tokens(&all));
    let of_projects: String = projects.iter().map(|id| format!("&project_ids={id}")).collect();
    assert_eq!(cost, sum(&server.costs(&format!("{window}{of_projects}")).await));
    let credit = sum(&server.costs(&format!("{window}&line_items=Service%20credit")).await);
    assert_eq!(cost + credit, sum(&server.costs(&window).await));
    let batch = tokens(&server.completions(&format!("{window}&batch=true")).await);
    let direct = tokens(&server.completions(&format!("{window}&batch=false")).await);
    assert!(batch[0] > 0 && batch[1] == 0, "batch jobs read no cache");
    assert_eq!(std::array::from_fn(|index| batch[index] + direct[index]), tokens(&all));
}

#[tokio::test]
async fn every_quarter_has_its_peculiar_days() {
    for seed in 1..6 {
        let server = Server::start(|options| options.seed = seed).await;
        let (from, to) = (date(2026, 1, 1), date(2026, 10, 1));
        let groups = "group_by=line_item&group_by=project_id&group_by=api_key_id";
        let query = format!("{}&limit=180&{groups}", days(from, to));
        let buckets = server.costs(&query).await;
        let idle = buckets.iter().filter(|bucket| bucket.results.is_empty()).count();
        assert_eq!(idle, 3, "one idle day in each of three quarters, seed {seed}");
        let costs = || buckets.iter().flat_map(|bucket| &bucket.results);
        let credits: Vec<_> = costs().filter(|cost| cost.amount.femtos() < 0).collect();
        assert_eq!(credits.len(), 3);
        assert!(credits.iter().all(|credit| credit.project_id.is_none()));
        assert!(costs().all(|cost| cost.project_id.is_some() || cost.amount.femtos() < 0));
        assert!(credits.iter().all(|credit| credit.quantity.is_none()));
        assert!(costs().any(|cost| cost.amount.text().contains('e')), "a tiny amount");
        assert!(costs().any(|cost| cost.amount.text().len() > 15), "many digits");
        assert!(costs().all(|cost| cost.amount.currency == "usd"));
        let mut totals: Vec<i128> = buckets.chunks(1).map(sum).filter(|total| *total > 0).collect();
        totals.sort_unstable();
        let spikes = totals.iter().filter(|total| **total > totals[totals.len() / 2] * 2).count();
        assert_eq!(spikes, 3, "one in each quarter, seed {seed}");
    }
}

#[tokio::test]
async fn a_project_that_starts_late_has_no_earlier_costs() {
    let server = Server::plain().await;
    let start = date(2026, 3, 1);
    let in_use = async |from: Date, to: Date| {
        let query = format!("{}&limit=180&group_by=project_id", days(from, to));
        let buckets = server.costs(&query).await;
        let results = buckets.into_iter().flat_map(|bucket| bucket.results);
        results.filter_map(|cost| cost.project_id).collect::<BTreeSet<_>>()
    };
    let (before, after) = (in_use(date(2025, 12, 1), start).await, in_use(start, TODAY).await);
    assert_eq!((before.len(), after.len()), (3, 3));
    assert_eq!(before.intersection(&after).count(), 2, "one ended, one began");
}

#[tokio::test]
async fn there_are_data_until_yesterday_and_from_the_first_day() {
    let server = Server::plain().await;
    let (first, today) = server.sandbox.days();
    assert_eq!(today, TODAY);
    assert_eq!(first, TODAY.checked_sub(430.days()).unwrap());
    let window = days(date(2026, 11, 17), date(2027, 5, 1));
    let buckets = server.costs(&format!("{window}&limit=180")).await;
    let filled: Vec<bool> = buckets.iter().map(|bucket| !bucket.results.is_empty()).collect();
    assert_eq!(filled, [true, true, true, false], "the last is today");
    let open_end = server.costs(&format!("start_time={}", midnight(date(2026, 11, 17)))).await;
    assert_eq!(open_end.len(), 3);
    let before = server.costs(&days(first.checked_sub(3.days()).unwrap(), first)).await;
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|bucket| bucket.results.is_empty()));
}
