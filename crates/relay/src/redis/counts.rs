//! What a relay has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`RedisRelay`](super::RedisRelay) has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Envelopes that the server has taken.
    pub published: u64,
    /// Their bytes.
    pub published_bytes: u64,
    /// Envelopes of other nodes.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Envelopes that were not sent: there was no connection, too much waited, or one was too large.
    pub unsent: u64,
    /// Messages of others that were dropped because the node did not listen in time.
    pub unheard: u64,
    /// What came on our channels and was no envelope.
    pub refused: u64,
    /// Envelopes that only later releases understand.
    pub unknown: u64,
    /// Connections that have stood, the first one included.
    pub connections: u64,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) published: Counter,
    pub(super) published_bytes: Counter,
    pub(super) received: Counter,
    pub(super) received_bytes: Counter,
    pub(super) unsent: Counter,
    pub(super) unheard: Counter,
    pub(super) refused: Counter,
    pub(super) unknown: Counter,
    pub(super) connections: Counter,
}

/// A number that grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn now(&self) -> Counts {
        Counts {
            published: self.published.value(),
            published_bytes: self.published_bytes.value(),
            received: self.received.value(),
            received_bytes: self.received_bytes.value(),
            unsent: self.unsent.value(),
            unheard: self.unheard.value(),
            refused: self.refused.value(),
            unknown: self.unknown.value(),
            connections: self.connections.value(),
        }
    }
}
