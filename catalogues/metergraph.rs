//! Reads metergraph's catalogue: dated rows by channel, each with a citation, and dated aliases.

use prices::RateKey;
use std::collections::{BTreeMap, BTreeSet};

use crate::card::{Bound, Card, Cards, DatedName, Quote, Row, SellerQuotes, Span, When};
use crate::decimal::Rate;
use crate::guards::{self, Refused};
use crate::sellers::{self, Seller};
use crate::yaml::Node;
use crate::{ImportError, Source, time};

/// Routing prefixes of its aliases, of which any number is removed.
const PREFIXES: &[&str] = &[
    "models/",
    "openai/",
    "anthropic/",
    "google/",
    "mistral/",
    "deepseek/",
    "xai/",
    "perplexity/",
    "moonshotai/",
    "bedrock/",
    "fireworks:",
];

const LIST: &[(&str, RateKey)] = &[
    ("input_per_mtok", RateKey::Input),
    ("output_per_mtok", RateKey::Output),
    ("cache_read_per_mtok", RateKey::CacheRead),
    ("cache_write_5m_per_mtok", RateKey::CacheWrite5m),
    ("cache_write_1h_per_mtok", RateKey::CacheWrite1h),
];

const BATCH: &[(&str, RateKey)] = &[
    ("batch_input_per_mtok", RateKey::Input),
    ("batch_output_per_mtok", RateKey::Output),
    ("batch_cache_read_per_mtok", RateKey::CacheRead),
];

/// All models of the sellers that we know.
pub(crate) fn read(
    source: &Source,
    refused: &mut Vec<Refused>,
) -> Result<BTreeMap<&'static str, SellerQuotes>, ImportError> {
    let document =
        Node::parse(&source.text).map_err(|error| ImportError::malformed(source, &error))?;
    if document.items("models").is_empty() {
        return Err(ImportError::malformed(source, &"there is no list `models`"));
    }
    let mut quotes: BTreeMap<&'static str, SellerQuotes> = BTreeMap::new();
    for model in document.items("models") {
        read_model(source, model, refused, &mut quotes);
    }
    Ok(quotes)
}

/// A model is one quote for each channel and region.
fn read_model(
    source: &Source,
    model: &Node,
    refused: &mut Vec<Refused>,
    quotes: &mut BTreeMap<&'static str, SellerQuotes>,
) {
    let mut rows: BTreeMap<(&str, &str), Vec<&Node>> = BTreeMap::new();
    for row in model.items("prices") {
        let (Some(channel), Some(region)) = (row.text("channel"), row.text("region")) else {
            continue;
        };
        rows.entry((channel, region)).or_default().push(row);
    }
    for ((channel, region), rows) in &rows {
        let Some(seller) = sellers::of_channel(channel) else { continue };
        // Only Bedrock's ids say the region; elsewhere it is no model of its own.
        if *region != "global" && seller.name != "bedrock" {
            continue;
        }
        let mut reader = Reader { source, seller, model, refused };
        let aliases = reader.aliases(channel, region);
        let always = aliases.iter().filter(|alias| alias.span == Span::default());
        let names: BTreeSet<String> = always.map(|alias| alias.name.clone()).collect();
        if aliases.is_empty() {
            continue;
        }
        let quote = reader.quote(rows, names, &aliases);
        let of_seller = quotes.entry(seller.name).or_default();
        let index = of_seller.quotes.len();
        let dated = aliases.into_iter().filter(|alias| alias.span != Span::default());
        of_seller.dated_names.extend(dated.map(|alias| DatedName { quote: index, ..alias }));
        of_seller.quotes.push(quote);
    }
}

struct Reader<'a> {
    source: &'a Source,
    seller: &'static Seller,
    model: &'a Node,
    refused: &'a mut Vec<Refused>,
}

impl Reader<'_> {
    /// Names on a channel, in a region, without what routes a call there.
    fn aliases(&self, channel: &str, region: &str) -> Vec<DatedName> {
        let mut aliases: Vec<DatedName> = Vec::new();
        for alias in self.model.items("aliases") {
            let regions = alias.items("price_region");
            let here = match regions {
                [] => region == "global" || self.only_region(channel) == Some(region),
                regions => regions.contains(&Node::Text(region.to_owned())),
            };
            let Some(name) = alias.text("alias").filter(|_| here) else { continue };
            if alias.text("channel") != Some(channel) {
                continue;
            }
            let name = PREFIXES
                .iter()
                .cycle()
                .take(PREFIXES.len() * 3)
                .fold(name, |name, prefix| name.strip_prefix(prefix).unwrap_or(name));
            if !self.is_name_here(name) {
                continue;
            }
            let span = Span {
                from: alias.text("effective_from").and_then(time::read),
                until: alias.text("effective_to").and_then(time::read),
            };
            let known = aliases.iter().any(|known| known.name == name && known.span == span);
            if !known {
                let link = alias.text("source_url").map(str::to_owned);
                aliases.push(DatedName { name: name.to_owned(), quote: 0, span, link });
            }
        }
        aliases.sort_by(|a, b| (&a.name, a.span.from).cmp(&(&b.name, b.span.from)));
        aliases
    }

    /// The region of a channel's rows, if there is but one.
    fn only_region(&self, channel: &str) -> Option<&str> {
        let rows = self.model.items("prices").iter();
        let of_channel = rows.filter(|row| row.text("channel") == Some(channel));
        let regions: BTreeSet<&str> = of_channel.filter_map(|row| row.text("region")).collect();
        match regions.len() {
            1 => regions.first().copied(),
            _ => None,
        }
    }

    /// Bedrock's ids have a vendor's name and a point; other sellers' have no such thing.
    fn is_name_here(&self, name: &str) -> bool {
        match self.seller.name {
            "bedrock" => name.contains('.') && !name.contains('/'),
            "fireworks" => true,
            _ => !name.contains('/') && !name.contains(".anthropic."),
        }
    }

    fn quote(&mut self, rows: &[&Node], names: BTreeSet<String>, aliases: &[DatedName]) -> Quote {
        let canonical = self.model.text("canonical_id").unwrap_or_default();
        let model = canonical.rsplit('/').next().unwrap_or_default();
        let shortest = |names: &mut dyn Iterator<Item = &String>| {
            names.min_by_key(|n| (!n.ends_with(model), n.len(), (*n).clone())).cloned()
        };
        let id = shortest(&mut names.iter())
            .or_else(|| shortest(&mut aliases.iter().map(|alias| &alias.name)))
            .unwrap_or_default();
        let mut quote = Quote { id, names, cites_seller: true, ..Quote::default() };
        for row in rows {
            let span = Span {
                from: row.text("effective_from").and_then(time::read),
                until: row.text("effective_to").and_then(time::read),
            };
            quote.link = row.text("source_url").map(str::to_owned);
            for (when, keys) in [(When::List, LIST), (When::Batch, BATCH)] {
                let base = self.card(row, keys);
                if base.is_empty() {
                    continue;
                }
                let over = over(row, &when, &base, self.seller.inclusive_bounds);
                let cards = Cards { base, over };
                let row = Row { span, cards, dated: true, ..Row::default() };
                quote.lanes.entry(when).or_default().push(row);
            }
            if row.get("request_fee_per_1k_usd").is_some() {
                quote.extras.not_computable.insert("request_fee_per_1k_usd".to_owned());
            }
        }
        for rows in quote.lanes.values_mut() {
            rows.sort_by_key(|row| row.span.from);
        }
        quote
    }

    fn card(&mut self, row: &Node, keys: &[(&str, RateKey)]) -> Card {
        let mut card = Card::new();
        for (name, key) in keys {
            let Some(text) = row.text(name) else { continue };
            match guards::figure(*key, Rate::read(text, 0)) {
                Ok(None) => {}
                Ok(Some(rate)) => {
                    card.insert(*key, rate);
                }
                Err(reason) => self.refused.push(Refused {
                    seller: self.seller.name.to_owned(),
                    model: self.model.text("canonical_id").unwrap_or_default().to_owned(),
                    what: (*name).to_owned(),
                    figure: text.to_owned(),
                    reason,
                    source: self.source.label(),
                }),
            }
        }
        card
    }
}

/// The card for much input, which the source gives as multipliers of its own rates.
fn over(row: &Node, when: &When, base: &Card, inclusive: bool) -> BTreeMap<Bound, Card> {
    let rule = || {
        let rule = row.get("rules")?.get("long_context")?;
        if *when == When::Batch && rule.text("applies_to_batch") != Some("true") {
            return None;
        }
        let tokens = rule.text("threshold")?.parse().ok()?;
        let input = Rate::read(rule.text("input_multiplier")?, 0).ok()?;
        let output = Rate::read(rule.text("output_multiplier")?, 0).ok()?;
        let card = base.iter().map(|(key, rate)| {
            let factor = if *key == RateKey::Output { output } else { input };
            Some((*key, rate.times(factor)?))
        });
        Some((Bound { tokens, inclusive }, card.collect::<Option<Card>>()?))
    };
    rule().into_iter().collect()
}
