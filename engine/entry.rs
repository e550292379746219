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
