//! Usage as people send it, read from its text and never through a float.
//!
//! Everything that is wrong is said at once, each with its JSON pointer. A part that exceeds its
//! whole is refused and never cut.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use domain::{
    Quantity, Unit, Usage,
    fixed::{self, AmountError},
    usage::COUNT_MAX,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema, Type,
        schema::{AdditionalProperties, ObjectBuilder},
    },
};

use crate::{error::FieldError, extract::pointer_of, own_price_input::is_unit};

/// What a custom unit's name begins with.
pub(crate) const CUSTOM: &str = "custom:";

/// Counts of the vocabulary, with what they are.
const COUNTS: [(&str, &str); 17] = [
    (Unit::INPUT_TOKENS, "All input tokens, cached ones included."),
    (Unit::CACHE_READ_TOKENS, "Of the input: read from a cache."),
    (Unit::CACHE_WRITE_TOKENS, "Of the input: written to a cache, for however long."),
    (Unit::CACHE_WRITE_1H_TOKENS, "Of the cache writes: those that live an hour."),
    (Unit::INPUT_AUDIO_TOKENS, "Of the input: audio."),
    (Unit::INPUT_IMAGE_TOKENS, "Of the input: images."),
    (Unit::CACHE_READ_AUDIO_TOKENS, "Of the cache reads and the audio input: cached audio."),
    (Unit::CACHE_READ_IMAGE_TOKENS, "Of the cache reads and the image input: cached images."),
    (Unit::OUTPUT_TOKENS, "All output tokens."),
    (Unit::OUTPUT_REASONING_TOKENS, "Of the output: reasoning."),
    (Unit::OUTPUT_AUDIO_TOKENS, "Of the output: audio."),
    (Unit::OUTPUT_IMAGE_TOKENS, "Of the output: images."),
    (Unit::REQUESTS, "Calls; 1 if absent."),
    (Unit::WEB_SEARCHES, "Searches of the web that the provider made."),
    (Unit::INPUT_CHARACTERS, "Characters of input, for what is sold by the character."),
    (Unit::IMAGES, "Pictures, for what is sold by the picture."),
    (Unit::PAGES, "Pages, for what is sold by the page."),
];

/// The fields of an object in their order, each as its text.
pub(crate) struct Fields<'a>(pub(crate) Vec<(Name<'a>, &'a RawValue)>);

/// A field's name, copied only where it is written with escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'de>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = vec![];
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Reads a `usage` object that stands at `pointer`.
pub(crate) fn read_usage(raw: &RawValue, pointer: &str) -> Result<Usage, Vec<FieldError>> {
    let Ok(Fields(fields)) = serde_json::from_str(raw.get()) else {
        return Err(vec![FieldError::at(pointer, "expected an object")]);
    };
    let (mut usage, mut errors) = (Usage::default(), vec![]);
    let mut seen = BTreeSet::new();
    for (Name(name), value) in &fields {
        let read = match seen.insert(&**name) {
            false => Err(FieldError::at("", "this field is given twice")),
            true => read_field(&mut usage, name, value.get()),
        };
        let place = || format!("{pointer}{}", pointer_of(name));
        errors.extend(read.err().map(|error| error.within(&place())));
    }
    if errors.is_empty()
        && let Err(error) = usage.check()
    {
        let place = format!("{pointer}{}", pointer_of(error.unit()));
        errors.push(FieldError::at(place, error.to_string()).inconsistent());
    }
    if errors.is_empty() { Ok(usage) } else { Err(errors) }
}

fn read_field(usage: &mut Usage, name: &str, json: &str) -> Result<(), FieldError> {
    let wrong = |detail: &str| FieldError::at("", detail);
    if let Some(unit) = name.strip_prefix(CUSTOM) {
        if !is_unit(unit) {
            return Err(wrong("a unit has 1 to 64 letters, digits, `.`, `_` and `-`"));
        }
        if let Some(quantity) = quantity(json).map_err(wrong)? {
            usage.custom.push((unit.to_owned(), quantity));
        }
        return Ok(());
    }
    if name == Unit::AUDIO_SECONDS {
        usage.audio_seconds = quantity(json).map_err(wrong)?;
        return Ok(());
    }
    match count_of(usage, name) {
        Some(said) => *said = count(json).map_err(wrong)?,
        None => {
            let known: Vec<&str> = COUNTS.iter().map(|(name, _)| *name).collect();
            let detail = format!(
                "this field is not known; known here: {}, {}, {CUSTOM}NAME",
                known.join(", "),
                Unit::AUDIO_SECONDS,
            );
            return Err(wrong(&detail).unknown());
        }
    }
    Ok(())
}

fn count_of<'u>(usage: &'u mut Usage, name: &str) -> Option<&'u mut Option<u64>> {
    Some(match name {
        Unit::INPUT_TOKENS => &mut usage.input_tokens,
        Unit::CACHE_READ_TOKENS => &mut usage.cache_read_tokens,
        Unit::CACHE_WRITE_TOKENS => &mut usage.cache_write_tokens,
        Unit::CACHE_WRITE_1H_TOKENS => &mut usage.cache_write_1h_tokens,
        Unit::INPUT_AUDIO_TOKENS => &mut usage.input_audio_tokens,
        Unit::INPUT_IMAGE_TOKENS => &mut usage.input_image_tokens,
        Unit::CACHE_READ_AUDIO_TOKENS => &mut usage.cache_read_audio_tokens,
        Unit::CACHE_READ_IMAGE_TOKENS => &mut usage.cache_read_image_tokens,
        Unit::OUTPUT_TOKENS => &mut usage.output_tokens,
        Unit::OUTPUT_REASONING_TOKENS => &mut usage.output_reasoning_tokens,
        Unit::OUTPUT_AUDIO_TOKENS => &mut usage.output_audio_tokens,
        Unit::OUTPUT_IMAGE_TOKENS => &mut usage.output_image_tokens,
        Unit::REQUESTS => &mut usage.requests,
        Unit::WEB_SEARCHES => &mut usage.web_searches,
        Unit::INPUT_CHARACTERS => &mut usage.input_characters,
        Unit::IMAGES => &mut usage.images,
        Unit::PAGES => &mut usage.pages,
        _ => return None,
    })
}

/// Why a text is no amount of anything.
enum Wrong {
    NotANumber,
    Negative,
    TooLarge,
    TooFine,
}

/// A number of 10⁻¹⁵ units that is not negative; `None` for null, which says nothing.
fn number(json: &str) -> Result<Option<i128>, Wrong> {
    if json == "null" {
        return Ok(None);
    }
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(Wrong::NotANumber);
    }
    match fixed::parse_exact(json) {
        Ok(femtos) if femtos < 0 => Err(Wrong::Negative),
        Ok(femtos) => Ok(Some(femtos)),
        Err(AmountError::OutOfRange) if json.starts_with('-') => Err(Wrong::Negative),
        Err(AmountError::OutOfRange) => Err(Wrong::TooLarge),
        Err(AmountError::TooPrecise) => Err(Wrong::TooFine),
        Err(AmountError::Empty | AmountError::Malformed { .. }) => Err(Wrong::NotANumber),
    }
}

fn detail(wrong: Wrong, too_fine: &'static str) -> &'static str {
    match wrong {
        Wrong::NotANumber => "expected a number",
        Wrong::Negative => "is negative",
        Wrong::TooLarge => "is beyond 2^53",
        Wrong::TooFine => too_fine,
    }
}

/// A whole number from 0 to 2⁵³.
fn count(json: &str) -> Result<Option<u64>, &'static str> {
    let not_whole = "is not whole: what is counted has no fraction";
    let Some(femtos) = number(json).map_err(|wrong| detail(wrong, not_whole))? else {
        return Ok(None);
    };
    if femtos.rem_euclid(fixed::ONE) != 0 {
        return Err(not_whole);
    }
    let count = u64::try_from(femtos.div_euclid(fixed::ONE)).ok();
    count.filter(|count| *count <= COUNT_MAX).map(Some).ok_or("is beyond 2^53")
}

/// A number from 0 to 2⁵³ with up to six decimals.
fn quantity(json: &str) -> Result<Option<Quantity>, &'static str> {
    let too_fine = "has more than six decimals";
    let Some(femtos) = number(json).map_err(|wrong| detail(wrong, too_fine))? else {
        return Ok(None);
    };
    let most = Quantity::from_count(COUNT_MAX);
    match Quantity::from_femtos(femtos).filter(|quantity| Some(*quantity) <= most) {
        None => Err("is beyond 2^53"),
        Some(quantity) if quantity.micros().is_none() => Err(too_fine),
        Some(quantity) => Ok(Some(quantity)),
    }
}

/// What a call consumed, for the OpenAPI document.
pub(crate) enum UsageBody {}

impl PartialSchema for UsageBody {
    fn schema() -> RefOr<Schema> {
        let about = "What a call consumed. Wholes include their parts; what is absent is not said. \
                     Units of a custom service are called `custom:NAME`.";
        let mut object = ObjectBuilder::new().description(Some(about));
        for (name, about) in COUNTS {
            let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
            let count = count.maximum(Some(COUNT_MAX)).description(Some(about));
            object = object.property(name, count);
        }
        let amount = |about: &str| {
            let amount = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
            amount.description(Some(about.to_owned())).build()
        };
        let seconds = amount("Seconds of audio, with up to six decimals.");
        let custom = AdditionalProperties::RefOr(amount("Up to six decimals.").into());
        object.property(Unit::AUDIO_SECONDS, seconds).additional_properties(Some(custom)).into()
    }
}

impl ToSchema for UsageBody {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Usage, String> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        read_usage(&raw, "/usage").map_err(|errors| serde_json::to_string(&errors).unwrap())
    }

    #[test]
    fn every_word_of_the_vocabulary_is_read_into_its_place() {
        for (at, (name, _)) in COUNTS.iter().enumerate() {
            let usage = read(&format!("{{\"{name}\": {at}}}")).unwrap();
            let said: Vec<_> = usage.quantities().collect();
            assert_eq!(said, [(*name, Quantity::from_count(at.try_into().unwrap()).unwrap())]);
        }
        let usage = read(r#"{"audio_seconds": 1.5, "custom:tasks": 0.000001, "pages": null}"#);
        let usage = usage.unwrap();
        let text = |quantity: Quantity| quantity.to_string();
        assert_eq!(usage.audio_seconds.map(text).as_deref(), Some("1.5"));
        assert_eq!(usage.custom[0].0, "tasks");
        assert_eq!(text(usage.custom[0].1), "0.000001");
        assert_eq!(usage.pages, None, "null says nothing");
    }

    #[test]
    fn counts_are_read_from_their_text() {
        for (json, expected) in [
            ("0", Ok(Some(0))),
            ("5.0", Ok(Some(5))),
            ("1e3", Ok(Some(1000))),
            ("9007199254740992", Ok(Some(COUNT_MAX))),
            // As a float it would be the number above.
            ("9007199254740993", Err("2^53")),
            ("1e30", Err("2^53")),
            ("-1", Err("negative")),
            ("-1e30", Err("negative")),
            ("1.5", Err("not whole")),
            ("5.00000000000000000001", Err("not whole")),
            ("\"5\"", Err("expected a number")),
            ("true", Err("expected a number")),
            ("[]", Err("expected a number")),
        ] {
            match (count(json), expected) {
                (Ok(count), Ok(expected)) => assert_eq!(count, expected, "{json}"),
                (Err(detail), Err(part)) => assert!(detail.contains(part), "{json}: {detail}"),
                (count, _) => panic!("{json}: {count:?}"),
            }
        }
    }

    #[test]
    fn quantities_have_up_to_six_decimals() {
        for json in ["0", "0.000001", "9007199254740992", "1e-6"] {
            assert!(quantity(json).is_ok(), "{json}");
        }
        for json in ["0.0000001", "-0.5", "9007199254740992.000001", "\"1\"", "1e-16", "1e40"] {
            assert!(quantity(json).is_err(), "{json}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_its_place() {
        let told = read(r#"{"input_tokens": "7", "pages": -1, "tokens": 5, "custom:": 1}"#);
        let told = told.unwrap_err();
        for place in ["/usage/input_tokens", "/usage/pages", "/usage/tokens", "/usage/custom:"] {
            assert!(told.contains(&format!("\"{place}\"")), "{told}");
        }
        assert!(told.contains("unknown_field"), "{told}");
        let twice = read(r#"{"input_tokens": 1, "input_tokens": 1000}"#).unwrap_err();
        assert!(twice.contains("given twice"), "{twice}");
        let escaped = read(r#"{"a/b~c": 1}"#).unwrap_err();
        assert!(escaped.contains("/usage/a~1b~0c"), "{escaped}");
        assert!(read("[1]").unwrap_err().contains("expected an object"));
    }

    #[test]
    fn a_part_that_exceeds_its_whole_is_refused_and_never_cut() {
        let told = read(r#"{"input_tokens": 10, "cache_read_tokens": 11}"#).unwrap_err();
        assert!(told.contains("usage_inconsistent"), "{told}");
        assert!(told.contains("/usage/cache_read_tokens"), "{told}");
    }
}
