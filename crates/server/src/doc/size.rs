//! How large a document is, and whether it may grow.
//!
//! What is loaded and appended is counted, which is too much: typing is joined, and what is deleted goes. So the document is
//! measured when the count says that it has doubled, or is too large.

use std::sync::Arc;
use std::time::Instant;

use quire_sync_protocol::Room;

use super::counters::Counters;
use super::directory::Shared;
use super::ledger::Ledger;

/// It is not measured again before it has grown by so much.
const GROWTH: usize = 256 << 10;

/// The size of one document.
#[derive(Debug)]
pub(crate) struct Size {
    shared: Arc<Shared>,
    /// It is measured when it counts as so large.
    measure_at: usize,
    /// What it was when it was last measured. To measure it is to look at every kilobyte of it.
    measured: usize,
    /// It is as large as it may be.
    is_full: bool,
    /// What of the memory of all documents is this one's.
    noted: usize,
}

impl Size {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, measure_at: 0, measured: 0, is_full: false, noted: 0 }
    }

    /// Another room was loaded.
    pub(crate) fn restart(&mut self) {
        self.measure_at = 0;
        self.set_full(false);
    }

    /// Looks at the size, and tells the room whether the document is full.
    pub(crate) fn watch(&mut self, ledger: &mut Ledger, room: &mut Room, now: Instant) {
        let limit = self.shared.config.document_bytes;
        // A full one takes deletions, which count as growth and are none.
        let has_changed = self.is_full && ledger.bytes() != self.measured;
        if has_changed || ledger.bytes() >= self.measure_at {
            let bytes = room.replica().heap_bytes();
            ledger.measured(bytes);
            self.measured = bytes;
            let doubled = bytes.saturating_mul(2).max(bytes.saturating_add(GROWTH));
            self.measure_at = doubled.min(limit.saturating_add(1)).max(bytes.saturating_add(1));
        }
        // Some room at once, so that it does not change with every letter.
        let most = if self.is_full { limit - limit / 16 } else { limit };
        self.set_full(ledger.bytes() > most);
        room.handle_full(self.is_full, now);
        self.shared.memory.note(&mut self.noted, ledger.bytes());
    }

    fn set_full(&mut self, is_full: bool) {
        let gauge = &self.shared.counters.documents_full;
        match (std::mem::replace(&mut self.is_full, is_full), is_full) {
            (false, true) => Counters::add(gauge, 1),
            (true, false) => Counters::sub(gauge, 1),
            (true, true) | (false, false) => {}
        }
    }
}

impl Drop for Size {
    fn drop(&mut self) {
        self.set_full(false);
        self.shared.memory.note(&mut self.noted, 0);
        self.shared.made_room();
    }
}
