//! The block format: a directory of named columns, each compressed by itself.
//!
//! Layout, little-endian: `OLC1`, row count `u32`, column count `u16`; for each column the length
//! of its name `u8`, the name, kind `u8`, whether compressed `u8`, raw and stored length `u32`;
//! then the columns' bytes in that order. A reader checks every length, so that damaged bytes are
//! an error and never a panic.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{IntegerColumn, TextColumn};

const MAGIC: &[u8; 4] = b"OLC1";
/// Smaller columns are not worth a compression frame.
const COMPRESSED_BYTES_MIN: usize = 96;
const COMPRESSION_LEVEL: i32 = 1;
/// No column of a block that we write is larger; a larger claim is damage, or an attack.
const COLUMN_BYTES_MAX: usize = 256 << 20;

/// A block that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The bytes are not what was written.
    #[error("a block of charges is damaged: {0}")]
    Corrupt(&'static str),
    /// The column is of the other kind.
    #[error("a block of charges has another kind of column under this name")]
    OtherKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text = 0,
    Integer = 1,
}

/// Puts encoded columns together.
pub(crate) struct BlockBuilder {
    row_count: u32,
    column_count: u16,
    directory: Vec<u8>,
    data: Vec<u8>,
    digest: Sha256,
}

impl BlockBuilder {
    pub(crate) fn new(row_count: u32) -> BlockBuilder {
        let mut digest = Sha256::new();
        digest.update(row_count.to_le_bytes());
        BlockBuilder { row_count, column_count: 0, directory: Vec::new(), data: Vec::new(), digest }
    }

    pub(crate) fn add(&mut self, name: &str, kind: Kind, raw: &[u8]) {
        let name = truncated(name);
        let compressed = (raw.len() >= COMPRESSED_BYTES_MIN)
            .then(|| zstd::bulk::compress(raw, COMPRESSION_LEVEL).ok())
            .flatten()
            .filter(|compressed| compressed.len() < raw.len());
        let stored = compressed.as_deref().unwrap_or(raw);
        let length = |bytes: usize| u32::try_from(bytes).expect("a column is below 256 MiB");
        self.directory.push(u8::try_from(name.len()).expect("a name is cut to 255 bytes"));
        self.directory.extend_from_slice(name.as_bytes());
        self.directory.extend_from_slice(&[kind as u8, u8::from(compressed.is_some())]);
        self.directory.extend_from_slice(&length(raw.len()).to_le_bytes());
        self.directory.extend_from_slice(&length(stored.len()).to_le_bytes());
        self.data.extend_from_slice(stored);
        // Over the raw bytes, so that another release of the compressor changes no digest.
        self.digest.update([u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        self.digest.update(name);
        self.digest.update(length(raw.len()).to_le_bytes());
        self.digest.update(raw);
        self.column_count += 1;
    }

    /// The block's bytes and the digest of its content.
    pub(crate) fn finish(self) -> (Vec<u8>, [u8; 32]) {
        let mut out = Vec::with_capacity(10 + self.directory.len() + self.data.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.row_count.to_le_bytes());
        out.extend_from_slice(&self.column_count.to_le_bytes());
        out.extend_from_slice(&self.directory);
        out.extend_from_slice(&self.data);
        (out, self.digest.finalize().into())
    }
}

/// At most 255 bytes, whole characters.
fn truncated(name: &str) -> &str {
    let end = (0..=name.len().min(255)).rev().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

/// One column in a block's directory.
struct Entry<'a> {
    name: &'a str,
    kind: u8,
    is_compressed: bool,
    raw_length: usize,
    stored: &'a [u8],
}

/// A block of one column group, opened for reading. Opening reads the directory only.
pub struct BlockView<'a> {
    row_count: usize,
    entries: Vec<Entry<'a>>,
}

impl<'a> BlockView<'a> {
    /// Opens a block.
    ///
    /// # Errors
    /// [`BlockError::Corrupt`] where the bytes are no block.
    pub fn open(bytes: &'a [u8]) -> Result<BlockView<'a>, BlockError> {
        let mut reader = Reader::new(bytes);
        if &reader.array::<4>()? != MAGIC {
            return Err(BlockError::Corrupt("it does not begin as a block"));
        }
        let row_count = reader.u32()? as usize;
        let column_count = u16::from_le_bytes(reader.array()?);
        let mut lengths = Vec::with_capacity(usize::from(column_count).min(1024));
        let mut entries = Vec::with_capacity(usize::from(column_count).min(1024));
        for _ in 0..column_count {
            let name_length = usize::from(reader.u8()?);
            let name = std::str::from_utf8(reader.take(name_length)?)
                .map_err(|_| BlockError::Corrupt("a column's name is not UTF-8"))?;
            let (kind, compressed) = (reader.u8()?, reader.u8()?);
            let raw_length = reader.u32()? as usize;
            lengths.push(reader.u32()? as usize);
            if raw_length > COLUMN_BYTES_MAX {
                return Err(BlockError::Corrupt("a column claims to be too large"));
            }
            entries.push(Entry {
                name,
                kind,
                is_compressed: compressed == 1,
                raw_length,
                stored: &[],
            });
        }
        for (entry, length) in entries.iter_mut().zip(lengths) {
            entry.stored = reader.take(length)?;
        }
        Ok(BlockView { row_count, entries })
    }

    /// How many rows.
    #[must_use]
    pub const fn row_count(&self) -> usize {
        self.row_count
    }

    /// The columns' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.name)
    }

    /// A column of texts; `None` where the block has no column of that name (every row is absent).
    ///
    /// # Errors
    /// [`BlockError`] where it is damaged or of the other kind.
    pub fn texts(&self, name: &str) -> Result<Option<TextColumn<'a>>, BlockError> {
        let Some(data) = self.data(name, Kind::Text)? else { return Ok(None) };
        TextColumn::decode(data, self.row_count).map(Some)
    }

    /// A column of whole numbers; `None` where the block has no column of that name.
    ///
    /// # Errors
    /// [`BlockError`] where it is damaged or of the other kind.
    pub fn integers(&self, name: &str) -> Result<Option<IntegerColumn<'a>>, BlockError> {
        let Some(data) = self.data(name, Kind::Integer)? else { return Ok(None) };
        IntegerColumn::decode(data, self.row_count).map(Some)
    }

    fn data(&self, name: &str, kind: Kind) -> Result<Option<Cow<'a, [u8]>>, BlockError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        if entry.kind != kind as u8 {
            return Err(BlockError::OtherKind);
        }
        if !entry.is_compressed {
            return Ok(Some(Cow::Borrowed(entry.stored)));
        }
        let raw = zstd::bulk::decompress(entry.stored, entry.raw_length)
            .map_err(|_| BlockError::Corrupt("a column does not decompress"))?;
        match raw.len() == entry.raw_length {
            true => Ok(Some(Cow::Owned(raw))),
            false => Err(BlockError::Corrupt("a column is shorter than it says")),
        }
    }
}

/// Reads bytes in order, refusing to pass the end.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, position: 0 }
    }

    pub(crate) const fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], BlockError> {
        let cut = BlockError::Corrupt("it ends too early");
        let end = self.position.checked_add(length).ok_or(cut.clone())?;
        let slice = self.bytes.get(self.position..end).ok_or(cut)?;
        self.position = end;
        Ok(slice)
    }

    pub(crate) fn skip(&mut self, length: usize) -> Result<(), BlockError> {
        self.take(length).map(|_| ())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], BlockError> {
        let slice = self.take(N)?;
        slice.try_into().map_err(|_| BlockError::Corrupt("it ends too early"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, BlockError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BlockError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
}
