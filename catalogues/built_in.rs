//! The catalogues that the built-in one is made from, packed, as they were on the day they were
//! read. `sources/README.md` says what they are and under which licences.

use jiff::civil::Date;

use crate::source::{Catalogue, Source, unzip};

const READ_ON: (i16, i8, i8) = (2026, 11, 20);

const PACKED: &[(Catalogue, &str, &[u8])] = &[
    (Catalogue::GenaiPrices, "0.2.3", include_bytes!("sources/genai-prices-0.2.3.json.gz")),
    (Catalogue::LiteLlm, "1.109.1", include_bytes!("sources/litellm-1.109.1.json.gz")),
    (Catalogue::Metergraph, "0.7.4", include_bytes!("sources/metergraph-0.7.4.yaml.gz")),
];

/// The sources of the built-in catalogue.
///
/// # Panics
/// Where a packed source is broken, which its tests prevent.
#[must_use]
pub fn built_in() -> Vec<Source> {
    let (year, month, day) = READ_ON;
    let read_on = Date::new(year, month, day).expect("a date is written in the code");
    PACKED
        .iter()
        .map(|(catalogue, version, packed)| Source {
            catalogue: *catalogue,
            version: (*version).to_owned(),
            read_on,
            text: unzip(packed).expect("the packed sources are read by tests"),
        })
        .collect()
}

/// The given sources, and for each public catalogue that is not among them the built-in copy: the
/// three are heard together, and one alone would seem to change what the others say. Where there
/// are but forms of our own, they are all.
#[must_use]
pub fn complete(mut given: Vec<Source>) -> Vec<Source> {
    if given.iter().all(|own| own.catalogue == Catalogue::Outlay) {
        return given;
    }
    for source in built_in() {
        if given.iter().all(|own| own.catalogue != source.catalogue) {
            given.push(source);
        }
    }
    given
}
