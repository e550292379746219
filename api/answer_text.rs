//! JSON written straight from what the shards say, for the answers that stand around each call of
//! an application: a tenth of the work of building plain data and serializing that. Tests hold each
//! text against the plain data's, byte for byte.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use engine::Micros;

use crate::{amount::Amount, instants::text_of};

/// A JSON text that grows.
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// The last instant that was written, and its text: policies mostly share one.
    instant: (Option<Micros>, Option<String>),
}

impl Text {
    /// An empty one, with room for so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Text {
        Text { bytes: Vec::with_capacity(bytes), instant: (None, None) }
    }

    /// What needs no escape.
    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A text, in quotes.
    pub(crate) fn string(&mut self, text: &str) {
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.bytes.push(b'"');
            self.raw(text);
            self.bytes.push(b'"');
        } else {
            serde_json::to_writer(&mut self.bytes, text).expect("memory takes what is written");
        }
    }

    /// An amount in its unit.
    pub(crate) fn amount(&mut self, amount: Amount) {
        if amount.is_text() {
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(amount.text().bytes());
            self.bytes.push(b'"');
        } else {
            self.bytes.extend_from_slice(amount.text().bytes());
        }
    }

    /// An instant, or null.
    pub(crate) fn instant(&mut self, at: Option<Micros>) {
        if self.instant.0 != at {
            self.instant = (at, at.and_then(text_of));
        }
        let Some(text) = self.instant.1.take() else { return self.raw("null") };
        self.bytes.push(b'"');
        self.raw(&text);
        self.bytes.push(b'"');
        self.instant.1 = Some(text);
    }
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (kind, self.bytes).into_response()
    }
}
