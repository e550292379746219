//! Commands: what somebody asks of a shard, with everything looked up that the engine must not look
//! up itself: prices, canonical names, new ids, whether an id was seen before.

use serde::{Deserialize, Serialize};

use crate::policy::{PolicyChange, PolicyRecord};
use crate::settings::Settings;

/// Microseconds since 1970 in UTC.
pub type Micros = i64;

/// A path's number in its shard, in the order in which paths were made; 0 is the environment.
pub type PathNo = u32;

/// A policy's number in its shard, in the order in which policies were made. Never used again.
pub type PolicyNo = u32;

/// A window's number within its policy, in the order in which windows opened. For a sliding policy
/// the index of a bucket.
pub type WindowNo = i64;

/// The hash of a source and an id: what makes two events, or two calls under one key, the same.
pub type Identity = [u8; 16];

/// The hash of everything that was sent under an identity.
pub type BodyHash = [u8; 4];

/// Beyond this, in the unit's smallest part, nothing is an amount: 10¹⁸ dollars in femtodollars.
pub const AMOUNT_MAX: i128 = 1_000_000_000_000_000_000_000_000_000_000_000;

/// Beyond this no count of tokens or requests is one: 2⁵³.
pub const COUNT_MAX: i64 = 1 << 53;

/// One command with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What makes a repeat a repeat. Events always have one; other calls where they have a key.
    pub once: Option<Once>,
    /// Who asks, for the audit log and the facts; opaque to the engine.
    pub actor: Vec<u8>,
    /// What is asked.
    pub command: Command,
}

/// The identity of a request, and what the tables said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// Of source and id, or of the key.
    pub identity: Identity,
    /// Of everything that was sent.
    pub body: BodyHash,
    /// What the tables had, as of the place that the batch names.
    pub seen: Option<Seen>,
}

/// An identity that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The hash of what was sent then.
    pub body: BodyHash,
    /// The journal entry with the decision.
    pub seq: u64,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Book what a call consumed.
    Track(Event),
    /// Hold an estimate on every policy that matches, all or nothing.
    Reserve(Reserve),
    /// End a reservation with what the call really consumed.
    Commit(Commit),
    /// End a reservation without spend.
    Release {
        /// Which.
        reservation: u128,
        /// What the tables know of its end, where the state may have forgotten it.
        ended: Option<EndedHow>,
    },
    /// Let a reservation live longer.
    Extend {
        /// Which.
        reservation: u128,
        /// From the batch's time on.
        ttl: Micros,
        /// What the tables know of its end, where the state may have forgotten it.
        ended: Option<EndedHow>,
    },
    /// Book a correction of an event that was counted.
    Correct(Correct),
    /// Set by how much a provider's bill exceeds what was reported.
    Adjust(Adjust),
    /// Make a path, or change what is said of it.
    PutPath(PutPath),
    /// Take a path out of use, or back into it; its history stays.
    ArchivePath {
        /// Which.
        path: String,
        /// Out, or back.
        archived: bool,
    },
    /// Make a policy.
    CreatePolicy(PolicyRecord),
    /// Enter what its window had used before a policy was made; counted once.
    EnterBase {
        /// Which policy.
        policy: u128,
        /// The entry that made it: one that was removed and made again under the same id is
        /// another, with another past.
        made_seq: u64,
        /// What each window (of a sliding policy: each bucket) had used before.
        parts: Vec<(WindowNo, i128)>,
    },
    /// Change a policy's limit, mode or alerts.
    ChangePolicy {
        /// Which.
        policy: u128,
        /// What.
        change: PolicyChange,
    },
    /// Remove a policy. Holds on it are forgotten, what it counted stays in the facts.
    RemovePolicy {
        /// Which.
        policy: u128,
    },
    /// Take over an organization's settings; an older revision changes nothing.
    Configure(Settings),
    /// Nothing but what is due.
    Tick,
    /// End the journal: nothing is decided after it. What is held then is never counted.
    Close,
}

/// What a call consumed, priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measures {
    /// Femtodollars. Where something has no price: the sum of what has one.
    pub cost: i128,
    /// Whether something has no price, so that `cost` is not the whole.
    pub unpriced: bool,
    /// Millicredits.
    pub credits: i128,
    /// Calls.
    pub requests: i64,
    /// Input and output tokens together.
    pub tokens: i64,
}

/// What an application reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: Micros,
    /// Where it belongs.
    pub path: String,
    /// Who sold it.
    pub service: String,
    /// The canonical model; empty where there is none.
    pub model: String,
    /// What it consumed.
    pub measures: Measures,
    /// The reservation that it was spent under: the event is its commit.
    pub reservation: Option<u128>,
    /// What the tables know of the reservation that the event commits, here or in [`Commit`], if it
    /// ended so long ago that the state may have forgotten it.
    pub ended: Option<Ended>,
    /// Everything else about it, for the facts; opaque to the engine.
    pub detail: Vec<u8>,
}

/// An estimate to be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The new reservation's id.
    pub reservation: u128,
    /// Where it will be spent.
    pub path: String,
    /// Who will sell it; empty where nobody says.
    pub service: String,
    /// The canonical model; empty where nobody says.
    pub model: String,
    /// What it may consume. `tokens` below 0 are not said.
    pub estimate: Measures,
    /// How long it is held if nobody says more.
    pub ttl: Micros,
}

/// The end of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Which.
    pub reservation: u128,
    /// What was consumed. Without a path, service or model of its own it has the reservation's.
    pub event: Event,
    /// The call's usage is known in part only, as of a stream that was cut: at least the estimate
    /// is booked.
    pub incomplete: bool,
}

/// How and where a reservation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub how: EndedHow,
    /// When.
    pub at: Micros,
    /// The path that it was for.
    pub path: PathNo,
    /// Who was to sell it.
    pub service: String,
    /// Which model.
    pub model: String,
    /// What it was to consume.
    pub estimate: Measures,
    /// The windows that admitted it.
    pub windows: Vec<(PolicyNo, WindowNo)>,
    /// The journal entry that ended it.
    pub seq: u64,
}

/// How a reservation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedHow {
    /// With spend.
    Committed,
    /// Without.
    Released,
    /// By its time.
    Expired,
}

/// A correction: a signed difference, booked in the windows in which the event was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correct {
    /// What is added, with the time, path, service and model of what it corrects.
    pub event: Event,
    /// The identity of what it corrects.
    pub of: Identity,
    /// The windows that counted it.
    pub windows: Vec<(PolicyNo, WindowNo)>,
}

/// By how much a bill exceeds what was reported, for one key; absolute, so it may be set again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjust {
    /// What it is about: account, day, model, unit, sub-account; opaque.
    pub key: String,
    /// Orders what is said of one key; only a higher one counts.
    pub revision: (u64, u64, u64),
    /// The start of the UTC day that it is about.
    pub at: Micros,
    /// Where it belongs.
    pub path: String,
    /// Who sold it.
    pub service: String,
    /// The canonical model; empty where there is none.
    pub model: String,
    /// The excess.
    pub measures: Measures,
}

/// A path, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutPath {
    /// Which.
    pub path: String,
    /// The one service that it takes, once and for good; `None` leaves it.
    pub service: Option<String>,
    /// Notes for people; `None` leaves them.
    pub notes: Option<String>,
    /// Tags; `None` leaves them.
    pub tags: Option<Vec<(String, String)>>,
}
