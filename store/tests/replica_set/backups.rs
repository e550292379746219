//! Backup of a database that is being written to, and its return: everything of one instant, only
//! into an empty database, and finished by a repeat where it was killed.

use std::{fs, path::PathBuf, sync::Arc};

use domain::organization::Environment;
use libtest_mimic::Failed;
use mongodb::bson::{Document, doc};
use store::{
    Facts as _, Journal as _, StoreErrorKind,
    backup::{BackupManifest, NewBackup, check},
    facts::{Checkpoint, FactsBlock, FactsChunk, Projected},
    journal::{Appended, JournalEntry, Shard},
    mongo::{MongoRestoring, MongoStore},
};
use tempfile::TempDir;

use crate::{failover::organization, opening::Place};

const ENTRY_COUNT: u64 = 300;
/// So many are there before the backup begins.
const EARLY_COUNT: u64 = 20;

fn shard() -> Shard {
    Shard { organization: organization(), environment: Environment::Live }
}

fn entry(seq: u64) -> JournalEntry {
    let batch = u128::from(seq);
    JournalEntry { seq, batch, previous: batch - 1, bytes: vec![7; 300] }
}

/// Appends entries, each of which is then a block of the facts.
async fn write(store: &MongoStore, seqs: std::ops::RangeInclusive<u64>) -> Result<(), Failed> {
    for seq in seqs {
        assert_eq!(store.append(shard(), 1, &entry(seq)).await?, Appended::Stored);
        let [from, to] = [seq - 1, seq].map(|seq| Checkpoint { incarnation: 1, seq });
        let block = FactsBlock {
            first_seq: seq,
            last_seq: seq,
            row_count: 1,
            at_min: 0,
            at_max: 1,
            arrived_min: 0,
            arrived_max: 1,
            bytes: vec![1; 100],
        };
        let chunk = FactsChunk { events: Some(block), ..FactsChunk::default() };
        assert_eq!(store.project(shard(), from, to, &chunk).await?, Projected::Done);
    }
    Ok(())
}

async fn back_up(uri: &str, folder: &TempDir) -> Result<(PathBuf, BackupManifest), Failed> {
    let path = folder.path().join("backup");
    let mut backup = NewBackup::begin(&path, "mongodb", "1", String::new())?;
    MongoStore::back_up(uri, &mut backup, &|_| {}).await?;
    Ok((path, backup.finish()?))
}

pub(crate) async fn back_up_beside_writers(uri: String) -> Result<(), Failed> {
    let (place, target) = (Place::new(&uri).await?, Place::new(&uri).await?);
    let folder = tempfile::tempdir()?;
    let store = Arc::new(MongoStore::open(&place.uri).await?);
    write(&store, 1..=EARLY_COUNT).await?;
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { write(&store, EARLY_COUNT + 1..=ENTRY_COUNT).await }
    });
    let (path, manifest) = back_up(&place.uri, &folder).await?;
    let kept_after = store.tail(shard()).await?.seq;
    writing.await??;
    store.close().await;

    assert_eq!(check(&path, "mongodb", &|_| {})?, manifest);
    // Killed in the middle, and begun again.
    drop(MongoRestoring::begin(&target.uri, &path, &manifest, &|_| {}).await?);
    let unfinished = MongoStore::open(&target.uri).await.expect_err("the restore is not finished");
    assert!(unfinished.to_string().contains("was not finished"), "{unfinished}");
    let restoring = MongoRestoring::begin(&target.uri, &path, &manifest, &|_| {}).await?;
    restoring.finish().await?;

    let store = MongoStore::open(&target.uri).await?;
    let entries = store.entries(shard(), 1, 0, usize::MAX).await?;
    let last = entries.last().map_or(0, |entry| entry.seq);
    assert!((EARLY_COUNT..=kept_after).contains(&last), "{last}");
    assert_eq!(entries, (1..=last).map(entry).collect::<Vec<_>>());
    let facts_at = store.checkpoint(shard()).await?.seq;
    assert!((EARLY_COUNT..=last).contains(&facts_at), "{facts_at}");
    assert!(store.event_block_of(shard(), facts_at).await?.is_some());
    assert_eq!(store.event_block_of(shard(), facts_at + 1).await?, None, "of one instant");
    store.close().await;
    place.remove().await?;
    target.remove().await
}

pub(crate) async fn refuse_what_is_not_empty(uri: String) -> Result<(), Failed> {
    let (place, target) = (Place::new(&uri).await?, Place::new(&uri).await?);
    let folder = tempfile::tempdir()?;
    let store = MongoStore::open(&place.uri).await?;
    write(&store, 1..=1).await?;
    store.close().await;
    let (path, manifest) = back_up(&place.uri, &folder).await?;

    let theirs = target.database.collection::<Document>("organizations");
    theirs.insert_one(doc! { "_id": "org_of_somebody" }).await?;
    let restoring = MongoRestoring::begin(&target.uri, &path, &manifest, &|_| {}).await;
    let refused = restoring.err().ok_or("the database is not empty")?;
    assert_eq!(refused.kind(), StoreErrorKind::Misconfigured);
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    assert_eq!(target.database.list_collection_names().await?, ["organizations"]);

    let nowhere = Place::new(&uri).await?;
    let other = tempfile::tempdir()?;
    let refused = back_up(&nowhere.uri, &other).await.err().ok_or("there is no store")?;
    assert!(refused.message().is_some_and(|why| why.contains("holds no store")));
    fs::write(path.join("journal.bson"), b"damaged")?;
    let damaged = check(&path, "mongodb", &|_| {}).expect_err("the file is damaged");
    assert_eq!(damaged.kind(), StoreErrorKind::Corrupt);
    place.remove().await?;
    nowhere.remove().await?;
    target.remove().await
}
