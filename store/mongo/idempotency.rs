//! Answers by idempotency key on MongoDB: one document for each request.
//!
//! Every step is a change of one document under a condition on what was read before, so of many at
//! once one gets through and the others look again.

use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{self, Binary, Document, doc},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    MongoStore,
    failure::is_duplicate,
    stored::{binary, digest, known},
};
use crate::{
    Idempotency, Result,
    idempotency::{Claimed, RequestClaim, RequestKey, StoredResponse},
};

#[derive(Serialize, Deserialize)]
struct StoredRequest {
    #[serde(rename = "_id")]
    key: Binary,
    body_sha256: Binary,
    seed: Binary,
    pending_until: Option<i64>,
    response: Option<StoredAnswer>,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredAnswer {
    status: i32,
    content_type: String,
    body: Binary,
}

impl StoredRequest {
    fn new(claim: &RequestClaim) -> StoredRequest {
        StoredRequest {
            key: binary(&claim.key),
            body_sha256: binary(&claim.body_sha256),
            seed: binary(claim.seed.as_bytes()),
            pending_until: Some(claim.pending_until.as_microsecond()),
            response: None,
            expires_at: claim.expires_at.as_microsecond(),
        }
    }

    fn seed(&self) -> Result<Uuid> {
        known(Uuid::from_slice(&self.seed.bytes).ok(), "a request's seed")
    }
}

impl StoredAnswer {
    fn new(response: &StoredResponse) -> StoredAnswer {
        StoredAnswer {
            status: i32::from(response.status),
            content_type: response.content_type.clone(),
            body: binary(&response.body),
        }
    }

    fn read(self) -> Result<StoredResponse> {
        Ok(StoredResponse {
            status: known(u16::try_from(self.status).ok(), "an answer's status")?,
            content_type: self.content_type,
            body: self.body.bytes,
        })
    }
}

impl MongoStore {
    fn requests(&self) -> Collection<StoredRequest> {
        self.collection("requests")
    }

    /// One look at the request and, where it may go ahead, one try to claim it. `None`: somebody
    /// came between, look again.
    async fn try_claim(&self, claim: &RequestClaim) -> Result<Option<Claimed>> {
        let at = claim.at.as_microsecond();
        let this = doc! { "_id": binary(&claim.key) };
        let Some(found) = self.requests().find_one(this.clone()).await? else {
            return match self.requests().insert_one(StoredRequest::new(claim)).await {
                Ok(_) => Ok(Some(Claimed::Go(claim.seed))),
                Err(error) if is_duplicate(&error) => Ok(None),
                Err(error) => Err(error.into()),
            };
        };
        if found.expires_at <= at {
            let mut expired = this;
            expired.insert("expires_at", found.expires_at);
            let new = StoredRequest::new(claim);
            let replaced = self.requests().replace_one(expired, new).await?;
            return Ok((replaced.matched_count == 1).then_some(Claimed::Go(claim.seed)));
        }
        if digest(&found.body_sha256)? != claim.body_sha256 {
            return Ok(Some(Claimed::OtherBody));
        }
        let seed = found.seed()?;
        if let Some(answer) = found.response {
            return Ok(Some(Claimed::Answered(answer.read()?)));
        }
        if found.pending_until.is_some_and(|until| until > at) {
            return Ok(Some(Claimed::Pending));
        }
        let mut unfinished = unanswered(&claim.key);
        unfinished.insert("pending_until", found.pending_until);
        let change = doc! { "$set": {
            "pending_until": claim.pending_until.as_microsecond(),
            "expires_at": claim.expires_at.as_microsecond(),
        } };
        let taken = self.requests().update_one(unfinished, change).await?;
        Ok((taken.matched_count == 1).then_some(Claimed::Go(seed)))
    }
}

fn unanswered(key: &RequestKey) -> Document {
    doc! { "_id": binary(key), "response": null }
}

#[async_trait::async_trait]
impl Idempotency for MongoStore {
    async fn claim_request(&self, claim: &RequestClaim) -> Result<Claimed> {
        loop {
            if let Some(claimed) = self.try_claim(claim).await? {
                return Ok(claimed);
            }
        }
    }

    async fn answer_request(&self, key: &RequestKey, response: &StoredResponse) -> Result<()> {
        let answer = bson::serialize_to_bson(&StoredAnswer::new(response))
            .map_err(mongodb::error::Error::from)?;
        let change = doc! { "$set": { "response": answer, "pending_until": null } };
        self.requests().update_one(unanswered(key), change).await?;
        Ok(())
    }

    async fn release_request(&self, key: &RequestKey) -> Result<()> {
        let change = doc! { "$set": { "pending_until": null } };
        self.requests().update_one(unanswered(key), change).await?;
        Ok(())
    }

    async fn forget_requests(&self, now: Timestamp) -> Result<u64> {
        let expired = doc! { "expires_at": { "$lte": now.as_microsecond() } };
        Ok(self.requests().delete_many(expired).await?.deleted_count)
    }
}
