//! One chunk of the journal, as everything that it becomes in the tables.

use engine::{Entry, Outcome, State};
use store::{facts::FactsChunk, journal::Shard};

use super::gather::Gathered;
use super::run_record::run_record;
use crate::ids::BuiltRun;

/// Most effects of a chunk; one entry may have more.
pub const EFFECTS_MAX: usize = 1_000;

/// Most bytes of a chunk's entries; one entry may have more.
pub const ENTRY_BYTES_MAX: usize = 4 << 20;

/// What some entries become.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The last entry that is in it: the checkpoint to be.
    pub to_seq: u64,
    /// How many entries are in it.
    pub taken: usize,
    /// What is written.
    pub facts: FactsChunk,
    /// The run of ids that is in `facts`, for whoever keeps an index of runs.
    pub ids: Option<BuiltRun>,
}

/// What a chunk has room for: it ends before the entry that goes beyond, and after one that makes a
/// policy, so that no block has something from before the policy and something from after.
#[derive(Debug, Default)]
pub struct Room {
    effects: usize,
    bytes: usize,
    is_begun: bool,
    is_closed: bool,
}

impl Room {
    /// Whether the next entry belongs to the chunk as well. Once one does not, none does.
    pub fn takes(&mut self, entry: &Entry) -> bool {
        self.effects = self.effects.saturating_add(effects_of(entry));
        self.bytes = self.bytes.saturating_add(bytes_of(entry));
        let is_beyond = self.effects > EFFECTS_MAX || self.bytes > ENTRY_BYTES_MAX;
        let takes = !(self.is_closed || self.is_begun && is_beyond);
        self.is_begun = true;
        self.is_closed |= !takes || makes_policy(entry);
        takes
    }
}

/// Projects the first of `entries`: as many as make a chunk, and at least one, where there is one.
///
/// `shadow` is the projector's own copy of the state, as of the entry before the first; afterwards
/// it is as of [`Chunk::to_seq`], as if it had replayed. The same entries give the same chunk, and
/// however they are cut, the same totals.
#[must_use]
pub fn project(shard: Shard, shadow: &mut State, entries: &[(u64, Entry)]) -> Chunk {
    let from = shadow.seq();
    let mut gathered = Gathered::new(shard);
    let (mut room, mut taken) = (Room::default(), 0);
    for (seq, entry) in entries {
        if !room.takes(entry) {
            break;
        }
        gathered.follow(shadow, *seq, entry);
        taken += 1;
    }
    let to_seq = shadow.seq();
    let (mut facts, ids) = gathered.finish(from, to_seq);
    facts.ids = ids.as_ref().map(run_record);
    Chunk { to_seq, taken, facts, ids }
}

fn makes_policy(entry: &Entry) -> bool {
    let made = |outcome: &Outcome| matches!(outcome, Outcome::PolicyMade { .. });
    entry.decisions.iter().any(|decision| made(&decision.outcome))
}

fn bytes_of(entry: &Entry) -> usize {
    entry.decisions.iter().fold(0, |sum, decision| sum.saturating_add(decision.encoded_size()))
}

/// How many rows, ids and sums an entry becomes at most, told before it is followed.
fn effects_of(entry: &Entry) -> usize {
    let of = |outcome: &Outcome| match outcome {
        Outcome::Booked(booked) => 1 + booked.crossed.len() + booked.late.len(),
        Outcome::Expired { reservations } => reservations.len(),
        Outcome::Adjusted(adjusted) => {
            let bookings = adjusted.bookings.iter();
            bookings.map(|booking| 1 + booking.crossed.len() + booking.late.len()).sum()
        }
        Outcome::PolicyBased { parts, crossed, .. } => parts.len() + crossed.len(),
        Outcome::Held(_)
        | Outcome::Released { .. }
        | Outcome::Extended { .. }
        | Outcome::PathPut { .. }
        | Outcome::PathArchived { .. }
        | Outcome::PolicyMade { .. }
        | Outcome::PolicyChanged { .. }
        | Outcome::PolicyRemoved { .. }
        | Outcome::Configured(_)
        | Outcome::Refused(_)
        | Outcome::Skipped { .. }
        | Outcome::Closed => 1,
    };
    entry.decisions.iter().map(|decision| of(&decision.outcome)).sum()
}
