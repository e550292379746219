#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod data_key;
mod envelope;
mod error;
mod key_source;
mod local_key;
mod sealed;

pub use data_key::DataKey;
pub use error::VaultError;
pub use key_source::{KeyContext, KeySource};
pub use local_key::LocalKey;
pub use sealed::Vault;

/// What the vault's functions return.
pub type Result<T> = std::result::Result<T, VaultError>;
