//! The binary: command line, configuration and wiring. It is the only place that reads the
//! environment.

mod app;
mod backup;
mod catalogue;
mod cli;
mod client;
mod clock;
mod clock_accept;
mod config;
mod connect;
mod costs;
mod demo;
mod demo_caps;
mod first_key;
mod follow_settings;
mod import;
mod operator;
mod output;
mod peers;
mod price_files;
mod prices_import;
mod prices_reprice;
mod prices_show;
mod sealer;
mod shard_skip;
mod shutdown;

use std::{io::IsTerminal as _, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use domain::Clock;
use mimalloc::MiMalloc;
use sandbox::{Sandbox, SandboxOptions};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{
    app::App,
    cli::{Cli, ClockCommand, Command, PricesCommand, SandboxArgs, ShardCommand},
    client::Client,
    clock::SystemClock,
    config::{Config, LogFormat},
    output::say,
};

/// Requests ask for memory many times over; the system's allocator took a fifth of their time.
#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::ParseWorker) {
        // Before any thread is started, so that the kernel's limits hold for the whole process.
        return jobs::parse_worker::main();
    }
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<()> {
    let config = Config::load(&cli.settings)?;
    let is_server = matches!(cli.command, Command::Serve | Command::Sandbox(_));
    start_logs(&config, cli.settings.log.is_none() && !is_server)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&config, cli.command))
}

async fn run(config: &Config, command: Command) -> Result<()> {
    match command {
        Command::Serve => serve(config).await,
        Command::Demo(args) => demo::run(config, &args).await,
        Command::Sandbox(args) => run_sandbox(config, &args).await,
        Command::Prices(PricesCommand::Diff(args)) => prices_import::diff(config, &args),
        Command::Prices(PricesCommand::Import(args)) => prices_import::import(config, &args),
        Command::Prices(PricesCommand::Show(args)) => {
            with_client(config, async |client| prices_show::run(client, &args).await).await
        }
        Command::Prices(PricesCommand::Reprice(args)) => {
            with_client(config, async |client| prices_reprice::run(client, &args).await).await
        }
        Command::Providers(args) => catalogue::providers(args.output),
        Command::Formats(args) => catalogue::formats(args.output),
        Command::Backup(args) => backup::back_up(config, &args.folder).await,
        Command::Restore(args) => backup::restore(config, &args.folder).await,
        Command::Clock(ClockCommand::Accept) => clock_accept::run(config).await,
        Command::Shard(ShardCommand::Skip(args)) => {
            with_client(config, async |client| shard_skip::run(client, &args).await).await
        }
        Command::Config => print_config(config),
        Command::Openapi => {
            say(api::openapi_json().trim_end());
            Ok(())
        }
        Command::ParseWorker => Ok(()),
        Command::Connect(args) => {
            with_client(config, async |client| connect::run(client, &args).await).await
        }
        Command::Sync(args) => {
            with_client(config, async |client| connect::sync(client, &args).await).await
        }
        Command::Import(args) => {
            with_client(config, async |client| import::run(client, &args).await).await
        }
        Command::Costs(args) => {
            with_client(config, async |client| costs::run(client, &args).await).await
        }
    }
}

async fn with_client(config: &Config, work: impl AsyncFnOnce(&Client) -> Result<()>) -> Result<()> {
    let client = Client::connect(config).await?;
    let done = work(&client).await;
    client.close().await;
    done
}

async fn serve(config: &Config) -> Result<()> {
    let app = App::start(config, config.listen).await?;
    if let Some(key) = &app.first_key {
        first_key::hand_over(key, config.first_key_file.as_deref(), say)?;
    }
    say(&format!("Outlay answers at http://{} (Ctrl-C stops it).", app.address));
    tracing::info!(address = %app.address, "listening");
    shutdown::requested().await;
    tracing::info!("stopping");
    app.stop().await;
    Ok(())
}

async fn run_sandbox(config: &Config, args: &SandboxArgs) -> Result<()> {
    let today = args.today.unwrap_or_else(|| domain::time::utc_day(SystemClock.now()));
    let sandbox = Sandbox::new(SandboxOptions::new(args.seed, today));
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    say(&format!(
        "The sandbox answers at http://{address} (seed {}, today is {today}).\n\
         Connect it:  OUTLAY_ALLOW_PRIVATE_URLS=1 outlay connect openai \
         --base-url http://{address}\n\
         Any key of the form sk-admin-… will do. Its books: http://{address}/_books",
        args.seed
    ));
    let serving = axum::serve(listener, sandbox.router());
    serving.with_graceful_shutdown(shutdown::requested()).await.context("serving the sandbox")
}

fn print_config(config: &Config) -> Result<()> {
    let rows = config.origins.iter();
    let rows =
        rows.map(|(name, (value, origin))| vec![(*name).to_owned(), value.clone(), origin.clone()]);
    let json = serde_json::value::to_raw_value(&config.origins)?;
    let listing = output::Listing {
        columns: vec!["setting", "value", "from"],
        rows: rows.collect(),
        json: &json,
    };
    listing.print(cli::Output::Table)
}

/// Logs go to standard error; commands at a terminal only speak up when something is wrong.
fn start_logs(config: &Config, is_quiet: bool) -> Result<()> {
    let filter = if is_quiet { "error" } else { config.log.as_str() };
    let wrong = format!("`{filter}` is no log filter");
    // The ticker reports its own start and end, which say nothing about Outlay.
    let filter = format!("tokio_cron_scheduler=warn,{filter}");
    let filter = EnvFilter::try_new(filter).context(wrong)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}
