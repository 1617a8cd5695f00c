//! Compaction in the background: one document at a time, on a thread of its own. What is left of deleted documents is swept there
//! too.
//!
//! The thread rests after each document as long as the work took, so that compaction never takes more than half of a
//! device or a core. Whether a document is due is decided here, from what the catalog says about it
//! ([`CompactionPolicy::is_due`]); document tasks only ask, some time after edits and when they end. A server that was killed
//! before they came to it leaves long logs, which the next one looks for when it starts.

use std::collections::{HashSet, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quire_persistence::{Compacted, DocumentInfo, DocumentStore, Listed, StoreError, Swept};
use quire_sync_protocol::DocId;
use tokio::sync::watch;

use super::reclaim::{SHORT_WAIT_BYTES, reclaim};
use crate::doc::Counters;

/// Documents that may wait. One that finds no place is asked for again after its next edits or load.
const QUEUE: usize = 10_000;

/// The longest rest after a compaction.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How often what is left of deleted documents is looked for: at the start, and then after this time.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Catalog entries that are looked at in one go at the start.
const SURVEYED: usize = 100;

/// What the thread does next.
enum Work {
    Compact(DocId),
    Sweep,
    Survey,
}

/// How far the look at all documents has come that is taken once, at the start.
#[derive(Debug)]
enum Survey {
    After(Option<DocId>),
    Done,
}

/// When a document's log is to be replaced by a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// A log of this many updates is short enough to be read whatever the size of the document.
    pub updates: u64,
    /// A log of this many bytes is, too.
    pub bytes: u64,
    /// How long after the first edit since the last time the question is asked again.
    pub after: Duration,
}

/// Beyond the policy's fixed part, a log may have one update for this many bytes of snapshot: reading one update costs
/// about as much as reading so many bytes, so that a load takes at most twice what it could.
const SNAPSHOT_BYTES_PER_UPDATE: u64 = 256;

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self { updates: 500, bytes: 64 << 10, after: Duration::from_secs(10) }
    }
}

impl CompactionPolicy {
    /// Whether the log is long for the snapshot before it. Both bounds grow with the snapshot, so rewriting a large
    /// document is paid for by as many bytes, or about as much work, of new log.
    pub fn is_due(&self, info: &DocumentInfo) -> bool {
        info.log_len > self.updates + info.snapshot_bytes / SNAPSHOT_BYTES_PER_UPDATE
            || info.log_len > 1 && info.log_bytes > self.bytes + info.snapshot_bytes
    }
}

/// Asks for compactions. Cheap to clone. The thread ends after [`Compactor::stop`] or when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Compactor {
    owner: Arc<Owner>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Owner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<DocId>,
    /// What stands in `queue`.
    queued: HashSet<DocId>,
    /// Documents that cannot be compacted because of what they hold. Until the process restarts nothing but more of
    /// the same would come of trying again. At most [`QUEUE`].
    hopeless: HashSet<DocId>,
    stopping: bool,
}

impl Compactor {
    /// Starts the thread. If it is the only one over this store, it looks for logs that another one has left long.
    pub(crate) fn start(
        store: Arc<dyn DocumentStore>,
        policy: CompactionPolicy,
        counters: Arc<Counters>,
        deleted: Arc<AtomicBool>,
        is_alone: bool,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
        let survey = if is_alone { Survey::After(None) } else { Survey::Done };
        let thread = Thread { shared: Arc::clone(&shared), store, policy, counters, deleted };
        let (end, ended) = watch::channel(false);
        thread::Builder::new().name("quire-compactor".into()).spawn(move || {
            thread.run(survey);
            // As in the writer: the store is to be closed by the time that the process ends.
            drop(thread);
            // Nobody may be waiting for this.
            let _ = end.send(true);
        })?;
        Ok(Self { owner: Arc::new(Owner(shared)), ended })
    }

    /// Has this document looked at, and compacted if its log is long. Returns at once.
    pub(crate) fn ask(&self, doc: &DocId) {
        self.owner.0.ask(doc);
    }

    /// Starts no further compaction. One that runs goes on; it leaves the store whole even if the process ends.
    pub(crate) fn stop(&self) {
        self.owner.0.stop();
    }

    /// Waits until the thread has ended.
    pub(crate) async fn ended(&self) {
        // An error would mean that the thread is gone, which is what is waited for.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs while the state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, doc: &DocId) {
        let mut state = self.lock();
        if state.queue.len() < QUEUE && !state.hopeless.contains(doc) && state.queued.insert(doc.clone()) {
            state.queue.push_back(doc.clone());
            self.wake.notify_one();
        }
    }

    fn give_up(&self, doc: DocId) {
        let mut state = self.lock();
        if state.hopeless.len() < QUEUE {
            state.hopeless.insert(doc);
        }
    }

    fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_one();
    }
}

struct Thread {
    shared: Arc<Shared>,
    store: Arc<dyn DocumentStore>,
    policy: CompactionPolicy,
    counters: Arc<Counters>,
    /// Something was deleted since space was last given back.
    deleted: Arc<AtomicBool>,
}

impl Thread {
    fn run(&self, mut survey: Survey) {
        let mut sweep_at = Instant::now();
        while let Some(work) = self.next(sweep_at, &survey) {
            let begin = Instant::now();
            let doc = match work {
                Work::Compact(doc) => doc,
                Work::Sweep => {
                    self.sweep();
                    sweep_at = Instant::now() + SWEEP_EVERY;
                    continue;
                }
                Work::Survey => {
                    survey = self.survey(survey);
                    self.rest(begin.elapsed().min(LONGEST_REST));
                    continue;
                }
            };
            // A panic in here must not end compaction for all documents.
            match panic::catch_unwind(AssertUnwindSafe(|| self.compact(&doc))) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(compacted))) => {
                    Counters::add(&self.counters.compactions, 1);
                    let Compacted { seq, updates, bytes_before, bytes_after } = compacted;
                    tracing::debug!(%doc, %seq, updates, bytes_before, bytes_after, "compacted");
                }
                Ok(Err(error)) => {
                    Counters::add(&self.counters.compaction_failures, 1);
                    tracing::warn!(%doc, %error, "a compaction failed; the document stays as it was");
                    if error.doc().is_some() {
                        self.shared.give_up(doc);
                    }
                }
                Err(_) => {
                    Counters::add(&self.counters.compaction_failures, 1);
                    tracing::error!(%doc, "a compaction met an internal error; the document stays as it was");
                    self.shared.give_up(doc);
                }
            }
            self.rest(begin.elapsed().min(LONGEST_REST));
        }
    }

    fn compact(&self, doc: &DocId) -> Result<Option<Compacted>, StoreError> {
        match self.store.info(doc)? {
            Some(info) if self.policy.is_due(&info) => self.store.compact(doc).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Looks at the next documents, and has those compacted that are due. What cannot be read is told of when it is opened.
    fn survey(&self, survey: Survey) -> Survey {
        let Survey::After(after) = survey else { return Survey::Done };
        match panic::catch_unwind(AssertUnwindSafe(|| self.store.list(after.as_ref(), SURVEYED))) {
            Ok(Ok(listed)) => {
                for Listed { doc, info } in &listed {
                    if info.as_ref().is_ok_and(|info| self.policy.is_due(info)) {
                        self.shared.ask(doc);
                    }
                }
                match listed.into_iter().nth(SURVEYED - 1) {
                    Some(last) => Survey::After(Some(last.doc)),
                    None => Survey::Done,
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "long logs cannot be looked for");
                Survey::Done
            }
            Err(_) => {
                tracing::error!("looking for long logs met an internal error");
                Survey::Done
            }
        }
    }

    fn sweep(&self) {
        // A panic in here must not end compaction for all documents.
        match panic::catch_unwind(AssertUnwindSafe(|| self.store.sweep(SystemTime::now()))) {
            Ok(Ok(Swept { purged: 0, expired: 0 })) => {}
            Ok(Ok(Swept { purged, expired })) => tracing::info!(purged, expired, "swept deleted documents"),
            Ok(Err(error)) => tracing::warn!(%error, "deleted documents could not be swept"),
            Err(_) => tracing::error!("sweeping deleted documents met an internal error"),
        }
        self.expire();
        if self.deleted.swap(false, Ordering::Relaxed) {
            self.reclaim();
        }
    }

    /// Lets go of notifications that have expired.
    fn expire(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        match panic::catch_unwind(AssertUnwindSafe(|| self.store.inboxes().expire(now))) {
            Ok(Ok(0)) => {}
            Ok(Ok(expired)) => tracing::info!(expired, "notifications have expired"),
            Ok(Err(error)) => tracing::warn!(%error, "expired notifications could not be let go of"),
            Err(_) => tracing::error!("letting go of expired notifications met an internal error"),
        }
    }

    fn reclaim(&self) {
        match panic::catch_unwind(AssertUnwindSafe(|| reclaim(&*self.store, SHORT_WAIT_BYTES))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "space could not be given back"),
            Err(_) => tracing::error!("giving space back met an internal error"),
        }
    }

    fn next(&self, sweep_at: Instant, survey: &Survey) -> Option<Work> {
        let mut state = self.shared.lock();
        loop {
            if state.stopping {
                return None;
            }
            let until_sweep = sweep_at.saturating_duration_since(Instant::now());
            if until_sweep.is_zero() {
                return Some(Work::Sweep);
            }
            if let Some(doc) = state.queue.pop_front() {
                state.queued.remove(&doc);
                return Some(Work::Compact(doc));
            }
            if let Survey::After(_) = survey {
                return Some(Work::Survey);
            }
            let waited = self.shared.wake.wait_timeout(state, until_sweep);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.shared.lock();
        while !state.stopping
            && let Some(left) = until.checked_duration_since(Instant::now())
            && !left.is_zero()
        {
            state = self.shared.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use quire_persistence::{Epoch, Seq};

    use super::*;

    #[test]
    fn a_log_is_due_when_it_is_long_for_its_snapshot() {
        let policy = CompactionPolicy::default();
        let due = |snapshot_bytes, log_len, log_bytes| {
            policy.is_due(&DocumentInfo {
                doc: DocId::new("a").unwrap(),
                epoch: Epoch::FIRST,
                seq: Seq(log_len),
                snapshot_seq: Seq(0),
                snapshot_bytes,
                log_len,
                log_bytes,
            })
        };
        let large = 50 << 20;
        for (snapshot_bytes, log_len, log_bytes, expected) in [
            (0, 0, 0, false),
            (0, 500, 20_000, false),
            (0, 501, 20_000, true),
            (0, 2, 65_537, true),
            // One update has nothing to be merged with.
            (0, 1, 1 << 20, false),
            (large, 10_000, 400_000, false),
            (large, 210_000, 8 << 20, true),
            (large, 100, large, false),
            (large, 100, large + 65_537, true),
        ] {
            assert_eq!(
                due(snapshot_bytes, log_len, log_bytes),
                expected,
                "{snapshot_bytes} {log_len} {log_bytes}"
            );
        }
    }
}
