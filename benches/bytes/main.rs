//! What an event takes on disk, all copies counted: 200,000 events with random ids, in batches of
//! 500, through the real shards into a real SQLite store, without metadata and with some. Then how
//! long it takes beside a plain table with a unique index on the same random ids.
//!
//! `cargo bench --bench bytes -- [events] [rounds of comparing]`
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_types, clippy::float_arithmetic, reason = "ratios for a person")]

mod events;
mod rows;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use domain::{Clock, OrganizationId, organization::Environment};
use jiff::Timestamp;
use rusqlite::Connection;
use shards::{Caps, Limits, Parts, Shards};
use store::journal::{Journal, Shard};
use store::sqlite::SqliteStore;
use uuid::Uuid;

use events::{BEGIN, Events, caps};
use rows::Rows;

const BATCH: usize = 500;
const EVENTS: usize = 200_000;
const ROUNDS: usize = 4;

fn main() -> Result<()> {
    let asked: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let events = asked.first().copied().unwrap_or(EVENTS);
    let rounds = asked.get(1).copied().unwrap_or(ROUNDS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        for (what, with_metadata) in [("without metadata", false), ("with some", true)] {
            let folder = tempfile::tempdir()?;
            let mut ours = Ours::open(folder.path(), with_metadata).await?;
            ours.track(events).await?;
            ours.tell_packing(what).await?;
            ours.close().await?;
            tell_bytes(folder.path(), events)?;
        }
        compare(events, rounds).await
    })
}

/// The real thing, in a folder.
struct Ours {
    shards: Arc<Shards>,
    store: Arc<SqliteStore>,
    clock: Arc<Told>,
    events: Events,
}

/// A clock that says what it was told.
struct Told(AtomicI64);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or_default()
    }
}

impl Ours {
    async fn open(folder: &Path, with_metadata: bool) -> Result<Ours> {
        let store = Arc::new(SqliteStore::open(&folder.join("outlay.db")).await?);
        let clock = Arc::new(Told(AtomicI64::new(BEGIN)));
        let shards = Arc::new(Shards::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            random: Arc::new(|| Uuid::new_v4().as_u128()),
            formats: Default::default(),
            limits: Limits::default(),
        }));
        shards.submit(shard(), caps()).await?;
        Ok(Ours { shards, store, clock, events: Events::new(7, with_metadata) })
    }

    /// Reports events, each batch durable before the next, until the tables have them as well.
    async fn track(&mut self, count: usize) -> Result<Duration> {
        let mut taken = Duration::ZERO;
        for _ in 0..count / BATCH {
            self.clock.0.store(self.events.arrives_at(), Ordering::SeqCst);
            let group = self.events.group(BATCH);
            let began = Instant::now();
            let done = self.shards.submit(shard(), group).await?;
            taken += began.elapsed();
            ensure!(done.answers.len() == BATCH, "every event is answered");
        }
        let began = Instant::now();
        self.shards.settle(shard(), Duration::from_secs(600)).await?;
        Ok(taken + began.elapsed())
    }

    /// What packing and unpacking a batch costs.
    async fn tell_packing(&self, what: &str) -> Result<()> {
        let entries = self.store.entries(shard(), 1, 10, 1).await?;
        let stored = &entries.first().context("there are entries")?.bytes;
        let entry = shards::packed::unpack(stored)?;
        let raw = entry.encode();
        println!("\nan entry of {BATCH} events {what}: {} bytes of {}", stored.len(), raw.len());
        timed("write it, without packing", || drop(black_box(entry.encode())));
        timed("write it, packed", || drop(black_box(shards::packed::pack(&entry))));
        timed("of that, its clone", || drop(black_box(entry.clone())));
        timed("compress all of it instead", || drop(black_box(columns::compress(&raw))));
        timed("read it, without packing", || drop(black_box(engine::Entry::decode(&raw))));
        timed("read it, packed", || drop(black_box(shards::packed::unpack(stored))));
        Ok(())
    }

    async fn close(self) -> Result<()> {
        self.shards.stop().await;
        Ok(())
    }
}

fn timed(what: &str, run: impl Fn()) {
    let times = (0..200).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed()
    });
    println!("  {what:<28} {:>8} µs", times.min().unwrap_or_default().as_micros());
}

fn shard() -> Shard {
    let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
    Shard { organization, environment: Environment::Live }
}

/// What each table takes, of both files. Those of less than a byte are only in the sum.
fn tell_bytes(folder: &Path, events: usize) -> Result<()> {
    let mut of_tables: BTreeMap<String, i64> = BTreeMap::new();
    let (mut of_bodies, mut in_files) = (vec![], 0_i64);
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        let Ok(db) = Connection::open(&file) else { continue };
        let Ok(pages) = table_bytes(&db) else { continue };
        in_files += i64::try_from(std::fs::metadata(&file)?.len())?;
        for (table, bytes) in pages {
            *of_tables.entry(table).or_default() += bytes;
        }
        of_bodies.extend(body_bytes(&db).unwrap_or_default());
    }
    let an_event = |bytes: i64| bytes as f64 / events as f64;
    for (table, bytes) in &of_tables {
        if an_event(*bytes) >= 1.0 {
            println!("  {table:<28} {:>8.1} bytes an event", an_event(*bytes));
        }
    }
    for (what, bytes) in &of_bodies {
        println!("    of `fact_pieces`: {what:<10} {:>8.1}", an_event(*bytes));
    }
    let all = of_tables.values().sum();
    println!("  {:<28} {:>8.1}", "all", an_event(all));
    println!("  {:<28} {:>8.1}", "files, free pages included", an_event(in_files));
    Ok(())
}

/// Bytes of whole pages, by table.
fn table_bytes(db: &Connection) -> Result<Vec<(String, i64)>> {
    let checkpointed: i64 =
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    ensure!(checkpointed == 0, "nobody else has the file");
    let mut by_table = db.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")?;
    let rows = by_table.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What of the pieces are blocks of events, blocks of sums and runs of ids.
fn body_bytes(db: &Connection) -> Result<Vec<(String, i64)>> {
    let mut by_kind = db.prepare(
        "SELECT kind, sum(length(bytes)) FROM fact_pieces
         JOIN (SELECT kind, body FROM fact_blocks UNION ALL SELECT 'ids', body FROM fact_id_runs)
         USING (body) GROUP BY kind",
    )?;
    let rows = by_kind.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ours beside rows under a unique index, round by round, both ever larger.
async fn compare(events: usize, rounds: usize) -> Result<()> {
    let (ours_folder, theirs_folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut ours = Ours::open(ours_folder.path(), false).await?;
    let mut theirs = Rows::open(&theirs_folder.path().join("rows.db"))?;
    println!("\n{events} events a round, in batches of {BATCH}; events a second");
    for round in 1..=rounds {
        let our_time = ours.track(events).await?;
        let their_time = theirs.insert(events, BATCH)?;
        let rate = |time: Duration| events as f64 / time.as_secs_f64();
        println!(
            "  {:>10} events   ours, tables included {:>8.0}   a unique index {:>8.0}   {:>5.2}",
            round * events,
            rate(our_time),
            rate(their_time),
            rate(our_time) / rate(their_time)
        );
    }
    ours.close().await
}
