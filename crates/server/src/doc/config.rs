//! Settings of the document layer.

use std::time::Duration;

use quire_sync_protocol::RoomConfig;

use crate::store::{CompactionPolicy, StoreFaults};

/// Settings of the document layer. The defaults are what the server runs with, which has, however, a shard for each processor.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// Settings of every room.
    pub room: RoomConfig,
    /// How long a document stays in memory after its last session.
    pub idle_unload: Duration,
    /// Bytes of broadcasts that may wait for one session, beyond one message. A session for which more would have to wait
    /// is sent one diff when it has caught up instead.
    pub outbox_bytes: usize,
    /// Bytes of messages that may wait for one document, beyond one message; senders of more wait. At most 4 GiB.
    pub mailbox_bytes: usize,
    /// Messages that a document takes at once before it sends and stores what came of them.
    pub batch_messages: usize,
    /// Bytes that a document takes at once, beyond one message.
    pub batch_bytes: usize,
    /// Bytes of one document's edits that may wait for the store. Beyond this its editors wait.
    pub unsaved_bytes: usize,
    /// Bytes of all documents' edits that may wait for the store. Beyond this the editors of every document wait that
    /// has some itself.
    pub unsaved_bytes_of_all: usize,
    /// Bytes of events that are kept for each document, for listeners that are slow or come back.
    pub stream_bytes: usize,
    /// Notifications that are kept for one user.
    pub inbox: usize,
    /// Bytes of one document. Beyond this it takes no insertions.
    pub document_bytes: usize,
    /// Documents in memory. For one more, those that nobody has open leave.
    pub documents: usize,
    /// Bytes of all documents in memory, about. For one more, those that nobody has open leave.
    pub memory_bytes: usize,
    /// Documents that may be read from the store at the same time.
    pub loads: usize,
    /// When logs are replaced by snapshots.
    pub compaction: CompactionPolicy,
    /// Threads among which documents are divided. 0 for none: they run in the runtime of whoever opens them.
    pub shards: usize,
    /// Faults put into the store's writer on purpose.
    pub faults: StoreFaults,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            room: RoomConfig::default(),
            idle_unload: Duration::from_secs(30),
            outbox_bytes: 1 << 20,
            mailbox_bytes: 4 << 20,
            batch_messages: 256,
            batch_bytes: 1 << 20,
            unsaved_bytes: 64 << 20,
            unsaved_bytes_of_all: 512 << 20,
            stream_bytes: 256 << 10,
            inbox: 1000,
            document_bytes: 1 << 30,
            documents: 100_000,
            memory_bytes: 4 << 30,
            loads: 4,
            compaction: CompactionPolicy::default(),
            shards: 0,
            faults: StoreFaults::default(),
        }
    }
}
