//! Kills the server and its database under load, round after round, and counts what survived:
//! nothing may be lost, nothing doubled. `OUTLAY_TORTURE_ROUNDS` says how many rounds on each
//! store, `OUTLAY_TORTURE_SEED` the first one's seed, `OUTLAY_TORTURE_STORE` the only store
//! (`sqlite` or `mongodb`), `OUTLAY_TORTURE_WORK` the only work (`bills` or `caps`).
//!
//! A seed repeats what is done and when; how far the processes have got by then is the machine's to
//! decide.
#![expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
#![expect(clippy::print_stdout, reason = "what a round did is for the person who runs it")]

mod cap_round;
mod dice;
mod files;
mod polls;
mod round;
mod servers;
mod spenders;

use std::{process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use support::mongo::ReplicaSet;

/// The binary under test.
pub(crate) const OUTLAY: &str = env!("CARGO_BIN_EXE_outlay");
const ROUNDS: &str = "OUTLAY_TORTURE_ROUNDS";
const SEED: &str = "OUTLAY_TORTURE_SEED";
const STORE: &str = "OUTLAY_TORTURE_STORE";
const WORK: &str = "OUTLAY_TORTURE_WORK";
const ROUND_COUNT: u64 = 4;

#[tokio::main]
async fn main() -> ExitCode {
    match torture().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn torture() -> Result<()> {
    let round_count = number(ROUNDS)?.unwrap_or(ROUND_COUNT);
    let seed = match number(SEED)? {
        Some(seed) => seed,
        // Six digits are easy to copy.
        None => u64::try_from(jiff::Timestamp::now().as_millisecond())? % 1_000_000,
    };
    println!("{round_count} rounds of each work on each store; again with {SEED}={seed}");
    for store in ["sqlite", "mongodb"] {
        if is_wanted(STORE, store) {
            rounds(store, seed, round_count).await?;
        }
    }
    Ok(())
}

/// Whether a setting names `value`, or nothing.
fn is_wanted(setting: &str, value: &str) -> bool {
    std::env::var(setting).map_or(true, |only| only == value)
}

async fn rounds(store: &str, seed: u64, count: u64) -> Result<()> {
    let set = match store {
        "mongodb" => Some(ReplicaSet::start().await?),
        _ => None,
    };
    for seed in seed..seed + count {
        for work in ["bills", "caps"] {
            let again =
                || format!("{SEED}={seed} {ROUNDS}=1 {STORE}={store} {WORK}={work} repeats it");
            let started = Instant::now();
            let did = match work {
                _ if !is_wanted(WORK, work) => continue,
                "bills" => round::play(seed, set.as_ref()).await.with_context(again)?.to_string(),
                _ => cap_round::play(seed, set.as_ref()).await.with_context(again)?.to_string(),
            };
            println!("{store} {work} {seed}: {did}; {} s", started.elapsed().as_secs());
        }
    }
    Ok(())
}

fn number(name: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    let number = text.parse().with_context(|| format!("{name} is a number, not `{text}`"))?;
    ensure!(number > 0, "{name} is at least 1");
    Ok(Some(number))
}
