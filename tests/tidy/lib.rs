#![doc = include_str!("README.md")]
#![warn(missing_docs)]

pub mod arrows;
pub mod budgets;
pub mod headers;
pub mod leaks;
pub mod links;
pub mod lints;
pub mod orphans;
mod repository_files;
pub mod symmetry;
pub mod traps;

pub use repository_files::{File, Repository, Room};
