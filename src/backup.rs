//! `outlay backup` and `outlay restore`: a folder with all of a store as of one moment, and an
//! empty store made from it.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use domain::Clock;
use shards::{Parts, ShardError, ShardStore, begin_anew};
use store::{
    Journal, StoreUrl,
    backup::{BackupManifest, NewBackup, check},
    mongo::{MongoRestoring, MongoStore},
    sqlite::{Restoring, SqliteStore},
};

use crate::{app::install_crypto, clock::SystemClock, config::Config, output::say};

/// What a backup does not have, for whoever relies on it.
const KEY_IS_APART: &str = "The key-encryption key is not in it: keep a copy of the key file (or \
                            of OUTLAY_KEY) elsewhere. Without it stored credentials cannot be \
                            opened.";

/// Copies the store into `folder`, beside servers that use it.
pub(crate) async fn back_up(config: &Config, folder: &Path) -> Result<()> {
    install_crypto();
    let version = env!("CARGO_PKG_VERSION");
    let created_at = SystemClock.now().to_string();
    let kind = kind_of(&config.store);
    let mut backup = NewBackup::begin(folder, kind, version, created_at)?;
    let manifest = match &config.store {
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            let work = move || {
                SqliteStore::back_up(&path, &mut backup, &tell)?;
                backup.finish()
            };
            tokio::task::spawn_blocking(work).await.context("copying the files")??
        }
        StoreUrl::Mongo(url) => {
            MongoStore::back_up(url, &mut backup, &tell).await?;
            backup.finish()?
        }
    };
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let count = manifest.files.len();
    say(&format!("Backed up {count} files, {bytes} bytes, in {}.", folder.display()));
    say(KEY_IS_APART);
    Ok(())
}

/// Makes a store from the backup in `folder`, where there is none.
pub(crate) async fn restore(config: &Config, folder: &Path) -> Result<()> {
    install_crypto();
    let manifest = check(folder, kind_of(&config.store), &tell)?;
    match &config.store {
        StoreUrl::Sqlite(path) => match Restoring::begin(path, folder).await? {
            Some(restoring) => {
                begin_all_anew(restoring.store()).await?;
                restoring.finish()?;
            }
            None => tell("a restore that was killed in its last step is finished"),
        },
        StoreUrl::Mongo(url) => {
            let restoring = MongoRestoring::begin(url, folder, &manifest, &tell).await?;
            begin_all_anew(restoring.store()).await?;
            restoring.finish().await?;
        }
    }
    let BackupManifest { created_at, outlay_version, .. } = manifest;
    say(&format!("Restored the backup of {created_at}, made by Outlay {outlay_version}."));
    say("Start the server with the key file that belongs to it.");
    Ok(())
}

/// Whoever still serves a journal as it was is told so.
async fn begin_all_anew<S: ShardStore + Journal + 'static>(store: Arc<S>) -> Result<()> {
    let shards = store.shards().await?;
    let parts = Parts {
        store,
        clock: Arc::new(SystemClock),
        random: Arc::new(|| uuid::Uuid::new_v4().as_u128()),
        limits: shards::Limits::default(),
        formats: Default::default(),
    };
    for shard in shards {
        let name = format!("{}, {}", shard.organization, shard.environment.as_str());
        tell(&format!("beginning the journal of {name} anew"));
        match begin_anew(&parts, shard).await {
            // It was stopped when it was backed up, and the others are not to wait for it.
            Err(error @ ShardError::Stopped { .. }) => tell(&format!("{name} as it was: {error}")),
            done => done.with_context(|| format!("the journal of {name}"))?,
        }
    }
    Ok(())
}

fn kind_of(store: &StoreUrl) -> &'static str {
    match store {
        StoreUrl::Sqlite(_) => "sqlite",
        StoreUrl::Mongo(_) => "mongodb",
    }
}

/// Standard output is the command's result.
fn tell(told: &str) {
    eprintln!("{told}");
}
