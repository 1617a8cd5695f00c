//! Durable documents.
//!
//! A [`DocumentStore`] keeps for every document a log of updates and at most one snapshot. What `append` has returned
//! for is on the device.

pub mod engine;
pub mod engines;
pub mod error;
mod folder;
mod keys;
pub mod local;
mod record;
pub mod spec;
pub mod store;

pub use error::{Damage, EngineError, Fault, OpenError, Place, StoreError};
pub use local::LocalStore;
pub use spec::{StoreSpec, StoreSpecError, open};
pub use store::{Append, Compacted, DocumentInfo, DocumentStore, Epoch, Listed, Seq, Stored};
