//! Numbers that vary, the same ones for the same seed.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The splitmix64 generator of Steele, Lea and Flood. Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence that belongs to this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True so often out of a thousand times.
    pub fn happens(&mut self, per_mille: u32) -> bool {
        self.number() % 1000 < u64::from(per_mille)
    }

    /// A time in this range, in whole microseconds. An empty range gives its start.
    pub fn time(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let spread = range.end().saturating_sub(*range.start()).as_micros();
        let spread = u64::try_from(spread).unwrap_or(u64::MAX - 1);
        *range.start() + Duration::from_micros(self.number() % (spread + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_sequence() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            [chance.number(), chance.number()]
        };
        // The first ones of the reference implementation.
        assert_eq!(numbers(0), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_ne!(numbers(1), numbers(0));
    }

    #[test]
    fn times_stay_in_their_range() {
        let mut chance = Chance::new(7);
        let range = Duration::from_micros(5)..=Duration::from_micros(7);
        let times: std::collections::BTreeSet<_> = (0..100).map(|_| chance.time(&range)).collect();
        assert_eq!(times.into_iter().map(|time| time.as_micros()).collect::<Vec<_>>(), [5, 6, 7]);
        let none = Duration::from_micros(5)..=Duration::ZERO;
        assert_eq!(chance.time(&none), Duration::from_micros(5));
    }
}
