//! What goes into one commit: parts of the logs of several documents.

use std::sync::Arc;

use quire_persistence::{Append, Epoch};
use quire_sync_protocol::Ticket;

use super::{Log, lock};
use crate::store::pace::Began;

/// Updates in one commit. Beyond this a commit costs more by its size than it saves by sharing a sync.
const BATCH_UPDATES: usize = 1024;

/// Bytes in one commit, beyond one update.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Part of a log that is being written.
pub(super) struct Share {
    pub(super) log: Arc<Log>,
    pub(super) updates: usize,
}

/// One commit, with where its updates came from.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<Append>,
    bytes: usize,
    pub(super) shares: Vec<Share>,
    pub(super) began: Began,
}

/// What was taken off a log because it can never be stored.
pub(super) struct Dropped {
    pub(super) epoch: Epoch,
    pub(super) updates: usize,
    pub(super) bytes: usize,
    /// The log is empty now; the next push puts it into the schedule again.
    pub(super) leaves_none: bool,
}

impl Share {
    /// Takes the updates at the head of the log that were made for the same epoch as the first, as far as they were tried.
    pub(super) fn remove_outdated(&self) -> Dropped {
        let mut pending = lock(&self.log.pending);
        let first = pending.appends.front().map_or(Epoch::FIRST, |(_, epoch, _)| *epoch);
        let (mut updates, mut bytes) = (0, 0);
        while updates < self.updates
            && let Some((_, _, update)) = pending.appends.pop_front_if(|(_, epoch, _)| *epoch == first)
        {
            updates += 1;
            bytes += update.len();
        }
        pending.bytes -= bytes;
        Dropped { epoch: first, updates, bytes, leaves_none: pending.appends.is_empty() }
    }

    /// Takes the written updates off the log: the last one's ticket, their bytes, and whether the log is empty now.
    /// If it is, the next push puts it into the schedule again.
    pub(super) fn remove_written(&self) -> (Option<Ticket>, usize, bool) {
        let mut pending = lock(&self.log.pending);
        let mut last = None;
        let mut bytes = 0;
        for (ticket, _, update) in pending.appends.drain(..self.updates) {
            last = Some(ticket);
            bytes += update.len();
        }
        pending.bytes -= bytes;
        (last, bytes, pending.appends.is_empty())
    }
}

impl Batch {
    /// An empty one.
    pub(super) fn new(began: Began) -> Self {
        Self { began, ..Self::default() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.appends.len() < BATCH_UPDATES && self.bytes < BATCH_BYTES
    }

    /// Copies (by reference) what there is room for; at least one update.
    pub(super) fn add(&mut self, log: Arc<Log>) {
        let mut updates = 0;
        for (_, epoch, update) in &lock(&log.pending).appends {
            if !self.has_room() {
                break;
            }
            self.bytes += update.len();
            self.appends.push(Append { doc: log.doc.clone(), epoch: *epoch, update: update.clone() });
            updates += 1;
        }
        self.shares.push(Share { log, updates });
    }
}
