//! Worked cases: what calls cost by several public libraries, and what was decided where they
//! differ. Computed on 2026-11-20 with litellm 1.109.1, genai-prices 0.2.3 and metergraph-core
//! 0.7.4; `cases.jsonl` keeps their figures and the reason for ours.

use domain::{
    Currency, Money, Processing, Quantity, RateContext, ServiceTier, Speed, Usage, fixed,
};
use prices::{Call, Catalogue, Confidence, Estimate, Status};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    id: String,
    provider: String,
    model: String,
    usage: BTreeMap<String, Box<RawValue>>,
    context: BTreeMap<String, String>,
    timestamp: String,
    raw_flavour: Option<String>,
    raw_usage: Option<Box<RawValue>>,
    expected: Option<String>,
    basis: String,
}

fn cases() -> Vec<Case> {
    let text = include_str!("cases.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a case is JSON")).collect()
}

impl Case {
    fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for (name, value) in &self.usage {
            let count = || value.get().parse::<u64>().expect("a count is whole");
            let place = match name.as_str() {
                "input_tokens" => &mut usage.input_tokens,
                "cache_read_tokens" => &mut usage.cache_read_tokens,
                "cache_write_tokens" => &mut usage.cache_write_tokens,
                "cache_write_1h_tokens" => &mut usage.cache_write_1h_tokens,
                "input_audio_tokens" => &mut usage.input_audio_tokens,
                "input_image_tokens" => &mut usage.input_image_tokens,
                "output_tokens" => &mut usage.output_tokens,
                "output_reasoning_tokens" => &mut usage.output_reasoning_tokens,
                "output_image_tokens" => &mut usage.output_image_tokens,
                "web_searches" => &mut usage.web_searches,
                "input_characters" => &mut usage.input_characters,
                "audio_seconds" => {
                    let seconds = Quantity::parse_rounded(value.get());
                    usage.audio_seconds = Some(seconds.expect("seconds are a number"));
                    continue;
                }
                unknown => panic!("{}: what is `{unknown}`?", self.id),
            };
            *place = Some(count());
        }
        usage
    }

    fn context(&self) -> RateContext {
        let mut context = RateContext::default();
        for (name, word) in &self.context {
            match name.as_str() {
                "processing" => context.processing = Processing::parse(word).ok(),
                "service_tier" => context.service_tier = ServiceTier::parse(word).ok(),
                "speed" => context.speed = Speed::parse(word).ok(),
                unknown => panic!("{}: what is `{unknown}`?", self.id),
            }
        }
        context
    }

    fn estimate(&self, usage: &Usage, context: &RateContext) -> Estimate<'static> {
        let call = Call {
            service: &self.provider,
            model: &self.model,
            usage,
            context,
            beyond: &[],
            at: self.timestamp.parse().expect("a case has its instant"),
        };
        Catalogue::built_in().estimate(&[], &call).expect("a case's usage adds up")
    }

    /// Checks an estimate against the case; what is wrong, if anything.
    fn judge(&self, estimate: &Estimate<'_>, how: &str) -> Option<String> {
        let missing: Vec<_> = estimate.missing.iter().map(ToString::to_string).collect();
        let told = |what: String| Some(format!("{} from {how}: {what}", self.id));
        let Some(expected) = &self.expected else {
            return match self.basis.as_str() {
                "unpriced" if estimate.status == Status::Unpriced && estimate.cost.is_none() => {
                    None
                }
                "unresolved"
                    if estimate
                        .used
                        .is_some_and(|used| used.confidence == Confidence::Disputed) =>
                {
                    None
                }
                basis => told(format!("should be {basis}: {:?} {missing:?}", estimate.used)),
            };
        };
        let expected = Money::parse_exact(expected, Currency::USD).expect("a cost is decimal");
        match (estimate.status, estimate.cost) {
            (Status::Priced, Some(cost)) if is_close(cost, expected) => None,
            (status, cost) => {
                told(format!("{} {cost:?}, not {expected:?}; {missing:?}", status.as_str()))
            }
        }
    }
}

/// Within a millionth: one of the libraries adds in binary floats.
fn is_close(cost: Money, expected: Money) -> bool {
    (cost.femtos() - expected.femtos()).abs() * 1_000_000 <= expected.femtos()
}

#[test]
fn every_case_has_its_expected_cost() {
    let cases = cases();
    assert_eq!(cases.len(), 60);
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let estimate = case.estimate(&case.usage(), &case.context());
            case.judge(&estimate, "usage")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_costs_the_same_from_the_providers_own_block() {
    let mut read = 0;
    let mut wrong = vec![];
    for case in cases() {
        let (Some(format), Some(block)) = (&case.raw_flavour, &case.raw_usage) else { continue };
        let format = usage::RawFormat::parse(format).expect("a known form of usage");
        let reading = usage::read(format, block.get(), usage::Strictness::Refuse);
        let reading = reading.unwrap_or_else(|error| panic!("{}: {error}", case.id));
        let context = case.context().corrected_by(reading.context);
        let estimate = case.estimate(&reading.usage, &context);
        wrong.extend(case.judge(&estimate, "raw_usage"));
        read += 1;
    }
    assert_eq!(read, 58);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn figures_without_a_float_are_met_to_the_digit() {
    // Where all libraries that have the price agree, the figure is exact.
    let wrong: Vec<_> = cases()
        .iter()
        .filter(|case| case.basis == "both")
        .filter_map(|case| {
            let cost = case.estimate(&case.usage(), &case.context()).cost?.femtos();
            let expected = fixed::parse_exact(case.expected.as_deref()?).ok()?;
            (cost != expected).then(|| format!("{}: {cost} {expected}", case.id))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
