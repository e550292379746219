//! What a price row says, as flat words and figures: to tell whether two rows say the same, and to
//! show a person what changes.

use std::collections::BTreeMap;

use prices::form::PriceForm;

/// What a row says apart from when it holds and who says so.
pub(crate) type Content = BTreeMap<String, String>;

pub(crate) fn content(row: &PriceForm) -> Content {
    let mut content = Content::new();
    let mut put = |key: String, value: Option<&str>| {
        content.extend(value.map(|value| (key, value.to_owned())));
    };
    for (key, rate) in row.rates() {
        put(key.to_owned(), rate);
    }
    for over in &row.over {
        let (word, tokens) = match (over.input_tokens_above, over.input_tokens_from) {
            (_, Some(from)) => ("from", from),
            (above, None) => ("over", above.unwrap_or_default()),
        };
        put(format!("long input {word} {tokens}"), Some("yes"));
        for (key, rate) in over.rates() {
            put(format!("{key} {word} {tokens}"), rate);
        }
    }
    for (place, factor) in &row.data_residency {
        put(format!("multiplier for data in {place}"), Some(factor));
    }
    for (unit, rate) in &row.custom {
        put(format!("custom unit {unit}"), Some(rate));
    }
    put("multiplier in a Vertex region".to_owned(), row.vertex_regional.as_deref());
    put("minimum_audio_seconds".to_owned(), row.minimum_audio_seconds.as_deref());
    put("free_web_searches".to_owned(), row.free_web_searches.as_deref());
    put("currency".to_owned(), row.currency.as_deref());
    put("discount".to_owned(), row.discount.as_deref());
    put("multiplier".to_owned(), row.multiplier.as_deref());
    put("per".to_owned(), row.per.map(|per| per.to_string()).as_deref());
    put("free".to_owned(), row.free.then_some("yes"));
    for what in &row.not_computable {
        put(format!("not computable: {what}"), Some("yes"));
    }
    content
}

/// A row's condition and hours: rows of one lane follow each other in time.
pub(crate) fn lane(row: &PriceForm) -> String {
    let condition = [&row.when.processing, &row.when.service_tier, &row.when.speed];
    let mut words: Vec<String> = condition.into_iter().flatten().cloned().collect();
    for hours in &row.hours {
        let days = hours.days.as_deref().unwrap_or("daily");
        words.push(format!("{days} {} {}", hours.windows.join(" "), hours.zone));
    }
    words.join(", ")
}

/// The rates of a row for one line: `input 2.5, output 10`.
pub(crate) fn summary(row: &PriceForm) -> String {
    if row.free {
        return "free".to_owned();
    }
    let rates = row.rates();
    let rates = rates.iter().filter_map(|(key, rate)| Some(format!("{key} {}", (*rate)?)));
    let rates: Vec<String> = rates.collect();
    match rates.is_empty() {
        true => format!("not computable: {}", row.not_computable.join(", ")),
        false => rates.join(", "),
    }
}
