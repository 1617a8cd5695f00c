//! A name that is held while its document is deleted.

use std::sync::Arc;

use quire_sync_protocol::DocId;

use super::{Entry, Shared};

/// Keeps everybody from loading a document that is in memory in no way. Dropping it puts back what was there.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) shared: Arc<Shared>,
    pub(super) doc: DocId,
    was_quarantined: bool,
}

impl Hold {
    /// `None` if somebody loads the document, or holds it.
    pub(super) fn take(shared: &Arc<Shared>, doc: &DocId) -> Option<Self> {
        let mut table = shared.lock();
        let was_quarantined = match table.entries.get(doc) {
            None => false,
            Some(Entry::Quarantined) => true,
            Some(Entry::Task { .. } | Entry::Held) => return None,
        };
        table.entries.insert(doc.clone(), Entry::Held);
        Some(Self { shared: Arc::clone(shared), doc: doc.clone(), was_quarantined })
    }

    /// Ends it: the document was deleted, and nothing speaks against another of the name.
    pub(super) fn release(mut self) {
        self.was_quarantined = false;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut table = self.shared.lock();
        if self.was_quarantined {
            table.entries.insert(self.doc.clone(), Entry::Quarantined);
        } else {
            table.entries.remove(&self.doc);
        }
    }
}
