//! The sandbox itself: its options, its state, and the router that serves it.
//!
//! It never reads a clock: `today` is given, and moves only when told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::OriginalUri,
    http::Method,
    middleware,
    response::Response,
    routing::{get, post},
};
use jiff::{ToSpan, civil::Date};

use crate::{
    Books, Fault, Throttle, control, costs,
    errors::Refusal,
    gate, projects,
    random::{Purpose, Stream},
    usage,
    world::World,
};

/// Some 27 years: more than anybody has paid for.
const HISTORY_DAYS_MAX: u32 = 10_000;

/// What a sandbox is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxOptions {
    /// Decides every number and every id.
    pub seed: u64,
    /// The current day, UTC; data end with the day before.
    pub today: Date,
    /// How many days there are data of, back from `today`. With the default of 430, every sandbox
    /// has all its peculiar days and a project that began at least a month ago.
    pub history_days: u32,
    /// Which requests are refused with 429; `None` for none.
    pub throttle: Option<Throttle>,
    /// Whether the last two hours of a day are missing from its costs until one more day has
    /// passed: an ordinary restatement.
    pub bills_late: bool,
    /// Refuses costs by `api_key_id` for windows that begin before this day, as the real API was
    /// reported to do (<https://github.com/langwatch/langwatch/issues/7579>).
    pub costs_by_key_since: Option<Date>,
}

impl SandboxOptions {
    /// The usual sandbox: 430 days, now and then a 429, and late bills.
    ///
    /// ```
    /// let mut options = sandbox::SandboxOptions::new(7, jiff::civil::date(2026, 11, 20));
    /// options.throttle = None;
    /// let sandbox = sandbox::Sandbox::new(options);
    /// ```
    #[must_use]
    pub fn new(seed: u64, today: Date) -> SandboxOptions {
        SandboxOptions {
            seed,
            today,
            history_days: 430,
            throttle: Some(Throttle { first: 3, every: 40, retry_after_seconds: 1 }),
            bills_late: true,
            costs_by_key_since: None,
        }
    }
}

/// A day that the sandbox cannot do this with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// Time does not run backwards.
    #[error("the clock stands at {today} already")]
    Backwards {
        /// Where it stands.
        today: Date,
    },
    /// There is nothing to restate.
    #[error("there are data from {first_day} until before {today} only")]
    NoData {
        /// First day with data.
        first_day: Date,
        /// First day without.
        today: Date,
    },
}

/// An emulated provider. Clones share one state.
#[derive(Debug, Clone)]
pub struct Sandbox {
    options: Arc<SandboxOptions>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    world: World,
    faults: VecDeque<Fault>,
    /// Requests that met the rate limit so far.
    request_count: u64,
    /// Answers given so far.
    answer_count: u64,
}

impl Sandbox {
    /// A new sandbox. The same options give the same answers, byte for byte.
    #[must_use]
    pub fn new(options: SandboxOptions) -> Sandbox {
        let days = i64::from(options.history_days.min(HISTORY_DAYS_MAX)).days();
        let first_day = options.today.saturating_sub(days);
        let world = World::new(options.seed, first_day, options.today, options.bills_late);
        let state = State { world, faults: VecDeque::new(), request_count: 0, answer_count: 0 };
        Sandbox { options: Arc::new(options), state: Arc::new(Mutex::new(state)) }
    }

    /// The whole of it over HTTP.
    pub fn router(&self) -> Router {
        let guard = middleware::from_fn_with_state(self.clone(), gate::guard);
        let provider = Router::new()
            .route("/organization/costs", get(costs::list))
            .route("/organization/usage/{kind}", get(usage::list))
            .route("/organization/projects", get(projects::list))
            .route("/organization/projects/{id}/api_keys", get(projects::list_keys))
            .fallback(unknown_url)
            .method_not_allowed_fallback(unknown_method)
            .layer(guard);
        Router::new()
            .route("/", get(control::welcome))
            .route("/_books", get(control::books))
            .route("/_clock", get(control::clock).post(control::move_clock))
            .route("/_restate", post(control::restate))
            .route("/_faults", post(control::add_fault).delete(control::clear_faults))
            .nest("/v1", provider)
            .with_state(self.clone())
    }

    /// What a client must find from `from` until before `to`, as of now.
    #[must_use]
    pub fn books(&self, from: Date, to: Date) -> Books {
        Books::of(&self.world(), from, to)
    }

    /// The first day of the data, and the day after the last.
    #[must_use]
    pub fn days(&self) -> (Date, Date) {
        let state = self.lock();
        (state.world.first_day, state.world.today)
    }

    /// Lets days go by; moving to the same day changes nothing.
    ///
    /// # Errors
    /// [`DayError::Backwards`] for a day before the current one.
    pub fn move_clock(&self, today: Date) -> Result<(), DayError> {
        let world = &mut self.lock().world;
        if today < world.today {
            return Err(DayError::Backwards { today: world.today });
        }
        world.today = today;
        Ok(())
    }

    /// Changes the numbers of one day, and of no other. The same `seed` gives the same numbers
    /// again; without one, every call gives new ones.
    ///
    /// # Errors
    /// [`DayError::NoData`] for a day outside the data.
    pub fn restate(&self, date: Date, seed: Option<u64>) -> Result<(), DayError> {
        let world = &mut self.lock().world;
        if !world.has_day(date) {
            return Err(DayError::NoData { first_day: world.first_day, today: world.today });
        }
        world.restate(date, seed);
        Ok(())
    }

    /// Adds a failure behind those that wait already, and says how many requests are going to fail.
    pub fn fail_next(&self, fault: Fault) -> u64 {
        let faults = &mut self.lock().faults;
        faults.push_back(fault);
        faults.iter().map(|fault| u64::from(fault.count)).sum()
    }

    /// Forgets all failures that wait.
    pub fn stop_failing(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn options(&self) -> &SandboxOptions {
        &self.options
    }

    /// The data as they stand, unmoved by what others do meanwhile.
    pub(crate) fn world(&self) -> World {
        self.lock().world.clone()
    }

    /// The first failure that waits for this path, used up by one.
    pub(crate) fn next_failure(&self, path: &str) -> Option<Response> {
        let faults = &mut self.lock().faults;
        faults.retain(|fault| fault.count > 0);
        let fault = faults.iter_mut().find(|fault| fault.matches(path))?;
        fault.count -= 1;
        Some(fault.response())
    }

    /// The number of this request among those that meet the rate limit, from 1.
    pub(crate) fn count_request(&self) -> u64 {
        let state = &mut self.lock();
        state.request_count += 1;
        state.request_count
    }

    /// What every answer of the provider carries.
    pub(crate) fn common_headers(&self) -> [(&'static str, String); 3] {
        let state = &mut self.lock();
        state.answer_count += 1;
        let seed = self.options.seed;
        let mut stream = Stream::keyed(seed, Purpose::Request, &[state.answer_count]);
        [
            ("x-request-id", format!("req_{:016x}{:016x}", stream.next(), stream.next())),
            ("openai-organization", format!("org-sandbox-{seed}")),
            ("openai-version", "2020-10-01".to_owned()),
        ]
    }

    /// Every change of the state is a single assignment, so a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn unknown_url(method: Method, OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal::not_found(format!("Invalid URL ({method} {})", uri.path()))
}

async fn unknown_method(method: Method, OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal::method(method.as_str(), uri.path())
}
