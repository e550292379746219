//! Decimals that arrive as strings or as JSON numbers, read from their text and never through a
//! float.

use domain::fixed;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected},
};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema, Type,
        schema::{AnyOfBuilder, ObjectBuilder},
    },
};

/// The text of a decimal: in its shortest form where it is one, else as it came. Whoever uses it
/// says what is wrong with it, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Decimal(String);

impl Decimal {
    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    fn of_json(raw: &str) -> Option<Decimal> {
        let text = match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok()?,
            b'-' | b'0'..=b'9' => raw.to_owned(),
            _ => return None,
        };
        let Ok(value) = fixed::parse_exact(&text) else { return Some(Decimal(text)) };
        let mut short = String::new();
        fixed::write_decimal(value, &mut short).expect("writing to memory does not fail");
        Some(Decimal(short))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Decimal::of_json(raw.get()).ok_or_else(|| {
            let expected = "a decimal as a string or a number, such as `\"0.25\"`";
            D::Error::invalid_type(Unexpected::Other("another value"), &expected)
        })
    }
}

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        let about = "A decimal: a string without exponent, or a number that is read from its text.";
        let text = ObjectBuilder::new().schema_type(Type::String);
        let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
        let text = text.pattern(Some("^[0-9]+([.][0-9]{1,15})?$"));
        AnyOfBuilder::new().item(text).item(number).description(Some(about)).into()
    }
}

impl ToSchema for Decimal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_from_its_text_and_shortened() {
        for (json, text) in [
            ("\"2.50\"", "2.5"),
            ("2.50", "2.5"),
            ("3e-7", "0.0000003"),
            ("0.000000000000001", "0.000000000000001"),
            // As a float it would end in another digit.
            ("900719925474.099265425", "900719925474.099265425"),
            ("\"+1\"", "1"),
            ("0", "0"),
            ("\"ten\"", "ten"),
            ("1e-16", "1e-16"),
        ] {
            let read: Decimal = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), text, "{json}");
        }
        for json in ["true", "[1]", "{}", "null"] {
            assert!(serde_json::from_str::<Decimal>(json).is_err(), "{json}");
        }
    }
}
