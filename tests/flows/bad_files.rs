//! Hostile and broken files: a coded reason with its line and column, nothing kept, the server
//! unharmed.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use product::{Backend, Home, Product, until};
use serde_json::Value;

use crate::{OUTLAY, files::small_file, flows};

flows![FLOWS:
    a_bad_row_has_its_line_and_column_and_refuses_the_file,
    a_file_that_cannot_be_read_says_why_and_changes_nothing,
    bad_rows_are_left_out_only_where_asked_and_are_listed,
    the_parse_worker_has_limits_that_the_kernel_keeps,
];

async fn costs_are_empty(product: &Product) -> Result<bool> {
    let costs = product.get("/v1/costs?from=2020-01-01&granularity=total").await?;
    Ok(costs["rows"].as_array().is_some_and(Vec::is_empty))
}

async fn a_bad_row_has_its_line_and_column_and_refuses_the_file(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let costs = ["1", "12,34,5", "2"];
    let file = product.import("bad.csv", small_file("org-1", &costs), &[]).await?;
    // The comma splits the row; every other kind of unreadable amount keeps its column.
    ensure!(file["state"] == "failed" && file["errors"][0]["row"] == 3, "{file}");
    let file = product.import("bad.csv", small_file("org-1", &["1", "NaN", "2"]), &[]).await?;
    ensure!(file["state"] == "failed", "{file}");
    let error = &file["errors"][0];
    ensure!(error["row"] == 3 && error["column"] == "BilledCost", "{file}");
    ensure!(!error["message"].as_str().context("a message")?.contains("NaN"), "no cell content");
    ensure!(costs_are_empty(&product).await?);
    product.stop().await
}

async fn bad_rows_are_left_out_only_where_asked_and_are_listed(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let file = small_file("org-1", &["1", "NaN", "2"]);
    let file = product.import("bad.csv", file, &[("on_error", "skip")]).await?;
    ensure!(file["state"] == "done" && file["rows"] == 3 && file["charges"] == 2, "{file}");
    ensure!(file["errors"][0]["row"] == 3 && file["totals"][0]["billed_cost"] == "3", "{file}");
    product.stop().await
}

async fn a_file_that_cannot_be_read_says_why_and_changes_nothing(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let unclosed = [&small_file("org-1", &["1"])[..], b"\"1", &[b'x'; 2 << 20]].concat();
    let nul = [&small_file("org-1", &["1"])[..], b"1\0,2\n"].concat();
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("empty.csv", Vec::new(), &["empty_file", "validation_failed"]),
        ("blank.csv", b"\xef\xbb\xbf\n\n".to_vec(), &["empty_file"]),
        ("columns.csv", b"a,b,c\n1,2,3\n".to_vec(), &["unknown_format"]),
        ("page.xls", b"<html><table></table></html>".to_vec(), &["unsupported_media_type"]),
        ("unclosed.csv", unclosed, &["record_too_large"]),
        ("nul.csv", nul, &["nul_character"]),
    ];
    for (name, bytes, codes) in cases {
        let (status, answer) = product.upload(name, bytes, &[]).await?;
        let code = match status {
            200..=299 => {
                let file = product.imported(answer["id"].as_str().context("an id")?).await?;
                ensure!(file["state"] == "failed", "{name}: {file}");
                file["errors"][0]["code"].clone()
            }
            _ => answer["code"].clone(),
        };
        let is_expected = |code: &Value| code.as_str().is_some_and(|code| codes.contains(&code));
        ensure!(is_expected(&code), "{name}: {code} {answer}");
        ensure!(costs_are_empty(&product).await?, "{name} changed the costs");
    }
    ensure!(product.get("/readyz").await.is_ok());
    product.stop().await
}

async fn the_parse_worker_has_limits_that_the_kernel_keeps(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let mut command = home.command(&["parse-worker"]);
    let mut worker = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let pid = worker.id().context("it waits for its order")?;
    let limit = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or("");
        line.trim_start_matches(name).split_whitespace().next().map(str::to_owned)
    };
    let limits = until("the worker is not limited", async || {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let cpu = limit(&text, "Max cpu time").context("a limit")?;
        Ok((cpu != "unlimited").then_some(text))
    })
    .await?;
    ensure!(limit(&limits, "Max address space").as_deref() == Some("1073741824"), "{limits}");
    ensure!(limit(&limits, "Max cpu time").as_deref() == Some("600"), "{limits}");
    Ok(worker.kill().await?)
}
