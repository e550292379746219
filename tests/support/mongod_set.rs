//! `mongod-set -- COMMAND…`: runs a command beside a real replica set and ends with its status.
//!
//! The command finds the set in `OUTLAY_TEST_MONGODB_URI`. So that all test binaries of one
//! `cargo test` share one set instead of each starting its own.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use support::mongo::ReplicaSet;
use tokio::process::Command;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1).skip_while(|word| word == "--");
    let program = words.next().context("usage: mongod-set -- COMMAND [ARGUMENT…]")?;
    let set = ReplicaSet::start().await?;
    let uri = set.uri("outlay_test");
    eprintln!("mongod-set: {uri}");
    let mut child = Command::new(&program)
        .args(words)
        .env("OUTLAY_TEST_MONGODB_URI", &uri)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run `{}`", program.display()))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        // Leaving by return, so that the set is dropped: its processes end and its folder goes.
        signal = interrupted() => return signal.map(|()| ExitCode::from(130)),
    };
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

async fn interrupted() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => Ok(result?),
    }
}
