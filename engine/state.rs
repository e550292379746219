//! The state of a shard: everything that a decision may depend on, and no more.
//!
//! It changes by `apply` only, between `begin` and either `keep` or `roll_back`: until a batch's
//! entry is durable, everything it touched can be put back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::command::{BodyHash, Ended, Identity, Measures, Micros, PathNo, PolicyNo};
use crate::decision::HeldAmount;
use crate::policy::Policy;
use crate::settings::Settings;
use crate::undo::Undo;

/// Most paths of a shard, the environment itself included.
pub const PATHS_MAX: usize = 100_000;

/// A shard's state.
pub struct State {
    pub(crate) settings: Settings,
    pub(crate) calendar: Calendar,
    /// The last batch's time.
    pub(crate) time: Micros,
    /// The last entry that is in the state.
    pub(crate) seq: u64,
    /// Identities of entries up to this one are not remembered any more.
    pub(crate) forgotten_seq: u64,
    pub(crate) paths: Vec<PathNode>,
    pub(crate) path_numbers: HashMap<Box<str>, PathNo, FixedState>,
    /// Policies by number; those that were removed leave a gap.
    pub(crate) policies: Vec<Option<Policy>>,
    pub(crate) policy_numbers: BTreeMap<u128, PolicyNo>,
    pub(crate) reservations: BTreeMap<u128, Reservation>,
    /// Open reservations by when their time is over.
    pub(crate) due: BTreeSet<(Micros, u128)>,
    /// Reservations that ended, until they are remembered elsewhere.
    pub(crate) ended: BTreeMap<u128, Ended>,
    /// Ended reservations by the entry that ended them, oldest first.
    pub(crate) ended_order: VecDeque<(u64, u128)>,
    pub(crate) remembered: HashMap<Identity, Remembered, FixedState>,
    /// Identities by the entry that has them, oldest first.
    pub(crate) remembered_order: VecDeque<(u64, Identity)>,
    pub(crate) adjustments: BTreeMap<String, Standing>,
    /// Nothing is decided any more.
    pub(crate) closed: bool,
    /// What to put back, while a batch is being decided.
    pub(crate) undo: Option<Box<Undo>>,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathNode {
    /// The whole path.
    pub name: Box<str>,
    /// The path above; the environment's is itself.
    pub parent: PathNo,
    /// The one service that it takes, once there is one.
    pub service: Option<String>,
    /// Notes for people.
    pub notes: String,
    /// Tags.
    pub tags: Vec<(String, String)>,
    /// Out of use.
    pub archived: bool,
    /// Its policies, in the order in which they were made.
    pub policies: Vec<PolicyNo>,
    /// When it was made.
    pub created_at: Micros,
}

/// An open reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Where it will be spent.
    pub path: PathNo,
    /// Who will sell it.
    pub service: String,
    /// Which model.
    pub model: String,
    /// What it may consume.
    pub estimate: Measures,
    /// From when on it holds nothing any more.
    pub expires_at: Micros,
    /// What it holds.
    pub amounts: Vec<HeldAmount>,
}

/// An identity that the tables may not have yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// What was sent under it.
    pub body: BodyHash,
    /// The entry that has it.
    pub seq: u64,
}

/// An adjustment that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which telling.
    pub revision: (u64, u64, u64),
    /// The start of the day.
    pub at: Micros,
    /// Where.
    pub path: PathNo,
    /// Who sold it.
    pub service: String,
    /// The canonical model.
    pub model: String,
    /// How much.
    pub measures: Measures,
}

impl Default for State {
    /// The state before the first entry: the environment and nothing below it.
    fn default() -> State {
        let settings = Settings::default();
        let root = PathNode::new("", 0, Micros::MIN);
        let mut path_numbers = HashMap::with_hasher(FixedState::default());
        path_numbers.insert(root.name.clone(), 0);
        State {
            calendar: Calendar::new(&settings.calendar).expect("UTC is a zone"),
            settings,
            time: Micros::MIN,
            seq: 0,
            forgotten_seq: 0,
            paths: vec![root],
            path_numbers,
            policies: vec![],
            policy_numbers: BTreeMap::new(),
            reservations: BTreeMap::new(),
            due: BTreeSet::new(),
            ended: BTreeMap::new(),
            ended_order: VecDeque::new(),
            remembered: HashMap::with_hasher(FixedState::default()),
            remembered_order: VecDeque::new(),
            adjustments: BTreeMap::new(),
            closed: false,
            undo: None,
        }
    }
}

impl PathNode {
    pub(crate) fn new(name: &str, parent: PathNo, created_at: Micros) -> PathNode {
        PathNode {
            name: name.into(),
            parent,
            service: None,
            notes: String::new(),
            tags: vec![],
            archived: false,
            policies: vec![],
            created_at,
        }
    }
}

impl State {
    /// The last entry that is in the state.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The time of the last batch; the least instant before the first.
    #[must_use]
    pub fn time(&self) -> Micros {
        self.time
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Identities of entries up to this one are not in the state: the tables must have been read at
    /// this place or later.
    #[must_use]
    pub fn forgotten_seq(&self) -> u64 {
        self.forgotten_seq
    }

    /// How many identities are remembered.
    #[must_use]
    pub fn remembered_count(&self) -> usize {
        self.remembered.len()
    }

    /// All paths by number, the environment first.
    #[must_use]
    pub fn paths(&self) -> &[PathNode] {
        &self.paths
    }

    /// The number of a path.
    #[must_use]
    pub fn path_number(&self, path: &str) -> Option<PathNo> {
        self.path_numbers.get(path).copied()
    }

    /// A path by its number.
    #[must_use]
    pub fn path(&self, number: PathNo) -> &PathNode {
        &self.paths[index(number)]
    }

    /// The policy with this number, unless it was removed.
    #[must_use]
    pub fn policy(&self, number: PolicyNo) -> Option<&Policy> {
        self.policies.get(index(number)).and_then(Option::as_ref)
    }

    /// The number of the policy with this id.
    #[must_use]
    pub fn policy_number(&self, id: u128) -> Option<PolicyNo> {
        self.policy_numbers.get(&id).copied()
    }

    /// All policies that there are, with their numbers, in the order in which they were made.
    pub fn policies(&self) -> impl Iterator<Item = (PolicyNo, &Policy)> {
        (0..).zip(&self.policies).filter_map(|(number, policy)| Some((number, policy.as_ref()?)))
    }

    /// An open reservation.
    #[must_use]
    pub fn reservation(&self, id: u128) -> Option<&Reservation> {
        self.reservations.get(&id)
    }

    /// All open reservations, in the order of their ids.
    pub fn reservations(&self) -> impl Iterator<Item = (u128, &Reservation)> {
        self.reservations.iter().map(|(id, reservation)| (*id, reservation))
    }

    /// How a reservation ended, where that is still remembered.
    #[must_use]
    pub fn ended(&self, id: u128) -> Option<&Ended> {
        self.ended.get(&id)
    }

    /// An identity that entries after [`State::forgotten_seq`] have.
    #[must_use]
    pub fn remembered(&self, identity: &Identity) -> Option<Remembered> {
        self.remembered.get(identity).copied()
    }

    /// The path itself and all above it, the deepest first.
    pub fn self_and_above(&self, number: PathNo) -> impl Iterator<Item = &PathNode> {
        self.numbers_above(number).map(|number| self.path(number))
    }

    /// The numbers of the path itself and all above it, the deepest first.
    pub(crate) fn numbers_above(&self, number: PathNo) -> impl Iterator<Item = PathNo> {
        let above = |number: &PathNo| (*number != 0).then(|| self.path(*number).parent);
        std::iter::successors(Some(number), above)
    }

    /// The next instant at which something is due by itself; none where nothing waits.
    #[must_use]
    pub fn next_due_at(&self) -> Option<Micros> {
        self.due.first().map(|(at, _)| *at).filter(|_| !self.closed)
    }

    /// Whether the journal was closed, so that nothing is decided any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("a number of 32 bits is an index")
}

pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a shard has fewer than 2^32 of them")
}
