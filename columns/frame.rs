//! Bytes of any kind, compressed: their length, then a frame of the compressor.
//!
//! For rooms whose blocks are not charges; only this room is built with the compressor.

use crate::BlockError;

/// Higher levels gain a few hundredths and take several times as long.
const COMPRESSION_LEVEL: i32 = 3;
const LENGTH_BYTES: usize = 4;

/// Compresses fewer than 4 GiB; more is cut off by nobody, and refused by [`decompress`].
#[must_use]
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let frame = zstd::bulk::compress(bytes, COMPRESSION_LEVEL).unwrap_or_default();
    [&length.to_le_bytes()[..], &frame].concat()
}

/// What was compressed, where it has at most `bytes_max` bytes: a larger claim is damage, or an
/// attack, and is refused before anything is set aside for it.
///
/// # Errors
/// [`BlockError::Corrupt`].
pub fn decompress(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, BlockError> {
    let cut = BlockError::Corrupt("it ends too early");
    let (length, frame) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(cut)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(BlockError::Corrupt("it claims to be too large"));
    }
    let raw = zstd::bulk::decompress(frame, length)
        .map_err(|_| BlockError::Corrupt("it does not decompress"))?;
    match raw.len() == length {
        true => Ok(raw),
        false => Err(BlockError::Corrupt("it is shorter than it says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_and_damage_is_an_error() {
        for bytes in [vec![], vec![7], vec![1; 100_000]] {
            let packed = compress(&bytes);
            assert_eq!(decompress(&packed, 100_000).as_ref(), Ok(&bytes));
            // Of nothing, the length alone says it all.
            let ends = 0..if bytes.is_empty() { LENGTH_BYTES } else { packed.len() };
            for end in ends {
                assert!(decompress(&packed[..end], 100_000).is_err(), "{end} bytes");
            }
        }
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let packed = compress(&[0; 1000]);
        assert!(decompress(&packed, 1000).is_ok() && decompress(&packed, 999).is_err());
    }
}
