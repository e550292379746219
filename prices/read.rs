//! From the text form to rows: every figure is checked, and what is wrong is named with its place.

use std::num::NonZeroU32;

use domain::{Currency, Processing, Quantity, ServiceTier, Speed, fixed};
use jiff::{Timestamp, civil::Date};

use crate::{
    Card, Confidence, Dispute, Factor, Hours, LongContext, Model, Provenance, Rate, RateKey, Row,
    When,
    form::{DisputeForm, ModelForm, OverForm, PriceForm, WhenForm},
};

/// Tokens and characters are priced by the million where nothing else is said.
const MILLION: NonZeroU32 = NonZeroU32::new(1_000_000).expect("a million is not zero");
/// The lowest figure per million tokens that is believed: below it, `per` is wrong.
const LEAST: i128 = fixed::ONE / 1_000;
const ROWS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 256;

/// Something wrong in a price form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Problem {
    /// JSON pointer into the form: `/price/0/input`.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// Whose rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The built-in catalogue's: rates, with their sources.
    Catalogue,
    /// An organization's or operator's own: rates, or adjustments of built-in ones.
    Own,
}

/// Reads one model.
///
/// # Errors
/// Every [`Problem`] that the form has.
pub fn read_model(form: &ModelForm, origin: Origin) -> Result<Model, Vec<Problem>> {
    let mut reader = Reader { origin, pointer: String::new(), problems: vec![] };
    let model = reader.model(form);
    match reader.problems.is_empty() {
        true => Ok(model),
        false => Err(reader.problems),
    }
}

/// An instant as prices give it: RFC 3339, or a date that begins at midnight UTC.
///
/// ```
/// assert_eq!(prices::instant("2026-01-31"), prices::instant("2026-01-31T00:00:00Z"));
/// assert_eq!(prices::instant("2026-01-31T12:00"), None);
/// ```
#[must_use]
pub fn instant(text: &str) -> Option<Timestamp> {
    // jiff reads the date out of a longer text too; a date here is a date only.
    let is_date = text.len() == "2026-01-31".len();
    let day = || text.parse::<Date>().ok().filter(|_| is_date).map(domain::time::day_start);
    text.parse().ok().or_else(day)
}

struct Reader {
    origin: Origin,
    pointer: String,
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, place: &str, detail: impl Into<String>) {
        let pointer = match place {
            "" => self.pointer.clone(),
            place => format!("{}/{}", self.pointer, place.replace('~', "~0")),
        };
        self.problems.push(Problem { pointer, detail: detail.into() });
    }

    fn within<T>(&mut self, place: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(place);
        let value = read(self);
        self.pointer.truncate(length);
        value
    }

    fn model(&mut self, form: &ModelForm) -> Model {
        for (place, name) in std::iter::once(("id".to_owned(), &form.id))
            .chain(form.names.iter().enumerate().map(|(at, name)| (format!("names/{at}"), name)))
        {
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.trim() != name {
                self.problem(&place, "a name has 1 to 256 bytes and no space around it");
            }
        }
        if form.price.len() > ROWS_MAX {
            self.problem("price", format!("more than {ROWS_MAX} rows"));
        }
        let mut rows = Vec::with_capacity(form.price.len());
        for (index, price) in form.price.iter().enumerate().take(ROWS_MAX) {
            let row = self.within("price", |reader| {
                reader.within(&index.to_string(), |reader| reader.row(price))
            });
            if let Some(other) = rows.iter().position(|earlier| overlap(earlier, &row)) {
                let detail = format!(
                    "holds at the same time as `price/{other}`: end that one with `until`, \
                     or give the two different conditions"
                );
                self.problem(&format!("price/{index}"), detail);
            }
            rows.push(row);
        }
        Model { id: form.id.clone(), names: form.names.clone(), rows }
    }

    fn row(&mut self, form: &PriceForm) -> Row {
        let from = self.instant("from", form.from.as_deref());
        let until = self.instant("until", form.until.as_deref());
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            self.problem("until", "is not after `from`");
        }
        let per = form.per.map_or(Some(MILLION), NonZeroU32::new).unwrap_or_else(|| {
            self.problem("per", "is zero: say of how many tokens rates are");
            MILLION
        });
        let card = self.card(&form.rates(), per, form.free);
        let custom = self.within("custom", |reader| reader.custom(&form.custom));
        let row = Row {
            from,
            until,
            when: self.within("when", |reader| reader.when(&form.when)),
            hours: self.hours(form),
            currency: self.currency(form.currency.as_deref()),
            card: Card { custom, ..card },
            over: self.over(form, per),
            adjustment: self.adjustment(form),
            data_residency: self.residency(form),
            vertex_regional: self.factor("vertex_regional", form.vertex_regional.as_deref()),
            minimum_audio_seconds: self.seconds(form.minimum_audio_seconds.as_deref()),
            free_web_searches: form.free_web_searches.clone(),
            not_computable: form.not_computable.clone(),
            is_free: form.free,
            confidence: self.confidence(form.confidence.as_deref()),
            disputed: self.disputes(&form.disputed),
            provenance: Provenance {
                source: form.source.clone(),
                link: form.link.clone(),
                read_on: form.read.clone(),
                rule: form.rule.clone(),
            },
        };
        self.check_whole(form, &row);
        row
    }

    /// A row says rates, or that it is free, or how it adjusts others: one of these.
    fn check_whole(&mut self, form: &PriceForm, row: &Row) {
        let says = [!row.card.is_empty(), form.free, row.adjustment.is_some()];
        let adjusts = form.discount.is_some() || form.multiplier.is_some();
        match says.into_iter().filter(|said| *said).count() {
            0 if adjusts || !form.not_computable.is_empty() || self.has_problem_here() => {}
            0 => self.problem("", "has no rate; a model that costs nothing says `free = true`"),
            1 => {}
            _ if form.free => self.problem("free", "a free row has no rates"),
            _ => self.problem("", "has rates and a discount or multiplier: it can have one"),
        }
        if adjusts && !(form.over.is_empty() && form.hours.is_empty() && row.when == When::STANDARD)
        {
            let detail =
                "an adjustment is for every condition: it has no `when`, `hours` or `over`";
            self.problem("", detail);
        }
    }

    fn has_problem_here(&self) -> bool {
        self.problems.iter().any(|problem| problem.pointer.starts_with(&self.pointer))
    }

    fn card(
        &mut self,
        rates: &[(&'static str, Option<&str>)],
        per: NonZeroU32,
        free: bool,
    ) -> Card {
        let mut card = Card::default();
        for (key, (name, text)) in RateKey::ALL.into_iter().zip(rates) {
            if let Some(text) = text {
                card.rates[key as usize] = self.rate(key, name, text, per, free);
            }
        }
        card
    }

    fn rate(
        &mut self,
        key: RateKey,
        name: &str,
        text: &str,
        per: NonZeroU32,
        free: bool,
    ) -> Option<Rate> {
        let femtos = self.decimal(name, text)?;
        let units = key.units(per);
        let is_per_million = key.is_of_tokens() || key == RateKey::InputCharacters;
        // What the figure would be for a million tokens, to see whether it can be meant.
        let comparable = match is_per_million {
            true => femtos.checked_mul(1_000_000)? / i128::from(per.get()),
            false => femtos,
        };
        if femtos == 0 && !free {
            self.problem(name, "is zero; a model that costs nothing says `free = true`");
            return None;
        }
        if comparable > i128::from(key.most()) * fixed::ONE {
            let unit = if is_per_million { "a million" } else { "one" };
            let detail = format!("`{text}` is more than {} for {unit}: unit wrong?", key.most());
            self.problem(name, detail);
            return None;
        }
        if is_per_million && femtos != 0 && comparable < LEAST {
            let detail = format!("`{text}` is less than 0.001 for a million: is `per` right?");
            self.problem(name, detail);
            return None;
        }
        Some(Rate { femtos: i64::try_from(femtos).ok()?, per: units })
    }

    fn custom(&mut self, form: &std::collections::BTreeMap<String, String>) -> Vec<(String, Rate)> {
        let mut custom = vec![];
        for (name, text) in form {
            let Some(femtos) = self.decimal(name, text) else { continue };
            match i64::try_from(femtos) {
                Ok(femtos) if femtos > 0 => {
                    custom.push((name.clone(), Rate { femtos, per: NonZeroU32::MIN }));
                }
                Ok(_) => self.problem(name, "is zero; say `free = true` instead"),
                Err(_) => self.problem(name, "is more than 9,000 for one: unit wrong?"),
            }
        }
        custom
    }

    fn over(&mut self, form: &PriceForm, per: NonZeroU32) -> Vec<LongContext> {
        let mut cards: Vec<LongContext> = vec![];
        for (index, over) in form.over.iter().enumerate() {
            let card = self.within("over", |reader| {
                reader.within(&index.to_string(), |reader| reader.long_context(over, per))
            });
            let Some(card) = card else { continue };
            if cards.last().is_some_and(|last| card.threshold <= last.threshold) {
                self.problem(&format!("over/{index}"), "thresholds rise from card to card");
            }
            cards.push(card);
        }
        cards
    }

    fn long_context(&mut self, form: &OverForm, per: NonZeroU32) -> Option<LongContext> {
        let (threshold, at_threshold) = match (form.input_tokens_above, form.input_tokens_from) {
            (Some(above), None) => (above, false),
            (None, Some(from)) => (from, true),
            _ => {
                let detail = "has either `input_tokens_above` or `input_tokens_from`";
                self.problem("input_tokens_above", detail);
                return None;
            }
        };
        let card = self.card(&form.rates(), per, false);
        if let Some((key, _)) = card.rates().find(|(key, _)| !key.is_of_tokens()) {
            self.problem(key.as_str(), "only rates of tokens change with the input's length");
        }
        Some(LongContext { threshold, at_threshold, card })
    }

    fn when(&mut self, form: &WhenForm) -> When {
        let mut when = When::STANDARD;
        if let Some(word) = &form.processing {
            match Processing::parse(word) {
                Ok(processing) => when.processing = processing,
                Err(error) => self.problem("processing", error.to_string()),
            }
        }
        if let Some(word) = &form.service_tier {
            match ServiceTier::parse(word) {
                Ok(tier) if ServiceTier::PRICED.contains(&tier) => when.service_tier = tier,
                Ok(_) => self.problem("service_tier", format!("`{word}` is no tier with a price")),
                Err(error) => self.problem("service_tier", error.to_string()),
            }
        }
        if let Some(word) = &form.speed {
            match Speed::parse(word) {
                Ok(speed) => when.speed = speed,
                Err(error) => self.problem("speed", error.to_string()),
            }
        }
        when
    }

    fn hours(&mut self, form: &PriceForm) -> Vec<Hours> {
        let mut all = vec![];
        for (index, hours) in form.hours.iter().enumerate() {
            match Hours::read(hours) {
                Ok(hours) => all.push(hours),
                Err(detail) => self.problem(&format!("hours/{index}"), detail),
            }
        }
        all
    }

    fn currency(&mut self, code: Option<&str>) -> Currency {
        let Some(code) = code else { return Currency::USD };
        Currency::parse(code).unwrap_or_else(|| {
            self.problem("currency", format!("`{code}` is no ISO 4217 code"));
            Currency::USD
        })
    }

    fn adjustment(&mut self, form: &PriceForm) -> Option<Factor> {
        let (name, text) = match (&form.discount, &form.multiplier) {
            (None, None) => return None,
            (Some(discount), None) => ("discount", discount),
            (None, Some(multiplier)) => ("multiplier", multiplier),
            (Some(_), Some(_)) => {
                self.problem("discount", "has a `multiplier` beside it: it can have one");
                return None;
            }
        };
        if self.origin == Origin::Catalogue {
            self.problem(name, "only own rows adjust others");
            return None;
        }
        let femtos = self.decimal(name, text)?;
        if name == "discount" && !(femtos > 0 && femtos < fixed::ONE) {
            self.problem(name, "is a part of the price between 0 and 1, such as `0.15`");
            return None;
        }
        let times = if name == "discount" { fixed::ONE - femtos } else { femtos };
        let factor = Factor::from_femtos(times);
        if factor.is_none() {
            self.problem(name, "is more than 0 and at most 1000, with at most six decimals");
        }
        factor
    }

    fn residency(&mut self, form: &PriceForm) -> Vec<(String, Factor)> {
        self.within("data_residency", |reader| {
            let factor = |(place, text): (&String, &String)| {
                Some((place.to_ascii_lowercase(), reader.factor(place, Some(text))?))
            };
            form.data_residency.iter().filter_map(factor).collect()
        })
    }

    fn factor(&mut self, name: &str, text: Option<&str>) -> Option<Factor> {
        let factor = Factor::from_femtos(self.decimal(name, text?)?);
        if factor.is_none() {
            self.problem(name, "is more than 0 and at most 1000, with at most six decimals");
        }
        factor
    }

    fn seconds(&mut self, text: Option<&str>) -> Option<Quantity> {
        Quantity::from_femtos(self.decimal("minimum_audio_seconds", text?)?)
    }

    fn confidence(&mut self, word: Option<&str>) -> Confidence {
        if self.origin == Origin::Own {
            return Confidence::Own;
        }
        word.and_then(Confidence::parse).unwrap_or_else(|| {
            self.problem("confidence", "is `agreed`, `single`, `ruled`, `inferred` or `disputed`");
            Confidence::Single
        })
    }

    fn disputes(&mut self, forms: &[DisputeForm]) -> Vec<Dispute> {
        let mut disputes = vec![];
        for (index, form) in forms.iter().enumerate() {
            let (name, over) = match form.rate.split_once(" over ") {
                Some((name, over)) => (name, over.parse().ok()),
                None => (form.rate.as_str(), None),
            };
            let is_over = form.rate.contains(" over ");
            match RateKey::ALL.into_iter().find(|key| key.as_str() == name) {
                Some(rate) if is_over == over.is_some() => disputes.push(Dispute {
                    rate,
                    over,
                    figure: form.figure.clone(),
                    source: form.source.clone(),
                }),
                _ => self.problem(&format!("disputed/{index}/rate"), "is no rate's key"),
            }
        }
        disputes
    }

    fn instant(&mut self, name: &str, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let at = instant(text);
        if at.is_none() {
            self.problem(name, format!("`{text}` is neither an instant (RFC 3339) nor a date"));
        }
        at
    }

    /// A decimal that is not negative.
    fn decimal(&mut self, name: &str, text: &str) -> Option<i128> {
        match fixed::parse_exact(text) {
            Ok(femtos) if femtos < 0 => {
                self.problem(name, format!("`{text}` is negative"));
                None
            }
            Ok(femtos) => Some(femtos),
            Err(error) => {
                self.problem(name, error.to_string());
                None
            }
        }
    }
}

/// Whether two rows hold at one time under one condition. Rows for certain hours may stand beside
/// those for all, and beside each other: their hours decide.
fn overlap(left: &Row, right: &Row) -> bool {
    let before = |end: Option<Timestamp>, start: Option<Timestamp>| match (end, start) {
        (Some(end), Some(start)) => end <= start,
        _ => false,
    };
    left.when == right.when
        && left.adjustment.is_some() == right.adjustment.is_some()
        && (left.hours == right.hours)
        && !before(left.until, right.from)
        && !before(right.until, left.from)
}
