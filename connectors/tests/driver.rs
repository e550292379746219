//! The driver with connectors that misbehave in every way it must withstand.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use connectors::{
    CheckReport, Connector, ConnectorError, Context, Driver, DriverLimits, ErrorKind, Page,
    PageRequest, Pause, Retry, Settings, Transport,
};
use domain::{
    Charge, Clock, ConnectorDescriptor, Currency, Reports, Window, descriptor::FeedDescriptor,
};
use jiff::{Timestamp, ToSpan};
use net::{HttpRequest, HttpResponse, NetError};
use tokio::time::Instant;

const FEED: FeedDescriptor = FeedDescriptor { id: "costs", window_days_max: 31 };

static DESCRIPTOR: ConnectorDescriptor = ConnectorDescriptor {
    id: "scripted",
    title: "Scripted",
    base_url: "https://api.example.com",
    hosts: &["api.example.com"],
    auth_fields: &[],
    feeds: &[FEED],
    granularity: "day",
    history_days: 90,
    settle_delay_hours: 48,
    trailing_days: 3,
    request_interval_ms_min: 0,
    reports: Reports { usage: false, cost: true, invoice: false },
    data_sent: "nothing",
    documentation_url: "https://example.com/",
};

type Script = Box<dyn Fn(u32, Option<&str>) -> Result<Page, ConnectorError> + Send + Sync>;

/// A connector that asks one URL for each page and then does what its script says.
struct Scripted {
    url: &'static str,
    calls: Mutex<u32>,
    script: Script,
}

fn scripted(
    script: impl Fn(u32, Option<&str>) -> Result<Page, ConnectorError> + Send + Sync + 'static,
) -> Scripted {
    let url = "https://api.example.com/v1/costs";
    Scripted { url, calls: Mutex::new(0), script: Box::new(script) }
}

#[async_trait::async_trait]
impl Connector for Scripted {
    fn descriptor(&self) -> &'static ConnectorDescriptor {
        &DESCRIPTOR
    }

    async fn fetch_page(
        &self,
        ctx: &Context<'_>,
        request: &PageRequest,
    ) -> Result<Page, ConnectorError> {
        ctx.send(self, "costs", HttpRequest::get(self.url.parse().unwrap())).await?;
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        (self.script)(*calls, request.cursor.as_deref())
    }

    async fn check(&self, _: &Context<'_>) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport { account: "a".to_owned() })
    }
}

/// Answers everything with an empty success.
struct OkTransport;

#[async_trait::async_trait]
impl Transport for OkTransport {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, NetError> {
        Ok(HttpResponse { status: 200, headers: Default::default(), body: Default::default() })
    }
}

struct FakeClock;

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        at("2026-03-10T10:00:00Z")
    }
}

/// Remembers how long it was asked to wait, and does not.
#[derive(Default)]
struct RecordingPause(Mutex<Vec<Duration>>);

#[async_trait::async_trait]
impl Pause for RecordingPause {
    async fn pause(&self, delay: Duration) {
        self.0.lock().unwrap().push(delay);
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(start: &str, end: &str) -> Window {
    Window::new(at(&format!("{start}T00:00:00Z")), at(&format!("{end}T00:00:00Z"))).unwrap()
}

fn march() -> Window {
    window("2026-03-01", "2026-03-05")
}

fn settings(base_url: &str) -> Settings {
    Settings { base_url: base_url.to_owned(), credentials: BTreeMap::new(), account: None }
}

fn driver(limits: DriverLimits) -> Driver {
    Driver::new(Arc::new(OkTransport), Arc::new(FakeClock), limits)
}

async fn pull(connector: &Scripted, window: Window) -> Result<connectors::Pull, ConnectorError> {
    let driver = driver(DriverLimits::default());
    driver.pull(connector, &settings(DESCRIPTOR.base_url), &FEED, window).await
}

fn failure(kind: ErrorKind) -> ConnectorError {
    ConnectorError::new(&DESCRIPTOR, "costs", kind, "scripted")
}

fn charge(start: &str, cost: i128) -> Charge<'static> {
    let start = at(start);
    let mut charge = Charge::empty(start, start + 24.hours(), Currency::USD);
    charge.billed_cost = Some(cost);
    charge
}

#[tokio::test(start_paused = true)]
async fn pages_that_lead_nowhere_end() {
    let circle =
        scripted(|_, _| Ok(Page { next_cursor: Some("again".to_owned()), ..Page::default() }));
    let error = pull(&circle, march()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);

    let endless =
        scripted(|calls, _| Ok(Page { next_cursor: Some(calls.to_string()), ..Page::default() }));
    let error = pull(&endless, march()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(*endless.calls.lock().unwrap(), DriverLimits::default().pages_max);

    let limits = DriverLimits { charges_max: 1, ..DriverLimits::default() };
    let many = scripted(|_, _| {
        let charges = vec![charge("2026-03-01T00:00:00Z", 1), charge("2026-03-01T00:00:00Z", 2)];
        Ok(Page { charges, ..Page::default() })
    });
    let settings = settings(DESCRIPTOR.base_url);
    let error = driver(limits).pull(&many, &settings, &FEED, march()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_failed_page_is_asked_for_again_with_its_own_cursor() {
    let flaky = scripted(|calls, cursor| match (calls, cursor) {
        (1, None) => {
            let charges = vec![charge("2026-03-01T00:00:00Z", 1)];
            Ok(Page { charges, next_cursor: Some("2".to_owned()), ..Page::default() })
        }
        (2 | 3, Some("2")) => Err(failure(ErrorKind::Unavailable)),
        (4, Some("2")) => {
            Ok(Page { charges: vec![charge("2026-03-02T00:00:00Z", 2)], ..Page::default() })
        }
        other => panic!("{other:?}"),
    });
    let pull = pull(&flaky, march()).await.unwrap();
    let costs: Vec<_> = pull.charges.iter().map(|charge| charge.billed_cost).collect();
    assert_eq!(costs, [Some(1), Some(2)]);
}

#[tokio::test]
async fn backoff_grows_with_jitter_and_ends() {
    let down = scripted(|_, _| Err(failure(ErrorKind::Unavailable)));
    let pause = Arc::new(RecordingPause::default());
    let limits = DriverLimits { backoff_max: Duration::from_secs(3), ..DriverLimits::default() };
    let driver = driver(limits).with_pause(Arc::<RecordingPause>::clone(&pause));
    let settings = settings(DESCRIPTOR.base_url);
    let error = driver.pull(&down, &settings, &FEED, march()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(*down.calls.lock().unwrap(), limits.attempts_max);
    let waits = pause.0.lock().unwrap().clone();
    assert_eq!(waits.len(), 4);
    for (wait, most_ms) in waits.iter().zip([1000, 2000, 3000, 3000]) {
        let most = Duration::from_millis(most_ms);
        assert!((most / 2..=most).contains(wait), "{wait:?} of {most:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_not_repeated() {
    for kind in [
        ErrorKind::WrongKeyKind,
        ErrorKind::InvalidKey,
        ErrorKind::MissingScope,
        ErrorKind::BadRequest,
        ErrorKind::NotFound,
        ErrorKind::RefusedAddress,
        ErrorKind::TooLarge,
        ErrorKind::AccountUnknown,
    ] {
        let refused = scripted(move |_, _| Err(failure(kind)));
        let error = pull(&refused, march()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, Retry::Never));
        assert_eq!(*refused.calls.lock().unwrap(), 1, "{kind:?}");
    }
}

/// Answers 429 with a hint, every time.
struct BusyTransport(&'static str);

#[async_trait::async_trait]
impl Transport for BusyTransport {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, NetError> {
        let mut response =
            HttpResponse { status: 429, headers: Default::default(), body: Default::default() };
        response.headers.insert("retry-after", self.0.parse().unwrap());
        Ok(response)
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_beyond_patience_ends_the_pull_and_is_passed_on() {
    for (hint, is_waited_for) in [("120", true), ("121", false)] {
        let transport = Arc::new(BusyTransport(hint));
        let driver = Driver::new(transport, Arc::new(FakeClock), DriverLimits::default());
        let started_at = Instant::now();
        let connector = scripted(|_, _| unreachable!("the transport never answers"));
        let settings = settings(DESCRIPTOR.base_url);
        let error = driver.pull(&connector, &settings, &FEED, march()).await.unwrap_err();
        let seconds: u64 = hint.parse().unwrap();
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(seconds)));
        let waited = started_at.elapsed();
        assert_eq!(waited >= Duration::from_secs(480), is_waited_for, "{hint}: {waited:?}");
        assert_eq!(waited.is_zero(), !is_waited_for, "{hint}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn charges_outside_the_window_are_left_out_with_an_issue() {
    let connector = scripted(|_, _| {
        let starts = ["2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z"];
        let charges = starts.iter().map(|start| charge(start, 1)).collect();
        Ok(Page { charges, ..Page::default() })
    });
    let pull = pull(&connector, march()).await.unwrap();
    assert_eq!(pull.charges, [charge("2026-03-01T00:00:00Z", 1)]);
    assert_eq!(pull.issues, ["2 charges outside the window were left out"]);
}

#[tokio::test(start_paused = true)]
async fn impossible_charges_are_left_out_and_their_day_stays_incomplete() {
    let connector = scripted(|_, _| {
        let too_much = charge("2026-03-03T00:00:00Z", i128::MAX);
        let mut backwards = charge("2026-03-04T00:00:00Z", 1);
        backwards.period_end = backwards.period_start;
        let charges = vec![charge("2026-03-01T00:00:00Z", 1), too_much, backwards];
        Ok(Page { charges, ..Page::default() })
    });
    let pull = pull(&connector, march()).await.unwrap();
    assert_eq!(pull.charges.len(), 1);
    assert_eq!(pull.issues, ["2 charges with impossible amounts or times were left out"]);
    assert_eq!(pull.complete_through, Some(at("2026-03-03T00:00:00Z")));
}

#[tokio::test(start_paused = true)]
async fn a_day_is_complete_when_it_is_read_and_old_enough() {
    // It is the 10th, 10:00, and 48 hours make the 8th the first day that may still change.
    for (start, end, page, complete) in [
        ("2026-03-01", "2026-03-05", None, Some("2026-03-05")),
        ("2026-03-01", "2026-03-05", Some("2026-03-03"), Some("2026-03-03")),
        ("2026-03-01", "2026-03-05", Some("2026-03-01"), None),
        ("2026-03-05", "2026-03-11", None, Some("2026-03-08")),
        ("2026-03-05", "2026-03-08", None, Some("2026-03-08")),
        ("2026-03-08", "2026-03-11", None, None),
    ] {
        let midnight = |day: &str| at(&format!("{day}T00:00:00Z"));
        let complete_through = page.map(midnight);
        let connector = scripted(move |_, _| Ok(Page { complete_through, ..Page::default() }));
        let found = pull(&connector, window(start, end)).await.unwrap().complete_through;
        assert_eq!(found, complete.map(midnight), "{start} {end} {page:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_order_of_the_same_charges_is_the_same_pull() {
    let variants = |seed: u32| {
        let mut charges = Vec::new();
        for cost in [3, 1, 2, -1] {
            let mut named = charge("2026-03-02T00:00:00Z", cost);
            named.model = Some("b".into());
            charges.extend([charge("2026-03-02T00:00:00Z", cost), named]);
            let mut text = charge("2026-03-01T00:00:00Z", cost);
            text.billed_cost_text = Some(format!("{cost}.5").into());
            charges.push(text);
        }
        let count = charges.len();
        charges.rotate_left(usize::try_from(seed).unwrap() % count);
        charges
    };
    let mut pulls = Vec::new();
    for seed in [0, 1, 7] {
        let connector =
            scripted(move |_, _| Ok(Page { charges: variants(seed), ..Page::default() }));
        pulls.push(pull(&connector, march()).await.unwrap());
    }
    assert_eq!(pulls[0].charges.len(), 12);
    assert_eq!(pulls[0], pulls[1]);
    assert_eq!(pulls[0], pulls[2]);
}

#[tokio::test(start_paused = true)]
async fn issues_are_told_once_and_are_not_endless() {
    let connector = scripted(|_, _| {
        let issues = (0..500).map(|count| format!("issue {}", count / 2)).collect();
        Ok(Page { issues, ..Page::default() })
    });
    let issues = pull(&connector, march()).await.unwrap().issues;
    assert_eq!(issues.len(), 101);
    assert_eq!(issues[1], "issue 1");
    assert_eq!(issues[100], "and 150 more issues");
}

#[tokio::test(start_paused = true)]
async fn other_hosts_are_refused_whatever_a_connector_asks_for() {
    let declared = DESCRIPTOR.base_url;
    let own = "http://127.0.0.1:9099";
    for (base_url, url, is_allowed) in [
        (declared, "https://api.example.com/other", true),
        (declared, "https://api.example.com.evil.test/", false),
        (declared, "https://evil.test/", false),
        (declared, "http://api.example.com/", false),
        (declared, "https://api.example.com:8443/", false),
        (own, "http://127.0.0.1:9099/v1", true),
        (own, "http://127.0.0.1:9098/v1", false),
        (own, "https://127.0.0.1:9099/v1", false),
        (own, "https://api.example.com/", false),
    ] {
        let mut connector = scripted(|_, _| Ok(Page::default()));
        connector.url = url;
        let driver = driver(DriverLimits::default());
        let result = driver.pull(&connector, &settings(base_url), &FEED, march()).await;
        let kind = result.err().map(|error| error.kind());
        let expected = (!is_allowed).then_some(ErrorKind::RefusedAddress);
        assert_eq!(kind, expected, "{base_url} {url}");
    }
}

#[test]
fn windows_cover_whole_days_without_gaps() {
    let feed = |window_days_max| FeedDescriptor { id: "costs", window_days_max };
    for (days_max, from, to, count) in [
        (31, "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", 3),
        (1, "2026-02-27T23:59:59Z", "2026-03-01T00:00:01Z", 3),
        (90, "2026-03-01T10:00:00Z", "2026-03-01T10:00:01Z", 1),
        (90, "2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z", 0),
        (90, "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z", 0),
        (0, "2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z", 2),
    ] {
        let windows = Driver::windows(&feed(days_max), at(from), at(to));
        assert_eq!(windows.len(), count, "{days_max} {from} {to}");
        for pair in windows.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        if let (Some(first), Some(last)) = (windows.first(), windows.last()) {
            let day = |instant: &str| format!("{}T00:00:00Z", &instant[..10]);
            assert_eq!(first.start, at(&day(from)));
            assert!(last.end >= at(to) && last.end.duration_since(at(to)).as_hours() < 24);
            let days_most = i64::from(days_max.max(1));
            for window in &windows {
                let days = window.end.duration_since(window.start).as_hours() / 24;
                assert!(days <= days_most, "{window:?}");
            }
        }
    }
}
