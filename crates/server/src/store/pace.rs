//! When the next commit may begin. Pure: the clock is passed in.
//!
//! A commit costs much more than what one edit adds to it. So one begins no sooner than a little time after the one before it
//! began, and everything that has come meanwhile shares it. After a rest the first edit is written at once. Nobody but its
//! author waits for an edit to be stored, and to people that time is none; those to whom it is one (a request that waits
//! for its answer, the end of the server) hurry.

use std::time::{Duration, Instant};

/// The pace of a server: far below what a person notices, and long enough that under load one sync serves many documents.
pub(crate) const PACE: Duration = Duration::from_millis(20);

/// The pace of one among several: those who edit with its clients at the others wait for the commit.
pub(crate) const PACE_AMONG: Duration = Duration::from_millis(10);

/// How a commit began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Began {
    /// When it was its time. Only authors wait for it.
    #[default]
    AtPace,
    /// As soon as it could, since somebody waits for it.
    Hurried,
}

/// When the next commit may begin.
#[derive(Debug)]
pub(super) struct Pace {
    /// From the beginning of a commit to that of the next.
    interval: Duration,
    next: Option<Instant>,
    hurried: bool,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: None, hurried: false }
    }

    /// The next commit may begin at once.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// A commit begins.
    pub(super) fn begin(&mut self, now: Instant) -> Began {
        self.next = now.checked_add(self.interval);
        if std::mem::take(&mut self.hurried) { Began::Hurried } else { Began::AtPace }
    }

    /// For how long the next commit is to be put off, if it is.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let pause = self.next?.saturating_duration_since(now);
        (!self.hurried && !pause.is_zero()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_begin_one_interval_apart_unless_hurried() {
        let (start, mut pace) = (Instant::now(), Pace::new(PACE));
        assert_eq!(pace.pause(start), None);
        assert_eq!(pace.begin(start), Began::AtPace);
        assert_eq!(pace.pause(start), Some(PACE));
        assert_eq!(pace.pause(start + PACE / 4), Some(PACE * 3 / 4));
        assert_eq!(pace.pause(start + PACE), None);
        pace.hurry();
        assert_eq!(pace.pause(start), None);
        // Once.
        assert_eq!(pace.begin(start), Began::Hurried);
        assert_eq!(pace.pause(start), Some(PACE));
    }
}
