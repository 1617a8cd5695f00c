//! How much memory documents may take in all, and how they make room.
//!
//! The size of a document is what was loaded and appended, or what it was measured to be: about the size of its encoding.
//! When there is no room for another, those that nobody has open leave at once instead of after a while.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// The documents in memory.
#[derive(Debug)]
pub(crate) struct Memory {
    most_documents: usize,
    most_bytes: usize,
    bytes: AtomicUsize,
    /// True while there is no room: idle documents leave.
    pressed: watch::Sender<bool>,
}

impl Memory {
    pub(crate) fn new(most_documents: usize, most_bytes: usize) -> Self {
        Self { most_documents, most_bytes, bytes: AtomicUsize::new(0), pressed: watch::Sender::new(false) }
    }

    /// Whether there is room for one more beside so many. If not, idle ones are asked to leave.
    pub(crate) fn has_room(&self, documents: usize) -> bool {
        let has_room = documents < self.most_documents && self.bytes() < self.most_bytes;
        if !has_room {
            self.pressed.send_replace(true);
        }
        has_room
    }

    /// A document has left; so many are there. If that makes room enough, idle ones may stay again.
    pub(crate) fn left(&self, documents: usize) {
        let enough = |now: usize, most: usize| now <= most - most / 10;
        if enough(documents, self.most_documents.saturating_sub(1)) && enough(self.bytes(), self.most_bytes) {
            self.pressed.send_if_modified(|pressed| std::mem::replace(pressed, false));
        }
    }

    /// A document takes so much now, and took `noted` before.
    pub(crate) fn note(&self, noted: &mut usize, bytes: usize) {
        match bytes.cmp(noted) {
            // Most of the time. All documents share the number, so it is left alone then.
            Equal => {}
            Greater => _ = self.bytes.fetch_add(bytes - *noted, Ordering::Relaxed),
            Less => _ = self.bytes.fetch_sub(*noted - bytes, Ordering::Relaxed),
        }
        *noted = bytes;
    }

    /// About how many bytes all documents take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Tells when idle documents are to leave.
    pub(crate) fn pressure(&self) -> watch::Receiver<bool> {
        self.pressed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_begins_when_there_is_no_room_and_ends_when_there_is_enough() {
        let memory = Memory::new(10, 1_000);
        let pressure = memory.pressure();
        let mut noted = 0;
        assert!(memory.has_room(9) && !*pressure.borrow());
        assert!(!memory.has_room(10) && *pressure.borrow());
        memory.left(9);
        assert!(!*pressure.borrow());
        memory.note(&mut noted, 1_000);
        assert!(!memory.has_room(1) && *pressure.borrow());
        memory.note(&mut noted, 950);
        memory.left(1);
        assert!(*pressure.borrow());
        memory.note(&mut noted, 900);
        memory.left(1);
        assert!(!*pressure.borrow());
        memory.note(&mut noted, 0);
        assert_eq!(memory.bytes(), 0);
    }
}
