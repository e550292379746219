//! Who asks for something, as the journal keeps it with each decision: opaque to the engine, and
//! what the audit log says afterwards.
//!
//! The bytes are those of [`Actor`] in postcard, fields in this order; no bytes at all are the
//! system itself.

use serde::{Deserialize, Serialize};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Actor {
    /// What they are.
    pub kind: ActorKind,
    /// Their id, such as `key_…`; empty for the system.
    pub id: String,
    /// From which IP address.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
}

/// What somebody who asks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ActorKind {
    /// An API key.
    Key,
    /// A person.
    User,
    /// Outlay by itself: what was due, jobs.
    #[default]
    System,
    /// Whoever runs the node that wrote it.
    Node,
}

impl Actor {
    /// An API key, from where it asks.
    #[must_use]
    pub fn key(id: String, ip: Option<String>, request_id: Option<String>) -> Actor {
        Actor { kind: ActorKind::Key, id, ip, request_id }
    }

    /// The bytes for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        if *self == Actor::default() {
            return vec![];
        }
        postcard::to_stdvec(self).expect("plain data is encoded")
    }

    /// Reads them; `None` where they are damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Actor> {
        if bytes.is_empty() {
            return Some(Actor::default());
        }
        postcard::from_bytes(bytes).ok()
    }

    /// What the audit log calls them: the id of a key or a person, or what they are.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.kind, self.id.as_str()) {
            (ActorKind::System, _) => "system".to_owned(),
            (ActorKind::Node, "") => "node".to_owned(),
            (ActorKind::Node, id) => format!("node {id}"),
            (ActorKind::Key | ActorKind::User, id) => id.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_read_back_and_the_system_takes_no_bytes() {
        let key = Actor::key("key_1".into(), Some("::1".into()), Some("req_1".into()));
        assert_eq!(Actor::decode(&key.encode()), Some(key.clone()));
        assert_eq!(key.name(), "key_1");
        assert!(Actor::default().encode().is_empty());
        assert_eq!(Actor::decode(&[]).map(|actor| actor.name()), Some("system".to_owned()));
        assert_eq!(Actor::decode(&[9]), None);
    }
}
