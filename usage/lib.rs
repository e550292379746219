#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod anthropic_messages;
mod bedrock_converse;
mod cache_writes;
mod cloud_events;
mod cohere_chat;
mod draft;
mod error;
mod event_data;
mod formats;
mod gemini_generate;
mod inclusive;
mod mistral_chat;
mod openai_audio;
mod openai_chat;
mod openai_embeddings;
mod openai_images;
mod openai_realtime;
mod openai_responses;
mod otel;
mod otel_calls;
mod otel_json;
mod otel_names;
mod otel_protobuf;
mod otel_repeats;
mod otel_span;
mod otel_usage;
mod rate;
mod reading;
mod reported;
mod sellers;
mod sent;
mod shape;
mod sse;
mod stated_cost;
mod stream;
mod wire;
mod xai_chat;

pub use cloud_events::{EVENTS_MAX, EventsForm, read_cloud_events};
pub use error::{RawUsageError, RawUsageErrorKind};
pub use formats::{RawFormat, UnknownRawFormat, read};
pub use otel::{Traces, read_traces_json, read_traces_protobuf};
pub use otel_span::{ATTRIBUTES_MAX, FIELDS_MAX, NESTING_MAX, SPANS_MAX};
pub use reading::{Flag, FlagKind, Reading, StatedCost, Strictness};
pub use reported::{
    CallSite, IDENTITY_CHARACTERS_MAX, PATH_CHARACTERS_MAX, RejectedReport, RejectionKind,
    ReportedCall, TAG_NAME_CHARACTERS_MAX, TAGS_BYTES_MAX, TAGS_MAX, TEXT_CHARACTERS_MAX,
    TelemetryError, TelemetryErrorKind,
};
pub use stream::read_stream;
