#![doc = include_str!("README.md")]
#![warn(missing_docs)]

pub mod api_keys;
pub mod audit;
pub mod backup;
pub mod bodies;
pub mod charges;
pub mod connections;
pub mod end_users;
mod error;
pub mod facts;
pub mod files;
pub mod idempotency;
mod instants;
pub mod journal;
pub mod mongo;
pub mod nodes;
pub mod organizations;
pub mod own_prices;
pub mod schedule;
pub mod secrets;
pub mod snapshots;
pub mod sqlite;
pub mod syncs;

pub use api_keys::ApiKeys;
pub use audit::AuditLog;
pub use bodies::Bodies;
pub use charges::Charges;
pub use connections::Connections;
pub use end_users::EndUsers;
pub use error::{StoreError, StoreErrorKind};
pub use facts::Facts;
pub use files::Files;
pub use idempotency::Idempotency;
pub use journal::Journal;
pub use nodes::Nodes;
pub use organizations::Organizations;
pub use own_prices::OwnPrices;
pub use schedule::Schedule;
pub use secrets::Secrets;
pub use snapshots::Snapshots;
pub use syncs::Syncs;

/// What every method returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// All repositories of one store.
#[async_trait::async_trait]
pub trait Store:
    Organizations
    + ApiKeys
    + Secrets
    + Connections
    + Syncs
    + Schedule
    + Charges
    + Files
    + OwnPrices
    + EndUsers
    + Bodies
    + Journal
    + Snapshots
    + Facts
    + Nodes
    + AuditLog
    + Idempotency
    + Send
    + Sync
{
    /// `sqlite` or `mongodb`.
    fn kind(&self) -> &'static str;

    /// Answers when the store can read and write.
    ///
    /// # Errors
    /// `unavailable` where it cannot be reached.
    async fn ping(&self) -> Result<()>;
}

/// Where a store is: `sqlite:PATH` or `mongodb://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file on this machine.
    Sqlite(std::path::PathBuf),
    /// A replica set, by its connection string (which may hold a password: never print it).
    Mongo(String),
}

impl StoreUrl {
    /// Reads a store URL.
    ///
    /// # Errors
    /// `misconfigured` for any other scheme.
    pub fn parse(text: &str) -> Result<StoreUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Ok(StoreUrl::Sqlite(path.trim_start_matches("//").into()));
        }
        if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
            return Ok(StoreUrl::Mongo(text.to_owned()));
        }
        Err(StoreError::misconfigured("a store is `sqlite:PATH` or `mongodb://HOST/DATABASE`"))
    }
}

/// One page of a list: at most `limit` items whose id text comes after `after`, in id order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Most items, 1 to 1,000.
    pub limit: usize,
    /// The last id of the page before.
    pub after: Option<String>,
}

/// What became of making a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created<T> {
    /// It was made now.
    Created,
    /// It was there already; this is it.
    Exists(T),
}
