#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod api_key;
mod audit_chain;
mod error;
mod first_start;
mod new_id;

pub use api_key::{
    KeyBits, KeyRequest, NewKey, api_key_of, environment_of_key, hash_key, key_text, make_api_key,
    new_key_bits,
};
pub use audit_chain::{ChainVerdict, verify_audit_chain};
pub use error::IdentityError;
pub use first_start::{FirstStart, first_start};
pub use new_id::new_uuid;

/// What the functions of this room return.
pub type Result<T> = std::result::Result<T, IdentityError>;
