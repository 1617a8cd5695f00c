//! The documents of this process: found or loaded by the directory, each driven by one task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_sync_protocol::{DocId, Message, RoomConfig, SessionId, SessionSetup, Update};

use crate::store::{DocumentStore, StoreFaults, StoreStatus};

/// Settings of the document layer.
#[derive(Clone, Debug, Default)]
pub struct DirectoryConfig {
    /// Settings of every room.
    pub room: RoomConfig,
    /// How long a document stays in memory after its last session.
    pub idle_unload: Duration,
    /// Bytes of broadcasts that may wait for one session, beyond one message.
    pub outbox_bytes: usize,
    /// Bytes of messages that may wait for one document; a sender of more waits.
    pub mailbox_bytes: usize,
    /// Bytes of one document's appends that may wait for the store before new edits have to wait too.
    pub unsaved_bytes: usize,
    /// Documents that may be read from the store at the same time.
    pub loads: usize,
    /// Faults put into the store's writer on purpose.
    pub faults: StoreFaults,
}

/// Finds or loads documents. Cheap to clone; all clones are the same directory.
#[derive(Clone, Debug)]
pub struct Directory;

/// A document in memory. It does not leave memory while a handle to it exists.
#[derive(Debug)]
pub struct DocHandle;

/// One session's place in a document. Dropping it is leaving.
///
/// All methods take `&self`: one task may wait in [`Seat::next`] while another delivers. Do both concurrently;
/// a connection that does not read its outbox while it delivers holds up only itself.
#[derive(Debug)]
pub struct Seat;

/// What a connection has to do next.
#[derive(Debug)]
pub enum Outgoing {
    /// Write these frames, in order, flush, then call [`Seat::drained`].
    Frames(Vec<Bytes>),
    /// Close the connection. Nothing follows.
    Close(CloseReason),
}

/// Why the document ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The server is going down; the client is to return (1012).
    Restart,
    /// The document met an error of ours and is being rebuilt from its log; the client is to return (1011).
    Rebuilding,
    /// The document met an error of ours twice and is closed to editors until the server restarts (1011).
    Quarantined,
}

/// Why a document could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The store could not be read. Trying again later may help.
    #[error("the document cannot be read from the store: {0}")]
    Unavailable(String),
    /// What is stored is damaged. Only an operator can help.
    #[error("the document's stored data is damaged: {0}")]
    Damaged(String),
    /// The document met an error of ours twice and is closed to editors until the server restarts.
    #[error("the document is quarantined after repeated internal errors")]
    Quarantined,
    /// The server is going down.
    #[error("the server is going down")]
    Draining,
    /// An error of ours. Trying again may help.
    #[error("opening the document met an internal error")]
    Internal,
}

/// Why a session could not join an open document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The document is being rebuilt from its log; trying again helps.
    #[error("the document is being rebuilt, try again")]
    Rebuilding,
    /// The document met an error of ours twice and is closed to editors until the server restarts.
    #[error("the document is quarantined after repeated internal errors")]
    Quarantined,
    /// The server is going down.
    #[error("the server is going down")]
    Draining,
}

/// The document has ended this session; [`Seat::next`] tells why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SeatClosed;

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Documents whose appends were not all durable at the deadline.
    pub unsaved: usize,
}

#[allow(unused_variables, clippy::todo, clippy::unused_async, missing_docs)]
impl Directory {
    /// Must be called within a tokio runtime.
    pub fn new(config: DirectoryConfig, store: Arc<dyn DocumentStore>) -> std::io::Result<Self> {
        todo!()
    }

    /// Finds the document, or loads it. All who ask for one document share one load. A document that was never
    /// stored opens empty; one that cannot be read is an error. Cancel safe.
    pub async fn open(&self, doc: &DocId) -> Result<DocHandle, OpenError> {
        todo!()
    }

    /// The document's whole content, from memory or else from the store; `None` if it was never stored. Keeps
    /// nothing in memory. Cancel safe.
    pub async fn snapshot(&self, doc: &DocId) -> Result<Option<Update>, OpenError> {
        todo!()
    }

    /// Whether edits are being stored.
    pub fn status(&self) -> StoreStatus {
        todo!()
    }

    /// Documents in memory.
    pub fn loaded(&self) -> usize {
        todo!()
    }

    /// Ends all sessions ([`CloseReason::Restart`]), makes every document durable and ends its task. Opens nothing
    /// from now on. Returns at the latest at the deadline.
    pub async fn drain(&self, deadline: Instant) -> Drained {
        todo!()
    }
}

#[allow(unused_variables, clippy::todo, clippy::unused_async, missing_docs)]
impl DocHandle {
    /// Attaches a session. Cancel safe: a session whose caller went away leaves at once.
    pub async fn join(&self, setup: SessionSetup) -> Result<Seat, JoinError> {
        todo!()
    }
}

#[allow(unused_variables, clippy::todo, clippy::unused_async, missing_docs)]
impl Seat {
    /// The session's number, unique within the process.
    pub fn session(&self) -> SessionId {
        todo!()
    }

    /// Hands messages to the document, in order. Waits while the document's mailbox is full. Not cancel safe: a
    /// cancelled call may or may not have delivered all of them (never a part of them).
    pub async fn deliver(&self, messages: Vec<Message>) -> Result<(), SeatClosed> {
        todo!()
    }

    /// Waits for something to write and takes all of it. Cancel safe.
    pub async fn next(&self) -> Outgoing {
        todo!()
    }

    /// Tells that all that [`Seat::next`] has returned is written and flushed. Cheap.
    pub fn drained(&self) {
        todo!()
    }

    /// Leaves. What was delivered before is still handled. The same as dropping the seat.
    pub async fn leave(self) {
        todo!()
    }
}
