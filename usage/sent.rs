//! Where the usage stands in what was sent: by itself, or within the provider's response, an event
//! of its stream, or a line of a batch's results.

use crate::{
    error::{RawUsageError, RawUsageErrorKind},
    wire::Object,
};

/// Where a usage may stand: the path to the response, and from there to the usage.
pub(crate) type Place = (&'static [&'static str], &'static [&'static str]);

/// What was sent, taken apart.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    /// All of it.
    pub(crate) all: Object<'a>,
    /// The response; empty where the usage was sent by itself.
    pub(crate) response: Object<'a>,
    /// The usage.
    pub(crate) block: Object<'a>,
}

impl<'a> Sent<'a> {
    /// Looks for the usage at `places`; else all of it is the usage.
    pub(crate) fn locate(all: Object<'a>, places: &[Place]) -> Result<Sent<'a>, RawUsageError> {
        let mut null = None;
        for (to_response, to_usage) in places {
            let Some(response) = all.walk(to_response) else {
                continue;
            };
            let Some((name, to_parent)) = to_usage.split_last() else {
                continue;
            };
            let Some(parent) = response.walk(to_parent).filter(|parent| parent.names(name)) else {
                continue;
            };
            if parent.has(name) {
                let block = parent.child(name)?;
                return Ok(Sent { all, response, block });
            }
            null = null.or(Some(parent.at_field(name)));
        }
        match null {
            Some(at) => {
                let detail = "is null: the usage is not known, which is not zero (some providers \
                    must be asked for it: `stream_options.include_usage` of OpenAI's streams)";
                Err(RawUsageError::new(RawUsageErrorKind::NoUsage, &at, detail))
            }
            None => Ok(Sent { block: all.clone(), response: Object::default(), all }),
        }
    }

    /// A text of the response, or of what surrounds it.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.response.text(key).or_else(|| self.all.text(key))
    }
}
