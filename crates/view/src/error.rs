//! Why a document could not be shown.

use std::{io, time::Duration};

use crate::RootKind;

/// Why there is no answer. Whatever it is, the document and the other questions are unharmed.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The document has no root of this name. Names are case-sensitive.
    #[error("the document has no root named {root:?}")]
    UnknownRoot {
        /// The name that was asked for.
        root: String,
    },
    /// The root holds something else than was asked for.
    #[error("the root {root:?} holds {found}, it cannot be read as {asked}")]
    WrongType {
        /// The name that was asked for.
        root: String,
        /// What its items say.
        found: RootKind,
        /// What was asked for.
        asked: RootKind,
    },
    /// yrs does not understand the document. See the crate's documentation for what is known.
    #[error("the document cannot be read: {reason}")]
    Unreadable {
        /// What yrs said. Holds no content, but may name internals: for logs, not for clients.
        reason: String,
    },
    /// The document is larger than [`PoolConfig::max_document_bytes`](crate::PoolConfig::max_document_bytes).
    #[error("the document has {bytes} bytes, more than the {limit} that are read")]
    DocumentTooLarge {
        /// The size of the document.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer would be larger than [`PoolConfig::max_answer_bytes`](crate::PoolConfig::max_answer_bytes).
    #[error(
        "the answer would have more than {limit} bytes; ask for one root instead of all, or raise the limit"
    )]
    AnswerTooLarge {
        /// The limit.
        limit: usize,
    },
    /// All workers are busy and the queue is full, or the turn did not come in time. Asking later may help.
    #[error("too many questions at once, try again later")]
    Busy,
    /// The worker did not answer in time and was killed.
    #[error("reading the document took longer than {limit:?}")]
    Late {
        /// The limit, [`PoolConfig::timeout`](crate::PoolConfig::timeout).
        limit: Duration,
    },
    /// The worker died over the document: out of memory, out of stack, or a fault in yrs.
    #[error("reading the document ended the worker ({status})")]
    Died {
        /// How it ended, in the operating system's words.
        status: String,
    },
    /// No worker could be started.
    #[error("the view worker cannot be started: {0}")]
    Start(#[source] io::Error),
}
