//! Finds documents, or has them loaded: the one owner of the table from name to document task.
//!
//! The table is a map under a mutex, not a task: every use of it is a look-up with at most one insertion or removal, so
//! the lock is held for less than a message to a task and back would take, and never across an await. That the table
//! is right follows from three rules.
//!
//! - An entry is inserted, with its mailbox, in the same critical section that found none. The load comes after, in the
//!   task, and all who asked wait for its end. So there is one load and one task for a document.
//! - An entry is removed only by its own task, which holds the entry's [`Place`].
//! - A task that wants to leave is let go, in one critical section, only if no handle exists and its mailbox is empty.
//!   Handles are made under the lock; a session joins through a handle; so whoever was given a handle reaches the task.

mod around;
mod changes;
mod hold;
mod place;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_persistence::archive::BackupError;
use quire_persistence::{DocumentStore, Listed};
use quire_relay::{Events, Message, Relay};
use quire_sync_protocol::{DocId, RoomConfig, SessionId, StateVector, Update};
use tokio::sync::{Notify, mpsc, watch};

use super::config::DirectoryConfig;
use super::counters::Counters;
use super::error::{ChangeError, OpenError};
use super::handle::{DocHandle, Lease};
use super::mailbox::Mailbox;
use super::memory::Memory;
use super::readiness::{FirstLoad, first_load};
use super::task::Task;
use crate::cluster::Cluster;
use crate::notify::Notifications;
use crate::presence::Whereabouts;
use crate::shards::Shards;
use crate::store::compactor::Compactor;
use crate::store::pace::{PACE, PACE_AMONG};
use crate::store::reader::{Content, Reader};
use crate::store::upkeep::Upkeep;
use crate::store::writer::Writer;
use crate::store::{Compactions, StoreStatus};
pub(crate) use place::Place;

/// How long the end of a compaction is waited for when the server goes down.
const COMPACTION_ENDS: Duration = Duration::from_secs(1);

/// How long one waits for room in memory. Idle documents leave as soon as they are durable.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// Finds or loads documents. Cheap to clone; all clones are the same directory.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

/// What makes a node of a directory: the relay, what it tells, and where other nodes reach this one.
type Among = (Arc<dyn Relay>, Events, Option<Arc<str>>);

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Documents that had edits which were not durable at the deadline. None of those edits was confirmed.
    pub unsaved: usize,
}

/// What is not stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaved {
    /// Documents with edits that are not stored.
    pub documents: usize,
    /// Bytes of those edits.
    pub bytes: usize,
}

/// What the directory and all document tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: DirectoryConfig,
    /// The same for all rooms.
    pub(crate) room: Arc<RoomConfig>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    pub(crate) compactor: Compactor,
    pub(crate) upkeep: Upkeep,
    pub(crate) whereabouts: Whereabouts,
    pub(crate) notifications: Notifications,
    /// The other nodes, if there may be some.
    pub(crate) cluster: Option<Cluster>,
    /// Becomes true once, when the server goes down.
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) memory: Memory,
    pub(crate) shards: Shards,
    table: Mutex<Table>,
    /// Notified when a task has ended.
    ended: Notify,
    sessions: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<DocId, Entry>,
    /// Document tasks that have not ended. Some may have no entry any more.
    tasks: usize,
    draining: bool,
}

#[derive(Debug)]
enum Entry {
    Task {
        mailbox: Mailbox,
        first_load: FirstLoad,
        leases: Arc<AtomicUsize>,
    },
    Quarantined,
    /// It is not in memory, and nobody is to load it until something has been done to it in the store.
    Held,
}

impl Directory {
    /// A directory over this store. Starts the threads that write and compact, and fails if the system gives none.
    pub fn new(config: DirectoryConfig, store: Arc<dyn DocumentStore>) -> std::io::Result<Self> {
        Self::make(config, store, None)
    }

    /// A directory among others over one store, which tell each other through this relay. `address` is where other nodes reach this one
    /// over HTTP. Call within a tokio runtime.
    pub fn in_cluster(
        config: DirectoryConfig,
        store: Arc<dyn DocumentStore>,
        relay: (Arc<dyn Relay>, Events),
        address: Option<Arc<str>>,
    ) -> std::io::Result<Self> {
        Self::make(config, store, Some((relay.0, relay.1, address)))
    }

    fn make(
        config: DirectoryConfig,
        store: Arc<dyn DocumentStore>,
        among: Option<Among>,
    ) -> std::io::Result<Self> {
        let counters = Arc::<Counters>::default();
        let whereabouts = Whereabouts::new(config.stream_bytes, Arc::clone(&counters));
        let cluster = among.map(|(relay, events, address)| {
            let (store, counters) = (Arc::clone(&store), Arc::clone(&counters));
            Cluster::join(relay, events, store, counters, whereabouts.clone(), address)
        });
        let deleted = Arc::<AtomicBool>::default();
        let pace = if cluster.is_some() { PACE_AMONG } else { PACE };
        let shards = match config.shards {
            0 => Shards::default(),
            count => Shards::start(count)?,
        };
        let shared = Shared {
            writer: Writer::start(
                Arc::clone(&store),
                config.faults.clone(),
                Arc::clone(&counters),
                pace,
                &shards.runtimes(),
            )?,
            compactor: Compactor::start(
                Arc::clone(&store),
                config.compaction.clone(),
                Arc::clone(&counters),
                Arc::clone(&deleted),
                cluster.is_none(),
            )?,
            upkeep: Upkeep::new(Arc::clone(&store), Arc::clone(&deleted)),
            whereabouts,
            notifications: Notifications::new(
                Arc::clone(&store),
                config.inbox,
                Arc::clone(&counters),
                cluster.clone(),
            ),
            reader: Reader::new(store, config.loads),
            memory: Memory::new(config.documents, config.memory_bytes),
            room: Arc::new(config.room.clone()),
            config,
            counters,
            cluster,
            draining: watch::Sender::new(false),
            table: Mutex::default(),
            shards,
            ended: Notify::new(),
            sessions: AtomicU64::new(1),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Finds the document, or loads it. All who ask for one document at a time share one load. A document that was
    /// never stored opens empty; one that cannot be read is an error, and the next to ask tries again.
    ///
    /// Cancel safe: a load that has begun goes on. Call within a tokio runtime.
    pub async fn open(&self, doc: &DocId) -> Result<DocHandle, OpenError> {
        let (handle, first_load) = self.find_or_wait(doc).await?;
        first_load.ended().await?;
        Ok(handle)
    }

    /// Finds the document, or has it loaded as soon as there is room for it.
    async fn find_or_wait(&self, doc: &DocId) -> Result<(DocHandle, FirstLoad), OpenError> {
        let patience = tokio::time::Instant::now() + ROOM_WAIT;
        loop {
            let ended = self.shared.ended.notified();
            match self.shared.find_or_insert(doc) {
                Err(OpenError::NoRoom) if tokio::time::timeout_at(patience, ended).await.is_ok() => {}
                Err(OpenError::NoRoom) => {
                    Counters::add(&self.shared.counters.no_room, 1);
                    return Err(OpenError::NoRoom);
                }
                found => return found,
            }
        }
    }

    /// The document's whole content, from memory or else from the store; `None` if it was never stored. Keeps nothing in
    /// memory that was not there. A quarantined document can be read so. Cancel safe.
    pub async fn snapshot(&self, doc: &DocId) -> Result<Option<Update>, OpenError> {
        self.diff(doc, StateVector::default()).await
    }

    /// What somebody at this state vector lacks of the document; otherwise like [`Self::snapshot`].
    pub async fn diff(&self, doc: &DocId, known: StateVector) -> Result<Option<Update>, OpenError> {
        if let Some((handle, first_load)) = self.shared.find(doc)? {
            first_load.ended().await?;
            if let Ok(diff) = handle.diff(known.clone()).await {
                return Ok(diff);
            }
        }
        if let Some(cluster) = &self.shared.cluster {
            cluster.settle(doc).await;
        }
        let encode = move |content: Content| content.exists.then(|| content.replica.diff(&known));
        Ok(self.shared.reader.load(doc.clone(), encode).await?)
    }

    /// Tells everybody in the document, and who listens, something that is not stored. Loads nothing. `false` if there was too
    /// much of that of late.
    pub(crate) async fn broadcast(&self, doc: &DocId, text: Arc<str>) -> Result<bool, OpenError> {
        if let Some((handle, first_load)) = self.shared.find(doc)? {
            first_load.ended().await?;
            if let Ok(told) = handle.broadcast(Arc::clone(&text)).await {
                return Ok(told);
            }
        }
        if let Some(cluster) = &self.shared.cluster {
            cluster.publish(doc, &Message::Broadcast { from: None, text: Arc::clone(&text) });
        }
        self.shared.whereabouts.broadcast(doc, None, &text);
        Ok(true)
    }

    /// At most `limit` stored documents whose names begin with `prefix`, in the byte order of their names, behind `after`.
    pub async fn list(
        &self,
        prefix: Option<DocId>,
        after: Option<DocId>,
        limit: usize,
    ) -> Result<Vec<Listed>, ChangeError> {
        self.shared.upkeep.list(prefix, after, limit).await
    }

    /// Replaces the log of one document by a snapshot, however short it is.
    pub async fn compact(&self, doc: &DocId) -> Result<Compactions, ChangeError> {
        self.shared.upkeep.compact(doc.clone()).await
    }

    /// The same for all documents, one after another. If cancelled, it ends after the present one.
    pub async fn compact_all(&self) -> Result<Compactions, ChangeError> {
        let draining = self.shared.draining.subscribe();
        self.shared.upkeep.compact_all(|| !*draining.borrow()).await
    }

    /// Begins an archive of everything that is stored; see [`Upkeep::backup`].
    pub(crate) fn backup(&self) -> Option<mpsc::Receiver<Result<Bytes, BackupError>>> {
        self.shared.upkeep.backup()
    }

    /// Whether edits are being stored.
    pub fn status(&self) -> StoreStatus {
        self.shared.writer.status()
    }

    /// What is not stored yet.
    pub fn unsaved(&self) -> Unsaved {
        let writer = &self.shared.writer;
        Unsaved { documents: writer.unsaved_documents(), bytes: writer.unsaved_bytes() }
    }

    /// Documents in memory, those that are still loading included.
    pub fn loaded(&self) -> usize {
        self.shared.lock().entries.values().filter(|entry| matches!(entry, Entry::Task { .. })).count()
    }

    /// About how many bytes the documents in memory take.
    pub fn memory_bytes(&self) -> usize {
        self.shared.memory.bytes()
    }

    /// What the document layer counts.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The same, for those who count.
    pub(crate) fn shared_counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Opens nothing from now on, takes what sessions have delivered, ends them
    /// ([`CloseReason::Restart`](super::CloseReason::Restart)), makes everything durable and ends all tasks and threads.
    /// Returns when that is done, at the latest at the deadline.
    pub async fn drain(&self, deadline: Instant) -> Drained {
        self.shared.lock().draining = true;
        self.shared.draining.send_replace(true);
        self.shared.compactor.stop();
        let all = async {
            self.shared.tasks_ended().await;
            self.shared.writer.stop().await;
            // A store that is let go of in good order opens faster. One compaction may take long, and may be left to itself.
            let _ = tokio::time::timeout(COMPACTION_ENDS, self.shared.compactor.ended()).await;
        };
        // What was not done by then is counted below.
        let _ = tokio::time::timeout_at(deadline.into(), all).await;
        Drained { unsaved: self.shared.writer.unsaved_documents() }
    }
}

impl Shared {
    fn find_or_insert(self: &Arc<Self>, doc: &DocId) -> Result<(DocHandle, FirstLoad), OpenError> {
        let mut table = self.lock();
        if let Some(found) = table.find(doc)? {
            return Ok(found);
        }
        if !self.memory.has_room(table.tasks) {
            return Err(OpenError::NoRoom);
        }
        let (mailbox, commands) = Mailbox::new(self.config.mailbox_bytes);
        let (loading, first_load) = first_load();
        let leases = Arc::default();
        let handle = DocHandle::new(mailbox.clone(), Lease::new(&leases));
        table.entries.insert(
            doc.clone(),
            Entry::Task { mailbox: mailbox.clone(), first_load: first_load.clone(), leases },
        );
        table.tasks += 1;
        drop(table);
        Counters::add(&self.counters.documents, 1);
        let place = Place::new(self, doc);
        let shard = self.shards.emptiest();
        let runtime = shard.runtime();
        runtime.spawn(Task::new(place, mailbox, commands, loading, shard).run());
        Ok((handle, first_load))
    }

    /// `None` if the document is in memory in no way, or only as quarantined.
    fn find(&self, doc: &DocId) -> Result<Option<(DocHandle, FirstLoad)>, OpenError> {
        match self.lock().find(doc) {
            Err(OpenError::Quarantined) => Ok(None),
            found => found,
        }
    }

    /// A document has left memory: idle ones may stay if that is enough, and who waits for room looks again.
    pub(crate) fn made_room(&self) {
        let documents = self.lock().tasks;
        self.memory.left(documents);
        self.ended.notify_waiters();
    }

    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    async fn tasks_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.lock().tasks == 0 {
                return;
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing that can panic runs while the table is half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&self, doc: &DocId) -> Result<Option<(DocHandle, FirstLoad)>, OpenError> {
        if self.draining {
            return Err(OpenError::Draining);
        }
        match self.entries.get(doc) {
            None => Ok(None),
            Some(Entry::Quarantined) => Err(OpenError::Quarantined),
            // Another attempt, in a moment, finds what came of it.
            Some(Entry::Held) => Err(OpenError::Internal),
            Some(Entry::Task { mailbox, first_load, leases }) => {
                let handle = DocHandle::new(mailbox.clone(), Lease::new(leases));
                Ok(Some((handle, first_load.clone())))
            }
        }
    }
}
