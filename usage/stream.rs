//! The usage of a stream: its final figures only.
//!
//! Providers count a stream as it goes, each time for all of it so far. The last figure of each
//! field is the stream's; nothing is ever added up. A stream that ends before it says its usage has
//! an unknown one.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{
    error::{RawUsageError, RawUsageErrorKind},
    formats::{RawFormat, read},
    reading::{Flag, FlagKind, Reading, Strictness},
    shape::Stream,
    sse::{self, DONE},
    wire::Object,
};

/// An event whose data are JSON.
struct Event<'a> {
    index: usize,
    name: Option<&'a str>,
    text: &'a str,
    data: Object<'a>,
}

impl Event<'_> {
    /// The type, which Cohere's older events and Bedrock's say otherwise.
    fn is_a(&self, kinds: &[&str]) -> bool {
        let said = self.data.text("type").or_else(|| self.data.text("event_type"));
        kinds
            .iter()
            .any(|kind| said.as_deref() == Some(kind) || (said.is_none() && self.is_called(kind)))
    }

    fn is_called(&self, kind: &str) -> bool {
        self.name == Some(kind) || self.data.has(kind)
    }
}

/// Reads the usage of a stream from its body: server-sent events, or JSON texts one to a line or
/// in a list.
///
/// ```
/// use usage::{RawFormat, RawUsageErrorKind, Strictness, read_stream};
/// let body = concat!(
///     "data: {\"model\": \"m\", \"choices\": [], \"usage\": {\"prompt_tokens\": 8,",
///     " \"completion_tokens\": 9, \"total_tokens\": 17}}\n\ndata: [DONE]\n\n",
/// );
/// let reading = read_stream(RawFormat::OpenAiChat, body, Strictness::Refuse).unwrap();
/// assert_eq!(reading.usage.output_tokens, Some(9));
///
/// let cut = read_stream(RawFormat::OpenAiChat, "data: {\"model\"", Strictness::Refuse);
/// assert_eq!(cut.unwrap_err().kind, RawUsageErrorKind::StreamCut);
/// ```
///
/// # Errors
/// [`RawUsageError`], as of [`read`], with the event; [`RawUsageErrorKind::StreamCut`] where the
/// stream ended before it said its usage, [`RawUsageErrorKind::SeveralUsages`] where it has several
/// that are billed each by itself.
pub fn read_stream(
    format: RawFormat,
    body: &str,
    strictness: Strictness,
) -> Result<Reading, RawUsageError> {
    let texts = sse::events(body);
    let is_done = texts.iter().any(|event| event.data.trim() == DONE);
    let events = parse(&texts)?;
    let (mut reading, is_whole) = match format.shape().stream {
        Stream::Final(kinds) => (read_final(format, &events, kinds, strictness)?, true),
        Stream::Messages => {
            let is_whole = events.iter().any(is_end_of_message);
            (read_messages(format, &events, strictness)?, is_whole)
        }
        Stream::Chunks { fields, gathered, is_end } => {
            let is_whole = is_done || events.iter().any(|event| is_end(&event.data));
            (read_chunks(format, &events, fields, gathered, strictness)?, is_whole)
        }
    };
    if !is_whole {
        let detail = "the stream ended without its last event: at least this".to_owned();
        reading.flags.push(Flag { kind: FlagKind::Cut, pointer: String::new(), detail });
    }
    Ok(reading)
}

/// Events with JSON in them. The last one may be cut off; another one that cannot be read may have
/// had the usage.
fn parse<'a>(texts: &'a [sse::Event<'a>]) -> Result<Vec<Event<'a>>, RawUsageError> {
    let mut events = Vec::new();
    let with_data = texts.iter().filter(|event| event.data.trim() != DONE).enumerate();
    let count = with_data.clone().count();
    for (index, event) in with_data {
        match Object::parse(&event.data) {
            Ok(data) => events.push(Event { index, name: event.name, text: &event.data, data }),
            Err(_) if index.saturating_add(1) == count => {}
            Err(error) => return Err(RawUsageError { event: Some(index), ..error }),
        }
    }
    Ok(events)
}

fn cut_off(detail: &str) -> RawUsageError {
    let detail = format!("the stream's usage is not known, which is not zero: {detail}");
    RawUsageError::new(RawUsageErrorKind::StreamCut, "", &detail)
}

fn read_final(
    format: RawFormat,
    events: &[Event<'_>],
    kinds: &[&str],
    strictness: Strictness,
) -> Result<Reading, RawUsageError> {
    let mut finals = events.iter().filter(|event| event.is_a(kinds));
    let Some(event) = finals.next() else {
        let kinds = kinds.join("` or `");
        return Err(cut_off(&format!("there is no event `{kinds}`")));
    };
    if let Some(other) = finals.next() {
        let detail = "each of these events is billed by itself: read them one by one";
        let error = RawUsageError::new(RawUsageErrorKind::SeveralUsages, "", detail);
        return Err(RawUsageError { event: Some(other.index), ..error });
    }
    read(format, event.text, strictness)
        .map_err(|error| RawUsageError { event: Some(event.index), ..error })
}

/// The last value of each field, and the event that had it.
#[derive(Default)]
struct Last<'a> {
    fields: BTreeMap<String, (usize, &'a RawValue)>,
}

impl<'a> Last<'a> {
    fn take<'n>(
        &mut self,
        index: usize,
        object: &Object<'a>,
        names: impl Iterator<Item = &'n str>,
    ) {
        for name in names {
            if let Some(raw) = object.raw(name) {
                self.fields.insert(name.to_owned(), (index, raw));
            }
        }
    }

    /// The fields as they stand between braces.
    fn json(&self) -> String {
        let fields = self.fields.iter().map(|(name, (_, raw))| {
            let name = serde_json::Value::from(name.as_str());
            format!("{name}:{raw}")
        });
        fields.collect::<Vec<_>>().join(",")
    }

    /// The event that had the field at `depth` of a pointer.
    fn event_of(&self, pointer: &str, depth: usize) -> Option<usize> {
        let field = pointer.split('/').nth(depth)?;
        self.fields.get(field).map(|(index, _)| *index)
    }

    fn names_usage(&self) -> bool {
        let groq = self.fields.get("x_groq").map(|(_, raw)| raw.get());
        let is_groq = groq.is_some_and(|raw| raw.contains("\"usage\""));
        is_groq || self.fields.keys().any(|name| name.contains("usage"))
    }
}

fn read_chunks(
    format: RawFormat,
    events: &[Event<'_>],
    fields: &[&str],
    gathered: Option<(&str, &str)>,
    strictness: Strictness,
) -> Result<Reading, RawUsageError> {
    let mut last = Last::default();
    for event in events {
        last.take(event.index, &event.data, fields.iter().copied());
    }
    if !last.names_usage() {
        let detail = "no chunk has it (OpenAI's streams need `stream_options.include_usage`)";
        return Err(cut_off(detail));
    }
    let mut json = last.json();
    if let Some((list, field)) = gathered {
        let items = events.iter().flat_map(|event| event.data.raws_aside(list));
        let items: Vec<&str> = items.filter(|raw| raw.contains(field)).collect();
        json = format!("{json},\"{list}\":[{}]", items.join(","));
    }
    read(format, &format!("{{{json}}}"), strictness).map_err(|error| {
        let event = last.event_of(&error.pointer, 1);
        RawUsageError { event, ..error }
    })
}

/// Anthropic's stream: the model is in `message_start`, the usage there at first and in
/// `message_delta` at last.
fn read_messages(
    format: RawFormat,
    events: &[Event<'_>],
    strictness: Strictness,
) -> Result<Reading, RawUsageError> {
    let (mut message, mut usage) = (Last::default(), Last::default());
    let (mut start, mut is_final) = (None, false);
    for event in events {
        let at_event = |error| RawUsageError { event: Some(event.index), ..error };
        let block = if event.is_a(&["message_start"]) {
            start = Some(event.index);
            let data = event.data.child("message").map_err(at_event)?;
            message.take(event.index, &data, ["id", "model"].into_iter());
            data.child("usage").map_err(at_event)?
        } else if event.is_a(&["message_delta"]) && event.data.has("usage") {
            is_final = true;
            event.data.child("usage").map_err(at_event)?
        } else {
            continue;
        };
        usage.take(event.index, &block, block.names_of_fields());
    }
    if !is_final {
        return Err(cut_off("there is no event `message_delta` with usage"));
    }
    let comma = if message.fields.is_empty() { "" } else { "," };
    let json = format!("{{{}{comma}\"usage\":{{{}}}}}", message.json(), usage.json());
    read(format, &json, strictness).map_err(|error| {
        let event = usage.event_of(&error.pointer, 2);
        let is_of_start = event.is_some() && event == start;
        let pointer =
            if is_of_start { format!("/message{}", error.pointer) } else { error.pointer };
        RawUsageError { event, pointer, ..error }
    })
}

/// Whether a message of Anthropic's has said why it stopped.
fn is_end_of_message(event: &Event<'_>) -> bool {
    let delta = event.data.aside("delta");
    event.is_a(&["message_stop"]) || delta.is_some_and(|delta| delta.has("stop_reason"))
}
