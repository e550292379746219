//! The engine's edges: its formats, which are frozen, and input that means no good.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

mod example;
mod formats;
mod hostile;
