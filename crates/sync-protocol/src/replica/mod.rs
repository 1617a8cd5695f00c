//! A document in memory: the union of all updates it was given, as bytes.
//!
//! Nothing here knows what content means. Structs are kept by client and clock; the first writer of an id wins, a
//! newcomer is sliced to what is missing. Deleted items keep their places and lose their content. Neighbours that
//! one longer struct would give back when sliced are joined. So it holds what Yjs holds after the same updates,
//! in whatever order they came. PROTOCOL.md beside this crate says why each rule loses nothing.
//!
//! Structs stand in `chunk`s of about a kilobyte, encoded as an update holds them: a document takes about the
//! memory of its own encoding, and answering a sync is copying. What was loaded stays in the memory of what was stored until
//! something in its chunk changes, and that memory stays, all of it, until less than half of it is still in use.

mod chunk;
mod diff;
mod insert;

use std::collections::BTreeMap;

use crate::id::{ClientId, Clock};
use crate::state_vector::StateVector;
use crate::update::Update;
use crate::update::id_set::IdSet;
use chunk::{Chunk, Chunks};

pub use insert::Inserted;

/// A document in memory. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Replica {
    chunks: Chunks,
    /// Everything known to be deleted, whether its item has come yet or not.
    deletes: IdSet,
    /// The clients between whose clocks something is missing, each with the first missing clock.
    torn: BTreeMap<ClientId, Clock>,
    /// The size of the update in whose memory chunks may be.
    loaded: usize,
}

impl Replica {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was ever inserted or deleted.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.deletes.is_empty()
    }

    /// For each client the clock up to which nothing is missing.
    pub fn state_vector(&self) -> StateVector {
        let mut entries: Vec<(_, Clock)> = Vec::new();
        for ((client, start), chunk) in self.chunks.iter() {
            match entries.last_mut() {
                Some((last, end)) if last == client => {
                    if *end == *start {
                        *end = chunk.end;
                    }
                }
                _ => entries.push((*client, if *start == 0 { chunk.end } else { 0 })),
            }
        }
        entries.into_iter().collect()
    }

    /// Everything that is known to be deleted.
    pub fn deletes(&self) -> &IdSet {
        &self.deletes
    }

    /// Everything, as one update. Two replicas that hold the same encode the same.
    pub fn encode(&self) -> Update {
        self.diff(&StateVector::default())
    }

    /// How many structs it holds, joined as far as possible.
    pub fn structs(&self) -> usize {
        self.chunks.values().map(|chunk| chunk.count).sum()
    }

    /// About how many bytes of memory it holds.
    pub fn heap_bytes(&self) -> usize {
        // A B-tree leaf is about two thirds full.
        let entry = (size_of::<(ClientId, Clock)>() + size_of::<Chunk>()) * 3 / 2;
        let chunks: usize = self.chunks.values().map(|chunk| entry + chunk.bytes.own_bytes()).sum();
        // All of it stays for as long as one chunk does.
        let loaded = if self.chunks.shared_bytes() > 0 { self.loaded } else { 0 };
        chunks + loaded + self.deletes.heap_bytes()
    }

    /// Lets go of the update that it was loaded with, if most of its memory is kept for nothing.
    fn release_loaded(&mut self) {
        let shared = self.chunks.shared_bytes();
        if shared > 0 && shared < self.loaded / 2 {
            self.chunks.own();
        }
    }
}

impl PartialEq for Replica {
    /// Whether both hold the same structs and deletes.
    fn eq(&self, other: &Self) -> bool {
        self.deletes == other.deletes && self.encode() == other.encode()
    }
}

impl Eq for Replica {}

#[cfg(test)]
mod tests;
