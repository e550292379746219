//! temporary
use crate::ids::{
    BodyHash, BuiltRun, Filter, Identity, LoadedRun, RunBuilder, RunError, RunHeader,
};
use engine::policy::Policy;
use engine::{Entry, Micros, State};
use store::facts::{FactsBlock, FactsChunk, IdRunRecord};
pub struct Chunk {
    pub to_seq: u64,
    pub taken: usize,
    pub facts: FactsChunk,
    pub ids: Option<BuiltRun>,
}
pub fn project(shadow: &mut State, entries: &[(u64, Entry)]) -> Chunk {
    let first = entries[0].0;
    let mut decisions = 0;
    let mut taken = 0;
    let mut to_seq = first;
    let end = entries
        .iter()
        .position(|(_, e)| {
            e.decisions.iter().any(|d| matches!(d.outcome, engine::Outcome::PolicyMade { .. }))
        })
        .map_or(entries.len(), |p| p + 1);
    for (seq, e) in &entries[..end] {
        decisions += e.decisions.len();
        if taken > 0 && decisions > 1000 {
            break;
        }
        taken += 1;
        to_seq = *seq;
    }
    let mut b = RunBuilder::new(first - 1, to_seq);
    for (seq, e) in &entries[..taken] {
        for d in &e.decisions {
            if let Some((i, h)) = d.once {
                b.push(
                    crate::ids::Entry { identity: Identity(i), position: *seq, body: BodyHash(h) },
                    None,
                    e.time,
                );
            }
        }
        shadow.replay(*seq, e);
    }
    let built = b.finish().expect("fits");
    let ids = built.map(|r| run_record(r, first, to_seq));
    Chunk { to_seq, taken, facts: FactsChunk { ids, ..Default::default() }, ids: None }
}
pub fn run_record(run: BuiltRun, first_seq: u64, last_seq: u64) -> IdRunRecord {
    let f = run.filter.encode();
    let mut head = (f.len() as u64).to_be_bytes().to_vec();
    head.extend(&f);
    let len = RunHeader::length(&run.bytes).unwrap();
    head.extend(&run.bytes[..len]);
    IdRunRecord {
        last_seq,
        first_seq,
        arrived_max: run.header.meta().arrived_at_max_micros,
        head,
        body: run.bytes,
    }
}
pub fn load_run(r: &IdRunRecord) -> Result<LoadedRun, RunError> {
    let n = u64::from_be_bytes(r.head[..8].try_into().unwrap()) as usize;
    let f = Filter::decode(&r.head[8..8 + n])?;
    LoadedRun::new(r.last_seq, RunHeader::read(&r.head[8 + n..])?, f)
}
pub struct Base;
impl Base {
    pub fn new(_: &Policy, _: Micros) -> Base {
        Base
    }
    pub fn add(&mut self, _: &FactsBlock) -> Result<(), RunError> {
        Ok(())
    }
    pub fn parts(&self) -> Vec<(i64, i128)> {
        vec![]
    }
}
pub fn base_start(_: &Policy, now: Micros) -> Micros {
    now
}
pub fn entries_of(run: &LoadedRun) -> (u64, u64) {
    (run.header().meta().from.saturating_add(1), run.header().meta().to)
}
