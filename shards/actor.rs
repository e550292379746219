//! Who asked, as the journal keeps it beside each decision: for the facts and the audit log.

use serde::{Deserialize, Serialize};

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of party.
    pub kind: ActorKind,
    /// Which one: a key's or user's id, `local`, a node's id.
    pub id: String,
    /// The peer's address, where it is known.
    pub ip: Option<String>,
    /// The request's id, where there was a request.
    pub request_id: Option<String>,
}

/// What kind of party asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorKind {
    /// An API key.
    Key,
    /// Somebody who is logged in.
    User,
    /// Outlay itself.
    System,
    /// Another node.
    Node,
}

impl Actor {
    /// The bytes for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data is encoded")
    }

    /// Reads them; `None` where they are damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Actor> {
        postcard::from_bytes(bytes).ok()
    }
}
