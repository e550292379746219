//! Whole lives by seed: a fixed list, one that nobody has seen, and as many more as
//! `cargo test -p outlay-simulation --test seeds -- --seeds 5000 --from 1` says.
#![expect(clippy::print_stdout, reason = "a seed is for the person who wants its run again")]

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use simulation::auditor::Findings;
use simulation::world::{Played, play};

/// Played each time.
const FIXED: std::ops::Range<u64> = 1..21;

fn main() -> ExitCode {
    let (own, others) = own_arguments();
    let arguments = Arguments::from_iter(others);
    let mut trials: Vec<Trial> = match own.count {
        Some(count) => (own.from..own.from + count).map(trial).collect(),
        None => FIXED.map(trial).collect(),
    };
    if own.count.is_none() {
        let random = uuid::Uuid::new_v4().as_u64_pair().1 % 1_000_000_000;
        println!("again with -- --seeds 1 --from {random}");
        trials.push(trial(random));
        trials.push(Trial::test("the_same_seed_gives_the_same_run", the_same_run));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let all = SUM.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} groups ({} of unknown outcome), {} claims and {} questions; \
         {} decisions in {} entries, {} snapshots",
        all.group_count,
        all.unknown_count,
        all.claim_count,
        all.question_count,
        all.decision_count,
        all.entry_count,
        all.snapshot_count
    );
    conclusion.exit_code()
}

/// What all runs together were.
static SUM: Mutex<Findings> = Mutex::new(Findings::NOTHING);

fn trial(seed: u64) -> Trial {
    Trial::test(format!("seed_{seed}"), move || {
        let played = play(seed);
        SUM.lock().unwrap_or_else(PoisonError::into_inner).add(&played.findings);
        judged(&played)
    })
}

fn judged(played: &Played) -> Result<(), Failed> {
    match played.findings.wrong.is_empty() {
        true => Ok(()),
        false => {
            let wrong: Vec<String> = played
                .findings
                .wrong
                .iter()
                .take(8)
                .map(|line| line.chars().take(900).collect())
                .collect();
            let last = played.last.last(&["n", "#"], own_arguments().0.trace).join("\n");
            Err(format!("seed {}:\n{}\n{last}", played.seed, wrong.join("\n")).into())
        }
    }
}

fn the_same_run() -> Result<(), Failed> {
    for seed in [7, 11] {
        let (first, second) = (play(seed), play(seed));
        if first.trace != second.trace {
            return Err(format!("{:?} and {:?}", first.trace, second.trace).into());
        }
    }
    Ok(())
}

struct Own {
    count: Option<u64>,
    from: u64,
    /// How many of a failed run's last lines are shown.
    trace: usize,
}

/// Our own arguments, and those of every test program.
fn own_arguments() -> (Own, Vec<String>) {
    let mut own = Own { count: None, from: 1, trace: 0 };
    let mut others = vec![];
    let mut all = std::env::args();
    while let Some(argument) = all.next() {
        let mut number =
            || all.next().and_then(|text| text.parse().ok()).expect("a number follows");
        match argument.as_str() {
            "--seeds" => own.count = Some(number()),
            "--from" => own.from = number(),
            "--trace" => own.trace = usize::try_from(number()).expect("few lines"),
            _ => others.push(argument),
        }
    }
    (own, others)
}
