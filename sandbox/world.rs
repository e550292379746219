//! The data: what the organization used on each day, drawn from the seed, the day and nothing else.
//!
//! Weekdays are busier than weekends, use grows slowly, and each quarter has a day on which a retry
//! loop ran wild, a day on which nothing ran at all, and a day with a small credit. All of it hangs
//! on the calendar, not on `today`, so moving the clock or starting again tomorrow changes no past
//! day. A restated day is drawn anew with a salt; no other day notices.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};

use crate::{
    day::{DAY_SECONDS, DayTotals},
    models::{self, Model},
    organization::{self as org, Ids, KEYS, Life, PROJECTS},
    random::{Purpose, Stream},
};

/// The last two hours of a day are billed a day late, where bills are late.
const BILLED_SECONDS_AT_FIRST: u32 = 22 * 3_600;
/// Growth begins here and is the same whenever the sandbox was started.
const GROWTH_EPOCH: Date = Date::constant(2024, 1, 1);
const SPIKE_FACTOR: u64 = 6;

/// Use of one model with one key, as it is on an ordinary weekday of January 2024.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) key: usize,
    pub(crate) model: &'static Model,
    pub(crate) is_batch: bool,
    requests: u64,
    /// Requests on a weekend day, in thousandths of a weekday's.
    weekend_permille: u64,
    /// Tokens of one request.
    uncached_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    /// Web searches for a thousand requests.
    searches_permille: u64,
}

impl Workload {
    const fn new(key: usize, model: &'static Model, requests: u64, tokens: [u64; 3]) -> Workload {
        let [uncached_tokens, cached_tokens, output_tokens] = tokens;
        Workload {
            key,
            model,
            is_batch: false,
            requests,
            weekend_permille: 420,
            uncached_tokens,
            cached_tokens,
            output_tokens,
            searches_permille: 0,
        }
    }

    const fn in_batches(mut self) -> Workload {
        self.is_batch = true;
        self
    }

    const fn weekend(mut self, permille: u64) -> Workload {
        self.weekend_permille = permille;
        self
    }

    const fn searching(mut self, permille: u64) -> Workload {
        self.searches_permille = permille;
        self
    }
}

static WORKLOADS: [Workload; 15] = [
    Workload::new(org::CHAT, models::GPT_4O, 1_150, [900, 700, 320]),
    Workload::new(org::CHAT, models::GPT_4O_MINI, 4_700, [420, 260, 110]).weekend(560),
    Workload::new(org::CHAT, models::GPT_5, 380, [1_800, 2_400, 900]).searching(120),
    Workload::new(org::RESEARCH, models::O3, 12, [3_200, 900, 2_600]).weekend(90),
    Workload::new(org::RESEARCH, models::GPT_5, 9, [5_400, 1_100, 2_100]).weekend(0),
    // A handful of tiny calls: their costs are so small that they print with an exponent.
    Workload::new(org::SMOKE_TESTS, models::GPT_4O_MINI, 2, [150, 60, 4]).weekend(1_000),
    Workload::new(org::BATCH_RUNNER, models::GPT_41_MINI, 3_900, [2_100, 0, 260])
        .in_batches()
        .weekend(1_000),
    Workload::new(org::BATCH_RUNNER, models::GPT_41, 210, [4_000, 0, 700])
        .in_batches()
        .weekend(1_000),
    Workload::new(org::BATCH_RUNNER, models::GPT_41, 45, [2_600, 1_300, 480]).weekend(1_000),
    Workload::new(org::NOTEBOOK, models::O4_MINI, 18, [2_800, 400, 1_900]).weekend(0),
    Workload::new(org::PILOT_APP, models::GPT_4O, 130, [1_500, 900, 260]),
    Workload::new(org::PILOT_EVALUATION, models::GPT_4O_MINI, 70, [1_500, 0, 30]).weekend(0),
    Workload::new(org::COPILOT_PRODUCTION, models::GPT_5_MINI, 1_600, [1_100, 3_100, 410])
        .searching(40),
    Workload::new(org::COPILOT_PRODUCTION, models::FINE_TUNED, 900, [640, 380, 55]),
    Workload::new(org::COPILOT_STAGING, models::GPT_5_MINI, 24, [1_000, 2_200, 390]).weekend(0),
];

/// What one workload used on one day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) workload: &'static Workload,
    pub(crate) totals: DayTotals,
}

/// Everything that decides the data.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) first_day: Date,
    pub(crate) today: Date,
    /// Whether a day's last hours are billed a day late.
    pub(crate) bills_late: bool,
    pub(crate) ids: Ids,
    restated: BTreeMap<Date, u64>,
}

impl World {
    pub(crate) fn new(seed: u64, first_day: Date, today: Date, bills_late: bool) -> World {
        let restated = BTreeMap::new();
        World { seed, first_day, today, bills_late, ids: Ids::new(seed), restated }
    }

    /// Whether there are data of this day: neither before the history nor after yesterday.
    pub(crate) fn has_day(&self, day: Date) -> bool {
        self.first_day <= day && day < self.today
    }

    /// The use of one day, in a fixed order.
    pub(crate) fn cells(&self, day: Date) -> Vec<Cell> {
        if !self.has_day(day) || self.is_idle(day) {
            return Vec::new();
        }
        let used = |index| self.totals(day, index).map(|totals| (index, totals));
        (0..WORKLOADS.len())
            .filter_map(used)
            .map(|(index, totals)| Cell { workload: &WORKLOADS[index], totals })
            .collect()
    }

    /// How far into `day` the costs reach, in seconds after midnight.
    pub(crate) fn billed_seconds(&self, day: Date) -> u32 {
        let is_yesterday = day.tomorrow().is_ok_and(|next| next == self.today);
        if self.bills_late && is_yesterday { BILLED_SECONDS_AT_FIRST } else { DAY_SECONDS }
    }

    /// The credit that was booked at the midnight that begins `day`, in femtodollars: negative.
    pub(crate) fn credit(&self, day: Date) -> Option<i128> {
        if !self.has_day(day) {
            return None;
        }
        let (quarter, offset) = quarter_of(day);
        let idle = self.offset_of(Purpose::Idle, quarter);
        let drawn = self.offset_of(Purpose::Credit, quarter);
        // Never on the day without use, so that this day is wholly empty.
        let credited = if drawn == idle { (drawn + 1) % QUARTER_DAYS_MIN } else { drawn };
        let mut stream = Stream::keyed(self.seed, Purpose::Credit, &[quarter, 1]);
        let femtos = stream.between(500_000_000_000_000, 8_000_000_000_000_000);
        (offset == credited).then(|| -i128::from(femtos))
    }

    /// Draws a day anew. The same salt gives the same numbers again; `None` takes the next unused
    /// one.
    pub(crate) fn restate(&mut self, day: Date, salt: Option<u64>) {
        let next = self.restated.get(&day).map_or(1, |last| last.wrapping_add(1));
        self.restated.insert(day, salt.unwrap_or(next));
    }

    /// The day on which the support copilot replaced the pilot: a 1 March, at least a month into
    /// the history.
    pub(crate) fn changeover(&self) -> Date {
        let earliest = self.first_day.checked_add(30.days()).unwrap_or(self.first_day);
        let march = Date::new(earliest.year(), 3, 1).expect("every year has a March");
        if march >= earliest { march } else { march.checked_add(1.year()).unwrap_or(march) }
    }

    /// Whether a project of this life is in use on `day`.
    pub(crate) fn is_alive(&self, life: Life, day: Date) -> bool {
        match life {
            Life::Always => true,
            Life::UntilChangeover => day < self.changeover(),
            Life::FromChangeover => day >= self.changeover(),
        }
    }

    fn totals(&self, day: Date, index: usize) -> Option<DayTotals> {
        let workload = &WORKLOADS[index];
        if !self.is_alive(PROJECTS[KEYS[workload.key].project].life, day) {
            return None;
        }
        let (is_restated, salt) = match self.restated.get(&day) {
            Some(salt) => (1, *salt),
            None => (0, 0),
        };
        let index = u64::try_from(index).expect("a handful of workloads");
        let key = [is_restated, salt, day_number(day), index];
        let mut stream = Stream::keyed(self.seed, Purpose::Workload, &key);
        let growth = 1_000 + (day_number(day).saturating_sub(day_number(GROWTH_EPOCH))).min(3_000);
        let is_weekend = day.weekday().to_monday_zero_offset() >= 5;
        let (week, spike) = match (workload.key == org::CHAT && self.is_spike(day), is_weekend) {
            // A retry loop keeps no office hours.
            (true, _) => (1_000, SPIKE_FACTOR),
            (false, true) => (workload.weekend_permille, 1),
            (false, false) => (1_000, 1),
        };
        let jitter = stream.between(760, 1_240);
        let requests = workload.requests * growth * week * spike * jitter / 1_000_000_000;
        // A request is never quite like another; neither are their averages on two days.
        let mut tokens = |each: u64| requests * each * stream.between(8_500, 11_500) / 10_000;
        let totals = DayTotals {
            requests,
            uncached_tokens: tokens(workload.uncached_tokens),
            cached_tokens: tokens(workload.cached_tokens),
            output_tokens: tokens(workload.output_tokens),
            searches: tokens(workload.searches_permille) / 1_000,
        };
        (requests > 0).then_some(totals)
    }

    fn is_idle(&self, day: Date) -> bool {
        let (quarter, offset) = quarter_of(day);
        // A restatement must change something, so a restated day is never idle.
        offset == self.offset_of(Purpose::Idle, quarter) && !self.restated.contains_key(&day)
    }

    fn is_spike(&self, day: Date) -> bool {
        let (quarter, offset) = quarter_of(day);
        offset == self.offset_of(Purpose::Spike, quarter)
    }

    fn offset_of(&self, purpose: Purpose, quarter: u64) -> u64 {
        Stream::keyed(self.seed, purpose, &[quarter]).between(0, QUARTER_DAYS_MIN - 1)
    }
}

/// No quarter is shorter.
const QUARTER_DAYS_MIN: u64 = 90;

/// A number for the calendar quarter, and how many days into it a day is.
fn quarter_of(day: Date) -> (u64, u64) {
    let quarter = (day.month() - 1) / 3;
    let first = Date::new(day.year(), quarter * 3 + 1, 1).expect("every quarter has a first day");
    let number = i64::from(day.year()) * 4 + i64::from(quarter);
    (number.unsigned_abs(), day_number(day) - day_number(first))
}

/// Days since the year 0 or thereabouts; only differences and identity matter.
fn day_number(day: Date) -> u64 {
    let days = (day - Date::ZERO).get_days();
    u64::try_from(days).unwrap_or(0)
}
