//! A transport that answers from a fixture, and a clock that stands still.

use std::sync::{Arc, Mutex};

use connectors::{Driver, DriverLimits, Settings, Transport};
use domain::Clock;
use jiff::Timestamp;
use net::{HeaderMap, HeaderName, HeaderValue, HttpRequest, HttpResponse, NetError, NetErrorKind};

use crate::fixture::Fixture;

/// Answers requests as recorded. A request that is not recorded is noted and refused.
pub(crate) struct ReplayTransport {
    fixture: Arc<Fixture>,
    settings: Settings,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How often each exchange was asked for.
    counts: Vec<usize>,
    unexpected: Vec<String>,
    requests: Vec<HttpRequest>,
}

impl ReplayTransport {
    pub(crate) fn new(fixture: &Arc<Fixture>) -> Arc<ReplayTransport> {
        let counts = vec![0; fixture.exchanges.len()];
        let seen = Mutex::new(Seen { counts, ..Seen::default() });
        let settings = fixture.settings();
        Arc::new(ReplayTransport { fixture: Arc::clone(fixture), settings, seen })
    }

    /// Everything that was sent.
    pub(crate) fn requests(&self) -> Vec<HttpRequest> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// What was sent and not recorded.
    pub(crate) fn unexpected(&self) -> Vec<String> {
        self.seen.lock().unwrap().unexpected.clone()
    }

    /// Paths of recorded exchanges that nobody asked for.
    pub(crate) fn unused(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let unused = self.fixture.exchanges.iter().zip(&seen.counts);
        let unused = unused.filter(|(_, count)| **count == 0);
        unused.map(|(exchange, _)| format!("{} {:?}", exchange.path, exchange.query)).collect()
    }

    fn answer(&self, index: usize, count: usize) -> HttpResponse {
        let answers = &self.fixture.exchanges[index].answers;
        let answer = answers.get(count).or(answers.last()).expect("an exchange has an answer");
        let header = |(name, value): (&String, &String)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = answer.headers.iter().map(header).collect();
        HttpResponse { status: answer.status, headers, body: answer.body(&self.settings).into() }
    }
}

fn query_of(request: &HttpRequest) -> Vec<String> {
    let pairs = request.url.query_pairs();
    let mut pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    pairs.sort();
    pairs
}

#[async_trait::async_trait]
impl Transport for ReplayTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let query = query_of(&request);
        let mut seen = self.seen.lock().unwrap();
        let index = self.fixture.exchanges.iter().position(|exchange| {
            let mut recorded = exchange.query.clone();
            recorded.sort();
            exchange.path == request.url.path() && recorded == query
        });
        let Some(index) = index else {
            let asked = format!("{} {query:?}", request.url.path());
            // The driver asks again; once is enough to be told.
            if !seen.unexpected.contains(&asked) {
                seen.unexpected.push(asked);
            }
            return Err(NetError::new(NetErrorKind::Connect, "this request is not recorded"));
        };
        seen.requests.push(request);
        let count = seen.counts[index];
        seen.counts[index] += 1;
        Ok(self.answer(index, count))
    }
}

/// A clock that stands still.
pub(crate) struct FakeClock(pub(crate) Timestamp);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) fn driver(fixture: &Fixture, transport: &Arc<ReplayTransport>) -> Driver {
    let transport: Arc<dyn Transport> = Arc::<ReplayTransport>::clone(transport);
    Driver::new(transport, Arc::new(FakeClock(fixture.now)), DriverLimits::default())
}
