//! How long pricing one call takes, and loading the catalogue, beside two Python libraries that
//! price the same calls in the same run.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_types, clippy::float_arithmetic, reason = "times for a person")]

use std::{
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use domain::{RateContext, Usage};
use prices::{Call, Catalogue};

const ROUNDS: usize = 40;
const CALLS: u32 = 25_000;

fn main() {
    let load = best(3, || drop(black_box(Catalogue::read_built_in())));
    let catalogue = Catalogue::built_in();
    let models: usize = catalogue.sellers().iter().map(|seller| seller.models().len()).sum();
    let load = load.as_secs_f64() * 1e3;
    println!("The catalogue {}: {models} models, loaded in {load:.1} ms", catalogue.id());
    let plain = tokens(1_000, 0, 500);
    let tiered = tokens(300_000, 100_000, 500);
    let ours = [nanoseconds(catalogue, &plain), nanoseconds(catalogue, &tiered)];
    println!("One estimate of gpt-5.4, in the library:");
    println!("  {:<24} {:>12} {:>12}", "", "plain", "tiered");
    println!("  {:<24} {:>9.0} ns {:>9.0} ns", "outlay", ours[0], ours[1]);
    for (library, times) in rivals() {
        let [plain, tiered] = times;
        let ratio = [plain * 1e3 / ours[0], tiered * 1e3 / ours[1]];
        println!(
            "  {library:<24} {plain:>9.1} µs {tiered:>9.1} µs   {:.0} and {:.0} times ours",
            ratio[0], ratio[1]
        );
    }
}

fn tokens(input: u64, cached: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        cache_read_tokens: Some(cached),
        output_tokens: Some(output),
        ..Usage::default()
    }
}

/// The best of several rounds: what the code takes where nothing else disturbs it.
fn best(rounds: usize, mut work: impl FnMut()) -> Duration {
    let timed = (0..rounds).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed()
    });
    timed.min().expect("there is a round")
}

fn nanoseconds(catalogue: &Catalogue, usage: &Usage) -> f64 {
    let context = RateContext::default();
    let at = "2026-11-20T12:00:00Z".parse().expect("an instant");
    let call =
        Call { service: "openai", model: "gpt-5.4", usage, context: &context, beyond: &[], at };
    let taken = best(ROUNDS, || {
        for _ in 0..CALLS {
            let estimate = catalogue.estimate(&[], black_box(&call)).expect("it adds up");
            assert!(black_box(estimate).cost.is_some());
        }
    });
    taken.as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// What the Python libraries take, where `make bench` has installed them.
fn rivals() -> Vec<(String, [f64; 2])> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark is told by its script")]
    let Ok(python) = std::env::var("OUTLAY_BENCH_PRICES_PYTHON") else {
        println!("(genai-prices and litellm: not measured; `make bench` installs them)");
        return vec![];
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/prices/rivals.py");
    let output = Command::new(python).arg(script).output().expect("Python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, version, plain, tiered] = words[..] else { return None };
        Some((format!("{name} {version}"), [plain.parse().ok()?, tiered.parse().ok()?]))
    };
    said.lines().filter_map(row).collect()
}
