//! A node among others on one store: hands what is asked of a shard to the shard's home, and serves
//! it itself where the home cannot be reached.
//!
//! Whatever is handed over carries an identity, so that a group that was handed over *and* decided
//! here, because the answer was lost, counts once.

use std::sync::Arc;
use std::time::Duration;

use engine::command::Once;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::journal::Shard;
use store::nodes::Node;
use tokio::time::Instant;
use uuid::Uuid;

use crate::actor::Actor;
use crate::caps::{Caps, Done, Group, Position, Reply};
use crate::clock_guard::ClockGuard;
use crate::error::ShardError;
use crate::homes::{Home, Homes};
use crate::node::Shards;
use crate::parts::Parts;
use crate::question::Question;
use crate::skip::{Skip, skip};

/// How others are reached. The binary knows how; shards do not.
#[async_trait::async_trait]
pub trait Peers: Send + Sync {
    /// Sends `body` to the node at `address` and returns its answer.
    ///
    /// # Errors
    /// [`PeerError`] says whether the node may have got it.
    async fn call(
        &self,
        address: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, PeerError>;
}

/// A node that did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the node at {address} did not answer: {why}")]
pub struct PeerError {
    /// Where it was looked for.
    pub address: String,
    /// Why.
    pub why: String,
}

/// A node among others.
pub struct Cluster {
    local: Arc<Shards>,
    parts: Parts,
    homes: Homes,
    peers: Arc<dyn Peers>,
    own: Node,
    guard: ClockGuard,
}

/// What is handed to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Handed {
    Submit(ShardName, Group),
    Ask(ShardName, Question, Option<Position>),
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum HandedBack {
    Done(Result<Done, ShardError>),
    Said(Result<Reply, ShardError>),
}

/// A shard as it is named between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ShardName {
    organization: u128,
    is_live: bool,
}

impl Cluster {
    /// A node that others reach at `address`, or not at all.
    #[must_use]
    pub fn new(parts: Parts, address: Option<String>, peers: Arc<dyn Peers>) -> Cluster {
        let id = (parts.random)();
        let format = u32::from(parts.formats.newest());
        Cluster {
            local: Arc::new(Shards::new(parts.clone())),
            guard: ClockGuard::new(parts.clone()),
            parts,
            homes: Homes::new(id),
            peers,
            own: Node { id, address, format, seen_at: 0 },
        }
    }

    /// The shards of this process, for what is handed over by others and for stopping.
    #[must_use]
    pub fn local(&self) -> &Arc<Shards> {
        &self.local
    }

    /// The watch over this node's clock.
    #[must_use]
    pub fn clock_guard(&self) -> &ClockGuard {
        &self.guard
    }

    /// A person says that this machine's clock is right as it is: it decides again, and loads
    /// shards whose last entry is later.
    pub fn accept_clock(&self) {
        self.guard.accept();
        self.local.accept_clock();
    }

    /// Says in a journal that an entry is not followed; see [`skip`](crate::skip()).
    ///
    /// # Errors
    /// As there, and where this node's clock decides nothing.
    pub async fn skip(
        &self,
        shard: Shard,
        seq: u64,
        actor: &Actor,
        why: &str,
    ) -> Result<Skip, ShardError> {
        self.guard.check()?;
        skip(&self.parts, shard, seq, actor, why).await
    }

    /// Tells others that this node lives and hears who else does, once.
    ///
    /// # Errors
    /// Where the store cannot be reached; what was believed before stays.
    pub async fn beat(&self) -> Result<(), ShardError> {
        self.parts.store.beat(&self.own).await?;
        let asked_at = Instant::now();
        let alive = self.parts.store.live_nodes(ALIVE_MICROS).await?;
        self.parts.formats.hear(&alive, asked_at);
        self.homes.set(alive);
        Ok(())
    }

    /// Beats and looks at the clock for ever.
    pub async fn live(&self) {
        let mut beat = tokio::time::interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if let Err(error) = self.beat().await {
                tracing::warn!(error = %error, "this node could not say that it lives");
            }
            self.guard.look().await;
        }
    }

    /// Stops in order: others stop handing over, then the shards stop.
    pub async fn stop(&self) {
        if let Err(error) = self.parts.store.remove_node(self.own.id).await {
            tracing::warn!(error = %error, "this node could not say that it stops");
        }
        self.local.stop().await;
    }

    /// Does what another node handed over, and gives back what that node expects.
    ///
    /// # Errors
    /// [`ShardError::Internal`] where the bytes are not understood.
    pub async fn take_over(&self, body: &[u8]) -> Result<Vec<u8>, ShardError> {
        let unknown = |_| ShardError::Internal("a node of another release asks".to_owned());
        let back = match postcard::from_bytes(body).map_err(unknown)? {
            Handed::Submit(shard, group) => {
                HandedBack::Done(self.submit_here(shard.into(), group).await)
            }
            Handed::Ask(shard, question, least) => {
                HandedBack::Said(self.local.ask(shard.into(), question, least).await)
            }
        };
        Ok(postcard::to_stdvec(&back).expect("plain data is encoded"))
    }

    async fn submit_here(&self, shard: Shard, group: Group) -> Result<Done, ShardError> {
        self.guard.check()?;
        self.local.submit(shard, group).await
    }

    /// Hands something over; none where the node did not answer.
    async fn hand(&self, address: &str, handed: &Handed, patience: Duration) -> Option<HandedBack> {
        let body = postcard::to_stdvec(handed).expect("plain data is encoded");
        let answered = self.peers.call(address, body, patience).await;
        let back = answered.map_err(|error| error.to_string());
        let back = back.and_then(|back| {
            postcard::from_bytes(&back).map_err(|_| "a node of another release answers".to_owned())
        });
        match back {
            Ok(back) => Some(back),
            Err(why) => {
                tracing::warn!(address, why, "a shard's home could not be asked");
                self.homes.forget(address);
                None
            }
        }
    }
}

const BEAT_EVERY: Duration = Duration::from_secs(2);
/// A node that was not heard of for so long is not alive.
const ALIVE_MICROS: i64 = 8_000_000;

#[async_trait::async_trait]
impl Caps for Cluster {
    async fn submit(&self, shard: Shard, mut group: Group) -> Result<Done, ShardError> {
        let Home::At(address) = self.homes.of(shard) else {
            return self.submit_here(shard, group).await;
        };
        group.patience = group.patience.min(PATIENCE_MAX);
        identify(&mut group, &*self.parts.random);
        let patience = group.patience;
        let handed = Handed::Submit(shard.into(), group);
        match self.hand(&address, &handed, patience).await {
            Some(HandedBack::Done(done)) => done,
            Some(HandedBack::Said(_)) | None => {
                let Handed::Submit(_, group) = handed else {
                    return Err(ShardError::OutcomeUnknown);
                };
                self.submit_here(shard, group).await
            }
        }
    }

    async fn ask(
        &self,
        shard: Shard,
        question: Question,
        least: Option<Position>,
    ) -> Result<Reply, ShardError> {
        let Home::At(address) = self.homes.of(shard) else {
            return self.local.ask(shard, question, least).await;
        };
        let handed = Handed::Ask(shard.into(), question.clone(), least);
        match self.hand(&address, &handed, ASK_PATIENCE).await {
            Some(HandedBack::Said(reply)) => reply,
            Some(HandedBack::Done(_)) | None => self.local.ask(shard, question, least).await,
        }
    }
}

/// The longest that anything waits at another node.
const PATIENCE_MAX: Duration = Duration::from_secs(30);
const ASK_PATIENCE: Duration = Duration::from_secs(2);

/// Gives every request of a group an identity, so that it counts once however often it is sent.
fn identify(group: &mut Group, random: &(dyn Fn() -> u128 + Send + Sync)) {
    for request in group.requests.iter_mut().filter(|request| request.once.is_none()) {
        let identity = random().to_be_bytes();
        let body = Sha256::digest(identity);
        let body = [body[0], body[1], body[2], body[3]];
        request.once = Some(Once { identity, body, seen: None });
    }
}

impl From<Shard> for ShardName {
    fn from(shard: Shard) -> ShardName {
        let is_live = shard.environment == domain::organization::Environment::Live;
        ShardName { organization: shard.organization.uuid().as_u128(), is_live }
    }
}

impl From<ShardName> for Shard {
    fn from(name: ShardName) -> Shard {
        use domain::organization::Environment::{Live, Test};
        let organization = Uuid::from_u128(name.organization);
        Shard {
            organization: domain::OrganizationId::from_uuid(organization),
            environment: if name.is_live { Live } else { Test },
        }
    }
}
