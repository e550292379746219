//! Decisions: what was chosen, with every number that was chosen with it. The journal stores these
//! and nothing else, so they are a data format: fields are added at the end of a new format only.

use serde::{Deserialize, Serialize};

use crate::command::{
    BodyHash, EndedHow, Identity, Measures, Micros, PathNo, PolicyNo, PutPath, WindowNo,
};
use crate::policy::{PolicyChange, PolicyRecord};
use crate::settings::Settings;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What makes a repeat a repeat.
    pub once: Option<(Identity, BodyHash)>,
    /// Who asked, opaque to the engine.
    #[serde(with = "crate::opaque")]
    pub actor: Vec<u8>,
    /// What happens.
    pub outcome: Outcome,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Spend, or a correction of it, is booked.
    Booked(Booked),
    /// An estimate is held.
    Held(Held),
    /// A reservation ends without spend.
    Released {
        /// Which.
        reservation: u128,
    },
    /// A reservation lives longer.
    Extended {
        /// Which.
        reservation: u128,
        /// Until when.
        expires_at: Micros,
    },
    /// Reservations whose time is over end, in this order.
    Expired {
        /// Which.
        reservations: Vec<u128>,
    },
    /// An adjustment replaces the one before of its key.
    Adjusted(Adjusted),
    /// A path is made or changed.
    PathPut {
        /// Paths that are made for it, in order; the last may be the path itself.
        new_paths: Vec<String>,
        /// Which path.
        path: PathNo,
        /// What is said of it.
        put: PutPath,
    },
    /// A path is taken out of use, or back.
    PathArchived {
        /// Which.
        path: PathNo,
        /// Out, or back.
        archived: bool,
    },
    /// A policy is made.
    PolicyMade {
        /// Paths that are made for it, in order.
        new_paths: Vec<String>,
        /// Its path.
        path: PathNo,
        /// What it is.
        policy: PolicyRecord,
        /// Whether it waits for what its window had used.
        opening: bool,
        /// Its first window, where it has one already.
        window: Option<Opened>,
        /// Reservations that hold on it from now on, and how much.
        attached: Vec<(u128, HeldAmount)>,
    },
    /// What its window had used before is entered.
    PolicyBased {
        /// Which policy.
        policy: PolicyNo,
        /// What each window, or bucket, had used.
        parts: Vec<(WindowNo, i128)>,
        /// Thresholds that this crosses.
        crossed: Vec<Crossed>,
    },
    /// A policy's limit, mode or alerts change.
    PolicyChanged {
        /// Which.
        policy: PolicyNo,
        /// What.
        change: PolicyChange,
    },
    /// A policy is gone.
    PolicyRemoved {
        /// Which.
        policy: PolicyNo,
    },
    /// Settings are taken over.
    Configured(Settings),
    /// A call under a key was refused; the refusal is kept so that a repeat hears it again.
    Refused(Refusal),
    /// A person says that an earlier entry is not followed. The state has nothing of it: whoever
    /// replays the journal passes over that entry before they come here.
    Skipped {
        /// Which entry.
        seq: u64,
        /// Why, in that person's words.
        why: String,
    },
    /// The journal ends here.
    Closed,
}

/// Spend, or a correction of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// When it happened.
    pub at: Micros,
    /// Paths that are made for it, in order.
    pub new_paths: Vec<String>,
    /// Where it belongs.
    pub path: PathNo,
    /// Who sold it.
    pub service: String,
    /// The canonical model.
    pub model: String,
    /// What is booked.
    pub measures: Measures,
    /// Windows that open for it.
    pub opened: Vec<Opened>,
    /// Windows that count it.
    pub counted: Vec<(PolicyNo, WindowNo)>,
    /// Windows that had closed: their records are corrected, and nothing else.
    pub late: Vec<LateCount>,
    /// The reservation that ends with it, and how.
    pub settled: Option<u128>,
    /// What it corrects, where it is a correction.
    pub corrects: Option<Identity>,
    /// Thresholds that it crosses, the highest of a policy first.
    pub crossed: Vec<Crossed>,
    /// Marks; see the constants of [`flag`].
    pub flags: u32,
    /// Everything else, opaque to the engine.
    #[serde(with = "crate::opaque")]
    pub detail: Vec<u8>,
}

/// Marks of what is booked.
pub mod flag {
    /// Reported without a reservation under a strict policy, or with one that cannot be settled.
    pub const UNRESERVED: u32 = 1;
    /// A commit after its reservation's time was over.
    pub const LATE: u32 = 2;
    /// Booked above the path that was named, which is not there and is not made: there are too
    /// many paths, or paths are not made by themselves.
    pub const PATH_LIMIT: u32 = 4;
    /// Something has no price.
    pub const UNPRICED: u32 = 8;
    /// At least the estimate was booked: the usage is known in part only.
    pub const INCOMPLETE: u32 = 16;
    /// Admitted while nobody could tell how much is used, as the policy says.
    pub const BYPASSED: u32 = 32;
    /// Consumed more than was held.
    pub const OVER_ESTIMATE: u32 = 64;
}

/// A window that opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Whose.
    pub policy: PolicyNo,
    /// Its number.
    pub window: WindowNo,
    /// First instant.
    pub start: Micros,
    /// First instant after.
    pub end: Micros,
}

/// Something that belongs to a window that is not open any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateCount {
    /// Whose.
    pub policy: PolicyNo,
    /// The window's number, where the state or whoever asked still knows it; it goes before all.
    pub window: Option<WindowNo>,
    /// The window's bounds by today's rules; a record that contains the event's time goes before.
    pub start: Micros,
    /// First instant after. The same as the start where the rules do not say: then it belongs to
    /// the record that contains the event's time, or to none.
    pub end: Micros,
    /// What is added, in the policy's unit.
    pub used: i128,
}

/// A threshold that is crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossed {
    /// Whose.
    pub policy: PolicyNo,
    /// In which window.
    pub window: WindowNo,
    /// Its place among the policy's alerts.
    pub alert: u8,
    /// What is used now.
    pub used: i128,
    /// The limit now.
    pub limit: i128,
}

/// An estimate that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The reservation.
    pub reservation: u128,
    /// Paths that are made for it, in order.
    pub new_paths: Vec<String>,
    /// Where it will be spent.
    pub path: PathNo,
    /// Who will sell it.
    pub service: String,
    /// Which model.
    pub model: String,
    /// What it may consume.
    pub estimate: Measures,
    /// Until when it is held.
    pub expires_at: Micros,
    /// Windows that open for it.
    pub opened: Vec<Opened>,
    /// What is held, and in which windows.
    pub amounts: Vec<HeldAmount>,
    /// Marks; see [`flag`].
    pub flags: u32,
}

/// What is held on one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAmount {
    /// Which policy.
    pub policy: PolicyNo,
    /// In which window.
    pub window: WindowNo,
    /// How much, in the policy's unit.
    pub amount: i128,
}

/// An adjustment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// What it is about.
    pub key: String,
    /// Which telling.
    pub revision: (u64, u64, u64),
    /// What is taken back of the one before, and what is booked.
    pub bookings: Vec<AdjustmentBooking>,
    /// The absolute amounts that stand now.
    pub standing: Measures,
}

/// One side of an adjustment: signed, so that taking back and booking are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustmentBooking {
    /// The start of the day.
    pub at: Micros,
    /// Paths that are made for it, in order.
    pub new_paths: Vec<String>,
    /// Where.
    pub path: PathNo,
    /// Who sold it.
    pub service: String,
    /// The canonical model.
    pub model: String,
    /// What is added.
    pub measures: Measures,
    /// Windows that open for it.
    pub opened: Vec<Opened>,
    /// Windows that count it.
    pub counted: Vec<(PolicyNo, WindowNo)>,
    /// Windows that had closed.
    pub late: Vec<LateCount>,
    /// Thresholds that it crosses.
    pub crossed: Vec<Crossed>,
}

/// Why something was refused: the policy that said no and its numbers, or what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A policy said no.
    Policy(Box<PolicyRefusal>),
    /// A strict policy, this one, needs a price and there is none.
    Unpriced(u128),
    /// A strict policy, this one, counts something that the estimate does not say.
    Unresolved(u128),
    /// There is no such path and none is made.
    UnknownPath,
    /// The path is archived.
    PathArchived,
    /// The path takes another service, this one.
    ServiceMismatch(String),
    /// There are too many paths.
    PathLimit,
    /// The path has as many policies as it may have.
    TooManyPolicies,
    /// There is no such reservation, policy or path.
    NotFound,
    /// The reservation has ended, and how.
    Ended(EndedHow),
    /// The same id or key with something else.
    Conflict,
    /// Not an amount: too large.
    OutOfRange,
    /// The journal was closed: nothing is decided any more.
    Closed,
}

/// A policy that said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRefusal {
    /// Which.
    pub policy: u128,
    /// What it counts.
    pub unit: crate::policy::Unit,
    /// How hard it is.
    pub mode: crate::policy::Mode,
    /// Its path.
    pub path: String,
    /// How much.
    pub limit: i128,
    /// What was used.
    pub used: i128,
    /// What was held.
    pub held: i128,
    /// What was asked for.
    pub asked: i128,
    /// The window's start; the least instant where it has none.
    pub window_start: Micros,
    /// When there may be room again; none where the window never resets.
    pub resets_at: Option<Micros>,
}

/// What there is to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Write this, then apply it, then answer from it.
    Write(Box<Decision>),
    /// Nothing to write: this was refused. It holds only if the state was the newest.
    Refuse(Refusal),
    /// Nothing to write: it was decided before, by the journal entry with this number.
    Repeat {
        /// Which entry.
        seq: u64,
    },
    /// Nothing to write: it is as asked already.
    Unchanged,
}
