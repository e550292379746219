//! Passing over an entry of the journal that cannot be followed, because a person says so.
//!
//! What is said stands in the journal itself, in an entry after the one that it is about, and only
//! there. So whoever follows the journal comes to know of it too late, and does one of two things:
//! where an entry cannot be followed it looks for such a word among those that come after; where it
//! meets the word and has followed the entry (one release may, and another not), what it has in
//! memory is wrong, and it loads anew. Either way every state is the same in the end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use engine::{Decision, Entry, FormatError, Micros, Outcome};
use store::journal::{Appended, JournalEntry, Shard, Tail};

use crate::actor::Actor;
use crate::error::ShardError;
use crate::facts;
use crate::load::{READ_BYTES, checked, load_until};
use crate::packed::may_stand_alone;
use crate::parts::Parts;

/// What became of the wish to pass over an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// It is passed over, because the journal says so at this place.
    Written {
        /// Where it says so.
        at: u64,
    },
    /// It was passed over already; nothing was written.
    Already {
        /// Where it says so.
        at: u64,
    },
    /// It can be followed, or is in a snapshot or in the tables: nothing was written.
    CanBeFollowed,
    /// The journal has no such entry, or not any more.
    NotThere,
    /// It is of a format that this release does not know, and another one may follow it.
    OtherRelease,
    /// The journal is closed: nothing is written after its end.
    Closed,
}

/// Says in the journal of a shard that the entry `seq` is not followed, who says so, and why.
///
/// Every process passes over it from then on; one that had given the shard up looks again within
/// seconds. What was decided in the entry is as if it had never been. Entries between it and this
/// one are followed as they stand, though they may have been decided by somebody who had followed
/// it.
///
/// # Errors
/// [`ShardError::Stopped`] where an earlier entry cannot be followed: that one comes first.
/// [`ShardError::Unavailable`] where the store cannot be reached before anything was written.
pub async fn skip(
    parts: &Parts,
    shard: Shard,
    seq: u64,
    actor: &Actor,
    why: &str,
) -> Result<Skip, ShardError> {
    loop {
        let tail = parts.store.tail(shard).await?;
        let Some(bad) = entry_at(parts, shard, tail.incarnation, seq).await? else {
            return Ok(Skip::NotThere);
        };
        let after = After::read(parts, shard, &tail, &bad).await?;
        if let Some(at) = after.said.get(&seq) {
            return Ok(Skip::Already { at: *at });
        }
        if after.is_closed {
            return Ok(Skip::Closed);
        }
        let checkpoint = parts.store.checkpoint(shard).await?;
        let is_in_tables = (checkpoint.incarnation, checkpoint.seq) >= (tail.incarnation, seq);
        if is_in_tables {
            return Ok(Skip::CanBeFollowed);
        }
        if matches!(parts.formats.decode(&bad.bytes), Err(FormatError::Unknown { .. })) {
            return Ok(Skip::OtherRelease);
        }
        if can_be_followed(parts, shard, &bad).await? {
            return Ok(Skip::CanBeFollowed);
        }
        let outcome = Outcome::Skipped { seq, why: why.to_owned() };
        let decisions = vec![Decision { once: None, actor: actor.encode(), outcome }];
        let content = Entry { time: after.time.max(parts.now()), looked_up_seq: 0, decisions };
        let entry = JournalEntry {
            seq: after.last.0.saturating_add(1),
            batch: (parts.random)(),
            previous: after.last.1,
            bytes: parts.formats.encode_alone(&content),
        };
        if append(parts, shard, tail.incarnation, &entry).await {
            tracing::warn!(?shard, seq, at = entry.seq, why, "an entry is skipped");
            return Ok(Skip::Written { at: entry.seq });
        }
        // Somebody was quicker: perhaps with the very same.
    }
}

async fn entry_at(
    parts: &Parts,
    shard: Shard,
    incarnation: u32,
    seq: u64,
) -> Result<Option<JournalEntry>, ShardError> {
    let before = seq.saturating_sub(1);
    let found = parts.store.entries(shard, incarnation, before, 1).await?;
    Ok(found.into_iter().find(|entry| entry.seq == seq))
}

/// Whether an entry follows the one before it, and both a state and the tables can follow it.
async fn can_be_followed(
    parts: &Parts,
    shard: Shard,
    entry: &JournalEntry,
) -> Result<bool, ShardError> {
    let before = entry.seq.saturating_sub(1);
    let mut loaded = load_until(parts, shard, before).await?;
    if loaded.state.seq() != before {
        return Err(ShardError::Unavailable("the journal has changed meanwhile".to_owned()));
    }
    let Ok(content) =
        checked(entry, before, loaded.last_batch, || parts.formats.decode(&entry.bytes))
    else {
        return Ok(false);
    };
    let (state, entries) = (&mut loaded.state, [(entry.seq, content)]);
    let followed = catch_unwind(AssertUnwindSafe(|| facts::project(shard, state, &entries)));
    Ok(followed.is_ok())
}

/// Whether the entry is at its place. Only a definite answer ends it, as with any append.
async fn append(parts: &Parts, shard: Shard, incarnation: u32, entry: &JournalEntry) -> bool {
    let mut pause = Duration::from_millis(20);
    loop {
        match parts.store.append(shard, incarnation, entry).await {
            Ok(Appended::Stored | Appended::Repeated) => return true,
            Ok(Appended::Taken | Appended::Void) => return false,
            Err(error) => {
                tracing::warn!(?shard, error = %error, "skipping an entry: an append failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

/// What the journal has after an entry.
struct After {
    /// The last entry's place and batch.
    last: (u64, u128),
    /// The latest time of an entry.
    time: Micros,
    /// Which entries are passed over, and where that is said.
    said: BTreeMap<u64, u64>,
    /// Whether one of them closes the journal.
    is_closed: bool,
}

impl After {
    async fn read(
        parts: &Parts,
        shard: Shard,
        tail: &Tail,
        entry: &JournalEntry,
    ) -> Result<After, ShardError> {
        let time = parts.formats.decode(&entry.bytes).map_or(Micros::MIN, |content| content.time);
        let (last, said) = ((entry.seq, entry.batch), BTreeMap::new());
        let mut after = After { last, time, said, is_closed: false };
        loop {
            let read = parts.store.entries(shard, tail.incarnation, after.last.0, READ_BYTES);
            let entries = read.await?;
            if entries.is_empty() {
                return Ok(after);
            }
            for entry in entries {
                after.last = (entry.seq, entry.batch);
                // One that cannot be read says nothing, and may have to be passed over itself.
                let Ok(content) = parts.formats.decode(&entry.bytes) else { continue };
                after.time = after.time.max(content.time);
                let mut decisions = content.decisions.iter();
                after.is_closed |= decisions.any(|one| matches!(one.outcome, Outcome::Closed));
                for seq in named(&content) {
                    after.said.entry(seq).or_insert(entry.seq);
                }
            }
        }
    }
}

/// The entries that this one says are passed over.
pub(crate) fn named(entry: &Entry) -> impl Iterator<Item = u64> {
    entry.decisions.iter().filter_map(|decision| match decision.outcome {
        Outcome::Skipped { seq, .. } => Some(seq),
        _ => None,
    })
}

/// Entries that are passed over, each with the place where the journal says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Skips(BTreeMap<u64, u64>);

impl Skips {
    /// Whether the entry is passed over.
    pub(crate) fn has(&self, seq: u64) -> bool {
        self.0.contains_key(&seq)
    }

    /// Whether a state at `seq` lacks an entry of which the journal says only later that it is
    /// passed over. A snapshot of it would look like one of somebody who had followed the entry.
    pub(crate) fn is_early(&self, seq: u64) -> bool {
        self.0.iter().any(|(skipped, said_at)| (*skipped..*said_at).contains(&seq))
    }

    /// Looks at everything after `after`: whether it says something new about entries up to
    /// `until`.
    pub(crate) async fn learn(
        &mut self,
        parts: &Parts,
        shard: Shard,
        incarnation: u32,
        after: u64,
        until: u64,
    ) -> Result<bool, ShardError> {
        let mut after = after;
        let mut is_new = false;
        loop {
            let entries = parts.store.entries(shard, incarnation, after, READ_BYTES).await?;
            let Some(last) = entries.last() else { return Ok(is_new) };
            after = last.seq;
            for entry in entries.iter().filter(|entry| may_stand_alone(&entry.bytes)) {
                let Ok(content) = parts.formats.decode(&entry.bytes) else { continue };
                for seq in named(&content).filter(|seq| *seq < entry.seq) {
                    is_new |= seq <= until && !self.has(seq);
                    self.0.entry(seq).or_insert(entry.seq);
                }
            }
        }
    }
}
