//! Nodes on MongoDB: one document for each, with the time of the server that took its last beat.

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Binary, DateTime, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::is_duplicate,
    stored::{big, binary, from_big, known},
};
use crate::{Nodes, Result, StoreError, StoreErrorKind, nodes::Node};

/// After so long a node that did not stop in order is forgotten.
const FORGOTTEN_MILLIS: i64 = 24 * 60 * 60 * 1000;

#[derive(Deserialize)]
struct StoredNode {
    #[serde(rename = "_id")]
    id: Binary,
    address: Option<String>,
    format: i64,
    seen_at: DateTime,
}

impl StoredNode {
    fn read(self) -> Result<Node> {
        Ok(Node {
            id: from_big(&self.id)?,
            address: self.address,
            format: known(u32::try_from(self.format).ok(), "a node's format")?,
            seen_at: self.seen_at.timestamp_millis().saturating_mul(1000),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSecret {
    #[serde(rename = "_id")]
    number: i32,
    ciphertext: Binary,
}

/// Nodes that were heard of since so long before the server's time, or were not.
fn seen(comparison: &str, millis: i64) -> Document {
    let since = doc! { "$subtract": ["$$NOW", millis] };
    doc! { "$expr": { comparison: ["$seen_at", since] } }
}

impl MongoStore {
    fn nodes(&self) -> Collection<StoredNode> {
        self.collection("nodes")
    }

    fn cluster_secrets(&self) -> Collection<StoredSecret> {
        self.collection("cluster_secrets")
    }
}

#[async_trait::async_trait]
impl Nodes for MongoStore {
    async fn beat(&self, node: &Node) -> Result<()> {
        // A pipeline, for its `$$NOW`; there a text with a `$` would mean a field.
        let fields = doc! {
            "address": { "$literal": node.address.as_deref() },
            "format": i64::from(node.format),
            "seen_at": "$$NOW",
        };
        let this = doc! { "_id": big(node.id) };
        let nodes = self.nodes();
        let beat = nodes.update_one(this, vec![doc! { "$set": fields }]).upsert(true).await?;
        if beat.upserted_id.is_some() {
            nodes.delete_many(seen("$lt", FORGOTTEN_MILLIS)).await?;
        }
        Ok(())
    }

    async fn live_nodes(&self, micros: i64) -> Result<Vec<Node>> {
        let live = seen("$gte", micros.div_euclid(1000));
        let found = self.nodes().find(live).sort(doc! { "_id": 1 }).await?;
        let nodes: Vec<_> = found.try_collect().await?;
        nodes.into_iter().map(StoredNode::read).collect()
    }

    async fn remove_node(&self, id: u128) -> Result<()> {
        self.nodes().delete_one(doc! { "_id": big(id) }).await?;
        Ok(())
    }

    async fn cluster_secret(&self, offered: &[u8]) -> Result<Vec<u8>> {
        let mut session = self.client.start_session().causal_consistency(true).await?;
        let secrets = self.cluster_secrets();
        let offer = StoredSecret { number: 1, ciphertext: binary(offered) };
        match secrets.insert_one(offer).session(&mut session).await {
            Err(error) if !is_duplicate(&error) => return Err(error.into()),
            _ => {}
        }
        // In the session: what was found there is waited for until a majority has it.
        let stored = secrets.find_one(doc! { "_id": 1 }).session(&mut session).await?;
        let gone = || {
            let message = "the secret of the store's nodes was not kept; try again";
            StoreError::new(StoreErrorKind::Unavailable, false, message)
        };
        Ok(stored.ok_or_else(gone)?.ciphertext.bytes)
    }
}
