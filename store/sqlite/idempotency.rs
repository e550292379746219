//! Idempotency keys in SQLite. A record is claimed, answered and forgotten in one row; a null
//! `pending_until` means that nobody is at it.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    SqliteStore,
    database::{Fields, change, first, micros},
};
use crate::{
    Idempotency, Result,
    idempotency::{Claimed, RequestClaim, RequestKey, StoredResponse},
};

#[async_trait::async_trait]
impl Idempotency for SqliteStore {
    async fn claim_request(&self, claim: &RequestClaim) -> Result<Claimed> {
        let claim = claim.clone();
        self.write(move |db| claim_request(db, &claim)).await
    }

    async fn answer_request(&self, key: &RequestKey, response: &StoredResponse) -> Result<()> {
        let (key, response) = (*key, response.clone());
        self.write(move |db| {
            let StoredResponse { status, content_type, body } = &response;
            change(
                db,
                "UPDATE idempotent_requests
                 SET status = ?2, content_type = ?3, body = ?4, pending_until = NULL
                 WHERE key = ?1 AND status IS NULL",
                params![key, status, content_type, body],
            )?;
            Ok(())
        })
        .await
    }

    async fn release_request(&self, key: &RequestKey) -> Result<()> {
        let key = *key;
        self.write(move |db| {
            change(db, "UPDATE idempotent_requests SET pending_until = NULL WHERE key = ?", [key])?;
            Ok(())
        })
        .await
    }

    async fn forget_requests(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM idempotent_requests WHERE expires_at <= ?";
        let forgotten = self.write(move |db| change(db, sql, [micros(now)])).await?;
        Ok(u64::try_from(forgotten).expect("a count of rows fits"))
    }
}

struct Stored {
    body_sha256: [u8; 32],
    seed: Uuid,
    pending_until: Option<Timestamp>,
    response: Option<StoredResponse>,
}

fn claim_request(db: &Connection, claim: &RequestClaim) -> Result<Claimed> {
    let sql = "SELECT * FROM idempotent_requests WHERE key = ? AND expires_at > ?";
    let stored = first(db, sql, params![claim.key, micros(claim.at)], stored_of)?;
    let Some(stored) = stored else {
        insert(db, claim)?;
        return Ok(Claimed::Go(claim.seed));
    };
    if stored.body_sha256 != claim.body_sha256 {
        return Ok(Claimed::OtherBody);
    }
    if let Some(response) = stored.response {
        return Ok(Claimed::Answered(response));
    }
    if stored.pending_until.is_some_and(|until| until > claim.at) {
        return Ok(Claimed::Pending);
    }
    change(
        db,
        "UPDATE idempotent_requests SET pending_until = ?2, expires_at = ?3 WHERE key = ?1",
        params![claim.key, micros(claim.pending_until), micros(claim.expires_at)],
    )?;
    Ok(Claimed::Go(stored.seed))
}

/// In place of an expired record, if there is one.
fn insert(db: &Connection, claim: &RequestClaim) -> Result<()> {
    change(
        db,
        "INSERT OR REPLACE INTO idempotent_requests
         (key, body_sha256, seed, pending_until, expires_at) VALUES (?, ?, ?, ?, ?)",
        params![
            claim.key,
            claim.body_sha256,
            claim.seed.into_bytes(),
            micros(claim.pending_until),
            micros(claim.expires_at),
        ],
    )?;
    Ok(())
}

/// Lets the next try of every request go ahead: the process that was at it is gone.
pub(super) fn end_all_tries(db: &Connection) -> Result<()> {
    change(db, "UPDATE idempotent_requests SET pending_until = NULL", [])?;
    Ok(())
}

fn stored_of(row: &Fields<'_>) -> Result<Stored> {
    let status: Option<u16> = row.get("status")?;
    let response = |status| -> Result<StoredResponse> {
        let (content_type, body) = (row.get("content_type")?, row.get("body")?);
        Ok(StoredResponse { status, content_type, body })
    };
    Ok(Stored {
        body_sha256: row.get("body_sha256")?,
        seed: Uuid::from_bytes(row.get("seed")?),
        pending_until: row.instant_or_none("pending_until")?,
        response: status.map(response).transpose()?,
    })
}
