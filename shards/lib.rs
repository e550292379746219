#![doc = include_str!("README.md")]

pub mod actor;
pub mod answer;
mod begin_anew;
pub mod caps;
pub mod clock_guard;
pub mod cluster;
pub mod detail;
mod draft;
pub mod error;
pub mod facts;
mod homes;
pub mod ids;
mod known;
mod live;
mod load;
mod merge_sums;
pub mod node;
pub mod packed;
pub mod parts;
mod projector;
pub mod question;
mod queue;
mod reply;
mod snapshot;
mod upkeep;
mod writer;

pub use actor::{Actor, ActorKind};
pub use answer::{Answer, Answered, BookedAnswer, HeldAnswer, HeldOn};
pub use begin_anew::begin_anew;
pub use caps::{Caps, Done, Group, Lane, Position, Reply};
pub use cluster::{Cluster, PeerError, Peers};
pub use detail::EventDetail;
pub use error::ShardError;
pub use node::Shards;
pub use parts::{Limits, Parts, ShardStore};
pub use question::{CheckView, PathView, PolicyStanding, Question, ReservationView, Said};
