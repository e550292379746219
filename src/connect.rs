//! `outlay connect` and `outlay sync`: a provider's billing API, connected and polled from the
//! command line.

use std::{
    io::{IsTerminal, stdin},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use inquire::{Password, PasswordDisplayMode, Text};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    cli::{ConnectArgs, SyncArgs},
    client::Client,
    output::say,
};

const POLL_EVERY: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
pub(crate) struct Connection {
    pub(crate) id: String,
    status: String,
    complete_through: Option<String>,
    error: Option<ConnectionError>,
}

#[derive(Deserialize)]
struct ConnectionError {
    message: String,
    what_to_do: String,
}

#[derive(Deserialize)]
struct Syncs {
    data: Vec<Sync>,
}

#[derive(Deserialize)]
struct Sync {
    id: String,
    state: String,
    charges_written: u64,
}

#[derive(Deserialize)]
struct Started {
    sync_id: String,
}

/// Makes a connection and waits for its first sync.
pub(crate) async fn run(client: &Client, args: &ConnectArgs) -> Result<()> {
    let connector = connectors::find(&args.provider).with_context(|| {
        format!(
            "`{}` is not a provider that can be connected: see `outlay providers`",
            args.provider
        )
    })?;
    let descriptor = connector.descriptor();
    let mut credentials = Map::new();
    for field in descriptor.auth_fields {
        credentials.insert(field.name.to_owned(), Value::String(ask(field)?));
    }
    let name = args.name.clone().unwrap_or_else(|| descriptor.title.to_owned());
    let mut body = json!({"provider": descriptor.id, "name": name, "credentials": credentials});
    if let Some(days) = args.backfill_days {
        body["backfill_days"] = days.into();
    }
    if let Some(url) = &args.base_url {
        body["base_url"] = url.as_str().into();
    }
    let connection: Connection = client.post("/v1/connections", &body).await?;
    say(&format!("Connected as {}.", connection.id));
    match args.no_wait {
        true => Ok(()),
        false => wait(client, &connection.id).await,
    }
}

/// Asks for a credential: without echo at a terminal, else one line of standard input.
fn ask(field: &domain::AuthField) -> Result<String> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        stdin().read_line(&mut line).context("reading a credential from standard input")?;
        let line = line.trim().to_owned();
        return match line.is_empty() {
            true => bail!("`{}` is missing: send it as a line of standard input", field.name),
            false => Ok(line),
        };
    }
    let answer = match field.is_secret {
        true => Password::new(&format!("{}:", field.title))
            .with_display_mode(PasswordDisplayMode::Hidden)
            .with_help_message(field.help)
            .without_confirmation()
            .prompt(),
        false => Text::new(&format!("{}:", field.title)).with_help_message(field.help).prompt(),
    };
    answer.context("nothing was entered")
}

/// Waits until the connection's open sync has ended, showing what it has written.
pub(crate) async fn wait(client: &Client, id: &str) -> Result<()> {
    let spinner = ProgressBar::new_spinner();
    spinner.set_message("reading the provider's history…");
    let mut ticks = tokio::time::interval(POLL_EVERY);
    let mut warned = String::new();
    loop {
        ticks.tick().await;
        spinner.tick();
        let connection: Connection = client.get(&format!("/v1/connections/{id}"), &[]).await?;
        if let Some(error) = &connection.error {
            let told = format!("{}\n  {}", error.message, error.what_to_do);
            if connection.status == "needs_attention" {
                spinner.finish_and_clear();
                bail!("{told}");
            }
            if told != warned {
                eprintln!("trying again: {told}");
                warned = told;
            }
        }
        let path = format!("/v1/connections/{id}/syncs");
        let syncs: Syncs = client.get(&path, &[("limit", "1000")]).await?;
        let written: u64 = syncs.data.iter().map(|sync| sync.charges_written).sum();
        spinner.set_message(format!("reading the provider's history… {written} charges"));
        let is_open = syncs.data.iter().any(|sync| is_open(&sync.state));
        if !is_open && connection.status == "ok" {
            spinner.finish_and_clear();
            let through = connection.complete_through.unwrap_or_else(|| "–".to_owned());
            say(&format!("{written} charges stored; complete through {through}."));
            return Ok(());
        }
    }
}

fn is_open(state: &str) -> bool {
    matches!(state, "queued" | "running")
}

/// Polls a connection now and waits for the end.
pub(crate) async fn sync(client: &Client, args: &SyncArgs) -> Result<()> {
    let id = &args.connection;
    let started: Started = client.post(&format!("/v1/connections/{id}/sync"), &json!({})).await?;
    let path = format!("/v1/connections/{id}/syncs");
    let mut ticks = tokio::time::interval(POLL_EVERY);
    loop {
        ticks.tick().await;
        let syncs: Syncs = client.get(&path, &[("limit", "1000")]).await?;
        let sync = syncs.data.iter().find(|sync| sync.id == started.sync_id);
        match sync {
            Some(sync) if is_open(&sync.state) => {}
            Some(sync) if sync.state == "done" => {
                say(&format!("{} new or changed charges.", sync.charges_written));
                return Ok(());
            }
            _ => return wait(client, id).await,
        }
    }
}
