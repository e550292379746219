//! Spans that look like calls and repeat the calls within them: an instrumented framework around an
//! instrumented client, a proxy's request around its call.
//!
//! A span repeats another if that is within it, and both tell of one response, or its totals are
//! those of one call within it or of all of them. It is seen only where both come in one request.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::reported::ReportedCall;

/// So far up the spans around a call are looked at.
const LEVELS_MAX: usize = 64;

/// The identities of the spans of a request by those of their children.
#[derive(Debug, Default)]
pub(crate) struct Parents(HashMap<String, String>);

impl Parents {
    /// Remembers whose child a span is.
    pub(crate) fn insert(&mut self, identity: String, parent: String) {
        self.0.insert(identity, parent);
    }

    /// The spans around one, from the inside.
    fn around<'a>(&'a self, identity: &'a str) -> impl Iterator<Item = &'a str> {
        let first = self.0.get(identity).map(String::as_str);
        std::iter::successors(first, |identity| self.0.get(*identity).map(String::as_str))
            .take(LEVELS_MAX)
    }
}

/// The identities of the calls that repeat what is within them.
pub(crate) fn repeating(calls: &[ReportedCall], parents: &Parents) -> BTreeSet<String> {
    let by_identity: HashMap<&str, &ReportedCall> =
        calls.iter().map(|call| (call.identity.as_str(), call)).collect();
    // By identity, so that a span that was sent twice is one.
    let mut within: BTreeMap<&str, BTreeMap<&str, &ReportedCall>> = BTreeMap::new();
    for call in calls {
        let is_other_call =
            |around: &&str| *around != call.identity && by_identity.contains_key(around);
        if let Some(around) = parents.around(&call.identity).find(is_other_call) {
            within.entry(around).or_default().insert(&call.identity, call);
        }
    }
    let repeats = |(identity, within): &(&str, BTreeMap<&str, &ReportedCall>)| {
        by_identity.get(identity).is_some_and(|call| does_repeat(call, within))
    };
    within.into_iter().filter(repeats).map(|(identity, _)| identity.to_owned()).collect()
}

fn does_repeat(call: &ReportedCall, within: &BTreeMap<&str, &ReportedCall>) -> bool {
    let all = within.values().map(|inner| totals(inner)).fold((0, 0), |sum, one| {
        (u64::saturating_add(sum.0, one.0), u64::saturating_add(sum.1, one.1))
    });
    let is_same = |inner: &&ReportedCall| {
        let id = &call.reading.response_id;
        totals(inner) == totals(call) || (id.is_some() && *id == inner.reading.response_id)
    };
    all == totals(call) || within.values().any(is_same)
}

/// All input and all output.
fn totals(call: &ReportedCall) -> (u64, u64) {
    let usage = &call.reading.usage;
    (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0))
}
