//! A sandbox on a loopback port, and the least HTTP client that can ask it something.
//!
//! Amounts are read as the text they were sent as and never pass through a float.

use std::collections::BTreeMap;

use domain::fixed;
use jiff::civil::{Date, date};
use sandbox::{Sandbox, SandboxOptions};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const TODAY: Date = date(2026, 11, 20);
pub(crate) const ADMIN_KEY: &str = "sk-admin-sandbox";
pub(crate) const DAY: i64 = 86_400;

/// A running sandbox.
pub(crate) struct Server {
    pub(crate) sandbox: Sandbox,
    address: std::net::SocketAddr,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Page<R> {
    pub(crate) data: Vec<Bucket<R>>,
    pub(crate) has_more: bool,
    pub(crate) next_page: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Bucket<R> {
    pub(crate) start_time: i64,
    pub(crate) end_time: i64,
    pub(crate) results: Vec<R>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Cost {
    pub(crate) amount: Amount,
    pub(crate) line_item: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) api_key_id: Option<String>,
    pub(crate) quantity: Option<u64>,
    pub(crate) quantity_unit: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Amount {
    value: Box<RawValue>,
    pub(crate) currency: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Completions {
    pub(crate) input_tokens: u64,
    pub(crate) input_cached_tokens: u64,
    pub(crate) input_uncached_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) num_model_requests: u64,
    pub(crate) project_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) api_key_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) batch: Option<bool>,
    pub(crate) service_tier: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: FailureBody,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FailureBody {
    pub(crate) message: String,
    pub(crate) r#type: String,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<String>,
}

impl Amount {
    pub(crate) fn text(&self) -> &str {
        self.value.get()
    }

    pub(crate) fn femtos(&self) -> i128 {
        fixed::parse_exact(self.text()).expect("an amount is a decimal of fifteen places at most")
    }
}

impl Answer {
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The error of an answer with this status.
    pub(crate) fn failure(&self, status: u16) -> FailureBody {
        assert_eq!(self.status, status, "{}", self.body);
        self.json::<Failure>().error
    }
}

impl Server {
    /// A sandbox that throttles nothing and bills at once, unless `change` says otherwise.
    pub(crate) async fn start(change: impl FnOnce(&mut SandboxOptions)) -> Server {
        let mut options = SandboxOptions::new(7, TODAY);
        options.throttle = None;
        options.bills_late = false;
        change(&mut options);
        let sandbox = Sandbox::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let router = sandbox.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Server { sandbox, address }
    }

    pub(crate) async fn plain() -> Server {
        Server::start(|_| {}).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Some(ADMIN_KEY), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, None, body).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> Answer {
        let authorization =
            key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n{authorization}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.expect("the sandbox listens");
        stream.write_all(request.as_bytes()).await.expect("the sandbox reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("the sandbox answers in UTF-8");
        read_answer(&text)
    }

    /// Follows the cursors of `path` to the end; every parameter is repeated with each.
    pub(crate) async fn all<R: for<'a> Deserialize<'a>>(&self, path: &str) -> Vec<Bucket<R>> {
        let mut buckets = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("{path}{cursor}")).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let page: Page<R> = answer.json();
            assert_eq!(page.has_more, page.next_page.is_some());
            buckets.extend(page.data);
            match page.next_page {
                Some(next) => cursor = format!("&page={}", encode(&next)),
                None => return buckets,
            }
        }
    }

    pub(crate) async fn costs(&self, query: &str) -> Vec<Bucket<Cost>> {
        self.all(&format!("/v1/organization/costs?{query}")).await
    }

    pub(crate) async fn completions(&self, query: &str) -> Vec<Bucket<Completions>> {
        self.all(&format!("/v1/organization/usage/completions?{query}")).await
    }
}

/// Unix seconds of a midnight.
pub(crate) fn midnight(day: Date) -> i64 {
    domain::time::day_start(day).as_second()
}

/// `start_time=…&end_time=…` of whole days.
pub(crate) fn days(from: Date, to: Date) -> String {
    format!("start_time={}&end_time={}", midnight(from), midnight(to))
}

pub(crate) fn sum(buckets: &[Bucket<Cost>]) -> i128 {
    buckets.iter().flat_map(|bucket| &bucket.results).map(|cost| cost.amount.femtos()).sum()
}

/// Input, cached, output, requests.
pub(crate) fn tokens(buckets: &[Bucket<Completions>]) -> [u64; 4] {
    buckets.iter().flat_map(|bucket| &bucket.results).fold([0; 4], |sum, used| {
        assert_eq!(used.input_tokens, used.input_cached_tokens + used.input_uncached_tokens);
        [
            sum[0] + used.input_tokens,
            sum[1] + used.input_cached_tokens,
            sum[2] + used.output_tokens,
            sum[3] + used.num_model_requests,
        ]
    })
}

fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn read_answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|code| code.parse().ok()).expect("an answer has a status");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
}
