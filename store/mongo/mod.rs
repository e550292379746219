//! The store on a MongoDB replica set: one file per repository, named as its trait's file.
//!
//! Everything is written with majority and journal, and read from the primary, so that what was
//! acknowledged survives the loss of any minority of members. A method that changes several
//! documents is one transaction; unique indexes and conditions on one document decide races.
//! Collections and indexes are made by numbered migrations when the store is opened, because a
//! transaction should not make them.

mod api_keys;
mod audit;
mod backup;
mod blocks;
mod bodies;
mod charges;
mod connections;
mod end_users;
mod fact_documents;
mod facts;
mod failure;
mod files;
mod idempotency;
mod journal;
mod migrations;
mod nodes;
mod organizations;
mod own_prices;
mod schedule;
mod secrets;
mod servers;
mod snapshots;
mod stored;
mod syncs;
mod transaction;

use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
    options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, WriteConcern},
};
use serde::de::DeserializeOwned;

pub use backup::MongoRestoring;

use crate::{PageQuery, Result, Store, StoreError};

/// The database of a URL that names none.
const DEFAULT_DATABASE: &str = "outlay";
const SELECTION_SECONDS_MAX: u64 = 10;
const CONNECT_SECONDS_MAX: u64 = 5;
const MAJORITY_SECONDS_MAX: u64 = 15;

/// A store on MongoDB.
#[derive(Debug)]
pub struct MongoStore {
    client: Client,
    database: Database,
}

impl MongoStore {
    /// Connects to a replica set, and makes or updates its collections and indexes. The database is
    /// the one that the URL names, else `outlay`.
    ///
    /// # Errors
    /// `misconfigured` for a URL or a server that cannot hold a store, or a store of a newer
    /// version; `unavailable` where there is no primary.
    pub async fn open(url: &str) -> Result<MongoStore> {
        let store = MongoStore::connect(url).await?;
        store.require_no_restore().await?;
        store.migrate().await?;
        store.sweep_batches().await;
        Ok(store)
    }

    /// Connects, and changes nothing.
    async fn connect(url: &str) -> Result<MongoStore> {
        // The driver's own words may quote the URL, and with it a password.
        let options = ClientOptions::parse(url).await.map_err(|_| {
            StoreError::misconfigured("the store's URL is not a valid MongoDB connection string")
        })?;
        let client = Client::with_options(durable(options))?;
        let database =
            client.default_database().unwrap_or_else(|| client.database(DEFAULT_DATABASE));
        let store = MongoStore { client, database };
        store.require_durable_servers().await?;
        Ok(store)
    }

    /// Ends all connections; every later call fails. Without it the driver says goodbye to the
    /// server from a task of its own, which a runtime that ends at once cuts short with a panic in
    /// the log.
    pub async fn close(&self) {
        self.client.clone().shutdown().immediate(true).await;
    }

    fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }
}

/// A page of what `which` describes.
async fn read_page<T: DeserializeOwned + Send + Sync>(
    documents: &Collection<T>,
    mut which: Document,
    page: &PageQuery,
) -> Result<Vec<T>> {
    // To the server a limit of 0 means none.
    if page.limit == 0 {
        return Ok(Vec::new());
    }
    if let Some(after) = &page.after {
        which.insert("_id", doc! { "$gt": after });
    }
    let found = documents.find(which).sort(doc! { "_id": 1 });
    Ok(found.limit(stored::limit(page.limit)).await?.try_collect().await?)
}

/// The URL's options with what the store relies on, whatever the URL says.
fn durable(mut options: ClientOptions) -> ClientOptions {
    let majority = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(Duration::from_secs(MAJORITY_SECONDS_MAX))
        .build();
    options.write_concern = Some(majority);
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(ReadPreference::Primary.into());
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.app_name.get_or_insert_with(|| "outlay".to_owned());
    let selection = Duration::from_secs(SELECTION_SECONDS_MAX);
    options.server_selection_timeout.get_or_insert(selection);
    options.connect_timeout.get_or_insert(Duration::from_secs(CONNECT_SECONDS_MAX));
    options
}

#[async_trait::async_trait]
impl Store for MongoStore {
    fn kind(&self) -> &'static str {
        "mongodb"
    }

    async fn ping(&self) -> Result<()> {
        // Sent to the primary, and only a primary takes writes.
        self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }
}
