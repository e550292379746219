//! How charges are stored, measured: importing a large billing file and summing a year of charges,
//! beside what others do with the same data in the same run. Ratios within one run mean something;
//! seconds of two machines, or two days, do not.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod baselines;
mod focus_file;
mod year;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

const OUTLAY: &str = env!("CARGO_BIN_EXE_outlay");
const ROUNDS: usize = 5;
const ROW_COUNT: usize = 475_000;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    println!("{}\n", machine());
    import(folder.path())?;
    tokio::runtime::Runtime::new()?.block_on(year::measure(folder.path()))
}

/// Imports one file in several ways, interleaved.
fn import(folder: &Path) -> Result<()> {
    let file = folder.join("focus.csv");
    let (bytes, total) = focus_file::write(&file, ROW_COUNT)?;
    println!(
        "Import of {ROW_COUNT} rows of {} columns ({} MB), durable, {ROUNDS} rounds:",
        focus_file::COLUMNS.len(),
        bytes / 1_000_000
    );
    let mut outlay = Vec::new();
    let mut duckdb = Vec::new();
    for round in 0..ROUNDS {
        let store = folder.join(format!("outlay-{round}.db"));
        outlay.push(timed(|| import_with_outlay(&store, &file, &total))?);
        if let Some(python) = baselines::duckdb_python() {
            let database = folder.join(format!("duck-{round}.db"));
            duckdb.push(timed(|| baselines::load_with_duckdb(&python, &database, &file))?);
        }
    }
    let rows = timed(|| baselines::insert_rows(&folder.join("rows.db"), &file))?;
    let ours = median(&mut outlay);
    print_row("outlay import (upload, worker, commit)", ours, ours);
    match duckdb.is_empty() {
        true => println!("  DuckDB: not measured; `make bench` installs it"),
        false => {
            print_row("DuckDB, CREATE TABLE AS read_csv, 2 threads", median(&mut duckdb), ours)
        }
    }
    print_row("SQLite, one row a line in one transaction", rows, ours);
    let summed = timed(|| baselines::sum_rows(&folder.join("rows.db")))?;
    print_row("  … and one sum over those rows, in floats", summed, ours);
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    println!(
        "  stored: outlay {} MB, DuckDB {} MB, SQLite rows {} MB\n",
        size("outlay-0.db") / 1_000_000,
        size("duck-0.db") / 1_000_000,
        size("rows.db") / 1_000_000
    );
    Ok(())
}

/// Runs the command as a user would; the sum it prints must be the file's.
fn import_with_outlay(store: &Path, file: &Path, total: &str) -> Result<()> {
    let output = Command::new(OUTLAY)
        .arg("import")
        .arg(file)
        .arg("--store")
        .arg(format!("sqlite:{}", store.display()))
        .stderr(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && said.contains(total), "expected {total}: {said}");
    Ok(())
}

pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One line: what, its time, and how many times ours that is, in hundredths without a float.
pub(crate) fn print_row(what: &str, time: Duration, ours: Duration) {
    let hundredths = time.as_micros() * 100 / ours.as_micros().max(1);
    let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    println!("  {what:46} {:>8} ms   {ratio:>6} x", time.as_millis());
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "Machine: {cores} cores,{}; load before: {load}",
        model.trim_start_matches([' ', '\t', ':'])
    )
}

/// The excerpt that the large file is made of.
pub(crate) fn sample() -> Result<String> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/parsers/fixtures/focus/focus_1.0_sample_excerpt.csv");
    std::fs::read_to_string(path).context(path)
}
