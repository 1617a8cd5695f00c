//! What operators need of a store beside editing: everything looked at, taken out, and put back.

use std::fmt;

use bytes::Bytes;
use quire_sync_protocol::{DocId, StateVector};

use crate::error::{Damage, StoreError};
use crate::store::{Epoch, Stored};

/// Everything that is stored under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The document, if it is there; [`Stored::dead`] is left empty, the tombstone says it.
    pub document: Option<Stored>,
    /// The tombstone, if a document of this name was deleted.
    pub tombstone: Option<Grave>,
}

/// What is remembered of deleted documents of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grave {
    /// The last epoch that is dead.
    pub epoch: Epoch,
    /// When it died, in seconds since 1970.
    pub deleted: u64,
    /// For each client that wrote in a dead epoch, the clock behind the last it wrote.
    pub clients: StateVector,
}

impl Whole {
    /// Bytes of the document's content: its snapshot and its updates.
    pub fn bytes(&self) -> u64 {
        let document = self.document.iter();
        document
            .flat_map(|stored| stored.snapshot.iter().chain(&stored.updates))
            .map(|part| part.len() as u64)
            .sum()
    }
}

/// What became of looking at something that is stored.
#[derive(Debug)]
pub enum Checked {
    /// A document is sound: all of its records are what was written, and its updates can be read.
    Sound {
        /// The document.
        doc: DocId,
        /// Bytes of its snapshot and its updates.
        bytes: u64,
    },
    /// A document, or what is remembered of a deleted one, is damaged.
    Damaged {
        /// The document.
        doc: DocId,
        /// What is wrong.
        error: StoreError,
    },
    /// A record belongs to no document.
    Stray(Damage),
}

/// What a repair did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Snapshots and updates that are kept.
    pub kept: u64,
    /// Bytes of the document they make.
    pub bytes: u64,
}

/// The space that a store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes of its files.
    pub disk: u64,
    /// About what is needed for what is stored.
    pub needed: u64,
}

/// A store that can be looked through, archived and filled again. All calls block, and may run while the store is in use;
/// an error that names a document concerns that one only.
pub trait Inspect: Send + Sync + fmt::Debug {
    /// Reads everything that is stored and says of each document whether it is sound. An error means that the store as a whole
    /// cannot be read.
    fn verify(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError>;

    /// The parts of a document that are sound, be it damaged or not: snapshots and updates, in their order. `None` if it is not
    /// stored.
    fn salvage(&self, doc: &DocId) -> Result<Option<Vec<Bytes>>, StoreError>;

    /// Makes the sound parts of a document all there is of it, in the same epoch. What is damaged is lost for good, unless an editor
    /// still has it and brings it back. Nobody may be using the document.
    fn repair(&self, doc: &DocId) -> Result<Repaired, StoreError>;

    /// Everything that is stored under a name; `None` if nothing is.
    fn whole(&self, doc: &DocId) -> Result<Option<Whole>, StoreError>;

    /// Stores everything under a name that nothing is stored under. For filling a store that nobody uses: if it is interrupted, what
    /// is there may be a part.
    fn put_whole(&self, doc: &DocId, whole: &Whole) -> Result<(), StoreError>;

    /// The space that the store takes; `None` if its engine cannot give any back. Reads the whole catalog.
    fn space(&self) -> Result<Option<Space>, StoreError>;

    /// Makes the files as small as what is stored permits. Everybody else waits meanwhile, as long as it takes to write all that
    /// is stored once.
    fn reclaim(&self) -> Result<(), StoreError>;

    /// At most `limit` names behind `after` of which a document was deleted, whether it was made anew or not.
    fn graves(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<DocId>, StoreError>;
}
