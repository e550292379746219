//! Anthropic's messages, on its own API and on Vertex AI: `input_tokens` leaves out what was read
//! from the cache and written to it, so all input is the three together. The output holds thinking.
//!
//! <https://docs.anthropic.com/en/api/messages>, and for `iterations`
//! <https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage>

use domain::Processing;

use crate::{
    cache_writes::CacheWrites,
    draft::Draft,
    error::RawUsageError,
    rate,
    reading::FlagKind,
    sent::Sent,
    shape::{Shape, Stream},
    wire::{Figure, Object, plus, sum},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "anthropic_messages",
    places: &[(&["result", "message"], &["usage"]), (&["message"], &["usage"]), (&[], &["usage"])],
    model: "model",
    id: "id",
    read,
    stream: Stream::Messages,
    expects: "`input_tokens` and `output_tokens`",
};

/// One pass of the model.
#[derive(Default)]
struct Pass {
    fresh: Option<Figure>,
    cache_read: Option<Figure>,
    writes: CacheWrites,
    output: Option<Figure>,
    thinking: Option<Figure>,
}

impl Pass {
    fn read(block: &Object<'_>, draft: &mut Draft) -> Result<Pass, RawUsageError> {
        let split = block.child("cache_creation")?;
        let flat = block.count("cache_creation_input_tokens")?;
        let five = split.count("ephemeral_5m_input_tokens")?;
        let hour = split.count("ephemeral_1h_input_tokens")?;
        Ok(Pass {
            fresh: block.count("input_tokens")?,
            cache_read: block.count("cache_read_input_tokens")?,
            writes: CacheWrites::of_split(flat, five, hour, draft)?,
            output: block.count("output_tokens")?,
            thinking: block.child("output_tokens_details")?.count("thinking_tokens")?,
        })
    }

    /// All input: what is not in it is the cache.
    fn input(&self) -> Option<Figure> {
        let fresh = self.fresh.clone()?;
        let count = sum([&self.fresh, &self.cache_read, &self.writes.all]);
        Some(Figure { count, ..fresh })
    }

    fn plus(self, other: Pass) -> Pass {
        Pass {
            fresh: plus(self.fresh, other.fresh),
            cache_read: plus(self.cache_read, other.cache_read),
            writes: self.writes.plus(other.writes),
            output: plus(self.output, other.output),
            thinking: plus(self.thinking, other.thinking),
        }
    }
}

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let block = &sent.block;
    for name in ["input_tokens_details", "total_tokens"] {
        if block.has(name) {
            let detail = "the usage of `openai_responses` has this, where input holds the cache";
            draft.contradict(&block.at_field(name), detail)?;
        }
    }
    let mut pass = Pass::read(block, draft)?;
    for iteration in block.list("iterations")?.unwrap_or_default() {
        match iteration.text("type").as_deref() {
            Some("compaction") => pass = pass.plus(Pass::read(&iteration, draft)?),
            Some("advisor_message") => read_advisor(&iteration, draft)?,
            _ => {}
        }
    }
    if block.list("iterations")?.is_some_and(|iterations| iterations.len() > 1) {
        let detail = "the input is that of several passes of the model, each with its own prompt";
        draft.note(FlagKind::SeveralPasses, &block.at_field("iterations"), detail);
    }
    draft.figures.input = pass.input();
    draft.figures.cache_read = pass.cache_read;
    draft.figures.cache_write = pass.writes.all;
    draft.figures.cache_write_1h = pass.writes.hour;
    draft.figures.output = pass.output;
    draft.figures.output_reasoning = pass.thinking;
    read_tools(block, draft)?;
    rate::tier(draft, block.text("service_tier"));
    rate::speed(draft, block.text("speed"));
    rate::residency(draft, block.text("inference_geo"));
    if sent.all.has("custom_id") && sent.response.at() == "/result/message" {
        draft.context.processing = Some(Processing::Batch);
    }
    Ok(())
}

/// Another model that the model has asked, at rates of its own and outside of the figures.
fn read_advisor(iteration: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let advisor = Pass::read(iteration, draft)?;
    draft.beyond("advisor_input_tokens", advisor.input().map(|figure| figure.count));
    draft.beyond("advisor_output_tokens", advisor.output.map(|figure| figure.count));
    Ok(())
}

/// Searches are billed by the call, code by the hour of its container; fetches cost tokens only.
fn read_tools(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let tools = block.child("server_tool_use")?;
    let searches = tools.count("web_search_requests")?;
    draft.other.web_searches = searches.map(|figure| figure.count);
    let code = tools.count("code_execution_requests")?;
    draft.beyond("code_execution_requests", code.map(|figure| figure.count));
    Ok(())
}
