//! What becomes of a call to the store: by chance from a seed, or as a scenario says.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::dice::Dice;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Fine,
    /// Nothing is done, and the error says so.
    Fails,
    /// It is done; the answer is lost.
    LosesAnswer,
    /// The answer is lost, and it is done so much later, after whatever happens meanwhile.
    LandsLater(Duration),
    /// The answer is lost, and it is never done.
    NeverLands,
    /// It is done, and answered so much later.
    AnswersAfter(Duration),
    /// It is done so much later, and then answered.
    BeginsAfter(Duration),
    /// It is done, and then the caller's process is gone.
    CrashesAfter,
    /// The caller's process is gone before it is done.
    CrashesBefore,
}

/// How often what goes wrong, in thousandths of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Reads that fail.
    pub reads_fail: u64,
    /// Writes that certainly fail.
    pub writes_fail: u64,
    /// Writes whose outcome nobody says, of every kind.
    pub writes_ambiguous: u64,
    /// Longest delay before, and after, a call.
    pub delay_max: Duration,
}

impl Rates {
    /// Nothing goes wrong, and nothing takes time.
    pub const CALM: Rates = Rates {
        reads_fail: 0,
        writes_fail: 0,
        writes_ambiguous: 0,
        delay_max: Duration::from_micros(50),
    };

    /// How stormy it is in a seed's run.
    #[must_use]
    pub fn of(dice: &mut Dice) -> Rates {
        let delay_max = Duration::from_millis(*dice.pick(&[1, 5, 30, 200]));
        let worst = *dice.pick(&[0, 10, 50, 150]);
        Rates {
            reads_fail: dice.between(0, worst + 1),
            writes_fail: dice.between(0, worst + 1),
            writes_ambiguous: dice.between(0, 2 * worst + 1),
            delay_max,
        }
    }
}

/// The weather between one node and the store.
#[derive(Debug)]
pub struct Weather {
    dice: Dice,
    /// How often what goes wrong.
    pub rates: Rates,
    /// Until then every call fails.
    pub cut_until: Instant,
    /// After so many more calls the node's process is gone.
    pub crash_in: Option<u64>,
    /// What becomes of the next calls of a name.
    script: VecDeque<(&'static str, Fate)>,
    /// How many calls there were.
    pub call_count: u64,
}

impl Weather {
    /// Good weather, with its own dice.
    #[must_use]
    pub fn new(dice: Dice, rates: Rates) -> Weather {
        let (cut_until, script) = (Instant::now(), VecDeque::new());
        Weather { dice, rates, cut_until, crash_in: None, script, call_count: 0 }
    }

    /// Says what becomes of the next call of this name that nothing is said of yet.
    pub fn next(&mut self, call: &'static str, fate: Fate) {
        self.script.push_back((call, fate));
    }

    /// Forgets what was said of calls to come.
    pub fn clear(&mut self) {
        self.script.clear();
    }

    /// How long a call takes on its way.
    pub fn delay(&mut self) -> Duration {
        let most = u64::try_from(self.rates.delay_max.as_micros()).expect("a delay is short");
        Duration::from_micros(self.dice.between(0, most.max(1)))
    }

    /// What becomes of a call.
    pub fn fate(&mut self, call: &'static str, is_write: bool) -> Fate {
        self.call_count += 1;
        let said = self.script.iter().position(|(name, _)| *name == call);
        if let Some((_, fate)) = said.and_then(|place| self.script.remove(place)) {
            return fate;
        }
        if let Some(left) = self.crash_in {
            self.crash_in = left.checked_sub(1);
            if left == 0 {
                let crashes = [Fate::CrashesBefore, Fate::CrashesAfter];
                return *self.dice.pick(&crashes);
            }
        }
        if Instant::now() < self.cut_until {
            let fates = [Fate::Fails, Fate::NeverLands];
            return if is_write { *self.dice.pick(&fates) } else { Fate::Fails };
        }
        if !is_write {
            let fails = self.dice.happens(self.rates.reads_fail);
            return if fails { Fate::Fails } else { Fate::Fine };
        }
        if self.dice.happens(self.rates.writes_fail) {
            return Fate::Fails;
        }
        if self.dice.happens(self.rates.writes_ambiguous) {
            let later = Duration::from_millis(self.dice.between(1, 20_000));
            let fates = [Fate::LosesAnswer, Fate::LandsLater(later), Fate::NeverLands];
            return *self.dice.pick(&fates);
        }
        Fate::Fine
    }
}
