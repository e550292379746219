//! Formats of entries: which this release reads, and which it may write.
//!
//! Whoever meets a format that it does not know gives the shard up. So a newer one is written only
//! where every node that lives reads it, as their heartbeats say. Nobody needs to be asked twice: a
//! node of an older release that comes later, after a newer format was written, cannot read the
//! journal however careful others are from then on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Entry, FormatError};
use store::nodes::Node;
use tokio::time::Instant;

use crate::packed::{FORMAT, pack_encoded, stored_as_it_is, unpack, unpack_to_follow};

/// The oldest format that this release reads, and writes where it does not know who else reads.
const OLDEST: u8 = 1;

/// Formats that a node knows. Copies share what was heard of others.
#[derive(Debug, Clone)]
pub struct Formats {
    newest: u8,
    heard: Arc<Mutex<Option<Heard>>>,
}

/// The newest format that everybody reads, and when that was asked.
#[derive(Debug, Clone, Copy)]
struct Heard {
    format: u8,
    asked_at: Instant,
}

impl Default for Formats {
    fn default() -> Formats {
        Formats::up_to(FORMAT)
    }
}

impl Formats {
    /// A node that knows formats up to this one. Those that there are not yet are written as the
    /// newest that there is, under another number, to try out what an upgrade does.
    #[must_use]
    pub fn up_to(newest: u8) -> Formats {
        Formats { newest, heard: Arc::default() }
    }

    /// The newest one that is read, for the heartbeat.
    #[must_use]
    pub fn newest(&self) -> u8 {
        self.newest
    }

    /// Takes over what the nodes read that were alive at `asked_at`, this one among them.
    pub(crate) fn hear(&self, alive: &[Node], asked_at: Instant) {
        let read = alive.iter().map(|node| u8::try_from(node.format).unwrap_or(u8::MAX));
        let format = read.min().unwrap_or(OLDEST).clamp(OLDEST, self.newest);
        let heard = Heard { format, asked_at };
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
    }

    /// The format to write now. Who has not heard of the others for long writes the oldest.
    pub(crate) fn to_write(&self) -> u8 {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = heard.filter(|heard| heard.asked_at.elapsed() < HEARD_FOR);
        heard.map_or(OLDEST, |heard| heard.format)
    }

    /// An entry that the engine has encoded as `plain`, as bytes in a format that everybody reads.
    #[must_use]
    pub(crate) fn encode(&self, entry: &Entry, plain: &[u8]) -> Vec<u8> {
        let mut bytes = pack_encoded(entry, plain);
        bytes[0] = self.to_write();
        bytes
    }

    /// As [`Formats::encode`], of an entry that [`crate::packed::may_stand_alone`] is to find.
    #[must_use]
    pub(crate) fn encode_alone(&self, entry: &Entry) -> Vec<u8> {
        let mut bytes = stored_as_it_is(entry);
        bytes[0] = self.to_write();
        bytes
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`FormatError`] where it is damaged, or of a format that is not known.
    pub fn decode(&self, bytes: &[u8]) -> Result<Entry, FormatError> {
        self.read(bytes, unpack)
    }

    /// Reads an entry for a state that follows it, as [`unpack_to_follow`] does.
    pub(crate) fn decode_to_follow(&self, bytes: &[u8]) -> Result<Entry, FormatError> {
        self.read(bytes, unpack_to_follow)
    }

    fn read(
        &self,
        bytes: &[u8],
        unpack: fn(&[u8]) -> Result<Entry, FormatError>,
    ) -> Result<Entry, FormatError> {
        match bytes.split_first() {
            Some((format, rest)) if (OLDEST..=self.newest).contains(format) => {
                if *format == FORMAT {
                    return unpack(bytes);
                }
                unpack(&[&[FORMAT], rest].concat())
            }
            Some((format, _)) => {
                let (found, known) = (u32::from(*format), u32::from(self.newest));
                Err(FormatError::Unknown { found, known })
            }
            None => unpack(bytes),
        }
    }
}

/// How long what was heard of others counts: no longer than a heartbeat does.
const HEARD_FOR: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::pack;

    fn node(format: u32) -> Node {
        Node { id: u128::from(format), address: None, format, seen_at: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_format_that_everybody_reads_is_written_for_as_long_as_they_are_heard_of() {
        let formats = Formats::up_to(3);
        assert_eq!(formats.to_write(), 1, "nobody was asked yet");
        for (alive, written) in
            [(&[3][..], 3), (&[3, 2], 2), (&[3, 1, 2], 1), (&[3, 9], 3), (&[0, 3], 1), (&[], 1)]
        {
            let nodes: Vec<Node> = alive.iter().map(|format| node(*format)).collect();
            formats.hear(&nodes, Instant::now());
            assert_eq!(formats.to_write(), written, "{alive:?}");
        }
        formats.hear(&[node(3)], Instant::now());
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(formats.clone().to_write(), 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(formats.to_write(), 1, "who knows who came since?");
    }

    #[test]
    fn a_format_that_is_not_known_is_never_guessed_at() {
        let written = pack(&Entry::nothing());
        let (old, new) = (Formats::default(), Formats::up_to(FORMAT + 1));
        let newer = [&[FORMAT + 1], &written[1..]].concat();
        assert_eq!(new.decode(&newer), Ok(Entry::nothing()));
        assert_eq!(new.decode(&written), old.decode(&written));
        let (found, known) = (u32::from(FORMAT) + 1, u32::from(FORMAT));
        assert_eq!(old.decode(&newer), Err(FormatError::Unknown { found, known }));
        for none in [&[][..], &[0], &[FORMAT]] {
            assert!(old.decode(none).is_err());
        }
    }
}
