//! From sources to a proposal: every seller's form as it would be, and what changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use prices::form::SellerForm;

use crate::assemble::{self, Kept, Reading};
use crate::card::SellerQuotes;
use crate::changes::Change;
use crate::guards::Refused;
use crate::join::Sources;
use crate::merge::{Voice, Witnesses};
use crate::sellers::{SELLERS, Seller};
use crate::{
    Catalogue, ImportError, Source, bedrock, genai_prices, litellm, metergraph, reconcile, time,
};

/// What an import would do. Nothing is done yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Every seller as it would be, by name.
    pub sellers: BTreeMap<String, SellerForm>,
    /// What is different from before, seller by seller and model by model.
    pub changes: Vec<Change>,
    /// Figures and rows of the sources that are not taken over.
    pub refused: Vec<Refused>,
    /// Figures that look odd and are taken over.
    pub kept: Vec<Kept>,
}

/// Makes the sellers' forms from sources and lays them over the existing ones.
///
/// LiteLLM, genai-prices and metergraph are heard together: what only one of them says of a model
/// is `single`, however many there could have been, so hand in all three (see
/// [`complete`](crate::complete)). A form of our own stands for itself, before all others.
///
/// # Errors
/// [`ImportError`] where a source cannot be read, or the result would be no catalogue. Nothing is
/// half-imported.
pub fn generate(
    existing: &BTreeMap<String, SellerForm>,
    sources: &[Source],
    on: Date,
) -> Result<Proposal, ImportError> {
    let mut proposal = fresh(sources)?;
    let own = own_forms(sources)?;
    let on = time::midnight(on);
    let public: BTreeSet<String> = proposal.sellers.keys().cloned().collect();
    let mut all: BTreeSet<String> = public.clone();
    all.extend(own.keys().cloned());
    let mut sellers = existing.clone();
    for name in all {
        let generated = proposal.sellers.remove(&name).unwrap_or_default();
        let form = with_own(generated, own.get(&name), &name);
        let complete = public.contains(&name);
        let old = existing.get(&name);
        let form = reconcile::seller(old, form, on, complete, &mut proposal.changes);
        sellers.insert(name, form);
    }
    let forms: Vec<SellerForm> = sellers.values().cloned().collect();
    prices::Catalogue::from_forms(&forms).map_err(|problems| ImportError::Invalid {
        problems: problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    })?;
    proposal.sellers = sellers;
    Ok(proposal)
}

/// The forms of our own among the sources, by seller.
fn own_forms(sources: &[Source]) -> Result<BTreeMap<String, SellerForm>, ImportError> {
    let mut forms = BTreeMap::new();
    for source in sources.iter().filter(|source| source.catalogue == Catalogue::Outlay) {
        let form: SellerForm =
            toml::from_str(&source.text).map_err(|error| ImportError::malformed(source, &error))?;
        if form.seller.is_empty() {
            return Err(ImportError::Empty { source_name: source.label() });
        }
        forms.insert(form.seller.clone(), form);
    }
    Ok(forms)
}

/// A generated form in which our own rows stand for the names that they are for.
fn with_own(mut form: SellerForm, own: Option<&SellerForm>, name: &str) -> SellerForm {
    name.clone_into(&mut form.seller);
    let Some(own) = own else { return form };
    let taken: BTreeSet<&String> =
        own.model.iter().flat_map(|m| std::iter::once(&m.id).chain(&m.names)).collect();
    form.model.retain(|model| !taken.contains(&model.id));
    for model in &mut form.model {
        model.names.retain(|name| !taken.contains(name));
    }
    form.model.extend(own.model.iter().cloned());
    let ids: BTreeSet<&String> = form.model.iter().map(|model| &model.id).collect();
    form.alias.retain(|alias| ids.contains(&alias.model) && !taken.contains(&alias.name));
    form.alias.extend(own.alias.iter().cloned());
    if !own.charges_price_of.is_empty() {
        form.charges_price_of.clone_from(&own.charges_price_of);
    }
    form
}

type Quotes = BTreeMap<&'static str, SellerQuotes>;

/// The sellers as the sources have them now.
fn fresh(sources: &[Source]) -> Result<Proposal, ImportError> {
    let mut proposal = Proposal::default();
    let (mut genai, mut litellm, mut meter) = (Quotes::new(), Quotes::new(), Quotes::new());
    let mut seen = BTreeSet::new();
    let public = sources.iter().filter(|source| source.catalogue != Catalogue::Outlay);
    let mut reading = Reading {
        labels: BTreeMap::new(),
        read_on: BTreeMap::new(),
        now: time::midnight(public.map(|s| s.read_on).max().unwrap_or_default()),
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
    let by_seller: Vec<(&Seller, Sources)> = SELLERS
        .iter()
        .map(|seller| {
            let take = |quotes: &mut Quotes| quotes.remove(seller.name).unwrap_or_default();
            let (genai, litellm) = (take(&mut genai), take(&mut litellm));
            (seller, Sources { genai, litellm, meter: take(&mut meter) })
        })
        .collect();
    // Twice: what two catalogues say of a model at one seller vouches for one at another.
    let mut witnesses = BTreeMap::new();
    for (seller, sources) in &by_seller {
        let assembled = assemble::seller(seller, sources, &reading, &BTreeMap::new());
        for (model, odd) in assembled.witnesses {
            witnesses.entry(model).or_insert_with(Witnesses::new).extend(odd);
        }
    }
    for (seller, sources) in &by_seller {
        let assembled = assemble::seller(seller, sources, &reading, &witnesses);
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
