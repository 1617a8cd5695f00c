//! Presence states on the wire.

use bytes::Bytes;

/// A validated awareness update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwarenessUpdate {
    bytes: Bytes,
}

impl AwarenessUpdate {
    /// An update without entries, which clients take for a sign of life.
    pub fn empty() -> Self {
        Self { bytes: Bytes::from_static(&[0]) }
    }
    /// The encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}
