//! Idempotency keys: the first answer to a request, given again to its repeats.
//!
//! A claim carries 128 bits chosen at the first try, from which the request's handler makes its new
//! ids. A repeat after a crash between the effect and the stored answer therefore makes the same
//! thing, which the other repositories recognise.

use jiff::Timestamp;
use uuid::Uuid;

use crate::Result;

/// Which request: everything that scopes the client's key (organization, environment, route, key),
/// hashed.
pub type RequestKey = [u8; 32];

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Header `Content-Type`.
    pub content_type: String,
    /// Body, byte for byte.
    pub body: Vec<u8>,
}

/// A try to do a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestClaim {
    /// Which request.
    pub key: RequestKey,
    /// SHA-256 of its body.
    pub body_sha256: [u8; 32],
    /// 128 bits for new ids, used only where this is the first try.
    pub seed: Uuid,
    /// Now.
    pub at: Timestamp,
    /// Until when a try counts as going on; later ones may take over.
    pub pending_until: Timestamp,
    /// Until when the answer is kept, at least 24 hours.
    pub expires_at: Timestamp,
}

/// What a claim found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Go ahead, with these 128 bits: the first try's.
    Go(Uuid),
    /// Another try is going on.
    Pending,
    /// It was answered before.
    Answered(StoredResponse),
    /// The key was used with another body.
    OtherBody,
}

/// Answers by idempotency key.
#[async_trait::async_trait]
pub trait Idempotency {
    /// Claims a request. Of many at once exactly one gets `Go`. An expired record counts as none.
    async fn claim_request(&self, claim: &RequestClaim) -> Result<Claimed>;

    /// Stores the answer of a claimed request; a stored one stays as it is.
    async fn answer_request(&self, key: &RequestKey, response: &StoredResponse) -> Result<()>;

    /// Ends a try without an answer, so that the next one goes ahead at once with the same bits.
    async fn release_request(&self, key: &RequestKey) -> Result<()>;

    /// Forgets what expired before `now`. Returns how many.
    async fn forget_requests(&self, now: Timestamp) -> Result<u64>;
}
