//! What people do in MongoDB instead: a conditional update of one document, one document for each
//! event under a unique index; and what MongoDB itself takes, for a bare insert and for the same
//! bytes in one document. Every answer waits for the majority's journals, as ours does.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use mongodb::{
    Client, Collection, IndexModel,
    bson::{Binary, Document, doc, spec::BinarySubtype},
    options::{Acknowledgment, IndexOptions, WriteConcern},
};
use uuid::Uuid;

use super::load::{Call, Load};

const LIMIT: i64 = 1_000_000_000_000_000;
const AMOUNT: i64 = 4_500;
/// What a batch's entry takes in our journal, for the packed document.
const EVENT_BYTES: usize = 80;

/// A database of the replica set's own.
pub(crate) struct Mongo {
    spots: Collection<Document>,
    rows: Collection<Document>,
    events: Collection<Document>,
}

impl Mongo {
    pub(crate) async fn open(uri: &str) -> Result<Mongo> {
        let client = Client::with_uri_str(uri).await?;
        let database = client.database(&format!("rivals_{}", Uuid::new_v4().simple()));
        let concern = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(Duration::from_secs(30))
            .build();
        let options = mongodb::options::CollectionOptions::builder().write_concern(concern).build();
        let open = |name: &str| database.collection_with_options(name, options.clone());
        let (spots, rows, events) = (open("spots"), open("rows"), open("events"));
        spots.insert_one(doc! {"_id": 1, "used": 0_i64}).await?;
        let unique = IndexOptions::builder().unique(true).build();
        events
            .create_index(IndexModel::builder().keys(doc! {"id": 1}).options(unique).build())
            .await?;
        Ok(Mongo { spots, rows, events })
    }

    /// A conditional update of one document.
    pub(crate) fn hot_document(&self) -> Load {
        let spots = self.spots.clone();
        call(move || {
            let spots = spots.clone();
            async move {
                let fits = doc! {"_id": 1, "used": {"$lte": LIMIT - AMOUNT}};
                let taken =
                    spots.find_one_and_update(fits, doc! {"$inc": {"used": AMOUNT}}).await?;
                taken.context("there is room").map(drop)
            }
        })
    }

    /// A small document, and nothing else.
    pub(crate) fn bare_insert(&self) -> Load {
        self.insert_of(EVENT_BYTES)
    }

    /// The bytes of a batch of so many events in one document.
    pub(crate) fn packed(&self, events: usize) -> Load {
        self.insert_of(EVENT_BYTES * events)
    }

    fn insert_of(&self, bytes: usize) -> Load {
        let rows = self.rows.clone();
        call(move || {
            let rows = rows.clone();
            async move {
                let bytes = Binary { subtype: BinarySubtype::Generic, bytes: vec![7; bytes] };
                rows.insert_one(doc! {"_id": Uuid::new_v4().to_string(), "bytes": bytes}).await?;
                Ok(())
            }
        })
    }

    /// So many events, a document each, under a unique index of their ids.
    pub(crate) fn insert_many(&self, count: usize) -> Load {
        let events = self.events.clone();
        call(move || {
            let events = events.clone();
            async move {
                let documents = (0..count).map(|_| {
                    doc! {"id": Uuid::new_v4().simple().to_string(),
                    "path": "acme/search/rewrite/leaf", "service": "openai", "model": "gpt-4o",
                    "input_tokens": 1000_i64, "output_tokens": 200_i64, "cost": 4_500_i64}
                });
                let inserted = events.insert_many(documents).await?;
                ensure!(inserted.inserted_ids.len() == count, "all are new");
                Ok(())
            }
        })
    }
}

fn call<F: Future<Output = Result<()>> + Send + 'static>(
    work: impl Fn() -> F + Send + Sync + 'static,
) -> Load {
    let call: Call = Arc::new(move || Box::pin(work()));
    Load::Call(call)
}
