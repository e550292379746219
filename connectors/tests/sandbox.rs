//! The driver and the OpenAI connector over real HTTP, against the sandbox and its books.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use connectors::{Driver, DriverLimits, ErrorKind, HttpTransport, Pause, Pull, Settings, find};
use domain::{Clock, Currency, Money, Secret, time::day_start};
use jiff::{
    Timestamp,
    civil::{Date, date},
};
use net::{AddressPolicy, HttpClient};
use sandbox::{Fault, Sandbox, SandboxOptions, Throttle};

const TODAY: Date = date(2026, 11, 20);

struct FakeClock;

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        day_start(TODAY)
    }
}

/// Counts the waits and skips them.
#[derive(Default)]
struct CountingPause(AtomicU64);

#[async_trait::async_trait]
impl Pause for CountingPause {
    async fn pause(&self, _: Duration) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Setup {
    sandbox: Sandbox,
    base_url: String,
    pause: Arc<CountingPause>,
    driver: Driver,
}

async fn setup(change: impl FnOnce(&mut SandboxOptions)) -> Setup {
    let mut options = SandboxOptions::new(7, TODAY);
    options.throttle = None;
    change(&mut options);
    let sandbox = Sandbox::new(options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let router = sandbox.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = HttpClient::guarded(AddressPolicy::PrivateAllowed).unwrap();
    let transport = Arc::new(HttpTransport::new(client));
    let pause = Arc::new(CountingPause::default());
    let driver = Driver::new(transport, Arc::new(FakeClock), DriverLimits::default())
        .with_pause(Arc::<CountingPause>::clone(&pause));
    Setup { sandbox, base_url, pause, driver }
}

impl Setup {
    fn settings(&self, key: &str) -> Settings {
        let credentials = BTreeMap::from([("admin_key".to_owned(), Secret::new(key.to_owned()))]);
        Settings { base_url: self.base_url.clone(), credentials, account: None }
    }

    async fn pull(&self, feed: &str, from: Date, to: Date) -> Vec<Pull> {
        let openai = find("openai").unwrap();
        let mut feeds = openai.descriptor().feeds.iter();
        let feed = feeds.find(|known| known.id == feed).unwrap();
        let settings = self.settings("sk-admin-test");
        let mut pulls = Vec::new();
        for window in Driver::windows(feed, day_start(from), day_start(to)) {
            pulls.push(self.driver.pull(openai, &settings, feed, window).await.unwrap());
        }
        pulls
    }
}

type Costs = BTreeMap<(Date, Option<String>), Money>;

fn costs(pulls: &[Pull]) -> Costs {
    let mut costs = Costs::new();
    for charge in pulls.iter().flat_map(|pull| &pull.charges) {
        let cost = Money::from_femtos(charge.billed_cost.unwrap(), charge.currency).unwrap();
        let model = charge.model.as_deref().map(str::to_owned);
        let sum = costs.entry((charge.day(), model)).or_insert(Money::zero(Currency::USD));
        *sum = sum.checked_add(cost).unwrap();
    }
    costs.retain(|_, cost| cost.femtos() != 0);
    costs
}

fn booked(sandbox: &Sandbox, from: Date, to: Date) -> Costs {
    let rows = sandbox.books(from, to).rows.into_iter();
    let rows = rows.filter(|row| row.cost.femtos() != 0);
    rows.map(|row| ((row.date, row.model), row.cost)).collect()
}

#[tokio::test]
async fn costs_are_the_sandboxes_books_to_the_last_digit() {
    let setup = setup(|_| {}).await;
    let (from, to) = (date(2026, 6, 1), TODAY);
    let pulls = setup.pull("costs", from, to).await;
    assert_eq!(pulls.len(), 2);
    assert_eq!(costs(&pulls), booked(&setup.sandbox, from, to));
    assert!(pulls.iter().all(|pull| pull.issues.is_empty() && pull.unanswered.is_empty()));
    assert_eq!(pulls[1].complete_through, Some(day_start(date(2026, 11, 18))));
}

#[tokio::test]
async fn usage_is_the_sandboxes_books_to_the_last_token() {
    let setup = setup(|_| {}).await;
    let (from, to) = (date(2026, 10, 1), TODAY);
    let mut found = BTreeMap::new();
    for charge in
        setup.pull("usage.completions", from, to).await.iter().flat_map(|pull| &pull.charges)
    {
        let model = charge.model.as_deref().map(str::to_owned);
        let unit = charge.consumed_unit.as_deref().unwrap().to_owned();
        let count = charge.consumed_quantity.unwrap().femtos() / domain::fixed::ONE;
        *found.entry((charge.day(), model, unit)).or_insert(0) += count;
    }
    let mut booked = BTreeMap::new();
    for row in setup.sandbox.books(from, to).rows {
        for (unit, count) in row.quantities {
            booked.insert((row.date, row.model.clone(), unit.to_owned()), i128::from(count));
        }
    }
    assert!(!found.is_empty());
    assert_eq!(found, booked);
}

#[tokio::test]
async fn refusals_and_failures_on_the_way_change_nothing() {
    let setup = setup(|options| {
        options.throttle = Some(Throttle { first: 2, every: 3, retry_after_seconds: 1 });
        options.costs_by_key_since = Some(date(2026, 9, 1));
    })
    .await;
    let fault = Fault { status: 503, count: 2, path: None, retry_after_seconds: None, body: None };
    setup.sandbox.fail_next(fault);
    let broken = Fault {
        status: 502,
        count: 1,
        path: None,
        retry_after_seconds: None,
        body: Some("<html>".to_owned()),
    };
    setup.sandbox.fail_next(broken);
    let (from, to) = (date(2026, 8, 1), date(2026, 10, 1));
    let pulls = setup.pull("costs", from, to).await;
    assert_eq!(costs(&pulls), booked(&setup.sandbox, from, to));
    assert_eq!(pulls[0].issues.len(), 1, "{:?}", pulls[0].issues);
    assert!(pulls[0].issues[0].contains("these charges name no key"));
    assert!(setup.pause.0.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn a_restated_day_is_read_anew_and_no_other_day_changes() {
    let setup = setup(|_| {}).await;
    let (from, to, day) = (date(2026, 10, 1), date(2026, 10, 8), date(2026, 10, 3));
    let before = costs(&setup.pull("costs", from, to).await);
    setup.sandbox.restate(day, Some(99)).unwrap();
    let after = costs(&setup.pull("costs", from, to).await);
    assert_eq!(after, booked(&setup.sandbox, from, to));
    let changed: Vec<_> =
        before.iter().filter(|(key, cost)| after.get(key) != Some(cost)).collect();
    assert!(!changed.is_empty());
    assert!(changed.iter().all(|((changed, _), _)| *changed == day));
}

#[tokio::test]
async fn a_key_names_its_account_or_what_is_wrong_with_it() {
    let setup = setup(|_| {}).await;
    let openai = find("openai").unwrap();
    let report = setup.driver.check(openai, &setup.settings("sk-admin-test")).await.unwrap();
    assert!(report.account.starts_with("org-"), "{report:?}");
    let wrong = setup.driver.check(openai, &setup.settings("sk-proj-test")).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongKeyKind);
    assert!(wrong.what_to_do().contains("Admin keys"));
}

#[tokio::test]
async fn private_addresses_are_refused_where_the_operator_does_not_allow_them() {
    let setup = setup(|_| {}).await;
    let client = HttpClient::guarded(AddressPolicy::PublicOnly).unwrap();
    let transport = Arc::new(HttpTransport::new(client));
    let driver = Driver::new(transport, Arc::new(FakeClock), DriverLimits::default());
    for base_url in [setup.base_url.clone(), setup.base_url.replace("http:", "https:")] {
        let mut settings = setup.settings("sk-admin-test");
        settings.base_url = base_url;
        let error = driver.check(find("openai").unwrap(), &settings).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RefusedAddress);
        assert!(error.what_to_do().contains("OUTLAY_ALLOW_PRIVATE_URLS"));
    }
}
