//! Google's `generateContent` on the Gemini API and on Vertex AI, and messages of the Live API.
//!
//! The prompt holds what was cached. Tool results are input besides, thoughts are output besides.
//! Counts of zero are left out of the JSON: one that is missing is zero only where the total leaves
//! no room for it. <https://ai.google.dev/api/generate-content#UsageMetadata>

use std::collections::BTreeSet;

use crate::{
    draft::Draft,
    error::RawUsageError,
    rate,
    sent::Sent,
    shape::{Shape, Stream},
    wire::{Figure, Object, plus, sum},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "gemini_generate",
    places: &[(&["response"], &["usageMetadata"]), (&[], &["usageMetadata"])],
    model: "modelVersion",
    id: "responseId",
    read,
    stream: Stream::Chunks {
        fields: &["usageMetadata", "modelVersion", "responseId"],
        gathered: Some(("candidates", "groundingMetadata")),
        is_end,
    },
    expects: "`promptTokenCount` and `candidatesTokenCount`",
};

fn is_end(chunk: &Object<'_>) -> bool {
    let is_blocked = chunk.has("promptFeedback");
    is_blocked || chunk.list_aside("candidates").iter().any(|item| item.has("finishReason"))
}

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let block = &sent.block;
    let prompt = block.count("promptTokenCount")?;
    let tools = block.count("toolUsePromptTokenCount")?;
    let thoughts = block.count("thoughtsTokenCount")?;
    let candidates =
        draft.same([block.count("candidatesTokenCount")?, block.count("responseTokenCount")?])?;
    let total = block.count("totalTokenCount")?;
    let parts = sum([&prompt, &tools, &candidates, &thoughts]);
    let is_whole = total.as_ref().is_some_and(|total| total.count == parts);
    let input = Modalities::of(block, "promptTokensDetails", &prompt)?.plus(Modalities::of(
        block,
        "toolUsePromptTokensDetails",
        &tools,
    )?);
    let cached = block.count("cachedContentTokenCount")?;
    let from_cache = Modalities::of(block, "cacheTokensDetails", &cached)?;
    let output = match block.has("responseTokensDetails") {
        true => Modalities::of(block, "responseTokensDetails", &candidates)?,
        false => Modalities::of(block, "candidatesTokensDetails", &candidates)?,
    };
    let zero = |name: &str| Figure { count: 0, at: block.at_field(name) };
    let or_zero = |said: Option<Figure>, name| said.or_else(|| is_whole.then(|| zero(name)));
    let figures = &mut draft.figures;
    figures.input = or_zero(plus(prompt, tools), "promptTokenCount");
    figures.cache_read = cached;
    figures.input_audio = input.audio;
    figures.input_image = input.image;
    figures.cache_read_audio = from_cache.audio;
    figures.cache_read_image = from_cache.image;
    figures.output = or_zero(plus(candidates, thoughts.clone()), "candidatesTokenCount");
    figures.output_reasoning = or_zero(thoughts, "thoughtsTokenCount");
    figures.output_audio = output.audio;
    figures.output_image = output.image;
    draft.check_total(total, &[parts])?;
    draft.other.web_searches = searches(&sent.response);
    rate::tier(draft, block.text("serviceTier").or_else(|| block.text("trafficType")));
    Ok(())
}

/// Tokens by what they are of; video and documents stay in the rest.
#[derive(Default)]
struct Modalities {
    audio: Option<Figure>,
    image: Option<Figure>,
}

impl Modalities {
    /// What a list says. A modality that it leaves out is zero only where the others make up the
    /// whole.
    fn of(
        block: &Object<'_>,
        name: &str,
        whole: &Option<Figure>,
    ) -> Result<Modalities, RawUsageError> {
        let Some(entries) = block.list(name)? else {
            return Ok(Modalities::default());
        };
        let (mut audio, mut image, mut all) = (None, None, None);
        for entry in entries {
            let count = entry.count("tokenCount")?;
            all = plus(all, count.clone());
            match entry.text("modality").as_deref() {
                Some("AUDIO") => audio = plus(audio, count),
                Some("IMAGE") => image = plus(image, count),
                _ => {}
            }
        }
        let is_whole = all.is_some() && sum([&all]) == sum([whole]);
        let zero = || is_whole.then(|| Figure { count: 0, at: block.at_field(name) });
        Ok(Modalities { audio: audio.or_else(zero), image: image.or_else(zero) })
    }

    fn plus(self, other: Modalities) -> Modalities {
        let (audio, image) = (plus(self.audio, other.audio), plus(self.image, other.image));
        Modalities { audio, image }
    }
}

/// Queries to Google Search that differ; empty ones are not billed.
/// <https://ai.google.dev/gemini-api/docs/google-search>
fn searches(response: &Object<'_>) -> Option<u64> {
    let mut queries = None;
    for candidate in response.list_aside("candidates") {
        let grounding = candidate.aside("groundingMetadata");
        let said = grounding.and_then(|grounding| grounding.texts("webSearchQueries"));
        let said = said.into_iter().flatten().filter(|query| !query.trim().is_empty());
        let known = queries.get_or_insert_with(BTreeSet::new);
        known.extend(said);
    }
    let queries = queries.filter(|queries| !queries.is_empty())?;
    u64::try_from(queries.len()).ok()
}
