//! JSON as it was sent: objects that know where they stand, and numbers that are read from their
//! text and never through a float.
//!
//! Null reads like an absent field, and never like zero. Fields that nobody asks for are not
//! looked at.

use std::collections::BTreeMap;

use domain::{
    fixed::{self, AmountError},
    usage::COUNT_MAX,
};
use serde_json::value::RawValue;

use crate::error::{RawUsageError, RawUsageErrorKind};

/// A count and where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) count: u64,
    pub(crate) at: String,
}

impl Figure {
    /// A count: the text of a whole number from 0 to 2⁵³, also as `5.0`.
    pub(crate) fn parse(text: &str, at: String) -> Result<Figure, RawUsageError> {
        match count(text) {
            Ok(count) => Ok(Figure { count, at }),
            Err(wrong) => {
                let detail = format!("{wrong}: a count is a whole number from 0 to 2^53");
                Err(RawUsageError::new(RawUsageErrorKind::NotACount, &at, &detail))
            }
        }
    }
}

/// The counts that are said, added up: far beyond 2⁵³ it stays there, and is refused for that.
pub(crate) fn sum<const N: usize>(figures: [&Option<Figure>; N]) -> u64 {
    let counts = figures.into_iter().flatten().map(|figure| figure.count);
    counts.fold(0, u64::saturating_add)
}

/// Both together; `None` where neither is said.
pub(crate) fn plus(one: Option<Figure>, other: Option<Figure>) -> Option<Figure> {
    let count = sum([&one, &other]);
    one.or(other).map(|figure| Figure { count, ..figure })
}

/// An object, and the JSON pointer to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a> {
    fields: BTreeMap<String, &'a RawValue>,
    at: String,
}

impl<'a> Object<'a> {
    /// What was sent.
    pub(crate) fn parse(text: &'a str) -> Result<Object<'a>, RawUsageError> {
        let fields = serde_json::from_str(text).map_err(|error| {
            let detail = match error.is_data() {
                true => {
                    "a JSON object is needed: the usage block, or the whole response".to_owned()
                }
                false => format!("not JSON: line {}, column {}", error.line(), error.column()),
            };
            RawUsageError::new(RawUsageErrorKind::Malformed, "", &detail)
        })?;
        Ok(Object { fields, at: String::new() })
    }

    /// A value that should be an object, and stands at `at`.
    pub(crate) fn of(raw: &'a RawValue, at: String) -> Result<Object<'a>, RawUsageError> {
        match serde_json::from_str(raw.get()) {
            Ok(fields) => Ok(Object { fields, at }),
            Err(_) => {
                let kind = RawUsageErrorKind::Malformed;
                Err(RawUsageError::new(kind, &at, "a JSON object is needed here"))
            }
        }
    }

    /// The JSON pointer to it.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// The JSON pointer to a field.
    pub(crate) fn at_field(&self, key: &str) -> String {
        format!("{}/{key}", self.at)
    }

    /// A field that is there and not null.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.fields.get(key).copied().filter(|raw| raw.get() != "null")
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// Whether the field is there, if only as null.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// The names of all fields, in order.
    pub(crate) fn names_of_fields(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// An object within; empty where there is none, or null.
    pub(crate) fn child(&self, key: &str) -> Result<Object<'a>, RawUsageError> {
        let at = self.at_field(key);
        match self.raw(key) {
            Some(raw) => Object::of(raw, at),
            None => Ok(Object { fields: BTreeMap::new(), at }),
        }
    }

    /// The first of several objects that is there.
    pub(crate) fn child_of<const N: usize>(
        &self,
        keys: [&str; N],
    ) -> Result<Object<'a>, RawUsageError> {
        let key = keys.into_iter().find(|key| self.has(key)).unwrap_or(keys[0]);
        self.child(key)
    }

    /// An object beside the figures, which may as well be something else.
    pub(crate) fn aside(&self, key: &str) -> Option<Object<'a>> {
        Object::of(self.raw(key)?, self.at_field(key)).ok()
    }

    /// The object at the end of a path, where all of it is there.
    pub(crate) fn walk(&self, path: &[&str]) -> Option<Object<'a>> {
        path.iter().try_fold(self.clone(), |object, key| object.aside(key))
    }

    /// The objects of a list beside the figures, which may as well be something else.
    pub(crate) fn list_aside(&self, key: &str) -> Vec<Object<'a>> {
        let at = self.at_field(key);
        let raws = self.raw(key).map(items).unwrap_or_default().into_iter().enumerate();
        raws.filter_map(|(index, raw)| Object::of(raw, format!("{at}/{index}")).ok()).collect()
    }

    /// The same as JSON texts.
    pub(crate) fn raws_aside(&self, key: &str) -> Vec<&'a str> {
        let raws = self.raw(key).map(items).unwrap_or_default();
        raws.into_iter().map(RawValue::get).collect()
    }

    /// The objects of a list of figures; `None` where there is no list.
    pub(crate) fn list(&self, key: &str) -> Result<Option<Vec<Object<'a>>>, RawUsageError> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        let at = self.at_field(key);
        let raws: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| {
            RawUsageError::new(RawUsageErrorKind::Malformed, &at, "a JSON list is needed here")
        })?;
        let items = raws.into_iter().enumerate();
        items
            .map(|(index, raw)| Object::of(raw, format!("{at}/{index}")))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let text: String = serde_json::from_str(self.raw(key)?.get()).ok()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, key: &str) -> Option<Vec<String>> {
        serde_json::from_str(self.raw(key)?.get()).ok()
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|raw| raw.get() == "true")
    }

    /// The text of a number, quoted or not: JSON made from protocol buffers quotes long ones.
    pub(crate) fn number_text(&self, key: &str) -> Option<&'a str> {
        let text = self.raw(key)?.get();
        Some(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text))
    }

    /// A count: a whole number from 0 to 2⁵³, also as `5.0`.
    pub(crate) fn count(&self, key: &str) -> Result<Option<Figure>, RawUsageError> {
        let Some(text) = self.number_text(key) else {
            return Ok(None);
        };
        let at = self.at_field(key);
        Figure::parse(text, at).map(Some)
    }
}

fn items(list: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(list.get()).unwrap_or_default()
}

fn count(text: &str) -> Result<u64, &'static str> {
    let value = match fixed::parse_exact(text) {
        Ok(value) => value,
        Err(AmountError::TooPrecise) => return Err("has a fraction"),
        Err(AmountError::OutOfRange) if text.starts_with('-') => return Err("is negative"),
        Err(AmountError::OutOfRange) => return Err("is beyond 2^53"),
        Err(AmountError::Empty | AmountError::Malformed { .. }) => return Err("is no number"),
    };
    if value < 0 {
        return Err("is negative");
    }
    if value.rem_euclid(fixed::ONE) != 0 {
        return Err("has a fraction");
    }
    let count = u64::try_from(value.div_euclid(fixed::ONE)).ok();
    count.filter(|count| *count <= COUNT_MAX).ok_or("is beyond 2^53")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_their_text_and_never_through_a_float() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("5.0", Ok(5)),
            ("1e3", Ok(1000)),
            ("9007199254740992", Ok(COUNT_MAX)),
            // As a float it would be the number above.
            ("9007199254740993", Err("is beyond 2^53")),
            ("1e30", Err("is beyond 2^53")),
            ("-1", Err("is negative")),
            ("-1e30", Err("is negative")),
            ("1.5", Err("has a fraction")),
            ("5.00000000000000000001", Err("has a fraction")),
            ("true", Err("is no number")),
            ("", Err("is no number")),
            ("{}", Err("is no number")),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
    }

    #[test]
    fn null_is_not_zero_and_pointers_say_where() {
        let object = Object::parse(r#"{"a":null,"b":0,"c":{"d":"7","e":-1}}"#).unwrap();
        assert_eq!(object.count("a").unwrap(), None);
        assert_eq!(object.count("b").unwrap(), Some(Figure { count: 0, at: "/b".to_owned() }));
        let inner = object.child("c").unwrap();
        assert_eq!(inner.count("d").unwrap().unwrap().count, 7);
        assert_eq!(inner.count("e").unwrap_err().pointer, "/c/e");
        assert_eq!(object.child("b").unwrap_err().pointer, "/b");
        assert!(object.child("a").unwrap().count("d").unwrap().is_none());
    }
}
