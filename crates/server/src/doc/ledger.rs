//! What of a document is durable, and who waits for it to become so.

use std::time::Instant;

use quire_persistence::{Epoch, Seq};
use quire_sync_protocol::{Ticket, Update};
use tokio::sync::oneshot;

use super::error::JoinError;
use crate::store::writer::{DocumentLog, Durable};

/// What of a document is durable. Outlives a room that met an error of ours.
#[derive(Debug)]
pub(crate) struct Ledger {
    log: DocumentLog,
    epoch: Epoch,
    /// The last append handed to the writer; counted anew by each room.
    appended: Ticket,
    /// The last one that is durable.
    durable: Ticket,
    /// The last place in the stored log that is known.
    seq: Seq,
    /// The document was stored, be it empty, when it was loaded.
    was_stored: bool,
    /// About the size of the document, in bytes: what was loaded and appended.
    bytes: usize,
    /// Replies due when an append is durable.
    waiting: Vec<(Ticket, oneshot::Sender<Result<Seq, JoinError>>)>,
    compaction: Compaction,
    /// The stored document has another history by now: nothing of this one can be stored any more.
    outdated: bool,
}

/// Whether the log may need compaction.
#[derive(Debug, PartialEq, Eq)]
enum Compaction {
    /// Nothing was appended since the compactor was last asked to look.
    NoNeed,
    /// Something was.
    At(Instant),
}

impl Ledger {
    pub(crate) fn new(log: DocumentLog) -> Self {
        Self {
            log,
            epoch: Epoch::FIRST,
            appended: Ticket::default(),
            durable: Ticket::default(),
            seq: Seq::default(),
            was_stored: false,
            bytes: 0,
            waiting: Vec::new(),
            compaction: Compaction::NoNeed,
            outdated: false,
        }
    }

    /// A room was loaded; without a seq it was never stored. Nothing of a former one is unsettled.
    pub(crate) fn restart(&mut self, epoch: Epoch, seq: Option<Seq>, bytes: usize) {
        debug_assert!(self.is_settled(), "the tickets of two rooms would be confused");
        (self.appended, self.durable) = (Ticket::default(), Ticket::default());
        (self.epoch, self.seq, self.bytes) = (epoch, seq.unwrap_or_default(), bytes);
        self.was_stored = seq.is_some();
        self.outdated = false;
    }

    /// The document has been made in the store.
    pub(crate) fn note_stored(&mut self) {
        self.was_stored = true;
    }

    /// Hands an append to the writer.
    pub(crate) fn append(&mut self, ticket: Ticket, update: &Update, compact_at: Instant) {
        self.appended = ticket;
        self.bytes += update.bytes().len();
        self.log.push(ticket, self.epoch, update.bytes().clone());
        if self.compaction == Compaction::NoNeed {
            self.compaction = Compaction::At(compact_at);
        }
    }

    /// The writer has written.
    pub(crate) fn settle(&mut self, durable: Durable) {
        self.durable = durable.ticket;
        self.seq = durable.seq;
        self.reply();
    }

    /// The writer can never store what was made for this epoch. If that is the room's, nothing of it is waited for any more; a
    /// former room's does not concern this one.
    pub(crate) fn outdated(&mut self, epoch: Epoch) {
        if epoch == self.epoch {
            self.outdated = true;
            self.appended = self.durable;
            // Dropped replies say so.
            self.waiting.clear();
        }
    }

    /// Whether nothing more of this room can be stored.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Replies when everything up to this ticket is durable, at once if it is.
    pub(crate) fn wait(&mut self, ticket: Ticket, reply: oneshot::Sender<Result<Seq, JoinError>>) {
        self.waiting.push((ticket, reply));
    }

    /// The batch that gave out the last tickets is flushed: who waits for more than was appended (because nothing was
    /// new) waits for the last append.
    pub(crate) fn flushed(&mut self) {
        for (ticket, _) in &mut self.waiting {
            *ticket = (*ticket).min(self.appended);
        }
        self.reply();
        if !self.waiting.is_empty() {
            self.log.hurry();
        }
    }

    /// The room is no more: who waits for what it took and did not hand on waits in vain. Dropped replies say so.
    pub(crate) fn abandon_rest(&mut self) {
        let appended = self.appended;
        self.waiting.retain(|(ticket, _)| *ticket <= appended);
        // The document waits for what it has appended.
        self.log.hurry();
    }

    fn reply(&mut self) {
        let (durable, seq) = (self.durable, self.seq);
        for (_, reply) in self.waiting.extract_if(.., |(ticket, _)| *ticket <= durable) {
            // The caller may have gone.
            let _ = reply.send(Ok(seq));
        }
    }

    /// Somebody waits for what was appended to be durable.
    pub(crate) fn hurry(&self) {
        self.log.hurry();
    }

    /// The history that is open.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Other nodes have stored this many bytes more.
    pub(crate) fn grew(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.was_stored = true;
    }

    /// Whether everything appended is durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.appended == self.durable
    }

    /// Whether anything was ever stored, or is about to be.
    pub(crate) fn is_known(&self) -> bool {
        self.was_stored || self.seq > Seq::default() || self.appended > Ticket::default()
    }

    /// Whether so much waits for the store that no more edits should be taken.
    pub(crate) fn is_full(&self, limit: usize, limit_of_all: usize) -> bool {
        let own = self.log.unsaved_bytes();
        own > limit || own > 0 && self.log.unsaved_bytes_of_all() > limit_of_all
    }

    /// The size of the document was measured.
    pub(crate) fn measured(&mut self, bytes: usize) {
        self.bytes = bytes;
    }

    /// About the size of the document.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the compactor is to be asked.
    pub(crate) fn compaction_at(&self) -> Option<Instant> {
        match self.compaction {
            Compaction::NoNeed => None,
            Compaction::At(at) => Some(at),
        }
    }

    /// Whether the compactor is to be asked now; then it counts as asked.
    pub(crate) fn take_compaction(&mut self, now: Instant) -> bool {
        let due = self.compaction_at().is_some_and(|at| at <= now);
        if due {
            self.compaction = Compaction::NoNeed;
        }
        due
    }
}
