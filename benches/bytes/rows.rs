//! What ours is compared with: a row for each event under a unique index on its random id, in
//! transactions of a batch each, as durable as ours.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use engine::Command;
use rusqlite::{Connection, params};

use crate::events::Events;

/// A table of events.
pub(crate) struct Rows {
    db: Connection,
    events: Events,
}

impl Rows {
    pub(crate) fn open(file: &Path) -> Result<Rows> {
        let db = Connection::open(file)?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE events (
                 id BLOB PRIMARY KEY, at INTEGER NOT NULL, path TEXT NOT NULL,
                 service TEXT NOT NULL, model TEXT NOT NULL, cost INTEGER NOT NULL,
                 tokens INTEGER NOT NULL, detail BLOB NOT NULL
             ) STRICT;",
        )?;
        Ok(Rows { db, events: Events::new(8, false) })
    }

    /// Inserts events. What making them takes is not counted, as it is not for ours.
    pub(crate) fn insert(&mut self, count: usize, batch: usize) -> Result<Duration> {
        let mut taken = Duration::ZERO;
        for _ in 0..count / batch {
            let group = self.events.group(batch);
            let began = Instant::now();
            let transaction = self.db.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                )?;
                for request in &group.requests {
                    let Command::Track(event) = &request.command else { continue };
                    let id = request.once.map(|once| once.identity);
                    let cost = i64::try_from(event.measures.cost / 1_000_000)?;
                    insert.execute(params![
                        id,
                        event.at,
                        event.path,
                        event.service,
                        event.model,
                        cost,
                        event.measures.tokens,
                        event.detail,
                    ])?;
                }
            }
            transaction.commit()?;
            taken += began.elapsed();
        }
        Ok(taken)
    }
}
