//! Costs over a year of a million charges, by day and model, read from a store as the API does.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use api::{
    charge_reports::ChargeReports,
    reports::{CostQuery, Dimension, Filters, Reports},
};
use columns::{BlockLimits, BlockWriter};
use domain::{
    Account, BatchId, Charge, Currency, Feed, FileId, FileState, Granularity, OrganizationId,
    ProviderId, Quantity, UploadedFile, Window, Zone,
    file::{FileOptions, FileReport},
};
use jiff::{SignedDuration, Timestamp};
use store::{
    Store,
    charges::{BatchSource, Block, BlockKey, Commit, CommitWith, Committed, NewBatch},
    mongo::MongoStore,
    sqlite::SqliteStore,
};
use uuid::Uuid;

use crate::{ROUNDS, median, print_row};

const DAYS: i64 = 365;
const CHARGES_A_DAY: i64 = 2_740;
const MODELS: [&str; 12] = [
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini-2025-04-14",
    "gpt-5-2025-08-07",
    "gpt-5-mini-2025-08-07",
    "o3-2025-04-16",
    "o4-mini-2025-04-16",
    "text-embedding-3-large",
    "gpt-4o-audio-preview",
    "gpt-image-1",
    "whisper-1",
];

pub(crate) async fn measure(folder: &Path) -> Result<()> {
    let count = DAYS * CHARGES_A_DAY;
    println!("Costs over a year of {count} charges, {ROUNDS} rounds, median:");
    let sqlite = SqliteStore::open(&folder.join("year.db")).await?;
    let ours = measure_store("SQLite", Arc::new(sqlite), None).await?;
    match mongodb_uri() {
        None => println!("  MongoDB: not measured; `make bench` starts one"),
        Some(uri) => {
            let mongo = MongoStore::open(&uri).await?;
            measure_store("MongoDB, 3 members here", Arc::new(mongo), Some(ours)).await?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is told where its database is")]
fn mongodb_uri() -> Option<String> {
    std::env::var("OUTLAY_TEST_MONGODB_URI").ok()
}

/// Fills a store and asks it; the time by day and model.
async fn measure_store(
    name: &str,
    store: Arc<dyn Store>,
    ours: Option<Duration>,
) -> Result<Duration> {
    let organization = OrganizationId::from_uuid(Uuid::now_v7());
    fill(&*store, organization).await?;
    let reports = ChargeReports::new(store);
    let mut by_day = Duration::ZERO;
    for (granularity, group_by, what) in [
        (Granularity::Day, vec![Dimension::Provider, Dimension::Model], "by day and model"),
        (Granularity::Month, vec![Dimension::Model], "by month and model"),
        (Granularity::Total, vec![Dimension::SubAccount, Dimension::ApiKey], "by project and key"),
    ] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            times.push(ask(&reports, organization, granularity, &group_by).await?);
        }
        let time = median(&mut times);
        if granularity == Granularity::Day {
            by_day = time;
        }
        print_row(&format!("{name}: {what}"), time, ours.unwrap_or(by_day));
    }
    Ok(by_day)
}

fn start() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("2026 begins")
}

async fn ask(
    reports: &ChargeReports,
    organization: OrganizationId,
    granularity: Granularity,
    group_by: &[Dimension],
) -> Result<Duration> {
    let end = start() + SignedDuration::from_hours(24 * DAYS);
    let query = CostQuery {
        window: Window::new(start(), end).context("a year")?,
        granularity,
        zone: Zone::default(),
        group_by: group_by.to_vec(),
        filters: Filters::default(),
    };
    let started = Instant::now();
    let report = reports.costs(organization, &query).await?;
    let time = started.elapsed();
    ensure!(report.totals.len() == 1 && !report.rows.is_empty(), "costs were summed");
    Ok(time)
}

/// A year of charges, as a file would bring them.
async fn fill(store: &dyn Store, organization: OrganizationId) -> Result<()> {
    let (batch, file) = (BatchId::from_uuid(Uuid::now_v7()), FileId::from_uuid(Uuid::now_v7()));
    let created_at = start();
    let source = BatchSource::File(file);
    let audit = domain::AuditEvent {
        organization,
        actor: "bench".to_owned(),
        action: "file.created".to_owned(),
        target: file.to_string(),
        ip: None,
        at: created_at,
    };
    store.create_file(&uploaded(organization, file), &audit).await?;
    store.begin_batch(&NewBatch { id: batch, organization, source, created_at }).await?;
    for day in 0..DAYS {
        store.put_blocks(organization, batch, &day_blocks(day)?).await?;
    }
    let lease = store.claim_due(created_at, 3600).await?.context("an import is due")?.lease;
    let with =
        CommitWith::File { file, report: Box::new(FileReport::default()), finished_at: created_at };
    let commit = Commit { batch: Some(batch), organization, lease, with };
    ensure!(store.commit(&commit).await? == Committed::Committed, "it was committed");
    Ok(())
}

fn uploaded(organization: OrganizationId, id: FileId) -> UploadedFile {
    UploadedFile {
        id,
        organization,
        name: "year.csv".to_owned(),
        size_bytes: 0,
        sha256: [7; 32],
        options: FileOptions::default(),
        state: FileState::Queued,
        bytes_parsed: 0,
        report: FileReport::default(),
        created_at: start(),
        finished_at: None,
    }
}

fn day_blocks(day: i64) -> Result<Vec<Block>> {
    let account = Account { provider: ProviderId::parse("openai")?, id: "org".to_owned() };
    let feed = Feed::parse(Feed::FILE)?;
    let mut writer = BlockWriter::new(BlockLimits::default(), Vec::new());
    let mut blocks = Vec::new();
    let mut keep = |block: columns::EncodedBlock| {
        blocks.push(Block {
            key: BlockKey {
                account: block.account,
                feed: feed.clone(),
                day: block.day,
                part: block.part,
            },
            row_count: block.row_count,
            is_complete: true,
            digest: block.digest,
            core: block.core.into(),
            detail: block.detail.into(),
        });
    };
    let period_start = start() + SignedDuration::from_hours(24 * day);
    let period_end = period_start + SignedDuration::from_hours(24);
    for line in 0..CHARGES_A_DAY {
        let project = format!("proj_{}", line % 40);
        let key = format!("key_{}", line % 200);
        let model = MODELS[usize::try_from(line * 7 + day)? % MODELS.len()];
        let charge = Charge {
            service: Some("openai".into()),
            model: Some(model.into()),
            sub_account: Some(project.into()),
            api_key: Some(key.into()),
            billed_cost: Some(i128::from((line * 7_919 + day * 104_729) % 999_983) * 1_000_000_007),
            consumed_quantity: Quantity::from_count(u64::try_from(line * 31 + day)?),
            consumed_unit: Some("input_tokens".into()),
            sku: Some(format!("{model}, input").into()),
            ..Charge::empty(period_start, period_end, Currency::USD)
        };
        writer.push(&account, &charge, &[], &mut keep);
    }
    writer.finish(&mut keep);
    Ok(blocks)
}
