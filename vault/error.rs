//! What can go wrong with keys and sealed values, each with what a person can do about it. No
//! message holds a key, a secret or a ciphertext.

use std::{error::Error, io, path::PathBuf};

use domain::OrganizationId;
use store::StoreError;

/// A failure of the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The data keys in the store were wrapped by another key-encryption key.
    #[error(
        "the key-encryption key `{present}` does not open this store's data keys, which `{needed}` \
         wrapped: start with the key file that made them"
    )]
    WrongKey {
        /// The key source's id.
        present: String,
        /// The id of the one that wrapped the data key.
        needed: String,
    },
    /// A wrapped data key that its own key-encryption key does not open.
    #[error("data key {version} of `{organization}` was changed or belongs elsewhere")]
    DamagedDataKey {
        /// Owner.
        organization: OrganizationId,
        /// Which of its data keys.
        version: u32,
    },
    /// A sealed value that its data key does not open.
    #[error("the sealed field `{field}` of `{record}` was changed or belongs elsewhere")]
    Damaged {
        /// The record it is stored under.
        record: String,
        /// The field it is stored under.
        field: String,
    },
    /// A sealed value whose data key is not in the store.
    #[error("data key {version} of `{organization}` is gone, and what it sealed cannot be read")]
    MissingDataKey {
        /// Owner.
        organization: OrganizationId,
        /// Which of its data keys.
        version: u32,
    },
    /// A text that is not a key.
    #[error("not a key: {0}")]
    Malformed(&'static str),
    /// A key file that cannot be used as it is.
    #[error("the key file {}: {problem}", path.display())]
    KeyFile {
        /// Where it is.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
        /// The system's word on it, where there is one.
        #[source]
        source: Option<io::Error>,
    },
    /// The key source cannot answer; trying again may help.
    #[error("the key source `{id}` does not answer")]
    KeySource {
        /// The key source's id.
        id: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    /// The store failed.
    #[error("the store failed while {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// How it failed.
        #[source]
        source: StoreError,
    },
}

impl VaultError {
    /// Whether trying again may help: the store or the key source is away for now.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            VaultError::KeySource { .. } => true,
            VaultError::Store { source, .. } => source.is_temporary(),
            _ => false,
        }
    }
}
