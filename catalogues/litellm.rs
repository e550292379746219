//! Reads LiteLLM's price map: one JSON object of flat rows, today's prices only, per single unit.
//!
//! Numbers are taken from their text. The map has no dates, so everything it says holds now and
//! says nothing of the past.

use prices::RateKey;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use crate::card::{Bound, Card, Cards, Contradiction, Extras, Quote, Row, SellerQuotes, When};
use crate::decimal::Rate;
use crate::guards::{self, Refused};
use crate::litellm_keys::{self as keys, Unit};
use crate::sellers::{self, Seller};
use crate::{ImportError, Source, litellm_hours};

pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// All rows of the sellers that we know.
pub(crate) fn read(
    source: &Source,
    refused: &mut Vec<Refused>,
) -> Result<BTreeMap<&'static str, SellerQuotes>, ImportError> {
    let rows: BTreeMap<String, Fields> = serde_json::from_str(&source.text)
        .map_err(|error| ImportError::malformed(source, &error))?;
    let mut named: BTreeMap<&'static str, BTreeMap<String, Vec<Ranked>>> = BTreeMap::new();
    for (key, fields) in &rows {
        let provider = text(fields, "litellm_provider").unwrap_or_default();
        let Some(seller) = sellers::of_litellm(&provider) else { continue };
        let name = seller.litellm_name(key);
        let mut reader = Reader::new(source, seller, key, fields);
        let quote = reader.quote(name.to_owned());
        refused.append(&mut reader.refused);
        let Some(quote) = quote else { continue };
        let rank = (quote.link.is_none(), seller.litellm_rank(&provider));
        let same_name = named.entry(seller.name).or_default().entry(quote.id.clone()).or_default();
        same_name.push(Ranked { rank, key: key.clone(), quote });
    }
    let one_each = |(seller, names)| (seller, one_each(source, seller, names, refused));
    Ok(named.into_iter().map(one_each).collect())
}

struct Ranked {
    rank: (bool, Option<usize>),
    key: String,
    quote: Quote,
}

/// One quote for each name: of several keys the first in rank, and what the others add to it.
fn one_each(
    source: &Source,
    seller: &str,
    names: BTreeMap<String, Vec<Ranked>>,
    refused: &mut Vec<Refused>,
) -> SellerQuotes {
    let priced_by_token: BTreeSet<String> = names
        .iter()
        .filter(|(_, keys)| keys.iter().any(|key| has_token_rates(&key.quote)))
        .map(|(name, _)| name.clone())
        .collect();
    let mut quotes = Vec::new();
    for (name, mut keys) in names {
        if sized_picture(&name).is_some_and(|model| priced_by_token.contains(model)) {
            refused.push(Refused {
                seller: seller.to_owned(),
                model: name,
                what: "the row".to_owned(),
                figure: String::new(),
                reason: "it is by the picture, and the model's rates are by the token".to_owned(),
                source: source.label(),
            });
            continue;
        }
        keys.sort_by_key(|key| key.rank);
        let mut keys = keys.into_iter();
        let Some(Ranked { quote: mut first, .. }) = keys.next() else { continue };
        for other in keys {
            absorb(&mut first, other.quote, &other.key);
        }
        quotes.push(first);
    }
    SellerQuotes { quotes, dated_names: Vec::new() }
}

/// Adds what another row of the same name gives besides, unless the two differ in the list price.
fn absorb(first: &mut Quote, other: Quote, key: &str) {
    let differing = contradictions(first, &other, key);
    let differ = differing.iter().any(|contradiction| contradiction.when == When::List);
    first.contradicted.extend(differing);
    if differ {
        return;
    }
    for (when, rows) in other.lanes {
        first.lanes.entry(when).or_insert(rows);
    }
    first.extras.data_residency.extend(other.extras.data_residency);
}

fn contradictions(first: &Quote, other: &Quote, row: &str) -> Vec<Contradiction> {
    let mut found = Vec::new();
    for (when, rows) in &other.lanes {
        let own = first.lanes.get(when).and_then(|rows| rows.first());
        let (Some(own), Some(theirs)) = (own, rows.first()) else { continue };
        for (key, rate) in theirs.cards.base.iter().filter(|(key, _)| key.is_of_tokens()) {
            if own.cards.base.get(key).is_some_and(|own| own != rate) {
                let (when, row) = (when.clone(), row.to_owned());
                found.push(Contradiction { when, key: *key, rate: *rate, row });
            }
        }
    }
    found
}

fn has_token_rates(quote: &Quote) -> bool {
    let list = quote.lanes.get(&When::List).and_then(|rows| rows.first());
    list.is_some_and(|row| row.cards.base.keys().any(|key| key.is_of_tokens()))
}

/// The model of a key such as `low/1024-x-1024/gpt-image-1`: priced by the picture's size.
fn sized_picture(name: &str) -> Option<&str> {
    let (size, model) = name.rsplit_once('/')?;
    let sized = size.split('/').any(|part| {
        part.split_once("-x-").is_some_and(|(width, height)| {
            [width, height].iter().all(|side| side.bytes().all(|byte| byte.is_ascii_digit()))
        })
    });
    sized.then_some(model)
}

/// A field's text: a string's content, or a number as it is written.
pub(crate) fn text(fields: &Fields, name: &str) -> Option<String> {
    let raw = fields.get(name)?.get();
    match raw.starts_with('"') {
        true => serde_json::from_str(raw).ok(),
        false => Some(raw.to_owned()),
    }
}

fn object(fields: &Fields, name: &str) -> Option<Fields> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// Reads one row.
struct Reader<'a> {
    source: &'a Source,
    seller: &'static Seller,
    model: &'a str,
    fields: &'a Fields,
    mode: String,
    lanes: BTreeMap<When, Cards>,
    extras: Extras,
    refused: Vec<Refused>,
}

impl<'a> Reader<'a> {
    fn new(
        source: &'a Source,
        seller: &'static Seller,
        model: &'a str,
        fields: &'a Fields,
    ) -> Self {
        let mode = text(fields, "mode").unwrap_or_default();
        let (lanes, extras, refused) = (BTreeMap::new(), Extras::default(), Vec::new());
        Self { source, seller, model, fields, mode, lanes, extras, refused }
    }

    fn quote(&mut self, name: String) -> Option<Quote> {
        if self.model.contains("-month-commitment/") {
            self.refuse("the row", "", "provisioned throughput is paid by the hour, not by use");
            return None;
        }
        for name in self.fields.keys() {
            self.field(name);
        }
        self.one_unit_only();
        self.searches();
        self.multipliers();
        self.extras.free_web_searches = self.allowance();
        let off_peak = litellm_hours::off_peak(self.fields);
        self.lanes.retain(|_, cards| !cards.is_empty());
        if self.lanes.is_empty() && self.extras.not_computable.is_empty() {
            self.refuse("the row", "", "it gives no rate, and zero only where it is called free");
            return None;
        }
        self.lanes.entry(When::List).or_default();
        let lanes = std::mem::take(&mut self.lanes)
            .into_iter()
            .map(|(when, cards)| (when, vec![Row { cards, ..Row::default() }]))
            .collect();
        let link = text(self.fields, "source").filter(|link| link.starts_with("http"));
        let cites_seller = link.as_deref().is_some_and(|link| self.seller.publishes(link));
        Some(Quote {
            names: BTreeSet::from([name.clone()]),
            id: name,
            lanes,
            extras: std::mem::take(&mut self.extras),
            off_peak,
            link,
            cites_seller,
            ..Quote::default()
        })
    }

    fn field(&mut self, name: &str) {
        let Some(raw) = self.fields.get(name) else { return };
        if name == "input_cost_per_token_cache_hit" {
            if !self.fields.contains_key("cache_read_input_token_cost") {
                self.rate(RateKey::CacheRead, Unit::Token, When::List, None, raw.get(), name);
            }
        } else if let Some(price) = keys::read(name, &self.mode) {
            let bound = price.above.map(|k| keys::bound(k, self.seller.inclusive_bounds));
            self.rate(price.key, price.unit, price.when, bound, raw.get(), name);
        } else if name.contains("_cost") && name != "search_context_cost_per_query" {
            self.not_computable(name, raw.get());
        }
    }

    fn rate(
        &mut self,
        key: RateKey,
        unit: Unit,
        when: When,
        bound: Option<Bound>,
        raw: &str,
        name: &str,
    ) {
        let read = match unit {
            Unit::Second => Rate::read_hour(raw),
            _ => Rate::read(raw, unit.shift()),
        };
        match guards::figure(key, read) {
            Ok(None) => {}
            Err(reason) => self.refuse(name, raw, &reason),
            Ok(Some(rate)) => {
                let cards = self.lanes.entry(when).or_default();
                let card = match bound {
                    None => &mut cards.base,
                    Some(bound) => cards.over.entry(bound).or_default(),
                };
                card.insert(key, rate);
            }
        }
    }

    fn not_computable(&mut self, name: &str, raw: &str) {
        let of_a_tier =
            ["_batches", "_flex", "_priority", "_ultrafast"].iter().any(|end| name.ends_with(end));
        let zero = Rate::read(raw, 0).is_ok_and(Rate::is_zero);
        // What is heard is billed once, though the row says it for both ways.
        let heard_twice = name == "output_cost_per_second" && self.mode == "audio_transcription";
        if !of_a_tier && !zero && !heard_twice {
            self.extras.not_computable.insert(name.to_owned());
        }
    }

    /// Where tokens have rates, those for pictures and seconds say the same in another unit.
    fn one_unit_only(&mut self) {
        let by_token = self
            .lanes
            .get(&When::List)
            .is_some_and(|cards| cards.base.keys().any(|key| key.is_of_tokens()));
        let by_picture = self.lanes.values().any(|cards| cards.base.contains_key(&RateKey::Image));
        let listening = self.mode == "embedding" || self.mode == "video_generation";
        if by_token {
            for cards in self.lanes.values_mut() {
                cards.base.remove(&RateKey::Image);
                cards.base.remove(&RateKey::AudioHour);
            }
        }
        self.extras.not_computable.retain(|name| {
            let pixels = name.ends_with("_per_pixel");
            let another_unit =
                pixels || name.ends_with("put_cost_per_image") || name.ends_with("_per_second");
            let video = name.contains("video");
            !((by_token && another_unit && !listening && !video) || (by_picture && pixels))
        });
    }

    /// Searches cost the same under every condition.
    fn searches(&mut self) {
        let Some(sizes) = object(self.fields, "search_context_cost_per_query") else { return };
        let Some(raw) = sizes.get("search_context_size_medium") else { return };
        let rate = match guards::figure(RateKey::WebSearch, Rate::read(raw.get(), 0)) {
            Ok(Some(rate)) => rate,
            Ok(None) => return,
            Err(reason) => return self.refuse("search_context_size_medium", raw.get(), &reason),
        };
        self.lanes.entry(When::List).or_default();
        for cards in self.lanes.values_mut() {
            let cards = std::iter::once(&mut cards.base).chain(cards.over.values_mut());
            cards.for_each(|card| {
                card.insert(RateKey::WebSearch, rate);
            });
        }
    }

    fn multipliers(&mut self) {
        let specific = object(self.fields, "provider_specific_entry").unwrap_or_default();
        let places = [
            ("eu", text(self.fields, "regional_processing_uplift_multiplier_eu")),
            ("us", text(self.fields, "regional_processing_uplift_multiplier_us")),
            ("us", text(&specific, "us")),
        ];
        for (place, raw) in places {
            if let Some(factor) = raw.and_then(|raw| Rate::read(&raw, 0).ok()) {
                self.extras.data_residency.insert(place.to_owned(), factor);
            }
        }
        let regional = text(self.fields, "regional_endpoint_uplift_multiplier");
        self.extras.vertex_regional = regional.and_then(|raw| Rate::read(&raw, 0).ok());
        let fast = text(&specific, "fast").and_then(|raw| Rate::read(&raw, 0).ok());
        let list = self.lanes.get(&When::List);
        if let (Some(fast), Some(list)) = (fast, list) {
            let over = list.over.iter().map(|(bound, card)| (*bound, multiplied(card, fast)));
            let cards = Cards { base: multiplied(&list.base, fast), over: over.collect() };
            self.lanes.insert(When::Speed("fast".to_owned()), cards);
        }
    }

    fn allowance(&self) -> Option<String> {
        let free = object(self.fields, "search_free_requests")?;
        Some(format!("{} a {}", text(&free, "count")?, text(&free, "period")?))
    }

    fn refuse(&mut self, what: &str, figure: &str, reason: &str) {
        self.refused.push(Refused {
            seller: self.seller.name.to_owned(),
            model: self.model.to_owned(),
            what: what.to_owned(),
            figure: figure.to_owned(),
            reason: reason.to_owned(),
            source: self.source.label(),
        });
    }
}

/// A card with its token rates multiplied; fees stay.
fn multiplied(card: &Card, factor: Rate) -> Card {
    let times = |(key, rate): (&RateKey, &Rate)| match key.is_of_tokens() {
        true => rate.times(factor).map(|rate| (*key, rate)),
        false => Some((*key, *rate)),
    };
    card.iter().filter_map(times).collect()
}
