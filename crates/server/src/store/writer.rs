//! The one thread that writes: appends of all documents, one commit and one sync for many.
//!
//! Each document has a [`DocumentLog`], a queue of its own whose length its document task bounds (it takes no further
//! edits while too many bytes wait, see `unsaved_bytes` in [`DirectoryConfig`](crate::doc::DirectoryConfig)). The writer has a
//! queue of the logs that hold something, each at most once, so a push never waits, documents take turns, and within
//! one document the order is kept. What cannot be written stays at the head of its log and is tried again
//! ([`schedule`](super::schedule)); nothing is dropped and nothing overtakes it.
//! Commits begin at a [`pace`](super::pace).

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use quire_persistence::{Append, DocumentStore, Epoch, Seq, StoreError};
use quire_sync_protocol::{DocId, Ticket};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::courier::{Couriers, Report};
pub(crate) use self::log::DocumentLog;
use self::log::Log;
use self::share::{BATCH_BYTES, Batch, Dropped};
use super::pace::{Began, Pace};
use super::schedule::{Schedule, Turn};
use super::{StoreFaults, StoreStatus};
use crate::doc::Counters;

/// A commit that takes longer than this is reported like one that failed: a device that hangs says nothing.
const STALLED: Duration = Duration::from_secs(10);

/// Everything of a document up to here is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    /// The room's number of the last append.
    pub(crate) ticket: Ticket,
    /// Its place in the stored log.
    pub(crate) seq: Seq,
}

/// What became of appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Everything up to here is durable.
    Durable(Durable),
    /// A commit with some of it has failed. It is tried again.
    Failed,
    /// The stored document has another history than the one that was given, or was deleted: what was made for this epoch can
    /// never be stored, and has been let go of.
    Outdated(Epoch),
}

/// The writer thread's owner. Dropping it lets the thread write what waits, then end.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Documents with something unwritten.
    unsaved: AtomicUsize,
    /// Bytes unwritten, of all documents.
    unsaved_bytes: AtomicUsize,
}

#[derive(Debug)]
struct State {
    schedule: Schedule<Arc<Log>>,
    /// Since when, and why, appends fail; the number of documents is the schedule's.
    failure: Option<(SystemTime, String)>,
    /// When the commit that is running began.
    commit_began: Option<SystemTime>,
    pace: Pace,
    waits: Waits,
    /// End when nothing waits any more, or nothing but suspects.
    stopping: bool,
}

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Nothing: it works, or is about to.
    No,
    /// Something to write.
    ForWork,
    /// The time of the next commit. Being woken by each of the edits that come meanwhile would cost more than they do.
    ForTime,
}

impl Writer {
    /// Starts the thread, which begins a commit no sooner than `pace` after the one before it began, and a task of each of these runtimes for
    /// its reports. Without runtimes the thread makes them itself.
    pub(crate) fn start(
        store: Arc<dyn DocumentStore>,
        faults: StoreFaults,
        counters: Arc<Counters>,
        pace: Duration,
        runtimes: &[Handle],
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(pace)),
            wake: Condvar::new(),
            unsaved: AtomicUsize::new(0),
            unsaved_bytes: AtomicUsize::new(0),
        });
        let (end, ended) = watch::channel(false);
        let couriers = Couriers::start(runtimes, pace);
        let thread = Thread { shared: Arc::clone(&shared), store, faults, counters, couriers };
        thread::Builder::new().name("quire-writer".into()).spawn(move || {
            if panic::catch_unwind(AssertUnwindSafe(|| thread.run())).is_err() {
                tracing::error!(
                    "the writer thread met an internal error, nothing is stored any more: restart"
                );
                let reason = "the writer thread has ended".into();
                thread.shared.lock().failure = Some((SystemTime::now(), reason));
            }
            // Before the word that this is the end: the process may end at once then, and the store is to be closed by that time.
            drop(thread);
            // Nobody may be waiting for this.
            let _ = end.send(true);
        })?;
        Ok(Self { shared, ended })
    }

    /// A log for this document, whose task is on this shard: the runtime with this index. `report` is called in order, and must not block.
    pub(crate) fn log(
        &self,
        doc: DocId,
        shard: usize,
        report: impl Fn(Written) + Send + Sync + 'static,
    ) -> DocumentLog {
        let log = Log { doc, shard, pending: Mutex::default(), report: Box::new(report) };
        DocumentLog { log: Arc::new(log), shared: Arc::clone(&self.shared) }
    }

    /// Whether appends succeed.
    pub(crate) fn status(&self) -> StoreStatus {
        self.shared.lock().status(SystemTime::now())
    }

    /// Documents with something unwritten.
    pub(crate) fn unsaved_documents(&self) -> usize {
        self.shared.unsaved.load(Ordering::Acquire)
    }

    /// Their bytes.
    pub(crate) fn unsaved_bytes(&self) -> usize {
        self.shared.unsaved_bytes.load(Ordering::Acquire)
    }

    /// Lets the thread write what waits, without waiting for a failing store, and waits until it has ended.
    pub(crate) async fn stop(&self) {
        self.shared.stop();
        // An error would mean that the thread is gone, which is what is waited for.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl State {
    fn new(pace: Duration) -> Self {
        Self {
            schedule: Schedule::new(),
            failure: None,
            commit_began: None,
            pace: Pace::new(pace),
            waits: Waits::No,
            stopping: false,
        }
    }

    fn status(&self, now: SystemTime) -> StoreStatus {
        // The documents that are being written at this moment are in no queue.
        let documents = self.schedule.suspects().max(1);
        // A clock that was set back makes nothing old.
        let old = |began: &SystemTime| now.duration_since(*began).is_ok_and(|age| age > STALLED);
        match (&self.failure, self.commit_began.filter(old)) {
            (Some((since, reason)), _) => {
                StoreStatus::Failing { since: *since, reason: reason.clone(), documents }
            }
            (None, Some(since)) => {
                StoreStatus::Failing { since, reason: "a commit has not come to its end".into(), documents }
            }
            (None, None) => StoreStatus::Healthy,
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_one();
    }

    /// Wakes the thread, once, if it waits for this.
    fn wake(&self, mut state: MutexGuard<'_, State>, matches: impl FnOnce(Waits) -> bool) {
        if matches(state.waits) {
            state.waits = Waits::No;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Waits for [`Shared::wake`] or until the time is over; too early at times.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        waits: Waits,
        pause: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.waits = waits;
        let mut state = match pause {
            None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(pause) => self.wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.waits = Waits::No;
        state
    }
}

/// A poisoned lock is taken as it is: nothing that can panic runs while these states are half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What runs on the thread.
struct Thread {
    shared: Arc<Shared>,
    store: Arc<dyn DocumentStore>,
    faults: StoreFaults,
    counters: Arc<Counters>,
    couriers: Couriers,
}

/// Why a commit failed.
struct Failure {
    doc: Option<DocId>,
    /// Trying again cannot help: the document's history is another one.
    is_final: bool,
    reason: String,
}

impl Thread {
    fn run(&self) {
        while let Some((batch, suspect)) = self.next_batch() {
            self.shared.lock().commit_began = Some(SystemTime::now());
            let outcome = self.commit(&batch.appends);
            self.shared.lock().commit_began = None;
            match outcome {
                Ok(seqs) => self.succeeded(batch, &seqs, suspect),
                Err(failure) => self.failed(batch, failure),
            }
        }
        if let Err(error) = self.store.flush() {
            tracing::error!(%error, "the store could not be flushed at the end");
        }
    }

    /// Waits for something to write; `None` to end.
    fn next_batch(&self) -> Option<(Batch, bool)> {
        let mut state = self.shared.lock();
        loop {
            let now = Instant::now();
            match state.schedule.turn(now) {
                Turn::Suspect(log) => {
                    let mut batch = Batch::default();
                    batch.add(log);
                    return Some((batch, true));
                }
                Turn::Ready => {
                    // One that is full gains nothing by waiting, nor does the last.
                    let is_full = self.shared.unsaved_bytes.load(Ordering::Acquire) >= BATCH_BYTES;
                    if !is_full
                        && !state.stopping
                        && let Some(pause) = state.pace.pause(now)
                    {
                        state = self.shared.wait(state, Waits::ForTime, Some(pause));
                        continue;
                    }
                    let mut batch = Batch::new(state.pace.begin(now));
                    while batch.has_room()
                        && let Some(log) = state.schedule.take_ready()
                    {
                        batch.add(log);
                    }
                    return Some((batch, false));
                }
                Turn::Wait(_) if state.stopping => return None,
                Turn::Wait(at) => {
                    let pause = at.map(|at| at.saturating_duration_since(now));
                    state = self.shared.wait(state, Waits::ForWork, pause);
                }
            }
        }
    }

    fn commit(&self, appends: &[Append]) -> Result<Vec<Seq>, Failure> {
        if !self.faults.delay.is_zero() {
            thread::sleep(self.faults.delay);
        }
        if self.faults.fail.load(Ordering::Relaxed) {
            return Err(Failure::of_the_store("fault injection"));
        }
        // An engine that panics must not take the one writer with it.
        match panic::catch_unwind(AssertUnwindSafe(|| self.store.append(appends))) {
            Ok(Ok(seqs)) => Ok(seqs),
            Ok(Err(error)) => Err(Failure::from(&error)),
            Err(_) => Err(Failure::of_the_store("the storage engine panicked")),
        }
    }

    fn succeeded(&self, batch: Batch, seqs: &[Seq], suspect: bool) {
        Counters::add(&self.counters.commits, 1);
        Counters::add(&self.counters.appends, batch.appends.len());
        let mut seqs = seqs.iter();
        let mut unfinished = Vec::new();
        let mut reports = Vec::with_capacity(batch.shares.len());
        let (mut saved, mut saved_bytes) = (0, 0);
        for share in batch.shares {
            let (last, bytes, is_empty) = share.remove_written();
            saved_bytes += bytes;
            if is_empty {
                saved += 1;
            } else {
                unfinished.push(Arc::clone(&share.log));
            }
            // The store returns one seq for each update.
            if let (Some(ticket), Some(seq)) = (last, seqs.by_ref().take(share.updates).last()) {
                let written = Written::Durable(Durable { ticket, seq: *seq });
                reports.push(Report { log: share.log, written });
            }
        }
        self.shared.unsaved_bytes.fetch_sub(saved_bytes, Ordering::AcqRel);
        self.shared.unsaved.fetch_sub(saved, Ordering::AcqRel);
        self.couriers.take(reports, batch.began);
        let mut state = self.shared.lock();
        for log in unfinished {
            state.schedule.add(log);
        }
        if suspect {
            state.schedule.cleared();
        }
        if state.schedule.suspects() == 0 && state.failure.take().is_some() {
            tracing::info!("the store takes appends again, everything is stored");
        }
    }

    fn failed(&self, batch: Batch, failure: Failure) {
        if failure.is_final {
            return self.outdated(batch, &failure);
        }
        Counters::add(&self.counters.store_failures, 1);
        let named = failure.doc.filter(|doc| batch.shares.iter().any(|share| share.log.doc == *doc));
        let guilty = |log: &Log| named.as_ref().is_none_or(|doc| *doc == log.doc);
        let mut state = self.shared.lock();
        let mut suspects = Vec::new();
        for share in batch.shares.into_iter().rev() {
            if guilty(&share.log) {
                suspects.push(share.log);
            } else {
                state.schedule.add_front(share.log);
            }
        }
        suspects.reverse();
        tracing::warn!(
            documents = suspects.len(),
            reason = failure.reason,
            "an append failed, it will be retried"
        );
        let failed = suspects.clone();
        state.schedule.failed(suspects, Instant::now());
        let since = state.failure.take().map_or_else(SystemTime::now, |(since, _)| since);
        state.failure = Some((since, failure.reason));
        drop(state);
        let reports = failed.into_iter().map(|log| Report { log, written: Written::Failed });
        self.couriers.take(reports, Began::AtPace);
    }
}

impl Thread {
    /// Lets go of what can never be stored. The rest of the batch is tried again at once.
    fn outdated(&self, batch: Batch, failure: &Failure) {
        for share in batch.shares.into_iter().rev() {
            if failure.doc.as_ref() != Some(&share.log.doc) {
                self.shared.lock().schedule.add_front(share.log);
                continue;
            }
            let Dropped { epoch, updates, bytes, leaves_none } = share.remove_outdated();
            tracing::error!(
                doc = %share.log.doc,
                updates,
                reason = failure.reason,
                "updates of a history that is no more cannot be stored; none of them was confirmed"
            );
            self.shared.unsaved_bytes.fetch_sub(bytes, Ordering::AcqRel);
            if leaves_none {
                self.shared.unsaved.fetch_sub(1, Ordering::AcqRel);
            } else {
                self.shared.lock().schedule.add_front(Arc::clone(&share.log));
            }
            self.couriers.take([Report { log: share.log, written: Written::Outdated(epoch) }], Began::AtPace);
        }
        let mut state = self.shared.lock();
        if state.schedule.suspects() == 0 {
            // It may have been the one that failed.
            state.failure = None;
        }
    }
}

impl Failure {
    fn of_the_store(reason: &str) -> Self {
        Self { doc: None, is_final: false, reason: reason.into() }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        let is_final = matches!(error, StoreError::StaleEpoch { .. } | StoreError::Deleted { .. });
        Self { doc: error.doc().cloned(), is_final, reason: error.to_string() }
    }
}

mod courier;
mod log;
mod share;
#[cfg(test)]
mod tests;
