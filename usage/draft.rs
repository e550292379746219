//! A reading while it is made: figures with their places, and what to do where they contradict.
//!
//! A part is never made smaller. Where nobody can be asked, a whole that is smaller than its parts
//! is raised to hold them, and flagged.

use domain::{RateContext, Unit, Usage, UsageError};

use crate::{
    error::{RawUsageError, RawUsageErrorKind},
    reading::{Flag, FlagKind, Reading, StatedCost, Strictness},
    wire::{Figure, sum},
};

/// The tokens of the vocabulary, with their places.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) input: Option<Figure>,
    pub(crate) cache_read: Option<Figure>,
    pub(crate) cache_write: Option<Figure>,
    pub(crate) cache_write_1h: Option<Figure>,
    pub(crate) input_audio: Option<Figure>,
    pub(crate) input_image: Option<Figure>,
    pub(crate) cache_read_audio: Option<Figure>,
    pub(crate) cache_read_image: Option<Figure>,
    pub(crate) output: Option<Figure>,
    pub(crate) output_reasoning: Option<Figure>,
    pub(crate) output_audio: Option<Figure>,
    pub(crate) output_image: Option<Figure>,
}

/// A reading while it is made.
#[derive(Debug)]
pub(crate) struct Draft {
    strictness: Strictness,
    pub(crate) figures: Figures,
    /// What is not a token.
    pub(crate) other: Usage,
    pub(crate) context: RateContext,
    pub(crate) stated_cost: Option<StatedCost>,
    beyond: Vec<(&'static str, u64)>,
    flags: Vec<Flag>,
}

impl Draft {
    pub(crate) fn new(strictness: Strictness) -> Draft {
        Draft {
            strictness,
            figures: Figures::default(),
            other: Usage::default(),
            context: RateContext::default(),
            stated_cost: None,
            beyond: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Something that people should know.
    pub(crate) fn note(&mut self, kind: FlagKind, at: &str, detail: &str) {
        let (pointer, detail) = (at.to_owned(), detail.to_owned());
        self.flags.push(Flag { kind, pointer, detail });
    }

    /// Figures that contradict each other.
    pub(crate) fn contradict(&mut self, at: &str, detail: &str) -> Result<(), RawUsageError> {
        self.contradict_as(FlagKind::Inconsistent, at, detail)
    }

    /// Refuses, or notes what was made of it.
    pub(crate) fn contradict_as(
        &mut self,
        kind: FlagKind,
        at: &str,
        detail: &str,
    ) -> Result<(), RawUsageError> {
        match self.strictness {
            Strictness::Refuse => {
                Err(RawUsageError::new(RawUsageErrorKind::Inconsistent, at, detail))
            }
            Strictness::Flag => {
                self.note(kind, at, detail);
                Ok(())
            }
        }
    }

    /// Something billed that has no word in the vocabulary. Nothing of it is nothing to say.
    pub(crate) fn beyond(&mut self, unit: &'static str, count: Option<u64>) {
        let Some(count) = count.filter(|count| *count > 0) else {
            return;
        };
        match self.beyond.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, known)) => *known = known.saturating_add(count),
            None => self.beyond.push((unit, count)),
        }
    }

    /// One figure that several names are used for; where they differ, the largest.
    pub(crate) fn same(
        &mut self,
        names: impl IntoIterator<Item = Option<Figure>>,
    ) -> Result<Option<Figure>, RawUsageError> {
        let said: Vec<Figure> = names.into_iter().flatten().collect();
        let Some(first) = said.first() else {
            return Ok(None);
        };
        if let Some(other) = said.iter().find(|other| other.count != first.count) {
            let detail = format!("is {} and `{}` is {}", other.count, first.at, first.count);
            self.contradict(&other.at, &detail)?;
        }
        Ok(said.into_iter().max_by_key(|figure| figure.count))
    }

    /// A total that is none of `sums` is a contradiction; what it has beyond the first of them is
    /// kept as tokens that nobody explains.
    pub(crate) fn check_total(
        &mut self,
        total: Option<Figure>,
        sums: &[u64],
    ) -> Result<(), RawUsageError> {
        let Some(total) = total.filter(|total| !sums.contains(&total.count)) else {
            return Ok(());
        };
        let parts = sums.first().copied().unwrap_or(0);
        let detail = format!("is {}, and what it is made of sums to {parts}", total.count);
        self.contradict(&total.at, &detail)?;
        self.beyond("unexplained_tokens", total.count.checked_sub(parts));
        Ok(())
    }

    /// The figures that have been said, whole and within bounds.
    pub(crate) fn finish(mut self) -> Result<Reading, RawUsageError> {
        let mut figures = std::mem::take(&mut self.figures);
        self.settle(&mut figures)?;
        let count = |figure: &Option<Figure>| figure.as_ref().map(|figure| figure.count);
        let usage = Usage {
            input_tokens: count(&figures.input),
            cache_read_tokens: count(&figures.cache_read),
            cache_write_tokens: count(&figures.cache_write),
            cache_write_1h_tokens: count(&figures.cache_write_1h),
            input_audio_tokens: count(&figures.input_audio),
            input_image_tokens: count(&figures.input_image),
            cache_read_audio_tokens: count(&figures.cache_read_audio),
            cache_read_image_tokens: count(&figures.cache_read_image),
            output_tokens: count(&figures.output),
            output_reasoning_tokens: count(&figures.output_reasoning),
            output_audio_tokens: count(&figures.output_audio),
            output_image_tokens: count(&figures.output_image),
            ..self.other
        };
        usage.check().map_err(|error| refused(&error, &figures))?;
        Ok(Reading {
            usage,
            context: self.context,
            model: None,
            response_id: None,
            stated_cost: self.stated_cost,
            beyond: self.beyond,
            flags: self.flags,
        })
    }

    /// Whether anything has been said that could be billed.
    pub(crate) fn is_empty(&self) -> bool {
        let Figures { input, output, cache_read, cache_write, .. } = &self.figures;
        let tokens = [input, output, cache_read, cache_write];
        tokens.into_iter().all(Option::is_none)
            && self.other == Usage::default()
            && self.stated_cost.is_none()
            && self.beyond.is_empty()
    }

    /// Every whole holds its parts, from the smallest to the largest.
    fn settle(&mut self, figures: &mut Figures) -> Result<(), RawUsageError> {
        self.settle_cache(figures)?;
        let cached = sum([&figures.cache_read, &figures.cache_write]);
        let part = figures.cache_read.clone().or(figures.cache_write.clone());
        self.outside(FlagKind::CacheOutside, &mut figures.input, cached, &part)?;
        let part = figures.input_audio.clone().or(figures.input_image.clone());
        let kinds = sum([&figures.input_audio, &figures.input_image]);
        let parts = kinds.max(cached_or_of_a_kind(figures));
        self.hold(&mut figures.input, parts, &part)?;
        let (part, reasoning) =
            (figures.output_reasoning.clone(), sum([&figures.output_reasoning]));
        self.outside(FlagKind::ReasoningOutside, &mut figures.output, reasoning, &part)?;
        let part = figures.output_audio.clone().or(figures.output_image.clone());
        let kinds = sum([&figures.output_audio, &figures.output_image]);
        self.hold(&mut figures.output, kinds, &part)
    }

    fn settle_cache(&mut self, figures: &mut Figures) -> Result<(), RawUsageError> {
        let hour = figures.cache_write_1h.clone();
        self.hold(&mut figures.cache_write, sum([&hour]), &hour)?;
        let (audio, image) = (figures.cache_read_audio.clone(), figures.cache_read_image.clone());
        self.hold(&mut figures.input_audio, sum([&audio]), &audio)?;
        self.hold(&mut figures.input_image, sum([&image]), &image)?;
        let both = sum([&audio, &image]);
        self.hold(&mut figures.cache_read, both, &audio.or(image))
    }

    /// A part that is larger than its whole was left out of it: the whole is both.
    fn outside(
        &mut self,
        kind: FlagKind,
        whole: &mut Option<Figure>,
        count: u64,
        part: &Option<Figure>,
    ) -> Result<(), RawUsageError> {
        if let (Some(whole), Some(part)) = (whole, part)
            && count > whole.count
        {
            let detail = over(count, whole);
            self.contradict_as(kind, &part.at, &detail)?;
            whole.count = whole.count.saturating_add(count);
        }
        Ok(())
    }

    /// A whole that is said holds at least `parts`.
    fn hold(
        &mut self,
        whole: &mut Option<Figure>,
        parts: u64,
        part: &Option<Figure>,
    ) -> Result<(), RawUsageError> {
        if let (Some(whole), Some(part)) = (whole, part)
            && parts > whole.count
        {
            self.contradict(&part.at, &over(parts, whole))?;
            whole.count = parts;
        }
        Ok(())
    }
}

fn over(parts: u64, whole: &Figure) -> String {
    format!("{parts} is more than its whole, `{}`, which is {}", whole.at, whole.count)
}

/// What is cached, or audio, or an image. Where the cached part of a kind is not said, it may be
/// all of it.
fn cached_or_of_a_kind(figures: &Figures) -> u64 {
    let fresh = |all: &Option<Figure>, cached: &Option<Figure>| match cached {
        Some(cached) => sum([all]).saturating_sub(cached.count),
        None => 0,
    };
    sum([&figures.cache_read])
        .saturating_add(fresh(&figures.input_audio, &figures.cache_read_audio))
        .saturating_add(fresh(&figures.input_image, &figures.cache_read_image))
}

/// What is wrong with figures that have been settled: a sum beyond what counts can be, or an
/// impossible quantity.
fn refused(error: &UsageError, figures: &Figures) -> RawUsageError {
    let place = match error.unit() {
        Unit::INPUT_TOKENS => &figures.input,
        Unit::CACHE_READ_TOKENS => &figures.cache_read,
        Unit::CACHE_WRITE_TOKENS => &figures.cache_write,
        Unit::OUTPUT_TOKENS => &figures.output,
        _ => &None,
    };
    let at = place.as_ref().map_or("", |figure| figure.at.as_str());
    RawUsageError::new(RawUsageErrorKind::NotACount, at, &error.to_string())
}
