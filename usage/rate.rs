//! The words of a response that change its rate. Words that nobody knows are kept as unknown.

use domain::{Place, Processing, ServiceTier, Speed, UnknownContext};

use crate::draft::Draft;

/// The tier that served the call. `batch` is a way of processing.
pub(crate) fn tier(draft: &mut Draft, word: Option<String>) {
    let Some(word) = said(word) else {
        return;
    };
    if word.eq_ignore_ascii_case("batch") {
        draft.context.processing = Some(Processing::Batch);
        return;
    }
    let tier = ServiceTier::parse(&word);
    draft.context.service_tier = known(draft, tier);
}

/// How fast it was answered, where that is sold by itself.
pub(crate) fn speed(draft: &mut Draft, word: Option<String>) {
    let Some(word) = said(word) else {
        return;
    };
    let speed = Speed::parse(&word);
    draft.context.speed = known(draft, speed);
}

/// Where data stayed.
pub(crate) fn residency(draft: &mut Draft, word: Option<String>) {
    let Some(word) = said(word) else {
        return;
    };
    let place = Place::parse("data_residency", &word);
    draft.context.data_residency = known(draft, place);
}

/// Words for "not said" are not said.
fn said(word: Option<String>) -> Option<String> {
    let word = word?;
    let lower = word.to_ascii_lowercase();
    let is_said = lower != "not_available" && !lower.ends_with("unspecified");
    is_said.then_some(word)
}

fn known<T>(draft: &mut Draft, parsed: Result<T, UnknownContext>) -> Option<T> {
    parsed.map_err(|unknown| draft.context.unknown.push(unknown)).ok()
}
