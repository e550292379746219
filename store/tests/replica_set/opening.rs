//! Opening a store: by many processes at once, and by one that is too old for it.

use libtest_mimic::Failed;
use mongodb::{
    Client, Database,
    bson::{Document, doc},
};
use store::{Organizations as _, Store as _, StoreErrorKind, mongo::MongoStore};
use uuid::Uuid;

const OPENING_COUNT: usize = 8;

pub(crate) async fn open_at_once(uri: String) -> Result<(), Failed> {
    let place = Place::new(&uri).await?;
    let open = |uri: String| async move { MongoStore::open(&uri).await };
    let tasks: Vec<_> = (0..OPENING_COUNT).map(|_| tokio::spawn(open(place.uri.clone()))).collect();
    for task in tasks {
        let store = task.await??;
        store.ping().await?;
        assert_eq!(store.organizations().await?, []);
        store.close().await;
    }
    place.remove().await
}

pub(crate) async fn open_newer(uri: String) -> Result<(), Failed> {
    let place = Place::new(&uri).await?;
    MongoStore::open(&place.uri).await?.close().await;
    let steps = place.database.collection::<Document>("schema_migrations");
    steps.insert_one(doc! { "_id": 9999 }).await?;
    let error = MongoStore::open(&place.uri).await.expect_err("the schema is unknown");
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("newer version"), "{error}");
    place.remove().await
}

/// A database that no other trial uses.
pub(crate) struct Place {
    pub(crate) uri: String,
    client: Client,
    pub(crate) database: Database,
}

impl Place {
    pub(crate) async fn new(shared: &str) -> Result<Place, Failed> {
        let client = Client::with_uri_str(shared).await?;
        let theirs = client.default_database().ok_or("the URI names a database")?;
        let name = format!("outlay_test_{}", Uuid::now_v7().simple());
        let uri = shared.replacen(&format!("/{}", theirs.name()), &format!("/{name}"), 1);
        Ok(Place { uri, database: client.database(&name), client })
    }

    pub(crate) async fn remove(self) -> Result<(), Failed> {
        self.database.drop().await?;
        self.client.shutdown().immediate(true).await;
        Ok(())
    }
}
