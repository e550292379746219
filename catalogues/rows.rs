//! The price rows of one model: which card holds when, under each condition.

use std::collections::BTreeSet;

use jiff::Timestamp;
use prices::form::DisputeForm;

use crate::bedrock;
use crate::card::{Card, Cards, Row, Span, When};
use crate::join::Group;
use crate::merge::{self, Court, Merged, Part, Voice};
use crate::peak_hours;

const VERTEX_RULE: &str = "this is the price of the global endpoint; those of a named region cost \
    a tenth more: https://github.com/BerriAI/litellm/issues/34393";

/// A merged card for a stretch of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretch {
    pub(crate) span: Span,
    pub(crate) merged: Merged,
    pub(crate) free: bool,
    pub(crate) hours: Vec<prices::form::HoursForm>,
    /// Carried back to before the source vouches for it.
    pub(crate) inferred: bool,
    pub(crate) rule: Option<String>,
}

/// All stretches of a model, by condition.
pub(crate) struct Stretches {
    pub(crate) lanes: Vec<(When, Vec<Stretch>)>,
    /// The time for which the present list price holds.
    pub(crate) present: Span,
}

/// Makes the stretches of a group. `now` is the instant of which undated sources speak.
pub(crate) fn stretches(group: &Group, court: &Court<'_>, now: Timestamp) -> Stretches {
    let maker = Maker { group, court, now };
    let list = maker.list();
    let present = present(&list, now);
    let mut conditions: BTreeSet<&When> = BTreeSet::new();
    for quote in [&group.genai, &group.litellm, &group.meter].into_iter().flatten() {
        conditions.extend(quote.lanes.keys());
    }
    let mut lanes = Vec::new();
    for when in conditions.into_iter().filter(|when| **when != When::List) {
        let lane = maker.lane(when, &list, present);
        lanes.push((when.clone(), lane));
    }
    let list = list.into_iter().map(|listed| listed.stretch).collect();
    lanes.insert(0, (When::List, peak_hours::by_the_hour(group, list, court, now)));
    Stretches { lanes, present }
}

/// A stretch of the list price.
struct Listed {
    stretch: Stretch,
    /// From metergraph's closed rows only.
    history: bool,
}

struct Maker<'a> {
    group: &'a Group,
    court: &'a Court<'a>,
    now: Timestamp,
}

impl Maker<'_> {
    fn list(&self) -> Vec<Listed> {
        let everything = [Row::default()];
        let group = self.group;
        let genai = group.genai.as_ref().and_then(|quote| quote.lanes.get(&When::List));
        let rows: &[Row] = match (genai, &group.litellm, &group.meter) {
            (Some(rows), ..) => rows,
            (None, Some(_), _) => &everything,
            (None, None, meter) => {
                let rows = meter.as_ref().and_then(|quote| quote.lanes.get(&When::List));
                rows.map_or(&[], Vec::as_slice)
            }
        };
        let mut listed: Vec<Listed> = rows
            .iter()
            .map(|row| Listed { stretch: self.stretch(row, genai.is_some()), history: false })
            .collect();
        if genai.is_some() || group.litellm.is_some() {
            self.add_history(&mut listed);
        }
        joined(listed)
    }

    fn stretch(&self, row: &Row, genai: bool) -> Stretch {
        let parts = self.parts(&When::List, row.span, genai.then_some(row));
        let (merged, rule) = self.judged(&When::List, parts, None);
        Stretch { span: row.span, free: row.free, merged, rule, ..Stretch::default() }
    }

    /// The merged card, and the rule that decided. Who is wrong by a rule is not heard at all:
    /// what he alone says would be of the wrong place too.
    fn judged(
        &self,
        when: &When,
        parts: Vec<Part<'_>>,
        list: Option<&Cards>,
    ) -> (Merged, Option<String>) {
        let mut merged = merge::merge(&parts, list, self.court);
        let Some(rule) = self.rule(&merged) else {
            self.contradict(when, &parts, &mut merged);
            return (merged, None);
        };
        let wrong = |part: &Part<'_>| {
            let label = self.court.label(part.voice);
            merged.disputes.iter().any(|dispute| dispute.source == label)
        };
        let right: Vec<Part<'_>> = parts.into_iter().filter(|part| !wrong(part)).collect();
        (merge::merge(&right, list, self.court), Some(rule))
    }

    /// A source that contradicts itself is disputed by itself, where it stands alone.
    fn contradict(&self, when: &When, parts: &[Part<'_>], merged: &mut Merged) {
        let [Part { voice: Voice::LiteLlm, .. }] = parts else { return };
        let quote = self.group.litellm.iter();
        for own in quote.flat_map(|quote| &quote.contradicted).filter(|own| own.when == *when) {
            merged.disputes.push(DisputeForm {
                rate: own.key.as_str().to_owned(),
                figure: Some(own.rate.to_string()),
                source: format!("{}, {}", self.court.label(Voice::LiteLlm), own.row),
            });
        }
    }

    /// The rule that decides where the sources differ, if one does.
    fn rule(&self, merged: &Merged) -> Option<String> {
        let corrected = self.group.litellm.as_ref().and_then(|quote| quote.rule.clone());
        let bare_claude = self.group.names.iter().any(|name| name.starts_with("anthropic.claude-"));
        let rule = match self.court.seller {
            "bedrock" if bare_claude && merged.differs_by_a_tenth(false) => bedrock::REGIONAL_RULE,
            "vertex" if merged.differs_by_a_tenth(true) => VERTEX_RULE,
            _ => return corrected,
        };
        corrected.or_else(|| Some(rule.to_owned()))
    }

    /// What each source says about a condition for a span.
    fn parts<'b>(&'b self, when: &When, span: Span, genai: Option<&'b Row>) -> Vec<Part<'b>> {
        let other = *when != When::List;
        let mut parts = Vec::new();
        if let (Some(row), Some(quote)) = (genai, &self.group.genai) {
            let cards = if other { &row.cards } else { quote.full_price(row) };
            let at = span.instant_near(self.now);
            let list = quote.list_at(at).map(|row| &row.cards).filter(|_| other);
            parts.push(Part {
                voice: Voice::Genai,
                cards,
                inherited: Some(&row.inherited),
                list,
                dated: row.dated && !other,
                cites_seller: quote.cites_seller,
            });
        }
        let undated =
            [(Voice::LiteLlm, &self.group.litellm), (Voice::Metergraph, &self.group.meter)];
        for (voice, quote) in undated {
            let Some(quote) = quote else { continue };
            let at = match voice {
                Voice::LiteLlm if !span.contains(self.now) => continue,
                Voice::LiteLlm => self.now,
                _ => span.instant_near(self.now),
            };
            let Some(row) = quote.lane_at(when, at) else { continue };
            let list = quote.list_at(at).map(|row| &row.cards).filter(|_| other);
            parts.push(Part {
                voice,
                cards: &row.cards,
                inherited: None,
                list,
                dated: false,
                cites_seller: quote.cites_seller,
            });
        }
        parts
    }

    /// Puts metergraph's closed rows before the first stretch, if that has no date of its own and
    /// is what metergraph says came after them.
    fn add_history(&self, listed: &mut Vec<Listed>) {
        let Some(rows) = self.group.meter.as_ref().and_then(|m| m.lanes.get(&When::List)) else {
            return;
        };
        let Some(first) = listed.first_mut() else { return };
        let same = |row: &&Row| same_where_both(&row.cards.base, &first.stretch.merged.cards.base);
        let Some(at) = rows.iter().position(|row| same(&row)) else { return };
        let Some(begins) = rows.get(at).and_then(|row| row.span.from).filter(|_| at > 0) else {
            return;
        };
        if !first.stretch.span.contains(begins) || first.stretch.span.from.is_some() {
            return;
        }
        first.stretch.span.from = Some(begins);
        let mut history = Vec::new();
        for (index, row) in rows.iter().take(at).enumerate() {
            let from = row.span.from.filter(|_| index > 0);
            let span = Span { from, until: row.span.until };
            let parts = self.parts(&When::List, span, None);
            let parts: Vec<Part<'_>> =
                parts.into_iter().filter(|part| part.voice == Voice::Metergraph).collect();
            let mut merged = merge::merge(&parts, None, self.court);
            // Metergraph knows tokens only. The fees of an undated row were the same then.
            let fees = first.stretch.merged.cards.base.iter().filter(|(k, _)| !k.is_of_tokens());
            for (key, rate) in fees {
                merged.cards.base.entry(*key).or_insert(*rate);
                merged.voices.extend(&first.stretch.merged.voices);
            }
            let stretch = Stretch { span, merged, ..Stretch::default() };
            history.push(Listed { stretch, history: true });
        }
        listed.splice(0..0, history);
    }

    fn lane(&self, when: &When, list: &[Listed], present: Span) -> Vec<Stretch> {
        let group = self.group;
        let genai = group.genai.as_ref().and_then(|quote| quote.lanes.get(when));
        let mut lane = Vec::new();
        for row in genai.into_iter().flatten() {
            for listed in list.iter().filter(|listed| !listed.history) {
                if let Some(span) = row.span.common(listed.stretch.span) {
                    lane.push(self.lane_stretch(when, span, Some(row), list));
                }
            }
        }
        let covered = |at: Timestamp| lane.iter().any(|own: &Stretch| own.span.contains(at));
        let litellm = group.litellm.as_ref().and_then(|quote| quote.lane_at(when, self.now));
        if litellm.is_some() && !covered(self.now) {
            lane.push(self.lane_stretch(when, present, None, list));
        }
        let ruled = list.iter().any(|listed| listed.stretch.rule.is_some());
        if !ruled && (lane.is_empty() || list.iter().any(|listed| listed.history)) {
            self.add_meter_lane(when, list, &mut lane);
        }
        lane.sort_by_key(|stretch| stretch.span.from);
        let lane = joined_stretches(lane);
        carried_back(lane, list)
    }

    fn lane_stretch(&self, when: &When, span: Span, row: Option<&Row>, list: &[Listed]) -> Stretch {
        let parts = self.parts(when, span, row);
        let listed = list_cards(list, span.instant_near(self.now));
        let (merged, rule) = self.judged(when, parts, listed);
        Stretch { span, merged, rule, ..Stretch::default() }
    }

    /// What only metergraph knows: for the past that is its own, or where nobody else speaks.
    fn add_meter_lane(&self, when: &When, list: &[Listed], lane: &mut Vec<Stretch>) {
        let rows = self.group.meter.as_ref().and_then(|quote| quote.lanes.get(when));
        let alone = lane.is_empty();
        for row in rows.into_iter().flatten() {
            for listed in list.iter().filter(|listed| alone || listed.history) {
                let Some(span) = row.span.common(listed.stretch.span) else { continue };
                let meter = self.parts(when, span, None);
                let parts: Vec<Part<'_>> =
                    meter.into_iter().filter(|part| part.voice == Voice::Metergraph).collect();
                let cards = list_cards(list, span.instant_near(self.now));
                let merged = merge::merge(&parts, cards, self.court);
                lane.push(Stretch { span, merged, ..Stretch::default() });
            }
        }
    }
}

fn list_cards(list: &[Listed], at: Timestamp) -> Option<&Cards> {
    let listed = list.iter().find(|listed| listed.stretch.span.contains(at))?;
    Some(&listed.stretch.merged.cards)
}

/// Whether two cards share a rate of tokens and give the same wherever both give one.
fn same_where_both(one: &Card, other: &Card) -> bool {
    let mut shared = one.iter().filter(|(key, _)| key.is_of_tokens() && other.contains_key(key));
    shared.clone().next().is_some() && shared.all(|(key, rate)| other.get(key) == Some(rate))
}

/// Neighbours of the same content are one.
fn joined(listed: Vec<Listed>) -> Vec<Listed> {
    let mut result: Vec<Listed> = Vec::new();
    for next in listed {
        match result.last_mut() {
            Some(last)
                if last.history == next.history
                    && last.stretch.merged == next.stretch.merged
                    && last.stretch.span.until == next.stretch.span.from =>
            {
                last.stretch.span.until = next.stretch.span.until;
            }
            _ => result.push(next),
        }
    }
    result
}

fn joined_stretches(stretches: Vec<Stretch>) -> Vec<Stretch> {
    let mut result: Vec<Stretch> = Vec::new();
    for next in stretches {
        match result.last_mut() {
            Some(last)
                if last.merged == next.merged
                    && last.rule == next.rule
                    && last.span.until == next.span.from =>
            {
                last.span.until = next.span.until;
            }
            _ => result.push(next),
        }
    }
    result
}

/// The stretches around an instant with one and the same list price of tokens.
fn run(list: &[Listed], at: Timestamp) -> Span {
    let Some(index) = list.iter().position(|listed| listed.stretch.span.contains(at)) else {
        return Span::default();
    };
    let tokens = |index: usize| {
        let cards = &list[index].stretch.merged.cards;
        let of = |card: &Card| -> Card {
            card.iter().filter(|(k, _)| k.is_of_tokens()).map(|(k, r)| (*k, *r)).collect()
        };
        let over: Vec<_> = cards.over.iter().map(|(bound, card)| (*bound, of(card))).collect();
        (of(&cards.base), over)
    };
    let same = |other: usize| {
        let (own, other_cards) = (&list[index], &list[other]);
        own.history == other_cards.history && tokens(index) == tokens(other)
    };
    let first = (0..index).rev().take_while(|other| same(*other)).last().unwrap_or(index);
    let last = (index + 1..list.len()).take_while(|other| same(*other)).last().unwrap_or(index);
    Span { from: list[first].stretch.span.from, until: list[last].stretch.span.until }
}

fn present(list: &[Listed], now: Timestamp) -> Span {
    run(list, now)
}

/// A condition that a source vouches for only from the day on which somebody looked is carried
/// back to where the list price that it goes with began.
fn carried_back(lane: Vec<Stretch>, list: &[Listed]) -> Vec<Stretch> {
    let mut result: Vec<Stretch> = Vec::new();
    for stretch in lane {
        let begins = stretch.span.from;
        let gap = match (result.last(), begins) {
            (_, None) => None,
            (Some(last), Some(begins)) if last.span.until == Some(begins) => None,
            (_, Some(begins)) => Some(begins),
        };
        let from_genai = stretch.merged.voices.contains(&Voice::Genai);
        if let Some(begins) = gap.filter(|_| from_genai) {
            let since = run(list, begins).from.max(result.last().and_then(|last| last.span.until));
            if since < Some(begins) {
                let span = Span { from: since, until: Some(begins) };
                result.push(Stretch { span, inferred: true, ..stretch.clone() });
            }
        }
        result.push(stretch);
    }
    result
}
