//! The part of the demo that stops an application: three of them, each with the same cap and the
//! same calls, under the three modes.

use anyhow::{Context, Result};
use comfy_table::Table;
use serde_json::{Value, json};

use crate::{client::Client, output::say};

/// Applications by their paths, which are named as the modes.
const MODES: [&str; 3] = ["open", "block", "strict"];
/// A day's cap of each, in dollars.
const CAP: &str = "0.05";
const CALLS: usize = 5;

/// Shows what an application hears that goes on calling.
pub(crate) async fn tell(client: &Client) -> Result<()> {
    say(&format!(
        "\n4. Stopping an application: three of them, each with a cap of ${CAP} a day, each \
         calling gpt-4o for $0.02 again and again…"
    ));
    for mode in MODES {
        let policy = json!({
            "path": format!("demo/{mode}"),
            "limit": {"unit": "usd", "amount": CAP},
            "window": {"kind": "calendar", "unit": "day"},
            "mode": mode,
        });
        let _made: Value = client.post("/v1/policies", &policy).await?;
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "call",
        "open: counts",
        "block: stops when it is spent",
        "strict: never beyond",
    ]);
    for call in 1..=CALLS {
        let open = call_open(client, call).await?;
        let block = call_blocked(client, call).await?;
        let strict = call_strict(client).await?;
        table.add_row([call.to_string(), open, block, strict]);
    }
    say(&table.to_string());
    say(
        "`open` told of it and let go on; `block` let the call through that went over, and stopped \
         the next; `strict` stopped before the one that would not fit.",
    );
    Ok(())
}

/// Four thousand tokens in and one thousand out: two cents.
fn usage() -> Value {
    json!({"input_tokens": 4_000, "output_tokens": 1_000})
}

/// Calls without asking, and reports.
async fn call_open(client: &Client, call: usize) -> Result<String> {
    report(client, "open", call).await
}

/// Asks first; calls and reports where it may.
async fn call_blocked(client: &Client, call: usize) -> Result<String> {
    let query = [("path", "demo/block"), ("service", "openai"), ("model", "gpt-4o")];
    let check: Value = client.get("/v1/check", &query).await?;
    if check["allowed"] == true {
        return report(client, "block", call).await;
    }
    Ok(format!("stopped: ${} of ${CAP} are used", text(&check["policy"]["used"])))
}

/// Holds what the call may cost, calls, and commits what it did cost.
async fn call_strict(client: &Client) -> Result<String> {
    let body = json!({"path": "demo/strict", "service": "openai", "model": "gpt-4o",
        "estimate": {"usage": usage()}});
    let held: Value = match client.post("/v1/reservations", &body).await {
        Ok(held) => held,
        Err(refused) if refused.to_string().contains("quota_exceeded") => {
            return Ok("stopped: the next call does not fit".to_owned());
        }
        Err(error) => return Err(error),
    };
    let id = held["id"].as_str().context("a reservation has an id")?;
    let committed = json!({"usage": usage()});
    let _done: Value = client.post(&format!("/v1/reservations/{id}/commit"), &committed).await?;
    standing(client, "strict").await
}

async fn report(client: &Client, mode: &str, call: usize) -> Result<String> {
    let event = json!({"id": format!("demo-{mode}-{call}"), "path": format!("demo/{mode}"),
        "service": "openai", "model": "gpt-4o", "usage": usage()});
    let _told: Value = client.post("/v1/track", &json!({"events": [event]})).await?;
    standing(client, mode).await
}

/// What the application's cap has counted.
async fn standing(client: &Client, mode: &str) -> Result<String> {
    let path = format!("demo/{mode}");
    let policies: Value = client.get("/v1/policies", &[("path", path.as_str())]).await?;
    let used = text(&policies["data"][0]["progress"]["used"]);
    Ok(format!("called: ${used} of ${CAP} used"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
