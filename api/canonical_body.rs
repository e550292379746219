//! A body in one form for all its spellings, so that what is sent again is recognised: keys in
//! order, numbers by their value, without white space; a field of null says nothing and is left
//! out.

use domain::fixed;
use serde_json::value::RawValue;
use shards::ids::BodyHash;

use crate::usage_input::Fields;

/// Deeper values are taken as they are written.
const DEPTH_MAX: u32 = 16;

/// The hash of an object, whatever its spelling.
pub(crate) fn body_hash(raw: &RawValue) -> [u8; 4] {
    let mut text = String::with_capacity(raw.get().len());
    write(raw.get(), DEPTH_MAX, &mut text);
    BodyHash::of(text.as_bytes()).0
}

fn write(json: &str, depth: u32, out: &mut String) {
    let deeper = depth.saturating_sub(1);
    match json.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            let Ok(Fields(mut fields)) = serde_json::from_str(json) else { return };
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (name, value) in fields.iter().filter(|(_, value)| value.get() != "null") {
                push_text(&name.0, out);
                out.push(':');
                write(value.get(), deeper, out);
                out.push(',');
            }
            out.push('}');
        }
        Some(b'[') if depth > 0 => {
            let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            out.push('[');
            for item in items {
                write(item.get(), deeper, out);
                out.push(',');
            }
            out.push(']');
        }
        // What is written as we write it needs no second look.
        Some(b'"') if !json.contains('\\') => out.push_str(json),
        Some(b'0'..=b'9') if json.bytes().all(|digit| digit.is_ascii_digit()) => out.push_str(json),
        Some(b'"') => push_text(&serde_json::from_str::<String>(json).unwrap_or_default(), out),
        Some(b'-' | b'0'..=b'9') => match fixed::parse_exact(json) {
            Ok(value) => fixed::write_decimal(value, out).expect("memory takes what is written"),
            Err(_) => out.push_str(json),
        },
        _ => out.push_str(json),
    }
}

fn push_text(text: &str, out: &mut String) {
    if text.bytes().all(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\')) {
        out.push('"');
        out.push_str(text);
        return out.push('"');
    }
    out.push_str(&serde_json::to_string(text).expect("text is JSON"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(json: &str) -> [u8; 4] {
        body_hash(&serde_json::from_str::<Box<RawValue>>(json).unwrap())
    }

    #[test]
    fn spellings_of_one_body_are_one() {
        let rows = [
            (r#"{"a":1,"b":[1,"x"]}"#, r#"{ "b" : [1.0, "\u0078"], "a": 1e0 }"#),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":{"c":0.5,"b":true}}"#, r#"{"a":{"b":true,"c":5e-1}}"#),
        ];
        for (one, other) in rows {
            assert_eq!(hash(one), hash(other), "{one} {other}");
        }
    }

    #[test]
    fn other_values_are_another_body() {
        let rows = [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":9007199254740992}"#, r#"{"a":9007199254740993}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":1,"b":1}"#),
        ];
        for (one, other) in rows {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(hash(&deep), hash(&deep.clone()));
    }
}
