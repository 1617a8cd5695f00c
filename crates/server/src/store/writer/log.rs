//! The appends of one document, on their way to the writer.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use quire_persistence::Epoch;
use quire_sync_protocol::{DocId, Ticket};

use super::{Shared, Waits, Written, lock};

/// The appends of one document that wait for the writer. Its owner is the document's task; what waits when it is
/// dropped is written nevertheless.
#[derive(Debug)]
pub(crate) struct DocumentLog {
    pub(super) log: Arc<Log>,
    pub(super) shared: Arc<Shared>,
}

/// The same for the writer's thread.
pub(super) struct Log {
    pub(super) doc: DocId,
    /// Where its task is.
    pub(super) shard: usize,
    pub(super) pending: Mutex<Pending>,
    pub(super) report: Box<dyn Fn(Written) + Send + Sync>,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) appends: VecDeque<(Ticket, Epoch, Bytes)>,
    pub(super) bytes: usize,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("doc", &self.doc).finish_non_exhaustive()
    }
}

impl DocumentLog {
    /// Adds an update; returns at once. It is acknowledged when it is durable.
    pub(crate) fn push(&self, ticket: Ticket, epoch: Epoch, update: Bytes) {
        self.shared.unsaved_bytes.fetch_add(update.len(), Ordering::AcqRel);
        let first = {
            let mut pending = lock(&self.log.pending);
            pending.bytes += update.len();
            pending.appends.push_back((ticket, epoch, update));
            pending.appends.len() == 1
        };
        if first {
            self.shared.unsaved.fetch_add(1, Ordering::AcqRel);
            let mut state = self.shared.lock();
            state.schedule.add(Arc::clone(&self.log));
            self.shared.wake(state, |waits| waits == Waits::ForWork);
        }
    }

    /// Lets the writer keep no pace for what waits now: somebody waits for it.
    pub(crate) fn hurry(&self) {
        if lock(&self.log.pending).appends.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        state.pace.hurry();
        self.shared.wake(state, |waits| waits != Waits::No);
    }

    /// Bytes of this document that are not durable yet.
    pub(crate) fn unsaved_bytes(&self) -> usize {
        lock(&self.log.pending).bytes
    }

    /// Bytes of all documents that are not durable yet.
    pub(crate) fn unsaved_bytes_of_all(&self) -> usize {
        self.shared.unsaved_bytes.load(Ordering::Acquire)
    }
}
