//! A load: so many connections, each with one request under way at a time. HTTP by hand, because a
//! client's own work would be measured with the server's.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What is asked of a server.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    head: String,
    body: Arc<dyn Fn() -> String + Send + Sync>,
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
        Target { address, head, body: Arc::new(body) }
    }

    fn request(&self) -> Vec<u8> {
        let body = (self.body)();
        format!("{}content-length: {}\r\n\r\n{body}", self.head, body.len()).into_bytes()
    }
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        self.times.get(self.times.len() * percent / 100).copied().unwrap_or_default()
    }
}

/// Asks for so long, and says how it went.
pub(crate) async fn measure(
    target: &Target,
    connections: usize,
    round: Duration,
) -> Result<Measured> {
    let begun_at = Instant::now();
    let asking = (0..connections).map(|_| tokio::spawn(ask_on(target.clone(), begun_at + round)));
    let mut times = vec![];
    for asked in futures::future::join_all(asking).await {
        times.extend(asked??);
    }
    let took = begun_at.elapsed();
    times.sort_unstable();
    Ok(Measured { times, took })
}

async fn ask_on(target: Target, until: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut times = vec![];
    let mut buffer = Vec::with_capacity(1 << 16);
    while Instant::now() < until {
        let request = target.request();
        let sent_at = Instant::now();
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut buffer).await?;
        times.push(sent_at.elapsed());
    }
    Ok(times)
}

/// Reads one answer, which must be a good one and say how long it is.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await?;
        ensure!(read > 0, "the server hung up");
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 20"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("an answer says how long it is")?.trim().parse()?;
        if buffer.len() >= end + 4 + length {
            return Ok(());
        }
    }
}
