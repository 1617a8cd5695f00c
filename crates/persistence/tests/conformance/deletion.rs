//! Deleting documents and making them anew: what is gone is gone, and what comes back is known.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, KeyRange};
use quire_persistence::engines::faulty::{FaultDuration, FaultEffect, FaultPlan};
use quire_persistence::engines::{FaultyEngine, MemoryEngine};
use quire_persistence::{Append, Created, DocumentStore, Epoch, LocalStore, Seq, StoreError, Swept};
use quire_sync_protocol::{ClientId, StateVector};

use crate::homes::{Home, Place};
use crate::updates::{CHAIN, append, append_each, bytes, doc, typed};

const DAY: Duration = Duration::from_hours(24);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

fn keys(engine: &impl Engine, space: u8) -> Vec<Bytes> {
    engine.keys(&KeyRange { from: vec![1, space], to: vec![1, space + 1] }, usize::MAX).unwrap()
}

/// How many keys there are of log, snapshots and names: of a document that has left nothing, none.
fn content_keys(engine: &impl Engine) -> usize {
    [2, 3, 4].map(|space| keys(engine, space).len()).iter().sum()
}

fn clients(entries: &[(u64, u64)]) -> StateVector {
    entries.iter().map(|(client, clock)| (ClientId::new(*client).unwrap(), *clock)).collect()
}

fn is_deleted<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Deleted { doc: named }) if *named == doc("a"))
}

pub(crate) fn a_deleted_document_leaves_a_tombstone_and_nothing_else<P: Place>(home: &P) {
    let store = home.open();
    let chunk = P::chunk_bytes(&store);
    append_each(&store, "a", &CHAIN.map(bytes));
    store.compact(&doc("a")).unwrap();
    append_each(&store, "a", &[typed(9, 0, &"x".repeat(2 * chunk)), "no update".into()]);
    append_each(&store, "b", &["b".into()]);
    store.delete(&doc("a"), now()).unwrap();
    assert!(is_deleted(&store.load(&doc("a"))));
    assert_eq!(store.info(&doc("a")).unwrap(), None);
    assert_eq!(store.list(None, 10).unwrap().len(), 1);
    assert!(is_deleted(&store.append(&[append("a", "late")])));
    assert!(is_deleted(&store.delete(&doc("a"), now())));
    // The name and the one update of `b`.
    assert_eq!(home.content_records(&store), 2);
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().updates, ["b"]);
    drop(store);
    assert!(is_deleted(&home.open().load(&doc("a"))));
}

pub(crate) fn a_document_made_anew_knows_who_wrote_in_the_dead_one(home: &impl Place) {
    let store = home.open();
    append_each(&store, "a", &CHAIN.map(bytes));
    assert_eq!(store.create(&doc("a")).unwrap(), Created { epoch: Epoch(1), is_new: false });
    store.delete(&doc("a"), now()).unwrap();
    assert_eq!(store.create(&doc("a")).unwrap(), Created { epoch: Epoch(2), is_new: true });
    assert_eq!(store.create(&doc("a")).unwrap(), Created { epoch: Epoch(2), is_new: false });
    let stored = store.load(&doc("a")).unwrap().unwrap();
    assert_eq!((stored.epoch, stored.seq, stored.updates.len()), (Epoch(2), Seq(0), 0));
    assert_eq!(stored.dead, clients(&[(1, 3), (2, 1)]));
    // An append of the dead one comes too late, and is not taken for one of the new.
    let stale = store.append(&[append("a", typed(3, 0, "stale"))]).unwrap_err();
    assert!(matches!(stale, StoreError::StaleEpoch { stored: Epoch(2), given: Epoch(1), .. }), "{stale}");
    let fresh = Append { epoch: Epoch(2), ..append("a", typed(3, 0, "fresh")) };
    assert_eq!(store.append(&[fresh]).unwrap(), [Seq(1)]);
    // The second death adds to the first.
    store.delete(&doc("a"), now()).unwrap();
    assert_eq!(store.create(&doc("a")).unwrap().epoch, Epoch(3));
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().dead, clients(&[(1, 3), (2, 1), (3, 5)]));
}

pub(crate) fn a_number_that_is_given_again_is_nobody_elses(home: &impl Place) {
    let store = home.open();
    append_each(&store, "a", &["a".into()]);
    store.delete(&doc("a"), now()).unwrap();
    // It gets the number that `a` had.
    append_each(&store, "b", &["b".into()]);
    store.create(&doc("a")).unwrap();
    store.delete(&doc("a"), now()).unwrap();
    store.sweep(now() + 31 * DAY).unwrap();
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().updates, ["b"]);
    assert_eq!(home.content_records(&store), 2);
}

pub(crate) fn what_is_not_there_cannot_be_deleted(home: &impl Place) {
    let store = home.open();
    let error = store.delete(&doc("a"), now()).unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    assert!(store.inspect().graves(None, 1).unwrap().is_empty());
    assert_eq!(store.create(&doc("a")).unwrap(), Created { epoch: Epoch::FIRST, is_new: true });
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(0));
    assert_eq!(store.append(&[append("a", "1")]).unwrap(), [Seq(1)]);
}

pub(crate) fn a_tombstone_stands_for_thirty_days(home: &impl Place) {
    let store = home.open();
    append_each(&store, "a", &CHAIN.map(bytes));
    append_each(&store, "b", &["1".into()]);
    store.delete(&doc("a"), now()).unwrap();
    store.delete(&doc("b"), now() + DAY).unwrap();
    assert_eq!(store.sweep(now() + 30 * DAY - Duration::from_secs(1)).unwrap(), Swept::default());
    assert!(is_deleted(&store.load(&doc("a"))));
    assert_eq!(store.sweep(now() + 30 * DAY).unwrap(), Swept { purged: 0, expired: 1 });
    assert_eq!(store.load(&doc("a")).unwrap(), None);
    assert!(store.load(&doc("b")).is_err());
    assert_eq!(store.append(&[append("a", "1")]).unwrap(), [Seq(1)]);
}

/// A deletion that dies after each of its steps: whatever is left, the document is whole or deleted, and a sweep or the document
/// made anew takes what is left away.
#[test]
fn an_interrupted_deletion_is_ended_later() {
    for ends_by_sweep in [true, false] {
        // The first operation opens the store.
        let mut steps = 1;
        loop {
            let engine = MemoryEngine::new();
            let store = LocalStore::open(engine.clone()).unwrap();
            append_each(&store, "a", &CHAIN.map(bytes));
            store.compact(&doc("a")).unwrap();
            append_each(&store, "a", &[typed(9, 0, "more")]);
            let plan =
                FaultPlan { at: steps, effect: FaultEffect::Refused, duration: FaultDuration::Forever };
            let faulty = FaultyEngine::new(engine.clone(), plan);
            let dying = LocalStore::open(faulty).unwrap();
            let told = dying.delete(&doc("a"), now());
            let all_was_done = dying.engine().operations() <= steps;
            // Another document may come in between, and must not be taken for the dead one.
            append_each(&store, "b", &["b".into()]);
            if is_deleted(&store.load(&doc("a"))) {
                if ends_by_sweep {
                    store.sweep(now()).unwrap();
                } else {
                    assert_eq!(store.create(&doc("a")).unwrap().epoch, Epoch(2));
                    assert_eq!(store.load(&doc("a")).unwrap().unwrap().updates.len(), 0);
                }
                assert_eq!(content_keys(&engine), if ends_by_sweep { 2 } else { 3 }, "after step {steps}");
                assert_eq!(store.sweep(now()).unwrap(), Swept::default());
            } else {
                assert!(told.is_err());
                assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(6));
            }
            assert_eq!(store.load(&doc("b")).unwrap().unwrap().updates, ["b"]);
            if all_was_done {
                break;
            }
            steps += 1;
        }
        assert!(steps > 8);
    }
}

pub(crate) fn a_damaged_document_can_be_deleted(home: &impl Home) {
    let store = home.store();
    append_each(&store, "a", &[typed(1, 0, "sound"), typed(2, 0, "damaged")]);
    append_each(&store, "b", &[typed(5, 0, "x")]);
    let damage = |key: &Bytes| {
        let mut batch = Batch::new();
        batch.put(key.clone(), "nonsense!!".into());
        store.engine().commit(batch).unwrap();
    };
    damage(&keys(store.engine(), 3)[1]);
    assert!(matches!(store.load(&doc("a")), Err(StoreError::Damaged { .. })));
    store.delete(&doc("a"), now()).unwrap();
    store.create(&doc("a")).unwrap();
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().dead, clients(&[(1, 5)]));
    // Without the catalog entry, the name tells the number.
    damage(&keys(store.engine(), 1)[1]);
    store.delete(&doc("b"), now()).unwrap();
    assert_eq!(store.create(&doc("b")).unwrap().epoch, Epoch(2));
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().dead, clients(&[(5, 1)]));
    // The names of the two.
    assert_eq!(content_keys(store.engine()), 2);
}

pub(crate) fn a_damaged_tombstone_costs_its_own_document(home: &impl Home) {
    let store = home.store();
    append_each(&store, "a", &CHAIN.map(bytes));
    append_each(&store, "b", &["1".into()]);
    store.delete(&doc("a"), now()).unwrap();
    let key = keys(store.engine(), 7)[0].clone();
    let mut batch = Batch::new();
    batch.put(key, "nonsense!!".into());
    store.engine().commit(batch).unwrap();
    for error in [
        store.load(&doc("a")).unwrap_err(),
        store.append(&[append("b", "2"), append("a", "1")]).unwrap_err(),
        store.create(&doc("a")).unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::Damaged { doc: named, .. } if *named == doc("a")), "{error}");
    }
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().seq, Seq(1));
    assert_eq!(store.sweep(now() + 99 * DAY).unwrap(), Swept::default());
}
