//! Bytes of a file to UTF-8, as a stream.
//!
//! A byte-order mark decides: UTF-8, UTF-16 of either order; no mark means UTF-8. Spreadsheet
//! programs write UTF-16 as "Unicode text". Any other encoding would have to be guessed, and a
//! wrong guess is silent damage, so it is refused: UTF-8 is checked where records are read, UTF-16
//! here.

use std::{
    borrow::Cow,
    io::{self, Chain, Cursor, Read},
};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How many raw bytes are decoded at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// The bytes are not in the encoding that they announce. Travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("the text is not in the encoding that it announces")]
pub(crate) struct Malformed;

/// The input as UTF-8 without its byte-order mark.
pub(crate) struct Utf8Input<'a> {
    bytes: Chain<Cursor<Vec<u8>>, &'a mut dyn Read>,
    utf16: Option<Utf16>,
}

struct Utf16 {
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` has been handed out.
    taken: usize,
    is_finished: bool,
}

impl<'a> Utf8Input<'a> {
    /// Looks at the first bytes and decides.
    pub(crate) fn new(input: &'a mut dyn Read) -> io::Result<Utf8Input<'a>> {
        let mut first = Vec::new();
        input.take(4).read_to_end(&mut first)?;
        let (encoding, mark_bytes) = encoding_of(&first).ok_or_else(malformed)?;
        let utf16 = (encoding != UTF_8).then(|| Utf16 {
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: vec![0; CHUNK_BYTES],
            text: Vec::new(),
            taken: 0,
            is_finished: false,
        });
        let rest = first.split_off(mark_bytes);
        Ok(Utf8Input { bytes: Cursor::new(rest).chain(input), utf16 })
    }
}

impl Read for Utf8Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(utf16) = &mut self.utf16 else {
            return self.bytes.read(out);
        };
        while utf16.taken == utf16.text.len() && !utf16.is_finished {
            utf16.decode(&mut self.bytes)?;
        }
        let ready = &utf16.text[utf16.taken..];
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        utf16.taken += count;
        Ok(count)
    }
}

impl Utf16 {
    fn decode(&mut self, bytes: &mut impl Read) -> io::Result<()> {
        let count = bytes.read(&mut self.raw)?;
        self.is_finished = count == 0;
        let room = self.decoder.max_utf8_buffer_length_without_replacement(count);
        self.text.resize(room.expect("a chunk's text fits memory"), 0);
        let (result, _, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.raw[..count],
            &mut self.text,
            self.is_finished,
        );
        self.text.truncate(written);
        self.taken = 0;
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::OutputFull | DecoderResult::Malformed(..) => Err(malformed()),
        }
    }
}

/// The beginning of a file as UTF-8, for recognising it only: what is broken becomes `�`.
pub(crate) fn decode_head(head: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (encoding, mark_bytes) = encoding_of(head)?;
    let rest = &head[mark_bytes..];
    if encoding == UTF_8 {
        return Some(Cow::Borrowed(rest));
    }
    let (text, _) = encoding.decode_without_bom_handling(rest);
    Some(Cow::Owned(text.into_owned().into_bytes()))
}

/// The encoding and how long its mark is; `None` for UTF-16 and UTF-32 that cannot be told apart
/// from noise.
fn encoding_of(first: &[u8]) -> Option<(&'static Encoding, usize)> {
    match first {
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] => Some((UTF_16LE, 2)),
        [0xfe, 0xff, ..] => Some((UTF_16BE, 2)),
        [0xef, 0xbb, 0xbf, ..] => Some((UTF_8, 3)),
        // Every other byte NUL: UTF-16 that lost its mark.
        [0, _, 0, ..] | [_, 0, _, 0, ..] => None,
        _ => Some((UTF_8, 0)),
    }
}

fn malformed() -> io::Error {
    io::Error::other(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte per call, to break every sequence apart.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Utf8Input::new(&mut Trickle(bytes))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(to_bytes).collect()
    }

    #[test]
    fn the_mark_decides_and_disappears() {
        let text = "Cost,€,🦀\r\n1";
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
        ] {
            assert_eq!(read(&bytes).unwrap(), text);
            assert_eq!(decode_head(&bytes).unwrap(), text.as_bytes());
        }
        assert_eq!(read(b"").unwrap(), "");
        assert_eq!(read(b"\xef\xbb\xbf").unwrap(), "");
    }

    #[test]
    fn broken_and_unmarked_utf16_is_refused() {
        let mut cut = utf16("Cost", u16::to_le_bytes);
        cut.pop();
        for bytes in [cut.as_slice(), b"C\0o\0s\0t\0", b"\0C\0o\0s\0t", b"\xff\xfe\x00\xd8a\0"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        assert!(decode_head(b"C\0o\0s\0t\0").is_none());
    }
}
