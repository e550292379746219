//! DeepSeek's prices by the hour: dear on weekday mornings and afternoons in Beijing, cheap else.
//!
//! The sources know parts of it. LiteLLM has today's dear card and today's cheap one with hours
//! and weekdays, and no dates; genai-prices has the cheap ones with dates, and hours without
//! either; metergraph has the instant of the last change. The clock began on 2026-08-16 at 16:00
//! UTC, which is midnight in Beijing; before, prices were flat. What nobody says is the dear card
//! of a former cheap one: those hours have no row, and a call in them is unpriced.

use jiff::{SignedDuration, Timestamp};

use crate::card::{Cards, Row, Span, When};
use crate::join::Group;
use crate::merge::{self, Court, Part, Voice};
use crate::rows::Stretch;
use crate::time;

const RULE: &str = "peak hours are Monday to Friday on Beijing's calendar, all others off-peak: \
    https://github.com/BerriAI/litellm/issues/31606";

/// The instant at which prices by the hour began.
fn clock_start() -> Timestamp {
    time::read("2026-08-16T16:00:00Z").expect("an instant is written in the code")
}

/// The stretches of a model with cheaper hours; those of others as they are.
pub(crate) fn by_the_hour(
    group: &Group,
    flat: Vec<Stretch>,
    court: &Court<'_>,
    now: Timestamp,
) -> Vec<Stretch> {
    let Some(litellm) = &group.litellm else { return flat };
    let (Some(off_peak), Some(peak)) = (&litellm.off_peak, litellm.list_at(now)) else {
        return flat;
    };
    let genai = group.genai.as_ref();
    let dated: Vec<&Row> = genai
        .and_then(|quote| quote.lanes.get(&When::List))
        .into_iter()
        .flatten()
        .filter(|row| row.span.from.is_some())
        .collect();
    let mut stretches = before_the_clock(group, court, !dated.is_empty());
    let cheap_now = Cards { base: off_peak.card.clone(), ..Cards::default() };
    let mut begins = clock_start();
    let ruled = |span: Span, parts: &[Part<'_>]| Stretch {
        span,
        merged: merge::merge(parts, None, court),
        rule: Some(RULE.to_owned()),
        ..Stretch::default()
    };
    for (index, row) in dated.iter().enumerate() {
        let until = dated.get(index + 1).and_then(|next| exact(group, next.span.from?));
        let span = Span { from: Some(begins), until };
        let mut parts = vec![part(Voice::Genai, &row.cards)];
        if until.is_none() {
            parts.push(part(Voice::LiteLlm, &cheap_now));
        }
        stretches.push(Stretch { hours: off_peak.hours.clone(), ..ruled(span, &parts) });
        begins = until.unwrap_or(begins);
    }
    let span = Span { from: Some(begins), until: None };
    if dated.is_empty() {
        let undated = genai.and_then(|quote| quote.list_at(now));
        let mut parts = vec![part(Voice::LiteLlm, &cheap_now)];
        parts.extend(undated.map(|row| part(Voice::Genai, &row.cards)));
        stretches.push(Stretch { hours: off_peak.hours.clone(), ..ruled(span, &parts) });
    }
    let known = genai.and_then(|quote| quote.peak.as_ref());
    let meter = group.meter.as_ref().and_then(|quote| quote.list_at(now));
    let mut parts = vec![part(Voice::LiteLlm, &peak.cards)];
    parts.extend(known.map(|cards| part(Voice::Genai, cards)));
    parts.extend(meter.map(|row| part(Voice::Metergraph, &row.cards)));
    stretches.push(ruled(span, &parts));
    // Rows of one condition and of the same hours stand together.
    stretches.sort_by_key(|stretch| !stretch.hours.is_empty());
    stretches
}

/// The flat price, of a model that is older than the clock.
fn before_the_clock(group: &Group, court: &Court<'_>, is_older: bool) -> Vec<Stretch> {
    let genai = group.genai.as_ref().and_then(|quote| quote.lanes.get(&When::List)?.first());
    let Some(first) = genai.filter(|_| is_older) else { return Vec::new() };
    let last = clock_start() - SignedDuration::from_secs(1);
    let meter = group.meter.as_ref().and_then(|quote| quote.list_at(last));
    let mut parts = vec![part(Voice::Genai, &first.cards)];
    parts.extend(meter.map(|row| part(Voice::Metergraph, &row.cards)));
    let span = Span { from: None, until: Some(clock_start()) };
    let merged = merge::merge(&parts, None, court);
    vec![Stretch { span, merged, ..Stretch::default() }]
}

/// The instant of a change that genai-prices gives a day for, where metergraph has it.
fn exact(group: &Group, day: Timestamp) -> Option<Timestamp> {
    let rows = group.meter.as_ref().and_then(|quote| quote.lanes.get(&When::List));
    let instants = rows.into_iter().flatten().filter_map(|row| row.span.from);
    let same_day =
        |at: &Timestamp| *at >= day && at.duration_since(day) < SignedDuration::from_hours(24);
    Some(instants.into_iter().find(same_day).unwrap_or(day))
}

fn part(voice: Voice, cards: &Cards) -> Part<'_> {
    Part { voice, cards, inherited: None, list: None, dated: false, cites_seller: true }
}
