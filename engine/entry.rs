//! Entries: a batch of decisions as the journal stores it. The first byte names the format.

use serde::{Deserialize, Serialize};

use crate::command::Micros;
use crate::decision::Decision;
use crate::state::State;

/// The format that is written. One that is not known is never skipped: whoever meets it stops.
pub const ENTRY_FORMAT: u8 = 1;

/// Most bytes of an encoded entry.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// Most decisions of an entry.
pub const ENTRY_DECISIONS_MAX: usize = 4_096;

/// A batch of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// When: never before the entry before.
    pub time: Micros,
    /// The place in the journal as of which its identities were looked up.
    pub looked_up_seq: u64,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
}

/// Bytes that are no entry, or no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Written by another release.
    #[error("format {found} is not known: this release reads {known}")]
    Unknown {
        /// What the bytes say.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// Damaged.
    #[error("the bytes are damaged: {0}")]
    Damaged(String),
}

impl Entry {
    /// An entry that changes nothing but the place in the journal: what one that is passed over is
    /// followed as.
    #[must_use]
    pub fn nothing() -> Entry {
        Entry { time: Micros::MIN, looked_up_seq: 0, decisions: vec![] }
    }

    /// The entry's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let room = self.decisions.len().saturating_mul(160).saturating_add(32);
        let mut bytes = Vec::with_capacity(room);
        bytes.push(ENTRY_FORMAT);
        postcard::to_extend(self, bytes).expect("plain data of bounded size is encoded")
    }

    /// How many decisions there are in such bytes, read from their head alone; `None` where they
    /// are of no entry.
    #[must_use]
    pub fn decision_count(bytes: &[u8]) -> Option<usize> {
        let (_, rest) = split_format(bytes).ok().filter(|(format, _)| *format == ENTRY_FORMAT)?;
        let ((_, _, count), _) = postcard::take_from_bytes::<(Micros, u64, usize)>(rest).ok()?;
        Some(count)
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`FormatError`] where it is not one, or of another release.
    pub fn decode(bytes: &[u8]) -> Result<Entry, FormatError> {
        let (format, rest) = split_format(bytes)?;
        if format != ENTRY_FORMAT {
            let (found, known) = (u32::from(format), u32::from(ENTRY_FORMAT));
            return Err(FormatError::Unknown { found, known });
        }
        let (entry, rest) = postcard::take_from_bytes(rest).map_err(damaged)?;
        match rest.is_empty() {
            true => Ok(entry),
            false => Err(FormatError::Damaged(format!("{} bytes too many", rest.len()))),
        }
    }
}

impl Decision {
    /// How many bytes it takes in an entry.
    #[must_use]
    pub fn encoded_size(&self) -> usize {
        postcard::experimental::serialized_size(self).unwrap_or(usize::MAX)
    }
}

/// Encodes an entry decision by decision, so that how large it has become is known on the way.
#[derive(Debug, Clone, Default)]
pub struct EntryBytes {
    count: usize,
    decisions: Vec<u8>,
}

impl EntryBytes {
    /// Adds a decision, where it has at most `alone_max` bytes and all have at most `all_max`.
    pub fn push(&mut self, decision: &Decision, alone_max: usize, all_max: usize) -> Pushed {
        let before = self.decisions.len();
        let bytes = std::mem::take(&mut self.decisions);
        self.decisions = postcard::to_extend(decision, bytes).expect("plain data is encoded");
        let pushed = match self.decisions.len() {
            all if all.saturating_sub(before) > alone_max => Pushed::TooLarge,
            all if all > all_max => Pushed::Full,
            _ => Pushed::Added,
        };
        match pushed {
            Pushed::Added => self.count = self.count.saturating_add(1),
            Pushed::TooLarge | Pushed::Full => self.decisions.truncate(before),
        }
        pushed
    }

    /// The entry's bytes, as [`Entry::encode`] writes them.
    #[must_use]
    pub fn finish(self, time: Micros, looked_up_seq: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.decisions.len().saturating_add(32));
        bytes.push(ENTRY_FORMAT);
        let head = (time, looked_up_seq, self.count);
        let mut bytes = postcard::to_extend(&head, bytes).expect("plain data is encoded");
        bytes.extend(self.decisions);
        bytes
    }
}

/// What became of a decision that was to be added to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in it.
    Added,
    /// It is too large by itself.
    TooLarge,
    /// With it the entry would be too large.
    Full,
}

impl State {
    /// Follows an entry that is durable as `seq`.
    pub fn replay(&mut self, seq: u64, entry: &Entry) {
        self.time = self.time.max(entry.time);
        for decision in &entry.decisions {
            self.apply(decision);
        }
        self.keep(seq, entry.looked_up_seq);
    }
}

pub(crate) fn split_format(bytes: &[u8]) -> Result<(u8, &[u8]), FormatError> {
    let first = bytes.split_first().map(|(format, rest)| (*format, rest));
    first.ok_or_else(|| FormatError::Damaged("there are no bytes".to_owned()))
}

pub(crate) fn damaged(error: postcard::Error) -> FormatError {
    FormatError::Damaged(error.to_string())
}
