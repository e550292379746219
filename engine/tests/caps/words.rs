//! The words of the tables: instants, lengths, amounts, windows.

use domain::policy::CalendarUnit;
use engine::command::Measures;
use engine::policy::{Alert, Threshold, Unit, Window};

/// `2026-03-29 01:30 +01:00`
pub(crate) fn instant(text: &str) -> i64 {
    let timestamp: jiff::Timestamp = text.parse().unwrap_or_else(|_| panic!("an instant: {text}"));
    timestamp.as_microsecond()
}

/// `5m`
pub(crate) fn length(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => panic!("a length: {text}"),
    };
    number.parse::<i64>().unwrap() * seconds * 1_000_000
}

pub(crate) fn unit(text: &str) -> Unit {
    match text {
        "usd" => Unit::Usd,
        "credits" => Unit::Credits,
        "requests" => Unit::Requests,
        "tokens" => Unit::Tokens,
        _ => panic!("a unit: {text}"),
    }
}

/// An amount in the smallest part of its unit.
pub(crate) fn amount(text: &str, unit: Unit) -> i128 {
    let digits = match unit {
        Unit::Usd => 15,
        Unit::Credits => 3,
        Unit::Requests | Unit::Tokens => 0,
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<digits$}").parse().unwrap_or_else(|_| panic!("an amount: {text}"))
}

/// One call, and what it consumed.
pub(crate) fn measures(amounts: &[(String, Unit)]) -> Measures {
    let mut measures = Measures { requests: 1, ..Measures::default() };
    for (text, unit) in amounts {
        let amount = amount(text, *unit);
        match unit {
            Unit::Usd => measures.cost = amount,
            Unit::Credits => measures.credits = amount,
            Unit::Requests => measures.requests = amount.try_into().unwrap(),
            Unit::Tokens => measures.tokens = amount.try_into().unwrap(),
        }
    }
    measures
}

/// `day`, `session 5h`, `last 1h`, `months from 2026-01-31T00:00Z`, `ever`
pub(crate) fn window(words: &[&str]) -> Window {
    match words {
        ["session", micros] => Window::Session(length(micros)),
        ["last", micros] => Window::Sliding(length(micros)),
        ["months", "from", anchor] => Window::Anchored(1, 0, instant(anchor)),
        ["ever"] => Window::Total,
        [name] => {
            let units = [
                CalendarUnit::Minute,
                CalendarUnit::Hour,
                CalendarUnit::Day,
                CalendarUnit::Week,
                CalendarUnit::Month,
                CalendarUnit::Quarter,
                CalendarUnit::Year,
            ];
            let unit = units.into_iter().find(|unit| unit.as_str() == *name).unwrap();
            Window::from(domain::policy::WindowRule::Calendar(unit))
        }
        _ => panic!("a window: {words:?}"),
    }
}

/// `80%`, or an amount.
pub(crate) fn threshold(text: &str, unit: Unit) -> Threshold {
    match text.strip_suffix('%') {
        Some(percent) => Threshold::Percent(percent.parse::<u32>().unwrap() * 1_000),
        None => Threshold::Amount(amount(text, unit)),
    }
}

pub(crate) fn alert(text: &str, unit: Unit) -> Alert {
    Alert { at: threshold(text, unit), channels: vec![] }
}
