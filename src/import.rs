//! `outlay import`: uploads billing files, shows how far each has come, then what it holds.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::{ImportArgs, Output},
    client::Client,
    output::{Listing, say},
};

const POLL_EVERY: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Uploaded {
    id: String,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct File {
    state: String,
    progress: Progress,
    format: Option<String>,
    rows: u64,
    charges: u64,
    totals: Vec<Total>,
    warnings: Vec<Problem>,
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Progress {
    bytes_parsed: u64,
}

#[derive(Deserialize)]
struct Total {
    currency: String,
    billed_cost: String,
}

#[derive(Deserialize)]
struct Problem {
    row: Option<u64>,
    column: Option<String>,
    code: String,
    message: String,
}

/// What became of one file.
struct Imported {
    name: String,
    is_duplicate: bool,
    file: File,
    json: Box<RawValue>,
}

/// Imports files one after the other; fails at the end if any was refused.
pub(crate) async fn run(client: &Client, args: &ImportArgs) -> Result<()> {
    let mut imported = Vec::new();
    for path in &args.files {
        let file = import(client, path, args).await?;
        if args.output.output == Output::Table {
            print_problems(&file);
        }
        imported.push(file);
    }
    print(&imported, args.output.output)?;
    let refused = imported.iter().filter(|file| file.file.state != "done").count();
    match refused {
        0 => Ok(()),
        1 => bail!("one file was not imported; nothing of it was kept"),
        many => bail!("{many} files were not imported; nothing of them was kept"),
    }
}

async fn import(client: &Client, path: &Path, args: &ImportArgs) -> Result<Imported> {
    let mut fields = Vec::new();
    fields.extend(args.provider.clone().map(|value| ("provider", value)));
    fields.extend(args.account.clone().map(|value| ("account", value)));
    if args.skip_bad_rows {
        fields.push(("on_error", "skip".to_owned()));
    }
    let name = path.display().to_string();
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = progress_bar(size, &name);
    let uploaded: Uploaded = client.upload(path, fields).await?;
    let json = wait(client, &uploaded.id, &bar).await?;
    bar.finish_and_clear();
    let file = serde_json::from_str(json.get())?;
    Ok(Imported { name, is_duplicate: uploaded.duplicate, file, json })
}

async fn wait(client: &Client, id: &str, bar: &ProgressBar) -> Result<Box<RawValue>> {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    loop {
        ticks.tick().await;
        let json: Box<RawValue> = client.get(&format!("/v1/files/{id}"), &[]).await?;
        let file: File = serde_json::from_str(json.get())?;
        if !matches!(file.state.as_str(), "queued" | "parsing") {
            return Ok(json);
        }
        bar.set_position(file.progress.bytes_parsed);
    }
}

fn progress_bar(size: u64, name: &str) -> ProgressBar {
    let bar = ProgressBar::new(size);
    let style = "{msg} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("█▉ "));
    }
    bar.set_message(name.to_owned());
    bar
}

fn print_problems(imported: &Imported) {
    let place = |problem: &Problem| {
        let row = problem.row.map(|row| format!("line {row}"));
        let column = problem.column.as_ref().map(|column| format!("column `{column}`"));
        let place: Vec<_> = row.into_iter().chain(column).collect();
        if place.is_empty() { String::new() } else { format!("{}: ", place.join(", ")) }
    };
    for (kind, problems) in [("warning", &imported.file.warnings), ("error", &imported.file.errors)]
    {
        for problem in problems {
            let (place, code) = (place(problem), &problem.code);
            eprintln!("{}: {kind}: {place}{} ({code})", imported.name, problem.message);
        }
    }
}

fn print(imported: &[Imported], output: Output) -> Result<()> {
    let json: Vec<_> = imported.iter().map(|file| file.json.get()).collect();
    let json = RawValue::from_string(format!("[{}]", json.join(",")))?;
    let columns = vec!["file", "state", "format", ">rows", ">charges", ">billed cost", "currency"];
    let rows = imported.iter().flat_map(rows_of).collect();
    Listing { columns, rows, json: &json }.print(output)?;
    if output == Output::Table && imported.iter().any(|file| file.is_duplicate) {
        say("Files marked “done before” had been imported already; nothing changed.");
    }
    Ok(())
}

/// One row for each currency of a file.
fn rows_of(imported: &Imported) -> Vec<Vec<String>> {
    let file = &imported.file;
    let state = match imported.is_duplicate && file.state == "done" {
        true => "done before".to_owned(),
        false => file.state.clone(),
    };
    let row = |cost: String, currency: String| {
        vec![
            imported.name.clone(),
            state.clone(),
            file.format.clone().unwrap_or_else(|| "–".to_owned()),
            file.rows.to_string(),
            file.charges.to_string(),
            cost,
            currency,
        ]
    };
    match file.totals.is_empty() {
        true => vec![row("–".to_owned(), "–".to_owned())],
        false => {
            let totals = file.totals.iter();
            totals.map(|total| row(total.billed_cost.clone(), total.currency.clone())).collect()
        }
    }
}
