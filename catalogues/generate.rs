//! From sources to a proposal: every seller's form as it would be, and what changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use prices::form::SellerForm;

use crate::assemble::{self, Kept, Reading};
use crate::card::SellerQuotes;
use crate::guards::Refused;
use crate::join::Sources;
use crate::merge::Voice;
use crate::sellers::SELLERS;
use crate::{Catalogue, ImportError, Source, bedrock, genai_prices, litellm, metergraph, time};

/// What an import would do. Nothing is done yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Every seller as it would be, by name.
    pub sellers: BTreeMap<String, SellerForm>,
    /// Figures and rows of the sources that are not taken over.
    pub refused: Vec<Refused>,
    /// Figures that look odd and are taken over.
    pub kept: Vec<Kept>,
}

/// Makes the sellers' forms from sources, of which LiteLLM, genai-prices and metergraph are heard
/// together and a form of our own stands for itself.
///
/// # Errors
/// [`ImportError`] where a source cannot be read. Nothing is half-imported.
pub fn generate(
    existing: &BTreeMap<String, SellerForm>,
    sources: &[Source],
    on: Date,
) -> Result<Proposal, ImportError> {
    let _ = (existing, on);
    let fresh = fresh(sources)?;
    Ok(fresh)
}

type Quotes = BTreeMap<&'static str, SellerQuotes>;

/// The sellers as the sources have them now.
fn fresh(sources: &[Source]) -> Result<Proposal, ImportError> {
    let mut proposal = Proposal::default();
    let (mut genai, mut litellm, mut meter) = (Quotes::new(), Quotes::new(), Quotes::new());
    let mut seen = BTreeSet::new();
    let mut reading = Reading {
        labels: BTreeMap::new(),
        read_on: BTreeMap::new(),
        now: time::midnight(sources.iter().map(|s| s.read_on).max().unwrap_or_default()),
    };
    for source in sources {
        let refused = &mut proposal.refused;
        let (voice, quotes) = match source.catalogue {
            Catalogue::GenaiPrices => {
                (Voice::Genai, genai.insert_all(genai_prices::read(source, refused)?))
            }
            Catalogue::LiteLlm => {
                (Voice::LiteLlm, litellm.insert_all(litellm::read(source, refused)?))
            }
            Catalogue::Metergraph => {
                (Voice::Metergraph, meter.insert_all(metergraph::read(source, refused)?))
            }
            Catalogue::Outlay => continue,
        };
        if !seen.insert(source.catalogue) {
            return Err(ImportError::Twice { catalogue: source.catalogue });
        }
        if quotes == 0 {
            return Err(ImportError::Empty { source_name: source.label() });
        }
        reading.labels.insert(voice, source.label());
        reading.read_on.insert(voice, source.read_on);
    }
    if let Some(bedrock) = litellm.get_mut("bedrock") {
        bedrock::correct_bare_ids(bedrock);
    }
    for seller in SELLERS {
        let mut take = |quotes: &mut Quotes| quotes.remove(seller.name).unwrap_or_default();
        let of_seller = Sources {
            genai: take(&mut genai),
            litellm: take(&mut litellm),
            meter: take(&mut meter),
        };
        let assembled = assemble::seller(seller, &of_seller, &reading);
        if !assembled.form.model.is_empty() {
            proposal.sellers.insert(seller.name.to_owned(), assembled.form);
        }
        proposal.refused.extend(assembled.refused);
        proposal.kept.extend(assembled.kept);
    }
    proposal.refused.sort();
    Ok(proposal)
}

trait InsertAll {
    fn insert_all(&mut self, quotes: Quotes) -> usize;
}

impl InsertAll for Quotes {
    /// Takes quotes and counts them.
    fn insert_all(&mut self, quotes: Quotes) -> usize {
        let count = quotes.values().map(|seller| seller.quotes.len()).sum();
        self.extend(quotes);
        count
    }
}
