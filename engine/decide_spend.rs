//! Choosing about spend: reports, commits, corrections and adjustments. Money that has left is
//! always booked; only what cannot belong where it says is refused.

use crate::booking::{Booking, Kind, Spend};
use crate::command::{
    AMOUNT_MAX, Adjust, COUNT_MAX, Commit, Correct, Ended, EndedHow, Event, Measures, PathNo,
    PolicyNo, WindowNo,
};
use crate::decision::{Adjusted, AdjustmentBooking, Booked, Outcome, Refusal, flag};
use crate::state::{PATHS_MAX, PathNode, Reservation, State};

/// An outcome, nothing to do, or why not.
pub(crate) type Chosen = Result<Option<Outcome>, Refusal>;

/// A path as it was found.
pub(crate) struct Found {
    /// The path, or the nearest above it that there is.
    pub(crate) nearest: PathNo,
    /// What is missing below, in the order in which it is made.
    pub(crate) missing: Vec<String>,
}

/// A reservation that a commit ends.
struct Settled {
    id: u128,
    path: PathNo,
    service: String,
    model: String,
    estimate: Measures,
    windows: Vec<(PolicyNo, WindowNo)>,
    kind: Kind,
    flags: u32,
}

impl State {
    pub(crate) fn decide_track(&self, event: &Event) -> Chosen {
        event.measures.check()?;
        let settled =
            event.reservation.map(|reservation| self.settled(reservation, event.ended.as_ref()));
        if let Some(Ok(settled)) = settled {
            return Ok(Some(self.settle(event, &settled, false)));
        }
        let found = self.find_path(&event.path)?;
        self.usable(&found, &event.path, &event.service)?;
        let mut outcome = self.book(event, found, &[], Kind::Use, None);
        if let Outcome::Booked(booked) = &mut outcome
            && settled.is_some()
        {
            booked.flags |= flag::UNRESERVED;
        }
        Ok(Some(outcome))
    }

    pub(crate) fn decide_commit(&self, commit: &Commit) -> Chosen {
        commit.event.measures.check()?;
        let settled = self.settled(commit.reservation, commit.event.ended.as_ref())?;
        Ok(Some(self.settle(&commit.event, &settled, commit.incomplete)))
    }

    pub(crate) fn decide_correct(&self, correct: &Correct) -> Chosen {
        correct.event.measures.check()?;
        let found = self.find_path_or_nearest(&correct.event.path);
        let (windows, of) = (&correct.windows, Some(correct.of));
        Ok(Some(self.book(&correct.event, found, windows, Kind::Afterwards, of)))
    }

    pub(crate) fn decide_adjust(&self, adjust: &Adjust) -> Chosen {
        adjust.measures.check()?;
        let found = self.find_path_or_nearest(&adjust.path);
        let before = self.adjustments.get(&adjust.key);
        if before.is_some_and(|before| before.revision >= adjust.revision) {
            return Ok(None);
        }
        let mut bookings = vec![];
        let mut added = adjust.measures;
        if let Some(before) = before {
            let back = before.measures.negated();
            let is_same_place = found.missing.is_empty()
                && found.nearest == before.path
                && (adjust.at, &adjust.service, &adjust.model)
                    == (before.at, &before.service, &before.model);
            if is_same_place {
                added = added.plus(&back);
            } else {
                let place = Found { nearest: before.path, missing: vec![] };
                let (service, model) = (before.service.clone(), before.model.clone());
                let taken = (before.at, service, model, back);
                bookings.push(self.adjustment(place, taken, &bookings));
            }
        }
        let booked = (adjust.at, adjust.service.clone(), adjust.model.clone(), added);
        bookings.push(self.adjustment(found, booked, &bookings));
        let (key, revision) = (adjust.key.clone(), adjust.revision);
        let standing = adjust.measures;
        Ok(Some(Outcome::Adjusted(Adjusted { key, revision, bookings, standing })))
    }

    fn adjustment(
        &self,
        found: Found,
        (at, service, model, measures): (i64, String, String, Measures),
        before: &[AdjustmentBooking],
    ) -> AdjustmentBooking {
        let spend = Spend {
            at,
            path: found.nearest,
            service: &service,
            model: &model,
            measures,
            admitted: &[],
            kind: Kind::Afterwards,
        };
        let Booking { opened, counted, late, crossed, .. } = self.booking(&spend, before);
        let path = self.final_path(&found);
        let new_paths = found.missing;
        AdjustmentBooking {
            at,
            new_paths,
            path,
            service,
            model,
            measures,
            opened,
            counted,
            late,
            crossed,
        }
    }

    /// The reservation that a commit ends: open, or expired.
    fn settled(&self, id: u128, known: Option<&Ended>) -> Result<Settled, Refusal> {
        if let Some(open) = self.reservations.get(&id) {
            return Ok(self.settled_open(id, open));
        }
        let ended = self.ended.get(&id).or(known).ok_or(Refusal::NotFound)?;
        match ended.how {
            EndedHow::Committed | EndedHow::Released => Err(Refusal::Ended(ended.how)),
            EndedHow::Expired => Ok(Settled {
                id,
                path: ended.path,
                service: ended.service.clone(),
                model: ended.model.clone(),
                estimate: ended.estimate,
                windows: ended.windows.clone(),
                kind: Kind::Use,
                flags: flag::LATE,
            }),
        }
    }

    fn settled_open(&self, id: u128, open: &Reservation) -> Settled {
        let is_late = open.expires_at <= self.time;
        Settled {
            id,
            path: open.path,
            service: open.service.clone(),
            model: open.model.clone(),
            estimate: open.estimate,
            windows: open.amounts.iter().map(|held| (held.policy, held.window)).collect(),
            // Whether what is due was ended already makes no difference.
            kind: if is_late { Kind::Use } else { Kind::HeldUse },
            flags: if is_late { flag::LATE } else { 0 },
        }
    }

    /// The call was made: whatever is wrong with its path now, it is booked.
    fn settle(&self, event: &Event, settled: &Settled, incomplete: bool) -> Outcome {
        let found = match event.path.as_str() {
            "" => Found { nearest: settled.path, missing: vec![] },
            path => self.find_path_or_nearest(path),
        };
        let mut measures = event.measures;
        let mut flags = settled.flags;
        if measures.unpriced {
            // What has no price costs what was held for it, until it has one.
            measures.cost = measures.cost.max(settled.estimate.cost);
            measures.credits = measures.credits.max(settled.estimate.credits);
        }
        if incomplete {
            measures = measures.at_least(&settled.estimate);
            flags |= flag::INCOMPLETE;
        }
        if settled.kind == Kind::HeldUse && measures.cost > settled.estimate.cost {
            flags |= flag::OVER_ESTIMATE;
        }
        let named = |own: &String, held: &String| if own.is_empty() { held } else { own }.clone();
        let event = Event {
            service: named(&event.service, &settled.service),
            model: named(&event.model, &settled.model),
            measures,
            ..event.clone()
        };
        let mut outcome = self.book(&event, found, &settled.windows, settled.kind, None);
        if let Outcome::Booked(booked) = &mut outcome {
            booked.settled = Some(settled.id);
            booked.flags = (booked.flags | flags) & !flag::UNRESERVED;
        }
        outcome
    }

    fn book(
        &self,
        event: &Event,
        found: Found,
        admitted: &[(PolicyNo, WindowNo)],
        kind: Kind,
        corrects: Option<[u8; 16]>,
    ) -> Outcome {
        let spend = Spend {
            at: event.at,
            path: found.nearest,
            service: &event.service,
            model: &event.model,
            measures: event.measures,
            admitted,
            kind,
        };
        let booking = self.booking(&spend, &[]);
        let mut flags = 0;
        if booking.is_strict && corrects.is_none() {
            flags |= flag::UNRESERVED;
        }
        if event.measures.unpriced {
            flags |= flag::UNPRICED;
        }
        if found.missing.is_empty() && self.path(found.nearest).name.as_ref() != event.path {
            let is_named = !event.path.is_empty();
            flags |= if is_named { flag::PATH_LIMIT } else { 0 };
        }
        Outcome::Booked(Booked {
            at: event.at,
            path: self.final_path(&found),
            new_paths: found.missing,
            service: event.service.clone(),
            model: event.model.clone(),
            measures: event.measures,
            opened: booking.opened,
            counted: booking.counted,
            late: booking.late,
            settled: None,
            corrects,
            crossed: booking.crossed,
            flags,
            detail: event.detail.clone(),
        })
    }

    /// A path, with what has to be made of it for a report or a reservation.
    pub(crate) fn find_path(&self, path: &str) -> Result<Found, Refusal> {
        let found = self.find_or_make(path);
        match found.missing.is_empty() || self.settings.auto_create_paths {
            true => Ok(found),
            false => Err(Refusal::UnknownPath),
        }
    }

    /// A path, with what has to be made of it, for money that has left in any case: where paths are
    /// not made by themselves, the nearest above.
    fn find_path_or_nearest(&self, path: &str) -> Found {
        let found = self.find_or_make(path);
        match self.settings.auto_create_paths {
            true => found,
            false => Found { missing: vec![], ..found },
        }
    }

    /// A path, with what has to be made of it; where there are too many paths, the nearest above.
    pub(crate) fn find_or_make(&self, path: &str) -> Found {
        let mut missing = vec![];
        let mut nearest = 0;
        for name in domain::path::self_and_above(path) {
            if let Some(number) = self.path_number(name) {
                nearest = number;
                break;
            }
            missing.push(name.to_owned());
        }
        missing.reverse();
        if self.paths.len().saturating_add(missing.len()) > PATHS_MAX {
            missing.clear();
        }
        Found { nearest, missing }
    }

    /// The number that a path has, or will have once it is made.
    pub(crate) fn final_path(&self, found: &Found) -> PathNo {
        match found.missing.len() {
            0 => found.nearest,
            new => crate::state::number(self.paths.len().saturating_add(new).saturating_sub(1)),
        }
    }

    /// Refuses what is archived, and what takes another service.
    pub(crate) fn usable(&self, found: &Found, path: &str, service: &str) -> Result<(), Refusal> {
        if self.self_and_above(found.nearest).any(|node| node.archived) {
            return Err(Refusal::PathArchived);
        }
        let node: &PathNode = self.path(found.nearest);
        match &node.service {
            // Of a path above, where this one cannot be made, only the money counts.
            Some(own) if node.name.as_ref() == path && !service.is_empty() && own != service => {
                Err(Refusal::ServiceMismatch(own.clone()))
            }
            _ => Ok(()),
        }
    }
}

impl Measures {
    /// Refuses what is no amount.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let amount = |amount: i128| (-AMOUNT_MAX..=AMOUNT_MAX).contains(&amount);
        let count = |count: i64| (-COUNT_MAX..=COUNT_MAX).contains(&count);
        let fits =
            amount(self.cost) && amount(self.credits) && count(self.requests) && count(self.tokens);
        fits.then_some(()).ok_or(Refusal::OutOfRange)
    }

    fn negated(&self) -> Measures {
        Measures {
            cost: self.cost.saturating_neg(),
            unpriced: self.unpriced,
            credits: self.credits.saturating_neg(),
            requests: self.requests.saturating_neg(),
            tokens: self.tokens.saturating_neg(),
        }
    }

    fn plus(&self, other: &Measures) -> Measures {
        Measures {
            cost: self.cost.saturating_add(other.cost),
            unpriced: self.unpriced,
            credits: self.credits.saturating_add(other.credits),
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    fn at_least(&self, floor: &Measures) -> Measures {
        Measures {
            cost: self.cost.max(floor.cost),
            unpriced: self.unpriced,
            credits: self.credits.max(floor.credits),
            requests: self.requests.max(floor.requests),
            tokens: self.tokens.max(floor.tokens),
        }
    }
}
