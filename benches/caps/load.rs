//! A load: so many connections, each with one request under way at a time. The protocols by hand,
//! because a client's own work would be measured with the server's.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What one connection does again and again.
#[derive(Clone)]
pub(crate) enum Load {
    /// Asks a server, on a socket of its own.
    Ask(Target),
    /// Calls a driver, which has sockets of its own.
    Call(Call),
}

/// A call of a driver.
pub(crate) type Call = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// What is asked of a server.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    request: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// Whether an answer is whole; an error where it is a bad one.
    is_whole: fn(&[u8]) -> Result<bool>,
}

/// How long each request took.
pub(crate) struct Measured {
    times: Vec<Duration>,
    took: Duration,
}

impl Target {
    pub(crate) fn new(
        address: SocketAddr,
        method: &str,
        path: &str,
        key: &str,
        body: impl Fn() -> String + Send + Sync + 'static,
    ) -> Target {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\n"
        );
        let request = move || {
            let body = body();
            format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        Target { address, request: Arc::new(request), is_whole: is_whole_http }
    }

    /// A refusal is an answer as well.
    pub(crate) fn or_refused(self) -> Target {
        Target { is_whole: is_whole_or_refused, ..self }
    }

    /// A Redis command, whose answer is a number other than zero.
    pub(crate) fn redis(address: SocketAddr, command: &[&str]) -> Target {
        let mut request = format!("*{}\r\n", command.len());
        for word in command {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let request = request.into_bytes();
        Target { address, request: Arc::new(move || request.clone()), is_whole: is_whole_redis }
    }
}

impl Measured {
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        self.times.get(self.times.len() * percent / 100).copied().unwrap_or_default()
    }
}

/// Asks for so long, and says how it went.
pub(crate) async fn measure(load: &Load, connections: usize, round: Duration) -> Result<Measured> {
    let begun_at = Instant::now();
    let until = begun_at + round;
    let asking = (0..connections).map(|_| match load.clone() {
        Load::Ask(target) => tokio::spawn(ask_on(target, until)),
        Load::Call(call) => tokio::spawn(call_until(call, until)),
    });
    let mut times = vec![];
    for asked in futures::future::join_all(asking).await {
        times.extend(asked??);
    }
    let took = begun_at.elapsed();
    times.sort_unstable();
    Ok(Measured { times, took })
}

/// Asks so often a second, each connection at instants of its own, answered or not. A time counts
/// from the instant at which it was to be sent, where the connection was still busy then; else from
/// its sending, since a timer is up to a millisecond late.
pub(crate) async fn measure_at(
    target: &Target,
    per_second: u32,
    connections: u32,
    round: Duration,
) -> Result<Measured> {
    let begun_at = Instant::now();
    let every = Duration::from_secs(1) * connections / per_second;
    let asking = (0..connections).map(|number| {
        let first_at = begun_at + every * number / connections;
        tokio::spawn(ask_at(target.clone(), first_at, every, begun_at + round))
    });
    let mut times = vec![];
    for asked in futures::future::join_all(asking).await {
        times.extend(asked??);
    }
    let took = begun_at.elapsed();
    times.sort_unstable();
    Ok(Measured { times, took })
}

async fn ask_at(
    target: Target,
    mut due_at: Instant,
    every: Duration,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut times = vec![];
    let mut buffer = Vec::with_capacity(1 << 16);
    while due_at < until {
        let request = (target.request)();
        let mut counts_from = due_at;
        if Instant::now() < due_at {
            tokio::time::sleep_until(due_at.into()).await;
            counts_from = Instant::now();
        }
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut buffer, target.is_whole).await?;
        times.push(counts_from.elapsed());
        due_at += every;
    }
    Ok(times)
}

async fn call_until(call: Call, until: Instant) -> Result<Vec<Duration>> {
    let mut times = vec![];
    while Instant::now() < until {
        let sent_at = Instant::now();
        call().await?;
        times.push(sent_at.elapsed());
    }
    Ok(times)
}

async fn ask_on(target: Target, until: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut times = vec![];
    let mut buffer = Vec::with_capacity(1 << 16);
    // At least once.
    while times.is_empty() || Instant::now() < until {
        let request = (target.request)();
        let sent_at = Instant::now();
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut buffer, target.is_whole).await?;
        times.push(sent_at.elapsed());
    }
    Ok(times)
}

/// Reads one answer, which must be a good one.
async fn read_answer(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    is_whole: fn(&[u8]) -> Result<bool>,
) -> Result<()> {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await?;
        ensure!(read > 0, "the server hung up");
        if is_whole(buffer)? {
            return Ok(());
        }
    }
}

fn is_whole_http(answer: &[u8]) -> Result<bool> {
    is_whole_of("http/1.1 20", answer)
}

fn is_whole_or_refused(answer: &[u8]) -> Result<bool> {
    is_whole_of("http/1.1 ", answer)
}

fn is_whole_of(status: &str, answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    ensure!(head.starts_with(status), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer says how long it is")?.trim().parse()?;
    Ok(answer.len() >= end + 4 + length)
}

fn is_whole_redis(answer: &[u8]) -> Result<bool> {
    let text = std::str::from_utf8(answer)?;
    ensure!(!text.starts_with('-') && text != ":0\r\n", "{text}");
    Ok(text.ends_with("\r\n"))
}
