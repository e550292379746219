//! The collections and indexes, made by numbered steps when a store is opened.
//!
//! Every step may run again and in several processes at once: making what is there already is no
//! error. A step is recorded when it is done. A store with steps that this program does not know is
//! refused, because a newer program may rely on what an older one would break.

use futures::future::try_join_all;
use mongodb::{
    Collection, IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};
use serde::{Deserialize, Serialize};

use super::{MongoStore, blocks::BLOCK_KEY_FIELDS, failure::code};
use crate::{Result, StoreError};

/// The newest step.
pub(super) const LATEST: i32 = 6;
/// What each step makes, in their order.
const STEPS: &[Step] = &[
    (1, first),
    (2, own_prices),
    (3, keys_and_settings),
    (4, journals),
    (5, end_users),
    (LATEST, bodies),
];
/// "Collection exists already" among <https://www.mongodb.com/docs/manual/reference/error-codes/>.
const NAMESPACE_EXISTS: i32 = 48;

#[derive(Serialize, Deserialize)]
struct StoredStep {
    #[serde(rename = "_id")]
    number: i32,
}

/// A step's number and what it makes.
type Step = (i32, fn() -> Collections);

/// Collections by name, with their indexes.
type Collections = Vec<(&'static str, Vec<Index>)>;

/// An index of a collection.
struct Index {
    keys: Vec<&'static str>,
    is_unique: bool,
    /// A field that must be true for a document to be in the index.
    only_where: Option<&'static str>,
}

impl Index {
    fn on(keys: &[&'static str]) -> Index {
        Index { keys: keys.to_vec(), is_unique: false, only_where: None }
    }

    fn unique(keys: &[&'static str]) -> Index {
        Index { is_unique: true, ..Index::on(keys) }
    }

    fn unique_where(field: &'static str, keys: &[&'static str]) -> Index {
        Index { only_where: Some(field), ..Index::unique(keys) }
    }

    fn model(&self) -> IndexModel {
        let mut options = IndexOptions::default();
        options.unique = self.is_unique.then_some(true);
        options.partial_filter_expression = self.only_where.map(|field| doc! { field: true });
        let keys: Document = self.keys.iter().map(|key| ((*key).to_owned(), 1.into())).collect();
        IndexModel::builder().keys(keys).options(options).build()
    }
}

/// Step 1: everything that the first version has.
fn first() -> Collections {
    let mut days = vec!["organization"];
    days.extend(BLOCK_KEY_FIELDS);
    vec![
        ("organizations", vec![Index::unique_where("is_first", &["is_first"])]),
        ("api_keys", vec![Index::unique(&["sha256"]), Index::on(&["organization"])]),
        ("data_keys", vec![Index::unique(&["organization", "version"])]),
        ("sealed_secrets", vec![Index::unique(&["organization", "record", "field"])]),
        ("connections", vec![Index::on(&["organization", "_id"])]),
        (
            "syncs",
            vec![
                Index::unique_where("is_open", &["connection"]),
                Index::on(&["connection", "_id"]),
            ],
        ),
        ("schedule", vec![Index::on(&["due_at"])]),
        ("runs", vec![Index::unique(&["job", "fence"])]),
        ("charge_batches", vec![Index::on(&["state", "source"])]),
        ("charge_blocks", vec![Index::on(&days), Index::on(&["batch"])]),
        ("charge_block_data", vec![Index::on(&["batch"])]),
        ("generations", vec![]),
        (
            "files",
            vec![
                Index::unique_where("is_kept", &["organization", "sha256"]),
                Index::on(&["organization", "_id"]),
            ],
        ),
        ("spool_chunks", vec![Index::on(&["_id.file"])]),
        ("audit_entries", vec![Index::unique(&["organization", "sequence"])]),
        ("requests", vec![Index::on(&["expires_at"])]),
    ]
}

/// Step 2: own prices.
fn own_prices() -> Collections {
    let owner = ["organization", "environment"];
    let entry = [&owner[..], &["service", "model"]].concat();
    vec![
        ("own_prices", vec![Index::unique(&entry)]),
        ("own_price_revisions", vec![Index::unique(&owner)]),
    ]
}

/// Step 3: keys may be bound to a path and expire, organizations have settings. Documents from
/// before lack the fields, which is read as their defaults. The number alone matters: a program
/// that does not know expiry would go on to accept what has expired.
fn keys_and_settings() -> Collections {
    vec![("api_keys", vec![Index::on(&["organization", "_id"])])]
}

/// Step 4: journals, snapshots, facts and nodes, all found by their `_id`.
fn journals() -> Collections {
    let names = [
        "journal",
        "journal_shards",
        "snapshot_manifests",
        "snapshot_chunks",
        "fact_checkpoints",
        "fact_blocks",
        "fact_bodies",
        "fact_id_runs",
        "fact_windows",
        "fact_crossings",
        "nodes",
        "cluster_secrets",
    ];
    names.map(|name| (name, vec![])).into()
}

/// Step 5: whose numbers the end users of the journal and the facts are.
fn end_users() -> Collections {
    let shard = ["organization", "environment"];
    let by_id = [&shard[..], &["external_id"]].concat();
    let by_number = [&shard[..], &["number"]].concat();
    vec![
        ("end_users", vec![Index::unique(&by_id), Index::unique(&by_number)]),
        ("end_user_counters", vec![Index::unique(&shard)]),
    ]
}

/// Step 6: sealed bodies of reported calls.
fn bodies() -> Collections {
    let shard = ["organization", "environment"];
    let by_id = [&shard[..], &["body"]].concat();
    let by_age = [&shard[..], &["is_claimed", "sealed_at"]].concat();
    vec![("bodies", vec![Index::unique(&by_id), Index::on(&by_age)])]
}

impl MongoStore {
    /// Brings the store to the newest schema.
    pub(super) async fn migrate(&self) -> Result<()> {
        let newest = self.steps().find_one(doc! {}).sort(doc! { "_id": -1 }).await?;
        let done = newest.map_or(0, |step| step.number);
        if done > LATEST {
            return Err(StoreError::misconfigured(format!(
                "the store was written by a newer version of Outlay (its schema is {done}, this \
                 version knows {LATEST}); run that version or a newer one"
            )));
        }
        for (number, make) in STEPS {
            if done < *number {
                self.make(make()).await?;
                self.record(*number).await?;
            }
        }
        Ok(())
    }

    fn steps(&self) -> Collection<StoredStep> {
        self.collection("schema_migrations")
    }

    async fn record(&self, number: i32) -> Result<()> {
        let this = doc! { "_id": number };
        self.steps().replace_one(this, StoredStep { number }).upsert(true).await?;
        Ok(())
    }

    async fn make(&self, collections: Collections) -> Result<()> {
        let made = collections.iter().map(|(name, indexes)| self.make_collection(name, indexes));
        try_join_all(made).await?;
        Ok(())
    }

    async fn make_collection(&self, name: &str, indexes: &[Index]) -> Result<()> {
        match self.database.create_collection(name).await {
            Err(error) if code(&error) != Some(NAMESPACE_EXISTS) => return Err(error.into()),
            _ => {}
        }
        if !indexes.is_empty() {
            let models = indexes.iter().map(Index::model);
            self.collection::<Document>(name).create_indexes(models).await?;
        }
        Ok(())
    }
}
