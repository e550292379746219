//! Whether the tables say what the journal says, once everything is projected.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Entry, Measures, Outcome, State};
use shards::facts::{EventBlock, SumKind, Sums};

use crate::ledger::Ledger;
use crate::stored_facts::StoredFacts;

/// Where the tables differ from the journal. Entries are those of the whole journal.
#[must_use]
pub fn differences(
    facts: &StoredFacts,
    entries: &[(u64, Entry)],
    state: &State,
    ledger: &Ledger,
) -> Vec<String> {
    let mut found = vec![];
    let last = entries.last().map_or(0, |(seq, _)| *seq);
    if facts.checkpoint.seq != last {
        let at = facts.checkpoint.seq;
        found.push(format!("SIM-6 the tables are at {at}, the journal at {last}"));
        return found;
    }
    events(facts, entries, &mut found);
    sums(facts, entries, &mut found);
    windows(facts, state, ledger, &mut found);
    ids(facts, entries, &mut found);
    found
}

fn events(facts: &StoredFacts, entries: &[(u64, Entry)], found: &mut Vec<String>) {
    let mut booked: BTreeMap<(u64, u32), Measures> = BTreeMap::new();
    for (seq, entry) in entries {
        for (index, decision) in (0..).zip(&entry.decisions) {
            if let Outcome::Booked(of) = &decision.outcome {
                booked.insert((*seq, index), of.measures);
            }
        }
    }
    let mut rows: BTreeMap<(u64, u32), Measures> = BTreeMap::new();
    for block in facts.events.values() {
        let block = EventBlock::decode(&block.bytes).expect("what was written is read");
        for row in block.events {
            if rows.insert((row.seq, row.index), row.measures).is_some() {
                found.push(format!("SIM-6 the event at {}.{} is there twice", row.seq, row.index));
            }
        }
    }
    if booked != rows {
        let (journal, tables) = (booked.len(), rows.len());
        found.push(format!("SIM-6 {journal} events in the journal, {tables} other ones in tables"));
    }
}

fn sums(facts: &StoredFacts, entries: &[(u64, Entry)], found: &mut Vec<String>) {
    let (mut reported, mut adjusted) = ((0_i128, 0_i128, 0_i128), (0_i128, 0_i128, 0_i128));
    let add = |to: &mut (i128, i128, i128), of: &Measures| {
        *to = (to.0 + of.cost, to.1 + i128::from(of.requests), to.2 + i128::from(of.tokens));
    };
    for decision in entries.iter().flat_map(|(_, entry)| &entry.decisions) {
        match &decision.outcome {
            Outcome::Booked(booked) => add(&mut reported, &booked.measures),
            Outcome::Adjusted(of) => {
                of.bookings.iter().for_each(|booking| add(&mut adjusted, &booking.measures));
            }
            _ => {}
        }
    }
    let mut tables = [(0_i128, 0_i128, 0_i128); 2];
    for block in facts.sums.values() {
        let sums = Sums::decode(&block.bytes).expect("what was written is read");
        for (key, sum) in sums.iter() {
            let total = &mut tables[usize::from(key.kind == SumKind::Adjustment)];
            *total = (total.0 + sum.cost, total.1 + sum.requests, total.2 + sum.tokens);
        }
    }
    if tables != [reported, adjusted] {
        found.push(format!("SIM-6 sums are {tables:?}, not {reported:?} and {adjusted:?}"));
    }
}

fn windows(facts: &StoredFacts, state: &State, ledger: &Ledger, found: &mut Vec<String>) {
    for ((policy, start), used) in &ledger.by_start {
        // What a policy that is gone had counted is nobody's to compare.
        if state.policy(*policy).is_none() {
            continue;
        }
        let record = facts.windows.get(&(*policy, *start));
        let recorded = record.map(|record| record.used - record.late);
        if recorded != Some(*used) {
            found.push(format!("SIM-6 window {policy}/{start} has {recorded:?}, not {used}"));
        }
    }
}

fn ids(facts: &StoredFacts, entries: &[(u64, Entry)], found: &mut Vec<String>) {
    let mut covered = 0;
    for run in facts.runs.values() {
        if run.first_seq <= covered {
            found.push(format!("SIM-6 the ids of {} are there twice", run.first_seq));
        }
        covered = run.last_seq;
    }
    let with_ids = entries
        .iter()
        .filter(|(_, entry)| entry.decisions.iter().any(|decision| decision.once.is_some()));
    let places: BTreeSet<u64> = with_ids.map(|(seq, _)| *seq).collect();
    let is_covered = |seq: &u64| {
        let run = facts.runs.range(*seq..).next();
        run.is_some_and(|(_, run)| run.first_seq <= *seq)
    };
    for seq in places.iter().filter(|seq| !is_covered(seq)) {
        found.push(format!("SIM-6 the ids of entry {seq} are nowhere"));
    }
}
