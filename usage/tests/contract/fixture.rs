//! Fixtures: what a provider sends, and the reading that is expected, in files side by side.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};
use usage::{RawFormat, RawUsageError, Reading, Strictness, read, read_stream};

/// A block, a response or a stream, and its reading.
pub(crate) struct Fixture {
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) expected: Value,
    is_stream: bool,
}

/// All fixtures of a shape, by name.
pub(crate) fn fixtures(format: RawFormat) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format.as_str());
    let Ok(entries) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let bodies = paths.iter().filter(|path| !path.to_str().unwrap().ends_with(".expected.json"));
    let fixture = |path: &std::path::PathBuf| Fixture {
        body: fs::read_to_string(path).unwrap(),
        expected: {
            let text = fs::read_to_string(path.with_extension("expected.json")).unwrap();
            serde_json::from_str(&text).unwrap()
        },
        is_stream: path.extension().is_some_and(|extension| extension == "sse"),
        path: path.display().to_string(),
    };
    bodies.map(fixture).collect()
}

pub(crate) fn read_fixture(
    format: RawFormat,
    fixture: &Fixture,
    body: &str,
    strictness: Strictness,
) -> Result<Reading, RawUsageError> {
    match fixture.is_stream {
        true => read_stream(format, body, strictness),
        false => read(format, body, strictness),
    }
}

/// A reading in the words of a fixture's expectation: what is not said is not there.
pub(crate) fn shown(reading: &Reading) -> Value {
    let mut usage = Map::new();
    for (unit, quantity) in reading.usage.quantities() {
        let text = quantity.to_string();
        let value = match unit {
            "audio_seconds" => Value::from(text),
            _ => Value::from(text.parse::<u64>().unwrap()),
        };
        usage.insert(unit.to_owned(), value);
    }
    let context = &reading.context;
    assert!(context.unknown.is_empty(), "{:?}", context.unknown);
    let words = [
        ("processing", context.processing.map(|word| word.as_str())),
        ("service_tier", context.service_tier.map(|word| word.as_str())),
        ("speed", context.speed.map(|word| word.as_str())),
        ("data_residency", context.data_residency.as_ref().map(|place| place.as_str())),
    ];
    let words = words.into_iter().filter_map(|(name, word)| Some((name, word?.into())));
    let context: Map<String, Value> = words.map(|(name, word)| (name.to_owned(), word)).collect();
    let beyond = reading.beyond.iter().map(|(unit, count)| ((*unit).to_owned(), (*count).into()));
    let beyond: Map<String, Value> = beyond.collect();
    let flags: Vec<&str> = reading.flags.iter().map(|flag| flag.kind.as_str()).collect();
    let mut shown = json!({ "usage": usage });
    let parts = [
        ("context", (!context.is_empty()).then(|| Value::from(context))),
        ("model", reading.model.clone().map(Value::from)),
        ("response_id", reading.response_id.clone().map(Value::from)),
        ("stated_cost", reading.stated_cost.map(|cost| cost.amount.to_string().into())),
        ("beyond", (!beyond.is_empty()).then(|| Value::from(beyond))),
        ("flags", (!flags.is_empty()).then(|| Value::from(flags))),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            shown[name] = value;
        }
    }
    shown
}
