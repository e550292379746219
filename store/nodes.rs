//! Nodes: the processes that share one store, by their heartbeats.

use crate::Result;

/// A process that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// A random number made at its start.
    pub id: u128,
    /// Where others reach it, `HOST:PORT`; none where it takes no forwarded commands.
    pub address: Option<String>,
    /// The newest format of entries and snapshots that it reads.
    pub format: u32,
    /// When it was last heard of, by the store's clock, microseconds since 1970.
    pub seen_at: i64,
}

/// Heartbeats.
#[async_trait::async_trait]
pub trait Nodes {
    /// Says that a node lives. `seen_at` is set by the store's clock.
    async fn beat(&self, node: &Node) -> Result<()>;

    /// Nodes heard of within the last `micros`, in the order of their ids.
    async fn live_nodes(&self, micros: i64) -> Result<Vec<Node>>;

    /// A node that stopped in order.
    async fn remove_node(&self, id: u128) -> Result<()>;

    /// The secret that nodes of this store know each other by: the stored one, or `offered` where
    /// there is none yet. Of many offers at once one is stored, and everybody gets it. It is sealed
    /// by whoever offers it; the store does not know it.
    async fn cluster_secret(&self, offered: &[u8]) -> Result<Vec<u8>>;
}
