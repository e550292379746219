#![doc = include_str!("README.md")]
#![warn(missing_docs)]
#![warn(clippy::arithmetic_side_effects)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod calendar;
