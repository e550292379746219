#![doc = include_str!("README.md")]
#![warn(missing_docs)]

mod block;
mod charge_block;
mod frame;
mod integers;
mod texts;
mod write;

pub use block::{BlockError, BlockView};
pub use charge_block::{ChargeRows, column};
pub use frame::{compress, decompress};
pub use integers::IntegerColumn;
pub use texts::TextColumn;
pub use write::{BlockLimits, BlockWriter, EncodedBlock};
