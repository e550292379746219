//! One cap that everybody's reservations meet, beside caps that nobody shares: the rate of both in
//! turn. Then a small cap under the same load until it is full, and what the journal says of every
//! position: no strict cap had more used and held than its limit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, ensure};
use domain::{OrganizationId, organization::Environment};
use engine::{State, policy::Mode};
use product::{Backend, Home, Product};
use serde_json::json;
use store::{
    journal::{Journal, Shard},
    sqlite::SqliteStore,
};

use super::{
    OUTLAY, ROUND, compare,
    load::{Load, Target, measure},
};

/// So many applications, each with a path of its own.
const APPLICATIONS: usize = 64;
const READ_BYTES: usize = 4 << 20;

/// Measures both, and reads the journal.
pub(crate) async fn contend() -> Result<()> {
    let home = Home::new(OUTLAY, &Backend::Sqlite)?;
    let product = Product::start_with(&home, &["--log", "info"]).await?;
    for path in ["shared", "shared/a", "shared/a/b", "small"] {
        let amount = if path == "small" { "10" } else { "1000000000" };
        cap(&product, path, amount).await?;
    }
    for number in 0..APPLICATIONS {
        cap(&product, &format!("shared/a/b/{number}"), "1000000000").await?;
        for below in ["", "/a", "/a/b", "/a/b/c"] {
            cap(&product, &format!("own-{number}{below}"), "1000000000").await?;
        }
    }
    let shared = reservations(&product, |number| format!("shared/a/b/{number}"), false);
    let own = reservations(&product, |number| format!("own-{number}/a/b/c"), false);
    for connections in [64, 256] {
        compare(
            ("not shared", 1, &own),
            &("reserve under one cap", 1, shared.clone()),
            connections,
        )
        .await?;
    }
    measure(&reservations(&product, |number| format!("small/{number}"), true), 64, ROUND).await?;
    let organization = product.get("/v1/organization").await?;
    product.stop().await?;
    let organization = organization["id"].as_str().context("an organization has an id")?;
    let organization = OrganizationId::parse(organization)?;
    read_back(&home, Shard { organization, environment: Environment::Live }).await
}

async fn cap(product: &Product, path: &str, amount: &str) -> Result<()> {
    let policy = json!({"path": path, "limit": {"unit": "usd", "amount": amount},
        "window": {"kind": "calendar", "unit": "month"}, "mode": "strict"});
    product.post("/v1/policies", &policy).await.map(drop)
}

/// Every application in turn. `refused` says whether a refusal is an answer.
fn reservations(product: &Product, path: fn(usize) -> String, refused: bool) -> Load {
    let bodies: Vec<String> = (0..APPLICATIONS)
        .map(|number| {
            json!({"path": path(number), "service": "openai", "model": "gpt-4o",
                "estimate": {"usage": {"input_tokens": 1000, "output_tokens": 200}},
                "ttl_seconds": 600})
            .to_string()
        })
        .collect();
    let next = Arc::new(AtomicUsize::new(0));
    let body = move || bodies[next.fetch_add(1, Ordering::Relaxed) % APPLICATIONS].clone();
    let target = Target::new(product.address, "POST", "/v1/reservations", &product.key, body);
    Load::Ask(if refused { target.or_refused() } else { target })
}

/// Follows the journal from its first entry and looks at every strict cap after every decision.
async fn read_back(home: &Home, shard: Shard) -> Result<()> {
    let store = SqliteStore::open(&home.path("outlay.db")).await?;
    let formats = shards::Formats::default();
    let (mut state, mut decisions, mut fullest) = (State::default(), 0_u64, (0, 0));
    loop {
        let entries = store.entries(shard, 1, state.seq(), READ_BYTES).await?;
        if entries.is_empty() {
            break;
        }
        for stored in entries {
            let entry = formats.decode(&stored.bytes)?;
            state.begin(entry.time);
            for decision in &entry.decisions {
                state.apply(decision);
                decisions += 1;
            }
            fullest = fullest.max(within_limits(&state)?);
            state.keep(stored.seq, entry.looked_up_seq);
        }
    }
    let (share, taken) = fullest;
    println!(
        "read back: {} positions, {decisions} decisions; no strict cap beyond its limit, the \
         fullest had {share} hundredths of it ({taken} nano-USD)",
        state.seq()
    );
    ensure!(share > 98, "the small cap was full");
    Ok(())
}

/// How full the fullest strict cap is, in hundredths, and what it has used and held.
fn within_limits(state: &State) -> Result<(i128, i128)> {
    let mut fullest = (0, 0);
    for (_, policy) in state.policies().filter(|(_, policy)| policy.record.mode == Mode::Strict) {
        let limit = policy.record.limit;
        for window in &policy.windows {
            let taken = window.used + window.held;
            ensure!(taken <= limit, "{}: {taken} of {limit}", policy.record.path);
            fullest = fullest.max((taken * 100 / limit, taken));
        }
    }
    Ok(fullest)
}
