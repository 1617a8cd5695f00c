//! The document layer, driven as a connection would drive it, over the memory store.

mod cluster;
mod confirm;
mod drain;
mod fault;
mod load;
mod retire;
mod slow;

pub(super) use fault::break_if_asked;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quire_persistence::engines::MemoryEngine;
use quire_persistence::{
    Append, Compacted, Created, DocumentInfo, DocumentStore, EngineError, Epoch, Head, Inboxes, Inspect,
    Listed, LocalStore, Seq, StoreError, Stored, Swept, Tail,
};
use quire_sync_protocol::wire::frame;
use quire_sync_protocol::{Access, DocId, Limits, Message, Replica, RoomConfig, SessionSetup, Update};

use super::*;

/// Long enough for anything that is not stuck.
const PATIENCE: Duration = Duration::from_mins(1);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Waits until something that nothing announces has become true.
async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn doc(name: &str) -> DocId {
    DocId::new(name).unwrap()
}

/// Documents leave memory as soon as they may.
fn eager() -> DirectoryConfig {
    DirectoryConfig { idle_unload: Duration::ZERO, ..DirectoryConfig::default() }
}

/// What client `client` types into the root text "t": `text` as its insertions from clock `clock` on, after the one before.
fn typed(client: u8, clock: usize, text: &str) -> Update {
    typed_after(client, clock, clock.saturating_sub(1), text)
}

/// The same, but after its insertion `origin` (at clock 0 there is none). Written by hand after the description of the v1
/// format: one client, one struct, no deletes.
fn typed_after(client: u8, clock: usize, origin: usize, text: &str) -> Update {
    let mut bytes = vec![1, 1, client];
    write_number(&mut bytes, clock);
    if clock == 0 {
        // A string whose parent is a root, named "t".
        bytes.extend([4, 1, 1, b't']);
    } else {
        // A string with an origin.
        bytes.extend([0x84, client]);
        write_number(&mut bytes, origin);
    }
    write_number(&mut bytes, text.len());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    Update::parse(bytes.into()).unwrap()
}

fn write_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push(0x80 | u8::try_from(number & 0x7f).unwrap());
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
}

/// A store in memory whose calls can be held and made to fail.
#[derive(Debug)]
struct GatedStore {
    inner: LocalStore<MemoryEngine>,
    gates: Mutex<Gates>,
    changed: Condvar,
    loads: AtomicUsize,
    /// Lists that have been given.
    lists: AtomicUsize,
}

#[derive(Debug, Default)]
struct Gates {
    held_loads: HashSet<DocId>,
    hold_appends: bool,
    /// Loads of these fail.
    unreadable: HashSet<DocId>,
    /// Appends to these fail, with their names in the error.
    unwritable: HashSet<DocId>,
}

impl GatedStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: LocalStore::open(MemoryEngine::new()).unwrap(),
            gates: Mutex::default(),
            changed: Condvar::new(),
            loads: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
        })
    }

    fn set(&self, change: impl FnOnce(&mut Gates)) {
        change(&mut self.gates.lock().unwrap());
        self.changed.notify_all();
    }

    fn pass(&self, held: impl Fn(&Gates) -> bool) -> std::sync::MutexGuard<'_, Gates> {
        self.changed.wait_while(self.gates.lock().unwrap(), |gates| held(gates)).unwrap()
    }

    /// What is stored of a document.
    fn replica(&self, doc: &DocId) -> Replica {
        let mut replica = Replica::new();
        let stored = self.inner.load(doc).unwrap().expect("the document is stored");
        for update in stored.snapshot.into_iter().chain(stored.updates) {
            replica.insert(&Update::parse(update).unwrap());
        }
        replica
    }

    /// Puts updates into the store, as a former process would have.
    fn seed(&self, doc: &DocId, updates: &[Bytes]) {
        let epoch = Epoch::FIRST;
        let appends: Vec<_> =
            updates.iter().map(|update| Append { doc: doc.clone(), epoch, update: update.clone() }).collect();
        self.inner.append(&appends).unwrap();
    }
}

fn planned(doc: &DocId) -> StoreError {
    let message = format!("planned for {doc}");
    StoreError::Engine(EngineError::Failed { engine: "gated", operation: "work", message })
}

impl DocumentStore for GatedStore {
    fn load(&self, doc: &DocId) -> Result<Option<Stored>, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let gates = self.pass(|gates| gates.held_loads.contains(doc));
        if gates.unreadable.contains(doc) {
            return Err(planned(doc));
        }
        drop(gates);
        self.inner.load(doc)
    }

    fn tail(&self, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, StoreError> {
        self.inner.tail(doc, epoch, after)
    }

    fn heads(&self, docs: &[DocId]) -> Result<Vec<Result<Option<Head>, StoreError>>, StoreError> {
        self.inner.heads(docs)
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Seq>, StoreError> {
        let gates = self.pass(|gates| gates.hold_appends);
        if let Some(append) = batch.iter().find(|append| gates.unwritable.contains(&append.doc)) {
            return Err(StoreError::NotFound { doc: append.doc.clone() });
        }
        drop(gates);
        self.inner.append(batch)
    }

    fn compact(&self, doc: &DocId) -> Result<Compacted, StoreError> {
        self.inner.compact(doc)
    }

    fn create(&self, doc: &DocId) -> Result<Created, StoreError> {
        self.inner.create(doc)
    }

    fn delete(&self, doc: &DocId, now: SystemTime) -> Result<(), StoreError> {
        self.inner.delete(doc, now)
    }

    fn sweep(&self, now: SystemTime) -> Result<Swept, StoreError> {
        self.inner.sweep(now)
    }

    fn info(&self, doc: &DocId) -> Result<Option<DocumentInfo>, StoreError> {
        self.inner.info(doc)
    }

    fn list(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let listed = self.inner.list(after, limit);
        self.lists.fetch_add(1, Ordering::SeqCst);
        listed
    }

    fn inspect(&self) -> &dyn Inspect {
        self.inner.inspect()
    }

    fn inboxes(&self) -> &dyn Inboxes {
        self.inner.inboxes()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }
}

/// An editor: what it has, and the messages it was sent.
#[derive(Debug)]
struct Editor {
    seat: Seat,
    replica: Replica,
    /// Whether its question was answered.
    synced: bool,
    /// Updates it was sent.
    updates: Vec<Update>,
}

impl Editor {
    async fn join(directory: &Directory, name: &str) -> Self {
        let handle = within(directory.open(&doc(name))).await.unwrap();
        Self::join_by(&handle).await
    }

    async fn join_by(handle: &DocHandle) -> Self {
        Self::return_by(handle, Replica::new()).await
    }

    /// Joins with content from before.
    async fn return_by(handle: &DocHandle, replica: Replica) -> Self {
        let setup = SessionSetup::anonymous(Access::Write);
        let seat = within(handle.join(setup)).await.unwrap();
        let mut editor = Self { seat, replica, synced: false, updates: Vec::new() };
        editor.send(Message::SyncStep1(editor.replica.state_vector())).await;
        editor
    }

    async fn send(&mut self, message: Message) {
        within(self.seat.deliver(vec![message])).await.unwrap();
    }

    async fn edit(&mut self, update: Update) {
        self.replica.insert(&update);
        self.send(Message::Update(update)).await;
    }

    /// Takes frames, as `next` gives them, and answers. `Some` when the connection is to be closed.
    async fn step(&mut self) -> Option<CloseReason> {
        let frames = match within(self.seat.next()).await {
            Outgoing::Frames(frames) => frames,
            Outgoing::Close(reason) => return Some(reason),
        };
        for frame in frames {
            for message in frame::decode(&frame, &Limits::default()).unwrap() {
                match message {
                    Message::SyncStep1(known) => {
                        let answer = self.replica.diff(&known);
                        // A session that is being closed answers in vain.
                        let _ = self.seat.deliver(vec![Message::SyncStep2(answer)]).await;
                    }
                    Message::SyncStep2(update) => {
                        self.synced = true;
                        self.replica.insert(&update);
                    }
                    Message::Update(update) => {
                        self.replica.insert(&update);
                        self.updates.push(update);
                    }
                    Message::Awareness(_)
                    | Message::QueryAwareness
                    | Message::Denied(_)
                    | Message::SyncStatus { .. }
                    | Message::Version(_)
                    | Message::Storing(_)
                    | Message::Stateless(_) => {}
                }
            }
        }
        self.seat.drained();
        None
    }

    /// Goes on until this holds.
    async fn until(&mut self, condition: impl Fn(&Self) -> bool) {
        while !condition(self) {
            assert_eq!(self.step().await, None);
        }
    }

    async fn until_synced(&mut self) {
        self.until(|editor| editor.synced).await;
    }

    /// Goes on until it holds all of these.
    async fn until_it_has(&mut self, updates: &[Update]) {
        self.until(|editor| updates.iter().all(|update| !editor.replica.lacks(update))).await;
    }

    /// Goes on until this edit of its own has come back.
    async fn until_confirmed(&mut self, update: &Update) {
        self.until(|editor| editor.updates.contains(update)).await;
    }

    async fn until_closed(&mut self) -> CloseReason {
        loop {
            if let Some(reason) = self.step().await {
                return reason;
            }
        }
    }
}
