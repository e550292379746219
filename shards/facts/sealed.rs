//! The outside of a block: its format, a checksum, then what it holds, compressed.

use serde::{Serialize, de::DeserializeOwned};

/// Most bytes of what a block holds.
const BLOCK_BYTES_MAX: usize = 256 << 20;

/// Why a block of facts cannot be read. Nothing of a damaged block is believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Written by a release that knows more.
    #[error("a block of facts has the unknown format {0}: start the release that wrote it")]
    UnknownFormat(u8),
    /// Not what was written.
    #[error("a block of facts is damaged: {0}")]
    Damaged(&'static str),
}

/// The bytes of a block.
pub(super) fn seal<T: Serialize>(format: u8, content: &T) -> Vec<u8> {
    let raw = postcard::to_stdvec(content).expect("plain data is encoded");
    let packed = columns::compress(&raw);
    let checksum = crc32fast::hash(&packed);
    [&[format][..], &checksum.to_le_bytes(), &packed].concat()
}

/// What a block holds.
pub(super) fn open<T: DeserializeOwned>(format: u8, bytes: &[u8]) -> Result<T, FactsError> {
    let cut = FactsError::Damaged("it ends too early");
    let (&[own], rest) = bytes.split_first_chunk().ok_or(cut.clone())?;
    if own != format {
        return Err(FactsError::UnknownFormat(own));
    }
    let (checksum, packed) = rest.split_first_chunk().ok_or(cut)?;
    if crc32fast::hash(packed) != u32::from_le_bytes(*checksum) {
        return Err(FactsError::Damaged("its checksum is another"));
    }
    let raw = columns::decompress(packed, BLOCK_BYTES_MAX)
        .map_err(|_| FactsError::Damaged("it does not decompress"))?;
    postcard::from_bytes(&raw).map_err(|_| FactsError::Damaged("its rows do not read"))
}
