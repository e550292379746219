#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod anthropic_messages;
mod bedrock_converse;
mod cache_writes;
mod cohere_chat;
mod draft;
mod error;
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
mod rate;
mod reading;
mod sent;
mod shape;
mod sse;
mod stated_cost;
mod stream;
mod wire;
mod xai_chat;

pub use error::{RawUsageError, RawUsageErrorKind};
pub use formats::{RawFormat, UnknownRawFormat, read};
pub use reading::{Flag, FlagKind, Reading, StatedCost, Strictness};
pub use stream::read_stream;
