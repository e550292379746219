//! A small deterministic source of numbers: SplitMix64, keyed by what the numbers are for.
//!
//! Each use names its own key (seed, day, workload…), so no number depends on how many others were
//! drawn before it, and one day can be drawn again without touching its neighbours. The mixer is
//! the public-domain one of <https://prng.di.unimi.it/splitmix64.c>.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the numbers are drawn for; the first part of every key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Workload = 1,
    Spike,
    Idle,
    Credit,
    Identifier,
    Request,
}

/// A stream of numbers that its key alone decides.
#[derive(Debug, Clone)]
pub(crate) struct Stream(u64);

impl Stream {
    pub(crate) fn keyed(seed: u64, purpose: Purpose, key: &[u64]) -> Stream {
        let start = mix(seed.wrapping_add(GOLDEN)) ^ purpose as u64;
        Stream(key.iter().fold(mix(start), |state, part| {
            mix(state.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN)))
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number from `least` to `most`, both included. The bias of the remainder does not matter
    /// here.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// `length` letters and digits.
    pub(crate) fn letters(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..length)
            .map(|_| {
                let index = usize::try_from(self.between(0, 61)).expect("below 62");
                char::from(ALPHABET[index])
            })
            .collect()
    }
}

/// Scrambles one number.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_is_the_published_one() {
        // First outputs of splitmix64.c for the state 0.
        let mut stream = Stream(0);
        assert_eq!(stream.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(stream.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn every_part_of_a_key_matters() {
        let first = |seed, purpose, key: &[u64]| Stream::keyed(seed, purpose, key).next();
        let base = first(1, Purpose::Spike, &[7, 9]);
        assert_ne!(base, first(2, Purpose::Spike, &[7, 9]));
        assert_ne!(base, first(1, Purpose::Idle, &[7, 9]));
        assert_ne!(base, first(1, Purpose::Spike, &[9, 7]));
        assert_ne!(base, first(1, Purpose::Spike, &[7]));
    }
}
