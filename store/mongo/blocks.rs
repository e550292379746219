//! Blocks of charges on MongoDB: the key of each in `charge_blocks`, its columns in
//! `charge_block_data`.
//!
//! A query for a year reads tens of thousands of keys and a few of the columns, so the keys lie
//! apart and are answered from an index alone. The two halves of the columns are two documents,
//! because both together may exceed the 16 MB of a document
//! (<https://www.mongodb.com/docs/manual/reference/limits/>).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::{Account, BatchId, Feed, OrganizationId, ProviderId};
use futures::TryStreamExt as _;
use jiff::civil::Date;
use mongodb::{
    ClientSession, Collection,
    bson::{Binary, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{binary, day, day_number, digest, known},
    transaction::atomically,
};
use crate::{
    Result,
    charges::{BatchSource, Block, BlockInfo, BlockKey, ColumnGroup},
};

/// How much one transaction stages: its changes stay in the server's cache until it ends.
const STAGED_BYTES_MAX: usize = 8 << 20;
const STAGED_COUNT_MAX: usize = 500;
/// How many halves of blocks are asked for at a time.
const READ_COUNT_MAX: usize = 200;

/// Where a block lies. As the server compares it: fields in this order.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct BlockId {
    batch: String,
    provider: String,
    account: String,
    feed: String,
    day: i32,
    part: i64,
}

/// What a query for days reads of a block: exactly the fields of the index that covers it.
#[derive(Deserialize)]
pub(super) struct StoredBlockKey {
    pub(super) batch: String,
    provider: String,
    account: String,
    feed: String,
    day: i32,
    part: i64,
    row_count: i64,
    is_complete: bool,
    digest: Binary,
}

#[derive(Serialize, Deserialize)]
struct DataId {
    block: BlockId,
    group: String,
}

#[derive(Serialize, Deserialize)]
struct StoredData {
    #[serde(rename = "_id")]
    id: DataId,
    organization: String,
    batch: String,
    bytes: Binary,
}

impl BlockId {
    fn new(batch: BatchId, key: &BlockKey) -> BlockId {
        BlockId {
            batch: batch.to_string(),
            provider: key.account.provider.to_string(),
            account: key.account.id.clone(),
            feed: key.feed.to_string(),
            day: day_number(key.day),
            part: i64::from(key.part),
        }
    }

    fn document(&self) -> Document {
        doc! {
            "batch": &self.batch,
            "provider": &self.provider,
            "account": &self.account,
            "feed": &self.feed,
            "day": self.day,
            "part": self.part,
        }
    }

    fn data_document(&self, group: ColumnGroup) -> Document {
        doc! { "block": self.document(), "group": group_name(group) }
    }
}

const fn group_name(group: ColumnGroup) -> &'static str {
    match group {
        ColumnGroup::Core => "core",
        ColumnGroup::Detail => "detail",
    }
}

/// A block's document: its id, its organization, and the fields of a [`StoredBlockKey`].
fn block_document(organization: OrganizationId, id: &BlockId, block: &Block) -> Document {
    let mut document = doc! { "_id": id.document(), "organization": organization.to_string() };
    document.extend(id.document());
    document.extend(doc! {
        "row_count": i64::from(block.row_count),
        "is_complete": block.is_complete,
        "digest": binary(&block.digest),
    });
    document
}

impl StoredBlockKey {
    /// The block, of a batch with this generation and source.
    pub(super) fn read(self, generation: u64, source: BatchSource) -> Result<BlockInfo> {
        let provider = known(ProviderId::parse(&self.provider).ok(), "a block's provider")?;
        let key = BlockKey {
            account: Account { provider, id: self.account },
            feed: known(Feed::parse(&self.feed).ok(), "a block's feed")?,
            day: day(self.day)?,
            part: known(u32::try_from(self.part).ok(), "a block's part")?,
        };
        Ok(BlockInfo {
            batch: known(BatchId::parse(&self.batch).ok(), "a block's batch")?,
            generation,
            source,
            key,
            row_count: known(u32::try_from(self.row_count).ok(), "a block's count of rows")?,
            is_complete: self.is_complete,
            digest: digest(&self.digest)?,
        })
    }
}

impl StoredData {
    fn new(organization: OrganizationId, id: &BlockId, group: ColumnGroup, bytes: &Bytes) -> Self {
        StoredData {
            id: DataId { block: id.clone(), group: group_name(group).to_owned() },
            organization: organization.to_string(),
            batch: id.batch.clone(),
            bytes: binary(bytes),
        }
    }
}

/// Splits blocks into groups that one transaction can stage.
fn groups(blocks: &[Block]) -> Vec<&[Block]> {
    let (mut groups, mut start, mut size_bytes) = (Vec::new(), 0, 0);
    for (index, block) in blocks.iter().enumerate() {
        let block_bytes = block.core.len() + block.detail.len();
        let is_full =
            size_bytes + block_bytes > STAGED_BYTES_MAX || index - start == STAGED_COUNT_MAX;
        if is_full && index > start {
            groups.push(&blocks[start..index]);
            (start, size_bytes) = (index, 0);
        }
        size_bytes += block_bytes;
    }
    groups.push(&blocks[start..]);
    groups
}

impl MongoStore {
    fn blocks(&self) -> Collection<Document> {
        self.collection("charge_blocks")
    }

    fn data(&self) -> Collection<StoredData> {
        self.collection("charge_block_data")
    }

    /// Stages blocks. Nobody sees them before the commit, so several transactions are as good as
    /// one.
    pub(super) async fn stage_blocks(
        &self,
        organization: OrganizationId,
        batch: BatchId,
        blocks: &[Block],
    ) -> Result<()> {
        for group in groups(blocks) {
            // Of two blocks with one key in a call the later one counts.
            let by_id: BTreeMap<_, _> =
                group.iter().map(|block| (BlockId::new(batch, &block.key), block)).collect();
            atomically!(self, |session| async {
                // A batch that is gone, or was committed by an earlier try, takes nothing.
                if self.keep_staged(session, organization, batch).await? {
                    self.try_stage(session, organization, &by_id).await?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    async fn try_stage(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        blocks: &BTreeMap<BlockId, &Block>,
    ) -> Attempt<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let (mut ids, mut data_ids) = (Vec::new(), Vec::new());
        let (mut keys, mut data) = (Vec::new(), Vec::new());
        for (id, block) in blocks {
            ids.push(id.document());
            keys.push(block_document(organization, id, block));
            let halves = [(ColumnGroup::Core, &block.core), (ColumnGroup::Detail, &block.detail)];
            for (group, bytes) in halves {
                data_ids.push(id.data_document(group));
                data.push(StoredData::new(organization, id, group, bytes));
            }
        }
        let (old, old_data) = (doc! { "_id": { "$in": ids } }, doc! { "_id": { "$in": data_ids } });
        self.blocks().delete_many(old).session(&mut *session).await?;
        self.data().delete_many(old_data).session(&mut *session).await?;
        self.blocks().insert_many(keys).session(&mut *session).await?;
        self.data().insert_many(data).session(session).await?;
        Ok(())
    }

    /// Deletes all blocks of these batches.
    pub(super) async fn delete_blocks(&self, batches: &[String]) -> Result<()> {
        let theirs = doc! { "batch": { "$in": batches } };
        self.data().delete_many(theirs.clone()).await?;
        self.blocks().delete_many(theirs).await?;
        Ok(())
    }

    /// The blocks of these days, of batches that are seen and of others.
    pub(super) async fn blocks_of_days(
        &self,
        session: &mut ClientSession,
        organization: OrganizationId,
        first: Date,
        last: Date,
    ) -> Attempt<Vec<StoredBlockKey>> {
        let days = doc! { "$gte": day_number(first), "$lte": day_number(last) };
        let which = doc! { "organization": organization.to_string(), "day": days };
        let mut fields = doc! { "_id": 0 };
        for field in BLOCK_KEY_FIELDS {
            fields.insert(field, 1);
        }
        let keys = self.blocks().clone_with_type::<StoredBlockKey>();
        let mut found = keys.find(which).projection(fields).session(&mut *session).await?;
        Ok(found.stream(session).try_collect().await?)
    }

    /// Halves of blocks, in the order asked; `None` for a block that is gone or not seen.
    pub(super) async fn read_columns(
        &self,
        organization: OrganizationId,
        blocks: &[(BatchId, BlockKey)],
        group: ColumnGroup,
        seen_batches: &BTreeSet<String>,
    ) -> Result<Vec<Option<Bytes>>> {
        let mut columns = Vec::with_capacity(blocks.len());
        for some in blocks.chunks(READ_COUNT_MAX) {
            let ids: Vec<_> = some.iter().map(|(batch, key)| BlockId::new(*batch, key)).collect();
            let seen = ids.iter().filter(|id| seen_batches.contains(&id.batch));
            let data_ids: Vec<_> = seen.map(|id| id.data_document(group)).collect();
            let which = doc! {
                "_id": { "$in": data_ids },
                "organization": organization.to_string(),
            };
            let mut by_id = BTreeMap::new();
            let mut found = self.data().find(which).await?;
            while let Some(data) = found.try_next().await? {
                by_id.insert(data.id.block, Bytes::from(data.bytes.bytes));
            }
            columns.extend(ids.iter().map(|id| by_id.get(id).cloned()));
        }
        Ok(columns)
    }
}

/// The fields of [`StoredBlockKey`].
pub(super) const BLOCK_KEY_FIELDS: [&str; 9] =
    ["day", "batch", "provider", "account", "feed", "part", "row_count", "is_complete", "digest"];
