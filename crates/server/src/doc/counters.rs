//! What the document layer counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the process started, except where a field says "at present".
#[derive(Debug, Default)]
pub struct Counters {
    /// Documents in memory at present, those that are still loading included.
    pub documents: AtomicU64,
    /// Documents at present that are as large as they may be, and take no insertions.
    pub documents_full: AtomicU64,
    /// Times a document could not be opened because as much was in memory as may be.
    pub no_room: AtomicU64,
    /// Sessions at present.
    pub sessions: AtomicU64,
    /// Sessions that joined.
    pub joins: AtomicU64,
    /// Documents loaded (found empty included).
    pub loads: AtomicU64,
    /// Loads that failed.
    pub load_failures: AtomicU64,
    /// Messages taken from sessions.
    pub messages: AtomicU64,
    /// Batches they were taken in.
    pub batches: AtomicU64,
    /// Updates stored.
    pub appends: AtomicU64,
    /// Commits that stored them.
    pub commits: AtomicU64,
    /// Commits that failed (and are retried).
    pub store_failures: AtomicU64,
    /// Times a session's outbox was full and it was sent a diff later.
    pub resyncs: AtomicU64,
    /// Edits that were dropped: of viewers, or for want of room in the document.
    pub edits_refused: AtomicU64,
    /// Presence entries that were dropped.
    pub presence_refused: AtomicU64,
    /// Requests and connections refused because nobody knew who it was.
    pub refused_unknown: AtomicU64,
    /// Requests and connections refused for want of a right, or by the origin of their page.
    pub refused_rights: AtomicU64,
    /// Connections refused because a bound on them was reached.
    pub refused_bounds: AtomicU64,
    /// Connections of nobody in particular that made room for others.
    pub strangers_evicted: AtomicU64,
    /// Times a connection sent faster than it may and was read more slowly.
    pub throttled: AtomicU64,
    /// Connections that ended because their token did.
    pub expired: AtomicU64,
    /// Connections that ended because their rights were taken back.
    pub revoked: AtomicU64,
    /// Times a session was asked for content that others build on.
    pub gaps_asked: AtomicU64,
    /// Listeners to events at present, polls that wait included.
    pub listeners: AtomicU64,
    /// Times a listener was given the whole state instead of what it had missed.
    pub stream_skips: AtomicU64,
    /// Notifications posted, repetitions not counted.
    pub notifications: AtomicU64,
    /// Unread notifications that newer ones pushed out.
    pub notifications_evicted: AtomicU64,
    /// Texts told to everybody in a document.
    pub broadcasts: AtomicU64,
    /// Such texts of sessions that were dropped.
    pub broadcasts_refused: AtomicU64,
    /// Documents that are watched at present.
    pub watched: AtomicU64,
    /// Times a worker was asked what a watched document says.
    pub watch_readings: AtomicU64,
    /// Microseconds that were waited for the answers.
    pub watch_reading_micros: AtomicU64,
    /// Times there was no answer, for whatever reason.
    pub watch_failures: AtomicU64,
    /// Messages of other nodes about documents that are open here.
    pub nodes_heard: AtomicU64,
    /// Messages published for other nodes.
    pub nodes_told: AtomicU64,
    /// Times something that other nodes said about an open document may have been missed.
    pub nodes_missed: AtomicU64,
    /// Times the log of an open document was read for what other nodes have stored.
    pub tail_reads: AtomicU64,
    /// Errors of ours that cost a document's memory.
    pub panics: AtomicU64,
    /// Documents quarantined.
    pub quarantined: AtomicU64,
    /// Compactions that replaced a log.
    pub compactions: AtomicU64,
    /// Compactions that failed and changed nothing.
    pub compaction_failures: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn sub(counter: &AtomicU64, n: usize) {
        counter.fetch_sub(n as u64, Ordering::Relaxed);
    }
}
