//! Identities that the facts remember, and runs of them as the store keeps them: the head stays in
//! memory, the body is read page by page, each page where the run's header says.

use engine::command::Micros;
use store::facts::IdRunRecord;

use crate::detail::{EventDetail, Source};
use crate::ids::{
    BuiltRun, DAY_MICROS, Filter, Identity, LoadedRun, OwnDay, RunError, RunHeader, own_day,
};

const LENGTH_BYTES: usize = 4;

/// The identity of an event that was reported under an id of its sender's own making, which is
/// unique in the environment.
#[must_use]
pub fn event_identity(id: &str) -> Identity {
    Identity::of(b"event", id.as_bytes())
}

/// The identity of a reservation's end. What is found under it says in which journal entry the
/// reservation ended, and so in which block of events [`super::find_ended`] tells how.
#[must_use]
pub fn reservation_identity(id: u128) -> Identity {
    Identity::of(b"reservation", &id.to_be_bytes())
}

/// The identity of a commit that came after its reservation had ended by its time. Whoever looks a
/// reservation up looks this one up as well, and it goes before: of one identity only the first
/// place is remembered, and that is the reservation's first end.
#[must_use]
pub fn late_commit_identity(id: u128) -> Identity {
    Identity::of(b"late commit", &id.to_be_bytes())
}

/// The own day of an event's id, as it is looked up. Calls under a key have none, whatever the key
/// looks like.
#[must_use]
pub fn event_day(detail: &EventDetail, arrived_at: Micros) -> Option<u32> {
    match detail.source {
        Source::Track | Source::Otlp | Source::CloudEvents => {}
        Source::Commit | Source::Reversal | Source::Reprice => return None,
    }
    // Whoever looked it up did so a moment before or after, so it may be just out of range now.
    let instants =
        [0, -DAY_MICROS, DAY_MICROS].map(|moment: Micros| arrived_at.saturating_add(moment));
    instants.into_iter().find_map(|now| match own_day(detail.id.as_bytes(), now) {
        OwnDay::Day(day) => Some(day),
        OwnDay::None | OwnDay::OutOfRange => None,
    })
}

/// A run as the store keeps it, under the name of its last journal entry.
#[must_use]
pub fn run_record(run: &BuiltRun) -> IdRunRecord {
    let header_bytes = RunHeader::length(&run.bytes).unwrap_or(0);
    let header = run.bytes.get(..header_bytes).unwrap_or_default();
    let length = u32::try_from(header_bytes).expect("a header is below 4 GiB");
    IdRunRecord {
        last_seq: run.header.meta().to,
        first_seq: run.header.meta().from.saturating_add(1),
        arrived_max: run.header.meta().arrived_at_max_micros,
        head: [&length.to_le_bytes()[..], header, &run.filter.encode()].concat(),
        body: run.bytes.clone(),
    }
}

/// A run from its head, whose body need not be there.
///
/// # Errors
/// [`RunError`] where the head is damaged, or of another release.
pub fn load_run(record: &IdRunRecord) -> Result<LoadedRun, RunError> {
    let got = record.head.len();
    let cut = |needed: usize| RunError::Truncated { needed, got };
    let (length, rest) =
        record.head.split_first_chunk::<LENGTH_BYTES>().ok_or(cut(LENGTH_BYTES))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let parts = rest.split_at_checked(length);
    let (header, filter) = parts.ok_or(cut(length.saturating_add(LENGTH_BYTES)))?;
    LoadedRun::new(record.last_seq, RunHeader::read(header)?, Filter::decode(filter)?)
}

/// The first and last journal entry that a run covers: what the store calls it by.
#[must_use]
pub fn entries_of(run: &LoadedRun) -> (u64, u64) {
    let meta = run.header().meta();
    (meta.from.saturating_add(1), meta.to)
}
