//! What is asked, from dice: few paths, services and models, so that much meets.

use engine::command::{Adjust, Commit, Correct, Event, Measures, PutPath, Reserve};
use engine::policy::{Alert, Mode, PolicyChange, PolicyRecord, Threshold, Unit, Window};
use engine::{Command, Settings};

use crate::model::ModelPolicy;
use crate::run::Run;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Dice that were thrown, read one after the other.
pub(crate) struct Dice<'a>(std::slice::Iter<'a, u16>);

impl<'a> Dice<'a> {
    pub(crate) fn new(thrown: &'a [u16]) -> Dice<'a> {
        Dice(thrown.iter())
    }

    pub(crate) fn next(&mut self, sides: u16) -> u16 {
        self.0.next().map_or(0, |die| die % sides)
    }

    fn of<T: Clone>(&mut self, faces: &[T]) -> T {
        faces[usize::from(self.next(faces.len().try_into().unwrap()))].clone()
    }
}

fn path(dice: &mut Dice<'_>) -> String {
    dice.of(&["a/b", "a", "a/b/c", "a/b/c/d", "e", "e/f", "", "g/h"]).to_owned()
}

fn service(dice: &mut Dice<'_>) -> String {
    dice.of(&["openai", "openai", "anthropic", ""]).to_owned()
}

fn model(dice: &mut Dice<'_>) -> String {
    dice.of(&["m1", "m1", "m2", ""]).to_owned()
}

fn measures(die: u16) -> Measures {
    let size = i64::from(die >> 6) % 40;
    Measures {
        cost: i128::from(size) * 3 - 6 * i128::from(die & 1),
        unpriced: die & 14 == 14,
        credits: i128::from(size) * 2,
        requests: 1,
        tokens: if die & 48 == 48 { -1 } else { size * 5 },
    }
}

/// When something happened: now, a little ago or ahead, or long ago.
fn at(time: i64, dice: &mut Dice<'_>) -> i64 {
    let ago = [0, 0, SECOND, 40 * SECOND, -300 * SECOND, -59 * SECOND, HOUR, 26 * HOUR, 9 * DAY];
    time - dice.of(&ago)
}

fn event(time: i64, dice: &mut Dice<'_>) -> Event {
    let at = at(time, dice);
    Event {
        service: service(dice),
        model: model(dice),
        measures: Measures { tokens: 7, ..measures(dice.next(u16::MAX)) },
        ..Event::empty(at, &path(dice))
    }
}

fn window(dice: &mut Dice<'_>) -> Window {
    dice.of(&[
        Window::Calendar(2),
        Window::Total,
        Window::Session(5 * HOUR),
        Window::Sliding(HOUR),
        Window::Calendar(0),
        Window::Calendar(1),
        Window::Calendar(3),
        Window::Calendar(4),
        Window::Calendar(5),
        Window::Calendar(6),
        Window::Anchored(1, 0, 1_769_860_800 * SECOND),
        Window::Anchored(0, 2, 1_769_860_800 * SECOND),
        Window::Session(600 * SECOND),
        Window::Sliding(DAY),
        Window::Sliding(60 * SECOND),
    ])
}

fn alerts(dice: &mut Dice<'_>) -> Vec<Alert> {
    let (half, full) = (Threshold::Percent(50_000), Threshold::Percent(100_000));
    let some = Threshold::Amount(20);
    let sets = [vec![], vec![half, full], vec![full, some], vec![some, half, full]];
    let alert = |at| Alert { at, channels: vec![] };
    dice.of(&sets).into_iter().map(alert).collect()
}

fn mode(dice: &mut Dice<'_>) -> Mode {
    dice.of(&[Mode::Strict, Mode::Block, Mode::Open])
}

fn limit(dice: &mut Dice<'_>) -> i128 {
    dice.of(&[50, 200, 1_000, 10, 0])
}

fn policy(run: &Run, dice: &mut Dice<'_>) -> PolicyRecord {
    let id = u128::from(dice.next(14));
    let old = run.model.policies.iter().find(|one| one.record.id == id && dice.next(2) == 0);
    if let Some(old) = old {
        return old.record.clone();
    }
    PolicyRecord {
        id,
        path: dice.of(&["a", "", "a/b", "a", "e", "a/b/c"]).to_owned(),
        window: window(dice),
        mode: mode(dice),
        unit: dice.of(&[Unit::Usd, Unit::Tokens, Unit::Credits, Unit::Requests]),
        limit: limit(dice),
        service: dice.of(&["", "", "openai"]).to_owned(),
        model: dice.of(&["", "", "m1"]).to_owned(),
        alerts: alerts(dice),
        allow_on_unavailable: dice.next(4) == 0,
        created_at: run.time(),
    }
}

pub(crate) fn command(run: &mut Run, dice: &mut Dice<'_>) -> Command {
    let time = run.time();
    match dice.next(36) {
        0..8 => {
            let mut event = event(time, dice);
            if dice.next(4) == 0 {
                event.reservation = run.some_reservation(dice);
                event.ended = event.reservation.and_then(|id| run.known_end(id));
            }
            Command::Track(event)
        }
        8..13 => Command::Reserve(Reserve {
            reservation: run.new_reservation(dice),
            path: path(dice),
            service: service(dice),
            model: model(dice),
            estimate: measures(dice.next(u16::MAX)),
            ttl: dice.of(&[300 * SECOND, 10 * SECOND, 5 * HOUR, 30 * HOUR, 0]),
        }),
        13..17 => {
            let reservation = run.some_reservation(dice).unwrap_or(1);
            let incomplete = dice.next(6) == 0;
            let mut event = event(time, dice);
            if dice.next(3) != 0 {
                (event.path, event.service, event.model) = Default::default();
            }
            event.ended = run.known_end(reservation);
            Command::Commit(Commit { reservation, event, incomplete })
        }
        17 => {
            Command::Release { reservation: run.some_reservation(dice).unwrap_or(78), ended: None }
        }
        18 => Command::Extend {
            reservation: run.some_reservation(dice).unwrap_or(79),
            ttl: dice.of(&[HOUR, SECOND, 40 * HOUR]),
            ended: None,
        },
        19 => correct(run, dice),
        20 | 21 => Command::Adjust(Adjust {
            key: dice.of(&["one", "two"]).to_owned(),
            revision: (dice.next(4).into(), 0, dice.next(2).into()),
            at: (time - i64::from(dice.next(3)) * DAY).div_euclid(DAY) * DAY,
            path: path(dice),
            service: service(dice),
            model: model(dice),
            measures: measures(dice.next(u16::MAX)),
        }),
        22 => Command::PutPath(PutPath {
            path: path(dice),
            service: dice.of(&[None, Some("openai".to_owned())]),
            notes: dice.of(&[None, Some("new".to_owned())]),
            tags: None,
        }),
        23 => Command::ArchivePath { path: path(dice), archived: dice.next(4) == 0 },
        24..28 => Command::CreatePolicy(policy(run, dice)),
        28 | 32 | 33 => base(run, dice),
        29 => Command::ChangePolicy {
            policy: some_policy(run, dice),
            change: PolicyChange {
                limit: dice.of(&[None, Some(100), Some(30)]),
                mode: dice.of(&[None, Some(Mode::Strict), Some(Mode::Open)]),
                allow_on_unavailable: None,
                alerts: dice.of(&[None, Some(alerts(&mut Dice::new(&[dice_of(time)])))]),
            },
        },
        30 => Command::RemovePolicy { policy: some_policy(run, dice) },
        _ => configure(run, dice),
    }
}

fn dice_of(time: i64) -> u16 {
    u16::try_from(time.div_euclid(SECOND).rem_euclid(4)).unwrap()
}

/// A correction of what was booked before, in the windows that counted it.
fn correct(run: &Run, dice: &mut Dice<'_>) -> Command {
    let booked = run.booked.len().checked_sub(1 + usize::from(dice.next(5)));
    let Some((event, windows)) = booked.and_then(|place| run.booked.get(place)) else {
        return Command::Tick;
    };
    let mut event = event.clone();
    event.measures = measures(dice.next(u16::MAX));
    event.detail = vec![7; usize::from(dice.next(9))];
    Command::Correct(Correct { event, of: [9; 16], windows: windows.clone() })
}

fn some_policy(run: &Run, dice: &mut Dice<'_>) -> u128 {
    let policies = &run.model.policies;
    let newest = policies.len().checked_sub(1 + usize::from(dice.next(6)));
    newest.map_or(99, |newest| policies[newest].record.id)
}

/// What the window of a policy had used before it was made, mostly of one that waits for it.
fn base(run: &Run, dice: &mut Dice<'_>) -> Command {
    let waits = |one: &&ModelPolicy| one.opening && !one.removed;
    let waiting = run.model.policies.iter().find(waits).map(|one| one.record.id);
    let policy = waiting.unwrap_or_else(|| some_policy(run, dice));
    let amount = i128::from(dice.next(40));
    let found = run.model.policies.iter().find(|one| one.record.id == policy && !one.removed);
    let parts = match found.map(|one| one.record.window) {
        Some(Window::Sliding(micros)) => {
            let ago = i64::from(dice.next(400)) * micros / 360;
            vec![(engine::calendar::sliding_bucket(micros, run.time() - ago), amount)]
        }
        Some(_) => vec![(0, amount)],
        None => vec![],
    };
    Command::EnterBase { policy, made_seq: run.made_seq(policy), parts }
}

fn configure(run: &Run, dice: &mut Dice<'_>) -> Command {
    let revision = run.model.settings.revision + u64::from(dice.next(4));
    let mut settings = Settings { revision, ..Settings::default() };
    let zones = ["Europe/Berlin", "America/New_York", "Pacific/Apia", "UTC"];
    settings.calendar.zone = dice.of(&zones).to_owned();
    settings.calendar.week_start = 1 + u8::try_from(dice.next(7)).unwrap();
    settings.calendar.reset_hour = u8::try_from(dice.next(24)).unwrap();
    settings.auto_create_paths = dice.next(5) != 0;
    Command::Configure(settings)
}
