//! Which servers can hold a store. Asked when it is opened, because what they would lose they lose
//! silently.
//!
//! What needs rights that the store's user does not have stays unknown and is not refused; through
//! a router (`mongos`) the members behind it cannot be asked.

use mongodb::bson::{Document, doc};

use super::{MongoStore, failure::code};
use crate::{Result, StoreError};

const REPLICA_SET: &str = "MongoDB must run as a replica set, if only of one member: start \
                           `mongod --replSet outlay` and run `rs.initiate()` in its shell once";
/// With one data member down, a majority of two data members and an arbiter confirms nothing, or
/// commits on one disk. <https://www.mongodb.com/docs/manual/core/replica-set-arbiter/>
const ARBITER: &str = "an arbiter in a replica set of three members cannot keep what was \
                       confirmed; make it a member with data";
const JOURNAL_DEFAULT: &str = "the replica set's `writeConcernMajorityJournalDefault` is false, so \
                               that a majority may confirm what no disk has; set it to true";
/// On a sharded cluster `_id` is unique only where the shard key is a function of it.
const SHARD_KEY: &str = "the collection `journal` is sharded by something else than its `_id`, so \
                         that one place could be taken twice; leave it unsharded, or shard it by \
                         `_id`";

impl MongoStore {
    /// Refuses servers that could lose what they confirmed.
    pub(super) async fn require_durable_servers(&self) -> Result<()> {
        let hello = self.database.run_command(doc! { "hello": 1 }).await?;
        let admin = self.client.database("admin");
        let refusal = if is_router(&hello) {
            let name = format!("{}.journal", self.database.name());
            let sharded = self.client.database("config").collection::<Document>("collections");
            let sharded = readable(sharded.find_one(doc! { "_id": name }).await)?.flatten();
            sharded.as_ref().and_then(refusal_of_sharded)
        } else {
            let config = readable(admin.run_command(doc! { "replSetGetConfig": 1 }).await)?;
            refusal_of_set(&hello).or_else(|| config.as_ref().and_then(refusal_of_config))
        };
        refusal.map_or(Ok(()), |message| Err(StoreError::misconfigured(message)))
    }
}

/// Nothing where the user may not ask, or where there is nothing to ask for.
fn readable<T>(answer: mongodb::error::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        // Not authorised, no such command, not running with `--replSet`.
        Err(error) if matches!(code(&error), Some(13 | 59 | 76)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_router(hello: &Document) -> bool {
    hello.get_str("msg").is_ok_and(|text| text == "isdbgrid")
}

fn refusal_of_set(hello: &Document) -> Option<&'static str> {
    if !hello.contains_key("setName") {
        return Some(REPLICA_SET);
    }
    let count = |field| hello.get_array(field).map_or(0, Vec::len);
    let arbiter_count = count("arbiters");
    let member_count = count("hosts") + count("passives") + arbiter_count;
    (arbiter_count > 0 && member_count <= 3).then_some(ARBITER)
}

fn refusal_of_config(answer: &Document) -> Option<&'static str> {
    let config = answer.get_document("config").ok()?;
    let is_off = config.get_bool("writeConcernMajorityJournalDefault").is_ok_and(|on| !on);
    is_off.then_some(JOURNAL_DEFAULT)
}

fn refusal_of_sharded(collection: &Document) -> Option<&'static str> {
    let key = collection.get_document("key").ok()?;
    let is_of_id = |field: &String| field == "_id" || field.starts_with("_id.");
    (!key.keys().all(is_of_id)).then_some(SHARD_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standalone_and_a_small_set_with_an_arbiter_are_refused() {
        let set = |hosts: &[&str], arbiters: &[&str]| {
            refusal_of_set(&doc! { "setName": "a", "hosts": hosts, "arbiters": arbiters })
        };
        assert_eq!(refusal_of_set(&doc! { "isWritablePrimary": true }), Some(REPLICA_SET));
        assert_eq!(set(&["a", "b"], &["c"]), Some(ARBITER));
        assert_eq!(set(&["a"], &[]), None);
        assert_eq!(set(&["a", "b", "c"], &[]), None);
        assert_eq!(set(&["a", "b", "c", "d"], &["e"]), None);
    }

    #[test]
    fn a_set_that_confirms_before_its_journals_have_it_is_refused() {
        let config = |on: bool| doc! { "config": { "writeConcernMajorityJournalDefault": on } };
        assert_eq!(refusal_of_config(&config(false)), Some(JOURNAL_DEFAULT));
        assert_eq!(refusal_of_config(&config(true)), None);
        assert_eq!(refusal_of_config(&doc! { "config": {} }), None);
    }

    #[test]
    fn a_journal_sharded_by_anything_but_its_id_is_refused() {
        let sharded = |key: Document| refusal_of_sharded(&doc! { "key": key });
        assert_eq!(sharded(doc! { "batch": 1 }), Some(SHARD_KEY));
        assert_eq!(sharded(doc! { "_id.shard": 1, "at": 1 }), Some(SHARD_KEY));
        for key in [doc! { "_id": 1 }, doc! { "_id": "hashed" }, doc! { "_id.shard": 1 }] {
            assert_eq!(sharded(key), None);
        }
    }
}
