//! A provider key that was handed over is seen nowhere again: no answer, log, error or stored byte
//! has it.

use anyhow::{Context, Result, ensure};
use product::{Backend, Home, Product, Provider, until};
use serde_json::json;

use crate::{OUTLAY, flows};

flows![FLOWS: a_provider_key_never_comes_back];

const CANARY: &str = "sk-admin-canary-51c7a9e2";

async fn a_provider_key_never_comes_back(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let mut provider = Provider::start(31).await?;
    provider.key = CANARY.to_owned();
    let product = Product::start(&home).await?;
    let mut seen = String::new();
    let connection = product.connect(&provider, 5).await?;
    seen.push_str(&product.synced(&connection).await?.to_string());

    // A refusal by the provider, whose message ends in the connection's error.
    let fault = json!({"status": 401, "count": 50});
    let http = reqwest::Client::new();
    let set = http.post(format!("{}/_faults", provider.url)).json(&fault).send().await?;
    ensure!(set.status().is_success());
    product.post(&format!("/v1/connections/{connection}/sync"), &json!({})).await?;
    let refused = until("the refusal was not noticed", async || {
        let found = product.get(&format!("/v1/connections/{connection}")).await?;
        Ok((found["status"] == "needs_attention").then_some(found))
    })
    .await?;
    ensure!(refused["error"]["what_to_do"].is_string(), "{refused}");
    seen.push_str(&refused.to_string());

    // A key of the wrong kind, in a request that is refused.
    let wrong = json!({"provider": "openai", "name": "x",
        "credentials": {"admin_key": CANARY, "extra": CANARY}, "base_url": CANARY});
    let answer = product.request(reqwest::Method::POST, "/v1/connections").json(&wrong);
    let answer = answer.send().await?;
    ensure!(answer.status() == 422, "{}", answer.status());
    seen.push_str(&answer.json::<serde_json::Value>().await?.to_string());

    for path in
        ["/v1/connections", "/v1/audit-log", "/v1/charges", "/v1/providers", "/openapi.json"]
    {
        seen.push_str(&product.get(path).await?.to_string());
    }
    let mut answer = product.request(reqwest::Method::GET, "/metrics").send().await?;
    let mut metrics = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        metrics.extend_from_slice(&chunk);
    }
    let metrics = String::from_utf8(metrics)?;
    ensure!(metrics.contains("outlay_job_runs_total"), "what ran is counted: {metrics}");
    seen.push_str(&metrics);
    ensure!(!seen.contains(CANARY), "an answer holds the key");
    let log = product.log();
    ensure!(log.lines().count() > 10, "the log was read");
    ensure!(!log.contains(CANARY), "the log holds the key");
    ensure!(!log.contains(&product.key), "the log holds the API key");
    product.stop().await?;
    for entry in std::fs::read_dir(home.folder.path())? {
        let path = entry?.path();
        if path.is_file() && !path.ends_with("first-key") {
            let bytes = std::fs::read(&path)?;
            let holds = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            ensure!(!holds, "{} holds the key", path.display());
        }
    }
    let key = std::fs::metadata(home.path("key")).context("the key file")?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.permissions());
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    Ok(())
}
