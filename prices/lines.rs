//! The lines of a cost: usage cut into disjoint parts, each at its own rate.
//!
//! Where a part has no rate of its own it is priced by the rate of what contains it, if that is how
//! sellers bill it, and otherwise it is missing. No rate is ever derived from another.

use domain::{Money, Quantity, Unit, Usage};

use crate::{
    Call, Card, Confidence, Factor, Rate, RateKey, Row,
    choice::Factors,
    estimate::{EstimateError, Line, Missing, Note},
    rate::Amount,
};

/// How a part without a rate of its own is billed.
enum Without {
    /// By that rate, and it is the seller's way: nothing to say.
    By(RateKey),
    /// By the input rate, which a reader should know.
    AsInput,
    /// By that rate as the best figure there is, and missing.
    Missing(RateKey),
    /// Not at all, and missing.
    Nothing,
}

/// Prices one call with one row.
pub(crate) struct Lines<'c, 'a> {
    row: &'c Row,
    standard: Option<&'c Row>,
    card: &'c Card,
    over: Option<u64>,
    usage: &'a Usage,
    factor: Factors,
    pub(crate) lines: Vec<Line<'c>>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) notes: Vec<Note>,
    pub(crate) confidence: Confidence,
}

impl<'c, 'a> Lines<'c, 'a> {
    pub(crate) fn new(
        row: &'c Row,
        standard: Option<&'c Row>,
        call: &Call<'a>,
        factor: Factors,
    ) -> Lines<'c, 'a> {
        let (card, over) = row.card_for(call.usage.input_tokens.unwrap_or(0));
        let confidence = match row.confidence {
            // Until a rate that is disputed is used, the rest of the row stands.
            Confidence::Disputed if !row.disputed.is_empty() => Confidence::Agreed,
            confidence => confidence,
        };
        Lines {
            row,
            standard,
            card,
            over,
            usage: call.usage,
            factor,
            lines: Vec::with_capacity(4),
            missing: vec![],
            notes: vec![],
            confidence,
        }
    }

    /// Makes all lines.
    pub(crate) fn price(&mut self) -> Result<(), EstimateError> {
        if self.row.is_free {
            return Ok(());
        }
        if self.row.card.is_empty() {
            let not_computable = self.row.not_computable.iter().cloned();
            self.missing.extend(not_computable.map(Missing::NotComputable));
            return Ok(());
        }
        self.price_counters()?;
        self.price_custom()?;
        // The tokens of a model that is sold by something else are not what it is billed by.
        let is_sold_otherwise = !self.has_token_rates() && !self.lines.is_empty();
        if !is_sold_otherwise {
            self.price_input()?;
            self.price_output()?;
        }
        self.check_long_context();
        if self.lines.is_empty() && self.missing.is_empty() && !self.says_anything() {
            self.missing.push(Missing::Usage);
        }
        Ok(())
    }

    fn says_anything(&self) -> bool {
        self.usage.quantities().next().is_some() || !self.usage.custom.is_empty()
    }

    /// A long request under a condition whose row knows no long requests, though the list price
    /// does.
    fn check_long_context(&mut self) {
        let input = self.usage.input_tokens.unwrap_or(0);
        let standard = self.standard.and_then(|row| row.card_for(input).1);
        if let (None, Some(over)) = (self.over, standard) {
            self.missing.push(Missing::LongContextRow(self.row.when, over));
        }
    }

    fn price_input(&mut self) -> Result<(), EstimateError> {
        let Some(input) = self.usage.input_tokens else { return Ok(()) };
        let parts = InputParts::of(self.usage, input);
        if parts.is_overlap_guessed {
            self.notes.push(Note::LeastOverlap);
        }
        let mut text = parts.text;
        // Images are billed as input tokens unless a model has a rate for them.
        for (key, count) in [(RateKey::InputImage, parts.image)] {
            match self.card.rate(key).is_some() {
                true => self.part(key, count, &Without::Nothing)?,
                false => text = text.saturating_add(count),
            }
        }
        let mut cached = parts.cached_text;
        match self.card.rate(RateKey::CacheReadImage).is_some() {
            true => self.part(RateKey::CacheReadImage, parts.cached_image, &Without::Nothing)?,
            false => cached = cached.saturating_add(parts.cached_image),
        }
        let has_write_rate = self.has(RateKey::CacheWrite5m);
        self.part(RateKey::Input, text, &Without::Nothing)?;
        self.part(RateKey::CacheRead, cached, &Without::AsInput)?;
        self.part(RateKey::CacheWrite5m, parts.written_5m, &Without::AsInput)?;
        let hour = match has_write_rate {
            true => Without::Missing(RateKey::CacheWrite5m),
            false => Without::AsInput,
        };
        self.part(RateKey::CacheWrite1h, parts.written_1h, &hour)?;
        self.part(RateKey::InputAudio, parts.audio, &Without::Missing(RateKey::Input))?;
        let cached_audio = Without::Missing(RateKey::CacheRead);
        self.part(RateKey::CacheReadAudio, parts.cached_audio, &cached_audio)
    }

    fn price_output(&mut self) -> Result<(), EstimateError> {
        let Some(output) = self.usage.output_tokens else { return Ok(()) };
        if self.is_sold_by_picture() && self.lines.iter().any(|line| line.unit == Unit::IMAGES) {
            return Ok(()); // the pictures are the output
        }
        let audio = self.usage.output_audio_tokens.unwrap_or(0);
        let image = self.usage.output_image_tokens.unwrap_or(0);
        let rest = output.saturating_sub(audio).saturating_sub(image);
        // Reasoning is billed as output unless a model has a rate for it. Where it was counted
        // within another kind as well, it comes off once.
        let reasoning = match self.has(RateKey::OutputReasoning) {
            true => self.usage.output_reasoning_tokens.unwrap_or(0).min(rest),
            false => 0,
        };
        self.part(RateKey::Output, rest.saturating_sub(reasoning), &Without::Nothing)?;
        self.part(RateKey::OutputReasoning, reasoning, &Without::By(RateKey::Output))?;
        self.part(RateKey::OutputAudio, audio, &Without::Missing(RateKey::Output))?;
        self.part(RateKey::OutputImage, image, &Without::Missing(RateKey::Output))
    }

    /// Everything that is not tokens.
    fn price_counters(&mut self) -> Result<(), EstimateError> {
        let usage = self.usage;
        if self.has(RateKey::Request) {
            self.part(RateKey::Request, usage.requests.unwrap_or(1), &Without::Nothing)?;
        }
        let searches = usage.web_searches.unwrap_or(0);
        self.part(RateKey::WebSearch, searches, &Without::Nothing)?;
        if let (Some(allowance), 1..) = (&self.row.free_web_searches, searches) {
            self.notes.push(Note::BeforeAllowance(allowance.clone()));
        }
        let characters = usage.input_characters.unwrap_or(0);
        self.or_by_token(RateKey::InputCharacters, characters, usage.input_tokens)?;
        let pictures = usage.images.unwrap_or(0);
        match self.is_sold_by_picture() {
            true => self.part(RateKey::Image, pictures, &Without::Nothing)?,
            false => self.or_by_token(RateKey::Image, pictures, usage.output_tokens)?,
        }
        self.or_by_token(RateKey::Page, usage.pages.unwrap_or(0), usage.input_tokens)?;
        self.price_audio_seconds()
    }

    /// A unit that a model is sold by unless it is sold by tokens, never both.
    fn or_by_token(
        &mut self,
        key: RateKey,
        count: u64,
        tokens: Option<u64>,
    ) -> Result<(), EstimateError> {
        match tokens.is_some_and(|tokens| tokens > 0) && self.has_token_rates() {
            true if count > 0 => self.notes.push(Note::PricedByToken(key.unit())),
            true => {}
            false => self.part(key, count, &Without::Nothing)?,
        }
        Ok(())
    }

    fn price_audio_seconds(&mut self) -> Result<(), EstimateError> {
        let Some(said) = self.usage.audio_seconds.filter(|said| *said > Quantity::ZERO) else {
            return Ok(());
        };
        let has_tokens = self.usage.input_tokens.is_some_and(|tokens| tokens > 0);
        let Some(rate) = self.card.rate(RateKey::AudioHour) else {
            match has_tokens && self.has_token_rates() {
                true => self.notes.push(Note::PricedByToken(Unit::AUDIO_SECONDS)),
                false => self.missing.push(Missing::Rate(Unit::AUDIO_SECONDS.to_owned())),
            }
            return Ok(());
        };
        let least = self.row.minimum_audio_seconds.filter(|least| *least > said);
        if let Some(least) = least {
            self.notes.push(Note::MinimumSeconds(least));
        }
        let amount = Amount::of_quantity(least.unwrap_or(said)).ok_or(EstimateError::OutOfRange)?;
        self.note_dispute(RateKey::AudioHour, None);
        self.line(Unit::AUDIO_SECONDS, false, amount, rate, self.factor.others)
    }

    fn price_custom(&mut self) -> Result<(), EstimateError> {
        let usage = self.usage;
        for (name, quantity) in usage.custom.iter().filter(|(_, much)| *much > Quantity::ZERO) {
            let rate = self.row.card.custom.iter().find(|(known, _)| known == name);
            let Some((unit, rate)) = rate else {
                self.missing.push(Missing::Rate(format!("custom:{name}")));
                continue;
            };
            let amount = Amount::of_quantity(*quantity).ok_or(EstimateError::OutOfRange)?;
            self.line(unit, true, amount, *rate, self.factor.others)?;
        }
        Ok(())
    }

    fn has(&self, key: RateKey) -> bool {
        self.card.rate(key).is_some() || self.row.card.rate(key).is_some()
    }

    /// Whether what comes out is sold by the picture and not by the token.
    fn is_sold_by_picture(&self) -> bool {
        self.has(RateKey::Image) && !self.has(RateKey::Output) && !self.has(RateKey::OutputImage)
    }

    fn has_token_rates(&self) -> bool {
        RateKey::ALL.into_iter().any(|key| key.is_of_tokens() && self.has(key))
    }

    /// One disjoint part of a call.
    fn part(&mut self, key: RateKey, count: u64, without: &Without) -> Result<(), EstimateError> {
        if count == 0 {
            return Ok(());
        }
        let by = match (self.has(key), without) {
            (true, _) => Some(key),
            (false, Without::By(other)) => Some(*other),
            (false, Without::AsInput) => {
                self.notes.push(Note::AsInput(key.unit()));
                Some(RateKey::Input)
            }
            (false, Without::Missing(other)) => {
                self.missing.push(Missing::Rate(key.unit().to_owned()));
                Some(*other)
            }
            (false, Without::Nothing) => None,
        };
        match by.and_then(|by| self.rate(by)) {
            Some(rate) => {
                let factor = match key.is_of_tokens() {
                    true => self.factor.tokens,
                    false => self.factor.others,
                };
                self.line(key.unit(), false, Amount::of_count(count), rate, factor)
            }
            None => {
                let missing = Missing::Rate(key.unit().to_owned());
                if !self.missing.contains(&missing) {
                    self.missing.push(missing);
                }
                Ok(())
            }
        }
    }

    /// The rate of a key in the card that is in force. A long-context card that lacks a rate which
    /// the base card has leaves the base rate as the best figure, and it is missing.
    fn rate(&mut self, key: RateKey) -> Option<Rate> {
        if let Some(rate) = self.card.rate(key) {
            self.note_dispute(key, self.over);
            return Some(rate);
        }
        let rate = self.row.card.rate(key)?;
        if let (true, Some(over)) = (key.is_of_tokens(), self.over) {
            self.missing.push(Missing::LongContextRate(key.unit(), over));
        }
        self.note_dispute(key, None);
        Some(rate)
    }

    fn note_dispute(&mut self, key: RateKey, over: Option<u64>) {
        let is_disputed = |dispute: &crate::Dispute| dispute.rate == key && dispute.over == over;
        if self.row.disputed.iter().any(is_disputed) {
            self.confidence = Confidence::Disputed;
        }
    }

    fn line(
        &mut self,
        unit: &'c str,
        is_custom: bool,
        amount: Amount,
        rate: Rate,
        factor: Factor,
    ) -> Result<(), EstimateError> {
        let femtos = rate.cost(amount, factor).ok_or(EstimateError::OutOfRange)?;
        let cost = Money::from_femtos(femtos, self.row.currency);
        let (Some(cost), Some(quantity)) = (cost, amount.quantity()) else {
            return Err(EstimateError::OutOfRange);
        };
        self.lines.push(Line { unit, is_custom, quantity, rate, factor, cost });
        Ok(())
    }
}

/// The input, cut into parts that do not overlap and add up to it.
struct InputParts {
    text: u64,
    image: u64,
    audio: u64,
    cached_text: u64,
    cached_audio: u64,
    cached_image: u64,
    written_5m: u64,
    written_1h: u64,
    is_overlap_guessed: bool,
}

impl InputParts {
    /// `usage` has been checked: cached parts lie within the input, and so do audio and images.
    fn of(usage: &Usage, input: u64) -> InputParts {
        let read = usage.cache_read_tokens.unwrap_or(0);
        let written = usage.cache_write_tokens.unwrap_or(0);
        let written_1h = usage.cache_write_1h_tokens.unwrap_or(0);
        let (audio, image) =
            (usage.input_audio_tokens.unwrap_or(0), usage.input_image_tokens.unwrap_or(0));
        let said_audio = usage.cache_read_audio_tokens;
        let said_image = usage.cache_read_image_tokens;
        let mut cached_audio = said_audio.unwrap_or(0);
        let mut cached_image = said_image.unwrap_or(0);
        // What cached tokens, audio and images together are more than the input must be counted in
        // two of them.
        let kinds = (audio - cached_audio) + (image - cached_image);
        let mut too_many = (read + written + kinds).saturating_sub(input);
        let is_overlap_guessed = too_many > 0;
        if said_audio.is_none() {
            let both = too_many.min(audio).min(read - cached_image);
            cached_audio = both;
            too_many -= both;
        }
        if said_image.is_none() {
            let both = too_many.min(image).min(read - cached_audio);
            cached_image = both;
            too_many -= both;
        }
        // What still is too much was written to the cache as audio or image: it is billed as
        // written.
        let mut fresh_audio = audio - cached_audio;
        let written_audio = too_many.min(fresh_audio);
        fresh_audio -= written_audio;
        let fresh_image = (image - cached_image).saturating_sub(too_many - written_audio);
        InputParts {
            text: input - read - written - fresh_audio - fresh_image,
            image: fresh_image,
            audio: fresh_audio,
            cached_text: read - cached_audio - cached_image,
            cached_audio,
            cached_image,
            written_5m: written - written_1h,
            written_1h,
            is_overlap_guessed,
        }
    }
}
