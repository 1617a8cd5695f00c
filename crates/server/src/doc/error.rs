//! Why a document turns somebody away.

use crate::store::reader::LoadError;

/// Why a document ended a session.
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
    /// The store could not be read; another attempt may succeed. The text is for operators.
    #[error("the document cannot be read from the store: {0}")]
    Unavailable(String),
    /// What is stored is damaged. Only an operator can help. The text is for operators.
    #[error("the document's stored data is damaged: {0}")]
    Damaged(String),
    /// The document met an error of ours twice and is closed to editors until the server restarts.
    #[error("the document is quarantined after repeated internal errors")]
    Quarantined,
    /// The server is going down.
    #[error("the server is going down")]
    Draining,
    /// An error of ours. Another attempt may succeed.
    #[error("opening the document met an internal error")]
    Internal,
}

impl From<LoadError> for OpenError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unavailable(reason) => Self::Unavailable(reason),
            LoadError::Damaged(reason) => Self::Damaged(reason),
            LoadError::Panicked => Self::Internal,
        }
    }
}

/// Why a document that was open took no session, and no update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The document met an error of ours and is being rebuilt from its log; opening it again helps.
    #[error("the document is being rebuilt, try again")]
    Rebuilding,
    /// The document met an error of ours twice and is closed to editors until the server restarts.
    #[error("the document is quarantined after repeated internal errors")]
    Quarantined,
    /// The server is going down.
    #[error("the server is going down")]
    Draining,
}

/// The document has ended this session; [`Seat::next`](super::Seat::next) tells why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SeatClosed;
