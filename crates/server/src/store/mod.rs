//! Storing off the runtime: one thread writes, a few read, one compacts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

/// Where documents are kept. (To become `quire_persistence::DocumentStore`.)
pub trait DocumentStore: Send + Sync + std::fmt::Debug + 'static {}

/// Whether edits are being stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreStatus {
    /// Every append so far was stored, or is about to be tried for the first time.
    Healthy,
    /// Appends fail. They are kept and retried in order; nothing is confirmed meanwhile.
    Failing {
        /// When the first of the present failures happened.
        since: SystemTime,
        /// What the store said last.
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
