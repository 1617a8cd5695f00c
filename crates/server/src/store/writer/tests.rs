use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use bytes::Bytes;
use quire_persistence::engines::MemoryEngine;
use quire_persistence::engines::faulty::{FaultDuration, FaultEffect, FaultPlan, FaultyEngine};
use quire_persistence::{
    Compacted, Created, DocumentInfo, Epoch, Head, Inboxes, Inspect, Listed, LocalStore, StoreError, Stored,
    Swept, Tail,
};

use super::*;

const PATIENCE: Duration = Duration::from_mins(1);

fn doc(name: &str) -> DocId {
    DocId::new(name).unwrap()
}

/// The store does not look inside, so anything will do.
fn update(n: u64) -> Bytes {
    Bytes::copy_from_slice(&n.to_be_bytes())
}

/// A log whose acknowledgements can be received.
fn log(writer: &Writer, name: &str) -> (DocumentLog, mpsc::Receiver<Durable>) {
    let (send, receive) = mpsc::channel();
    let log = writer.log(doc(name), 0, move |written| {
        match written {
            // A test may have ended.
            Written::Durable(durable) => drop(send.send(durable)),
            Written::Failed => {}
            Written::Outdated(epoch) => panic!("nothing here is outdated: {epoch}"),
        }
    });
    (log, receive)
}

fn push(log: &DocumentLog, n: u64) {
    log.push(Ticket(n), Epoch::FIRST, update(n));
}

fn await_ticket(acknowledged: &mpsc::Receiver<Durable>, ticket: u64) -> Vec<Durable> {
    let mut all = Vec::new();
    while all.last().is_none_or(|last: &Durable| last.ticket < Ticket(ticket)) {
        all.push(acknowledged.recv_timeout(PATIENCE).expect("it is acknowledged in time"));
    }
    all
}

fn start(store: Arc<dyn DocumentStore>, faults: StoreFaults) -> (Writer, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    (Writer::start(store, faults, Arc::clone(&counters), Duration::ZERO, &[]).unwrap(), counters)
}

#[test]
fn what_waits_shares_a_commit_and_is_acknowledged_in_order() {
    let store = Arc::new(LocalStore::open(MemoryEngine::new()).unwrap());
    let faults = StoreFaults { delay: Duration::from_millis(20), ..StoreFaults::default() };
    let (writer, counters) = start(store.clone(), faults);
    let (logs, acknowledged): (Vec<_>, Vec<_>) =
        ["a", "b", "c"].map(|name| log(&writer, name)).into_iter().unzip();
    for n in 1..=1000 {
        for log in &logs {
            push(log, n);
        }
    }
    for acknowledged in &acknowledged {
        let all = await_ticket(acknowledged, 1000);
        assert!(all.is_sorted_by_key(|durable| durable.ticket));
        // Nothing failed, so each update was stored once, at the place of its number.
        assert!(all.iter().all(|durable| durable.seq.0 == durable.ticket.0));
    }
    for name in ["a", "b", "c"] {
        let stored = store.load(&doc(name)).unwrap().unwrap();
        assert_eq!(stored.updates, (1..=1000).map(update).collect::<Vec<_>>());
    }
    assert_eq!(counters.appends.load(Ordering::Relaxed), 3000);
    let commits = counters.commits.load(Ordering::Relaxed);
    assert!(commits < 100, "{commits} commits");
    assert_eq!(
        (writer.unsaved_documents(), logs[0].unsaved_bytes(), logs[0].unsaved_bytes_of_all()),
        (0, 0, 0)
    );
}

/// Wherever the engine fails, everything gets into the store, in order, and is acknowledged only then.
#[test]
fn a_commit_that_fails_is_repeated() {
    for effect in [FaultEffect::Refused, FaultEffect::CarriedOut] {
        for at in 1..12 {
            let memory = MemoryEngine::new();
            LocalStore::open(memory.clone()).unwrap();
            let engine = FaultyEngine::new(memory, FaultPlan { at, effect, duration: FaultDuration::Once });
            let store = Arc::new(LocalStore::open(engine).unwrap());
            let (writer, _) = start(store.clone(), StoreFaults::default());
            let (log, acknowledged) = log(&writer, "a");
            for n in 1..=20 {
                push(&log, n);
                if n % 5 == 0 {
                    await_ticket(&acknowledged, n);
                    let stored = store.load(&doc("a"));
                    // The planned fault may strike here as well.
                    if let Ok(stored) = stored {
                        assert!(stored.unwrap().updates.contains(&update(n)), "{effect:?} at {at}");
                    }
                }
            }
            assert!(store.engine().operations() > at, "the fault was not reached");
            let mut stored = store.load(&doc("a")).unwrap().unwrap().updates;
            // What was carried out and reported as failed is there twice, which does no harm.
            stored.dedup();
            let mut first = std::collections::BTreeSet::new();
            stored.retain(|update| first.insert(update.clone()));
            assert_eq!(stored, (1..=20).map(update).collect::<Vec<_>>(), "{effect:?} at {at}");
        }
    }
}

/// Panics, as an engine with an error of its own may.
#[derive(Debug)]
struct PanickingStore {
    inner: LocalStore<MemoryEngine>,
    panics: AtomicBool,
}

impl DocumentStore for PanickingStore {
    fn load(&self, doc: &DocId) -> Result<Option<Stored>, StoreError> {
        self.inner.load(doc)
    }
    fn tail(&self, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, StoreError> {
        self.inner.tail(doc, epoch, after)
    }

    fn heads(&self, docs: &[DocId]) -> Result<Vec<Result<Option<Head>, StoreError>>, StoreError> {
        self.inner.heads(docs)
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Seq>, StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "an engine's error");
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
        self.inner.list(after, limit)
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

#[test]
fn an_engine_that_panics_is_one_that_fails() {
    let inner = LocalStore::open(MemoryEngine::new()).unwrap();
    let store = Arc::new(PanickingStore { inner, panics: AtomicBool::new(true) });
    let (writer, counters) = start(store.clone(), StoreFaults::default());
    let (log, acknowledged) = log(&writer, "a");
    push(&log, 1);
    while counters.store_failures.load(Ordering::Relaxed) < 2 {
        thread::yield_now();
    }
    assert!(matches!(writer.status(), StoreStatus::Failing { documents: 1, .. }));
    store.panics.store(false, Ordering::SeqCst);
    await_ticket(&acknowledged, 1);
}

#[test]
fn a_commit_that_hangs_is_reported() {
    let mut state = State::new(Duration::ZERO);
    let began = SystemTime::now();
    assert_eq!(state.status(began + 2 * STALLED), StoreStatus::Healthy);
    state.commit_began = Some(began);
    assert_eq!(state.status(began + STALLED), StoreStatus::Healthy);
    assert_eq!(state.status(began - STALLED), StoreStatus::Healthy);
    let later = began + 2 * STALLED;
    assert!(matches!(state.status(later), StoreStatus::Failing { since, .. } if since == began));
}

/// With a pace of which the test would not see the end.
#[tokio::test]
async fn a_commit_waits_for_its_time_unless_somebody_waits_for_it() {
    let store = Arc::new(LocalStore::open(MemoryEngine::new()).unwrap());
    let counters = Arc::<Counters>::default();
    let pace = Duration::from_hours(1);
    let writer =
        Writer::start(store.clone(), StoreFaults::default(), Arc::clone(&counters), pace, &[]).unwrap();
    let (one, one_stored) = log(&writer, "one");
    let (other, other_stored) = log(&writer, "other");
    // The first after a rest is written at once; the others wait for each other and for whoever hurries.
    push(&one, 1);
    await_ticket(&one_stored, 1);
    push(&one, 2);
    push(&other, 1);
    push(&one, 3);
    assert_eq!(counters.commits.load(Ordering::Relaxed), 1);
    other.hurry();
    await_ticket(&one_stored, 3);
    await_ticket(&other_stored, 1);
    assert_eq!(counters.commits.load(Ordering::Relaxed), 2);
    // Nothing of it waits: this hurries nobody.
    other.hurry();
    push(&one, 4);
    assert_eq!((writer.unsaved_documents(), counters.commits.load(Ordering::Relaxed)), (1, 2));
    tokio::time::timeout(PATIENCE, writer.stop()).await.unwrap();
    await_ticket(&one_stored, 4);
    assert_eq!(counters.commits.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn stopping_writes_what_waits() {
    let store = Arc::new(LocalStore::open(MemoryEngine::new()).unwrap());
    let faults = StoreFaults { delay: Duration::from_millis(20), ..StoreFaults::default() };
    let (writer, _) = start(store.clone(), faults);
    let (log, _acknowledged) = log(&writer, "a");
    for n in 1..=100 {
        push(&log, n);
    }
    drop(log);
    tokio::time::timeout(PATIENCE, writer.stop()).await.unwrap();
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().updates.len(), 100);
}

#[test]
fn updates_of_a_history_that_is_no_more_are_let_go_of_and_hold_up_nobody() {
    let store = Arc::new(LocalStore::open(MemoryEngine::new()).unwrap());
    let (writer, counters) = start(store, StoreFaults::default());
    let (report, reported) = mpsc::channel();
    let moved_on = writer.log(doc("moved on"), 0, move |written| {
        // A test may have ended.
        let _ = report.send(written);
    });
    let (other, acknowledged) = log(&writer, "other");
    for n in 1..=3 {
        moved_on.push(Ticket(n), Epoch(7), update(n));
        push(&other, n);
    }
    await_ticket(&acknowledged, 3);
    // All of them, be it in one commit or several.
    while moved_on.unsaved_bytes() > 0 {
        assert_eq!(reported.recv_timeout(PATIENCE).unwrap(), Written::Outdated(Epoch(7)));
    }
    assert_eq!(writer.status(), StoreStatus::Healthy);
    assert_eq!(counters.store_failures.load(Ordering::Relaxed), 0);
    // What is made for the present one is stored.
    moved_on.push(Ticket(1), Epoch::FIRST, update(1));
    loop {
        match reported.recv_timeout(PATIENCE).unwrap() {
            Written::Outdated(epoch) => assert_eq!(epoch, Epoch(7)),
            Written::Durable(durable) => break assert_eq!(durable.seq, Seq(1)),
            Written::Failed => panic!("nothing here fails"),
        }
    }
    assert_eq!((writer.unsaved_documents(), writer.unsaved_bytes()), (0, 0));
}
