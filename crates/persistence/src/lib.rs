//! Durable documents.
//!
//! A [`DocumentStore`] keeps for every document a log of updates and at most one snapshot. What `append` has returned
//! for is on the device.

pub mod error;
pub mod store;

pub use error::{Damage, EngineError, Fault, OpenError, Place, StoreError};
pub use store::{Append, Compacted, DocumentInfo, DocumentStore, Epoch, Listed, Seq, Stored};
