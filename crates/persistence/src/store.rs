//! What every store of documents promises.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use quire_sync_protocol::{DocId, StateVector};

use crate::error::StoreError;
use crate::inbox::Inboxes;
use crate::inspect::Inspect;
use crate::shared::SharedRecord;

/// The place of an update in its document's log. The first update has 1; 0 stands for "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a document. It changes when the document's history is replaced or deleted, so that what was built on
/// the old history cannot slip into the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a document that was never stored before.
    pub const FIRST: Self = Self(1);
}

impl Default for Epoch {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One update on its way into the log of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The document. It comes into being with its first update.
    pub doc: DocId,
    /// The history that the update builds on: [`Stored::epoch`], or [`Epoch::FIRST`] if there was nothing to load. A document
    /// that was deleted takes none before it is made anew.
    pub epoch: Epoch,
    /// A v1 update. The store does not look inside; see [`DocumentStore::compact`] for what follows if it is none.
    pub update: Bytes,
}

/// Everything that is stored of one document. Insert [`Stored::snapshot`], then every update, and the document is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The history this belongs to.
    pub epoch: Epoch,
    /// The last update that is contained.
    pub seq: Seq,
    /// One v1 update that stands for everything up to the last compaction; `None` before the first.
    pub snapshot: Option<Bytes>,
    /// The updates since then, as they were appended and in that order.
    pub updates: Vec<Bytes>,
    /// For each client that wrote in an earlier epoch, which was deleted, the clock behind the last it wrote there. What such
    /// a client brings belongs to that epoch. Empty if no deletion is remembered.
    pub dead: StateVector,
}

impl Stored {
    /// The last update that the snapshot contains; 0 without one.
    pub fn snapshot_seq(&self) -> Seq {
        Seq(self.seq.0.saturating_sub(self.updates.len() as u64))
    }
}

/// The end of a document's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last update that is contained.
    pub seq: Seq,
    /// Updates to insert, in this order.
    pub parts: Vec<Bytes>,
}

/// How far a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its present history.
    pub epoch: Epoch,
    /// The last update stored.
    pub seq: Seq,
}

/// What the catalog says about one document. Reading it touches neither snapshot nor log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentInfo {
    /// The document.
    pub doc: DocId,
    /// Its present history.
    pub epoch: Epoch,
    /// The last update stored.
    pub seq: Seq,
    /// The last update that the snapshot contains; 0 before the first compaction.
    pub snapshot_seq: Seq,
    /// The size of the snapshot in bytes, without the records' own overhead; 0 before the first compaction.
    pub snapshot_bytes: u64,
    /// How many updates the log holds: those after the snapshot.
    pub log_len: u64,
    /// Their size in bytes, without the records' own overhead.
    pub log_bytes: u64,
}

/// One line of a listing. A damaged entry costs its own line only.
#[derive(Debug)]
pub struct Listed {
    /// The document.
    pub doc: DocId,
    /// What the catalog says about it, or [`StoreError::Damaged`].
    pub info: Result<DocumentInfo, StoreError>,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The last update that the snapshot now contains.
    pub seq: Seq,
    /// How many updates left the log; 0 if there was nothing to do.
    pub updates: u64,
    /// Bytes of the former snapshot and of those updates.
    pub bytes_before: u64,
    /// Bytes of the snapshot now.
    pub bytes_after: u64,
}

/// What became of an attempt to make a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The document's epoch.
    pub epoch: Epoch,
    /// It was not there before.
    pub is_new: bool,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Deleted documents of which there still were bytes.
    pub purged: u64,
    /// Tombstones that were old enough to go.
    pub expired: u64,
}

/// A durable store of documents: per document a log of updates and at most one snapshot of everything before it.
///
/// Every call blocks, most of them on a device: call from a thread that may. All calls may run at the same time from
/// many threads; appends take their turn, and so do compactions, but neither waits while the other reads, encodes or
/// compares. No call retries by itself.
///
/// Errors say whom they concern: [`StoreError::doc`] names the one document that cannot be served, `None` means the
/// store as a whole (device full, device broken). After the latter every call may simply be tried again: the
/// store recovers without being reopened when the cause is gone.
pub trait DocumentStore: Send + Sync + fmt::Debug + 'static {
    /// Everything stored of this document; `None` if nothing ever was, [`StoreError::Deleted`] if it was deleted.
    ///
    /// Damage (a record that does not match its checksum, a missing one) is [`StoreError::Damaged`], never an empty or a
    /// shortened document, and the bytes stay as they are.
    fn load(&self, doc: &DocId) -> Result<Option<Stored>, StoreError>;

    /// What is stored of this document behind `after`: inserted into something that holds everything up to `after`, the parts
    /// give the document as of [`Tail::seq`]. They are the updates of the log behind `after` or, where a compaction has passed
    /// it, the snapshot and what follows. Nothing, and the present end, if `after` is that end or lies behind it.
    ///
    /// The errors are those of [`Self::append`] for a document of another epoch or one that was deleted, [`StoreError::NotFound`]
    /// for one that is not stored, and damage among the parts is one as in [`Self::load`].
    fn tail(&self, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, StoreError>;

    /// How far each of these documents is, in their order; `None` for one that is not stored or was deleted. One read of the catalog
    /// for all of them. A damaged entry costs its own document only, whose result is [`StoreError::Damaged`]; the outer error is
    /// of the store as a whole.
    fn heads(&self, docs: &[DocId]) -> Result<Vec<Result<Option<Head>, StoreError>>, StoreError>;

    /// Adds updates to the logs of their documents, all or none, in the order of the slice; returns one [`Seq`] for each.
    /// They are synced to the device when this returns.
    ///
    /// An error that names a document means that nothing was written; the batch without that document may be tried at
    /// once. After any other error the updates are not confirmed, but may be stored nevertheless; appending them again is
    /// harmless, since a document that holds an update twice equals one that holds it once.
    fn append(&self, batch: &[Append]) -> Result<Vec<Seq>, StoreError>;

    /// Replaces snapshot and log of this document, up to its present end, by one new snapshot.
    ///
    /// The new snapshot is written, synced, read back and compared with what went into it before anything is deleted, so
    /// that the document is whole at every moment. Appends to the same document may go on meanwhile and stay in the log.
    /// If the log holds something that is no update ([`StoreError::NotAnUpdate`]), nothing changes. Takes memory for a few
    /// copies of the document; one compaction runs at a time.
    fn compact(&self, doc: &DocId) -> Result<Compacted, StoreError>;

    /// Makes an empty document, if there is none of this name. One that was deleted is made anew, in the next epoch. Durable
    /// when this returns.
    fn create(&self, doc: &DocId) -> Result<Created, StoreError>;

    /// Deletes a document, damaged or not. It is gone for good when this returns, and takes no appends any more. A tombstone keeps its
    /// epoch, and which clients wrote in it, for 30 days from `now` on.
    ///
    /// Its bytes have gone as well when this returns; what an error or the end of the process has left of them goes with the
    /// next [`Self::sweep`]. Waits for a compaction that is running, but holds up nobody else.
    fn delete(&self, doc: &DocId, now: SystemTime) -> Result<(), StoreError>;

    /// Lets go of what is left of deleted documents: bytes that an interrupted deletion has left, and tombstones older than 30
    /// days. To be called now and then.
    fn sweep(&self, now: SystemTime) -> Result<Swept, StoreError>;

    /// What the catalog says about this document; `None` if it is not stored.
    fn info(&self, doc: &DocId) -> Result<Option<DocumentInfo>, StoreError>;

    /// At most `limit` documents in the byte order of their names, starting behind `after`. Fewer than `limit` means that
    /// the end is reached.
    fn list(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<Listed>, StoreError>;

    /// The same store, for operators: to be looked through, archived and filled.
    fn inspect(&self) -> &dyn Inspect;

    /// The inboxes in the same store.
    fn inboxes(&self) -> &dyn Inboxes;

    /// Where servers that share this store keep what was revoked; `None` if nobody else can have it open.
    fn revocations(&self) -> Option<&dyn SharedRecord> {
        None
    }

    /// Makes sure that everything this store holds has reached the device. Appends already have when they return; this is
    /// for the end of a process.
    fn flush(&self) -> Result<(), StoreError>;
}
