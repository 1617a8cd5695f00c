//! Chance that follows from a seed.

use std::time::Duration;

use quire_relay::memory::Chance;

#[derive(Debug)]
pub(crate) struct Dice(Chance);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Chance::new(seed))
    }

    /// One of 0 to `count` - 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.number() % count.max(1) as u64).expect("it is below a usize")
    }

    /// Whether something happens that does so `percent` times of a hundred.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A time from `from` to `to` milliseconds.
    pub(crate) fn ms(&mut self, from: u64, to: u64) -> Duration {
        self.0.time(&(Duration::from_millis(from)..=Duration::from_millis(to)))
    }
}
