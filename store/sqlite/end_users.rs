//! End users in SQLite. The journal is in another file: that a number is on disk before an entry
//! refers to it rests on this one being synced with every commit.

use domain::AuditEvent;
use rusqlite::{Connection, params};

use super::{
    SqliteStore, audit,
    database::{change, first, owner, stored_count},
};
use crate::{EndUsers, Result, journal::Shard};

/// How many numbers may be given at most while a backup is made.
const BACKUP_GAP: i64 = 1 << 32;

#[async_trait::async_trait]
impl EndUsers for SqliteStore {
    async fn end_user_numbers(&self, shard: Shard, external_ids: &[String]) -> Result<Vec<u64>> {
        let ids = external_ids.to_vec();
        // Nobody waits for the writer where all are known.
        let known: Option<Vec<u64>> =
            self.read(move |db| ids.iter().map(|id| number_of(db, shard, id)).collect()).await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let ids = external_ids.to_vec();
        self.write(move |db| number(db, shard, &ids)).await
    }

    async fn end_user_names(&self, shard: Shard, numbers: &[u64]) -> Result<Vec<Option<String>>> {
        let numbers = numbers.to_vec();
        self.read(move |db| numbers.iter().map(|number| name_of(db, shard, *number)).collect())
            .await
    }

    async fn find_end_user(&self, shard: Shard, external_id: &str) -> Result<Option<u64>> {
        let id = external_id.to_owned();
        self.read(move |db| number_of(db, shard, &id)).await
    }

    async fn forget_end_user(
        &self,
        shard: Shard,
        external_id: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let (id, audit) = (external_id.to_owned(), audit.clone());
        let sql = "DELETE FROM end_users
                   WHERE organization = ? AND environment = ? AND external_id = ?";
        self.write(move |db| {
            let (organization, environment) = owner(shard);
            if change(db, sql, params![organization, environment, id])? == 0 {
                return Ok(false);
            }
            audit::append(db, &audit)?;
            Ok(true)
        })
        .await
    }
}

/// Numbers of all, new ones where there are none.
fn number(db: &Connection, shard: Shard, ids: &[String]) -> Result<Vec<u64>> {
    let (organization, environment) = owner(shard);
    let last = "SELECT max(floor, coalesce((SELECT last_number FROM end_user_counters
                    WHERE organization = ? AND environment = ?), 0)) AS last_number
                FROM end_user_floor";
    let mut last =
        first(db, last, params![organization, environment], |row| row.count("last_number"))?
            .unwrap_or(0);
    let mut numbers = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(known) = number_of(db, shard, id)? {
            numbers.push(known);
            continue;
        }
        last = last.saturating_add(1);
        change(
            db,
            "INSERT INTO end_users (organization, environment, external_id, number)
             VALUES (?, ?, ?, ?)",
            params![organization, environment, id, stored_count(last)?],
        )?;
        numbers.push(last);
    }
    change(
        db,
        "INSERT INTO end_user_counters (organization, environment, last_number)
         VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET last_number = ?3",
        params![organization, environment, stored_count(last)?],
    )?;
    Ok(numbers)
}

fn number_of(db: &Connection, shard: Shard, id: &str) -> Result<Option<u64>> {
    let sql = "SELECT number FROM end_users
               WHERE organization = ? AND environment = ? AND external_id = ?";
    let (organization, environment) = owner(shard);
    first(db, sql, params![organization, environment, id], |row| row.count("number"))
}

fn name_of(db: &Connection, shard: Shard, number: u64) -> Result<Option<String>> {
    // Numbers beyond are never given.
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    let sql = "SELECT external_id FROM end_users
               WHERE organization = ? AND environment = ? AND number = ?";
    let (organization, environment) = owner(shard);
    first(db, sql, params![organization, environment, number], |row| row.get("external_id"))
}

/// Makes a copy give numbers beyond those that its journal, which is copied later, may refer to.
pub(super) fn leave_room(copy: &Connection) -> Result<()> {
    let sql = "UPDATE end_user_floor SET floor = ?1 + max(floor,
                   (SELECT coalesce(max(last_number), 0) FROM end_user_counters))";
    change(copy, sql, [BACKUP_GAP])?;
    Ok(())
}
