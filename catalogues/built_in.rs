//! The catalogues that the built-in one is made from, packed, as they were on the day they were
//! read. `sources/README.md` says what they are and under which licences.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::generate::{Proposal, generate};
use crate::source::{Catalogue, ImportError, Source, unzip};

/// Catalogues that were read on one day. Later days say only what was read anew.
struct Day {
    read_on: (i16, i8, i8),
    packed: &'static [(Catalogue, &'static str, &'static [u8])],
}

const DAYS: &[Day] = &[Day {
    read_on: (2026, 11, 20),
    packed: &[
        (Catalogue::GenaiPrices, "0.2.3", include_bytes!("sources/genai-prices-0.2.3.json.gz")),
        (Catalogue::LiteLlm, "1.109.1", include_bytes!("sources/litellm-1.109.1.json.gz")),
        (Catalogue::Metergraph, "0.7.4", include_bytes!("sources/metergraph-0.7.4.yaml.gz")),
    ],
}];

/// Every import that made the built-in catalogue, the first one first: its day, and the sources as
/// they stood then.
///
/// # Panics
/// Where a packed source is broken, which its tests prevent.
#[must_use]
pub fn imports() -> Vec<(Date, Vec<Source>)> {
    let mut newest: BTreeMap<Catalogue, Source> = BTreeMap::new();
    let mut imports = vec![];
    for day in DAYS {
        let (year, month, date) = day.read_on;
        let read_on = Date::new(year, month, date).expect("a date is written in the code");
        for (catalogue, version, packed) in day.packed {
            let text = unzip(packed).expect("the packed sources are read by tests");
            let (catalogue, version) = (*catalogue, (*version).to_owned());
            newest.insert(catalogue, Source { catalogue, version, read_on, text });
        }
        imports.push((read_on, newest.values().cloned().collect()));
    }
    imports
}

/// The newest sources of the built-in catalogue.
///
/// # Panics
/// Where a packed source is broken, which its tests prevent.
#[must_use]
pub fn built_in() -> Vec<Source> {
    imports().pop().map(|(_, sources)| sources).unwrap_or_default()
}

/// The built-in catalogue as its sources give it: each import laid over the ones before, so that
/// none changes what was before its day.
///
/// # Errors
/// [`ImportError`] where a source cannot be read.
pub fn regenerate() -> Result<Proposal, ImportError> {
    imports().into_iter().try_fold(Proposal::default(), |before, (day, sources)| {
        generate(&before.sellers, &sources, day)
    })
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
