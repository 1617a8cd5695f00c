//! A document in memory.

use crate::state_vector::StateVector;
use crate::update::Update;

/// A document in memory, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {}

/// What an insertion did.
#[derive(Debug)]
pub struct Inserted {
    /// The part that was new; `None` if nothing was.
    pub delta: Option<Update>,
    /// Something that the new part builds on is missing.
    pub gap: bool,
}

impl Replica {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }
    /// Unites an update with what is there.
    pub fn insert(&mut self, update: &Update) -> Inserted {
        let _ = update;
        todo!()
    }
    /// Everything.
    pub fn encode(&self) -> Update {
        todo!()
    }
    /// What somebody at this state vector lacks.
    pub fn diff(&self, known: &StateVector) -> Update {
        let _ = known;
        todo!()
    }
    /// Contiguous clocks.
    pub fn state_vector(&self) -> StateVector {
        todo!()
    }
    /// Whether nothing was ever inserted or deleted.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Bytes of memory held, roughly.
    pub fn heap_bytes(&self) -> usize {
        todo!()
    }
}
