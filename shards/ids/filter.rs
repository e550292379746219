//! A run's filter: says of most ids that the run does not have them, without a look at the run.
//!
//! Two filters, asked one after the other, with unrelated bits of the identity. A split block
//! Bloom filter (<https://arxiv.org/abs/2101.01719>) of 10 bits an id turns away 98 of 100 foreign
//! ids with one visit to memory; a binary fuse filter (<https://arxiv.org/abs/2201.01174>) of 9
//! bits an id turns away 255 of 256 of the rest. Together 2.4 bytes an id, and at most one foreign
//! id in 10,000 passes. Their seeds follow from nothing but the ids, so the same run always has
//! the same filter. No id of the run is ever held back: that is checked when the filter is made.

use xorf::{BinaryFuse8, Descriptor, Filter as _};

use super::{Identity, RunError, RunHeader};

const FORMAT: u8 = 1;
/// Format, the run's checksum, the count of blocks.
const HEAD_BYTES: usize = 1 + 4 + 4;
const CHECKSUM_BYTES: usize = 4;
/// Seed, length of a segment, length of all segments that a hash may begin in.
const DESCRIPTOR_BYTES: usize = 8 + 4 + 4;
const BLOCK_BITS: usize = 256;
const BLOCK_BYTES: usize = BLOCK_BITS / 8;
const BLOOM_BITS_PER_ID: usize = 10;
/// Odd numbers without a pattern, one for each word of a block; those that Parquet uses:
/// <https://github.com/apache/parquet-format/blob/master/BloomFilter.md>.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Which identities a run may have.
#[derive(Debug, Clone)]
pub struct Filter {
    run_checksum: u32,
    blocks: Box<[Block]>,
    /// `None` lets everything through that the blocks do.
    fuse: Option<BinaryFuse8>,
}

/// Half a line of the processor's cache, never across two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
struct Block([u32; 8]);

/// What filters are asked of one identity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// Ascends with the identity.
    fuse_key: u64,
    /// Of 2³²: how far into the blocks.
    block: u64,
    /// One bit in each word of the block.
    mask: [u32; 8],
}

impl Filter {
    /// The filter of a run with these identities, ascending.
    pub(super) fn of(header: &RunHeader, identities: &[Identity]) -> Filter {
        let block_count = (identities.len() * BLOOM_BITS_PER_ID).div_ceil(BLOCK_BITS).max(1);
        let mut blocks = vec![Block([0; 8]); block_count].into_boxed_slice();
        let mut keys = Vec::with_capacity(identities.len());
        for probe in identities.iter().map(Probe::of) {
            for (word, bit) in blocks[probe.block_of(block_count)].0.iter_mut().zip(probe.mask) {
                *word |= bit;
            }
            keys.push(probe.fuse_key);
        }
        // Two identities may share the key, and the construction must not meet a key twice.
        keys.dedup();
        let fuse = BinaryFuse8::try_from(&keys).ok();
        let fuse = fuse.filter(|fuse| keys.iter().all(|key| fuse.contains(key)));
        Filter { run_checksum: header.checksum, blocks, fuse }
    }

    /// Whether the run may have the identity: always where it has it, else once in 10,000.
    #[must_use]
    pub fn may_contain(&self, identity: &Identity) -> bool {
        self.passes(&Probe::of(identity))
    }

    /// As [`Filter::may_contain`], with what is the same for all filters worked out before.
    pub(super) fn passes(&self, probe: &Probe) -> bool {
        let words = self.blocks[probe.block_of(self.blocks.len())].0;
        let missing =
            words.iter().zip(probe.mask).fold(0, |missing, (word, bit)| missing | (bit & !word));
        missing == 0 && self.fuse.as_ref().is_none_or(|fuse| fuse.contains(&probe.fuse_key))
    }

    /// The filter's bytes, to be stored beside its run.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.run_checksum.to_le_bytes());
        let block_count = u32::try_from(self.blocks.len()).expect("a run's count fits 32 bits");
        bytes.extend(block_count.to_le_bytes());
        let words = self.blocks.iter().flat_map(|block| block.0);
        bytes.extend(words.flat_map(u32::to_le_bytes));
        if let Some(fuse) = &self.fuse {
            bytes.extend(fuse.descriptor.seed.to_le_bytes());
            bytes.extend(fuse.descriptor.segment_length.to_le_bytes());
            bytes.extend(fuse.descriptor.segment_count_length.to_le_bytes());
            bytes.extend(&fuse.fingerprints);
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a filter back.
    ///
    /// # Errors
    /// `Truncated`, `UnknownFormat`, `DamagedFilter`.
    pub fn decode(bytes: &[u8]) -> Result<Filter, RunError> {
        let needed = HEAD_BYTES + CHECKSUM_BYTES;
        if bytes.len() < needed {
            return Err(RunError::Truncated { needed, got: bytes.len() });
        }
        if bytes[0] != FORMAT {
            return Err(RunError::UnknownFormat(bytes[0]));
        }
        let (covered, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if crc32fast::hash(covered) != u32_at(checksum, 0) {
            return Err(RunError::DamagedFilter);
        }
        decode_sound(covered).ok_or(RunError::DamagedFilter)
    }

    /// How many bytes of memory the filter takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let prints = self.fuse.as_ref().map_or(0, |fuse| fuse.fingerprints.len());
        size_of::<Filter>() + size_of_val(&*self.blocks) + prints
    }

    /// Whether the filter was made of this run. Another run's would hold its ids back.
    pub(super) fn is_of(&self, header: &RunHeader) -> bool {
        self.run_checksum == header.checksum
    }
}

impl Probe {
    pub(super) fn of(identity: &Identity) -> Probe {
        let (fuse_key, _) = identity.0.split_first_chunk().expect("an identity has 16 bytes");
        let low = u32_at(&identity.0, 12);
        Probe {
            fuse_key: u64::from_be_bytes(*fuse_key),
            block: u32_at(&identity.0, 8).into(),
            mask: SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27)),
        }
    }

    fn block_of(&self, block_count: usize) -> usize {
        let block_count = u64::try_from(block_count).expect("a length fits 64 bits");
        usize::try_from((self.block * block_count) >> 32).expect("below the count of blocks")
    }
}

fn decode_sound(covered: &[u8]) -> Option<Filter> {
    let block_count = usize::try_from(u32_at(covered, 5)).ok()?;
    let blocks_bytes = block_count.checked_mul(BLOCK_BYTES)?;
    let (blocks, fuse) = covered[HEAD_BYTES..].split_at_checked(blocks_bytes)?;
    let block_of = |bytes: &[u8]| Block(std::array::from_fn(|word| u32_at(bytes, word * 4)));
    let fuse = if fuse.is_empty() { None } else { Some(fuse_of(fuse)?) };
    let blocks: Box<[Block]> = blocks.chunks_exact(BLOCK_BYTES).map(block_of).collect();
    (block_count > 0).then(|| Filter { run_checksum: u32_at(covered, 1), blocks, fuse })
}

/// `None` where a look-up could reach past the fingerprints.
fn fuse_of(bytes: &[u8]) -> Option<BinaryFuse8> {
    let (descriptor, fingerprints) = bytes.split_at_checked(DESCRIPTOR_BYTES)?;
    let (&seed, _) = descriptor.split_first_chunk()?;
    let segment_length = u32_at(descriptor, 8);
    let segment_count_length = u32_at(descriptor, 12);
    // A hash begins in one of the counted segments and goes on in the two behind it.
    let print_count = segment_length.checked_mul(2)?.checked_add(segment_count_length)?;
    let is_sound = segment_length.is_power_of_two()
        && segment_count_length > 0
        && segment_count_length.is_multiple_of(segment_length)
        && fingerprints.len() == usize::try_from(print_count).ok()?;
    is_sound.then(|| BinaryFuse8 {
        descriptor: Descriptor {
            seed: u64::from_le_bytes(seed),
            segment_length,
            segment_length_mask: segment_length - 1,
            segment_count_length,
        },
        fingerprints: fingerprints.into(),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("a filter's fields lie within it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BodyHash, BuiltRun, Entry, RunBuilder};

    fn identity(number: u64) -> Identity {
        Identity::of(b"seeded", &number.to_le_bytes())
    }

    /// As good as hashes, and faster to make: <https://prng.di.unimi.it/splitmix64.c>.
    fn scattered(number: u64) -> Identity {
        let half = |number: u64| {
            let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(z ^ z >> 31)
        };
        Identity((half(2 * number + 1) << 64 | half(2 * number + 2)).to_be_bytes())
    }

    fn run_of(count: u64) -> BuiltRun {
        let mut run = RunBuilder::new(0, 1);
        for number in 0..count {
            let entry = Entry { identity: identity(number), position: 1, body: BodyHash([0; 4]) };
            run.push(entry, None, 0);
        }
        run.finish().unwrap().unwrap()
    }

    #[test]
    fn ids_of_the_run_pass_and_one_foreign_id_in_ten_thousand_at_most() {
        let header = run_of(1).header;
        for count in [100_000, 1_000_000] {
            let mut identities: Vec<_> = (0..count).map(scattered).collect();
            identities.sort_unstable();
            let filter = Filter::of(&header, &identities);
            assert!(filter.fuse.is_some() && identities.iter().all(|id| filter.may_contain(id)));
            let foreign = (count..count + 1_000_000).map(scattered);
            let passed = foreign.filter(|id| filter.may_contain(id)).count();
            assert!(passed <= 100, "{passed} of a million beside {count}");
            let bytes_max = u128::from(count) * 5 / 2;
            assert!(u128::try_from(filter.bytes()).unwrap() <= bytes_max, "{}", filter.bytes());
        }
    }

    #[test]
    fn a_filter_of_few_ids_holds_none_of_them_back() {
        for count in 1..40 {
            let filter = run_of(count).filter;
            assert!(filter.fuse.is_some(), "{count} ids");
            assert!((0..count).all(|number| filter.may_contain(&identity(number))), "{count} ids");
            assert!(!filter.may_contain(&identity(count + 7)), "{count} ids");
        }
    }

    #[test]
    fn identities_that_share_a_key_are_both_let_through() {
        let header = run_of(1).header;
        let sharing = |key: u64, rest: u64| {
            Identity((u128::from(key) << 64 | u128::from(rest)).to_be_bytes())
        };
        let identities = [sharing(7, 0), sharing(7, 1), sharing(7, 1 << 60), sharing(8, 1)];
        let filter = Filter::of(&header, &identities);
        assert!(filter.fuse.is_some());
        assert!(identities.iter().all(|identity| filter.may_contain(identity)));
        assert!(!filter.may_contain(&sharing(9, 0)));
    }

    #[test]
    fn a_filter_reads_back_as_it_was_written() {
        let run = run_of(1000);
        let bytes = run.filter.encode();
        let read = Filter::decode(&bytes).unwrap();
        assert_eq!(read.encode(), bytes);
        assert!(read.is_of(&run.header) && !read.is_of(&run_of(999).header));
        assert_eq!(run_of(1000).filter.encode(), bytes, "the same run, the same filter");
        let all = Filter { fuse: None, ..run.filter };
        let read = Filter::decode(&all.encode()).unwrap();
        assert!((0..1000).all(|number| read.may_contain(&identity(number))));
    }

    #[test]
    fn a_damaged_filter_is_never_believed() {
        let bytes = run_of(20).filter.encode();
        for length in 0..bytes.len() {
            assert!(Filter::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(Filter::decode(&damaged).is_err(), "bit {at}");
        }
    }

    #[test]
    fn lengths_that_reach_past_the_end_are_refused() {
        let good = run_of(20).filter.encode();
        let covered = &good[..good.len() - 4];
        for (what, at, value) in [
            ("no blocks", 5, 0_u32),
            ("a block more", 5, 2),
            ("as many blocks as numbers go", 5, u32::MAX),
            ("segments of no length", 49, 0),
            ("segments of no power of two", 49, 3),
            ("segments as long as numbers go", 49, 1 << 31),
            ("no segments", 53, 0),
            ("half a segment more", 53, 6),
            ("as many segments as numbers go", 53, u32::MAX),
        ] {
            let mut bad = covered.to_vec();
            bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
            bad.extend(crc32fast::hash(&bad).to_le_bytes());
            assert_eq!(Filter::decode(&bad).err(), Some(RunError::DamagedFilter), "{what}");
        }
    }
}
