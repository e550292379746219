//! Follows entries decision by decision and gathers what each becomes.

use std::collections::BTreeMap;

use domain::{AuditEvent, PolicyId};
use engine::command::{EndedHow, Micros, PathNo, PolicyNo, WindowNo};
use engine::decision::{Adjusted, Booked, Crossed, LateCount, Opened};
use engine::policy::Window;
use engine::{Decision, Entry, Measures, Outcome, State};
use jiff::Timestamp;
use store::facts::{CrossingRecord, FactsBlock, FactsChunk, WindowChange};
use store::journal::Shard;
use uuid::Uuid;

use super::event_block::{EndedRow, EventBlock, EventRow};
use super::run_record::{event_day, late_commit_identity, reservation_identity};
use super::sum_block::{Sum, SumKey, SumKind, Sums, quarter_of};
use super::{Crossing, event_id};
use crate::actor::Actor;
use crate::detail::{EventDetail, Source};
use crate::ids::{self, BodyHash, BuiltRun, Identity, RunBuilder};

/// What entries became so far.
pub(super) struct Gathered {
    shard: Shard,
    block: EventBlock,
    sums: Sums,
    ids: Vec<(ids::Entry, Option<u32>, Micros)>,
    windows: BTreeMap<(PolicyNo, Micros), WindowChange>,
    crossings: Vec<CrossingRecord>,
    audit: Vec<AuditEvent>,
    /// Earliest and latest instants of what is in the two blocks.
    events_span: Span,
    sums_span: Span,
}

/// The decision at hand.
#[derive(Clone, Copy)]
struct Place {
    seq: u64,
    index: u32,
    /// When it was decided.
    at: Micros,
}

/// From when to when, and from which entry to which.
#[derive(Default)]
struct Span {
    ats: Option<(Micros, Micros)>,
    places: Option<(Place, Place)>,
}

impl Gathered {
    pub(super) fn new(shard: Shard) -> Gathered {
        Gathered {
            shard,
            block: EventBlock::default(),
            sums: Sums::default(),
            ids: vec![],
            windows: BTreeMap::new(),
            crossings: vec![],
            audit: vec![],
            events_span: Span::default(),
            sums_span: Span::default(),
        }
    }

    /// Follows an entry, as [`State::replay`] does, and looks at the state after each decision.
    pub(super) fn follow(&mut self, shadow: &mut State, seq: u64, entry: &Entry) {
        shadow.begin(entry.time);
        let first_crossing = self.crossings.len();
        for (index, decision) in (0_u32..).zip(&entry.decisions) {
            let place = Place { seq, index, at: shadow.time() };
            let settles = settled(decision).filter(|id| shadow.reservation(*id).is_some());
            let removed = removed(shadow, &decision.outcome);
            shadow.apply(decision);
            self.gather(shadow, place, decision, settles.is_some());
            self.audit(shadow, place, decision, removed);
        }
        let crossings = self.crossings.iter_mut().skip(first_crossing);
        for (index, crossing) in (0_u32..).zip(crossings) {
            crossing.index = index;
        }
        shadow.keep(seq, entry.looked_up_seq);
    }

    pub(super) fn finish(self, from: u64, to: u64) -> (FactsChunk, Option<BuiltRun>) {
        let mut run = RunBuilder::new(from, to);
        for (entry, day, arrived_at) in self.ids {
            run.push(entry, day, arrived_at);
        }
        let run = run.finish().expect("places are the chunk's, and far fewer than a run holds");
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let event_count = count(self.block.events.len().saturating_add(self.block.ended.len()));
        let events = self.events_span.block(event_count, || self.block.encode());
        let sums = self.sums_span.block(count(self.sums.len()), || self.sums.encode());
        let windows = self.windows.into_values().collect();
        let (crossings, audit) = (self.crossings, self.audit);
        (FactsChunk { events, sums, ids: None, windows, crossings, audit }, run)
    }

    /// What a decision becomes; `state` has it already.
    fn gather(&mut self, state: &State, place: Place, decision: &Decision, ends_hold: bool) {
        let mut day = None;
        match &decision.outcome {
            Outcome::Booked(booked) => {
                let detail = EventDetail::decode(&booked.detail).unwrap_or_default();
                day = event_day(&detail, place.at);
                self.booked(state, place, decision, booked, detail, ends_hold);
            }
            Outcome::Held(held) => self.opened(state, &held.opened),
            Outcome::Released { reservation } => self.ended(state, place, *reservation),
            Outcome::Expired { reservations } => {
                for reservation in reservations {
                    self.ended(state, place, *reservation);
                }
            }
            Outcome::Adjusted(adjusted) => self.adjusted(state, place, adjusted),
            Outcome::PolicyMade { window, .. } => self.opened(state, window.as_slice()),
            Outcome::PolicyBased { policy, parts, crossed } => {
                for (window, used) in parts {
                    self.count(state, *policy, *window, |_| *used);
                }
                self.crossed(state, place, crossed);
            }
            Outcome::Extended { .. }
            | Outcome::PathPut { .. }
            | Outcome::PathArchived { .. }
            | Outcome::PolicyChanged { .. }
            | Outcome::PolicyRemoved { .. }
            | Outcome::Configured(_)
            | Outcome::Refused(_)
            | Outcome::Skipped { .. }
            | Outcome::Closed => {}
        }
        if let Some((identity, body)) = decision.once {
            self.identity(place, Identity(identity), BodyHash(body), day);
        }
    }

    fn booked(
        &mut self,
        state: &State,
        place: Place,
        decision: &Decision,
        booked: &Booked,
        detail: EventDetail,
        ends_hold: bool,
    ) {
        self.opened(state, &booked.opened);
        self.counted(state, &booked.counted, &booked.measures);
        self.late(state, &booked.late);
        self.crossed(state, place, &booked.crossed);
        let settles = booked.settled.map(|id| match ends_hold {
            true => reservation_identity(id),
            false => late_commit_identity(id),
        });
        if let Some(identity) = settles {
            self.identity(place, identity, BodyHash([0; 4]), None);
        }
        let own = decision.once.map(|(identity, _)| identity);
        let identity = own.or(settles.map(|identity| identity.0));
        let (path_no, path) = (booked.path, path_of(state, booked.path));
        let key = SumKey {
            key: detail.key,
            call_site: detail.call_site.clone(),
            end_user: detail.end_user,
            tags: detail.tags.iter().map(|(name, tag)| (name.clone(), tag.clone())).collect(),
            ..key_of(booked.at, SumKind::Reported, path.clone(), &booked.service, &booked.model)
        };
        self.sums.add(key, &sum_of(booked, &detail));
        self.sums_span.cover(place, booked.at);
        self.events_span.cover(place, booked.at);
        self.block.events.push(EventRow {
            seq: place.seq,
            index: place.index,
            at: booked.at,
            arrived_at: place.at,
            identity: identity.unwrap_or_default(),
            path_no,
            path,
            service: booked.service.clone(),
            model: booked.model.clone(),
            measures: booked.measures,
            counted: booked.counted.clone(),
            settled: booked.settled,
            corrects: booked.corrects,
            flags: booked.flags,
            detail,
        });
    }

    fn adjusted(&mut self, state: &State, place: Place, adjusted: &Adjusted) {
        for booking in &adjusted.bookings {
            self.opened(state, &booking.opened);
            self.counted(state, &booking.counted, &booking.measures);
            self.late(state, &booking.late);
            self.crossed(state, place, &booking.crossed);
            let path = path_of(state, booking.path);
            let (service, model) = (&booking.service, &booking.model);
            let key = key_of(booking.at, SumKind::Adjustment, path, service, model);
            self.sums.add(key, &Sum::from(&booking.measures));
            self.sums_span.cover(place, booking.at);
        }
    }

    /// A reservation that ended without spend.
    fn ended(&mut self, state: &State, place: Place, reservation: u128) {
        let Some(ended) = state.ended(reservation) else { return };
        if ended.how == EndedHow::Committed {
            return;
        }
        let ended = ended.clone();
        self.block.ended.push(EndedRow { seq: place.seq, reservation, ended });
        self.events_span.cover(place, place.at);
        self.identity(place, reservation_identity(reservation), BodyHash([0; 4]), None);
    }

    fn identity(&mut self, place: Place, identity: Identity, body: BodyHash, day: Option<u32>) {
        self.ids.push((ids::Entry { identity, position: place.seq, body }, day, place.at));
    }

    /// Windows that opened are recorded even while nothing is spent in them.
    fn opened(&mut self, state: &State, opened: &[Opened]) {
        for opened in opened {
            self.count(state, opened.policy, opened.window, |_| 0);
        }
    }

    fn counted(&mut self, state: &State, counted: &[(PolicyNo, WindowNo)], measures: &Measures) {
        for (policy, window) in counted {
            self.count(state, *policy, *window, |unit| measures.of(unit));
        }
    }

    /// Adds to the record of a window that the state has.
    fn count(
        &mut self,
        state: &State,
        number: PolicyNo,
        window: WindowNo,
        used: impl Fn(engine::policy::Unit) -> i128,
    ) {
        let Some(policy) = state.policy(number) else { return };
        if policy.record.window.sliding().is_some() {
            return;
        }
        let found = policy.windows.iter().find(|open| open.number == window);
        if let Some(open) = found {
            self.window(number, (open.start, open.end), used(policy.record.unit), 0);
        }
    }

    fn late(&mut self, state: &State, late: &[LateCount]) {
        for late in late {
            let Some(policy) = state.policy(late.policy) else { continue };
            if policy.record.window.sliding().is_some() {
                continue;
            }
            let by_number = policy.windows.iter().find(|open| Some(open.number) == late.window);
            let known = by_number.or_else(|| {
                // One instant: the window is known only where the state still keeps it, closed.
                let found = policy.window_at(late.start).filter(|_| late.start >= late.end);
                found.filter(|window| late.window.is_none() && window.end <= state.time())
            });
            let by_rule = (late.start < late.end).then_some((late.start, late.end));
            let bounds = known.map(|window| (window.start, window.end)).or(by_rule);
            if let Some(bounds) = bounds {
                self.window(late.policy, bounds, late.used, late.used);
            }
        }
    }

    fn window(&mut self, policy: PolicyNo, bounds: (Micros, Micros), used: i128, late: i128) {
        let (start_at, end_at) = bounds;
        let change = self.windows.entry((policy, start_at)).or_insert(WindowChange {
            policy,
            start_at,
            end_at,
            used: 0,
            late: 0,
        });
        change.end_at = end_at;
        change.used = change.used.saturating_add(used);
        change.late = change.late.saturating_add(late);
    }

    fn crossed(&mut self, state: &State, place: Place, crossed: &[Crossed]) {
        for crossed in crossed {
            let Some(policy) = state.policy(crossed.policy) else { continue };
            let record = &policy.record;
            let Some(alert) = record.alerts.get(usize::from(crossed.alert)) else { continue };
            let (window_start, window_end) = match record.window {
                Window::Sliding(micros) => (Some(place.at.saturating_sub(micros)), None),
                _ => {
                    let open = policy.windows.iter().find(|open| open.number == crossed.window);
                    let bounds = open.map_or((Micros::MIN, Micros::MAX), |o| (o.start, o.end));
                    let start = Some(bounds.0).filter(|start| *start > Micros::MIN);
                    (start, Some(bounds.1).filter(|end| *end < Micros::MAX))
                }
            };
            let crossing = Crossing {
                policy: record.id,
                path: record.path.clone(),
                unit: record.unit,
                threshold: alert.at,
                channels: alert.channels.clone(),
                used: crossed.used,
                limit: crossed.limit,
                window_start,
                window_end,
            };
            let (seq, at, bytes) = (place.seq, place.at, crossing.encode());
            self.crossings.push(CrossingRecord { seq, index: 0, at, bytes });
        }
    }

    /// What people and keys did to paths, policies, settings and events.
    fn audit(&mut self, state: &State, place: Place, decision: &Decision, removed: Option<u128>) {
        let policy = |id: u128| PolicyId::from_uuid(Uuid::from_u128(id)).to_string();
        let by_number = |no: PolicyNo| state.policy(no).map(|found| policy(found.record.id));
        let (action, target) = match &decision.outcome {
            Outcome::PathPut { new_paths, path, .. } => match new_paths.is_empty() {
                true => ("path.updated", path_of(state, *path)),
                false => ("path.created", path_of(state, *path)),
            },
            Outcome::PathArchived { path, archived: true } => {
                ("path.archived", path_of(state, *path))
            }
            Outcome::PathArchived { path, .. } => ("path.restored", path_of(state, *path)),
            Outcome::PolicyMade { policy: made, .. } => ("policy.created", policy(made.id)),
            Outcome::PolicyChanged { policy, .. } => {
                ("policy.updated", by_number(*policy).unwrap_or_default())
            }
            Outcome::PolicyRemoved { .. } => {
                ("policy.deleted", removed.map(policy).unwrap_or_default())
            }
            Outcome::Configured(settings) => {
                ("settings.applied", format!("revision {}", settings.revision))
            }
            Outcome::Skipped { seq, why } => ("journal.entry_skipped", format!("{seq}: {why}")),
            Outcome::Closed => ("journal.closed", self.shard.environment.as_str().to_owned()),
            Outcome::Booked(Booked { corrects: Some(_), .. }) => {
                let id = event_id(place.at, place.seq, place.index);
                ("usage_event.corrected", id.to_string())
            }
            _ => return,
        };
        let actor = Actor::decode(&decision.actor);
        self.audit.push(AuditEvent {
            organization: self.shard.organization,
            actor: actor.as_ref().map_or("unknown".to_owned(), Actor::name),
            action: action.to_owned(),
            target,
            ip: actor.and_then(|actor| actor.ip),
            at: Timestamp::from_microsecond(place.at).unwrap_or(Timestamp::UNIX_EPOCH),
        });
    }
}

impl Span {
    fn cover(&mut self, place: Place, at: Micros) {
        let (min, max) = self.ats.unwrap_or((at, at));
        self.ats = Some((min.min(at), max.max(at)));
        self.places = Some((self.places.map_or(place, |(first, _)| first), place));
    }

    fn block(&self, row_count: u32, encode: impl FnOnce() -> Vec<u8>) -> Option<FactsBlock> {
        let ((at_min, at_max), (first, last)) = (self.ats?, self.places?);
        Some(FactsBlock {
            first_seq: first.seq,
            last_seq: last.seq,
            row_count,
            at_min,
            at_max,
            arrived_min: first.at,
            arrived_max: last.at,
            bytes: encode(),
        })
    }
}

impl From<&Measures> for Sum {
    /// What the engine counts, of no event.
    fn from(measures: &Measures) -> Sum {
        Sum {
            cost: measures.cost,
            credits: measures.credits,
            requests: measures.requests.into(),
            tokens: measures.tokens.into(),
            ..Sum::default()
        }
    }
}

/// An event counts once. A correction is none itself: a reversal takes the event back, and one that
/// is marked `unpriced` takes that mark from what it corrects.
fn sum_of(booked: &Booked, detail: &EventDetail) -> Sum {
    let is_reversal = detail.source == Source::Reversal;
    let (event_count, unpriced_count) = match (booked.corrects, booked.measures.unpriced) {
        (None, is_unpriced) => (1, i64::from(is_unpriced)),
        (Some(_), was_unpriced) => (-i64::from(is_reversal), -i64::from(was_unpriced)),
    };
    let mut sum = Sum { event_count, unpriced_count, ..Sum::from(&booked.measures) };
    for (unit, quantity) in &detail.quantities {
        let total = sum.quantities.entry(unit.clone()).or_default();
        *total = total.saturating_add(*quantity);
    }
    sum
}

fn key_of(at: Micros, kind: SumKind, path: String, service: &str, model: &str) -> SumKey {
    SumKey {
        quarter: quarter_of(at),
        kind,
        path,
        service: service.to_owned(),
        model: model.to_owned(),
        key: None,
        call_site: None,
        end_user: None,
        tags: vec![],
    }
}

fn path_of(state: &State, path: PathNo) -> String {
    state.path(path).name.to_string()
}

/// The reservation that a decision ends with spend.
fn settled(decision: &Decision) -> Option<u128> {
    match &decision.outcome {
        Outcome::Booked(booked) => booked.settled,
        _ => None,
    }
}

/// The id of a policy that is about to be gone.
fn removed(state: &State, outcome: &Outcome) -> Option<u128> {
    match outcome {
        Outcome::PolicyRemoved { policy } => state.policy(*policy).map(|found| found.record.id),
        _ => None,
    }
}
