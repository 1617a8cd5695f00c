//! What a document says: JSON, text or XML, read from its update by yrs in a worker process.
//!
//! Quire keeps documents as the bytes their clients wrote and needs no understanding of them to do so. Whoever
//! wants to *read* one asks a [`Pool`], which hands the update to a worker: the same binary started anew, calling
//! [`run_worker`] first thing in `main`. yrs recurses without a limit, sizes buffers by what a message claims
//! and loops for ever on some documents; none of that can be caught inside a process, so a worker has its own
//! address-space limit, a time limit, and nothing to lose. Its death costs the one answer it was working on.
//!
//! ```no_run
//! # async fn example(update: bytes::Bytes) -> Result<(), quire_view::ViewError> {
//! use quire_view::{ContentRequest, Pool, PoolConfig};
//!
//! let pool = Pool::new(PoolConfig::new("/usr/bin/quire", ["view-worker"]));
//! let json = pool.content(update, ContentRequest::All).await?;
//! println!("{}", json.as_str());
//! # Ok(())
//! # }
//! ```
//!
//! # What is read
//!
//! An update does not say of which type a root is, so its kind is inferred from what its items say; nothing is
//! ever defined or changed on the document by asking. The rules are those of [`RootKind`].
//!
//! # Where yrs reads otherwise than yjs
//!
//! The document itself is not affected by any of these; only what is shown here.
//!
//! - A document that holds an `XmlHook`, or half a surrogate pair in the JSON of a format or an embed, cannot be
//!   read at all: [`ViewError::Unreadable`].
//! - `-0` is shown as `0`. A `BigInt` is shown as a JSON number with all its digits.
//! - Values of the legacy JSON content (yjs before 13) are shown as strings of JSON.
//! - Where updates are missing, yrs shows what lies behind the gap as far as it can; yjs hides it until the gap is
//!   filled.

mod difference;
mod document;
mod error;
mod json;
mod limited;
mod pool;
mod process;
mod worker;
mod xml;

/// What pool and worker say to each other over the worker's standard input and output.
mod wire;

use bytes::Bytes;

pub use document::RootKind;
pub use error::ViewError;
pub use pool::{Pool, PoolConfig, PoolCounts};
pub use wire::ContentRequest;
pub use worker::run_worker;

/// What a document says after a change, all roots as one JSON object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// What it said before.
    None,
    /// Something else.
    Patch {
        /// All of it.
        content: Bytes,
        /// What leads to it: a JSON Patch (RFC 6902), smaller than the content.
        patch: Bytes,
    },
    /// Something else, and no patch to it is smaller.
    Whole {
        /// All of it.
        content: Bytes,
    },
}

/// What a document, or one root of it, says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// One JSON value.
    Json(String),
    /// The characters of a text, without its formats and embedded values.
    Text(String),
    /// The children of an XML fragment, well-formed when put inside one element.
    Xml(String),
}

impl Content {
    /// The content, of whichever kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json(content) | Self::Text(content) | Self::Xml(content) => content,
        }
    }

    /// The content, of whichever kind.
    pub fn into_string(self) -> String {
        match self {
            Self::Json(content) | Self::Text(content) | Self::Xml(content) => content,
        }
    }
}
