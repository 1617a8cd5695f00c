//! What a room knows of one attached client.

use std::sync::Arc;

/// What a session may do with the document's content. Presence is allowed with either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Receives everything; its edits are dropped and it is told.
    Read,
    /// Receives and edits.
    Write,
}

/// How a session joins a room.
#[derive(Clone, Debug)]
pub struct SessionSetup {
    /// What it may do.
    pub access: Access,
    /// Who it is (the token's `sub`), where that is known. Two sessions of one identity may take over each
    /// other's presence ids at once.
    pub identity: Option<Arc<str>>,
}
