//! Answers about reservations that the state has forgotten: they come from the tables, which may be
//! ahead of the place that an answer says it reflects. So each is compared with all the ways in
//! which the reservation ever ended.

use std::collections::BTreeSet;

use engine::State;
use shards::{Question, Said};
use store::journal::Shard;

use crate::record::{Asked, QuestionAsked};

/// Answers that are still to be compared, and what they are compared with.
pub struct LongAgo<'a> {
    reservations: BTreeSet<u128>,
    /// Reservation, how it ended, when.
    endings: BTreeSet<(u128, String, Option<i64>)>,
    answers: Vec<&'a QuestionAsked>,
}

impl<'a> LongAgo<'a> {
    /// What was asked of a shard.
    #[must_use]
    pub fn new(asked: &Asked, shard: Shard) -> LongAgo<'a> {
        let questions = asked.questions.iter().filter(|question| question.shard == shard);
        let reservations = questions.filter_map(|asked| match asked.question {
            Question::Reservation(id) => Some(id),
            _ => None,
        });
        LongAgo { reservations: reservations.collect(), endings: BTreeSet::new(), answers: vec![] }
    }

    /// Notes what the state knows after an entry: what ends with it is forgotten later only.
    pub fn note(&mut self, state: &State) {
        for id in &self.reservations {
            if state.ended(*id).is_none() {
                continue;
            }
            let said = Question::Reservation(*id).ask(state, state.time());
            if let Said::Reservation(Some(seen)) = said {
                self.endings.insert((*id, seen.state, seen.ended_at));
            }
        }
    }

    /// Takes an answer that no state can give any more.
    pub fn takes(&mut self, asked: &'a QuestionAsked, state: &State) -> bool {
        let Question::Reservation(id) = asked.question else { return false };
        let is_known = state.reservation(id).is_some() || state.ended(id).is_some();
        let is_told = matches!(asked.reply.said, Said::Reservation(Some(_)));
        let takes = is_told && !is_known && asked.least <= Some(asked.reply.position);
        self.answers.extend(takes.then_some(asked));
        takes
    }

    /// What is wrong with the answers.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let wrong = self.answers.iter().filter_map(|asked| {
            let Said::Reservation(Some(seen)) = &asked.reply.said else { return None };
            let ending = (seen.id, seen.state.clone(), seen.ended_at);
            let is_true = seen.held.is_empty() && self.endings.contains(&ending);
            (!is_true)
                .then(|| format!("SIM-10 n{} said {seen:?}, which never ended so", asked.node))
        });
        wrong.collect()
    }
}
