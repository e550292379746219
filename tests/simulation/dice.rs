//! Random choices of one seed, so that a run can be had again.
//!
//! `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>): small, and good enough to choose fates.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A stream of its own, which takes one number of this one.
    #[must_use]
    pub fn fork(&mut self) -> Dice {
        Dice(self.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 128 random bits.
    pub fn wide(&mut self) -> u128 {
        u128::from(self.number()) << 64 | u128::from(self.number())
    }

    /// A number from `least` up to and without `end`.
    pub fn between(&mut self, least: u64, end: u64) -> u64 {
        assert!(least < end, "a range has numbers");
        least + self.number() % (end - least)
    }

    /// The same for signed numbers.
    pub fn signed(&mut self, least: i64, end: i64) -> i64 {
        let width = end.abs_diff(least);
        least.wrapping_add_unsigned(self.between(0, width))
    }

    /// Whether it happens, which it does `permille` times of a thousand.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.between(0, 1_000) < permille
    }

    /// One of `all`, which are some.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = u64::try_from(all.len()).expect("a slice's length fits");
        let index = usize::try_from(self.between(0, count)).expect("an index fits");
        &all[index]
    }
}
