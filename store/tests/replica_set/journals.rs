//! Rivals append to one journal while primaries are killed. Whatever a writer was told stays true:
//! an answer that did not come is asked for again, as it was, until it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::organization::Environment;
use libtest_mimic::Failed;
use store::{
    Journal as _,
    journal::{Appended, JournalEntry, Shard},
    mongo::MongoStore,
};
use support::mongo::ReplicaSet;

use crate::failover::{organization, persist};

const WRITER_COUNT: u128 = 3;
const APPENDS_PER_WRITER: u128 = 50;
const KILL_COUNT: usize = 2;
/// When so many are acknowledged, the next primary is killed.
const APPENDS_PER_KILL: usize = 40;

struct Scene {
    store: MongoStore,
    acknowledged_count: AtomicUsize,
}

pub(crate) async fn kill_primaries_during_appends() -> Result<(), Failed> {
    let set = ReplicaSet::start().await.map_err(|error| format!("{error:#}"))?;
    let scene = Arc::new(Scene {
        store: MongoStore::open(&set.uri("journals")).await?,
        acknowledged_count: AtomicUsize::new(0),
    });
    let writers: Vec<_> =
        (1..=WRITER_COUNT).map(|writer| tokio::spawn(Arc::clone(&scene).append(writer))).collect();
    for kill in 1..=KILL_COUNT {
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        while scene.acknowledged_count.load(Ordering::SeqCst) < APPENDS_PER_KILL * kill {
            ticks.tick().await;
        }
        let victim = set.kill_primary().await.map_err(|error| format!("{error:#}"))?;
        set.restart_member(victim).await.map_err(|error| format!("{error:#}"))?;
    }
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await??);
    }
    told.sort_unstable_by_key(|entry| entry.seq);
    let stored = scene.store.entries(shard(), 1, 0, usize::MAX).await?;
    assert_eq!(stored, told, "what was told to be stored is there, and nothing else");
    let mut previous = 0;
    for (seq, entry) in (1..).zip(&stored) {
        assert_eq!((entry.seq, entry.previous), (seq, previous), "each follows the one before");
        previous = entry.batch;
    }
    assert!(persist(async || scene.store.is_free(shard(), 1, 151).await).await?);
    scene.store.close().await;
    Ok(())
}

impl Scene {
    /// Appends behind whatever is there, and returns what it was told to be stored.
    async fn append(self: Arc<Self>, writer: u128) -> Result<Vec<JournalEntry>, Failed> {
        let mut told = Vec::new();
        for number in 1..=APPENDS_PER_WRITER {
            let batch = writer * 1000 + number;
            loop {
                let tail = persist(async || self.store.tail(shard()).await).await?;
                let bytes = batch.to_be_bytes().to_vec();
                let entry = JournalEntry { seq: tail.seq + 1, batch, previous: tail.batch, bytes };
                let append = async || self.store.append(shard(), 1, &entry).await;
                match persist(append).await? {
                    Appended::Stored | Appended::Repeated => {
                        told.push(entry);
                        break;
                    }
                    Appended::Taken => {}
                    Appended::Void => return Err("nothing was truncated".into()),
                }
            }
            self.acknowledged_count.fetch_add(1, Ordering::SeqCst);
        }
        Ok(told)
    }
}

fn shard() -> Shard {
    Shard { organization: organization(), environment: Environment::Live }
}
