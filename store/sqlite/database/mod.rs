//! The machinery below the repositories: who holds the file, who writes, who reads, which schema it
//! has.
//!
//! Nothing here knows a table of ours, apart from the record of migrations.

mod connect;
mod failure;
mod fields;
mod holder;
mod migrations;
mod query;
mod readers;
mod shards;
mod spool;
mod writer;

pub(super) use connect::{checkpointing_connection, create_private_file, writing_connection};
pub(super) use failure::io_failure;
pub(super) use fields::{Fields, micros, stored_count, to_json};
pub(super) use holder::{Holder, lock_path, read_holder};
pub(super) use migrations::{migrate, migrate_engine};
pub(super) use query::{all, change, first};
pub(super) use readers::Readers;
pub(super) use shards::{big, from_big, micros_now, owner, shard_of};
pub(super) use spool::Spool;
pub(super) use writer::Writer;
