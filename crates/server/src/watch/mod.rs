//! Documents that somebody watches: what they say, as JSON, and how it changes, as JSON Patch.
//!
//! ```text
//!  document task --changes--> Task (one for a watched document) --update, last JSON--> worker process (quire-view)
//!                                          |                    <--JSON, patch-------
//!                                          v
//!                                    Feed<Content> --> any number of watchers
//! ```
//!
//! A document that is watched by ten thousand is read once. Reading happens beside editing: the task keeps a replica of its own,
//! so that all it asks of the document is what is new, and whoever edits waits for nothing. A reading begins from nothing, as
//! every answer of a worker does; what a worker is given is bytes, and it may die over them. While a reading runs changes add up,
//! and the next one takes them together; a pause between two keeps what is watched from using up workers and lines.

mod content;
mod task;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quire_sync_protocol::DocId;
use quire_view::Pool;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::content::Content;
use self::task::Task;
use crate::doc::{Counters, Directory};
use crate::http::ApiError;
use crate::stream::{After, Cursor, Feed, Next, Reader, Source};
use crate::tasks::Tasks;
use crate::transport::Close;

/// How long a watcher waits for the first reading of its document.
const FIRST_READING: Duration = Duration::from_secs(20);

/// Bounds of what is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Documents that may be watched at the same time.
    pub(crate) documents: usize,
    /// The least time between two readings of one document.
    pub(crate) interval: Duration,
    /// Bytes of events that are kept of one document, for those who are slow or come back.
    pub(crate) kept: usize,
}

/// Everything that is watched. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Watches {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: Directory,
    pool: Pool,
    settings: Settings,
    tasks: Tasks,
    stop: CancellationToken,
    counters: Arc<Counters>,
    /// An entry is made in the critical section that found none, and removed by its own task only, in one that finds that
    /// nobody has taken a lease. Leases are given out under the lock; so whoever has one has a feed that lives.
    table: Mutex<HashMap<DocId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    opening: watch::Receiver<Opening>,
    leases: Leases,
}

/// How far the first reading is.
#[derive(Clone, Debug)]
enum Opening {
    Reading,
    Open(Feed<Content>),
    Failed(Close),
}

/// Counts those who watch one document.
type Leases = Arc<watch::Sender<usize>>;

/// One who watches, for as long as this is held.
#[derive(Debug)]
struct Lease(Leases);

impl Lease {
    fn new(leases: &Leases) -> Self {
        leases.send_modify(|count| *count += 1);
        Self(Arc::clone(leases))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// What somebody who watches is told.
#[derive(Debug)]
pub(crate) struct Watching {
    reader: Reader<Content>,
    _lease: Lease,
}

impl Source for Watching {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        self.reader.poll_event(cx)
    }

    fn place(&self) -> Cursor {
        self.reader.place()
    }
}

impl Watches {
    /// Readings run in `tasks` and end after `stop`.
    pub(crate) fn new(
        directory: Directory,
        pool: Pool,
        settings: Settings,
        tasks: Tasks,
        stop: CancellationToken,
    ) -> Self {
        let counters = directory.shared_counters();
        let table = Mutex::default();
        Self { shared: Arc::new(Shared { directory, pool, settings, tasks, stop, counters, table }) }
    }

    /// Begins to watch a document. Whether the caller may is checked before. A document that nobody has written in is watched
    /// as an empty one. Cancel safe.
    pub(crate) async fn watch(&self, doc: &DocId, after: After) -> Result<Watching, ApiError> {
        let (mut opening, lease) = self.shared.find_or_begin(doc)?;
        let opened = opening.wait_for(|opening| !matches!(opening, Opening::Reading));
        // No worker had time for it.
        let opened = timeout(FIRST_READING, opened).await.map_err(|_| ApiError::Busy)?;
        let feed = match opened.as_deref() {
            Ok(Opening::Open(feed)) => feed.clone(),
            Ok(Opening::Failed(close)) => return Err(close.answer()),
            // The task ended without a word: the server stops, or it met an error of ours.
            Ok(Opening::Reading) | Err(_) => return Err(ApiError::Restarting),
        };
        Ok(Watching { reader: feed.reader(after), _lease: lease })
    }
}

impl Shared {
    fn find_or_begin(self: &Arc<Self>, doc: &DocId) -> Result<(watch::Receiver<Opening>, Lease), ApiError> {
        let mut table = self.lock();
        if let Some(Entry { opening, leases }) = table.get(doc) {
            return Ok((opening.clone(), Lease::new(leases)));
        }
        if table.len() >= self.settings.documents {
            return Err(ApiError::Busy);
        }
        let (opened, opening) = watch::channel(Opening::Reading);
        let leases = Leases::new(watch::Sender::new(0));
        let lease = Lease::new(&leases);
        table.insert(doc.clone(), Entry { opening: opening.clone(), leases: Arc::clone(&leases) });
        drop(table);
        let entered = Entered { shared: Arc::clone(self), doc: doc.clone(), held: true };
        Counters::add(&self.counters.watched, 1);
        let task = Task::new(entered, leases.subscribe(), opened);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled_owned(task.run()).await;
        });
        Ok((opening, lease))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DocId, Entry>> {
        // Nothing that can panic runs while the table is half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's hold on its entry.
#[derive(Debug)]
struct Entered {
    shared: Arc<Shared>,
    doc: DocId,
    held: bool,
}

impl Entered {
    /// Removes the entry, if nobody has a lease.
    fn release(&mut self) -> bool {
        let mut table = self.shared.lock();
        if let Place::Occupied(entry) = table.entry(self.doc.clone()) {
            if *entry.get().leases.borrow() > 0 {
                return false;
            }
            entry.remove();
        }
        self.held = false;
        true
    }

    /// Removes the entry: who has a lease is told so otherwise, and who comes from now on begins anew.
    fn remove(&mut self) {
        if self.held {
            self.shared.lock().remove(&self.doc);
            self.held = false;
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.remove();
        Counters::sub(&self.shared.counters.watched, 1);
    }
}
