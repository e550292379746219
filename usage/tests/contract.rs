//! What every shape must keep, checked for each in `RawFormat::ALL`: against its fixtures, and
//! against a probe, which is a block with one figure of each kind that the shape has.
//!
//! A new shape needs a folder of fixtures and a probe; these tests then say what is missing.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

#[path = "contract/fixture.rs"]
mod fixture;
#[path = "contract/probes.rs"]
mod probes;

use fixture::{fixtures, read_fixture, shown};
use probes::{PROBES, Probe};
use serde_json::Value;
use usage::{FlagKind, RawFormat, RawUsageErrorKind, Strictness, read, read_stream};

const BOTH: [Strictness; 2] = [Strictness::Refuse, Strictness::Flag];

/// JSON pointers to all numbers of a value.
fn numbers(value: &Value) -> Vec<String> {
    let within = |key: &str, inner: &Value| {
        numbers(inner).into_iter().map(|rest| format!("/{key}{rest}")).collect::<Vec<_>>()
    };
    match value {
        Value::Number(_) => vec![String::new()],
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, inner)| within(key, inner)).collect()
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.flat_map(|(index, inner)| within(&index.to_string(), inner)).collect()
        }
        _ => Vec::new(),
    }
}

/// A block with the value at a pointer replaced by JSON text.
fn with(block: &str, pointer: &str, text: &str) -> String {
    const MARK: &str = "the value goes here";
    let mut value: Value = serde_json::from_str(block).unwrap();
    *value.pointer_mut(pointer).unwrap() = MARK.into();
    value.to_string().replace(&format!("\"{MARK}\""), text)
}

#[test]
fn every_shape_has_fixtures_and_a_probe() {
    for format in RawFormat::ALL {
        assert_eq!(RawFormat::parse(format.as_str()), Ok(format));
        assert!(!fixtures(format).is_empty(), "{format:?}");
        assert_eq!(PROBES.iter().filter(|probe| probe.format == format).count(), 1, "{format:?}");
    }
    let error = RawFormat::parse("openai").unwrap_err();
    assert!(error.to_string().contains("openai_chat"), "{error}");
}

#[test]
fn every_fixture_reads_as_expected_whatever_the_strictness() {
    for format in RawFormat::ALL {
        for fixture in fixtures(format) {
            for strictness in BOTH {
                let reading = read_fixture(format, &fixture, &fixture.body, strictness);
                let reading = reading.unwrap_or_else(|error| panic!("{}: {error}", fixture.path));
                assert_eq!(shown(&reading), fixture.expected, "{}", fixture.path);
                assert_eq!(reading.usage.check(), Ok(()), "{}", fixture.path);
            }
        }
    }
}

#[test]
fn usage_by_itself_reads_like_usage_within_its_response() {
    for Probe { format, block, whole, .. } in PROBES {
        let alone = read(*format, block, Strictness::Refuse).unwrap();
        let within = read(*format, &whole.replace("BLOCK", block), Strictness::Refuse).unwrap();
        assert_eq!(alone.usage, within.usage, "{format:?}");
        assert_eq!(alone.beyond, within.beyond, "{format:?}");
        assert_eq!(alone, read(*format, block, Strictness::Flag).unwrap(), "{format:?}");
    }
}

#[test]
fn what_is_not_said_is_not_zero_and_what_is_zero_is_said() {
    for Probe { format, of_one, .. } in PROBES {
        let (block, said) = of_one;
        for strictness in BOTH {
            let zero = read(*format, &block.replace("N", "0"), strictness).unwrap();
            assert_eq!(said(&zero.usage).map(|count| count.to_string()), Some("0".to_owned()));
            let said_by = |text: &str| read(*format, &block.replace("N", text), strictness);
            let null = said_by("null").unwrap_err();
            assert_eq!(null.kind, RawUsageErrorKind::NoUsage, "{format:?}");
        }
    }
}

#[test]
fn no_usage_is_an_error_and_never_zero() {
    for format in RawFormat::ALL {
        for block in ["{}", r#"{"usage":null}"#, r#"{"id":"a","model":"b"}"#] {
            for strictness in BOTH {
                let error = read(format, block, strictness).unwrap_err();
                assert_eq!(error.kind, RawUsageErrorKind::NoUsage, "{format:?} {block}");
                assert!(error.detail.contains("not zero"), "{error}");
            }
        }
    }
}

#[test]
fn figures_that_are_no_counts_are_refused_with_their_place() {
    for Probe { format, block, fractions, .. } in PROBES {
        for pointer in numbers(&serde_json::from_str(block).unwrap()) {
            for text in ["-1", "1.5", "9007199254740993", "1e400", "true", "\"many\"", "[]"] {
                if text == "1.5" && *fractions == Some(pointer.as_str()) {
                    continue;
                }
                for strictness in BOTH {
                    let block = with(block, &pointer, text);
                    let error = read(*format, &block, strictness).unwrap_err();
                    assert_eq!(error.kind, RawUsageErrorKind::NotACount, "{format:?} {block}");
                    assert_eq!(error.pointer, pointer, "{format:?} {block}");
                }
            }
        }
    }
}

#[test]
fn parts_beyond_their_whole_are_refused_or_flagged_and_the_whole_holds_them() {
    for Probe { format, over, .. } in PROBES {
        let (block, pointer) = over;
        let error = read(*format, block, Strictness::Refuse).unwrap_err();
        assert_eq!(error.kind, RawUsageErrorKind::Inconsistent, "{format:?}");
        assert_eq!(error.pointer, *pointer, "{format:?}: {error}");
        let reading = read(*format, block, Strictness::Flag).unwrap();
        let is_flagged =
            [FlagKind::Inconsistent, FlagKind::CacheOutside, FlagKind::ReasoningOutside];
        assert!(is_flagged.iter().any(|kind| reading.is_flagged(*kind)), "{format:?}");
        assert_eq!(reading.usage.check(), Ok(()), "{format:?}");
    }
}

#[test]
fn fields_that_nobody_knows_are_ignored() {
    for Probe { format, block, .. } in PROBES {
        let expected = read(*format, block, Strictness::Refuse).unwrap();
        let surprise = r#"{"surprise":{"x":[1,-1.5,"y",null]},"other_tokens":-3,"#;
        let block = block.replacen('{', surprise, 1);
        assert_eq!(read(*format, &block, Strictness::Refuse), Ok(expected), "{format:?}");
    }
}

#[test]
fn text_that_is_cut_anywhere_is_an_error_and_never_a_smaller_usage() {
    for format in RawFormat::ALL {
        for fixture in fixtures(format) {
            let whole = read_fixture(format, &fixture, &fixture.body, Strictness::Refuse).unwrap();
            let end = fixture.body.trim_end().len();
            for (at, _) in fixture.body.char_indices().filter(|(at, _)| *at < end) {
                let cut = fixture.body.get(..at).unwrap();
                match read_fixture(format, &fixture, cut, Strictness::Refuse) {
                    Err(error) => assert_ne!(error.kind, RawUsageErrorKind::Inconsistent),
                    Ok(reading) if reading.is_flagged(FlagKind::Cut) => {}
                    Ok(reading) => assert_eq!(reading.usage, whole.usage, "{} {at}", fixture.path),
                }
            }
        }
    }
}

#[test]
fn text_that_is_no_block_is_an_error_whatever_the_shape() {
    for format in RawFormat::ALL {
        for text in ["", " ", "null", "[]", "1", "\"a\"", "{\"usage\":", "{\"a\":}", "\u{0}", "{{"]
        {
            for strictness in BOTH {
                let error = read(format, text, strictness).unwrap_err();
                assert_eq!(error.kind, RawUsageErrorKind::Malformed, "{format:?} {text:?}");
                assert!(read_stream(format, text, strictness).is_err(), "{format:?} {text:?}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_no_way_to_stop_us() {
    let deep = "[".repeat(200_000);
    for format in RawFormat::ALL {
        assert!(read(format, &format!("{{\"usage\":{deep}"), Strictness::Refuse).is_err());
        assert!(read_stream(format, &deep, Strictness::Refuse).is_err());
    }
}
