//! Which rows of the sources are about one model: exact names, and dates at their end where the
//! rates are equal. A name belongs to one model of a seller only.

use prices::RateKey;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::card::{Card, Quote, SellerQuotes, When};
use crate::decimal::Rate;
use crate::names::undated;

/// What the sources say about one model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) names: BTreeSet<String>,
    pub(crate) genai: Option<Quote>,
    pub(crate) litellm: Option<Quote>,
    pub(crate) meter: Option<Quote>,
}

/// The three sources' words about one seller.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) genai: SellerQuotes,
    pub(crate) litellm: SellerQuotes,
    pub(crate) meter: SellerQuotes,
}

/// The groups and the group of each name.
pub(crate) struct Join {
    pub(crate) groups: Vec<Group>,
    pub(crate) owner: BTreeMap<String, usize>,
    /// The group in which each of metergraph's quotes is.
    pub(crate) meter_group: Vec<Option<usize>>,
    now: Timestamp,
}

/// Joins one seller's rows. `now` is the instant of which LiteLLM speaks.
pub(crate) fn join(sources: &Sources, now: Timestamp) -> Join {
    let owner = BTreeMap::new();
    let mut join = Join { groups: Vec::new(), owner, meter_group: Vec::new(), now };
    let mut left: BTreeMap<&str, &Quote> =
        sources.litellm.quotes.iter().map(|quote| (quote.id.as_str(), quote)).collect();
    let own_names: BTreeSet<&String> =
        sources.genai.quotes.iter().flat_map(|quote| &quote.names).collect();
    for genai in &sources.genai.quotes {
        join.with_genai(genai, &own_names, &mut left);
    }
    // Shorter names first, so that an undated one is there when a dated one looks for it.
    let mut left: Vec<&Quote> = left.into_values().collect();
    left.sort_by_key(|quote| (quote.id.len(), quote.id.clone()));
    for quote in left {
        join.alone(quote);
    }
    for quote in &sources.meter.quotes {
        let group = join.with_meter(quote);
        join.meter_group.push(group);
    }
    join
}

impl Join {
    /// One or more groups of a model of genai-prices': names to which LiteLLM gives other rates
    /// are models of their own.
    fn with_genai(
        &mut self,
        genai: &Quote,
        own_names: &BTreeSet<&String>,
        left: &mut BTreeMap<&str, &Quote>,
    ) {
        let mut names: BTreeSet<String> =
            genai.names.iter().filter(|name| !self.owner.contains_key(*name)).cloned().collect();
        let mut candidates: Vec<&Quote> = left
            .values()
            .filter(|quote| {
                let base = undated(&quote.id).filter(|_| !own_names.contains(&quote.id));
                names.contains(&quote.id) || base.is_some_and(|base| names.contains(&base))
            })
            .copied()
            .collect();
        candidates.sort_by_key(|quote| {
            (quote.id != genai.id, undated(&quote.id).is_some(), quote.id.len(), quote.id.clone())
        });
        let mut classes: Vec<(Quote, BTreeSet<String>, bool)> = Vec::new();
        for candidate in candidates {
            let known = names.remove(&candidate.id);
            let agrees = agrees_now(candidate, genai, self.now);
            if !known && !agrees && !classes.is_empty() {
                // A dated snapshot with rates of its own.
                continue;
            }
            left.remove(candidate.id.as_str());
            let class =
                classes.iter_mut().find(|(first, ..)| compatible(first, candidate, Some(genai)));
            match class {
                Some((first, names, _)) => {
                    unite(first, candidate);
                    names.insert(candidate.id.clone());
                }
                None => {
                    let names = BTreeSet::from([candidate.id.clone()]);
                    classes.push((candidate.clone(), names, known || agrees));
                }
            }
        }
        // Names of which LiteLLM does not speak go with those on which it agrees; else alone.
        let agreeing = classes.iter_mut().find(|(first, ..)| agrees_now(first, genai, self.now));
        match agreeing {
            Some((_, of_class, _)) => of_class.append(&mut names),
            None => self.add(&genai.id, names, Some(genai), None),
        }
        for (litellm, names, with_genai) in classes {
            let id = match names.contains(&genai.id) {
                true => genai.id.clone(),
                false => litellm.id.clone(),
            };
            self.add(&id, names, with_genai.then_some(genai), Some(litellm));
        }
    }

    fn add(
        &mut self,
        id: &str,
        names: BTreeSet<String>,
        genai: Option<&Quote>,
        mut litellm: Option<Quote>,
    ) {
        if names.is_empty() {
            return;
        }
        let index = self.groups.len();
        for name in &names {
            self.owner.insert(name.clone(), index);
        }
        let id = canonical(id, &names);
        let genai = genai.cloned();
        if let (Some(genai), Some(litellm)) = (&genai, &mut litellm) {
            align_fees(genai, litellm);
        }
        self.groups.push(Group { id, names, genai, litellm, meter: None });
    }

    /// A key of LiteLLM's that genai-prices does not know.
    fn alone(&mut self, quote: &Quote) {
        let base = undated(&quote.id).and_then(|base| self.owner.get(&base).copied());
        if let Some(index) = base {
            let group = &mut self.groups[index];
            let genai = group.genai.as_ref();
            if let Some(first) =
                group.litellm.as_mut().filter(|first| compatible(first, quote, genai))
            {
                unite(first, quote);
                group.names.insert(quote.id.clone());
                self.owner.insert(quote.id.clone(), index);
                return;
            }
        }
        let names = BTreeSet::from([quote.id.clone()]);
        self.add(&quote.id, names, None, Some(quote.clone()));
    }

    /// Puts a quote of metergraph's with the models of its names, or makes a new one.
    fn with_meter(&mut self, quote: &Quote) -> Option<usize> {
        let all: BTreeSet<&String> = quote.names.iter().chain([&quote.id]).collect();
        let group_of = |name: &String| {
            self.owner.get(name).or_else(|| self.owner.get(&undated(name)?)).copied()
        };
        let hits: BTreeSet<usize> = all.iter().filter_map(|name| group_of(name)).collect();
        let first = group_of(&quote.id).or_else(|| hits.first().copied());
        let Some(first) = first else {
            let names: BTreeSet<String> = all.into_iter().cloned().collect();
            let index = self.groups.len();
            let id = canonical(&quote.id, &names);
            for name in &names {
                self.owner.insert(name.clone(), index);
            }
            let meter = Some(quote.clone());
            self.groups.push(Group { id, names, meter, ..Group::default() });
            return Some(index);
        };
        for index in hits {
            let now = self.now;
            let group = &mut self.groups[index];
            let known = group.litellm.as_ref().or(group.genai.as_ref());
            let agrees = known.is_some_and(|known| agrees_now(known, quote, now));
            if group.meter.is_none() && (index == first || agrees) {
                group.meter = Some(quote.clone());
            }
        }
        for name in &quote.names {
            if !self.owner.contains_key(name) {
                self.owner.insert(name.clone(), first);
                self.groups[first].names.insert(name.clone());
            }
        }
        Some(first)
    }
}

/// A fee for each call that searches is one per request to the one source and one per search to
/// the other: it is charged once.
fn align_fees(genai: &Quote, litellm: &mut Quote) {
    let per_request = genai.lanes.get(&When::List).into_iter().flatten().any(|row| {
        let card = &row.cards.base;
        card.contains_key(&RateKey::Request) && !card.contains_key(&RateKey::WebSearch)
    });
    if !per_request {
        return;
    }
    for row in litellm.lanes.values_mut().flatten() {
        for card in std::iter::once(&mut row.cards.base).chain(row.cards.over.values_mut()) {
            if let Some(fee) = card.remove(&RateKey::WebSearch) {
                card.entry(RateKey::Request).or_insert(fee);
            }
        }
    }
}

/// The undated name where there is one.
fn canonical(id: &str, names: &BTreeSet<String>) -> String {
    let shortest = || names.iter().min_by_key(|name| (name.len(), (*name).clone()));
    match undated(id).filter(|undated| names.contains(undated)) {
        Some(undated) => undated,
        None if names.contains(id) => id.to_owned(),
        None => shortest().cloned().unwrap_or_else(|| id.to_owned()),
    }
}

/// Whether two quotes give the same rates of tokens at an instant, as far as both give them.
fn agrees_now(one: &Quote, other: &Quote, now: Timestamp) -> bool {
    let (Some(one), Some(other)) = (one.list_at(now), other.list_at(now)) else { return false };
    let (one, other) = (&one.cards.base, &other.cards.base);
    let mut shared = one.iter().filter(|(key, _)| key.is_of_tokens() && other.contains_key(key));
    shared.clone().next().is_some() && shared.all(|(key, rate)| other.get(key) == Some(rate))
}

/// Whether `second` may be another name of the model of `first`: every rate of both is equal, and
/// its list price has none that nobody else gives.
fn compatible(first: &Quote, second: &Quote, genai: Option<&Quote>) -> bool {
    if first.rule != second.rule || first.off_peak != second.off_peak {
        return false;
    }
    let known = genai.and_then(|genai| genai.lanes.get(&When::List)).and_then(|rows| rows.last());
    second.lanes.iter().all(|(when, rows)| {
        let Some(own) = first.lanes.get(when).and_then(|rows| rows.first()) else {
            return *when != When::List;
        };
        rows.iter().all(|row| {
            let no_more = |key: &RateKey, rate: &Rate| {
                *when != When::List
                    || known.and_then(|known| known.cards.base.get(key)) == Some(rate)
            };
            card_within(&row.cards.base, &own.cards.base, &no_more)
                && row.cards.over.iter().all(|(bound, card)| {
                    own.cards.over.get(bound).is_some_and(|own| card_within(card, own, &no_more))
                })
        })
    })
}

fn card_within(card: &Card, other: &Card, otherwise: &dyn Fn(&RateKey, &Rate) -> bool) -> bool {
    card.iter().filter(|(key, _)| **key != RateKey::WebSearch).all(|(key, rate)| {
        match other.get(key) {
            Some(own) => own == rate,
            None => otherwise(key, rate),
        }
    })
}

/// Adds what another name of the model gives besides.
fn unite(first: &mut Quote, second: &Quote) {
    for (when, rows) in &second.lanes {
        let Some(own) = first.lanes.get_mut(when) else {
            first.lanes.insert(when.clone(), rows.clone());
            continue;
        };
        for (own, row) in own.iter_mut().zip(rows) {
            for (key, rate) in &row.cards.base {
                own.cards.base.entry(*key).or_insert(*rate);
            }
        }
    }
    let residency = second.extras.data_residency.iter();
    first.extras.data_residency.extend(residency.map(|(place, rate)| (place.clone(), *rate)));
    first.extras.not_computable.extend(second.extras.not_computable.iter().cloned());
    first.extras.vertex_regional = first.extras.vertex_regional.or(second.extras.vertex_regional);
}
