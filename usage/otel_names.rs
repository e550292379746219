//! Names of attributes that are read, of all generations: the conventions of OpenTelemetry as they
//! are, as they were up to 1.41 and what they deprecate, OpenLLMetry, OpenInference and LiteLLM.
//!
//! Within a list the first that is said counts, and figures that differ are flagged. A name that is
//! in no list is not kept: prompts and answers have many names, and new ones come.
//! <https://github.com/open-telemetry/semantic-conventions-genai>
//! <https://github.com/traceloop/openllmetry>, <https://github.com/Arize-ai/openinference>

/// What is done: a call of a model, or something that makes calls.
pub(crate) const OPERATION: &str = "gen_ai.operation.name";
/// The same, as OpenInference says it.
pub(crate) const KIND: &str = "openinference.span.kind";
/// The kind of a request, on calls of models only (OpenLLMetry).
pub(crate) const REQUEST_TYPE: &str = "llm.request.type";
/// What a span is that is no call of a model (OpenLLMetry).
pub(crate) const ENTITY_KIND: &str = "traceloop.span.kind";
/// What went wrong.
pub(crate) const ERROR_TYPE: &str = "error.type";

pub(crate) const PROVIDER: &[&str] =
    &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"];
pub(crate) const ADDRESS: &[&str] = &["gen_ai.openai.api_base", "server.address", "net.peer.name"];
pub(crate) const RESPONSE_MODEL: &[&str] =
    &["gen_ai.response.model", "llm.model_name", "embedding.model_name", "reranker.model_name"];
pub(crate) const REQUEST_MODEL: &[&str] = &["gen_ai.request.model", "litellm.provider.model"];
pub(crate) const RESPONSE_ID: &[&str] = &["gen_ai.response.id"];
pub(crate) const RESPONSE_TIER: &[&str] =
    &["openai.response.service_tier", "gen_ai.openai.response.service_tier"];
pub(crate) const REQUEST_TIER: &[&str] =
    &["openai.request.service_tier", "gen_ai.openai.request.service_tier"];

pub(crate) const INPUT: &[&str] = &[
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
];
pub(crate) const OUTPUT: &[&str] = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
];
pub(crate) const TOTAL: &[&str] =
    &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"];
pub(crate) const CACHE_READ: &[&str] = &[
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
];
/// OpenInference's older word, taken where none of [`CACHE_READ`] is said.
pub(crate) const CACHE_INPUT: &[&str] = &["llm.token_count.prompt_details.cache_input"];
pub(crate) const CACHE_WRITE: &[&str] = &[
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
];
pub(crate) const REASONING: &[&str] = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
];
pub(crate) const INPUT_AUDIO: &[&str] =
    &["gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"];
pub(crate) const INPUT_IMAGE: &[&str] = &["gen_ai.usage.image.input_tokens"];
pub(crate) const OUTPUT_AUDIO: &[&str] =
    &["gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"];
/// In US dollars.
pub(crate) const COST: &[&str] =
    &["llm.cost.total", "litellm.cost.total_cost", "gen_ai.cost.total_cost", "gen_ai.usage.cost"];

pub(crate) const PATH: &[&str] = &["outlay.path"];
pub(crate) const SERVICE_NAME: &[&str] = &["service.name"];
/// In seconds.
pub(crate) const TIME_TO_FIRST: &[&str] =
    &["gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token"];
pub(crate) const END_USER: &[&str] = &[
    "enduser.id",
    "user.id",
    "gen_ai.user",
    "llm.user",
    "traceloop.association.properties.user_id",
    "metadata.user_api_key_end_user_id",
];
pub(crate) const FILE: &[&str] = &["code.file.path", "code.filepath"];
pub(crate) const FUNCTION: &[&str] = &["code.function.name", "code.function"];
pub(crate) const NAMESPACE: &[&str] = &["code.namespace"];
pub(crate) const LINE: &[&str] = &["code.line.number", "code.lineno"];
pub(crate) const PROVIDER_REQUEST_ID: &[&str] = &[
    "aws.request_id",
    "azure.service.request.id",
    "az.service_request_id",
    "http.response.header.x-request-id",
    "http.response.header.request-id",
];

/// Tags that people set themselves: what follows is the tag's name.
pub(crate) const OWN_TAGS: &str = "traceloop.association.properties.";

/// Attributes that become tags of the same name.
pub(crate) const TAGS: &[&str] = &[
    "deployment.environment",
    "deployment.environment.name",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.conversation.id",
    "gen_ai.prompt.name",
    "gen_ai.workflow.name",
    "litellm.call_id",
    "litellm.model_group",
    "metadata.user_api_key_alias",
    "metadata.user_api_key_org_id",
    "metadata.user_api_key_team_alias",
    "metadata.user_api_key_team_id",
    "metadata.user_api_key_user_id",
    "openinference.project.name",
    "service.namespace",
    "service.version",
    "session.id",
    "traceloop.entity.name",
    "traceloop.prompt.key",
    "traceloop.workflow.name",
];

const LISTS: &[&[&str]] = &[
    &[OPERATION, KIND, REQUEST_TYPE, ENTITY_KIND, ERROR_TYPE],
    PROVIDER,
    ADDRESS,
    RESPONSE_MODEL,
    REQUEST_MODEL,
    RESPONSE_ID,
    RESPONSE_TIER,
    REQUEST_TIER,
    INPUT,
    OUTPUT,
    TOTAL,
    CACHE_READ,
    CACHE_INPUT,
    CACHE_WRITE,
    REASONING,
    INPUT_AUDIO,
    INPUT_IMAGE,
    OUTPUT_AUDIO,
    COST,
    PATH,
    SERVICE_NAME,
    TIME_TO_FIRST,
    END_USER,
    FILE,
    FUNCTION,
    NAMESPACE,
    LINE,
    PROVIDER_REQUEST_ID,
    TAGS,
];

/// Whether an attribute is read at all.
pub(crate) fn is_known(name: &str) -> bool {
    name.starts_with(OWN_TAGS) || LISTS.iter().any(|list| list.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<&str> = LISTS.concat();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn attributes_that_hold_prompts_and_answers_are_not_known() {
        for name in [
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.prompt",
            "gen_ai.completion",
            "gen_ai.prompt.0.content",
            "gen_ai.completion.0.content",
            "gen_ai.tool.call.arguments",
            "input.value",
            "output.value",
            "llm.input_messages.0.message.content",
            "llm.output_messages.0.message.content",
            "embedding.embeddings.0.embedding.text",
            "traceloop.entity.input",
            "traceloop.entity.output",
            "metadata.requester_metadata",
        ] {
            assert!(!is_known(name), "{name}");
        }
    }
}
