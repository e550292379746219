//! The facts of one shard in memory, with every promise of their trait.

use std::collections::BTreeMap;

use domain::AuditEvent;
use store::Result;
use store::facts::{
    BlockQuery, Checkpoint, CrossingRecord, FactsBlock, FactsChunk, IdRunRecord, Projected,
    WindowChange, WindowRecord,
};

use crate::stored::bug;

/// The facts of a shard.
pub struct StoredFacts {
    /// How far the journal is in them.
    pub checkpoint: Checkpoint,
    /// Blocks of events by their last entries.
    pub events: BTreeMap<u64, FactsBlock>,
    /// Blocks of sums by their last entries.
    pub sums: BTreeMap<u64, FactsBlock>,
    /// Runs of ids by their last entries.
    pub runs: BTreeMap<u64, IdRunRecord>,
    /// Records of windows by policy and start.
    pub windows: BTreeMap<(u32, i64), WindowRecord>,
    /// Crossings by place.
    pub crossings: BTreeMap<(u64, u32), CrossingRecord>,
    /// The audit log.
    pub audit: Vec<AuditEvent>,
}

impl Default for StoredFacts {
    fn default() -> StoredFacts {
        StoredFacts {
            checkpoint: Checkpoint::BEGINNING,
            events: BTreeMap::new(),
            sums: BTreeMap::new(),
            runs: BTreeMap::new(),
            windows: BTreeMap::new(),
            crossings: BTreeMap::new(),
            audit: vec![],
        }
    }
}

impl StoredFacts {
    /// See [`store::Facts::project`].
    ///
    /// # Errors
    /// As there.
    pub fn project(
        &mut self,
        from: Checkpoint,
        to: Checkpoint,
        chunk: FactsChunk,
    ) -> Result<Projected> {
        let is_after = to.incarnation > from.incarnation
            || to.incarnation == from.incarnation && to.seq > from.seq;
        if !is_after {
            return Err(bug("a checkpoint would move back"));
        }
        if self.checkpoint != from {
            return Ok(Projected::Elsewhere(self.checkpoint));
        }
        let taken = |blocks: &BTreeMap<u64, FactsBlock>, block: &Option<FactsBlock>| {
            block.as_ref().is_some_and(|block| blocks.contains_key(&block.last_seq))
        };
        if taken(&self.events, &chunk.events) || taken(&self.sums, &chunk.sums) {
            return Err(bug("a block's place is taken"));
        }
        self.checkpoint = to;
        self.events.extend(chunk.events.map(|block| (block.last_seq, block)));
        self.sums.extend(chunk.sums.map(|block| (block.last_seq, block)));
        self.runs.extend(chunk.ids.map(|run| (run.last_seq, run)));
        for change in &chunk.windows {
            self.add_to_window(change);
        }
        let crossings = chunk.crossings.into_iter();
        self.crossings.extend(crossings.map(|crossing| ((crossing.seq, crossing.index), crossing)));
        self.audit.extend(chunk.audit);
        Ok(Projected::Done)
    }

    fn add_to_window(&mut self, change: &WindowChange) {
        let blank = WindowRecord { start_at: change.start_at, end_at: 0, used: 0, late: 0 };
        let record = self.windows.entry((change.policy, change.start_at)).or_insert(blank);
        record.end_at = change.end_at;
        record.used += change.used;
        record.late += change.late;
    }

    /// Blocks that the query asks for.
    #[must_use]
    pub fn blocks(blocks: &BTreeMap<u64, FactsBlock>, query: BlockQuery) -> Vec<FactsBlock> {
        let before = blocks.range(..query.before_seq).rev().map(|(_, block)| block);
        let reached =
            before.filter(|block| block.at_max >= query.start && block.at_min < query.end);
        reached.take(query.limit).cloned().collect()
    }

    /// See [`store::Facts::merge_sums`].
    pub fn merge_sums(&mut self, replaced: &[u64], merged: FactsBlock) -> bool {
        let reached = self.sums.values().filter(|block| {
            block.last_seq >= merged.first_seq && block.first_seq <= merged.last_seq
        });
        let reached: Vec<&FactsBlock> = reached.collect();
        let is_within = |block: &&&FactsBlock| {
            block.first_seq >= merged.first_seq && block.last_seq <= merged.last_seq
        };
        let are_these = reached.iter().map(|block| block.last_seq).eq(replaced.iter().copied());
        if replaced.is_empty()
            || !are_these
            || reached.iter().filter(is_within).count() != reached.len()
        {
            return false;
        }
        for last_seq in replaced {
            self.sums.remove(last_seq);
        }
        self.sums.insert(merged.last_seq, merged);
        true
    }

    /// See [`store::Facts::id_runs`].
    #[must_use]
    pub fn id_runs(&self) -> (Checkpoint, Vec<IdRunRecord>) {
        let heads = self.runs.values().map(|run| IdRunRecord { body: vec![], ..run.clone() });
        (self.checkpoint, heads.collect())
    }

    /// See [`store::Facts::id_run_piece`].
    #[must_use]
    pub fn id_run_piece(
        &self,
        entries: (u64, u64),
        offset: usize,
        length: usize,
    ) -> Option<Vec<u8>> {
        let run = self.runs.get(&entries.1).filter(|run| run.first_seq == entries.0)?;
        Some(run.body.iter().skip(offset).take(length).copied().collect())
    }

    /// See [`store::Facts::merge_id_runs`].
    ///
    /// # Errors
    /// As there.
    pub fn merge_id_runs(&mut self, replaced: &[u64], merged: Option<IdRunRecord>) -> Result<bool> {
        if !replaced.iter().all(|last_seq| self.runs.contains_key(last_seq)) {
            return Ok(false);
        }
        let has_its_name = |last_seq: &u64| {
            let run = self.runs.get(last_seq);
            run.zip(merged.as_ref()).is_some_and(|(run, merged)| {
                (run.first_seq, run.last_seq) == (merged.first_seq, merged.last_seq)
            })
        };
        if replaced.iter().any(has_its_name) {
            return Err(bug("a merged run of ids has the name of one that it replaces"));
        }
        for last_seq in replaced {
            self.runs.remove(last_seq);
        }
        self.runs.extend(merged.map(|run| (run.last_seq, run)));
        Ok(true)
    }
}
