//! Why a document turns somebody away.

use quire_persistence::StoreError;

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
    /// The document was deleted (4404).
    Deleted,
    /// The client holds a document of the same name that was deleted (4409).
    DeadEpoch,
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
    /// The document was deleted, and has not been made anew.
    #[error("the document was deleted")]
    Deleted,
    /// As much is in memory as may be, and somebody has all of it open.
    #[error("as much is in memory as may be")]
    NoRoom,
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
            LoadError::Deleted => Self::Deleted,
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
    /// The document was deleted meanwhile.
    #[error("the document was deleted")]
    Deleted,
    /// The update belongs to a document of the same name that was deleted.
    #[error("the update belongs to a document of the same name that was deleted")]
    DeadEpoch,
    /// The document is as large as it may be. Only an update that came without a session hears this.
    #[error("the document is as large as it may be")]
    Full,
    /// The server is going down.
    #[error("the server is going down")]
    Draining,
}

/// Why a document was not deleted, or not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is none of this name.
    #[error("the document does not exist")]
    Unknown,
    /// It was deleted before.
    #[error("the document was deleted")]
    Deleted,
    /// What is stored under the name is damaged. The text is for operators.
    #[error("the document's stored data is damaged: {0}")]
    Damaged(String),
    /// The store takes no changes at present; another attempt may succeed. The text is for operators.
    #[error("the store takes no changes: {0}")]
    Unavailable(String),
    /// The server is going down.
    #[error("the server is going down")]
    Draining,
    /// An error of ours. Another attempt may succeed.
    #[error("changing the document met an internal error")]
    Internal,
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::Unknown,
            StoreError::Deleted { .. } => Self::Deleted,
            StoreError::Engine(_) => Self::Unavailable(error.to_string()),
            StoreError::Damaged { .. }
            | StoreError::DamagedInbox { .. }
            | StoreError::StaleEpoch { .. }
            | StoreError::NotAnUpdate { .. }
            | StoreError::SnapshotDiffers { .. } => Self::Damaged(error.to_string()),
        }
    }
}

impl From<OpenError> for ChangeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unavailable(reason) => Self::Unavailable(reason),
            OpenError::Damaged(reason) => Self::Damaged(reason),
            OpenError::Deleted => Self::Deleted,
            OpenError::Draining => Self::Draining,
            OpenError::NoRoom => Self::Unavailable("as much is in memory as may be".to_owned()),
            // One that is being deleted, or was quarantined a moment ago, is told apart by another attempt.
            OpenError::Quarantined | OpenError::Internal => Self::Internal,
        }
    }
}

/// The document has ended this session; [`Seat::next`](super::Seat::next) tells why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SeatClosed;
