//! Snapshots: a whole state as bytes. The same state gives the same bytes on every node.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::command::{Ended, Identity, Micros, PathNo};
use crate::entry::{FormatError, damaged, split_format};
use crate::policy::Policy;
use crate::settings::Settings;
use crate::state::{PathNode, Remembered, Reservation, Standing, State, index, number};

/// The format that is written.
pub const SNAPSHOT_FORMAT: u8 = 1;

/// Stands at the end of a snapshot of a journal that is closed, and of no other.
const CLOSED: u8 = 1;

/// The state in the order in which it is written; what can be derived is left out.
#[derive(Deserialize)]
struct Snapshot {
    settings: Settings,
    time: Micros,
    seq: u64,
    forgotten_seq: u64,
    paths: Vec<PathNode>,
    policies: Vec<Option<Policy>>,
    reservations: BTreeMap<u128, Reservation>,
    ended: BTreeMap<u128, Ended>,
    ended_order: VecDeque<(u64, u128)>,
    /// In the order of entries.
    remembered: Vec<(Identity, Remembered)>,
    adjustments: BTreeMap<String, Standing>,
}

/// The same to write, without a copy of everything.
#[derive(Serialize)]
struct SnapshotView<'a> {
    settings: &'a Settings,
    time: Micros,
    seq: u64,
    forgotten_seq: u64,
    paths: &'a [PathNode],
    policies: &'a [Option<Policy>],
    reservations: &'a BTreeMap<u128, Reservation>,
    ended: &'a BTreeMap<u128, Ended>,
    ended_order: &'a VecDeque<(u64, u128)>,
    remembered: Vec<(Identity, Remembered)>,
    adjustments: &'a BTreeMap<String, Standing>,
}

impl State {
    /// The state as bytes. Of a batch that is under way it has what was applied.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let remembered = self.remembered_order.iter().filter_map(|(_, identity)| {
            self.remembered.get(identity).map(|found| (*identity, *found))
        });
        let snapshot = SnapshotView {
            settings: &self.settings,
            time: self.time,
            seq: self.seq,
            forgotten_seq: self.forgotten_seq,
            paths: &self.paths,
            policies: &self.policies,
            reservations: &self.reservations,
            ended: &self.ended,
            ended_order: &self.ended_order,
            remembered: remembered.collect(),
            adjustments: &self.adjustments,
        };
        let mut bytes = postcard::to_extend(&snapshot, vec![SNAPSHOT_FORMAT])
            .expect("plain data of bounded size is encoded");
        bytes.extend(self.closed.then_some(CLOSED));
        bytes
    }

    /// Reads a state.
    ///
    /// # Errors
    /// [`FormatError`] where it is none, or of another release.
    pub fn decode(bytes: &[u8]) -> Result<State, FormatError> {
        let (format, rest) = split_format(bytes)?;
        if format != SNAPSHOT_FORMAT {
            let (found, known) = (u32::from(format), u32::from(SNAPSHOT_FORMAT));
            return Err(FormatError::Unknown { found, known });
        }
        let (snapshot, rest): (Snapshot, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
        let closed = rest == [CLOSED];
        if !closed && !rest.is_empty() {
            return Err(FormatError::Damaged(format!("{} bytes too many", rest.len())));
        }
        snapshot.check()?;
        let zone = || FormatError::Damaged("its time zone is not known".to_owned());
        let mut state = State {
            calendar: Calendar::new(&snapshot.settings.calendar).ok_or_else(zone)?,
            settings: snapshot.settings,
            time: snapshot.time,
            seq: snapshot.seq,
            forgotten_seq: snapshot.forgotten_seq,
            paths: snapshot.paths,
            policies: snapshot.policies,
            ended: snapshot.ended,
            ended_order: snapshot.ended_order,
            adjustments: snapshot.adjustments,
            closed,
            ..State::default()
        };
        state.path_numbers = (0..state.paths.len())
            .map(|place| (state.paths[place].name.clone(), number(place)))
            .collect();
        let policies = state.policies.iter().enumerate();
        state.policy_numbers = policies
            .filter_map(|(place, policy)| Some((policy.as_ref()?.record.id, number(place))))
            .collect();
        state.due = snapshot.reservations.iter().map(|(id, open)| (open.expires_at, *id)).collect();
        state.reservations = snapshot.reservations;
        for (identity, found) in snapshot.remembered {
            state.remembered_order.push_back((found.seq, identity));
            state.remembered.insert(identity, found);
        }
        Ok(state)
    }
}

impl Snapshot {
    /// Refuses numbers that lead nowhere: every later look would stumble over them.
    fn check(&self) -> Result<(), FormatError> {
        let damaged = |what: &str| Err(FormatError::Damaged(what.to_owned()));
        let is_path = |path: PathNo| index(path) < self.paths.len();
        // Paths are made after those above them, so that every way up ends at the environment.
        let mut nodes = (0..).zip(&self.paths);
        let is_root = |(_, node): (u32, &PathNode)| node.name.is_empty() && node.parent == 0;
        if !nodes.next().is_some_and(is_root) || nodes.any(|(number, node)| node.parent >= number) {
            return damaged("a path lies below none");
        }
        if !self.policies.iter().flatten().all(|policy| is_path(policy.path)) {
            return damaged("a policy has no path");
        }
        let mut reserved = self.reservations.values().map(|open| open.path);
        let mut ended = self.ended.values().map(|ended| ended.path);
        let mut adjusted = self.adjustments.values().map(|standing| standing.path);
        if !reserved.all(is_path) || !ended.all(is_path) || !adjusted.all(is_path) {
            return damaged("a reservation or an adjustment has no path");
        }
        Ok(())
    }
}
