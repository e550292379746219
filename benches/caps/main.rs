//! How fast caps answer over HTTP, beside a floor: an endpoint of the same HTTP stack that parses a
//! JSON body of 300 bytes and gives it back. Each round asks the floor and one of ours in turn, so
//! what is compared was measured within the same seconds; the median of the rounds' ratios is told.
//! Requests go to the real binary on an SQLite store; every reservation and report is durable. The
//! floor is a process of its own, as the server is. `cargo bench --bench caps -- check` measures
//! only what has `check` in its name.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_types, clippy::float_arithmetic, reason = "ratios for a person")]

mod load;

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Json, Router, routing::post};
use product::{Backend, Home, Product};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use load::{Measured, Target, measure};

const OUTLAY: &str = env!("CARGO_BIN_EXE_outlay");
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

/// The argument with which this program is the floor.
const SERVE_FLOOR: &str = "serve-floor";

fn main() -> Result<()> {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match wanted.as_deref() {
        Some(SERVE_FLOOR) => runtime.block_on(serve_floor()),
        wanted => runtime.block_on(run(wanted.unwrap_or_default())),
    }
}

async fn run(wanted: &str) -> Result<()> {
    let (_floor, floor) = start_floor().await?;
    let home = Home::new(OUTLAY, &Backend::Sqlite)?;
    let product = Product::start_with(&home, &["--log", "warn,outlay=info"]).await?;
    for path in ["", "acme", "acme/search", "acme/search/rewrite"] {
        let policy = json!({"path": path, "limit": {"unit": "usd", "amount": "1000000000"},
            "window": {"kind": "calendar", "unit": "day"}, "mode": "strict"});
        product.post("/v1/policies", &policy).await?;
    }
    let body = json!({"filler": "x".repeat(286)}).to_string();
    let floor = Target::new(floor, "POST", "/echo", "", move || body.clone());
    println!("{ROUNDS} rounds of {ROUND:?} each; ratios to the floor of the same round, medians");
    for connections in [64, 256] {
        // More batches at once than that are more than a shard's queue takes.
        let fits = |(name, unit, _): &(&str, usize, Target)| {
            name.contains(wanted) && (*unit == 1 || connections <= 64)
        };
        for ours in targets(&product).into_iter().filter(fits) {
            compare(&floor, &ours, connections).await?;
        }
    }
    product.stop().await
}

/// What is measured: its name, and what it asks.
fn targets(product: &Product) -> Vec<(&'static str, usize, Target)> {
    let (address, key) = (product.address, product.key.as_str());
    let path = "/v1/check?path=acme/search/rewrite/leaf&service=openai&model=gpt-4o";
    let check = Target::new(address, "GET", path, key, String::new);
    let reserve = Target::new(address, "POST", "/v1/reservations", key, || {
        json!({"path": "acme/search/rewrite/leaf", "service": "openai", "model": "gpt-4o",
            "estimate": {"usage": {"input_tokens": 1000, "output_tokens": 200}},
            "ttl_seconds": 20})
        .to_string()
    });
    let one = Target::new(address, "POST", "/v1/track", key, || events(1));
    let many = Target::new(address, "POST", "/v1/track", key, || events(500));
    vec![
        ("check", 1, check),
        ("reserve, durable", 1, reserve),
        ("track of one event, durable", 1, one),
        ("track of 500 events, durable", 500, many),
    ]
}

fn events(count: u64) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    let events: Vec<Value> = (first..first + count)
        .map(|number| {
            // Spread over the whole range, as random ids are.
            let id = format!(
                "{:032x}",
                u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
            );
            json!({"id": id, "path": "acme/search/rewrite/leaf", "service": "openai",
                "model": "gpt-4o", "usage": {"input_tokens": 1000, "output_tokens": 200}})
        })
        .collect();
    json!({"events": events}).to_string()
}

async fn compare(
    floor: &Target,
    (what, unit, ours): &(&'static str, usize, Target),
    connections: usize,
) -> Result<()> {
    let mut ratios = vec![];
    let mut last: Option<(Measured, Measured)> = None;
    for _ in 0..ROUNDS {
        let below = measure(floor, connections, ROUND).await?;
        let above = measure(ours, connections, ROUND).await?;
        ratios.push(above.per_second() / below.per_second());
        last = Some((below, above));
    }
    ratios.sort_by(f64::total_cmp);
    let (below, above) = last.context("there are rounds")?;
    println!(
        "{connections:>3} connections  {what:<30} {:>5.2} F   {:>8.0}/s (F {:>8.0}/s)   p50 {:?} \
         (F {:?})   p99 {:?} (F {:?})",
        ratios[ratios.len() / 2] * *unit as f64,
        above.per_second() * *unit as f64,
        below.per_second(),
        above.quantile(50),
        below.quantile(50),
        above.quantile(99),
        below.quantile(99),
    );
    Ok(())
}

/// The floor, as a process that ends with this one.
async fn start_floor() -> Result<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(SERVE_FLOOR)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut address = String::new();
    let stdout = child.stdout.take().context("what it says is piped")?;
    BufReader::new(stdout).read_line(&mut address).await?;
    Ok((child, address.trim().parse()?))
}

async fn serve_floor() -> Result<()> {
    let router = Router::new().route("/echo", post(|Json(body): Json<Value>| async { Json(body) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}
