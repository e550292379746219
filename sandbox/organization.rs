//! Who is in the sandbox's organization: projects, API keys and their owners.
//!
//! Four projects, of which one was a pilot that was archived on the day its successor began. Among
//! the keys are one whose owner has left, one that was deleted after it had cost money, and one
//! that was never used: the cases in which a cost names a key that a plain listing does not show.

use crate::random::{Purpose, Stream};

/// When a project is in use. The changeover is the day on which the copilot replaced the pilot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Always,
    UntilChangeover,
    FromChangeover,
}

#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) name: &'static str,
    pub(crate) life: Life,
    /// Unix seconds; a project that begins at the changeover was created then.
    pub(crate) created_at: i64,
}

/// Who holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    ServiceAccount { name: &'static str },
    User { name: &'static str, email: &'static str, has_left: bool },
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    InUse,
    NeverUsed,
    /// Listed nowhere, but old costs still name it.
    Deleted,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) project: usize,
    pub(crate) name: &'static str,
    pub(crate) owner: Owner,
    pub(crate) state: KeyState,
    /// Seconds after its project was created.
    pub(crate) created_after: i64,
}

const DEFAULT: usize = 0;
const REPORTS: usize = 1;
const PILOT: usize = 2;
const COPILOT: usize = 3;

pub(crate) const PROJECTS: [Project; 4] = [
    Project { name: "Default project", life: Life::Always, created_at: 1_700_128_802 },
    Project { name: "Nightly reports", life: Life::Always, created_at: 1_703_495_117 },
    Project { name: "Support pilot", life: Life::UntilChangeover, created_at: 1_704_790_054 },
    Project { name: "Support copilot", life: Life::FromChangeover, created_at: 0 },
];

const ROBIN: Owner =
    Owner::User { name: "Robin Example", email: "robin@example.com", has_left: false };
const SASHA: Owner =
    Owner::User { name: "Sasha Example", email: "sasha@example.com", has_left: false };
const KIM: Owner = Owner::User { name: "Kim Example", email: "kim@example.com", has_left: true };

const fn service(name: &'static str) -> Owner {
    Owner::ServiceAccount { name }
}

const fn key(project: usize, name: &'static str, owner: Owner, state: KeyState) -> Key {
    Key { project, name, owner, state, created_after: 3_600 }
}

pub(crate) const CHAT: usize = 0;
pub(crate) const RESEARCH: usize = 1;
pub(crate) const SMOKE_TESTS: usize = 2;
pub(crate) const BATCH_RUNNER: usize = 3;
pub(crate) const NOTEBOOK: usize = 4;
pub(crate) const PILOT_APP: usize = 5;
pub(crate) const PILOT_EVALUATION: usize = 6;
pub(crate) const COPILOT_PRODUCTION: usize = 7;
pub(crate) const COPILOT_STAGING: usize = 8;

pub(crate) const KEYS: [Key; 10] = [
    key(DEFAULT, "chat-backend", service("chat-backend"), KeyState::InUse),
    key(DEFAULT, "research", ROBIN, KeyState::InUse),
    key(DEFAULT, "smoke-tests", KIM, KeyState::InUse),
    key(REPORTS, "batch-runner", service("batch-runner"), KeyState::InUse),
    key(REPORTS, "notebook", SASHA, KeyState::InUse),
    key(PILOT, "pilot-app", ROBIN, KeyState::InUse),
    key(PILOT, "pilot-evaluation", ROBIN, KeyState::Deleted),
    key(COPILOT, "copilot-production", service("copilot-production"), KeyState::InUse),
    key(COPILOT, "copilot-staging", service("copilot-staging"), KeyState::InUse),
    key(COPILOT, "spare", SASHA, KeyState::NeverUsed),
];

/// The ids that a seed gives to everything above.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) projects: Vec<String>,
    pub(crate) keys: Vec<String>,
    /// The owner of each key. One person has one id, whatever keys they hold.
    pub(crate) owners: Vec<String>,
    /// The last characters of each key, which a listing shows.
    pub(crate) key_tails: Vec<String>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Ids {
        let letters = |kind: u64, index: usize, length: usize| {
            let index = u64::try_from(index).expect("a handful");
            Stream::keyed(seed, Purpose::Identifier, &[kind, index]).letters(length)
        };
        let owner = |index: usize| {
            let first = KEYS.iter().position(|key| key.owner == KEYS[index].owner);
            let first = first.expect("a key is among the keys");
            format!("user-{}", letters(3, first, 24))
        };
        Ids {
            projects: (0..PROJECTS.len())
                .map(|index| format!("proj_{}", letters(1, index, 24)))
                .collect(),
            keys: (0..KEYS.len()).map(|index| format!("key_{}", letters(2, index, 16))).collect(),
            owners: (0..KEYS.len()).map(owner).collect(),
            key_tails: (0..KEYS.len()).map(|index| letters(4, index, 4)).collect(),
        }
    }
}
