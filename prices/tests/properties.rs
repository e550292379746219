//! What holds for every call, whatever its numbers.

use domain::{Quantity, Usage};
use prices::Estimate;
use proptest::prelude::*;

use crate::till::{ask, catalogue};

const SHOP: &str = r#"
seller = "shop"
[[model]]
id = "everything"
[[model.price]]
input = "2.345678901"
cache_read = "0.003625"
cache_write_5m = "3.75"
cache_write_1h = "6.000001"
input_audio = "32"
cache_read_audio = "0.4"
input_image = "8"
cache_read_image = "2"
output = "10.1"
output_reasoning = "11"
output_audio = "64"
output_image = "30"
per_request = "0.005"
per_web_search = "0.01"
data_residency = { eu = "1.1" }

[[model]]
id = "long"
[[model.price]]
input = "1.000000007"
cache_read = "0.1"
output = "10"
[[model.price.over]]
input_tokens_above = 200000
input = "2.000000003"
cache_read = "0.2"
output = "15"

[[model]]
id = "seconds"
[[model.price]]
per_audio_hour = "0.111"
"#;

/// Counts whose parts lie within their wholes.
fn usages() -> impl Strategy<Value = Usage> {
    let counts = proptest::collection::vec(0_u64..5_000_000, 11);
    (counts, 0_u64..20).prop_map(|(counts, searches)| Usage {
        input_tokens: Some(counts[..7].iter().sum()),
        cache_read_tokens: Some(counts[0] + counts[1] + counts[2]),
        cache_read_audio_tokens: Some(counts[1]),
        cache_read_image_tokens: Some(counts[2]),
        cache_write_tokens: Some(counts[3]),
        cache_write_1h_tokens: Some(counts[3] / 3),
        input_audio_tokens: Some(counts[1] + counts[4]),
        input_image_tokens: Some(counts[2] + counts[5]),
        output_tokens: Some(counts[7..].iter().sum()),
        output_reasoning_tokens: Some(counts[8]),
        output_audio_tokens: Some(counts[9]),
        output_image_tokens: Some(counts[10]),
        web_searches: Some(searches),
        ..Usage::default()
    })
}

fn femtos(estimate: &Estimate<'_>) -> i128 {
    estimate.cost.expect("it is priced").femtos()
}

proptest! {
    #[test]
    fn the_lines_are_the_cost_and_their_quantities_are_the_usage(usage in usages()) {
        let shop = catalogue(&[SHOP]);
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        let estimate = ask("shop", "everything", usage).of(&shop);
        let sum: i128 = estimate.lines.iter().map(|line| line.cost.femtos()).sum();
        prop_assert_eq!(sum, femtos(&estimate));
        let of = |side: &str| {
            let lines = estimate.lines.iter();
            let is_output = |unit: &str| unit.starts_with("output");
            let tokens = lines.filter(|line| line.unit.ends_with("_tokens"));
            tokens
                .filter(|line| is_output(line.unit) == (side == "output"))
                .fold(Quantity::ZERO, |sum, line| sum.checked_add(line.quantity).unwrap())
        };
        prop_assert_eq!(of("input"), Quantity::from_count(input.unwrap()).unwrap());
        prop_assert_eq!(of("output"), Quantity::from_count(output.unwrap()).unwrap());
    }

    #[test]
    fn more_of_anything_never_costs_less_within_a_card(
        usage in usages(), more in 1_u64..1_000_000, which in 0_usize..4,
    ) {
        let shop = catalogue(&[SHOP]);
        let less = ask("shop", "everything", usage.clone()).of(&shop);
        let grown = |count: Option<u64>| count.map(|count| count + more);
        let larger = match which {
            0 => Usage { input_tokens: grown(usage.input_tokens), ..usage },
            1 => Usage { output_tokens: grown(usage.output_tokens), ..usage },
            2 => Usage { web_searches: grown(usage.web_searches), ..usage },
            _ => Usage {
                input_tokens: grown(usage.input_tokens),
                cache_write_tokens: grown(usage.cache_write_tokens),
                ..usage
            },
        };
        let most = ask("shop", "everything", larger).of(&shop);
        prop_assert!(femtos(&less) <= femtos(&most));
    }

    #[test]
    fn more_input_never_costs_less_across_a_threshold(input in 1_u64..400_000, more in 0_u64..9) {
        let shop = catalogue(&[SHOP]);
        let of = |input| ask("shop", "long", crate::till::tokens(input, 7)).of(&shop);
        prop_assert!(femtos(&of(input)) <= femtos(&of(input + more)));
    }

    #[test]
    fn splitting_a_call_changes_its_cost_by_a_femtodollar_a_line_and_part_at_most(
        left in usages(), right in usages(),
    ) {
        let shop = catalogue(&[SHOP]);
        let once = |usage: &Usage| Usage { requests: Some(0), ..usage.clone() };
        let whole = sum(&left, &right);
        let of = |usage: &Usage| ask("shop", "everything", once(usage)).of(&shop);
        let (left, right, whole) = (of(&left), of(&right), of(&whole));
        let difference = (femtos(&left) + femtos(&right) - femtos(&whole)).abs();
        let most = i128::try_from(whole.lines.len() * 2).unwrap();
        prop_assert!(difference <= most, "{difference} of {most}");
    }

    #[test]
    fn seconds_are_priced_to_the_microsecond(micros in 0_i128..10_000_000_000) {
        let shop = catalogue(&[SHOP]);
        let audio_seconds = Quantity::from_femtos(micros * 1_000_000_000);
        let usage = Usage { audio_seconds, ..Usage::default() };
        let estimate = ask("shop", "seconds", usage).of(&shop);
        // 0.111 dollars an hour: 111 × 10¹² femtodollars for 3.6 × 10⁹ microseconds.
        let exact = micros * 111_000_000_000_000;
        let rounded = femtos(&estimate) * 3_600_000_000;
        prop_assert!((exact - rounded).abs() * 2 <= 3_600_000_000);
    }

    #[test]
    fn no_usage_makes_it_panic(counts in proptest::collection::vec(any::<Option<u64>>(), 17)) {
        let shop = catalogue(&[SHOP]);
        let usage = Usage {
            input_tokens: counts[0],
            cache_read_tokens: counts[1],
            cache_write_tokens: counts[2],
            cache_write_1h_tokens: counts[3],
            input_audio_tokens: counts[4],
            input_image_tokens: counts[5],
            cache_read_audio_tokens: counts[6],
            cache_read_image_tokens: counts[7],
            output_tokens: counts[8],
            output_reasoning_tokens: counts[9],
            output_audio_tokens: counts[10],
            output_image_tokens: counts[11],
            requests: counts[12],
            web_searches: counts[13],
            input_characters: counts[14],
            images: counts[15],
            pages: counts[16],
            ..Usage::default()
        };
        let asked = ask("shop", "everything", usage);
        let call = prices::Call {
            service: asked.service,
            model: asked.model,
            usage: &asked.usage,
            context: &asked.context,
            beyond: &[],
            at: asked.at.parse().unwrap(),
        };
        if let Ok(estimate) = shop.estimate(&[], &call) {
            let cost = estimate.cost.map_or(0, |cost| cost.femtos());
            prop_assert!(cost >= 0);
        }
    }
}

fn sum(left: &Usage, right: &Usage) -> Usage {
    let add = |left: Option<u64>, right: Option<u64>| Some(left? + right?);
    Usage {
        input_tokens: add(left.input_tokens, right.input_tokens),
        cache_read_tokens: add(left.cache_read_tokens, right.cache_read_tokens),
        cache_read_audio_tokens: add(left.cache_read_audio_tokens, right.cache_read_audio_tokens),
        cache_read_image_tokens: add(left.cache_read_image_tokens, right.cache_read_image_tokens),
        cache_write_tokens: add(left.cache_write_tokens, right.cache_write_tokens),
        cache_write_1h_tokens: add(left.cache_write_1h_tokens, right.cache_write_1h_tokens),
        input_audio_tokens: add(left.input_audio_tokens, right.input_audio_tokens),
        input_image_tokens: add(left.input_image_tokens, right.input_image_tokens),
        output_tokens: add(left.output_tokens, right.output_tokens),
        output_reasoning_tokens: add(left.output_reasoning_tokens, right.output_reasoning_tokens),
        output_audio_tokens: add(left.output_audio_tokens, right.output_audio_tokens),
        output_image_tokens: add(left.output_image_tokens, right.output_image_tokens),
        web_searches: add(left.web_searches, right.web_searches),
        ..Usage::default()
    }
}
