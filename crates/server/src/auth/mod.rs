//! Who may do what.

use http::HeaderMap;
use quire_sync_protocol::{Access, DocId};

use crate::http::ApiError;

/// What may be done with a document; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// Receive it.
    Read,
    /// Edit it.
    Write,
    /// Delete it, replace it, and what else concerns it as a whole.
    Admin,
}

/// Who sends a request, as far as the request says.
#[derive(Clone, Debug)]
pub(crate) struct Caller;

impl Caller {
    /// The sender of a request with these headers and this query string.
    pub(crate) fn new(_headers: &HeaderMap, _query: &str) -> Self {
        Self
    }
}

/// Decides what requests may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Everyone reads and writes.
    Open {
        /// Only this machine can reach the server: then everyone administers it as well.
        on_loopback: bool,
    },
}

impl Policy {
    /// What the sender of a request with these headers and this query string may do with this document.
    pub(crate) fn access(self, _headers: &HeaderMap, _query: &str, _doc: &DocId) -> Access {
        match self {
            Self::Open { .. } => Access::Write,
        }
    }

    /// Whether the caller has at least this right on the document.
    #[expect(clippy::unused_async, reason = "whoever knows may have to be asked")]
    pub(crate) async fn check(self, _caller: &Caller, _doc: &DocId, needed: Right) -> Result<(), ApiError> {
        match self {
            Self::Open { on_loopback } if on_loopback || needed < Right::Admin => Ok(()),
            Self::Open { .. } => {
                Err(ApiError::Forbidden("everyone reads and writes, and no more".to_owned()))
            }
        }
    }

    /// Whether the caller may administer the server as a whole.
    #[expect(clippy::unused_async, reason = "whoever knows may have to be asked")]
    pub(crate) async fn check_server(self, _caller: &Caller) -> Result<(), ApiError> {
        match self {
            Self::Open { on_loopback: true } => Ok(()),
            Self::Open { on_loopback: false } => {
                Err(ApiError::Forbidden("everyone reads and writes, and no more".to_owned()))
            }
        }
    }
}
