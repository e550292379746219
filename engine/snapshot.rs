//! Snapshots: a whole state as bytes. The same state gives the same bytes on every node.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::command::{Ended, Identity, Micros};
use crate::entry::{FormatError, damaged, split_format};
use crate::policy::Policy;
use crate::settings::Settings;
use crate::state::{PathNode, Remembered, Reservation, Standing, State, number};

/// The format that is written.
pub const SNAPSHOT_FORMAT: u8 = 1;

/// The state in the order in which it is written; what can be derived is left out.
#[derive(Serialize, Deserialize)]
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

impl State {
    /// The state as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let remembered = self.remembered_order.iter().filter_map(|(_, identity)| {
            self.remembered.get(identity).map(|found| (*identity, *found))
        });
        let snapshot = Snapshot {
            settings: self.settings.clone(),
            time: self.time,
            seq: self.seq,
            forgotten_seq: self.forgotten_seq,
            paths: self.paths.clone(),
            policies: self.policies.clone(),
            reservations: self.reservations.clone(),
            ended: self.ended.clone(),
            ended_order: self.ended_order.clone(),
            remembered: remembered.collect(),
            adjustments: self.adjustments.clone(),
        };
        postcard::to_extend(&snapshot, vec![SNAPSHOT_FORMAT])
            .expect("plain data of bounded size is encoded")
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
        let snapshot: Snapshot = postcard::from_bytes(rest).map_err(damaged)?;
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
