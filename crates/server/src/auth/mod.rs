//! Who may do what.

use http::HeaderMap;
use quire_sync_protocol::{Access, DocId};

/// Decides what requests may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Everyone reads and writes.
    Open,
}

impl Policy {
    /// What the sender of a request with these headers and this query string may do with this document.
    pub(crate) fn access(self, _headers: &HeaderMap, _query: &str, _doc: &DocId) -> Access {
        match self {
            Self::Open => Access::Write,
        }
    }
}
