#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod members;
pub mod mongo;
