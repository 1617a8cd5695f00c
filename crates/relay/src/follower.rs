//! Keeps a node's copy of a document level with the shared log, whatever the relay loses.
//!
//! A node knows the seqs of what it has: from loading, from its own appends, from what others tell it. What comes ahead of its turn is
//! held back for a moment, so that updates are taken in the order of the log and nobody is sent what builds on something that it lacks. A hole
//! that is not filled in that moment, a loss that the relay tells of, and a look at the store that shows more than is known all end
//! in the same thing: one read of the log behind the last seq up to which nothing lacks. Pure: the time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cursor::Cursor;

/// How long a hole may wait for the message that fills it: others' messages come by another way than what this node's own
/// appends show.
pub const HOLE_WAIT: Duration = Duration::from_millis(250);

/// How long a read that has failed is not tried again.
pub const READ_AGAIN: Duration = Duration::from_secs(1);

/// The most bytes that are held back behind a hole. What is beyond is read from the store.
const HELD_BYTES: usize = 1 << 20;

/// The most messages that are held back.
const HELD: usize = 64;

/// Updates that are to be taken now, in this order.
pub type Ready = Vec<Bytes>;

/// Follows the log of one document from the moment it is loaded.
#[derive(Debug)]
pub struct Follower {
    /// What was taken, and this node's own appends.
    cursor: Cursor,
    /// What came ahead of its turn: by its first seq, the last one and the updates.
    held: BTreeMap<u64, (u64, Vec<Bytes>)>,
    held_bytes: usize,
    reading: Reading,
}

/// What is read from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Nothing lacks.
    Level,
    /// Something lacks that others have; it is read at this time if it has not come by then.
    Hole(Instant),
    /// Something lacks, or may; it is read at this time.
    Due(Instant),
    /// It is being read. `again`: something was missed after the read began.
    Under { again: bool },
}

impl Follower {
    /// The document was loaded as of this seq.
    pub fn new(seq: u64) -> Self {
        Self { cursor: Cursor::at(seq), held: BTreeMap::new(), held_bytes: 0, reading: Reading::Level }
    }

    /// The seq up to which nothing lacks.
    pub fn reached(&self) -> u64 {
        self.cursor.reached()
    }

    /// Another node has stored these updates, one for each seq from `first` to `last`. None at all: they are to be read.
    pub fn heard(&mut self, first: u64, last: u64, updates: Vec<Bytes>, now: Instant) -> Ready {
        if self.cursor.has(first, last) {
            return Ready::new();
        }
        let is_whole = last.checked_sub(first).is_some_and(|more| more + 1 == updates.len() as u64);
        let bytes: usize = updates.iter().map(Bytes::len).sum();
        if !is_whole
            || self.held.len() >= HELD
            || self.held_bytes + bytes > HELD_BYTES && !self.is_next(first)
        {
            self.read_by(now);
            return Ready::new();
        }
        self.held_bytes += bytes;
        if let Some((_, former)) = self.held.insert(first, (last, updates)) {
            self.held_bytes -= former.iter().map(Bytes::len).sum::<usize>();
        }
        self.release(now)
    }

    /// This node has stored what it had, with the seqs from `first` to `last`.
    pub fn stored(&mut self, first: u64, last: u64, now: Instant) -> Ready {
        self.cursor.take(first, last);
        self.release(now)
    }

    /// Something may have been missed.
    pub fn missed(&mut self, now: Instant) {
        self.read_by(now);
    }

    /// The store has the document up to this seq.
    pub fn head(&mut self, seq: u64, now: Instant) {
        if seq > self.cursor.reached() {
            self.read_by(now);
        }
    }

    /// When [`Self::poll_read`] is to be called.
    pub fn wake(&self) -> Option<Instant> {
        match self.reading {
            Reading::Hole(at) | Reading::Due(at) => Some(at),
            Reading::Level | Reading::Under { .. } => None,
        }
    }

    /// Whether the log is to be read now, and behind which seq. The read then counts as begun: it ends with [`Self::read`].
    pub fn poll_read(&mut self, now: Instant) -> Option<u64> {
        match self.reading {
            Reading::Hole(at) | Reading::Due(at) if at <= now => {
                self.reading = Reading::Under { again: false };
                Some(self.cursor.reached())
            }
            Reading::Hole(_) | Reading::Due(_) | Reading::Level | Reading::Under { .. } => None,
        }
    }

    /// What was read has been taken, and holds everything up to this seq; `None` if it could not be read.
    pub fn read(&mut self, up_to: Option<u64>, now: Instant) -> Ready {
        let again = self.reading == Reading::Under { again: true };
        self.reading = Reading::Level;
        match up_to {
            Some(seq) => {
                self.cursor.reach(seq);
                if again {
                    self.read_by(now);
                }
            }
            None => self.read_by(now + READ_AGAIN),
        }
        self.release(now)
    }

    fn is_next(&self, first: u64) -> bool {
        first <= self.cursor.reached().saturating_add(1)
    }

    /// Takes what has its turn out of what is held back.
    fn release(&mut self, now: Instant) -> Ready {
        let mut ready = Ready::new();
        while let Some(entry) = self.held.first_entry()
            && *entry.key() <= self.cursor.reached().saturating_add(1)
        {
            let (first, (last, updates)) = entry.remove_entry();
            self.held_bytes -= updates.iter().map(Bytes::len).sum::<usize>();
            if !self.cursor.has(first, last) {
                self.cursor.take(first, last);
                ready.extend(updates);
            }
        }
        let has_hole = self.cursor.has_hole() || !self.held.is_empty();
        self.reading = match (has_hole, self.reading) {
            (true, Reading::Level) => Reading::Hole(now + HOLE_WAIT),
            (false, Reading::Hole(_)) => Reading::Level,
            (_, reading) => reading,
        };
        ready
    }

    fn read_by(&mut self, at: Instant) {
        self.reading = match self.reading {
            Reading::Level => Reading::Due(at),
            Reading::Hole(due) | Reading::Due(due) => Reading::Due(due.min(at)),
            Reading::Under { .. } => Reading::Under { again: true },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(seq: u64) -> Bytes {
        Bytes::from(seq.to_string())
    }

    fn hear(follower: &mut Follower, first: u64, last: u64, now: Instant) -> Vec<String> {
        let updates = (first..=last).map(update).collect();
        said(&follower.heard(first, last, updates, now))
    }

    fn said(ready: &[Bytes]) -> Vec<String> {
        ready.iter().map(|update| String::from_utf8(update.to_vec()).unwrap()).collect()
    }

    #[test]
    fn what_comes_ahead_of_its_turn_waits_for_it() {
        let now = Instant::now();
        let mut follower = Follower::new(5);
        assert_eq!(hear(&mut follower, 8, 9, now), [""; 0]);
        assert_eq!(hear(&mut follower, 7, 7, now), [""; 0]);
        assert_eq!(hear(&mut follower, 6, 6, now), ["6", "7", "8", "9"]);
        assert_eq!(hear(&mut follower, 7, 7, now), [""; 0]);
        assert_eq!((follower.reached(), follower.wake(), follower.held_bytes), (9, None, 0));
    }

    #[test]
    fn a_hole_is_given_a_moment_and_then_read() {
        let start = Instant::now();
        let mut follower = Follower::new(5);
        hear(&mut follower, 7, 7, start);
        assert_eq!(follower.poll_read(start), None);
        assert_eq!(follower.wake(), Some(start + HOLE_WAIT));
        assert_eq!(follower.poll_read(start + HOLE_WAIT), Some(5));
        // What was read holds what was held back, too.
        assert_eq!(said(&follower.read(Some(7), start + HOLE_WAIT)), [""; 0]);
        assert_eq!((follower.reached(), follower.wake(), follower.held.len()), (7, None, 0));
    }

    #[test]
    fn what_is_read_lets_go_of_what_was_held_back_behind_it() {
        let start = Instant::now();
        let mut follower = Follower::new(5);
        hear(&mut follower, 8, 8, start);
        follower.missed(start);
        assert_eq!(follower.poll_read(start), Some(5));
        assert_eq!(said(&follower.read(Some(7), start)), ["8"]);
    }

    #[test]
    fn a_hole_before_an_own_append_that_is_filled_costs_no_read() {
        let start = Instant::now();
        let mut follower = Follower::new(5);
        assert_eq!(follower.stored(7, 8, start), Ready::new());
        assert_eq!(follower.wake(), Some(start + HOLE_WAIT));
        assert_eq!(hear(&mut follower, 9, 9, start), [""; 0]);
        assert_eq!(hear(&mut follower, 6, 6, start), ["6", "9"]);
        assert_eq!((follower.reached(), follower.wake()), (9, None));
    }

    #[test]
    fn what_is_missed_while_reading_is_read_again() {
        let start = Instant::now();
        let mut follower = Follower::new(0);
        follower.missed(start);
        assert_eq!(follower.poll_read(start), Some(0));
        follower.missed(start);
        assert_eq!(follower.poll_read(start), None);
        follower.read(Some(3), start);
        assert_eq!(follower.poll_read(start), Some(3));
        follower.read(None, start);
        assert_eq!(follower.wake(), Some(start + READ_AGAIN));
    }

    #[test]
    fn more_in_the_store_than_is_known_is_read() {
        let start = Instant::now();
        let mut follower = Follower::new(3);
        follower.head(3, start);
        assert_eq!(follower.wake(), None);
        follower.head(4, start);
        assert_eq!(follower.poll_read(start), Some(3));
    }

    #[test]
    fn what_was_too_large_to_be_sent_or_to_be_held_is_read_at_once() {
        let start = Instant::now();
        let mut follower = Follower::new(3);
        assert_eq!(follower.heard(4, 4, vec![], start), Ready::new());
        assert_eq!(follower.poll_read(start), Some(3));
        let mut follower = Follower::new(3);
        let large = Bytes::from(vec![0; HELD_BYTES + 1]);
        assert_eq!(follower.heard(5, 5, vec![large.clone()], start), Ready::new());
        assert_eq!((follower.held_bytes, follower.poll_read(start)), (0, Some(3)));
        // In its turn nothing is too large.
        assert_eq!(follower.heard(4, 4, vec![large.clone()], start), [large]);
    }
}
