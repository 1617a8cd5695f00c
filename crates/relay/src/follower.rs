//! Keeps a node's copy of a document level with the shared log, whatever the relay loses.
//!
//! A node knows the seqs of what it has: from loading, from its own appends, from what others tell it. A hole among them that is not
//! filled in a moment, a loss that the relay tells of, and a look at the store that shows more than is known all end in the same
//! thing: one read of the log behind the last seq up to which nothing lacks. Pure: the time is passed in.

use std::time::{Duration, Instant};

use crate::cursor::Cursor;
use crate::message::Message;

/// How long a hole may wait for the message that fills it: others' messages come by another way than what this node's own
/// appends show.
pub const HOLE_WAIT: Duration = Duration::from_millis(250);

/// How long a read that has failed is not tried again.
pub const READ_AGAIN: Duration = Duration::from_secs(1);

/// What a message about edits comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Its updates are to be taken.
    News,
    /// Nothing in it is new, or it is to be read from the store.
    Nothing,
    /// The document has another history than the one that is open here.
    OtherEpoch,
}

/// Follows the log of one document from the moment it is loaded.
#[derive(Debug)]
pub struct Follower {
    epoch: u64,
    cursor: Cursor,
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
    pub fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, cursor: Cursor::at(seq), reading: Reading::Level }
    }

    /// The history that is open.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The seq up to which nothing lacks.
    pub fn reached(&self) -> u64 {
        self.cursor.reached()
    }

    /// Another node says that it has stored something.
    pub fn heard(&mut self, message: &Message, now: Instant) -> Heard {
        let Message::Edits { epoch, first, last, updates } = message else { return Heard::Nothing };
        if *epoch != self.epoch {
            // An earlier one's message comes late.
            return if *epoch > self.epoch { Heard::OtherEpoch } else { Heard::Nothing };
        }
        if self.cursor.has(*first, *last) {
            return Heard::Nothing;
        }
        if updates.is_empty() {
            self.read_by(now);
            return Heard::Nothing;
        }
        self.cursor.take(*first, *last);
        self.look_for_hole(now);
        Heard::News
    }

    /// This node has stored something.
    pub fn stored(&mut self, first: u64, last: u64, now: Instant) {
        self.cursor.take(first, last);
        self.look_for_hole(now);
    }

    /// Something may have been missed.
    pub fn missed(&mut self, now: Instant) {
        self.read_by(now);
    }

    /// The store has the document at this epoch and seq. `false`: the document has another history than the one that is open here.
    pub fn head(&mut self, epoch: u64, seq: u64, now: Instant) -> bool {
        if epoch == self.epoch && seq > self.cursor.reached() {
            self.read_by(now);
        }
        epoch <= self.epoch
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
    pub fn read(&mut self, up_to: Option<u64>, now: Instant) {
        let again = self.reading == Reading::Under { again: true };
        self.reading = Reading::Level;
        match up_to {
            Some(seq) => {
                self.cursor.reach(seq);
                if again {
                    self.read_by(now);
                }
                self.look_for_hole(now);
            }
            None => self.read_by(now + READ_AGAIN),
        }
    }

    fn look_for_hole(&mut self, now: Instant) {
        self.reading = match (self.cursor.has_hole(), self.reading) {
            (true, Reading::Level) => Reading::Hole(now + HOLE_WAIT),
            (false, Reading::Hole(_)) => Reading::Level,
            (_, reading) => reading,
        };
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
    use bytes::Bytes;

    use super::*;

    fn edits(first: u64, last: u64) -> Message {
        let updates = (first..=last).map(|_| Bytes::from_static(&[0, 0])).collect();
        Message::Edits { epoch: 1, first, last, updates }
    }

    #[test]
    fn a_hole_is_given_a_moment_and_then_read() {
        let start = Instant::now();
        let mut follower = Follower::new(1, 5);
        assert_eq!(follower.heard(&edits(7, 7), start), Heard::News);
        assert_eq!(follower.heard(&edits(7, 7), start), Heard::Nothing);
        assert_eq!(follower.poll_read(start), None);
        assert_eq!(follower.wake(), Some(start + HOLE_WAIT));
        assert_eq!(follower.poll_read(start + HOLE_WAIT), Some(5));
        follower.read(Some(9), start + HOLE_WAIT);
        assert_eq!((follower.reached(), follower.wake()), (9, None));
    }

    #[test]
    fn a_hole_that_is_filled_costs_no_read() {
        let start = Instant::now();
        let mut follower = Follower::new(1, 5);
        follower.stored(7, 8, start);
        assert_eq!(follower.heard(&edits(6, 6), start), Heard::News);
        assert_eq!((follower.reached(), follower.wake()), (8, None));
    }

    #[test]
    fn what_is_missed_while_reading_is_read_again() {
        let start = Instant::now();
        let mut follower = Follower::new(1, 0);
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
    fn another_history_is_noticed() {
        let start = Instant::now();
        let mut follower = Follower::new(1, 3);
        let later = Message::Edits { epoch: 2, first: 1, last: 1, updates: vec![] };
        assert_eq!(follower.heard(&later, start), Heard::OtherEpoch);
        assert!(follower.head(1, 3, start) && !follower.head(2, 0, start));
        assert_eq!(follower.wake(), None);
        assert!(follower.head(1, 4, start));
        assert_eq!(follower.poll_read(start), Some(3));
    }

    #[test]
    fn what_was_too_large_to_be_sent_is_read_at_once() {
        let start = Instant::now();
        let mut follower = Follower::new(1, 3);
        let announced = Message::Edits { epoch: 1, first: 4, last: 4, updates: vec![] };
        assert_eq!(follower.heard(&announced, start), Heard::Nothing);
        assert_eq!(follower.poll_read(start), Some(3));
    }
}
