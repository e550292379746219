#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod cost_sums;
pub mod costs;
pub mod coverage;

pub use costs::{CostError, CostQuery, CostReport, CostRow, CostSums, Dimension};
pub use coverage::{Slice, Verdict, verdicts};
