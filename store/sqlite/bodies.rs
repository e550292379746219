//! Sealed bodies in SQLite. The journal is in another file: that a body is on disk before an entry
//! refers to it rests on this one being synced with every commit.

use jiff::Timestamp;
use rusqlite::params;

use super::{
    SqliteStore,
    database::{Fields, all, change, first, micros, owner, stored_count},
};
use crate::{Bodies, Result, bodies::SealedBody, journal::Shard};

#[async_trait::async_trait]
impl Bodies for SqliteStore {
    async fn put_bodies(&self, shard: Shard, bodies: &[SealedBody]) -> Result<()> {
        if bodies.is_empty() {
            return Ok(());
        }
        let bodies = bodies.to_vec();
        self.write(move |db| {
            let (organization, environment) = owner(shard);
            for body in bodies {
                change(
                    db,
                    "INSERT INTO bodies (organization, environment, id, sealed_at, is_claimed,
                         data_key_version, ciphertext)
                     VALUES (?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING",
                    params![
                        organization,
                        environment,
                        body.id.to_be_bytes(),
                        micros(body.sealed_at),
                        body.data_key_version,
                        body.ciphertext,
                    ],
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn body(&self, shard: Shard, id: u128) -> Result<Option<SealedBody>> {
        let sql = "SELECT * FROM bodies WHERE organization = ? AND environment = ? AND id = ?";
        self.read(move |db| {
            let (organization, environment) = owner(shard);
            first(db, sql, params![organization, environment, id.to_be_bytes()], |row| {
                Ok(SealedBody {
                    id: id_of(row)?,
                    sealed_at: row.instant("sealed_at")?,
                    data_key_version: row.get("data_key_version")?,
                    ciphertext: row.get("ciphertext")?,
                })
            })
        })
        .await
    }

    async fn unclaimed_bodies(
        &self,
        shard: Shard,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(u128, Timestamp)>> {
        let (before, limit) = (micros(before), stored_count(limit)?);
        let sql = "SELECT id, sealed_at FROM bodies
                   WHERE organization = ? AND environment = ? AND is_claimed = 0 AND sealed_at < ?
                   ORDER BY sealed_at, id LIMIT ?";
        self.read(move |db| {
            let (organization, environment) = owner(shard);
            let which = params![organization, environment, before, limit];
            all(db, sql, which, |row| Ok((id_of(row)?, row.instant("sealed_at")?)))
        })
        .await
    }

    async fn settle_bodies(&self, shard: Shard, claimed: &[u128], orphaned: &[u128]) -> Result<()> {
        let (claimed, orphaned) = (claimed.to_vec(), orphaned.to_vec());
        let claim = "UPDATE bodies SET is_claimed = 1
                     WHERE organization = ? AND environment = ? AND id = ?";
        let remove = "DELETE FROM bodies
                      WHERE organization = ? AND environment = ? AND id = ? AND is_claimed = 0";
        self.write(move |db| {
            let (organization, environment) = owner(shard);
            for (sql, ids) in [(claim, claimed), (remove, orphaned)] {
                for id in ids {
                    change(db, sql, params![organization, environment, id.to_be_bytes()])?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn remove_bodies(&self, shard: Shard, before: Timestamp) -> Result<u64> {
        let before = micros(before);
        let sql = "DELETE FROM bodies
                   WHERE organization = ? AND environment = ? AND sealed_at < ?";
        self.write(move |db| {
            let (organization, environment) = owner(shard);
            let count = change(db, sql, params![organization, environment, before])?;
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
        .await
    }
}

fn id_of(row: &Fields<'_>) -> Result<u128> {
    let bytes: [u8; 16] = row.get("id")?;
    Ok(u128::from_be_bytes(bytes))
}
