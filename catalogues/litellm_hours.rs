//! LiteLLM's cheaper hours: windows in UTC with days of the week.

use std::collections::BTreeMap;

use prices::form::HoursForm;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::card::{Card, OffPeak};
use crate::decimal::Rate;
use crate::guards;
use crate::litellm::Fields;
use crate::litellm_keys as keys;

#[derive(Deserialize)]
struct WireWindow {
    hours_utc: OneOrMany,
    #[serde(default)]
    weekdays: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The card of the cheaper hours, if the row has any.
pub(crate) fn off_peak(fields: &Fields) -> Option<OffPeak> {
    let raw = fields.get("off_peak_pricing")?;
    let pricing: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw.get()).ok()?;
    let mut card = Card::new();
    for (name, raw) in &pricing {
        let Some(price) = keys::read(name, "") else { continue };
        let read = guards::figure(price.key, Rate::read(raw.get(), price.unit.shift()));
        card.insert(price.key, read.ok()??);
    }
    let windows: Vec<WireWindow> = serde_json::from_str(pricing.get("windows")?.get()).ok()?;
    let hours = windows.into_iter().map(hours).collect::<Option<Vec<_>>>()?;
    Some(OffPeak { card, hours })
}

fn hours(window: WireWindow) -> Option<HoursForm> {
    let windows = match window.hours_utc {
        OneOrMany::One(window) => vec![window],
        OneOrMany::Many(windows) => windows,
    };
    let windows = windows.iter().map(|window| {
        let (from, until) = window.split_once('-')?;
        Some(format!("{from}-{}", if until == "00:00" { "24:00" } else { until }))
    });
    let windows = windows.collect::<Option<Vec<_>>>()?;
    Some(HoursForm { zone: "UTC".to_owned(), days: days(&window.weekdays)?, windows })
}

/// Days of the week by number, Monday first: `Mon-Fri`. Outer `None` for a number that is none.
fn days(numbers: &[usize]) -> Option<Option<String>> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let names: Option<Vec<&str>> =
        numbers.iter().map(|number| DAYS.get(number.checked_sub(1)?).copied()).collect();
    let names = names?;
    let consecutive = numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    Some(match (names.first(), names.last()) {
        (Some(first), Some(last)) if names.len() < 7 => match consecutive && names.len() > 1 {
            true => Some(format!("{first}-{last}")),
            false => Some(names.join(",")),
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_until_midnight_ends_the_day() {
        let fields: Fields = serde_json::from_str(
            r#"{"off_peak_pricing": {"input_cost_per_token": 1.5e-07, "windows": [
                {"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]}}"#,
        )
        .unwrap();
        let off_peak = off_peak(&fields).unwrap();
        let hours = |at: usize| {
            let hours: &HoursForm = &off_peak.hours[at];
            (hours.days.as_deref(), hours.windows.join(" "))
        };
        assert_eq!(hours(0), (Some("Mon-Fri"), "00:00-01:00 10:00-24:00".to_owned()));
        assert_eq!(hours(1), (Some("Sat-Sun"), "00:00-24:00".to_owned()));
    }

    #[test]
    fn days_are_named_and_all_of_them_are_none() {
        assert_eq!(days(&[1, 2, 3]), Some(Some("Mon-Wed".to_owned())));
        assert_eq!(days(&[1, 3]), Some(Some("Mon,Wed".to_owned())));
        assert_eq!(days(&[7]), Some(Some("Sun".to_owned())));
        assert_eq!(days(&[]), Some(None));
        assert_eq!(days(&[8]), None);
    }
}
