//! How much of a document's log a node has.

use std::collections::BTreeMap;

/// The most stretches that are remembered behind a hole. The store is read for what is forgotten.
const STRETCHES: usize = 64;

/// The seqs of one epoch of a document that a node has: all up to one, and stretches behind holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    reached: u64,
    /// From the first to the last seq of each stretch; disjoint, not adjacent, and behind `reached + 1`.
    beyond: BTreeMap<u64, u64>,
}

impl Cursor {
    /// Everything up to this seq.
    pub fn at(seq: u64) -> Self {
        Self { reached: seq, beyond: BTreeMap::new() }
    }

    /// The seq up to which nothing lacks.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Whether something lacks that others have been heard to have.
    pub fn has_hole(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// Whether everything from `first` to `last` is there.
    pub fn has(&self, first: u64, last: u64) -> bool {
        last <= self.reached || self.beyond.range(..=first).next_back().is_some_and(|(_, end)| *end >= last)
    }

    /// Takes everything from `first` to `last`.
    pub fn take(&mut self, first: u64, last: u64) {
        if last < first {
            return;
        }
        if first <= self.reached.saturating_add(1) {
            self.reach(last);
            return;
        }
        let (mut from, mut to) = (first, last);
        // Those that overlap it or touch it: at most one begins before it.
        let touching: Vec<_> = self
            .beyond
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(start, end)| (*start, *end))
            .collect();
        for (start, end) in touching {
            self.beyond.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.beyond.insert(from, to);
        if self.beyond.len() > STRETCHES {
            self.beyond.pop_last();
        }
    }

    /// Takes everything up to this seq.
    pub fn reach(&mut self, seq: u64) {
        self.reached = self.reached.max(seq);
        while let Some(first) = self.beyond.first_entry()
            && *first.key() <= self.reached.saturating_add(1)
        {
            self.reached = self.reached.max(first.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_seen_and_closed() {
        let mut cursor = Cursor::at(10);
        cursor.take(13, 14);
        assert!(cursor.has_hole() && cursor.has(13, 14) && !cursor.has(12, 13));
        cursor.take(11, 11);
        assert_eq!(cursor.reached(), 11);
        cursor.take(12, 12);
        assert_eq!(cursor, Cursor::at(14));
    }

    #[test]
    fn what_cannot_be_remembered_is_to_be_read_again() {
        let mut cursor = Cursor::at(0);
        for number in 1..=STRETCHES as u64 + 5 {
            cursor.take(number * 2, number * 2);
        }
        assert_eq!(cursor.beyond.len(), STRETCHES);
        cursor.reach(STRETCHES as u64 * 2);
        assert!(!cursor.has_hole());
    }

    proptest! {
        #[test]
        fn it_has_what_it_took(taken in prop::collection::vec((1u64..40, 0u64..6), 0..30), start in 0u64..10) {
            let mut cursor = Cursor::at(start);
            let mut model: BTreeSet<u64> = (1..=start).collect();
            for (first, more) in taken {
                cursor.take(first, first + more);
                model.extend(first..=first + more);
                let reached = (1..100).take_while(|seq| model.contains(seq)).last().unwrap_or(0);
                prop_assert_eq!(cursor.reached(), reached);
                prop_assert_eq!(cursor.has_hole(), model.last().is_some_and(|last| *last > reached));
                for seq in 1..50 {
                    prop_assert_eq!(cursor.has(seq, seq), model.contains(&seq));
                }
            }
        }
    }
}
