//! Reads genai-prices: sellers with models, dated tables, and variants that override single keys.
//!
//! A variant is written out as a complete card here. Names are the model's id and what its match
//! tree says to be equal; prefixes, substrings and patterns are not names.

use prices::RateKey;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::card::{Bound, Card, Cards, Quote, Row, SellerQuotes, Span, When};
use crate::decimal::Rate;
use crate::guards::{self, Refused};
use crate::sellers::{self, Seller};
use crate::{ImportError, Source, bedrock, time};

#[derive(Deserialize)]
struct WireProvider {
    id: String,
    #[serde(default)]
    pricing_urls: Vec<String>,
    models: Vec<WireModel>,
}

#[derive(Deserialize)]
struct WireModel {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "match")]
    matches: Option<WireMatch>,
    #[serde(default)]
    price_comments: Option<String>,
    prices: Box<RawValue>,
    #[serde(default)]
    price_variants: Vec<WireVariant>,
}

/// A match tree. Rules that we do not read are kept as they are.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireMatch {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Or(Vec<WireMatch>),
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

type WirePrices = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct WireTable {
    #[serde(default)]
    constraint: Option<WireConstraint>,
    prices: WirePrices,
}

#[derive(Deserialize)]
struct WireVariant {
    when: BTreeMap<String, String>,
    #[serde(default)]
    constraint: Option<WireConstraint>,
    prices: WirePrices,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireConstraint {
    start_date: Option<civil::Date>,
    start_time: Option<String>,
    #[serde(rename = "end_time")]
    _end_time: Option<String>,
}

#[derive(Deserialize)]
struct WireTiered {
    base: Box<RawValue>,
    tiers: Vec<WireTier>,
}

#[derive(Deserialize)]
struct WireTier {
    start: u64,
    price: Box<RawValue>,
}

/// Unit names, our keys, and how far the decimal point moves.
const UNITS: &[(&str, RateKey, i32)] = &[
    ("input_mtok", RateKey::Input, 0),
    ("output_mtok", RateKey::Output, 0),
    ("cache_read_mtok", RateKey::CacheRead, 0),
    ("cache_write_mtok", RateKey::CacheWrite5m, 0),
    ("cache_write_1h_mtok", RateKey::CacheWrite1h, 0),
    ("input_audio_mtok", RateKey::InputAudio, 0),
    ("output_audio_mtok", RateKey::OutputAudio, 0),
    ("cache_audio_read_mtok", RateKey::CacheReadAudio, 0),
    ("input_image_mtok", RateKey::InputImage, 0),
    ("output_image_mtok", RateKey::OutputImage, 0),
    ("cache_image_read_mtok", RateKey::CacheReadImage, 0),
    ("output_reasoning_mtok", RateKey::OutputReasoning, 0),
    ("input_mchars", RateKey::InputCharacters, 0),
    ("requests_kcount", RateKey::Request, -3),
    ("web_searches_kcount", RateKey::WebSearch, -3),
    ("input_document_kpages", RateKey::Page, -3),
    ("audio_hours", RateKey::AudioHour, 0),
    ("input_audio_hours", RateKey::AudioHour, 0),
];

/// All models of the sellers that we know.
pub(crate) fn read(
    source: &Source,
    refused: &mut Vec<Refused>,
) -> Result<BTreeMap<&'static str, SellerQuotes>, ImportError> {
    let providers: Vec<WireProvider> = serde_json::from_str(&source.text)
        .map_err(|error| ImportError::malformed(source, &error))?;
    let mut quotes: BTreeMap<&'static str, SellerQuotes> = BTreeMap::new();
    for provider in &providers {
        for seller in sellers::of_genai(&provider.id) {
            let of_seller = quotes.entry(seller.name).or_default();
            for model in provider.models.iter().filter(|model| sells(seller, model)) {
                let link = provider.pricing_urls.first().cloned();
                let mut reader = Reader { source, seller, model, refused };
                of_seller.quotes.extend(reader.quote(link)?);
            }
            if seller.name != "bedrock" {
                add_names_of_rules(&provider.models, of_seller);
            }
        }
    }
    Ok(quotes)
}

/// What begins with `claude-3-7-sonnet` is that model by their rule, so those words by themselves
/// are one of its names. How a name may go on after them is not taken over.
fn add_names_of_rules(models: &[WireModel], quotes: &mut SellerQuotes) {
    let mut taken: BTreeSet<String> =
        quotes.quotes.iter().flat_map(|quote| quote.names.iter().cloned()).collect();
    for model in models {
        let Some(quote) = quotes.quotes.iter_mut().find(|quote| quote.id == model.id) else {
            continue;
        };
        let mut rules = Vec::new();
        if let Some(tree) = &model.matches {
            collect(tree, &mut rules);
        }
        for rule in rules {
            let (WireMatch::StartsWith(words) | WireMatch::Contains(words)) = rule else {
                continue;
            };
            if is_whole_name(words) && taken.insert(words.clone()) {
                quote.names.insert(words.clone());
            }
        }
    }
}

/// Whether a rule's words can be a name: not a family (`gpt-`), not a name cut off within its date
/// (`claude-sonnet-4-2025`), not a route.
fn is_whole_name(words: &str) -> bool {
    let ends_whole = words.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    let is_cut = words
        .rsplit_once('-')
        .is_some_and(|(_, end)| end == "0" || (end.len() == 4 && end.starts_with("202")));
    let is_name = words.contains('-') && !words.contains(['/', ':']);
    is_name && ends_whole && !is_cut
}

/// One list of theirs is for two platforms of Google's.
fn sells(seller: &Seller, model: &WireModel) -> bool {
    let on_vertex_only = model.id.contains("claude") || model.id.ends_with("-maas");
    match seller.name {
        "google" => !on_vertex_only,
        "vertex" => !model.is_free(),
        _ => true,
    }
}

impl WireModel {
    /// Called free in so many words. That no price is given is not enough.
    fn is_free(&self) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        let comments = self.price_comments.as_deref().unwrap_or_default();
        let called_free = self.id.ends_with(":free")
            || name.contains("(free)")
            || comments.contains("Free of charge")
            || comments.contains("free of charge");
        called_free && self.prices.get().replace([' ', '\n'], "") == "{}"
    }

    fn names(&self, seller: &Seller) -> (String, BTreeSet<String>) {
        let mut rules = Vec::new();
        if let Some(tree) = &self.matches {
            collect(tree, &mut rules);
        }
        if seller.name == "bedrock" {
            let rules: Vec<&str> = rules.iter().map(|rule| rule.text()).collect();
            return bedrock::names(&self.id, &rules);
        }
        let equal = rules.iter().filter_map(|rule| match rule {
            WireMatch::Equals(name) => Some(name.clone()),
            _ => None,
        });
        let mut names: BTreeSet<String> = equal.collect();
        names.insert(self.id.clone());
        (self.id.clone(), names)
    }
}

impl WireMatch {
    fn text(&self) -> &str {
        match self {
            Self::Equals(text)
            | Self::StartsWith(text)
            | Self::EndsWith(text)
            | Self::Contains(text) => text,
            Self::Or(_) | Self::Other(_) => "",
        }
    }
}

/// The rules of which any one is enough.
fn collect<'a>(tree: &'a WireMatch, rules: &mut Vec<&'a WireMatch>) {
    match tree {
        WireMatch::Or(branches) => branches.iter().for_each(|branch| collect(branch, rules)),
        WireMatch::Other(_) => {}
        rule => rules.push(rule),
    }
}

/// A table in the order of time.
struct Table<'a> {
    from: Option<Timestamp>,
    prices: &'a WirePrices,
}

struct Reader<'a> {
    source: &'a Source,
    seller: &'static Seller,
    model: &'a WireModel,
    refused: &'a mut Vec<Refused>,
}

impl Reader<'_> {
    fn quote(&mut self, link: Option<String>) -> Result<Option<Quote>, ImportError> {
        let wire = self.tables()?;
        let (id, names) = self.model.names(self.seller);
        let comments = self.model.price_comments.as_deref().unwrap_or_default();
        let mut quote = Quote {
            id,
            names,
            link,
            cites_seller: self.seller.publishes(comments),
            ..Quote::default()
        };
        self.not_computable(&wire, &mut quote);
        let tables = in_order(&wire);
        let mut list = Vec::new();
        for (at, table) in tables.iter().enumerate() {
            let span =
                Span { from: table.from, until: tables.get(at + 1).and_then(|next| next.from) };
            let cards = self.cards(table.prices);
            let free = self.model.is_free();
            list.push(Row { span, cards, free, dated: table.from.is_some(), ..Row::default() });
        }
        let timed = wire.iter().rfind(|table| table.is_timed());
        quote.peak = timed.map(|table| self.cards(&table.prices));
        let nothing = list.iter().all(|row| row.cards.is_empty() && !row.free);
        if nothing && quote.extras.not_computable.is_empty() {
            self.refuse("the row", "", "it gives no rate and does not call the model free");
            return Ok(None);
        }
        quote.lanes.insert(When::List, list);
        for (when, rows) in self.variants(&tables) {
            quote.lanes.insert(when, rows);
        }
        Ok(Some(quote))
    }

    fn tables(&self) -> Result<Vec<WireTable>, ImportError> {
        let raw = self.model.prices.get();
        let read = match raw.starts_with('[') {
            true => serde_json::from_str(raw),
            false => {
                serde_json::from_str(raw).map(|prices| vec![WireTable { constraint: None, prices }])
            }
        };
        read.map_err(|error| ImportError::malformed(self.source, &error))
    }

    fn not_computable(&self, tables: &[WireTable], quote: &mut Quote) {
        let names = tables.iter().flat_map(|table| table.prices.keys());
        let unknown = names.filter(|name| UNITS.iter().all(|(known, ..)| known != name));
        quote.extras.not_computable.extend(unknown.cloned());
    }

    /// The card of a table; a key without tiers is the same however long the input.
    fn cards(&mut self, prices: &WirePrices) -> Cards {
        let mut base = Card::new();
        let mut tiers: BTreeMap<RateKey, BTreeMap<Bound, Rate>> = BTreeMap::new();
        for (name, key, shift) in UNITS {
            let Some(raw) = prices.get(*name) else { continue };
            let tiered: Option<WireTiered> = serde_json::from_str(raw.get()).ok();
            let (own, steps) = match &tiered {
                Some(tiered) => (tiered.base.get(), tiered.tiers.as_slice()),
                None => (raw.get(), &[][..]),
            };
            base.extend(self.rate(*key, own, *shift, name).map(|rate| (*key, rate)));
            for step in steps {
                if let Some(rate) = self.rate(*key, step.price.get(), *shift, name) {
                    tiers.entry(*key).or_default().insert(bound(step.start), rate);
                }
            }
        }
        let bounds: BTreeSet<Bound> =
            tiers.values().flat_map(|steps| steps.keys()).copied().collect();
        let card_at = |bound: Bound| {
            let mut card = base.clone();
            for (key, steps) in &tiers {
                if let Some((_, rate)) = steps.range(..=bound).next_back() {
                    card.insert(*key, *rate);
                }
            }
            (bound, card)
        };
        let over = bounds.into_iter().map(card_at).collect();
        Cards { base, over }
    }

    fn rate(&mut self, key: RateKey, raw: &str, shift: i32, name: &str) -> Option<Rate> {
        match guards::figure(key, Rate::read(raw.trim_matches('"'), shift)) {
            Ok(rate) => rate,
            Err(reason) => {
                self.refuse(name, raw, &reason);
                None
            }
        }
    }

    /// Complete cards by condition, for the times for which a variant is given.
    fn variants(&mut self, tables: &[Table<'_>]) -> BTreeMap<When, Vec<Row>> {
        let mut by_condition: BTreeMap<When, Vec<&WireVariant>> = BTreeMap::new();
        for variant in &self.model.price_variants {
            match condition(&variant.when) {
                Some(When::List) => {}
                Some(when) => by_condition.entry(when).or_default().push(variant),
                None if variant.prices.is_empty() => {}
                None => {
                    let what = format!("the variant {:?}", variant.when);
                    self.refuse(&what, "", "the catalogue has no such condition");
                }
            }
        }
        by_condition
            .into_iter()
            .map(|(when, variants)| (when, self.variant_rows(tables, &variants)))
            .collect()
    }

    fn variant_rows(&mut self, tables: &[Table<'_>], variants: &[&WireVariant]) -> Vec<Row> {
        let start = |variant: &WireVariant| variant.constraint.as_ref().and_then(start_of);
        let mut starts: BTreeSet<Option<Timestamp>> =
            tables.iter().map(|table| table.from).collect();
        starts.extend(variants.iter().map(|variant| start(variant)));
        let starts: Vec<Option<Timestamp>> = starts.into_iter().collect();
        let mut rows = Vec::new();
        for (at, from) in starts.iter().enumerate() {
            let in_force = variants.iter().find(|variant| start(variant) <= *from);
            let table = tables.iter().rfind(|table| table.from <= *from);
            let (Some(variant), Some(table)) = (in_force, table) else { continue };
            let mut prices: BTreeMap<&String, &Box<RawValue>> = table.prices.iter().collect();
            prices.extend(variant.prices.iter());
            let prices = prices.into_iter().map(|(key, raw)| (key.clone(), raw.clone())).collect();
            let inherited = UNITS
                .iter()
                .filter(|(name, ..)| !variant.prices.contains_key(*name))
                .map(|(_, key, _)| *key)
                .collect();
            let span = Span { from: *from, until: starts.get(at + 1).copied().flatten() };
            let cards = self.cards(&prices);
            rows.push(Row { span, cards, inherited, dated: from.is_some(), ..Row::default() });
        }
        rows
    }

    fn refuse(&mut self, what: &str, figure: &str, reason: &str) {
        self.refused.push(Refused {
            seller: self.seller.name.to_owned(),
            model: self.model.id.clone(),
            what: what.to_owned(),
            figure: figure.trim_matches('"').to_owned(),
            reason: reason.to_owned(),
            source: self.source.label(),
        });
    }
}

impl WireTable {
    fn is_timed(&self) -> bool {
        self.constraint.as_ref().is_some_and(|constraint| constraint.start_time.is_some())
    }
}

/// The tables that hold at any hour, earliest first.
fn in_order(wire: &[WireTable]) -> Vec<Table<'_>> {
    let whole_days = wire.iter().filter(|table| !table.is_timed());
    let mut tables: Vec<Table<'_>> = whole_days
        .map(|table| Table {
            from: table.constraint.as_ref().and_then(start_of),
            prices: &table.prices,
        })
        .collect();
    tables.sort_by_key(|table| table.from);
    tables
}

fn start_of(constraint: &WireConstraint) -> Option<Timestamp> {
    constraint.start_date.map(time::midnight)
}

/// A threshold stored one below the first count that is dear is one that begins there.
fn bound(start: u64) -> Bound {
    match start % 1000 {
        999 => Bound { tokens: start.saturating_add(1), inclusive: true },
        _ => Bound { tokens: start, inclusive: false },
    }
}

/// The condition of a variant; `None` for one that we have no word for.
fn condition(when: &BTreeMap<String, String>) -> Option<When> {
    let mut pairs = when.iter();
    let (Some((key, value)), None) = (pairs.next(), pairs.next()) else { return None };
    match (key.as_str(), value.as_str()) {
        ("service_tier", "default") => Some(When::List),
        ("service_tier", tier) => Some(When::Tier(tier.to_owned())),
        ("processing", "batch") => Some(When::Batch),
        ("speed", "fast") => Some(When::Speed("fast".to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_rule_are_a_name_only_where_they_are_whole() {
        for (words, is_name) in [
            ("claude-3-7-sonnet", true),
            ("claude-3.7-sonnet", true),
            ("claude-opus-4.1", true),
            ("gemini-2.0-flash-0", false),
            ("claude-sonnet-4-2025", false),
            ("claude-opus-5-5@", false),
            ("gpt-4o-2024-", false),
            ("cerebras/gpt-oss-120b", false),
            ("gemma", false),
        ] {
            assert_eq!(is_whole_name(words), is_name, "{words}");
        }
    }
}
