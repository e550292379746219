//! Homes: which node serves a shard, of those that are alive.
//!
//! A home is there for speed only. Two nodes that believe in different homes both stay right: the
//! journal lets one of them have each place, and the other follows.

use std::sync::{Mutex, PoisonError};

use domain::organization::Environment;
use sha2::{Digest, Sha256};
use store::journal::Shard;
use store::nodes::Node;

/// What this node believes of the others.
pub(crate) struct Homes {
    own: u128,
    alive: Mutex<Vec<Node>>,
}

/// Who serves a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    /// This node.
    Here,
    /// The node at this address.
    At(String),
}

impl Homes {
    pub(crate) fn new(own: u128) -> Homes {
        Homes { own, alive: Mutex::default() }
    }

    /// Takes over who is alive.
    pub(crate) fn set(&self, nodes: Vec<Node>) {
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    /// Forgets a node that could not be reached, until it is heard of again.
    pub(crate) fn forget(&self, address: &str) {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.retain(|node| node.address.as_deref() != Some(address));
    }

    /// The home of a shard. Without a node that others can reach, every node serves by itself.
    pub(crate) fn of(&self, shard: Shard) -> Home {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let reachable = alive.iter().filter(|node| node.address.is_some());
        let best = reachable.max_by_key(|node| (weight(node.id, shard), node.id));
        match best {
            Some(node) if node.id != self.own => node.address.clone().map_or(Home::Here, Home::At),
            Some(_) | None => Home::Here,
        }
    }
}

/// How well a node fits a shard: a number that every node works out alike, so that a node that
/// comes or goes moves its own shards only.
fn weight(node: u128, shard: Shard) -> [u8; 32] {
    let environment = match shard.environment {
        Environment::Live => [0],
        Environment::Test => [1],
    };
    Sha256::new()
        .chain_update(node.to_be_bytes())
        .chain_update(shard.organization.uuid().as_bytes())
        .chain_update(environment)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use domain::OrganizationId;
    use uuid::Uuid;

    use super::*;

    fn node(id: u128, address: Option<&str>) -> Node {
        Node { id, address: address.map(str::to_owned), format: 1, seen_at: 0 }
    }

    fn shard(number: u128) -> Shard {
        let organization = OrganizationId::from_uuid(Uuid::from_u128(number));
        Shard { organization, environment: Environment::Live }
    }

    #[test]
    fn every_node_believes_in_the_same_home_and_a_lost_one_moves_only_its_own_shards() {
        let nodes = [node(1, Some("a")), node(2, Some("b")), node(3, Some("c"))];
        let of = |own: u128, nodes: &[Node], shard| {
            let homes = Homes::new(own);
            homes.set(nodes.to_vec());
            match homes.of(shard) {
                Home::At(address) => address,
                Home::Here => nodes.iter().find(|n| n.id == own).unwrap().address.clone().unwrap(),
            }
        };
        let mut counts = [0; 3];
        for number in 0..300 {
            let home = of(1, &nodes, shard(number));
            assert_eq!(home, of(2, &nodes, shard(number)));
            counts[usize::from(home.as_bytes()[0] - b'a')] += 1;
            if home != "c" {
                assert_eq!(home, of(1, &nodes[..2], shard(number)));
            }
        }
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    }

    #[test]
    fn without_addresses_every_node_serves_by_itself() {
        let homes = Homes::new(1);
        homes.set(vec![node(1, None), node(2, None)]);
        assert_eq!(homes.of(shard(1)), Home::Here);
        homes.set(vec![node(1, None), node(2, Some("b"))]);
        assert_eq!(homes.of(shard(1)), Home::At("b".to_owned()));
        homes.forget("b");
        assert_eq!(homes.of(shard(1)), Home::Here);
    }
}
