//! Puts a seller's form together: models with names and rows, in a fixed order.

use prices::RateKey;
use std::collections::BTreeMap;

use jiff::{Timestamp, civil};
use prices::form::{ModelForm, OverForm, PriceForm, SellerForm, WhenForm};

use crate::aliases;
use crate::card::{Card, Extras, Span, When};
use crate::guards::Refused;
use crate::join::{self, Group, Sources};
use crate::merge::{Court, Labels, Voice, Witnesses};
use crate::rows::{self, Stretch};
use crate::sellers::Seller;

/// The sources' names and the day on which they were read.
pub(crate) struct Reading {
    pub(crate) labels: Labels,
    pub(crate) read_on: BTreeMap<Voice, civil::Date>,
    /// The instant of which undated sources speak.
    pub(crate) now: Timestamp,
}

/// A figure that looks odd and was kept, because two catalogues give it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// The seller.
    pub seller: String,
    /// The model.
    pub model: String,
    /// Which figure, with its condition.
    pub what: String,
    /// The figure, in the catalogue's unit.
    pub figure: String,
    /// Why it looks odd and why it was kept.
    pub reason: String,
}

/// A seller as the sources have it now.
#[derive(Default)]
pub(crate) struct Assembled {
    pub(crate) form: SellerForm,
    pub(crate) refused: Vec<Refused>,
    pub(crate) kept: Vec<Kept>,
    /// By model without its seller, the odd figures that two catalogues give.
    pub(crate) witnesses: BTreeMap<String, Witnesses>,
}

/// Makes one seller's form.
pub(crate) fn seller(
    seller: &Seller,
    sources: &Sources,
    reading: &Reading,
    witnesses: &BTreeMap<String, Witnesses>,
) -> Assembled {
    let mut join = join::join(sources, reading.now);
    let alias = aliases::aliases(sources, &mut join, &reading.labels);
    let mut assembled = Assembled {
        form: SellerForm {
            seller: seller.name.to_owned(),
            charges_price_of: seller.charges_price_of.iter().map(|s| (*s).to_owned()).collect(),
            alias,
            ..SellerForm::default()
        },
        ..Assembled::default()
    };
    for group in join.groups.iter().filter(|group| !group.names.is_empty()) {
        let of_model = witnesses.get(bare_model(&group.id));
        let labels = reading.labels.clone();
        let court = Court { seller: seller.name, labels, witnesses: of_model };
        let mut assembler = Assembler { seller, group, reading, assembled: &mut assembled };
        let model = assembler.model(&court);
        assembled.form.model.extend(model);
    }
    assembled.form.model.sort_by(|a, b| a.id.cmp(&b.id));
    let ids: std::collections::BTreeSet<String> =
        assembled.form.model.iter().map(|model| model.id.clone()).collect();
    assembled.form.alias.retain(|alias| ids.contains(&alias.model));
    assembled
}

/// A model's id without geography, vendor and route: the same at every seller.
fn bare_model(id: &str) -> &str {
    let id = id.rsplit('/').next().unwrap_or(id);
    id.rsplit_once("anthropic.").map_or(id, |(_, model)| model)
}

struct Assembler<'a> {
    seller: &'a Seller,
    group: &'a Group,
    reading: &'a Reading,
    assembled: &'a mut Assembled,
}

impl Assembler<'_> {
    fn model(&mut self, court: &Court<'_>) -> Option<ModelForm> {
        let stretches = rows::stretches(self.group, court, self.reading.now);
        let extras = self.extras();
        let mut price = Vec::new();
        for (when, lane) in &stretches.lanes {
            for stretch in lane {
                self.report(when, stretch);
                price.push(self.row(when, stretch, stretches.present, &extras));
            }
        }
        let says_something = |row: &PriceForm| {
            row.free
                || (row.when == WhenForm::default() && !row.not_computable.is_empty())
                || has_rates(row)
        };
        price.retain(says_something);
        if price.is_empty() {
            return None;
        }
        let id = self.group.id.clone();
        let names = self.group.names.iter().filter(|name| **name != id).cloned().collect();
        Some(ModelForm { id, names, price })
    }

    /// What the sources say besides rates, LiteLLM first.
    fn extras(&self) -> Extras {
        let mut all = Extras::default();
        let group = self.group;
        for quote in [&group.litellm, &group.genai, &group.meter].into_iter().flatten() {
            let extras = quote.extras.clone();
            all.data_residency.extend(extras.data_residency);
            all.vertex_regional = all.vertex_regional.or(extras.vertex_regional);
            all.free_web_searches = all.free_web_searches.or(extras.free_web_searches);
            all.not_computable.extend(extras.not_computable);
        }
        // Documented at https://console.groq.com/docs/speech-to-text: ten seconds at least.
        if self.seller.name == "groq" && group.id.starts_with("whisper") {
            all.minimum_audio_seconds = Some("10".to_owned());
        }
        all
    }

    fn row(&self, when: &When, stretch: &Stretch, present: Span, extras: &Extras) -> PriceForm {
        let merged = &stretch.merged;
        let mut row = PriceForm {
            from: stretch.span.from.map(|at| at.to_string()),
            until: stretch.span.until.map(|at| at.to_string()),
            free: stretch.free,
            when: when.form(),
            hours: stretch.hours.clone(),
            ..PriceForm::default()
        };
        for (key, rate) in &merged.cards.base {
            if let Some(place) = row.rate_mut(key.as_str()) {
                *place = Some(rate.to_string());
            }
        }
        for (bound, card) in &merged.cards.over {
            row.over.push(over(*bound, card));
        }
        self.provenance(&mut row, stretch);
        if stretch.span.common(present).is_some() {
            let places = &extras.data_residency;
            row.data_residency =
                places.iter().map(|(place, factor)| (place.clone(), factor.to_string())).collect();
            row.vertex_regional = extras.vertex_regional.map(|factor| factor.to_string());
            if *when == When::List {
                row.not_computable = extras.not_computable.iter().cloned().collect();
            }
        }
        if merged.cards.base.contains_key(&RateKey::AudioHour) {
            row.minimum_audio_seconds.clone_from(&extras.minimum_audio_seconds);
        }
        if merged.cards.base.contains_key(&RateKey::WebSearch) {
            row.free_web_searches.clone_from(&extras.free_web_searches);
        }
        row
    }

    fn provenance(&self, row: &mut PriceForm, stretch: &Stretch) {
        let merged = &stretch.merged;
        let group = self.group;
        let quotes = [
            (Voice::Genai, &group.genai),
            (Voice::LiteLlm, &group.litellm),
            (Voice::Metergraph, &group.meter),
        ];
        let mut voices = merged.voices.clone();
        if voices.is_empty() {
            let first = quotes.iter().find(|(_, quote)| quote.is_some());
            voices.extend(first.map(|(voice, _)| *voice));
        }
        let labels: Vec<&str> = voices
            .iter()
            .filter_map(|voice| self.reading.labels.get(voice).map(String::as_str))
            .collect();
        row.source = Some(labels.join(", "));
        let read = voices.iter().filter_map(|voice| self.reading.read_on.get(voice)).max();
        row.read = read.map(ToString::to_string);
        // LiteLLM's and metergraph's links are the model's, genai-prices' is the seller's.
        let links =
            [Voice::LiteLlm, Voice::Metergraph, Voice::Genai].into_iter().filter_map(|voice| {
                let quote = quotes.iter().find(|(own, _)| *own == voice)?.1.as_ref()?;
                quote.link.clone().filter(|_| voices.contains(&voice))
            });
        row.link = links.into_iter().next();
        row.confidence = Some(self.confidence(stretch).to_owned());
        match &stretch.rule {
            Some(rule) => row.rule = Some(rule.clone()),
            None => row.disputed.clone_from(&merged.disputes),
        }
    }

    fn confidence(&self, stretch: &Stretch) -> &'static str {
        let merged = &stretch.merged;
        match stretch {
            _ if stretch.rule.is_some() => "ruled",
            _ if stretch.inferred => "inferred",
            _ if !merged.disputes.is_empty() => "disputed",
            _ if merged.agreed => "agreed",
            _ => "single",
        }
    }

    fn report(&mut self, when: &When, stretch: &Stretch) {
        if stretch.inferred {
            return;
        }
        let condition = match when {
            When::List => String::new(),
            When::Batch => "batch ".to_owned(),
            When::Tier(tier) => format!("{tier} "),
            When::Speed(speed) => format!("{speed} "),
        };
        let (seller, model) = (self.seller.name.to_owned(), self.group.id.clone());
        for (what, rate, reason, voice) in &stretch.merged.left_out {
            self.assembled.refused.push(Refused {
                seller: seller.clone(),
                model: model.clone(),
                what: format!("{condition}{what}"),
                figure: rate.to_string(),
                reason: reason.clone(),
                source: self.reading.labels.get(voice).cloned().unwrap_or_default(),
            });
        }
        for odd in &stretch.merged.kept {
            let of_model = self.assembled.witnesses.entry(bare_model(&model).to_owned());
            of_model.or_default().insert(odd.what.clone(), (odd.rate, odd.base));
            self.assembled.kept.push(Kept {
                seller: seller.clone(),
                model: model.clone(),
                what: format!("{condition}{}", odd.what),
                figure: odd.rate.to_string(),
                reason: odd.reason.clone(),
            });
        }
    }
}

/// Whether a row says what is sold, not only a fee beside it.
fn has_rates(row: &PriceForm) -> bool {
    let fee = RateKey::WebSearch.as_str();
    let is_list = row.when == WhenForm::default();
    row.rates().iter().any(|(key, rate)| rate.is_some() && (is_list || *key != fee))
}

fn over(bound: crate::card::Bound, card: &Card) -> OverForm {
    let mut form = OverForm::default();
    match bound.inclusive {
        true => form.input_tokens_from = Some(bound.tokens),
        false => form.input_tokens_above = Some(bound.tokens),
    }
    // Fees do not depend on how long the input is.
    for (key, rate) in card.iter().filter(|(key, _)| key.is_of_tokens()) {
        if let Some(place) = form.rate_mut(key.as_str()) {
            *place = Some(rate.to_string());
        }
    }
    form
}
