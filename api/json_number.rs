//! Quantities as JSON numbers, written digit by digit: `1000`, `0.5`, never through a float.

use domain::Quantity;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// An exact number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) Quantity);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.to_string());
        raw.expect("plain decimal text is a JSON number").serialize(serializer)
    }
}

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        let about = "An exact number with up to 15 decimals; read it as a decimal, not as a float.";
        ObjectBuilder::new().schema_type(Type::Number).description(Some(about)).into()
    }
}

impl ToSchema for Number {}

/// A number with up to three decimals, as its thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thousandths(pub(crate) u32);

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = format!("{}.{:03}", self.0.div_euclid(1000), self.0.rem_euclid(1000));
        let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
        let raw = RawValue::from_string(text);
        raw.expect("plain decimal text is a JSON number").serialize(serializer)
    }
}

impl PartialSchema for Thousandths {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).into()
    }
}

impl ToSchema for Thousandths {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_json() {
        for text in ["0", "1000", "0.5", "-0.000000000000001", "1000000000000000000"] {
            let number = Number(Quantity::parse_rounded(text).unwrap());
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
        }
    }
}
