//! Storing off the runtime: one thread writes for all documents, a few read, one compacts, and a few do what operators ask for.
//!
//! The store blocks on a device, so none of its calls is made on a thread of the runtime.

pub(crate) mod compactor;
pub(crate) mod pace;
pub(crate) mod reader;
pub(crate) mod reclaim;
mod schedule;
pub(crate) mod upkeep;
pub(crate) mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

pub use compactor::CompactionPolicy;
pub use upkeep::Compactions;

/// Whether edits are being stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreStatus {
    /// Every append so far was stored, or is about to be tried for the first time.
    Healthy,
    /// Appends fail. They are kept and retried in order; nothing of these documents is confirmed meanwhile.
    Failing {
        /// When the first of the present failures happened.
        since: SystemTime,
        /// What the store said last. For operators; it may name documents and files.
        reason: String,
        /// How many documents have appends that were tried and failed.
        documents: usize,
    },
}

/// Faults put into the writer on purpose, for tests. The default has none.
#[derive(Clone, Debug, Default)]
pub struct StoreFaults {
    /// Each commit takes this much longer.
    pub delay: Duration,
    /// While this is set, commits fail without reaching the store.
    pub fail: Arc<AtomicBool>,
}
