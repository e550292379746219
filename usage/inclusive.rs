//! What all of OpenAI's blocks and their imitations have in common: the input holds what was
//! cached, the output holds the reasoning, and `total_tokens` is both.
//!
//! Hosts with OpenAI's interface add names of their own for the same things. Names that differ in
//! one block contradict each other.

use crate::{
    cache_writes::CacheWrites,
    draft::Draft,
    error::RawUsageError,
    reading::FlagKind,
    stated_cost,
    wire::{Figure, Object, sum},
};

/// The names of the wholes and of the objects with their parts.
pub(crate) struct Words {
    input: &'static str,
    output: &'static str,
    input_details: [&'static str; 2],
    output_details: [&'static str; 2],
}

/// Chat completions, legacy completions, embeddings.
pub(crate) const PROMPT: Words = Words {
    input: "prompt_tokens",
    output: "completion_tokens",
    input_details: ["prompt_tokens_details", "prompt_token_details"],
    output_details: ["completion_tokens_details", "completion_token_details"],
};

/// Responses and images; audio and realtime, whose details are singular.
pub(crate) const INPUT: Words = Words {
    input: "input_tokens",
    output: "output_tokens",
    input_details: ["input_tokens_details", "input_token_details"],
    output_details: ["output_tokens_details", "output_token_details"],
};

const CACHE_WRITES: [&str; 3] =
    ["cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"];

/// Reads a block whose wholes hold all of their parts.
pub(crate) fn read(
    block: &Object<'_>,
    words: &Words,
    draft: &mut Draft,
) -> Result<(), RawUsageError> {
    read_parts(block, words, draft)?;
    check_total(block, draft)
}

/// Reads the parts, and leaves to the caller what the total says about them.
pub(crate) fn read_parts(
    block: &Object<'_>,
    words: &Words,
    draft: &mut Draft,
) -> Result<(), RawUsageError> {
    read_input(block, words, draft)?;
    read_output(block, words, draft)?;
    read_tools(block, draft)?;
    stated_cost::read(block, draft)
}

fn read_input(block: &Object<'_>, words: &Words, draft: &mut Draft) -> Result<(), RawUsageError> {
    let details = block.child_of(words.input_details)?;
    let cached = details.child("cached_tokens_details")?;
    draft.figures.input = block.count(words.input)?;
    draft.figures.input_audio = details.count("audio_tokens")?;
    draft.figures.input_image = details.count("image_tokens")?;
    draft.figures.cache_read_audio = cached.count("audio_tokens")?;
    draft.figures.cache_read_image = cached.count("image_tokens")?;
    draft.figures.cache_read = draft.same([
        details.count("cached_tokens")?,
        block.count("prompt_cache_hit_tokens")?,
        block.count("cached_tokens")?,
        block.count("cache_read_input_tokens")?,
    ])?;
    read_cache_misses(block, draft)?;
    let mut writes = Vec::new();
    for name in CACHE_WRITES {
        writes.extend([details.count(name)?, block.count(name)?]);
    }
    let writes = draft.same(writes)?;
    read_cache_lives(&details, writes, draft)
}

/// `DeepSeek` splits the prompt into what its cache had and what it had not.
fn read_cache_misses(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let hit = block.count("prompt_cache_hit_tokens")?;
    let (Some(hit), Some(miss)) = (hit, block.count("prompt_cache_miss_tokens")?) else {
        return Ok(());
    };
    let both = Figure { count: hit.count.saturating_add(miss.count), at: miss.at };
    match &draft.figures.input {
        Some(input) if input.count != both.count => {
            let detail =
                format!("hits and misses are {}, all input is {}", both.count, input.count);
            draft.contradict(&both.at, &detail)
        }
        Some(_) => Ok(()),
        None => {
            draft.figures.input = Some(both);
            Ok(())
        }
    }
}

/// How long cache writes live: gateways in front of Anthropic say five minutes or an hour, OpenAI
/// half an hour or twelve.
fn read_cache_lives(
    details: &Object<'_>,
    writes: Option<Figure>,
    draft: &mut Draft,
) -> Result<(), RawUsageError> {
    let lives = details.child("cache_creation_token_details")?;
    let five = lives.count("ephemeral_5m_input_tokens")?;
    let hour = lives.count("ephemeral_1h_input_tokens")?;
    if five.is_some() || hour.is_some() {
        let writes = CacheWrites::of_split(writes, five, hour, draft)?;
        draft.figures.cache_write = writes.all;
        draft.figures.cache_write_1h = writes.hour;
        return Ok(());
    }
    let lives = details.child("cache_write_tokens_details")?;
    let (short, long) = (lives.count("ttl_30m_tokens")?, lives.count("ttl_12h_tokens")?);
    if let Some(long) = long.clone().filter(|long| long.count > 0) {
        let detail = "cache writes that live twelve hours are counted as all others";
        draft.note(FlagKind::LowerBound, &long.at, detail);
    }
    let by_life = sum([&short, &long]);
    draft.figures.cache_write = match writes {
        Some(writes) if by_life > writes.count => {
            let detail = format!("they are {by_life} by how long they live");
            draft.contradict(&writes.at, &detail)?;
            Some(Figure { count: by_life, ..writes })
        }
        Some(writes) => Some(writes),
        None => short.or(long).map(|said| Figure { count: by_life, ..said }),
    };
    Ok(())
}

fn read_output(block: &Object<'_>, words: &Words, draft: &mut Draft) -> Result<(), RawUsageError> {
    let details = block.child_of(words.output_details)?;
    draft.figures.output = block.count(words.output)?;
    draft.figures.output_audio = details.count("audio_tokens")?;
    draft.figures.output_image = details.count("image_tokens")?;
    let outer = block.count("reasoning_tokens")?;
    // Perplexity's research reads, cites and reasons outside of its output, at rates of their own.
    let citations = block.count("citation_tokens")?;
    let inner = details.count("reasoning_tokens")?;
    if citations.is_some() {
        draft.beyond("citation_tokens", citations.map(|figure| figure.count));
        draft.beyond("reasoning_tokens", outer.map(|figure| figure.count));
        draft.figures.output_reasoning = inner;
        return Ok(());
    }
    draft.figures.output_reasoning = draft.same([inner, outer])?;
    Ok(())
}

/// Tools that the provider runs and bills by the call.
fn read_tools(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let tools = block.child("server_side_tool_usage_details")?;
    let searches = draft.same([
        block.child("server_tool_use")?.count("web_search_requests")?,
        block.count("num_search_queries")?,
        tools.count("web_search_calls")?,
    ])?;
    draft.other.web_searches = searches.map(|figure| figure.count);
    for (name, unit) in [
        ("x_search_calls", "x_search_calls"),
        ("code_interpreter_calls", "code_interpreter_calls"),
        ("file_search_calls", "file_search_calls"),
        ("document_search_calls", "document_search_calls"),
        ("image_generation_calls", "image_generation_calls"),
    ] {
        draft.beyond(unit, tools.count(name)?.map(|figure| figure.count));
    }
    let sources = block.count("num_sources_used")?;
    draft.beyond("search_sources", sources.map(|figure| figure.count));
    if !block.has("server_side_tool_usage_details") {
        let calls = block.count("num_server_side_tools_used")?;
        draft.beyond("server_side_tool_calls", calls.map(|figure| figure.count));
    }
    Ok(())
}

/// The total is input and output. Where it has the reasoning besides, the output had left it out.
pub(crate) fn check_total(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    hold_total(block.count("total_tokens")?, draft)
}

/// The same with a total of whatever name.
pub(crate) fn hold_total(total: Option<Figure>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let Some(total) = total else {
        return Ok(());
    };
    let both = sum([&draft.figures.input, &draft.figures.output]);
    let reasoning = sum([&draft.figures.output_reasoning]);
    let cached = sum([&draft.figures.cache_read, &draft.figures.cache_write]);
    if total.count != both && total.count == both.saturating_add(reasoning) {
        let detail = "has the reasoning besides the output: `xai_chat` has such figures";
        draft.contradict_as(FlagKind::ReasoningOutside, &total.at, detail)?;
        if let Some(output) = &mut draft.figures.output {
            output.count = output.count.saturating_add(reasoning);
        }
        return Ok(());
    }
    // An input without its cache is found where parts are held against their wholes.
    let is_outside = cached > sum([&draft.figures.input]);
    let sums = [both, if is_outside { both.saturating_add(cached) } else { both }];
    draft.check_total(Some(total), &sums)
}
