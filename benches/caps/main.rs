//! How fast caps answer over HTTP, beside a floor: an endpoint of the same HTTP stack that parses a
//! JSON body of 300 bytes and gives it back. Each round asks the floor and one of ours in turn, so
//! what is compared was measured within the same seconds; the median of the rounds' ratios is told.
//! Requests go to the real binary, on an SQLite store and on a replica set where there is one;
//! every reservation and report is durable. The floor is a process of its own, as the server is.
//! `cargo bench --bench caps -- check` measures only what has `check` in its name;
//! `-- open` asks at a steady rate, `-- contended` under one cap that all share, and
//! `cargo bench --bench caps -- recovery 10000000` books so many events, kills and starts again.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_types, clippy::float_arithmetic, reason = "ratios for a person")]

mod contended;
mod litellm;
mod load;
mod mongo;
mod recovery;
mod redis;

use std::{
    fmt::Write,
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

use litellm::{LiteLlm, resident_mib};
use load::{Load, Measured, Target, measure, measure_at};
use mongo::Mongo;
use redis::Redis;

const OUTLAY: &str = env!("CARGO_BIN_EXE_outlay");
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

/// The floor has the memory of the server.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The argument with which this program is the floor.
const SERVE_FLOOR: &str = "serve-floor";

fn main() -> Result<()> {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match wanted.as_deref() {
        Some(SERVE_FLOOR) => runtime.block_on(serve_floor()),
        Some("recovery") => {
            let count = std::env::args().filter_map(|argument| argument.parse().ok()).next();
            runtime.block_on(recovery::recover(count.unwrap_or(1_000_000)))
        }
        Some("contended") => runtime.block_on(contended::contend()),
        Some("open") => runtime.block_on(open_loop()),
        wanted => runtime.block_on(run(wanted.unwrap_or_default())),
    }
}

async fn run(wanted: &str) -> Result<()> {
    let (_floor, floor) = start_floor().await?;
    let floor = Load::Ask(echo(floor));
    println!("{ROUNDS} rounds of {ROUND:?} each; the median of the rounds' ratios to what is in");
    println!("turn with it: F the floor, R Redis, and what is named");
    on_sqlite(wanted, &floor).await?;
    match Backend::all().into_iter().find(|backend| matches!(backend, Backend::Mongo(_))) {
        Some(backend) => on_mongo(wanted, &backend).await,
        None => {
            println!("there is no replica set here (`mongod-set -- …`): MongoDB is not measured");
            Ok(())
        }
    }
}

/// Checks at a steady rate, whoever is slow, and the floor's p50 in the same rounds.
async fn open_loop() -> Result<()> {
    let (_floor, address) = start_floor().await?;
    let floor = echo(address);
    let home = Home::new(OUTLAY, &Backend::Sqlite)?;
    let product = start(&home).await?;
    let check = targets(&product).into_iter().next().context("there are targets")?;
    let Load::Ask(check) = check.2 else { return Ok(()) };
    for per_second in [2_000, 5_000, 10_000, 20_000] {
        let (mut ratios, mut told) = (vec![], String::new());
        for _ in 0..ROUNDS {
            let below = measure_at(&floor, per_second, 64, ROUND).await?;
            let above = measure_at(&check, per_second, 64, ROUND).await?;
            let p50s = (above.quantile(50), below.quantile(50));
            ratios.push(p50s.0.as_secs_f64() / p50s.1.as_secs_f64());
            told = format!(
                "p50 {:?} ({:?})   p99 {:?} ({:?})   {:.0}/s ({:.0}/s)",
                p50s.0,
                p50s.1,
                above.quantile(99),
                below.quantile(99),
                above.per_second(),
                below.per_second()
            );
        }
        ratios.sort_by(f64::total_cmp);
        println!("check, {per_second:>6}/s: p50 {:.2} of F   {told}", ratios[ROUNDS / 2]);
    }
    product.stop().await
}

/// What is asked of the floor: 300 bytes of JSON.
fn echo(address: SocketAddr) -> Target {
    let body = json!({"filler": "x".repeat(286)}).to_string();
    Target::new(address, "POST", "/echo", "", move || body.clone())
}

async fn on_sqlite(wanted: &str, floor: &Load) -> Result<()> {
    let home = Home::new(OUTLAY, &Backend::Sqlite)?;
    let product = start(&home).await?;
    let redis = Redis::start().await?;
    if redis.is_none() {
        println!("there is no `redis-server` here: nothing is compared with it");
    }
    for connections in [64, 256] {
        // More batches at once than that are more than a shard's queue takes.
        let fits = |(name, unit, _): &(&str, usize, Load)| {
            name.contains(wanted) && (*unit == 1 || connections <= 64)
        };
        for ours in targets(&product).into_iter().filter(fits) {
            compare(("F", 1, floor), &ours, connections).await?;
        }
        if let Some(redis) = &redis {
            let rival = redis.reserve().await?;
            for ours in targets(&product).into_iter().filter(fits) {
                if ours.1 == 1 && ours.0.contains("durable") {
                    compare(("R", 1, &rival), &ours, connections).await?;
                }
            }
        }
    }
    if let Some(check) = targets(&product).into_iter().find(|ours| ours.0.contains(wanted))
        && check.0 == "check"
        && let Some(proxy) = LiteLlm::start().await?
    {
        compare(("LiteLLM", 1, &proxy.completion()), &check, 64).await?;
        let (ours, theirs) = (resident_mib(product.pid()?)?, proxy.resident_mib()?);
        println!("memory after it: {ours} MiB, the LiteLLM proxy {theirs} MiB");
    }
    product.stop().await
}

/// On three members of a replica set on this machine.
async fn on_mongo(wanted: &str, backend: &Backend) -> Result<()> {
    let Backend::Mongo(uri) = backend else { return Ok(()) };
    let home = Home::new(OUTLAY, backend)?;
    let product = start(&home).await?;
    let mongo = Mongo::open(uri).await?;
    let of = |name: &str| targets(&product).into_iter().find(|target| target.0.starts_with(name));
    let (reserve, track) = (of("reserve").context("one")?, of("track of 500").context("one")?);
    println!("on MongoDB, three members");
    for connections in [64, 256] {
        if reserve.0.contains(wanted) {
            let rivals =
                [("findAndModify", mongo.hot_document()), ("bare insert", mongo.bare_insert())];
            for (name, rival) in &rivals {
                compare((name, 1, rival), &reserve, connections).await?;
            }
        }
    }
    if track.0.contains(wanted) {
        let rivals = [("insertMany", mongo.insert_many(500)), ("packed", mongo.packed(500))];
        for (name, rival) in &rivals {
            compare((name, 500, rival), &track, 8).await?;
        }
    }
    product.stop().await
}

/// A server with a policy on each of four levels, logging as it does by itself.
async fn start(home: &Home) -> Result<Product> {
    let product = Product::start_with(home, &["--log", "info"]).await?;
    for path in ["", "acme", "acme/search", "acme/search/rewrite"] {
        let policy = json!({"path": path, "limit": {"unit": "usd", "amount": "1000000000"},
            "window": {"kind": "calendar", "unit": "day"}, "mode": "strict"});
        product.post("/v1/policies", &policy).await?;
    }
    Ok(product)
}

/// What is measured: its name, and what it asks. Bodies are made of text that is ready, since what
/// making them takes is taken from the server.
fn targets(product: &Product) -> Vec<(&'static str, usize, Load)> {
    let (address, key) = (product.address, product.key.as_str());
    let path = "/v1/check?path=acme/search/rewrite/leaf&service=openai&model=gpt-4o";
    let check = Target::new(address, "GET", path, key, String::new);
    let estimate = json!({"path": "acme/search/rewrite/leaf", "service": "openai",
        "model": "gpt-4o", "estimate": {"usage": {"input_tokens": 1000, "output_tokens": 200}},
        "ttl_seconds": 20})
    .to_string();
    let reserve = Target::new(address, "POST", "/v1/reservations", key, move || estimate.clone());
    let one = Target::new(address, "POST", "/v1/track", key, || events(1));
    let many = Target::new(address, "POST", "/v1/track", key, || events(500));
    vec![
        ("check", 1, Load::Ask(check)),
        ("reserve, durable", 1, Load::Ask(reserve)),
        ("track of one event, durable", 1, Load::Ask(one)),
        ("track of 500 events, durable", 500, Load::Ask(many)),
    ]
}

/// A report of so many events that nobody has seen.
fn events(count: usize) -> String {
    let mut body = String::with_capacity(16 + count * 192);
    body.push_str(r#"{"events":["#);
    for number in 0..count {
        let comma = if number > 0 { "," } else { "" };
        let id = new_id();
        write!(body, r#"{comma}{{"id":"{id:032x}",{EVENT}"#).expect("a string takes all");
    }
    body.push_str("]}");
    body
}

/// An event after its id.
const EVENT: &str = concat!(
    r#""path":"acme/search/rewrite/leaf","service":"openai","model":"gpt-4o","#,
    r#""usage":{"input_tokens":1000,"output_tokens":200}}"#
);

/// Spread over the whole range, as random ids are.
fn new_id() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}

/// Asks both in turn; `unit` is how many of what is counted one call has.
async fn compare(
    (name, their_unit, theirs): (&str, usize, &Load),
    (what, unit, ours): &(&'static str, usize, Load),
    connections: usize,
) -> Result<()> {
    let mut ratios = vec![];
    let mut last: Option<(Measured, Measured)> = None;
    for _ in 0..ROUNDS {
        let below = measure(theirs, connections, ROUND).await?;
        let above = measure(ours, connections, ROUND).await?;
        let per_second =
            (above.per_second() * *unit as f64, below.per_second() * their_unit as f64);
        ratios.push(per_second.0 / per_second.1);
        last = Some((below, above));
    }
    ratios.sort_by(f64::total_cmp);
    let (below, above) = last.context("there are rounds")?;
    println!(
        "{connections:>3} connections  {what:<30} {:>6.2} {name}   {:>8.0}/s ({:>8.0}/s)   \
         p50 {:?} ({:?})   p99 {:?} ({:?})",
        ratios[ratios.len() / 2],
        above.per_second() * *unit as f64,
        below.per_second() * their_unit as f64,
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
