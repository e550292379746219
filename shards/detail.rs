//! What the journal keeps of an event beside what the engine decides with: its id, usage, where in
//! the code it came from, tags. At most 4 KiB an event. Outlay's own id of an event (`evt_…`) is
//! its place in the journal and stands nowhere: see [`crate::facts::event_id`].

use std::collections::BTreeMap;
use std::ops::Range;

use domain::{Quantity, Usage};
use serde::{Deserialize, Serialize};

/// Most bytes of an encoded detail.
pub const DETAIL_BYTES_MAX: usize = 4 * 1024;

/// Beside what an event costs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventDetail {
    /// By which door it came.
    pub source: Source,
    /// Its id as it was sent.
    pub id: String,
    /// The API key that reported it.
    pub key: Option<u128>,
    /// The model as it was named, where that differs from the canonical one.
    pub named_model: Option<String>,
    /// What was consumed, by unit, in millionths.
    #[serde(with = "amounts")]
    pub quantities: Vec<(UnitName, i128)>,
    /// The price row that was used, by its name in its catalogue.
    pub price_row: Option<String>,
    /// The catalogue that the row is in, by its id.
    pub catalogue: Option<String>,
    /// Rate context, for a later price: pairs as the API names them.
    pub context: Vec<(String, String)>,
    /// From the request to the last byte.
    pub latency_ms: Option<u32>,
    /// From the request to the first token.
    pub time_to_first_token_ms: Option<u32>,
    /// File, function and line.
    pub call_site: Option<CallSite>,
    /// The customer's number; the mapping to a name is kept elsewhere.
    pub end_user: Option<u64>,
    /// What the provider calls the request.
    pub provider_request_id: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The sealed body, where bodies are captured.
    pub body: Option<u128>,
    /// Marks of the reading: `inconsistent`, `cache_excluded`.
    pub marks: Vec<String>,
    /// Why, where it is a correction.
    pub reason: Option<String>,
}

/// By which door an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Source {
    /// `POST /v1/track`.
    #[default]
    Track,
    /// A reservation's commit.
    Commit,
    /// OpenTelemetry.
    Otlp,
    /// CloudEvents.
    CloudEvents,
    /// A reversal.
    Reversal,
    /// A later price.
    Reprice,
}

/// Where in the code a call was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallSite {
    /// File.
    pub file: String,
    /// Function.
    pub function: String,
    /// Line.
    pub line: Option<u32>,
}

/// A unit: of our vocabulary by its place in [`UNITS`], or a custom one by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnitName {
    /// Place in [`UNITS`].
    Known(u8),
    /// Custom, without `custom:`.
    Custom(String),
}

/// Units of the vocabulary in the order of the format: only ever added to at the end.
pub const UNITS: [&str; 18] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "cache_read_audio_tokens",
    "cache_read_image_tokens",
    "output_tokens",
    "output_reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "requests",
    "web_searches",
    "input_characters",
    "audio_seconds",
    "images",
    "pages",
];

impl Source {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Track => "track",
            Source::Commit => "commit",
            Source::Otlp => "otlp",
            Source::CloudEvents => "cloudevents",
            Source::Reversal => "reversal",
            Source::Reprice => "reprice",
        }
    }
}

impl EventDetail {
    /// The bytes for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data is encoded")
    }

    /// Reads them; `None` where they are damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<EventDetail> {
        postcard::from_bytes(bytes).ok()
    }

    /// Where in such bytes the id's text is, after one byte with its length; `None` where that is
    /// not one byte.
    pub(crate) fn id_place(bytes: &[u8]) -> Option<Range<usize>> {
        let [source, length, ..] = *bytes else { return None };
        let end = 2 + usize::from(length);
        (source < 128 && length < 128 && end <= bytes.len()).then_some(2..end)
    }
}

/// What was consumed, in the journal's form. Zero is said too.
#[must_use]
pub fn quantities(usage: &Usage) -> Vec<(UnitName, i128)> {
    let known = usage.quantities().filter_map(|(unit, quantity)| {
        let place = UNITS.iter().position(|known| *known == unit)?;
        Some((UnitName::Known(u8::try_from(place).ok()?), micros(quantity)?))
    });
    let custom = usage
        .custom
        .iter()
        .filter_map(|(name, quantity)| Some((UnitName::Custom(name.clone()), micros(*quantity)?)));
    known.chain(custom).collect()
}

fn micros(quantity: Quantity) -> Option<i128> {
    quantity.micros()
}

impl UnitName {
    /// The name in the API.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            UnitName::Known(place) => {
                UNITS.get(usize::from(*place)).map_or("unknown", |name| name).to_owned()
            }
            UnitName::Custom(name) => format!("custom:{name}"),
        }
    }
}

/// Quantities in the journal: whole ones, as nearly all are, take less than half as much.
mod amounts {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::UnitName;

    const WHOLE: i128 = 1_000_000;

    #[derive(Serialize, Deserialize)]
    enum Amount {
        Whole(i128),
        Micros(i128),
    }

    pub(super) fn serialize<S: Serializer>(
        quantities: &[(UnitName, i128)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(quantities.iter().map(|(unit, micros)| match micros % WHOLE {
            0 => (unit, Amount::Whole(micros / WHOLE)),
            _ => (unit, Amount::Micros(*micros)),
        }))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<Vec<(UnitName, i128)>, D::Error> {
        let amounts: Vec<(UnitName, Amount)> = Vec::deserialize(deserializer)?;
        let too_many = || D::Error::custom("a quantity is too large");
        let micros = |(unit, amount)| match amount {
            Amount::Whole(whole) => Ok((unit, whole.checked_mul(WHOLE).ok_or_else(too_many)?)),
            Amount::Micros(micros) => Ok((unit, micros)),
        };
        amounts.into_iter().map(micros).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_reads_back_whatever_its_quantities() {
        let micros = [0, 1, -1, 999_999, 1_000_000, -3_000_000, i128::MAX, i128::MIN];
        let quantities = micros.map(|micros| (UnitName::Known(0), micros)).to_vec();
        let detail = EventDetail { quantities, ..EventDetail::default() };
        assert_eq!(EventDetail::decode(&detail.encode()), Some(detail));
    }

    #[test]
    fn an_id_is_found_where_it_is() {
        for id in [String::new(), "a".to_owned(), "x".repeat(127)] {
            let bytes = EventDetail { id: id.clone(), ..EventDetail::default() }.encode();
            assert_eq!(
                EventDetail::id_place(&bytes).map(|place| &bytes[place]),
                Some(id.as_bytes())
            );
        }
        let bytes = EventDetail { id: "x".repeat(128), ..EventDetail::default() }.encode();
        assert_eq!(EventDetail::id_place(&bytes), None);
        assert_eq!(EventDetail::id_place(&[0, 5, 1]), None);
    }
}
