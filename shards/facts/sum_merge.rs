//! Which blocks of sums to unite. Blocks of one quarter hour have mostly the same sums, so that
//! united they are hardly larger than one of them: without it a quiet shard would keep one for each
//! second.

use std::ops::Range;

use store::facts::FactsBlock;

/// Blocks of one size that are worth uniting.
pub const SUM_BLOCKS_MIN: usize = 8;
/// Blocks united at once, at most.
pub const SUM_BLOCKS_MAX: usize = 64;
/// Sums of a united block, at most, before equal ones are added up.
pub const SUM_ROWS_MAX: u64 = 50_000;

/// A block of sums without its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumBlockSize {
    /// The first journal entry with something in it.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// How many sums.
    pub row_count: u32,
}

/// Which neighbours to unite next, as indices into blocks in the order of their entries; `None`
/// where all is as it should be. To be asked again after each merge.
///
/// `kept_apart` are entries that make a policy whose base is not entered yet: what is up to such an
/// entry stays apart from what comes after it.
#[must_use]
pub fn sums_to_merge(blocks: &[SumBlockSize], kept_apart: &[u64]) -> Option<Range<usize>> {
    let mut class = 0;
    let mut stretch = blocks.len()..blocks.len();
    let mut rows = 0_u64;
    for (index, block) in blocks.iter().enumerate().rev() {
        let own_class = block.row_count.max(1).ilog(8);
        let next = blocks.get(index + 1);
        let is_edge = next.is_some_and(|next| {
            kept_apart.iter().any(|seq| block.last_seq <= *seq && *seq < next.first_seq)
        });
        let is_full = rows.saturating_add(block.row_count.into()) > SUM_ROWS_MAX;
        if own_class > class || is_edge || is_full {
            if stretch.len() >= SUM_BLOCKS_MIN {
                break;
            }
            class = class.max(own_class);
            // Smaller ones before larger ones go with them, but never over an edge.
            let begins_anew = is_edge || is_full;
            stretch.end = if begins_anew { index + 1 } else { stretch.end };
            rows = if begins_anew { 0 } else { rows };
        }
        stretch.start = index;
        rows = rows.saturating_add(block.row_count.into());
    }
    let is_worth_it = stretch.len() >= SUM_BLOCKS_MIN;
    is_worth_it.then(|| stretch.start..stretch.end.min(stretch.start + SUM_BLOCKS_MAX))
}

impl From<&FactsBlock> for SumBlockSize {
    fn from(block: &FactsBlock) -> SumBlockSize {
        let FactsBlock { first_seq, last_seq, row_count, .. } = *block;
        SumBlockSize { first_seq, last_seq, row_count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(rows: &[u32]) -> Vec<SumBlockSize> {
        let block = |(seq, row_count): (u64, &u32)| SumBlockSize {
            first_seq: seq,
            last_seq: seq,
            row_count: *row_count,
        };
        (1..).zip(rows).map(block).collect()
    }

    #[test]
    fn eight_neighbours_are_united_and_fewer_wait() {
        assert_eq!(sums_to_merge(&blocks(&[3; 7]), &[]), None);
        assert_eq!(sums_to_merge(&blocks(&[3; 8]), &[]), Some(0..8));
        assert_eq!(sums_to_merge(&blocks(&[3; 100]), &[]), Some(0..64));
    }

    #[test]
    fn full_blocks_stay_as_they_are() {
        let mut rows = vec![50_000; 10];
        assert_eq!(sums_to_merge(&blocks(&rows), &[]), None);
        rows.extend([3; 8]);
        assert_eq!(sums_to_merge(&blocks(&rows), &[]), Some(10..18));
    }

    #[test]
    fn nothing_is_united_over_a_policy_without_its_base() {
        assert_eq!(sums_to_merge(&blocks(&[3; 12]), &[6]), None);
        assert_eq!(sums_to_merge(&blocks(&[3; 16]), &[8]), Some(8..16));
    }

    #[test]
    fn a_quiet_shard_keeps_few_blocks_however_long_it_lives() {
        let mut life: Vec<SumBlockSize> = vec![];
        for seq in 1..5_000 {
            life.push(SumBlockSize { first_seq: seq, last_seq: seq, row_count: 5 });
            while let Some(range) = sums_to_merge(&life, &[]) {
                let united = SumBlockSize {
                    first_seq: life[range.start].first_seq,
                    last_seq: life[range.end - 1].last_seq,
                    // A tenth of the sums are new.
                    row_count: life[range.clone()].iter().map(|block| block.row_count).sum::<u32>()
                        / 10
                        + 5,
                };
                life.splice(range, [united]);
            }
            assert!(life.len() < 60, "{} blocks after {seq}", life.len());
        }
    }
}
