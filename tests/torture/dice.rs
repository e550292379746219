//! Random choices of one seed, so that what a round does can be done again.
//!
//! `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>): small, and good enough to choose moments.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A stream of its own, which takes one number of this one.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }

    /// A number from `least` up to and without `end`.
    pub(crate) fn between(&mut self, least: u64, end: u64) -> u64 {
        debug_assert!(least < end, "a range has numbers");
        least + self.next() % (end - least)
    }

    /// Whether it happens, which it does `percent` times of a hundred.
    pub(crate) fn happens(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    /// One of `all`, which are some.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = u64::try_from(all.len()).expect("a slice's length fits");
        let index = usize::try_from(self.between(0, count)).expect("an index fits");
        &all[index]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
