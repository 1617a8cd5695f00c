//! Whose turn it is to be written. Pure: the clock is passed in.
//!
//! Logs with unwritten appends stand in one of two queues. Those in `ready` go together into one batch. A log
//! whose batch failed becomes *suspect*: suspects are tried one at a time, with a growing pause after each failure, so
//! that one log that can never be written (or a store that takes nothing) costs a single attempt per pause, and a log
//! that was only in bad company is out again after one attempt. Suspects that are due go first: they are older.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pause after the first failed attempt; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause: how late, at most, the end of a full disk is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<L> {
    /// Take a batch out of [`Schedule::take_ready`].
    Ready,
    /// Try this log alone.
    Suspect(L),
    /// Nothing before this time, or before something is added.
    Wait(Option<Instant>),
}

/// The two queues.
#[derive(Debug)]
pub(super) struct Schedule<L> {
    ready: VecDeque<L>,
    suspect: VecDeque<L>,
    /// Failed attempts since the last one that succeeded with a suspect.
    failures: u32,
    /// No suspect is tried before this.
    next_try: Option<Instant>,
}

impl<L> Schedule<L> {
    pub(super) fn new() -> Self {
        Self { ready: VecDeque::new(), suspect: VecDeque::new(), failures: 0, next_try: None }
    }

    /// Adds a log that got its first unwritten append, or has some left after a batch.
    pub(super) fn add(&mut self, log: L) {
        self.ready.push_back(log);
    }

    /// Puts a log back to the front: its batch failed, but not because of it.
    pub(super) fn add_front(&mut self, log: L) {
        self.ready.push_front(log);
    }

    /// Takes a log for the batch that is being put together.
    pub(super) fn take_ready(&mut self) -> Option<L> {
        self.ready.pop_front()
    }

    /// Whose turn it is.
    pub(super) fn turn(&mut self, now: Instant) -> Turn<L> {
        let due = self.next_try.is_none_or(|at| at <= now);
        if due && let Some(log) = self.suspect.pop_front() {
            Turn::Suspect(log)
        } else if self.ready.is_empty() {
            Turn::Wait(if self.suspect.is_empty() { None } else { self.next_try })
        } else {
            Turn::Ready
        }
    }

    /// An attempt failed because of these logs, or perhaps because of them.
    pub(super) fn failed(&mut self, logs: impl IntoIterator<Item = L>, now: Instant) {
        self.suspect.extend(logs);
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.next_try = Some(now + pause);
    }

    /// A suspect was written after all: the next one is tried at once.
    pub(super) fn cleared(&mut self) {
        self.failures = 0;
        self.next_try = None;
    }

    /// Logs whose last attempt failed. One that is being tried right now does not count.
    pub(super) fn suspects(&self) -> usize {
        self.suspect.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_failing_store_is_tried_once_per_growing_pause() {
        let start = Instant::now();
        let mut schedule = Schedule::new();
        schedule.failed(["a", "b"], start);
        assert_eq!(schedule.turn(start), Turn::Wait(Some(after(start, 100))));
        assert_eq!(schedule.turn(after(start, 100)), Turn::Suspect("a"));
        schedule.failed(["a"], after(start, 100));
        assert_eq!(schedule.turn(after(start, 299)), Turn::Wait(Some(after(start, 300))));
        assert_eq!(schedule.turn(after(start, 300)), Turn::Suspect("b"));
        let mut now = after(start, 300);
        for _ in 0..100 {
            schedule.failed(["b"], now);
            let Turn::Wait(Some(next)) = schedule.turn(now) else { panic!("no pause") };
            assert!(next - now <= LONGEST_PAUSE);
            now = next;
            assert_ne!(schedule.turn(now), Turn::Wait(None));
        }
    }

    #[test]
    fn a_log_that_never_succeeds_does_not_hold_up_the_others() {
        let start = Instant::now();
        let mut schedule = Schedule::new();
        schedule.failed(["poison", "unlucky", "unlucky too"], start);
        schedule.add("new");
        // During the pause the others go on.
        assert_eq!(schedule.turn(start), Turn::Ready);
        assert_eq!(schedule.take_ready(), Some("new"));
        let now = after(start, 100);
        assert_eq!(schedule.turn(now), Turn::Suspect("poison"));
        schedule.failed(["poison"], now);
        let now = after(now, 200);
        assert_eq!(schedule.turn(now), Turn::Suspect("unlucky"));
        schedule.cleared();
        assert_eq!(schedule.turn(now), Turn::Suspect("unlucky too"));
        schedule.cleared();
        assert_eq!(schedule.turn(now), Turn::Suspect("poison"));
        schedule.failed(["poison"], now);
        assert_eq!(schedule.turn(now), Turn::Wait(Some(after(now, 100))), "the pause starts small again");
    }

    #[test]
    fn suspects_that_are_due_go_before_a_busy_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::new();
        schedule.failed(["old"], start);
        schedule.add("new");
        assert_eq!(schedule.turn(after(start, 100)), Turn::Suspect("old"));
    }
}
