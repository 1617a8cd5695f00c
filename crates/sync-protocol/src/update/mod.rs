//! The v1 update format with content left as bytes.

use bytes::Bytes;

/// A v1 update that has been walked from end to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    bytes: Bytes,
}

/// Why an update was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Ended early.
    #[error("the update ends in the middle of {0}")]
    Truncated(&'static str),
}

impl Update {
    /// The update without structs and deletes.
    pub fn empty() -> Self {
        Self { bytes: Bytes::from_static(&[0, 0]) }
    }
    /// Walks and takes an update.
    pub fn parse(bytes: Bytes) -> Result<Self, UpdateError> {
        let _ = bytes;
        todo!()
    }
    /// The encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// Whether it holds neither structs nor deletes.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
