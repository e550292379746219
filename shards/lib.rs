#![doc = include_str!("README.md")]

pub mod actor;
pub mod answer;
pub mod detail;
pub mod error;
pub mod ids;
pub mod question;
pub mod shards;

pub use actor::{Actor, ActorKind};
pub use answer::{Answer, Answered, BookedAnswer, HeldAnswer, HeldOn};
pub use detail::EventDetail;
pub use error::ShardError;
pub use question::{CheckView, PathView, PolicyStanding, Question, ReservationView, Said};
pub use shards::{Caps, Done, Group, Lane, Position, Reply};
