//! Prompts and answers: kept where the organization wants them, over kills and restarts, and in no
//! log and no file in a form that anybody could read.

use anyhow::{Context, Result, ensure};
use product::{Backend, Home, Product, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{OUTLAY, flows};

flows![FLOWS: a_captured_body_comes_back_to_its_event_only];

const CANARY: &str = "prompt-canary-2b8d41c6";

async fn a_captured_body_comes_back_to_its_event_only(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let product = Product::start(&home).await?;
    let body = json!({"request": [{"role": "user", "content": CANARY}], "response": "yes"});
    let track = async |product: &Product, id: &str| {
        let event = json!({"id": id, "path": "acme/chat", "service": "own", "cost": "0.01",
            "body": body});
        product.post("/v1/track", &json!({"events": [event]})).await
    };
    track(&product, "before").await?;
    let on = json!({"capture_bodies": true});
    let switched = product.request(Method::PATCH, "/v1/organization").json(&on).send().await?;
    ensure!(switched.status().is_success(), "{}", switched.status());
    track(&product, "kept").await?;
    let log = product.log();
    product.kill().await?;
    let product = Product::start(&home).await?;
    let again = track(&product, "kept").await?;
    ensure!(again["duplicates"] == 1, "{again}");
    let listed = until("not all events are listed", async || {
        let listed = product.get("/v1/usage-events").await?;
        let listed = listed["data"].as_array().context("a list")?.clone();
        Ok((listed.len() == 2).then_some(listed))
    })
    .await?;
    ensure!(!Value::from(listed.clone()).to_string().contains(CANARY), "a list shows a body");
    for event in listed {
        let shown = product
            .get(&format!("/v1/usage-events/{}", event["id"].as_str().context("an id")?))
            .await?;
        let expected = if event["event_id"] == "kept" { &body } else { &Value::Null };
        ensure!(shown["body"] == *expected, "{shown}");
    }
    let log = log + &product.log();
    ensure!(log.lines().count() > 10 && !log.contains(CANARY), "the log holds the prompt");
    product.stop().await?;
    for entry in std::fs::read_dir(home.folder.path())? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = std::fs::read(&path)?;
            let holds = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            ensure!(!holds, "{} holds the prompt", path.display());
        }
    }
    Ok(())
}
