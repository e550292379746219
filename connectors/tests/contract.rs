//! What every connector must keep, checked for each one in the registry against its recorded
//! conversations.
//!
//! `docs/adding-a-connector.md` lists the scenarios; `fixtures/<id>/` holds them. Time is tokio's
//! paused time, so waiting takes none.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

#[path = "contract/fixture.rs"]
mod fixture;
#[path = "contract/replay.rs"]
mod replay;

use std::{collections::BTreeSet, error::Error, path::Path, sync::Arc, time::Duration};

use connectors::{
    CheckReport, Connector, ConnectorError, Context, Driver, ErrorKind, PageRequest, Pull,
    REGISTRY, Retry, find,
};
use domain::{Charge, Secret, Window, descriptor::FeedDescriptor};
use fixture::{CANARY, Fixture, fixtures, providers, says_something, settings_of, shown, window};
use replay::{ReplayTransport, driver};
use serde_json::{Value, json};

/// Each connector has at least one fixture of each.
const SCENARIOS: &[&str] = &[
    "check",
    "empty_window",
    "forbidden",
    "happy",
    "malformed",
    "multi_page",
    "rate_limited",
    "server_error",
    "split",
    "unauthorized",
];

/// What came of a fixture.
enum Outcome {
    Pull(Pull),
    Check(CheckReport),
    Error(ConnectorError),
}

impl Outcome {
    /// In the words of a fixture's `expected`. An error's message is compared where the fixture has
    /// one.
    fn shown(&self, expected: &Value) -> Value {
        match self {
            Outcome::Pull(pull) => {
                let mut shown = json!({
                    "charges": pull.charges.iter().map(shown).collect::<Vec<_>>(),
                    "issues": pull.issues,
                    "complete_through": pull.complete_through.map(|at| at.to_string()),
                });
                let days = |window: &Window| {
                    let (first, last) = window.days();
                    json!([first.to_string(), last.to_string()])
                };
                if !pull.unanswered.is_empty() {
                    shown["unanswered"] = pull.unanswered.iter().map(days).collect();
                }
                shown
            }
            Outcome::Check(report) => json!({ "account": report.account }),
            Outcome::Error(error) => {
                let retry = match error.retry() {
                    Retry::Never => "never",
                    Retry::After(_) => "after",
                    Retry::Backoff => "backoff",
                };
                let mut shown = json!({ "kind": error.code(), "retry": retry });
                if expected.pointer("/error/message").is_some() {
                    shown["message"] = error.message().into();
                }
                json!({ "error": shown })
            }
        }
    }

    /// Everything that a person or a log may get to see.
    fn texts(&self) -> Vec<String> {
        match self {
            Outcome::Pull(pull) => vec![format!("{pull:?}")],
            Outcome::Check(report) => vec![format!("{report:?}")],
            Outcome::Error(error) => {
                let mut texts = vec![error.what_to_do().to_owned()];
                let mut next: Option<&dyn Error> = Some(error);
                while let Some(error) = next {
                    texts.extend([format!("{error:?}"), error.to_string()]);
                    next = error.source();
                }
                texts
            }
        }
    }
}

fn feed_of(fixture: &Fixture) -> &'static FeedDescriptor {
    let feeds = find(&fixture.provider).unwrap().descriptor().feeds;
    let name = fixture.feed.as_deref().unwrap();
    feeds.iter().find(|feed| feed.id == name).unwrap_or_else(|| panic!("no feed `{name}`"))
}

async fn run(fixture: &Fixture, driver: &Driver) -> Outcome {
    let connector = find(&fixture.provider).unwrap();
    let settings = fixture.settings();
    if fixture.feed.is_none() {
        return match driver.check(connector, &settings).await {
            Ok(report) => Outcome::Check(report),
            Err(error) => Outcome::Error(error),
        };
    }
    match driver.pull(connector, &settings, feed_of(fixture), fixture.window()).await {
        Ok(pull) => Outcome::Pull(pull),
        Err(error) => Outcome::Error(error),
    }
}

/// All fixtures of all connectors.
fn all() -> Vec<Arc<Fixture>> {
    let of = |connector: &&dyn Connector| fixtures(connector.descriptor().id);
    REGISTRY.iter().flat_map(of).map(Arc::new).collect()
}

fn of_scenario(scenario: &str) -> Vec<Arc<Fixture>> {
    all().into_iter().filter(|fixture| fixture.scenario() == scenario).collect()
}

/// One call of a connector, without the driver's patience.
async fn ask_once(fixture: &Arc<Fixture>) -> Result<(), ConnectorError> {
    let transport = ReplayTransport::new(fixture);
    let (connector, settings) = (find(&fixture.provider).unwrap(), fixture.settings());
    let ctx = Context { transport: &*transport, settings: &settings, now: fixture.now };
    if fixture.feed.is_none() {
        return connector.check(&ctx).await.map(drop);
    }
    let feed = feed_of(fixture).id;
    let request = PageRequest { feed, window: fixture.window(), cursor: None };
    connector.fetch_page(&ctx, &request).await.map(drop)
}

#[test]
fn ids_are_unique_and_name_the_file() {
    let mut ids = BTreeSet::new();
    for connector in REGISTRY {
        let id = connector.descriptor().id;
        assert!(ids.insert(id), "`{id}` is there twice");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = folder.join(format!("{id}.rs"));
        let module = folder.join(id).join("mod.rs");
        assert!(file.exists() != module.exists(), "`{id}` is in `{id}.rs` or in `{id}/mod.rs`");
        assert_eq!(find(id).map(|found| found.descriptor().id), Some(id));
    }
    let folders: BTreeSet<String> = providers().into_iter().collect();
    assert_eq!(folders, ids.into_iter().map(str::to_owned).collect(), "fixture folders and ids");
    assert!(find("nobody").is_none());
}

#[test]
fn descriptors_say_all_that_forms_and_documents_need() {
    for connector in REGISTRY {
        let descriptor = connector.descriptor();
        let id = descriptor.id;
        let base: url::Url = descriptor.base_url.parse().unwrap();
        assert_eq!(base.scheme(), "https", "{id}");
        assert!(descriptor.hosts.contains(&base.host_str().unwrap()), "{id}: host of base_url");
        assert_eq!(
            base.path(),
            "/",
            "{id}: base_url is scheme, host and port, because an operator may put another one in \
             its place; a path such as `/api/v1` belongs to what `ctx.url` is given"
        );
        let is_begun = descriptor.hosts.iter().any(|host| host.ends_with("example.com"));
        assert!(!is_begun, "{id}: the descriptor is still the one of `make new-connector`");
        assert!(!descriptor.feeds.is_empty() && !descriptor.auth_fields.is_empty(), "{id}");
        for feed in descriptor.feeds {
            assert!(domain::Feed::parse(feed.id).is_ok(), "{id}: feed `{}`", feed.id);
            assert!(feed.window_days_max > 0, "{id}: feed `{}`", feed.id);
        }
        for field in descriptor.auth_fields {
            assert!(!field.title.is_empty() && !field.help.is_empty(), "{id}: `{}`", field.name);
        }
        assert!(["minute", "hour", "day"].contains(&descriptor.granularity), "{id}");
        assert!(descriptor.history_days > 0 && !descriptor.data_sent.is_empty(), "{id}");
        assert!(descriptor.documentation_url.starts_with("https://"), "{id}");
    }
}

#[test]
fn every_scenario_is_recorded() {
    let mut missing = Vec::new();
    for connector in REGISTRY {
        let descriptor = connector.descriptor();
        let (id, fixtures) = (descriptor.id, fixtures(descriptor.id));
        for scenario in SCENARIOS {
            if !fixtures.iter().any(|fixture| fixture.scenario() == *scenario) {
                missing.push(format!("connectors/fixtures/{id}/{scenario}.<what>.json"));
            }
        }
        for feed in descriptor.feeds {
            let mut happy = fixtures.iter().filter(|fixture| fixture.scenario() == "happy");
            if !happy.any(|fixture| fixture.feed.as_deref() == Some(feed.id)) {
                missing.push(format!(
                    "connectors/fixtures/{id}/happy.<what>.json of the feed `{}`",
                    feed.id
                ));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not recorded; docs/adding-a-connector.md says what each shows:\n{}",
        missing.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn recorded_answers_become_exactly_the_expected_records() {
    let mut problems = String::new();
    for fixture in all() {
        let file = format!("fixtures/{}/{}.json", fixture.provider, fixture.name);
        let transport = ReplayTransport::new(&fixture);
        let outcome = run(&fixture, &driver(&fixture, &transport)).await;
        for request in transport.unexpected() {
            problems += &format!("{file} has no exchange for the request\n  {request}\n");
        }
        // The other exchanges of a split are the halves', which another test asks for.
        let unused = if fixture.split_at.is_none() { transport.unused() } else { Vec::new() };
        for exchange in unused {
            problems += &format!("{file} has an exchange that nobody asked for\n  {exchange}\n");
        }
        let found = outcome.shown(&fixture.expected);
        if found != fixture.expected {
            problems += &format!("{file}: {}\n", difference(&fixture.expected, &found));
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

/// What a fixture expects and was not found (`-`), what was found and not expected (`+`), and all
/// that was found, to be compared with the provider's answer by hand.
fn difference(expected: &Value, found: &Value) -> String {
    let parts = |value: &Value| -> Vec<String> {
        let mut parts = Vec::new();
        for (name, part) in value.as_object().into_iter().flatten() {
            match part.as_array() {
                Some(items) => parts.extend(items.iter().map(|item| format!("{name}: {item}"))),
                None => parts.push(format!("{name}: {part}")),
            }
        }
        parts
    };
    let (expected, found_parts) = (parts(expected), parts(found));
    let mut lines = Vec::new();
    lines.extend(
        expected.iter().filter(|part| !found_parts.contains(part)).map(|p| format!("- {p}")),
    );
    lines.extend(
        found_parts.iter().filter(|part| !expected.contains(part)).map(|p| format!("+ {p}")),
    );
    if lines.is_empty() {
        lines.push(
            "the same, in another order or number, or with an empty list more or less".into(),
        );
    }
    let all = serde_json::to_string_pretty(found).unwrap();
    format!("not as expected\n{}\nall that was found:\n{all}", lines.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn scenarios_are_what_they_are_called() {
    for fixture in all() {
        let (provider, name) = (&fixture.provider, &fixture.name);
        let counts = |field: &str| fixture.expected[field].as_array().map_or(0, Vec::len);
        let is_so = match fixture.scenario() {
            "happy" => counts("charges") > 0,
            "empty_window" => fixture.expected["charges"] == json!([]),
            "multi_page" => fixture.exchanges.len() > 1 && counts("charges") > 1,
            "split" => fixture.split_at.is_some() && counts("charges") > 1,
            "check" => fixture.feed.is_none(),
            "forbidden" => fixture.expects_error().is_some() || counts("issues") > 0,
            "unauthorized" | "malformed" => fixture.expects_error().is_some(),
            _ => true,
        };
        assert!(is_so, "{provider}/{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_lie_within_the_window_and_say_something() {
    for fixture in all() {
        let transport = ReplayTransport::new(&fixture);
        let Outcome::Pull(pull) = run(&fixture, &driver(&fixture, &transport)).await else {
            continue;
        };
        for charge in &pull.charges {
            let (name, shown) = (&fixture.name, shown(charge));
            assert!(fixture.window().contains(charge.period_start), "{name}: {shown}");
            assert!(charge.period_end <= fixture.window().end, "{name}: {shown}");
            assert!(says_something(charge) || !pull.issues.is_empty(), "{name}: {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_tells_costs_or_quantities_and_the_descriptor_says_which() {
    for connector in REGISTRY {
        let descriptor = connector.descriptor();
        let (id, mut tells_cost, mut tells_usage) = (descriptor.id, false, false);
        for feed in descriptor.feeds {
            let (mut has_cost, mut has_usage) = (false, false);
            let fixtures = fixtures(id).into_iter().map(Arc::new);
            for fixture in fixtures.filter(|fixture| fixture.feed.as_deref() == Some(feed.id)) {
                let transport = ReplayTransport::new(&fixture);
                if let Outcome::Pull(pull) = run(&fixture, &driver(&fixture, &transport)).await {
                    has_cost |= pull.charges.iter().any(has_a_cost);
                    has_usage |= pull.charges.iter().any(|it| it.consumed_quantity.is_some());
                }
            }
            assert!(
                !(has_cost && has_usage),
                "{id}: the feed `{}` has both costs and consumed quantities; make them two feeds, \
                 even where one answer tells both",
                feed.id
            );
            tells_cost |= has_cost;
            tells_usage |= has_usage;
        }
        // Without any fixture another test says what to do first.
        if fixtures(id).is_empty() {
            continue;
        }
        let reports = descriptor.reports;
        for (name, said, shown) in
            [("cost", reports.cost, tells_cost), ("usage", reports.usage, tells_usage)]
        {
            let message = format!("{id}: `reports.{name}` is {said}, its fixtures show {shown}");
            assert_eq!(said, shown, "{message}");
        }
    }
}

const fn has_a_cost(charge: &Charge<'_>) -> bool {
    charge.billed_cost.is_some() || charge.effective_cost.is_some() || charge.list_cost.is_some()
}

#[tokio::test(start_paused = true)]
async fn the_same_answers_give_the_same_records() {
    for fixture in all() {
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let transport = ReplayTransport::new(&fixture);
            outcomes.push(run(&fixture, &driver(&fixture, &transport)).await.texts());
        }
        assert_eq!(outcomes[0], outcomes[1], "{}/{}", fixture.provider, fixture.name);
    }
}

#[tokio::test(start_paused = true)]
async fn two_halves_of_a_window_give_the_records_of_the_whole() {
    for fixture in of_scenario("split") {
        let (connector, settings) = (find(&fixture.provider).unwrap(), fixture.settings());
        let transport = ReplayTransport::new(&fixture);
        let driver = driver(&fixture, &transport);
        let ((first, end), middle) = (fixture.window.unwrap(), fixture.split_at.unwrap());
        let mut parts = Vec::new();
        for (first, end) in [(first, end), (first, middle), (middle, end)] {
            let pull = driver
                .pull(connector, &settings, feed_of(&fixture), window(first, end))
                .await
                .unwrap_or_else(|error| panic!("{error}: {:?}", transport.unexpected()));
            parts.push(pull.charges);
        }
        let halves = [parts[1].clone(), parts[2].clone()].concat();
        assert_eq!(parts[0], halves, "{}/{}", fixture.provider, fixture.name);
        assert!(!parts[1].is_empty() && !parts[2].is_empty(), "{}", fixture.name);
        assert_eq!(transport.unused(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_permanent_and_a_busy_provider_is_not() {
    for fixture in of_scenario("unauthorized") {
        let error = ask_once(&fixture).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Never, "{}", fixture.name);
        assert!(!error.what_to_do().is_empty(), "{}", fixture.name);
    }
    for fixture in of_scenario("server_error") {
        let error = ask_once(&fixture).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", fixture.name);
        assert!(error.is_temporary(), "{}", fixture.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_to_wait_is_read_and_kept() {
    for fixture in of_scenario("rate_limited") {
        let error = ask_once(&fixture).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited, "{}", fixture.name);
        let Retry::After(hint) = error.retry() else {
            panic!("{}: the answer carries a hint", fixture.name);
        };
        assert!(hint > Duration::ZERO);
        let transport = ReplayTransport::new(&fixture);
        let started_at = tokio::time::Instant::now();
        let outcome = run(&fixture, &driver(&fixture, &transport)).await;
        assert!(matches!(outcome, Outcome::Pull(_)), "{}", fixture.name);
        assert!(started_at.elapsed() >= hint, "{}", fixture.name);
    }
}

#[tokio::test(start_paused = true)]
async fn only_declared_hosts_are_called() {
    for fixture in all() {
        let descriptor = find(&fixture.provider).unwrap().descriptor();
        let transport = ReplayTransport::new(&fixture);
        drop(run(&fixture, &driver(&fixture, &transport)).await);
        assert!(!transport.requests().is_empty(), "{}", fixture.name);
        for request in transport.requests() {
            let host = request.url.host_str().unwrap();
            assert!(descriptor.hosts.contains(&host), "{}: {host}", fixture.name);
            assert_eq!(request.url.scheme(), "https", "{}", fixture.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_base_url_takes_every_request_with_it() {
    for fixture in of_scenario("happy") {
        let transport = ReplayTransport::new(&fixture);
        let mut settings = fixture.settings();
        "http://127.0.0.1:9099/".clone_into(&mut settings.base_url);
        let connector = find(&fixture.provider).unwrap();
        let driver = driver(&fixture, &transport);
        let pull = driver.pull(connector, &settings, feed_of(&fixture), fixture.window()).await;
        assert!(pull.is_ok(), "{pull:?}");
        for request in transport.requests() {
            let origin = request.url.origin().ascii_serialization();
            assert_eq!(origin, "http://127.0.0.1:9099", "{}", fixture.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_sent_and_never_seen() {
    let mut senders = BTreeSet::new();
    for fixture in all() {
        let transport = ReplayTransport::new(&fixture);
        let outcome = run(&fixture, &driver(&fixture, &transport)).await;
        let mut texts = outcome.texts();
        for request in transport.requests() {
            texts.push(format!("{request:?}"));
            let mut headers = request.headers.values();
            let in_header = headers.any(|value| value.to_str().unwrap().contains(CANARY));
            if in_header {
                senders.insert(fixture.provider.clone());
            }
            assert!(!request.url.as_str().contains(CANARY), "keys do not belong into URLs");
        }
        for text in texts {
            assert!(!text.contains(CANARY), "{}: {text}", fixture.name);
        }
    }
    for connector in REGISTRY {
        let id = connector.descriptor().id;
        let is_begun = fixtures(id).is_empty();
        assert!(is_begun || senders.contains(id), "`{id}` sends no credential in any header");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_kind_of_key_is_told_without_calling_anybody() {
    for fixture in of_scenario("happy") {
        let connector = find(&fixture.provider).unwrap();
        for field in connector.descriptor().auth_fields {
            let mut settings = settings_of(&fixture.provider);
            settings.credentials.remove(field.name);
            if !field.prefix.is_empty() {
                let key = Secret::new(format!("wrong-{CANARY}"));
                settings.credentials.insert(field.name.to_owned(), key);
            }
            let transport = ReplayTransport::new(&fixture);
            let driver = driver(&fixture, &transport);
            let error = driver.check(connector, &settings).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongKeyKind);
            assert_eq!(error.what_to_do(), field.help);
            assert!(transport.requests().is_empty() && transport.unexpected().is_empty());
            for text in Outcome::Error(error).texts() {
                assert!(!text.contains(CANARY), "{text}");
            }
        }
    }
}
