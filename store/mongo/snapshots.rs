//! Snapshots on MongoDB: one document for each chunk, and one for each manifest.

use mongodb::{
    ClientSession, Collection,
    bson::{Binary, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::{Attempt, is_duplicate},
    stored::{
        big, binary, bound, count, count_told, digest, from_big, known, shard_id, stored_count,
        told_count,
    },
    transaction::atomically,
};
use crate::{Result, Snapshots, journal::Shard, snapshots::Manifest};

#[derive(Serialize, Deserialize)]
struct ManifestId {
    shard: String,
    incarnation: i64,
    seq: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredManifest {
    #[serde(rename = "_id")]
    id: ManifestId,
    batch: Binary,
    format: i64,
    chunk_count: i64,
    byte_count: i64,
    sha256: Binary,
}

impl StoredManifest {
    fn new(shard: Shard, manifest: &Manifest) -> Result<StoredManifest> {
        let incarnation = i64::from(manifest.incarnation);
        Ok(StoredManifest {
            id: ManifestId {
                shard: shard_id(shard),
                incarnation,
                seq: stored_count(manifest.seq)?,
            },
            batch: big(manifest.batch),
            format: i64::from(manifest.format),
            chunk_count: i64::from(manifest.chunk_count),
            byte_count: told_count(manifest.byte_count),
            sha256: binary(&manifest.sha256),
        })
    }

    fn read(self) -> Result<Manifest> {
        let small = |stored: i64| known(u32::try_from(stored).ok(), "a snapshot's manifest");
        Ok(Manifest {
            incarnation: small(self.id.incarnation)?,
            seq: count(self.id.seq)?,
            batch: from_big(&self.batch)?,
            format: small(self.format)?,
            chunk_count: small(self.chunk_count)?,
            byte_count: count_told(self.byte_count),
            sha256: digest(&self.sha256)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredChunk {
    #[serde(rename = "_id")]
    id: ChunkId,
    bytes: Binary,
}

#[derive(Serialize, Deserialize)]
struct ChunkId {
    shard: String,
    incarnation: i64,
    seq: i64,
    chunk: i64,
}

fn place(shard: Shard, incarnation: u32, seq: u64) -> Document {
    doc! { "shard": shard_id(shard), "incarnation": i64::from(incarnation), "seq": bound(seq) }
}

fn chunk_place(shard: Shard, incarnation: u32, seq: u64, chunk: u32) -> Document {
    let mut place = place(shard, incarnation, seq);
    place.insert("chunk", i64::from(chunk));
    place
}

impl MongoStore {
    fn manifests(&self) -> Collection<StoredManifest> {
        self.collection("snapshot_manifests")
    }

    fn snapshot_chunks(&self) -> Collection<StoredChunk> {
        self.collection("snapshot_chunks")
    }

    async fn try_put_chunk(
        &self,
        session: &mut ClientSession,
        manifest: &Document,
        id: &Document,
        bytes: &[u8],
    ) -> Attempt<()> {
        let manifests = self.manifests();
        let complete = manifests.find_one(doc! { "_id": manifest }).session(&mut *session);
        if complete.await?.is_some() {
            return Ok(());
        }
        let chunks = self.snapshot_chunks();
        let fields = doc! { "$set": { "bytes": binary(bytes) } };
        chunks.update_one(doc! { "_id": id }, fields).upsert(true).session(session).await?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Snapshots for MongoStore {
    async fn put_snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
        bytes: &[u8],
    ) -> Result<()> {
        let manifest = place(shard, incarnation, seq);
        let id = chunk_place(shard, incarnation, seq, index);
        atomically!(self, |session| self.try_put_chunk(session, &manifest, &id, bytes))
    }

    async fn put_manifest(&self, shard: Shard, manifest: &Manifest) -> Result<()> {
        match self.manifests().insert_one(StoredManifest::new(shard, manifest)?).await {
            Err(error) if !is_duplicate(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn newest_snapshot(&self, shard: Shard, incarnation: u32) -> Result<Option<Manifest>> {
        let (from, to) = (place(shard, incarnation, 0), place(shard, incarnation, u64::MAX));
        let manifests = self.manifests();
        let newest = manifests.find_one(doc! { "_id": { "$gte": from, "$lte": to } });
        newest.sort(doc! { "_id": -1 }).await?.map(StoredManifest::read).transpose()
    }

    async fn snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
    ) -> Result<Option<Vec<u8>>> {
        let manifest = doc! { "_id": place(shard, incarnation, seq) };
        if self.manifests().find_one(manifest).await?.is_none() {
            return Ok(None);
        }
        let this = doc! { "_id": chunk_place(shard, incarnation, seq, index) };
        Ok(self.snapshot_chunks().find_one(this).await?.map(|chunk| chunk.bytes.bytes))
    }

    async fn remove_snapshots_before(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
    ) -> Result<()> {
        let Some(newest) = self.newest_snapshot(shard, incarnation).await? else { return Ok(()) };
        let seq = seq.min(newest.seq);
        // Former incarnations sort before this one. Manifests first: what has none is not seen.
        let old = doc! { "$gte": place(shard, 0, 0), "$lt": place(shard, incarnation, seq) };
        self.manifests().delete_many(doc! { "_id": old }).await?;
        let start = chunk_place(shard, 0, 0, 0);
        let old = doc! { "$gte": start, "$lt": chunk_place(shard, incarnation, seq, 0) };
        self.snapshot_chunks().delete_many(doc! { "_id": old }).await?;
        Ok(())
    }
}
