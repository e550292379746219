//! The command line, as typed: with a server, without one, and wrongly.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use product::{Backend, Home, Product, Provider};
use tokio::io::AsyncWriteExt;

use crate::{
    OUTLAY,
    files::{SAMPLE, SAMPLE_TOTAL},
    flows,
};

flows![FLOWS:
    files_are_imported_and_costs_printed_without_a_server,
    commands_go_through_the_server_that_holds_the_store,
    connect_takes_the_key_from_standard_input_and_reads_the_history,
    what_can_be_connected_and_read_is_listed,
    the_first_key_file_is_never_overwritten,
];

async fn run(home: &Home, arguments: &[&str]) -> Result<(bool, String, String)> {
    Ok(said(home.command(arguments).output().await?))
}

fn said(output: Output) -> (bool, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

async fn files_are_imported_and_costs_printed_without_a_server(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let (ok, out, err) = run(&home, &["import", SAMPLE]).await?;
    ensure!(ok && out.contains(SAMPLE_TOTAL) && out.contains("667"), "{out}{err}");
    let (ok, out, _) = run(&home, &["import", SAMPLE]).await?;
    ensure!(ok && out.contains("done before"), "{out}");
    let costs = ["costs", "--from", "2024-01-01", "--group-by", "provider", "--output", "csv"];
    let (ok, out, err) = run(&home, &costs).await?;
    ensure!(ok, "{err}");
    let expected =
        "provider,cost,currency\naws,9.3287376448,USD\noci,0.092,USD\nazure,0.02459227195,USD\n";
    ensure!(out == expected, "{out}");
    let (ok, _, err) = run(&home, &["import", "no-such-file.csv"]).await?;
    ensure!(!ok && err.contains("no-such-file.csv"), "{err}");
    let (ok, _, err) = run(&home, &["costs", "--group-by", "colour"]).await?;
    ensure!(!ok && err.contains("group_by"), "{err}");
    Ok(())
}

async fn commands_go_through_the_server_that_holds_the_store(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let (ok, out, err) = run(&home, &["import", SAMPLE]).await?;
    ensure!(ok && out.contains(SAMPLE_TOTAL), "{out}{err}");
    let costs = product.get("/v1/costs?from=2020-01-01&granularity=total").await?;
    ensure!(costs["totals"][0]["total"] == SAMPLE_TOTAL, "{costs}");
    let mut command = home.command(&["costs", "--from", "2024-01-01", "--output", "json"]);
    let url = format!("http://{}", product.address);
    command.env("OUTLAY_URL", &url).env("OUTLAY_API_KEY", &product.key);
    let (ok, out, err) = said(command.output().await?);
    let rows: serde_json::Value = serde_json::from_str(&out).with_context(|| err.clone())?;
    ensure!(ok && rows.is_array(), "JSON lists are bare arrays: {out}");
    command.env("OUTLAY_API_KEY", "outlay_live_wrong");
    let (ok, _, err) = said(command.output().await?);
    ensure!(!ok && err.contains("unauthenticated"), "{err}");
    product.stop().await
}

async fn connect_takes_the_key_from_standard_input_and_reads_the_history(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let provider = Provider::start(41).await?;
    let connect = ["connect", "openai", "--base-url", &provider.url, "--backfill-days", "10"];
    for (key, is_right) in [("sk-proj-wrong-kind", false), (provider.key.as_str(), true)] {
        let mut command = home.command(&connect);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        stdin.write_all(format!("{key}\n").as_bytes()).await?;
        drop(stdin);
        let (ok, out, err) = said(child.wait_with_output().await?);
        ensure!(ok == is_right, "{key}: {out}{err}");
        ensure!(!out.contains(key) && !err.contains(key), "the key is not echoed: {out}{err}");
        ensure!(is_right || err.contains("sk-admin-"), "says which kind of key is needed: {err}");
    }
    let (ok, out, err) = run(&home, &["costs", "--output", "csv"]).await?;
    ensure!(ok && out.contains("openai,gpt-"), "{out}{err}");
    Ok(())
}

async fn what_can_be_connected_and_read_is_listed(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    for (command, word) in [("providers", "openai"), ("formats", "focus")] {
        let (ok, out, _) = run(&home, &[command]).await?;
        ensure!(ok && out.contains(word), "{out}");
        let (ok, out, _) = run(&home, &[command, "--output", "json"]).await?;
        let list: serde_json::Value = serde_json::from_str(&out)?;
        ensure!(ok && list.as_array().is_some_and(|list| !list.is_empty()), "{out}");
    }
    let (ok, out, _) = run(&home, &["config"]).await?;
    ensure!(ok && out.contains("127.0.0.1:8787") && out.contains("default"), "{out}");
    ensure!(!home.path("outlay.db").exists(), "listing opens no store");
    Ok(())
}

async fn the_first_key_file_is_never_overwritten(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let precious = home.path("precious");
    std::fs::write(&precious, "mine")?;
    let name = precious.display().to_string();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--first-key-file", &name];
    let (ok, _, err) = run(&home, &serve).await?;
    ensure!(!ok && err.contains("not overwritten"), "{err}");
    ensure!(std::fs::read_to_string(&precious)? == "mine");
    // Nothing was made, so the next start still hands its key over.
    Product::start(&home).await?.stop().await
}
