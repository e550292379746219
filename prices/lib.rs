#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod catalogue;
mod choice;
mod estimate;
pub mod form;
mod hours;
mod id;
mod lines;
mod names;
mod own;
mod position;
mod rate;
mod read;
mod row;

pub use catalogue::{Alias, Catalogue, CatalogueProblem, Seller};
pub use estimate::{Call, Estimate, EstimateError, Line, Missing, Note, Status, Used};
pub use hours::Hours;
pub use names::{Resolved, date_removed};
pub use own::OwnPrices;
pub use position::FileProblem;
pub use rate::{Factor, Rate, RateKey};
pub use read::{Origin, Problem, instant, read_model};
pub use row::{Card, Confidence, Dispute, LongContext, Model, Provenance, Row, When};
