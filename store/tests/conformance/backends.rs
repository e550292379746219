//! The stores that the cases run on, and how each makes a fresh one.
//!
//! To add one: implement [`Backend`] and name it in [`all`].

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use mongodb::bson::{Document, doc};
use store::{Store, mongo::MongoStore, sqlite::SqliteStore};
use uuid::Uuid;

use crate::Failure;

/// Whether a backend's trials can run here.
pub(crate) enum Availability {
    /// Yes.
    Ready,
    /// No: its trials are shown as ignored.
    Missing,
    /// No, though they must: its trials fail with this reason.
    Required(&'static str),
}

/// A kind of store.
#[async_trait::async_trait]
pub(crate) trait Backend: Send + Sync {
    /// First part of the trials' names.
    fn name(&self) -> &'static str;

    /// Whether its trials can run.
    fn availability(&self) -> Availability;

    /// A store with nothing in it, shared with no other trial.
    async fn fresh(&self) -> Result<Fresh, Failure>;

    /// Removes what is left when all trials are over.
    async fn finish(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A fresh store, and how to leave nothing of it behind.
pub(crate) struct Fresh {
    pub(crate) store: Arc<dyn Store>,
    clean_up: CleanUp,
}

type CleanUp =
    Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> + Send>;

impl Fresh {
    /// A store that `clean_up` removes when its trial is over.
    pub(crate) fn new<F>(
        store: Arc<dyn Store>,
        clean_up: impl FnOnce() -> F + Send + 'static,
    ) -> Fresh
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        Fresh { store, clean_up: Box::new(move || Box::pin(clean_up())) }
    }

    /// Ends the store and removes what it kept.
    pub(crate) async fn discard(self) -> Result<(), Failure> {
        drop(self.store);
        (self.clean_up)().await
    }
}

/// All backends.
pub(crate) fn all() -> Vec<Arc<dyn Backend>> {
    vec![
        Arc::new(Sqlite),
        Arc::new(Mongo { uri: setting("OUTLAY_TEST_MONGODB_URI"), databases: Arc::default() }),
    ]
}

/// SQLite, in a folder of its own.
struct Sqlite;

#[async_trait::async_trait]
impl Backend for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn availability(&self) -> Availability {
        Availability::Ready
    }

    async fn fresh(&self) -> Result<Fresh, Failure> {
        let folder = tempfile::tempdir()?;
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await?;
        Ok(Fresh::new(Arc::new(store), || async move { Ok(folder.close()?) }))
    }
}

/// MongoDB, on the server that `OUTLAY_TEST_MONGODB_URI` names; each trial has its own database.
struct Mongo {
    uri: Option<String>,
    /// Databases of trials that are over, emptied: making all collections takes longer than most
    /// trials.
    databases: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl Backend for Mongo {
    fn name(&self) -> &'static str {
        "mongo"
    }

    fn availability(&self) -> Availability {
        match (&self.uri, setting("OUTLAY_REQUIRE_ALL_BACKENDS").as_deref()) {
            (Some(_), _) => Availability::Ready,
            (None, Some("1")) => Availability::Required("`OUTLAY_TEST_MONGODB_URI` is not set"),
            (None, _) => Availability::Missing,
        }
    }

    async fn fresh(&self) -> Result<Fresh, Failure> {
        let uri = self.uri.as_deref().ok_or("`OUTLAY_TEST_MONGODB_URI` is not set")?;
        let emptied = self.databases.lock().expect("no trial panics in here").pop();
        let name = emptied.unwrap_or_else(|| format!("outlay_test_{}", Uuid::now_v7().simple()));
        let uri = with_database(uri, &name);
        let store = Arc::new(MongoStore::open(&uri).await?);
        let databases = Arc::clone(&self.databases);
        let clean_up = {
            let store = Arc::clone(&store);
            async move || {
                store.close().await;
                empty(&uri).await?;
                databases.lock().expect("no trial panics in here").push(name);
                Ok(())
            }
        };
        Ok(Fresh::new(store, clean_up))
    }

    async fn finish(&self) -> Result<(), Failure> {
        let names = std::mem::take(&mut *self.databases.lock().expect("the trials are over"));
        let Some(uri) = self.uri.as_ref().filter(|_| !names.is_empty()) else { return Ok(()) };
        let client = mongodb::Client::with_uri_str(uri).await?;
        for name in names {
            client.database(&name).drop().await?;
        }
        client.shutdown().immediate(true).await;
        Ok(())
    }
}

/// Deletes every document but the record of the schema.
async fn empty(uri: &str) -> Result<(), Failure> {
    let client = mongodb::Client::with_uri_str(uri).await?;
    let database = client.default_database().ok_or("the URI names a database")?;
    for name in database.list_collection_names().await? {
        if name != "schema_migrations" {
            database.collection::<Document>(&name).delete_many(doc! {}).await?;
        }
    }
    client.shutdown().immediate(true).await;
    Ok(())
}

/// The same server with another database.
fn with_database(uri: &str, database: &str) -> String {
    let (place, options) = uri.split_once('?').map_or((uri, ""), |(place, rest)| (place, rest));
    let hosts_start = place.find("://").map_or(0, |index| index + 3);
    let hosts_end = place[hosts_start..].find('/').map_or(place.len(), |index| hosts_start + index);
    format!("{}/{database}?{options}", &place[..hosts_end])
}

#[expect(clippy::disallowed_methods, reason = "where a test's database is, only its caller knows")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
