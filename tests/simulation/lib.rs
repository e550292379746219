#![doc = include_str!("README.md")]

pub mod answers;
pub mod auditor;
pub mod client;
pub mod dice;
pub mod faulty_store;
pub mod ledger;
pub mod node;
pub mod record;
pub mod stage;
pub mod stored;
pub mod stored_facts;
pub mod tables;
pub mod trace;
pub mod weather;
pub mod wishes;
pub mod world;
