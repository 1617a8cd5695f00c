//! What processes that share a store keep together beside documents.

use std::fmt;

use bytes::Bytes;

use crate::error::StoreError;

/// A record as it is at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Grows with each change; 0 before the first.
    pub version: u64,
    /// What was kept last; empty before the first.
    pub record: Bytes,
}

/// One record of at most a gigabyte, of which the store knows nothing. Calls block; a change is on the device when it returns.
pub trait SharedRecord: Send + Sync + fmt::Debug {
    /// The record; `None` if it still has the version `known`.
    fn read(&self, known: Option<u64>) -> Result<Option<Versioned>, StoreError>;

    /// Puts another record into the place of the one of this version, and gives its version; `None` if somebody else has changed it
    /// since, and then it stays. After an error it is not known whether it was changed.
    fn replace(&self, version: u64, record: &[u8]) -> Result<Option<u64>, StoreError>;
}
