//! `outlay demo`: the product on made-up data, from nothing to costs, by the same calls that a user
//! would make.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use domain::Clock;
use sandbox::{Sandbox, SandboxOptions};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    app::App,
    cli::DemoArgs,
    client::Client,
    clock::SystemClock,
    config::{Config, KeyOrigin},
    connect::{self, Connection},
    costs::{self, Costs},
    demo_caps,
    output::say,
    shutdown,
};

/// An excerpt of the FinOps Foundation's public sample data; its notice lies beside it.
const SAMPLE: &str = include_str!("../parsers/fixtures/focus/focus_1.0_sample_excerpt.csv");
const SAMPLE_NAME: &str = "focus_1.0_sample_excerpt.csv";
/// The sandbox takes any key of the right shape.
const SANDBOX_KEY: &str = "sk-admin-outlay-demo";

#[derive(Deserialize)]
struct Uploaded {
    id: String,
}

#[derive(Deserialize)]
struct File {
    state: String,
}

/// Runs the demo, then serves on until stopped.
pub(crate) async fn run(config: &Config, args: &DemoArgs) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("outlay-demo-").tempdir()?;
    let mut config = config.clone();
    config.store = store::StoreUrl::Sqlite(folder.path().join("demo.db"));
    config.key = KeyOrigin::File(folder.path().join("demo.key"));
    config.allow_private_urls = true;
    let app = start(&config).await?;
    let key = app.first_key.clone().context("a fresh store makes a first key")?;
    say(&format!("Outlay is running at http://{}\n", app.address));
    let (sandbox_url, sandbox) = start_sandbox(args.seed).await?;
    let told = tell(&app, folder.path(), args, &sandbox_url).await;
    if told.is_ok() {
        say(&things_to_try(app.address, key.expose(), &sandbox_url));
        if !args.exit {
            say("Ctrl-C stops the demo and removes its data.");
            shutdown::requested().await;
        }
    }
    app.stop().await;
    sandbox.abort();
    told
}

/// Starts at the configured address, or at a free port where that is taken.
async fn start(config: &Config) -> Result<App> {
    match TcpListener::bind(config.listen).await {
        Ok(free) => {
            drop(free);
            App::start(config, config.listen).await
        }
        Err(_) => App::start(config, SocketAddr::new(config.listen.ip(), 0)).await,
    }
}

async fn start_sandbox(seed: u64) -> Result<(String, tokio::task::JoinHandle<()>)> {
    let today = domain::time::utc_day(SystemClock.now());
    let sandbox = Sandbox::new(SandboxOptions::new(seed, today));
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, sandbox.router()).await {
            tracing::error!(error = %error, "the sandbox failed");
        }
    });
    Ok((url, task))
}

/// Connects, back-fills, imports, and prints what it costs.
async fn tell(app: &App, folder: &Path, args: &DemoArgs, sandbox_url: &str) -> Result<()> {
    let client = Client::of_app(app)?;
    say(&format!("1. Connecting OpenAI (the sandbox at {sandbox_url}), {} days back…", args.days));
    let body = json!({
        "provider": "openai",
        "name": "Sandbox",
        "credentials": {"admin_key": SANDBOX_KEY},
        "base_url": sandbox_url,
        "backfill_days": args.days,
    });
    let connection: Connection = client.post("/v1/connections", &body).await?;
    connect::wait(&client, &connection.id).await?;
    say("\n2. Importing a FOCUS file (an excerpt of the FinOps Foundation's public sample)…");
    import_sample(&client, folder).await?;
    say("\n3. What did it cost?");
    let from = "2024-01-01";
    print_costs(&client, from, "provider", "By platform, all time:").await?;
    let recent = SystemClock.now() - jiff::SignedDuration::from_hours(24 * i64::from(args.days));
    let recent = domain::time::utc_day(recent).to_string();
    let title = format!("By model, the last {} days:", args.days);
    print_costs(&client, &recent, "provider,model", &title).await?;
    demo_caps::tell(&client).await
}

async fn import_sample(client: &Client, folder: &Path) -> Result<()> {
    let path = folder.join(SAMPLE_NAME);
    std::fs::write(&path, SAMPLE)?;
    let uploaded: Uploaded = client.upload(&path, Vec::new()).await?;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let file: File = client.get(&format!("/v1/files/{}", uploaded.id), &[]).await?;
        match file.state.as_str() {
            "queued" | "parsing" => {}
            "done" => {
                say(&format!("{SAMPLE_NAME} imported as {}.", uploaded.id));
                return Ok(());
            }
            other => anyhow::bail!("the sample file ended as `{other}`"),
        }
    }
}

async fn print_costs(client: &Client, from: &str, group_by: &str, title: &str) -> Result<()> {
    let query = [("granularity", "total"), ("group_by", group_by), ("from", from)];
    let costs: Costs = client.get("/v1/costs", &query).await?;
    let dimensions: Vec<_> = group_by.split(',').collect();
    say(&format!("\n{title}\n{}", costs::listing(&costs, &dimensions, false)?.table()));
    costs::print_totals(&costs);
    Ok(())
}

fn things_to_try(address: SocketAddr, key: &str, sandbox_url: &str) -> String {
    // The program may be in no folder of the user's PATH.
    let program = std::env::current_exe().unwrap_or_else(|_| "outlay".into());
    let program = program.display();
    format!(
        "
The owner's API key of this demo: {key}

Four things to try, in another terminal:

  # costs per day and model, as JSON
  curl -s -H 'Authorization: Bearer {key}' \\
    'http://{address}/v1/costs?granularity=day&group_by=provider,model'

  # may the capped application call again?
  curl -s -H 'Authorization: Bearer {key}' \\
    'http://{address}/v1/check?path=demo/block&service=openai&model=gpt-4o'

  # the provider's own books: they agree to the last digit
  curl -s '{sandbox_url}/_books'

  # the same costs as a table, from the command line
  OUTLAY_URL=http://{address} OUTLAY_API_KEY={key} \\
    {program} costs --granularity month
"
    )
}
