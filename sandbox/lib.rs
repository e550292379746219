#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod books;
mod control;
mod costs;
mod day;
mod errors;
mod gate;
mod models;
mod organization;
mod page;
mod projects;
mod query;
mod random;
mod sandbox;
mod usage;
mod world;

pub use books::{Books, BooksRow};
pub use gate::{Fault, Throttle};
pub use sandbox::{DayError, Sandbox, SandboxOptions};
