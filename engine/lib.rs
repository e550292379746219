#![doc = include_str!("README.md")]
#![warn(missing_docs)]
#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

mod apply;
mod booking;
pub mod calendar;
pub mod check;
pub mod command;
pub mod decide;
mod decide_control;
pub mod decide_reserve;
mod decide_spend;
pub mod decision;
pub mod entry;
mod opaque;
pub mod policy;
pub mod settings;
pub mod snapshot;
pub mod state;
mod undo;
mod windows;

pub use check::{Health, PolicyView};
pub use command::{Command, Event, Measures, Micros, Once, Request};
pub use decide::{decide, due};
pub use decision::{Decision, Outcome, Refusal, Verdict};
pub use entry::{Entry, FormatError};
pub use settings::Settings;
pub use state::State;
pub use windows::Progress;
