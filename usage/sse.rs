//! The events of a body of server-sent events, or of JSON texts one to a line or in a list, as
//! some interfaces send them instead.
//!
//! A last event that is cut off is no event. <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::borrow::Cow;

use serde_json::value::RawValue;

/// What ends OpenAI's streams, and those alike.
pub(crate) const DONE: &str = "[DONE]";

/// An event's name, where it has one, and its data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) data: Cow<'a, str>,
}

/// All events with data, the last of which may be cut off.
pub(crate) fn events(body: &str) -> Vec<Event<'_>> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let start = body.trim_start();
    if start.starts_with('[') {
        return list(start);
    }
    if start.starts_with('{') {
        let lines = start.lines().map(str::trim).filter(|line| !line.is_empty());
        return lines.map(|line| Event { name: None, data: Cow::Borrowed(line) }).collect();
    }
    let mut events = Vec::new();
    let (mut name, mut data) = (None, None);
    let end = if body.contains('\n') { '\n' } else { '\r' };
    for line in body.split(end).map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.is_empty() {
            events.extend(data.take().map(|data| Event { name, data }));
            name = None;
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = Some(value),
            "data" => {
                data = Some(match data {
                    None => Cow::Borrowed(value),
                    Some(former) => Cow::Owned(format!("{former}\n{value}")),
                });
            }
            _ => {}
        }
    }
    events.extend(data.map(|data| Event { name, data }));
    events
}

/// The items of a list, as far as it goes.
fn list(body: &str) -> Vec<Event<'_>> {
    let whole = serde_json::from_str::<Vec<&RawValue>>(body);
    let raws = whole.map_or_else(
        |_| items_of_cut_list(body),
        |raws| raws.into_iter().map(RawValue::get).collect(),
    );
    raws.into_iter().map(|raw| Event { name: None, data: Cow::Borrowed(raw) }).collect()
}

fn items_of_cut_list(body: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut rest = body.trim_start_matches('[');
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t', '\r', '\n']);
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(raw)) => items.push(raw.get()),
            _ => return items,
        }
        rest = rest.get(values.byte_offset()..).unwrap_or("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> Vec<(Option<&str>, String)> {
        events(body).into_iter().map(|event| (event.name, event.data.into_owned())).collect()
    }

    #[test]
    fn events_are_read_whatever_ends_their_lines() {
        let expected = [(Some("a"), "1".to_owned()), (None, "2\n3".to_owned())];
        for end in ["\n", "\r\n", "\r"] {
            let body = ["event: a", "data: 1", "", ": comment", "id: 4", "data:2", "data: 3", ""];
            assert_eq!(shown(&body.join(end)), expected, "{end:?}");
        }
    }

    #[test]
    fn lists_and_lines_of_json_are_streams_too() {
        let expected = [(None, "{\"a\":1}".to_owned()), (None, "{\"b\":2}".to_owned())];
        for body in
            ["{\"a\":1}\n{\"b\":2}\n", "[{\"a\":1},\n{\"b\":2}]", "[{\"a\":1},\r\n{\"b\":2},{\"c"]
        {
            assert_eq!(shown(body), expected, "{body}");
        }
        assert!(shown("").is_empty());
        assert!(shown("[").is_empty());
    }
}
