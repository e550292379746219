//! Backup while the product works, and restore elsewhere: costs, caps and duplicates agree.

use anyhow::{Context, Result, ensure};
use product::{
    Backend, Client, Home, Product,
    caps::{Told, cap, ids, progress, report, settled},
    until,
};
use serde_json::{Value, json};

use crate::{OUTLAY, commands::run, flows};

flows![FLOWS:
    a_backup_of_a_busy_product_is_restored_elsewhere,
    what_cannot_be_restored_is_refused_and_changes_nothing,
    a_clock_is_accepted_by_whoever_may_say_so,
];

const COSTS: &str = "/v1/costs?from=2020-01-01&to=2026-06-01&granularity=month";

/// What is apart from the store: its key, and the owner's.
fn take_keys_along(from: &Home, to: &Home) -> Result<()> {
    for name in ["key", "first-key"] {
        std::fs::copy(from.path(name), to.path(name)).with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn back_up(home: &Home) -> Result<String> {
    let folder = home.path("backup").display().to_string();
    let (ok, out, err) = run(home, &["backup", &folder]).await?;
    ensure!(ok && out.contains("key file"), "{out}{err}");
    Ok(folder)
}

/// Reports under these ids until told to stop, a few at a time; what was acknowledged.
async fn report_until(
    client: Client,
    ids: Vec<String>,
    is_enough: tokio::sync::watch::Receiver<bool>,
) -> Told {
    let mut told = Told::new();
    for ids in ids.chunks(10) {
        if *is_enough.borrow() {
            break;
        }
        told.extend(report(&[&client], ids).await);
    }
    told
}

async fn a_backup_of_a_busy_product_is_restored_elsewhere(backend: Backend) -> Result<()> {
    let (home, elsewhere) = (Home::new(OUTLAY, &backend)?, Home::new(OUTLAY, &backend)?);
    let product = Product::start(&home).await?;
    let policy = cap(&product, "", "usd", "1000", "strict").await?;
    product.import("may.csv", crate::files::small_file("org-1", &["1.5", "2.25"]), &[]).await?;
    let costs = product.get(COSTS).await?;
    let (early, late) = (ids(200, "early"), ids(20_000, "late"));
    settled(&[&product], &early, &policy).await?;
    let (enough, is_enough) = tokio::sync::watch::channel(false);
    let client: Client = (*product).clone();
    let reporting = tokio::spawn(report_until(client, late, is_enough));
    until("nothing is reported", async || {
        let used = progress(&product, &policy).await?["used"].clone();
        Ok((used != "2").then_some(()))
    })
    .await?;
    let folder = back_up(&home).await?;
    enough.send_replace(true);
    let late: Vec<String> = reporting.await?.into_keys().collect();
    settled(&[&product], &[early.clone(), late.clone()].concat(), &policy).await?;

    take_keys_along(&home, &elsewhere)?;
    let (ok, _, err) = run(&elsewhere, &["restore", &folder]).await?;
    ensure!(ok, "{err}");
    let restored = Product::start(&elsewhere).await?;
    ensure!(restored.get(COSTS).await? == costs, "costs agree");
    let again = report(&[&restored], &early).await;
    let is_known = |id: &String| again.get(id).is_some_and(|told| told == "duplicate");
    ensure!(early.iter().all(is_known), "what was acknowledged before the backup is there");
    let all = [early, late].concat();
    settled(&[&restored], &all, &policy).await?;
    let (old, new) = (progress(&product, &policy).await?, progress(&restored, &policy).await?);
    for field in ["used", "held", "remaining", "limit"] {
        ensure!(old[field] == new[field], "{field}: {old} {new}");
    }
    product.stop().await?;
    restored.stop().await
}

async fn what_cannot_be_restored_is_refused_and_changes_nothing(backend: Backend) -> Result<()> {
    let (home, elsewhere) = (Home::new(OUTLAY, &backend)?, Home::new(OUTLAY, &backend)?);
    let product = Product::start(&home).await?;
    let folder = back_up(&home).await?;
    product.stop().await?;
    let refusal = async |home: &Home, arguments: &[&str], why: &str| {
        let (ok, out, err) = run(home, arguments).await?;
        ensure!(!ok && err.contains(why), "{why}: {out}{err}");
        anyhow::Ok(())
    };
    refusal(&home, &["backup", &folder], "is not empty").await?;
    refusal(&home, &["restore", &folder], "into an empty store only").await?;
    let other = match backend {
        Backend::Sqlite => "mongodb://127.0.0.1:1/elsewhere",
        Backend::Mongo(_) | Backend::MissingMongo => "sqlite:elsewhere.db",
    };
    refusal(&elsewhere, &["restore", &folder, "--store", other], "the backup is of a").await?;

    let manifest = format!("{folder}/manifest.json");
    let told: Value = serde_json::from_str(&std::fs::read_to_string(&manifest)?)?;
    let files = told["files"].as_array().context("files")?;
    let is_large = |file: &&Value| file["bytes"].as_u64().is_some_and(|bytes| bytes > 0);
    let damaged = files.iter().find(is_large).and_then(|file| file["name"].as_str());
    let damaged = format!("{folder}/{}", damaged.context("a file with something in it")?);
    let whole = std::fs::read(&damaged)?;
    std::fs::write(&damaged, &whole[..whole.len() - 1])?;
    refusal(&elsewhere, &["restore", &folder], "is not what was backed up").await?;
    std::fs::write(&damaged, whole)?;
    std::fs::rename(&manifest, format!("{folder}/manifest.gone"))?;
    refusal(&elsewhere, &["restore", &folder], "is no backup").await?;
    std::fs::rename(format!("{folder}/manifest.gone"), &manifest)?;
    let left = std::fs::read_dir(elsewhere.folder.path())?.count();
    ensure!(left == 0, "a refused restore leaves nothing");

    take_keys_along(&home, &elsewhere)?;
    let (ok, _, err) = run(&elsewhere, &["restore", &folder]).await?;
    ensure!(ok, "{err}");
    Product::start(&elsewhere).await?.stop().await?;
    let product = Product::start(&home).await?;
    product.get("/v1/organization").await?;
    product.stop().await
}

async fn a_clock_is_accepted_by_whoever_may_say_so(backend: Backend) -> Result<()> {
    let home = Home::new(OUTLAY, &backend)?;
    let arguments = ["clock", "accept"];
    let (ok, _, err) = run(&home, &arguments).await?;
    ensure!(!ok && err.contains("no server was found"), "{err}");
    let product = Product::start(&home).await?;
    if matches!(backend, Backend::Sqlite) {
        let (ok, out, err) = run(&home, &arguments).await?;
        ensure!(ok && out.contains("goes on"), "{out}{err}");
    }
    let reader = json!({"name": "reader", "environment": "live", "scopes": ["read"]});
    let reader = product.post("/v1/api-keys", &reader).await?;
    let reader = reader["key"].as_str().context("a key")?.to_owned();
    for (key, may) in [(product.key.as_str(), true), (reader.as_str(), false), ("x", false)] {
        let mut command = home.command(&arguments);
        command.env("OUTLAY_URL", format!("http://{}", product.address));
        let output = command.env("OUTLAY_API_KEY", key).output().await?;
        ensure!(output.status.success() == may, "{}", String::from_utf8_lossy(&output.stderr));
    }
    product.stop().await
}
