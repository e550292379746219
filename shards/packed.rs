//! The stored form of an entry: what every reader and writer of a journal goes through.
//!
//! ```text
//! format 1, how, CRC-32 of `how` and all that follows
//! how 0    the entry as the engine writes it
//! how 1    length u32, bytes that are taken out, then compressed: count u16, a byte for each
//!          decision that says what was taken out of it, the entry without that
//! ```
//! Little-endian. Random ids are taken out because a compressor finds nothing in them and packs
//! what is around them worse; an identity that is the hash of an id is not stored at all.

use engine::entry::{ENTRY_BYTES_MAX, ENTRY_DECISIONS_MAX};
use engine::{Decision, Entry, FormatError, Outcome};
use uuid::Uuid;

use crate::detail::EventDetail;
use crate::facts::event_identity;

/// The format of what is stored, the engine's entry inside included: whichever of them changes,
/// this is another number. One that is not known is never skipped: whoever meets it stops.
pub const FORMAT: u8 = 1;

/// Smaller entries are stored as they are: a hundred reservations at once wait for no compressor.
const PACKED_FROM_BYTES: usize = 8 << 10;
/// What is compressed has at most so many bytes.
const RAW_BYTES_MAX: usize = ENTRY_BYTES_MAX + ENTRY_DECISIONS_MAX + COUNT_BYTES;
const COUNT_BYTES: usize = 2;
/// What is taken out of a report, most often.
const ASIDE_BYTES: usize = 20;
/// The text of a UUID in its usual form.
const UUID_TEXT_BYTES: usize = 36;

const AS_IT_IS: u8 = 0;
const PACKED: u8 = 1;

/// The identity and the hash of the body are taken out.
const ONCE: u8 = 1;
/// The identity is the hash of the event's id, so only the hash of the body is.
const ONCE_BY_ID: u8 = 2;
/// The event's id is taken out: a UUID in its usual form.
const ID_UUID: u8 = 4;
/// The event's id is taken out: 32 hexadecimal digits.
const ID_HEX: u8 = 8;

/// The bytes to store. Not more than the store takes, where the engine's rooms for an entry were
/// kept to.
#[must_use]
pub fn pack(entry: &Entry) -> Vec<u8> {
    pack_encoded(entry, &entry.encode())
}

/// The bytes to store of an entry that is encoded already.
pub(crate) fn pack_encoded(entry: &Entry, plain: &[u8]) -> Vec<u8> {
    if plain.len() < PACKED_FROM_BYTES {
        return sealed(AS_IT_IS, plain);
    }
    match packed(entry) {
        Some(packed) if packed.len() < plain.len() => sealed(PACKED, &packed),
        _ => sealed(AS_IT_IS, plain),
    }
}

/// The bytes to store of an entry that has one decision and is looked for among many others, which
/// [`may_stand_alone`] then finds: never packed.
pub(crate) fn stored_as_it_is(entry: &Entry) -> Vec<u8> {
    sealed(AS_IT_IS, &entry.encode())
}

/// Whether an entry may be one of [`stored_as_it_is`]: told without unpacking it, and without a
/// look at its checksum.
pub(crate) fn may_stand_alone(bytes: &[u8]) -> bool {
    match bytes {
        [_, AS_IT_IS, _, _, _, _, content @ ..] => Entry::decision_count(content) == Some(1),
        _ => false,
    }
}

/// The entry that was stored.
///
/// # Errors
/// [`FormatError`] where the bytes are damaged, or of another release.
pub fn unpack(bytes: &[u8]) -> Result<Entry, FormatError> {
    opened(bytes, Wanted::All)
}

/// The entry that was stored, for a state that follows it: the id of an event may be missing in its
/// detail, at which the engine never looks.
///
/// # Errors
/// Those of [`unpack`].
pub fn unpack_to_follow(bytes: &[u8]) -> Result<Entry, FormatError> {
    opened(bytes, Wanted::ToFollow)
}

/// What is wanted of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    ToFollow,
}

fn opened(bytes: &[u8], wanted: Wanted) -> Result<Entry, FormatError> {
    let (&[format], rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    if format != FORMAT {
        let (found, known) = (u32::from(format), u32::from(FORMAT));
        return Err(FormatError::Unknown { found, known });
    }
    let (&[how], rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (checksum, content) = rest.split_first_chunk().ok_or_else(cut)?;
    if checksum_of(how, content) != u32::from_le_bytes(*checksum) {
        return Err(damaged("its checksum is another"));
    }
    match how {
        AS_IT_IS => Entry::decode(content),
        PACKED => unpacked(content, wanted),
        _ => Err(damaged("nobody knows how it is packed")),
    }
}

fn sealed(how: u8, content: &[u8]) -> Vec<u8> {
    let checksum = checksum_of(how, content).to_le_bytes();
    [&[FORMAT, how][..], &checksum, content].concat()
}

fn checksum_of(how: u8, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[how]);
    hasher.update(content);
    hasher.finalize()
}

/// Nothing where there is more than is ever packed.
fn packed(entry: &Entry) -> Option<Vec<u8>> {
    let count = u16::try_from(entry.decisions.len()).ok()?;
    let mut rest = entry.clone();
    let mut aside = Vec::with_capacity(entry.decisions.len().saturating_mul(ASIDE_BYTES));
    let marks = rest.decisions.iter_mut().map(|decision| take_out(decision, &mut aside));
    let marks: Vec<u8> = marks.collect();
    let raw = [&count.to_le_bytes()[..], &marks, &rest.encode()].concat();
    let length = u32::try_from(aside.len()).ok()?;
    (raw.len() <= RAW_BYTES_MAX)
        .then(|| [&length.to_le_bytes()[..], &aside, &columns::compress(&raw)].concat())
}

fn unpacked(content: &[u8], wanted: Wanted) -> Result<Entry, FormatError> {
    let (length, rest) = content.split_first_chunk().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (mut aside, compressed) = rest.split_at_checked(length).ok_or_else(cut)?;
    let raw = columns::decompress(compressed, RAW_BYTES_MAX)
        .map_err(|_| damaged("it does not decompress"))?;
    let (count, rest) = raw.split_first_chunk().ok_or_else(cut)?;
    let count = usize::from(u16::from_le_bytes(*count));
    let (marks, rest) = rest.split_at_checked(count).ok_or_else(cut)?;
    let mut entry = Entry::decode(rest)?;
    if entry.decisions.len() != count {
        return Err(damaged("it has another number of decisions than it says"));
    }
    for (decision, marks) in entry.decisions.iter_mut().zip(marks) {
        put_back(decision, *marks, &mut aside, wanted).ok_or_else(cut)?;
    }
    match aside.is_empty() {
        true => Ok(entry),
        false => Err(damaged("something was taken out of no decision")),
    }
}

/// Takes out of a decision what is random, and says what.
fn take_out(decision: &mut Decision, aside: &mut Vec<u8>) -> u8 {
    let Decision { once, outcome, .. } = decision;
    let mut detail = detail_of(outcome);
    let id = detail.as_deref().and_then(|detail| id_of(detail));
    let mut marks = 0;
    if let Some((identity, body)) = once {
        let is_by_id = id.is_some_and(|id| event_identity(id).0 == *identity);
        marks |= if is_by_id { ONCE_BY_ID } else { ONCE };
        if !is_by_id {
            aside.extend_from_slice(identity);
        }
        aside.extend_from_slice(body);
        (*identity, *body) = Default::default();
    }
    if let Some((form, uuid)) = id.and_then(form_of)
        && let Some(detail) = detail.as_mut()
        && let Some(place) = EventDetail::id_place(detail)
    {
        aside.extend_from_slice(uuid.as_bytes());
        drop(detail.splice(place.start - 1..place.end, [0]));
        marks |= form;
    }
    marks
}

/// Puts back what was taken out. Nothing where there is less than the marks say.
fn put_back(decision: &mut Decision, marks: u8, aside: &mut &[u8], wanted: Wanted) -> Option<()> {
    let Decision { once, outcome, .. } = decision;
    if marks & (ONCE | ONCE_BY_ID) != 0 {
        let (identity, body) = once.as_mut()?;
        if marks & ONCE != 0 {
            *identity = next(aside)?;
        }
        *body = next(aside)?;
    }
    let mut detail = detail_of(outcome);
    let mut buffer = [0; UUID_TEXT_BYTES];
    let taken_out = match marks & (ID_UUID | ID_HEX) {
        0 => None,
        _ => Some(text_of(marks, Uuid::from_bytes(next(aside)?), &mut buffer)),
    };
    if marks & ONCE_BY_ID != 0 {
        let id = match taken_out {
            Some(id) => id,
            None => id_of(detail.as_ref()?)?,
        };
        once.as_mut()?.0 = event_identity(id).0;
    }
    if let Some(id) = taken_out {
        let detail = detail.as_mut()?;
        let place = EventDetail::id_place(detail)?;
        if wanted == Wanted::All {
            let length = u8::try_from(id.len()).ok()?;
            let (before, after) = (detail.get(..place.start - 1)?, detail.get(place.end..)?);
            **detail = [before, &[length], id.as_bytes(), after].concat();
        }
    }
    Some(())
}

fn detail_of(outcome: &mut Outcome) -> Option<&mut Vec<u8>> {
    match outcome {
        Outcome::Booked(booked) => Some(&mut booked.detail),
        _ => None,
    }
}

fn id_of(detail: &[u8]) -> Option<&str> {
    std::str::from_utf8(detail.get(EventDetail::id_place(detail)?)?).ok()
}

/// The form of an id that takes less room as a number.
fn form_of(id: &str) -> Option<(u8, Uuid)> {
    let uuid = Uuid::try_parse(id).ok()?;
    let mut buffer = [0; UUID_TEXT_BYTES];
    let is_written_so = |form: &u8| text_of(*form, uuid, &mut buffer) == id;
    let form = [ID_UUID, ID_HEX].into_iter().find(is_written_so)?;
    Some((form, uuid))
}

fn text_of(marks: u8, uuid: Uuid, buffer: &mut [u8; UUID_TEXT_BYTES]) -> &str {
    match marks & ID_HEX {
        0 => uuid.hyphenated().encode_lower(buffer),
        _ => uuid.simple().encode_lower(buffer),
    }
}

fn next<const N: usize>(aside: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = aside.split_first_chunk()?;
    *aside = rest;
    Some(*first)
}

fn cut() -> FormatError {
    damaged("it ends too early")
}

fn damaged(what: &str) -> FormatError {
    FormatError::Damaged(what.to_owned())
}
