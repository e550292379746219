#![doc = include_str!("README.md")]
#![warn(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "tests call the product with a client of their own")]

pub mod books;
pub mod caps;
pub mod client;
pub mod provider;
pub mod server;
pub mod stores;

pub use client::{Client, until};
pub use provider::Provider;
pub use server::Product;
pub use stores::{Backend, Home};
