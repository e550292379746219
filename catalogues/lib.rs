#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod aliases;
mod assemble;
mod bedrock;
mod built_in;
mod card;
mod changes;
mod content;
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
mod reconcile;
mod report;
mod rows;
mod sellers;
mod source;
mod time;
mod write;
mod yaml;

pub use assemble::Kept;
pub use built_in::{built_in, complete, imports, regenerate};
pub use changes::{Change, Kind};
pub use generate::{Proposal, generate};
pub use guards::Refused;
pub use source::{Catalogue, ImportError, Source, unzip};
pub use write::write_toml;
