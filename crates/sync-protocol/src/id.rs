//! Names and numbers: documents, clients, structs, sessions.

use std::fmt;
use std::sync::Arc;

/// The largest integer that JavaScript holds exactly, 2^53 - 1: the bound of client ids and clocks.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A position in the sequence of one client's insertions, counted in the content's units
/// (UTF-16 code units for text, elements for lists). At most [`MAX_SAFE_INTEGER`].
pub type Clock = u64;

/// The number a Yjs client drew for itself. At most [`MAX_SAFE_INTEGER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

impl ClientId {
    /// The smallest possible id.
    pub const MIN: Self = Self(0);
    /// The largest possible id.
    pub const MAX: Self = Self(MAX_SAFE_INTEGER);

    /// `None` above [`MAX_SAFE_INTEGER`].
    pub const fn new(value: u64) -> Option<Self> {
        if value <= MAX_SAFE_INTEGER { Some(Self(value)) } else { None }
    }

    /// The number itself.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of one unit of content: the `clock`-th that `client` inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Who inserted it.
    pub client: ClientId,
    /// Its place among that client's insertions.
    pub clock: Clock,
}

/// Identifies one session (one client attached to one document) within its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node: one life of one server process. Drawn at random when it starts, so that a restart is another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Who brought something into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A session of this node.
    Session(SessionId),
    /// Another node, for a session of its own.
    Node(NodeId),
}

/// The name of a document: 1 to [`DocId::MAX_BYTES`] bytes of UTF-8 without control characters.
///
/// Slashes, dots and anything else printable are literal; a name never becomes a file path. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(Arc<str>);

impl DocId {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, DocIdError> {
        if name.is_empty() {
            return Err(DocIdError::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(DocIdError::TooLong(name.len()));
        }
        if name.chars().any(char::is_control) {
            return Err(DocIdError::ControlCharacter);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a document name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocIdError {
    /// The name has no characters.
    #[error("the document name is empty")]
    Empty,
    /// The name is longer than [`DocId::MAX_BYTES`]; holds its length.
    #[error("the document name has {0} bytes, at most {max} are allowed", max = DocId::MAX_BYTES)]
    TooLong(usize),
    /// The name holds a control character.
    #[error("the document name holds a control character")]
    ControlCharacter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_literal_and_bounded() {
        for name in ["a/b", "..", ".", "a//b", "a/", "r\u{e4}um-\u{2602}", "%41", &"x".repeat(255)] {
            assert_eq!(DocId::new(name).unwrap().as_str(), name);
        }
        assert_eq!(DocId::new(""), Err(DocIdError::Empty));
        assert_eq!(DocId::new(&"x".repeat(256)), Err(DocIdError::TooLong(256)));
        assert_eq!(DocId::new("a\nb"), Err(DocIdError::ControlCharacter));
        assert_eq!(DocId::new("a\u{0}"), Err(DocIdError::ControlCharacter));
    }
}
