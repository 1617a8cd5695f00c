//! A document task's hold on its entry in the directory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quire_sync_protocol::DocId;

use super::{Counters, Entry, Shared};

/// A document task's hold on its entry. If the task meets an error of ours outside its room, this quarantines the
/// document: nobody knows what was lost.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) doc: DocId,
    /// The entry is still there.
    held: bool,
}

impl Place {
    /// The hold of a task whose entry was inserted a moment ago, and counted.
    pub(super) fn new(shared: &Arc<Shared>, doc: &DocId) -> Self {
        Self { shared: Arc::clone(shared), doc: doc.clone(), held: true }
    }

    /// Removes the entry if nobody wants the document: no handle exists, and `mailbox_is_empty` says, under the
    /// directory's lock, that nothing was sent.
    pub(crate) fn release(&mut self, mailbox_is_empty: impl FnOnce() -> bool) -> bool {
        debug_assert!(self.held);
        let mut table = self.shared.lock();
        let wanted = match table.entries.get(&self.doc) {
            Some(Entry::Task { leases, .. }) => leases.load(Ordering::Acquire) > 0 || !mailbox_is_empty(),
            Some(Entry::Quarantined | Entry::Held) | None => false,
        };
        if !wanted {
            table.entries.remove(&self.doc);
            self.held = false;
        }
        !wanted
    }

    /// Removes the entry, if that has not been done. Another task's entry under the same name stays.
    pub(crate) fn remove(&mut self) {
        if self.held {
            self.shared.lock().entries.remove(&self.doc);
            self.held = false;
        }
    }

    /// Marks the document, until the process ends.
    pub(crate) fn quarantine(&mut self) {
        self.shared.lock().entries.insert(self.doc.clone(), Entry::Quarantined);
        Counters::add(&self.shared.counters.quarantined, 1);
        self.held = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(doc = %self.doc, "a document task met an internal error, the document is quarantined");
            self.quarantine();
        }
        // Otherwise it is only still there if the runtime ends before the task.
        self.remove();
        Counters::sub(&self.shared.counters.documents, 1);
        self.shared.lock().tasks -= 1;
        self.shared.ended.notify_waiters();
    }
}
