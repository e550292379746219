//! Amounts in a policy's unit: dollars as decimal text, everything else as numbers. More digits
//! than the unit has are refused, never rounded.

use domain::{
    fixed::{self, AmountError, DecimalText},
    usage::COUNT_MAX,
};
use engine::policy::Unit;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema, Type,
        schema::{AnyOfBuilder, ObjectBuilder},
    },
};

/// A thousandth of one: what credits are counted in.
const MILLI: i128 = fixed::ONE / 1000;

/// An amount in a policy's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    /// The unit.
    pub(crate) unit: Unit,
    /// Femtodollars, millicredits, calls or tokens.
    pub(crate) value: i128,
}

/// The name of a unit in the API.
pub(crate) const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Usd => "usd",
        Unit::Credits => "credits",
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
    }
}

/// The unit of a name.
pub(crate) fn unit_of(name: &str) -> Option<Unit> {
    let all = [Unit::Usd, Unit::Credits, Unit::Requests, Unit::Tokens];
    all.into_iter().find(|unit| unit_name(*unit) == name)
}

/// Reads an amount that is not negative; the error says what is wrong with it.
pub(crate) fn read_amount(text: &str, unit: Unit) -> Result<i128, &'static str> {
    let femtos = match fixed::parse_exact(text) {
        Ok(femtos) if femtos < 0 => return Err("is negative"),
        Ok(femtos) => femtos,
        Err(AmountError::OutOfRange) => return Err("is too large"),
        Err(AmountError::TooPrecise) => return Err("has more than 15 decimals"),
        Err(AmountError::Empty | AmountError::Malformed { .. }) => {
            return Err("is not a decimal number");
        }
    };
    let (step, steps_max, too_fine) = match unit {
        Unit::Usd => return Ok(femtos),
        Unit::Credits => (MILLI, i128::from(COUNT_MAX) * 1000, "credits have up to three decimals"),
        Unit::Requests | Unit::Tokens => {
            (fixed::ONE, i128::from(COUNT_MAX), "is not whole: what is counted has no fraction")
        }
    };
    match (femtos.rem_euclid(step), femtos.div_euclid(step)) {
        (0, value) if value <= steps_max => Ok(value),
        (0, _) => Err("is beyond 2^53"),
        _ => Err(too_fine),
    }
}

impl Amount {
    /// Its decimal text.
    pub(crate) fn text(self) -> DecimalText {
        match self.unit {
            Unit::Usd => DecimalText::new(self.value),
            Unit::Credits => DecimalText::with_decimals::<3>(self.value),
            Unit::Requests | Unit::Tokens => DecimalText::with_decimals::<0>(self.value),
        }
    }

    /// Whether it is a text in JSON, and not a number.
    pub(crate) fn is_text(self) -> bool {
        self.unit == Unit::Usd
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_text() {
            return serializer.serialize_str(&self.text());
        }
        let raw = RawValue::from_string(self.text().to_string());
        raw.expect("plain decimal text is a JSON number").serialize(serializer)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        let about = "In the policy's unit: decimal text for `usd`, a number otherwise.";
        let text = ObjectBuilder::new().schema_type(Type::String);
        let number = ObjectBuilder::new().schema_type(Type::Number);
        AnyOfBuilder::new().item(text).item(number).description(Some(about)).into()
    }
}

impl ToSchema for Amount {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_without_losing_a_digit() {
        for (unit, text, written) in [
            (Unit::Usd, "12.340", "\"12.34\""),
            (Unit::Usd, "0.000000000000001", "\"0.000000000000001\""),
            (Unit::Credits, "0.5", "0.5"),
            (Unit::Credits, "1200", "1200"),
            (Unit::Credits, "0.001", "0.001"),
            (Unit::Credits, "0", "0"),
            (Unit::Requests, "1e3", "1000"),
            (Unit::Tokens, "9007199254740992", "9007199254740992"),
        ] {
            let value = read_amount(text, unit).unwrap();
            assert_eq!(serde_json::to_string(&Amount { unit, value }).unwrap(), written, "{text}");
        }
    }

    #[test]
    fn what_the_unit_cannot_hold_is_refused() {
        for (unit, text, why) in [
            (Unit::Usd, "0.0000000000000001", "decimals"),
            (Unit::Usd, "-1", "negative"),
            (Unit::Usd, "1e19", "large"),
            (Unit::Usd, "ten", "decimal number"),
            (Unit::Credits, "0.0001", "three decimals"),
            (Unit::Credits, "9007199254740993", "2^53"),
            (Unit::Requests, "1.5", "not whole"),
            (Unit::Tokens, "9007199254740993", "2^53"),
        ] {
            let told = read_amount(text, unit).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
