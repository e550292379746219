//! A catalogue's text, which catalogue it is, and what can be wrong with it.

use std::fmt;
use std::io::Read as _;

use jiff::civil::Date;

/// A catalogue of prices that we can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Catalogue {
    /// LiteLLM's price map, JSON.
    LiteLlm,
    /// Pydantic's genai-prices, JSON.
    GenaiPrices,
    /// The catalogue of metergraph-core, YAML.
    Metergraph,
    /// Our own form, TOML: one seller.
    Outlay,
}

/// A text of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which catalogue.
    pub catalogue: Catalogue,
    /// Its version, as it names itself.
    pub version: String,
    /// The day on which it was read.
    pub read_on: Date,
    /// Its text.
    pub text: String,
}

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The text is not what it should be.
    #[error("`{source_name}` cannot be read: {reason}")]
    Malformed {
        /// The source, with its version.
        source_name: String,
        /// What is wrong, with the position.
        reason: String,
    },
    /// Nothing in the text is about a seller that we know.
    #[error("`{source_name}` has no price of any known seller")]
    Empty {
        /// The source, with its version.
        source_name: String,
    },
    /// The bytes are of no catalogue that we know.
    #[error("neither a price map of LiteLLM's, nor genai-prices, metergraph, or Outlay's own form")]
    Unknown,
    /// The bytes are packed, and larger than a catalogue can be or broken.
    #[error("the file cannot be unpacked, or is larger than {max_bytes} bytes")]
    Packed {
        /// The most that is unpacked.
        max_bytes: u64,
    },
    /// The bytes are no text.
    #[error("not UTF-8: unexpected byte at {at}")]
    NotText {
        /// Byte offset.
        at: usize,
    },
    /// What the sources give does not make a catalogue.
    #[error("the result would be no catalogue: {problems}")]
    Invalid {
        /// Every problem, with its seller and model.
        problems: String,
    },
    /// Two sources of one catalogue.
    #[error("`{catalogue}` is given twice")]
    Twice {
        /// The catalogue.
        catalogue: Catalogue,
    },
}

impl ImportError {
    pub(crate) fn malformed(source: &Source, reason: &dyn fmt::Display) -> Self {
        Self::Malformed { source_name: source.label(), reason: reason.to_string() }
    }
}

impl Catalogue {
    /// Which catalogue a text is of, by its content; a name is not asked for.
    #[must_use]
    pub fn detect(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let head: String = text.chars().take(4000).collect();
        match text.chars().next()? {
            '{' if text.contains("\"litellm_provider\"") => Some(Self::LiteLlm),
            '[' if head.contains("\"models\"") || head.contains("\"api_pattern\"") => {
                Some(Self::GenaiPrices)
            }
            '{' | '[' => None,
            _ if text.contains("canonical_id:") => Some(Self::Metergraph),
            _ if text.contains("seller =") => Some(Self::Outlay),
            _ => None,
        }
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LiteLlm => "litellm",
            Self::GenaiPrices => "genai-prices",
            Self::Metergraph => "metergraph",
            Self::Outlay => "outlay",
        })
    }
}

impl Source {
    /// Reads a file, packed with gzip or plain. Which catalogue it is, its content says; which
    /// version, its name (`litellm-1.110.0.json.gz`) or else the day on which it is read.
    ///
    /// # Errors
    /// [`ImportError`] where the bytes are of no catalogue.
    pub fn read(name: &str, bytes: &[u8], read_on: Date) -> Result<Self, ImportError> {
        let text = unzip(bytes)?;
        let catalogue = Catalogue::detect(&text).ok_or(ImportError::Unknown)?;
        let version = version_in(name).unwrap_or_else(|| format!("of {read_on}"));
        Ok(Self { catalogue, version, read_on, text })
    }

    /// `litellm 1.109.1`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.catalogue, self.version)
    }
}

/// The first dotted number in a file's name.
fn version_in(name: &str) -> Option<String> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let number = |part: &&str| {
        let digits =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        part.contains('.') && part.split('.').all(digits)
    };
    let parts = name.split(|c: char| !c.is_ascii_digit() && c != '.');
    parts.map(|part| part.trim_matches('.')).find(number).map(str::to_owned)
}

/// The most that is unpacked: ten times the largest catalogue there is.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// The text of bytes that may be packed with gzip.
///
/// # Errors
/// [`ImportError::Packed`] and [`ImportError::NotText`].
pub fn unzip(bytes: &[u8]) -> Result<String, ImportError> {
    let packed = ImportError::Packed { max_bytes: MAX_BYTES };
    let mut plain = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let decoder = flate2::read::GzDecoder::new(bytes);
        decoder.take(MAX_BYTES + 1).read_to_end(&mut plain).map_err(|_| packed.clone())?;
    } else {
        plain.extend_from_slice(bytes);
    }
    if u64::try_from(plain.len()).map_or(true, |length| length > MAX_BYTES) {
        return Err(packed);
    }
    String::from_utf8(plain)
        .map_err(|error| ImportError::NotText { at: error.utf8_error().valid_up_to() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_is_known_by_its_content() {
        for (text, catalogue) in [
            (r#"{"gpt-4o": {"litellm_provider": "openai"}}"#, Some(Catalogue::LiteLlm)),
            (r#"[{"id": "openai", "models": []}]"#, Some(Catalogue::GenaiPrices)),
            ("models:\n  - canonical_id: openai/gpt-4o\n", Some(Catalogue::Metergraph)),
            ("seller = \"openai\"\n", Some(Catalogue::Outlay)),
            ("{}", None),
            ("", None),
            ("date;cost", None),
        ] {
            assert_eq!(Catalogue::detect(text), catalogue, "{text}");
        }
    }

    #[test]
    fn the_version_is_in_the_name_or_is_the_day() {
        let text = br#"{"m": {"litellm_provider": "openai"}}"#;
        let day = jiff::civil::date(2026, 11, 20);
        for (name, label) in [
            ("litellm-1.110.0.json.gz", "litellm 1.110.0"),
            ("folder-2.0/prices_1.2.json", "litellm 1.2"),
            ("model_prices_and_context_window.json", "litellm of 2026-11-20"),
            ("litellm-2026.json", "litellm of 2026-11-20"),
        ] {
            assert_eq!(Source::read(name, text, day).unwrap().label(), label, "{name}");
        }
        assert_eq!(Source::read("x", b"{}", day), Err(ImportError::Unknown));
    }

    #[test]
    fn packed_and_plain_bytes_are_read_and_bombs_are_not() {
        use std::io::Write as _;
        let pack = |plain: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        };
        assert_eq!(unzip(b"plain"), Ok("plain".to_owned()));
        assert_eq!(unzip(&pack(b"packed")), Ok("packed".to_owned()));
        assert_eq!(unzip(b"\xff"), Err(ImportError::NotText { at: 0 }));
        let bomb = pack(&vec![b' '; usize::try_from(MAX_BYTES).unwrap() + 1]);
        assert_eq!(unzip(&bomb), Err(ImportError::Packed { max_bytes: MAX_BYTES }));
        assert_eq!(unzip(&[0x1f, 0x8b, 0]), Err(ImportError::Packed { max_bytes: MAX_BYTES }));
    }
}
