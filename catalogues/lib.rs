#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod aliases;
mod assemble;
mod bedrock;
mod card;
mod decimal;
mod genai_prices;
mod generate;
mod guards;
mod join;
mod litellm;
mod litellm_hours;
mod litellm_keys;
mod merge;
mod metergraph;
mod names;
mod peak_hours;
mod rows;
mod sellers;
mod source;
mod time;
mod write;
mod yaml;

pub use assemble::Kept;
pub use generate::{Proposal, generate};
pub use guards::Refused;
pub use source::{Catalogue, ImportError, Source, unzip};
pub use write::write_toml;
