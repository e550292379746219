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
    only_an_entry_that_cannot_be_followed_is_skipped,
    what_can_be_connected_and_read_is_listed,
    the_first_key_file_is_never_overwritten,
    prices_are_shown_with_where_they_come_from,
    an_imported_catalogue_and_own_prices_count_from_the_next_start_on,
    wrong_price_files_are_refused_and_change_nothing,
];

/// A price map with one model that no other catalogue has, at `input` for a token.
fn price_map(input: &str) -> String {
    format!(
        r#"{{"computer-use-preview": {{"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": {input}, "output_cost_per_token": 1.2e-05}}}}"#
    )
}

pub(crate) async fn run(home: &Home, arguments: &[&str]) -> Result<(bool, String, String)> {
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

async fn only_an_entry_that_cannot_be_followed_is_skipped(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let skip = ["shard", "skip", "9999", "--reason", "nothing is there"];
    // Through the server where it holds the file; beside it on a cluster.
    let (ok, _, err) = run(&home, &skip).await?;
    ensure!(!ok && err.contains("the journal has no entry 9999 (not_found)"), "{err}");
    let (ok, _, err) = run(&home, &["shard", "skip", "9999"]).await?;
    ensure!(!ok && err.contains("--reason"), "{err}");
    let staging = [&skip[..], &["--environment", "staging"]].concat();
    let (ok, _, err) = run(&home, &staging).await?;
    ensure!(!ok && err.contains("`live` or `test`"), "{err}");
    product.stop().await
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

async fn prices_are_shown_with_where_they_come_from(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let (ok, out, err) = run(&home, &["prices", "show", "gpt-5.4"]).await?;
    ensure!(ok && out.contains("openai/gpt-5.4, standard") && out.contains("272000"), "{out}{err}");
    ensure!(out.contains("azure/gpt-5.4") && out.contains("(agreed, read 2026-11-20)"), "{out}");
    let usage = r#"{"input_tokens": 12307, "cache_write_tokens": 12304, "output_tokens": 550}"#;
    let sonnet = "claude-3-7-sonnet-20250219";
    let show = ["prices", "show", sonnet, "--service", "anthropic", "--usage", usage];
    let (ok, out, err) = run(&home, &show).await?;
    ensure!(ok && out.contains("priced: 0.054399 USD"), "{out}{err}");
    let (ok, out, _) = run(&home, &["prices", "show", "gpt-5.44"]).await?;
    ensure!(ok && out.contains("unpriced") && out.contains("Nearest names"), "{out}");
    let (ok, out, _) = run(&home, &["prices", "show", "gpt-5.4", "--output", "json"]).await?;
    let rows: serde_json::Value = serde_json::from_str(&out)?;
    ensure!(ok && rows.is_array(), "JSON lists are bare arrays: {out}");
    Ok(())
}

async fn an_imported_catalogue_and_own_prices_count_from_the_next_start_on(
    backend: Backend,
) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let (map, own) = (home.path("litellm-2.0.0.json"), home.path("own.toml"));
    std::fs::write(&map, price_map("2e-06"))?;
    let map = map.display().to_string();
    let (ok, out, err) = run(&home, &["prices", "diff", &map, "--on", "2026-11-21"]).await?;
    let line = "~ input 3 -> 2 from 2026-11-21T00:00:00Z";
    ensure!(ok && out.contains("computer-use-preview") && out.contains(line), "{out}{err}");
    let (ok, _, err) = run(&home, &["prices", "import", &map]).await?;
    ensure!(!ok && err.contains("--yes"), "nothing is written unasked: {err}");
    let import = ["prices", "import", &map, "--on", "2026-11-21", "--yes"];
    let (ok, out, err) = run(&home, &import).await?;
    ensure!(ok && out.contains("Wrote"), "{out}{err}");
    let (ok, out, err) = run(&home, &import).await?;
    ensure!(ok && out.contains("up to date"), "the same again changes nothing: {out}{err}");
    std::fs::write(
        &own,
        "[[seller]]\nseller = \"openai\"\n[[seller.model]]\nid = \"gpt-6-sol\"\n\
         [[seller.model.price]]\ninput = \"1\"\noutput = \"2\"\n",
    )?;
    let own = own.display().to_string();
    let cost = async |model: &str, at: &str| {
        let usage = r#"{"input_tokens": 200000}"#;
        let show = ["prices", "show", model, "--service", "openai", "--at", at, "--usage", usage];
        let (ok, out, err) = run(&home, &[&show[..], &["--prices-file", &own]].concat()).await?;
        ensure!(ok, "{out}{err}");
        let line = out.lines().find(|line| line.starts_with("priced: ")).map(str::to_owned);
        line.context(out)
    };
    let model = "computer-use-preview";
    ensure!(cost(model, "2026-11-20").await? == "priced: 0.6 USD", "the past stays");
    ensure!(cost(model, "2026-11-21").await? == "priced: 0.4 USD", "the import counts");
    ensure!(cost("gpt-6-sol", "2026-11-21").await? == "priced: 0.2 USD", "own prices go before");
    Ok(())
}

async fn wrong_price_files_are_refused_and_change_nothing(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = home.path(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let folder = home.path("catalogue");
    let into = folder.display().to_string();
    let import = async |file: &str| {
        run(&home, &["prices", "import", file, "--yes", "--refused", "--folder", &into]).await
    };
    for (name, text, told) in [
        ("empty-1.0.json", "", "neither a price map"),
        ("cut-1.0.json", &price_map("2e-06")[..120], "litellm 1.0"),
        ("packed-1.0.json.gz", "\u{1f}\u{8b}", "neither a price map"),
    ] {
        let (ok, out, err) = import(&file(name, text)?).await?;
        ensure!(!ok && err.contains(told), "{name}: {out}{err}");
        ensure!(!folder.exists(), "{name}: nothing is written");
    }
    for (figure, told) in [
        ("\"cheap\"", "computer-use-preview: input_cost_per_token \"cheap\""),
        ("-2e-06", "computer-use-preview: input_cost_per_token -2e-06"),
        ("2.0", "computer-use-preview: input_cost_per_token 2.0"),
    ] {
        let (ok, out, err) = import(&file("odd-1.0.json", &price_map(figure))?).await?;
        ensure!(ok && out.contains(told), "a row that cannot be is refused by itself: {out}{err}");
    }
    let own = file(
        "own.toml",
        "[[seller]]\nseller = \"openai\"\n[[seller.model]]\nid = \"m\"\n\
         [[seller.model.price]]\ninput = \"0\"\n",
    )?;
    let (ok, _, err) = run(&home, &["serve", "--prices-file", &own]).await?;
    ensure!(!ok && err.contains("own.toml:6: model `m`: is zero"), "{err}");
    std::fs::write(folder.join("openai.toml"), "seller = \"openai\"\ncolour = 1\n")?;
    let (ok, _, err) = run(&home, &["serve", "--prices-folder", &into]).await?;
    ensure!(!ok && err.contains("openai.toml:2: unknown field `colour`"), "{err}");
    Ok(())
}
