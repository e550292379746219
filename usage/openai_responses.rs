//! OpenAI's responses, and hosts with the same interface, xAI among them: the input holds what was
//! cached, the output holds the reasoning. Tools of the provider are items of `output`.
//!
//! <https://platform.openai.com/docs/api-reference/responses/object>

use std::collections::BTreeSet;

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, INPUT},
    openai_chat,
    sent::Sent,
    shape::{Shape, Stream},
    wire::Object,
};

pub(crate) const SHAPE: Shape = Shape {
    name: "openai_responses",
    places: &[(&["response", "body"], &["usage"]), (&["response"], &["usage"]), (&[], &["usage"])],
    model: "model",
    id: "id",
    read,
    stream: Stream::Final(&["response.completed", "response.incomplete", "response.failed"]),
    expects: "`input_tokens` and `output_tokens`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    openai_chat::read_rate(sent, draft)?;
    for name in ["cache_read_input_tokens", "cache_creation_input_tokens"] {
        if sent.block.has(name) {
            let detail = "the usage of `anthropic_messages` has this, where input leaves it out";
            draft.contradict(&sent.block.at_field(name), detail)?;
        }
    }
    inclusive::read(&sent.block, &INPUT, draft)?;
    read_tools(&sent.response.list_aside("output"), draft);
    Ok(())
}

/// Calls of tools are billed each, containers each once.
fn read_tools(output: &[Object<'_>], draft: &mut Draft) {
    let mut searches = None;
    let mut containers = BTreeSet::new();
    for (index, item) in output.iter().enumerate() {
        match item.text("type").as_deref() {
            Some("web_search_call") => {
                let count = searches.get_or_insert(0_u64);
                *count = count.saturating_add(u64::from(is_search(item)));
            }
            Some("file_search_call") => draft.beyond("file_search_calls", Some(1)),
            Some("image_generation_call") => draft.beyond("image_generation_calls", Some(1)),
            Some("code_interpreter_call") => {
                let container = item.text("container_id");
                containers.insert(container.unwrap_or_else(|| index.to_string()));
            }
            _ => {}
        }
    }
    draft.beyond("code_interpreter_containers", u64::try_from(containers.len()).ok());
    // What the usage itself counts goes before what was counted here.
    draft.other.web_searches = draft.other.web_searches.or(searches);
}

/// Opening a page and looking within it are no searches. Items of before there were actions are.
fn is_search(item: &Object<'_>) -> bool {
    let action = item.aside("action").and_then(|action| action.text("type"));
    action.is_none_or(|action| action == "search")
}
