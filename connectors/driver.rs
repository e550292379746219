//! The driver: pages, retries and paces any connector, and checks what it says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{
    Charge, Clock, ConnectorDescriptor, Window,
    descriptor::FeedDescriptor,
    time::{day_start, utc_day},
};
use jiff::{Timestamp, ToSpan};

use crate::{
    CheckReport, Connector, ConnectorError, Context, ErrorKind, Page, PageRequest, Pause, Retry,
    Settings, TokioPause, Transport, order::total_order, pace::Paces, transport::FencedTransport,
};

/// Issues are for people, and quote what a provider sends.
const ISSUE_CHARACTERS_MAX: usize = 500;

/// How much one pull may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverLimits {
    /// Pages of one pull.
    pub pages_max: u32,
    /// Charges of one pull.
    pub charges_max: usize,
    /// Issues that a pull reports; what is beyond is counted.
    pub issues_max: usize,
    /// How often one page is asked for in all.
    pub attempts_max: u32,
    /// The first wait of a growing backoff.
    pub backoff_min: Duration,
    /// The longest wait of a growing backoff.
    pub backoff_max: Duration,
    /// The longest wait that a provider may ask for; where it asks for more, the pull ends.
    pub retry_after_max: Duration,
}

impl Default for DriverLimits {
    fn default() -> DriverLimits {
        DriverLimits {
            pages_max: 500,
            charges_max: 1_000_000,
            issues_max: 100,
            attempts_max: 5,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(120),
        }
    }
}

/// All that a provider says about one feed and window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Charges in a total order: the same data gives the same list.
    pub charges: Vec<Charge<'static>>,
    /// What the provider could not or would not tell, each once; for people.
    pub issues: Vec<String>,
    /// The window's start up to here is complete and final, midnight UTC; `None` where none of it
    /// is.
    pub complete_through: Option<Timestamp>,
    /// Days of the window about which the provider said nothing, not even that there was nothing:
    /// what is known of them from before still stands.
    pub unanswered: Vec<Window>,
}

/// Drives connectors.
pub struct Driver {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    paces: Paces,
    limits: DriverLimits,
}

impl Driver {
    /// A driver that waits on tokio's timer.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        limits: DriverLimits,
    ) -> Driver {
        Driver { transport, clock, paces: Paces::new(Arc::new(TokioPause)), limits }
    }

    /// The same driver, waiting in another way.
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Driver {
        self.paces = Paces::new(pause);
        self
    }

    /// Cuts `[from, to)`, widened to whole UTC days, into windows that the feed allows, oldest
    /// first.
    ///
    /// ```
    /// use connectors::Driver;
    /// let feed = domain::descriptor::FeedDescriptor { id: "costs", window_days_max: 2 };
    /// let (from, to) = ("2026-02-27T13:00:00Z", "2026-03-02T00:00:00Z");
    /// let windows = Driver::windows(&feed, from.parse().unwrap(), to.parse().unwrap());
    /// let starts: Vec<_> = windows.iter().map(|window| window.start.to_string()).collect();
    /// assert_eq!(starts, ["2026-02-27T00:00:00Z", "2026-03-01T00:00:00Z"]);
    /// assert_eq!(windows[1].end.to_string(), "2026-03-02T00:00:00Z");
    /// ```
    #[must_use]
    pub fn windows(feed: &FeedDescriptor, from: Timestamp, to: Timestamp) -> Vec<Window> {
        let Some(whole) = Window::new(from, to) else {
            return Vec::new();
        };
        let (mut day, last) = whole.days();
        let step = i64::from(feed.window_days_max.max(1)).days();
        let mut windows = Vec::new();
        while day <= last {
            let after = last.tomorrow().unwrap_or(last);
            let next = day.checked_add(step).unwrap_or(after).min(after);
            let Some(window) = Window::new(day_start(day), day_start(next)) else {
                break;
            };
            windows.push(window);
            day = next;
        }
        windows
    }

    /// Verifies a connection's credentials and finds its account.
    ///
    /// # Errors
    /// [`ConnectorError`]; a credential of the wrong kind is told without calling anybody.
    pub async fn check(
        &self,
        connector: &dyn Connector,
        settings: &Settings,
    ) -> Result<CheckReport, ConnectorError> {
        judge_credentials(connector.descriptor(), settings)?;
        let fence = self.fence(connector, settings);
        let mut attempt_count = 0;
        loop {
            let ctx = Context { transport: &fence, settings, now: self.clock.now() };
            match connector.check(&ctx).await {
                Ok(report) => return Ok(report),
                Err(error) => self.recover(error, &mut attempt_count).await?,
            }
        }
    }

    /// Reads all pages of a feed over a window of whole UTC days.
    ///
    /// Charges that begin outside the window, or that cannot be stored, are left out with an issue.
    ///
    /// # Errors
    /// [`ConnectorError`] where a page cannot be had in spite of retries. Nothing of the pull is
    /// returned then: a part of a day must not pass for the day.
    pub async fn pull(
        &self,
        connector: &dyn Connector,
        settings: &Settings,
        feed: &FeedDescriptor,
        window: Window,
    ) -> Result<Pull, ConnectorError> {
        let descriptor = connector.descriptor();
        judge_credentials(descriptor, settings)?;
        let refuse =
            |kind, message: String| Err(ConnectorError::new(descriptor, feed.id, kind, message));
        let fence = self.fence(connector, settings);
        let mut request = PageRequest { feed: feed.id, window, cursor: None };
        let mut gathered = Gathered::new(window);
        let mut cursors = BTreeSet::new();
        loop {
            let page = self.fetch_page(connector, &fence, &request).await?;
            request.cursor = gathered.add(page);
            if gathered.charges.len() > self.limits.charges_max {
                let message = format!("more than {} charges", self.limits.charges_max);
                return refuse(ErrorKind::TooLarge, message);
            }
            let Some(cursor) = &request.cursor else {
                break;
            };
            if !cursors.insert(cursor.clone()) {
                return refuse(ErrorKind::Malformed, "a page leads back to itself".to_owned());
            }
            if cursors.len() >= usize::try_from(self.limits.pages_max).unwrap_or(usize::MAX) {
                let message = format!("more than {} pages", self.limits.pages_max);
                return refuse(ErrorKind::TooLarge, message);
            }
        }
        let settled = settled_through(descriptor, self.clock.now());
        Ok(gathered.finish(settled, settings, self.limits.issues_max))
    }

    fn fence<'a>(
        &'a self,
        connector: &dyn Connector,
        settings: &'a Settings,
    ) -> FencedTransport<'a> {
        let descriptor = connector.descriptor();
        FencedTransport { inner: &*self.transport, paces: &self.paces, descriptor, settings }
    }

    async fn fetch_page(
        &self,
        connector: &dyn Connector,
        fence: &FencedTransport<'_>,
        request: &PageRequest,
    ) -> Result<Page, ConnectorError> {
        let mut attempt_count = 0;
        loop {
            let settings = fence.settings;
            let ctx = Context { transport: fence, settings, now: self.clock.now() };
            match connector.fetch_page(&ctx, request).await {
                Ok(page) => return Ok(page),
                Err(error) => self.recover(error, &mut attempt_count).await?,
            }
        }
    }

    /// Counts the attempt and waits where asking again may help; gives the error back where it does
    /// not, or no longer.
    async fn recover(
        &self,
        error: ConnectorError,
        attempt_count: &mut u32,
    ) -> Result<(), ConnectorError> {
        *attempt_count = attempt_count.saturating_add(1);
        let limits = &self.limits;
        let delay = match error.retry() {
            _ if *attempt_count >= limits.attempts_max => return Err(error),
            Retry::Never => return Err(error),
            Retry::After(delay) if delay > limits.retry_after_max => return Err(error),
            // A little later than asked, so that callers told the same do not come back as one.
            Retry::After(delay) => delay.saturating_add(jitter(limits.backoff_min)),
            Retry::Backoff => {
                let doubled = 2_u32.saturating_pow(attempt_count.saturating_sub(1));
                let delay = limits.backoff_min.saturating_mul(doubled).min(limits.backoff_max);
                let half = delay.checked_div(2).unwrap_or_default();
                half.saturating_add(jitter(half))
            }
        };
        tracing::debug!(error = %error, delay_ms = delay.as_millis(), "asking a provider again");
        self.paces.pause.pause(delay).await;
        Ok(())
    }
}

/// A random part of `most`. Without randomness, callers that failed together would return together.
fn jitter(most: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(u32::MAX) % 1024;
    most.saturating_mul(part).checked_div(1024).unwrap_or_default()
}

/// Tells a missing credential, or a wrong kind of key, before anybody is called.
fn judge_credentials(
    descriptor: &'static ConnectorDescriptor,
    settings: &Settings,
) -> Result<(), ConnectorError> {
    let refuse = |message: String, help: &str| {
        let error = ConnectorError::new(descriptor, "auth", ErrorKind::WrongKeyKind, message);
        Err(error.advising(help))
    };
    for field in descriptor.auth_fields {
        let (name, prefix) = (field.name, field.prefix);
        match settings.credentials.get(name) {
            None => return refuse(format!("the credential `{name}` is missing"), field.help),
            Some(secret) if !secret.expose().starts_with(prefix) => {
                let message = format!("`{name}` must be a key that starts with `{prefix}`");
                return refuse(message, field.help);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The start of the first day that may still change.
fn settled_through(descriptor: &ConnectorDescriptor, now: Timestamp) -> Timestamp {
    let delay = i64::from(descriptor.settle_delay_hours).hours();
    day_start(utc_day(now.checked_sub(delay).unwrap_or(Timestamp::MIN)))
}

/// What a pull has gathered so far.
struct Gathered {
    window: Window,
    charges: Vec<Charge<'static>>,
    issues: Vec<String>,
    complete_through: Timestamp,
    unanswered: Vec<Window>,
    outside_count: usize,
    unusable_count: usize,
}

impl Gathered {
    const fn new(window: Window) -> Gathered {
        Gathered {
            window,
            charges: Vec::new(),
            issues: Vec::new(),
            complete_through: window.end,
            unanswered: Vec::new(),
            outside_count: 0,
            unusable_count: 0,
        }
    }

    /// Takes a page in; answers its cursor.
    fn add(&mut self, page: Page) -> Option<String> {
        for charge in page.charges {
            if !self.window.contains(charge.period_start) {
                self.outside_count = self.outside_count.saturating_add(1);
            } else if charge.period_start >= charge.period_end || !charge.is_within_range() {
                self.unusable_count = self.unusable_count.saturating_add(1);
                self.complete_through = self.complete_through.min(day_start(charge.day()));
            } else {
                self.charges.push(charge);
            }
        }
        self.issues.extend(page.issues);
        self.unanswered.extend(page.unanswered);
        let through = page.complete_through.unwrap_or(Timestamp::MAX);
        self.complete_through = self.complete_through.min(through);
        page.next_cursor
    }

    fn finish(mut self, settled: Timestamp, settings: &Settings, issues_max: usize) -> Pull {
        let (outside, unusable) = (self.outside_count, self.unusable_count);
        if outside > 0 {
            self.issues.push(format!("{outside} charges outside the window were left out"));
        }
        if unusable > 0 {
            let message =
                format!("{unusable} charges with impossible amounts or times were left out");
            self.issues.push(message);
        }
        self.charges.sort_unstable_by(total_order);
        let through = self.complete_through.min(settled);
        Pull {
            charges: self.charges,
            issues: distinct(&self.issues, settings, issues_max),
            complete_through: (through > self.window.start).then_some(through),
            unanswered: self.unanswered,
        }
    }
}

/// Each issue once, without credentials, and no more than `most`; what is beyond is counted.
fn distinct(issues: &[String], settings: &Settings, most: usize) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let short = |issue: &String| -> String {
        settings.scrub(issue).chars().take(ISSUE_CHARACTERS_MAX).collect()
    };
    let mut kept: Vec<String> = issues.iter().map(short).collect();
    kept.retain(|issue| seen.insert(issue.clone()));
    let more = kept.len().saturating_sub(most);
    kept.truncate(most);
    if more > 0 {
        kept.push(format!("and {more} more issues"));
    }
    kept
}
