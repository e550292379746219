//! One card out of what up to three sources say: which figure wins, who differs, how sure it is.

use prices::RateKey;
use std::collections::{BTreeMap, BTreeSet};

use prices::form::DisputeForm;

use crate::card::{Bound, Card, Cards};
use crate::decimal::Rate;
use crate::guards;

/// A source's place in every vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Voice {
    Genai,
    LiteLlm,
    Metergraph,
}

/// What one source says about a card.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    pub(crate) voice: Voice,
    pub(crate) cards: &'a Cards,
    /// Keys taken over from the source's list price.
    pub(crate) inherited: Option<&'a BTreeSet<RateKey>>,
    /// The source's list price, where this is not it.
    pub(crate) list: Option<&'a Cards>,
    /// The source gives a date for this card.
    pub(crate) dated: bool,
    /// The source points to the seller's own page for this model.
    pub(crate) cites_seller: bool,
}

/// A merged card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) cards: Cards,
    pub(crate) disputes: Vec<DisputeForm>,
    /// Sources of which a figure is in the card.
    pub(crate) voices: BTreeSet<Voice>,
    /// Two sources or more give the same.
    pub(crate) agreed: bool,
    /// What was left out, with the reason.
    pub(crate) left_out: Vec<(String, Rate, String, Voice)>,
    /// What was kept though it looks odd.
    pub(crate) kept: Vec<Odd>,
}

/// A figure far from what it is a multiple of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Odd {
    pub(crate) what: String,
    pub(crate) rate: Rate,
    pub(crate) base: Rate,
    pub(crate) reason: String,
}

/// How the sources are called, with their versions.
pub(crate) type Labels = BTreeMap<Voice, String>;

/// Odd figures of a model that two catalogues give, with what each is a multiple of. They vouch
/// for the same multiple at another seller, and under another condition.
pub(crate) type Witnesses = BTreeMap<String, (Rate, Rate)>;

/// What every vote needs to know besides the figures.
#[derive(Debug, Default)]
pub(crate) struct Court<'a> {
    pub(crate) seller: &'a str,
    pub(crate) labels: Labels,
    pub(crate) witnesses: Option<&'a Witnesses>,
}

impl Court<'_> {
    fn vouches(&self, what: &str, rate: Rate, base: Rate) -> bool {
        let witness = self.witnesses.and_then(|witnesses| witnesses.get(what));
        witness.is_some_and(|(odd, of)| rate.is_to(base, *odd, *of))
    }

    pub(crate) fn label(&self, voice: Voice) -> String {
        self.labels.get(&voice).cloned().unwrap_or_default()
    }
}

/// Merges the parts. `list` is the merged list price where this card is for another condition.
pub(crate) fn merge(parts: &[Part<'_>], list: Option<&Cards>, court: &Court<'_>) -> Merged {
    let mut merged = Merged::default();
    let mut corroborated = BTreeSet::new();
    let bounds: BTreeSet<Bound> =
        parts.iter().flat_map(|part| part.cards.over.keys()).copied().collect();
    for at in std::iter::once(None).chain(bounds.into_iter().map(Some)) {
        let keys: BTreeSet<RateKey> = parts
            .iter()
            .filter_map(|part| part.cards.at(at))
            .flat_map(|card| card.keys())
            .copied()
            .collect();
        for key in keys {
            let ballot = Ballot::of(parts, at, key);
            let Some((winner, rate)) = ballot.winner(parts) else { continue };
            let backers = ballot.backers(rate);
            let what = label(key, at);
            let base = match at {
                None => list.and_then(|list| list.base.get(&key)),
                Some(_) => merged.cards.base.get(&key),
            };
            let odd =
                base.filter(|base| key.is_of_tokens() && !guards::believable_tier(rate, **base));
            if let Some(base) = odd.copied() {
                let vouched = court.vouches(&what, rate, base);
                let reason = |who: &str| format!("outside 0.2 to 4 times {base}, and {who}");
                if backers < 2 && !vouched {
                    if let Some(bound) = at {
                        // That there is a card is true, and a call over the bound is not cheap.
                        merged.cards.over.entry(bound).or_default();
                    }
                    merged.left_out.push((what, rate, reason("nobody else says so"), winner));
                    continue;
                }
                let who = if backers < 2 { "so it is elsewhere" } else { "two catalogues say so" };
                merged.kept.push(Odd { what: what.clone(), rate, base, reason: reason(who) });
            }
            if backers > 1 {
                corroborated.insert((at, key));
            }
            ballot.disputes(rate, &what, court, &mut merged.disputes);
            merged.voices.extend(ballot.voices_for(rate));
            let card = match at {
                None => &mut merged.cards.base,
                Some(bound) => merged.cards.over.entry(bound).or_default(),
            };
            card.insert(key, rate);
        }
    }
    silent_disputes(parts, court, &mut merged);
    let main = match merged.cards.base.contains_key(&RateKey::Input) {
        true => corroborated.contains(&(None, RateKey::Input)),
        false => corroborated.iter().any(|(_, key)| *key != RateKey::WebSearch),
    };
    merged.agreed = main && merged.disputes.is_empty();
    merged
}

impl Merged {
    /// Whether every differing figure is one of a price that a tenth, more or less, makes ours.
    pub(crate) fn differs_by_a_tenth(&self, theirs_is_more: bool) -> bool {
        let rates: BTreeMap<String, Rate> = std::iter::once((None, &self.cards.base))
            .chain(self.cards.over.iter().map(|(bound, card)| (Some(*bound), card)))
            .flat_map(|(at, card)| card.iter().map(move |(key, rate)| (label(*key, at), *rate)))
            .collect();
        !self.disputes.is_empty()
            && self.disputes.iter().all(|dispute| {
                let theirs = dispute.figure.as_deref().map(|figure| Rate::read(figure, 0));
                match (rates.get(&dispute.rate), theirs) {
                    (Some(ours), Some(Ok(theirs))) if theirs_is_more => {
                        ours.a_tenth_more() == Some(theirs)
                    }
                    (Some(ours), Some(Ok(theirs))) => theirs.a_tenth_more() == Some(*ours),
                    _ => false,
                }
            })
    }
}

/// A rate's key as disputes and refusals name it.
pub(crate) fn label(key: RateKey, at: Option<Bound>) -> String {
    match at {
        None => key.as_str().to_owned(),
        Some(bound) => format!("{} over {}", key.as_str(), bound.tokens),
    }
}

/// The figures for one rate.
struct Ballot {
    /// Who gives a figure for this very rate.
    figures: Vec<(Voice, Rate)>,
    /// Who gives the list price however long the input is, where others have a tier.
    flat: Vec<(Voice, Rate)>,
}

impl Ballot {
    fn of(parts: &[Part<'_>], at: Option<Bound>, key: RateKey) -> Self {
        let (mut figures, mut flat) = (Vec::new(), Vec::new());
        for part in parts {
            let card = part.cards.at(at);
            match card.and_then(|card| card.get(&key)) {
                Some(rate) => figures.push((part.voice, *rate)),
                // Metergraph's silence on a tier is no word; and so is that of a tier's card.
                None if card.is_none()
                    && part.voice != Voice::Metergraph
                    && part.list.is_none() =>
                {
                    flat.extend(part.cards.base.get(&key).map(|rate| (part.voice, *rate)));
                }
                None => {}
            }
        }
        Self { figures, flat }
    }

    fn winner(&self, parts: &[Part<'_>]) -> Option<(Voice, Rate)> {
        let part_of = |voice: Voice| parts.iter().find(|part| part.voice == voice);
        let of = |voice: Voice| self.figures.iter().find(|(own, _)| *own == voice).copied();
        let genai = of(Voice::Genai);
        let dated = genai.filter(|_| part_of(Voice::Genai).is_some_and(|part| part.dated));
        let two = self.figures.iter().find(|(_, rate)| self.backers(*rate) > 1).copied();
        let litellm = of(Voice::LiteLlm).filter(|_| {
            let cites = |voice| part_of(voice).is_some_and(|part| part.cites_seller);
            cites(Voice::LiteLlm) && !cites(Voice::Genai)
        });
        dated.or(two).or(litellm).or(genai).or_else(|| of(Voice::LiteLlm)).or(of(Voice::Metergraph))
    }

    fn backers(&self, rate: Rate) -> usize {
        self.figures.iter().filter(|(_, own)| *own == rate).count()
    }

    fn voices_for(&self, rate: Rate) -> impl Iterator<Item = Voice> {
        self.figures.iter().filter(move |(_, own)| *own == rate).map(|(voice, _)| *voice)
    }

    fn disputes(&self, rate: Rate, what: &str, court: &Court<'_>, disputes: &mut Vec<DisputeForm>) {
        let others = self.figures.iter().chain(&self.flat).filter(|(_, own)| *own != rate);
        disputes.extend(others.map(|(voice, own)| DisputeForm {
            rate: what.to_owned(),
            figure: Some(own.to_string()),
            source: court.label(*voice),
        }));
    }
}

/// Where one source lets its list rate apply under another condition and another, which knows the
/// condition too, gives no such rate: nobody decides whether cached tokens of a batch are cheap.
fn silent_disputes(parts: &[Part<'_>], court: &Court<'_>, merged: &mut Merged) {
    let Some(genai) = parts.iter().find(|part| part.voice == Voice::Genai) else { return };
    let Some(litellm) = parts.iter().find(|part| part.voice == Voice::LiteLlm) else { return };
    let (Some(inherited), Some(list)) = (genai.inherited, litellm.list) else { return };
    for key in inherited.iter().filter(|key| key.is_of_tokens()) {
        let has = |card: &Card| card.contains_key(key);
        let unsaid = has(&genai.cards.base) && has(&list.base) && !has(&litellm.cards.base);
        if unsaid {
            merged.disputes.push(DisputeForm {
                rate: key.as_str().to_owned(),
                figure: None,
                source: court.label(Voice::LiteLlm),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(text: &str) -> Cards {
        let mut cards = Cards::default();
        for pair in text.split_whitespace() {
            let (name, figure) = pair.split_once('=').unwrap();
            let key = match name {
                "input" => RateKey::Input,
                "output" => RateKey::Output,
                "cache_read" => RateKey::CacheRead,
                _ => RateKey::WebSearch,
            };
            let bound = Bound { tokens: 200_000, inclusive: false };
            let (figure, over) = figure.split_once('>').unwrap_or((figure, ""));
            cards.base.insert(key, Rate::read(figure, 0).unwrap());
            if let Ok(over) = Rate::read(over, 0) {
                cards.over.entry(bound).or_default().insert(key, over);
            }
        }
        cards
    }

    fn part(voice: Voice, cards: &Cards) -> Part<'_> {
        let cites_seller = voice != Voice::Genai;
        Part { voice, cards, inherited: None, list: None, dated: false, cites_seller }
    }

    fn court() -> Court<'static> {
        let labels = BTreeMap::from([
            (Voice::Genai, "genai".to_owned()),
            (Voice::LiteLlm, "litellm".to_owned()),
            (Voice::Metergraph, "metergraph".to_owned()),
        ]);
        Court { seller: "openai", labels, witnesses: None }
    }

    /// Genai's, LiteLLM's and metergraph's cards; the winner's; who is disputed.
    fn vote(genai: &str, litellm: &str, meter: &str) -> (String, String, bool) {
        let (genai, litellm, meter) = (cards(genai), cards(litellm), cards(meter));
        let parts = [
            part(Voice::Genai, &genai),
            part(Voice::LiteLlm, &litellm),
            part(Voice::Metergraph, &meter),
        ];
        let merged = merge(&parts, None, &court());
        let card = merged.cards.base.iter().map(|(key, rate)| format!("{}={rate}", key.as_str()));
        let disputes = merged.disputes.iter().map(|dispute| {
            let figure = dispute.figure.as_deref().unwrap_or("-");
            format!("{} {} {figure}", dispute.rate, dispute.source)
        });
        let joined = |texts: Vec<String>| texts.join(", ");
        (joined(card.collect()), joined(disputes.collect()), merged.agreed)
    }

    #[test]
    fn two_that_say_the_same_agree_and_three_vote() {
        for (genai, litellm, meter, card, disputes, agreed) in [
            ("input=2 output=8", "input=2 output=8", "", "input=2, output=8", "", true),
            ("input=2", "", "", "input=2", "", false),
            ("input=2 cache_read=1", "input=2", "", "input=2, cache_read=1", "", true),
            ("input=1", "input=2", "input=2", "input=2", "input genai 1", false),
            ("input=1", "input=2", "input=1", "input=1", "input litellm 2", false),
            // Only LiteLLM and metergraph point to the seller's own page here.
            ("input=1", "input=2", "", "input=2", "input genai 1", false),
            (
                "input=1 search=9",
                "input=1 search=8",
                "",
                "input=1, per_web_search=8",
                "per_web_search genai 9",
                false,
            ),
        ] {
            let expected = (card.to_owned(), disputes.to_owned(), agreed);
            assert_eq!(vote(genai, litellm, meter), expected, "{genai} | {litellm} | {meter}");
        }
    }

    #[test]
    fn a_tier_that_another_source_does_not_know_is_kept_and_disputed() {
        let (genai, litellm) = (cards("input=3>6 output=15>22.5"), cards("input=3 output=15"));
        let parts = [part(Voice::Genai, &genai), part(Voice::LiteLlm, &litellm)];
        let merged = merge(&parts, None, &court());
        assert_eq!(merged.cards.over, genai.over);
        let disputes: Vec<_> = merged.disputes.iter().map(|d| d.rate.as_str()).collect();
        assert_eq!(disputes, ["input over 200000", "output over 200000"]);
        assert_eq!(merged.disputes[0].figure.as_deref(), Some("3"));
    }

    #[test]
    fn an_odd_tier_needs_two_who_say_so() {
        let (genai, litellm) = (cards("input=1>5"), cards("input=1>5"));
        let alone = merge(&[part(Voice::Genai, &genai)], None, &court());
        let over: Vec<usize> = alone.cards.over.values().map(Card::len).collect();
        assert_eq!(over, [0], "the card stays, so that the base card is not taken for it");
        assert_eq!(alone.left_out.len(), 1);
        let both =
            merge(&[part(Voice::Genai, &genai), part(Voice::LiteLlm, &litellm)], None, &court());
        assert_eq!(both.cards.over, genai.over);
        assert_eq!(both.kept.len(), 1);

        let rate = |text| Rate::read(text, 0).unwrap();
        let witnesses = BTreeMap::from([("input over 200000".to_owned(), (rate("10"), rate("2")))]);
        let court = Court { witnesses: Some(&witnesses), ..court() };
        let elsewhere = merge(&[part(Voice::Genai, &genai)], None, &court);
        assert_eq!(elsewhere.cards.over, genai.over);
    }

    #[test]
    fn a_cached_rate_that_one_source_lets_apply_to_batches_is_disputed_where_the_other_has_none() {
        let genai = cards("input=1 output=4 cache_read=0.5");
        let (litellm, list) = (cards("input=1 output=4"), cards("input=2 output=8 cache_read=0.5"));
        let inherited = BTreeSet::from([RateKey::CacheRead]);
        let parts = [
            Part { inherited: Some(&inherited), list: Some(&list), ..part(Voice::Genai, &genai) },
            Part { list: Some(&list), ..part(Voice::LiteLlm, &litellm) },
        ];
        let merged = merge(&parts, Some(&list), &court());
        let dispute = &merged.disputes[0];
        assert_eq!((dispute.rate.as_str(), dispute.figure.as_deref()), ("cache_read", None));
        assert!(!merged.agreed);
    }
}
