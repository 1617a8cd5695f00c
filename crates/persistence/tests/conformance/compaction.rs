//! Compaction: the document stays what it is, and the space comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, KeyRange};
use quire_persistence::{Compacted, DocumentStore, Seq, StoreError};

use crate::homes::{Home, Place};
use crate::updates::{CHAIN, HISTORIES, append, append_each, bytes, doc, replica, typed, united};

/// All keys of log and snapshots.
fn content_keys(engine: &impl Engine) -> Vec<Bytes> {
    engine.keys(&KeyRange { from: vec![1, 3], to: vec![1, 5] }, usize::MAX).unwrap()
}

pub(crate) fn a_compacted_document_equals_its_updates(home: &impl Place) {
    let store = home.open();
    for (number, history) in HISTORIES.iter().enumerate() {
        let name = format!("history-{number}");
        let updates: Vec<Bytes> = history.iter().map(|update| bytes(update)).collect();
        let (first, last) = updates.split_at(updates.len() / 2);
        append_each(&store, &name, first);
        store.compact(&doc(&name)).unwrap();
        let stored = store.load(&doc(&name)).unwrap().unwrap();
        assert_eq!((stored.seq, stored.updates.len()), (Seq(first.len() as u64), 0));
        assert_eq!(replica(&stored), united(first));

        // The log goes on behind the snapshot, and the next compaction takes both.
        append_each(&store, &name, last);
        let stored = store.load(&doc(&name)).unwrap().unwrap();
        assert_eq!(stored.updates, last);
        assert_eq!(replica(&stored), united(&updates));
        let compacted = store.compact(&doc(&name)).unwrap();
        assert_eq!((compacted.seq, compacted.updates), (Seq(updates.len() as u64), last.len() as u64));
    }
    drop(store);

    let store = home.open();
    for (number, history) in HISTORIES.iter().enumerate() {
        let name = format!("history-{number}");
        let stored = store.load(&doc(&name)).unwrap().unwrap();
        assert!(stored.updates.is_empty());
        assert_eq!(replica(&stored), united(&history.iter().map(|update| bytes(update)).collect::<Vec<_>>()));
    }
}

pub(crate) fn gaps_survive_compaction(home: &impl Place) {
    let store = home.open();
    let whole = united(&CHAIN.map(bytes));
    for (number, order) in [[4, 3, 2, 1, 0], [2, 0, 1, 3, 4], [3, 4, 0, 2, 1]].into_iter().enumerate() {
        let name = format!("order-{number}");
        for (step, update) in order.into_iter().enumerate() {
            append_each(&store, &name, &[bytes(CHAIN[update])]);
            store.compact(&doc(&name)).unwrap();
            let so_far: Vec<Bytes> = order[..=step].iter().map(|update| bytes(CHAIN[*update])).collect();
            assert_eq!(
                replica(&store.load(&doc(&name)).unwrap().unwrap()),
                united(&so_far),
                "{order:?} {step}"
            );
        }
        assert_eq!(replica(&store.load(&doc(&name)).unwrap().unwrap()), whole);
    }
}

pub(crate) fn only_what_the_catalog_speaks_of_stays(home: &impl Home) {
    let store = home.store();
    append_each(&store, "other", &[typed(9, 0, "other")]);
    let updates: Vec<Bytes> = (0..10).map(|clock| typed(1, clock, "x")).collect();
    let covered: u64 = updates.iter().map(|update| update.len() as u64).sum();
    append_each(&store, "a", &updates);
    let compacted = store.compact(&doc("a")).unwrap();
    let size = compacted.bytes_after;
    assert_eq!(compacted, Compacted { seq: Seq(10), updates: 10, bytes_before: covered, bytes_after: size });
    assert!(size < covered);
    assert_eq!(content_keys(store.engine()).len(), 2);
    let info = store.info(&doc("a")).unwrap().unwrap();
    assert_eq!((info.snapshot_seq, info.snapshot_bytes, info.log_len, info.log_bytes), (Seq(10), size, 0, 0));

    // With an empty log there is nothing to do.
    let again = store.compact(&doc("a")).unwrap();
    assert_eq!(again, Compacted { seq: Seq(10), updates: 0, bytes_before: size, bytes_after: size });

    // What broken-off compactions leave behind: an old snapshot, and more chunks of the next one than it will have.
    let snapshot = &content_keys(store.engine())[1];
    let mut left = Batch::new();
    for (generation, chunk) in [(0, 0), (2, 0), (2, 1), (2, 7), (3, 0)] {
        let mut key = snapshot.to_vec();
        key[17] = generation;
        key[21] = chunk;
        left.put(key.into(), "left".into());
    }
    store.engine().commit(left).unwrap();
    assert_eq!(replica(&store.load(&doc("a")).unwrap().unwrap()), united(&updates));
    append_each(&store, "a", &[typed(1, 10, "y")]);
    assert_eq!(store.compact(&doc("a")).unwrap().updates, 1);
    assert_eq!(content_keys(store.engine()).len(), 2);
    assert_eq!(store.load(&doc("other")).unwrap().unwrap().updates, [typed(9, 0, "other")]);
}

pub(crate) fn a_large_snapshot_comes_back(home: &impl Place) {
    // Several batches of chunks, and several pages when it is read.
    const PIECE: usize = 1_000_000;
    let store = home.open();
    let text = "0123456789".repeat(PIECE / 10);
    let updates: Vec<Bytes> = (0..9).map(|number| typed(1, (number * PIECE) as u64, &text)).collect();
    append_each(&store, "large", &updates);
    let compacted = store.compact(&doc("large")).unwrap();
    assert!(compacted.bytes_after >= 9 * PIECE as u64);
    drop(store);

    let stored = home.open().load(&doc("large")).unwrap().unwrap();
    assert_eq!(stored.snapshot.as_ref().unwrap().len() as u64, compacted.bytes_after);
    assert!(replica(&stored) == united(&updates));
}

pub(crate) fn what_is_no_update_stops_compaction_only(home: &impl Place) {
    let store = home.open();
    append_each(&store, "a", &[typed(1, 0, "x"), Bytes::from_static(b"\xff\xff"), typed(1, 1, "y")]);
    let before = (home.content_records(&store), store.load(&doc("a")).unwrap());
    let error = store.compact(&doc("a")).unwrap_err();
    assert!(
        matches!(&error, StoreError::NotAnUpdate { doc: d, seq: Seq(2), .. } if *d == doc("a")),
        "{error}"
    );
    assert_eq!((home.content_records(&store), store.load(&doc("a")).unwrap()), before);
    assert_eq!(append_each(&store, "a", &[typed(1, 2, "z")]), Seq(4));
}

pub(crate) fn appends_and_loads_go_on_meanwhile(home: &impl Place) {
    const APPENDS: u64 = 150;
    let store = home.open();
    append_each(&store, "a", &[typed(1, 0, "x")]);
    let (done, compacted) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let compactor = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                if store.compact(&doc("a")).unwrap().updates > 0 {
                    compacted.store(true, Ordering::Release);
                }
            }
        });
        let reader = scope.spawn(|| {
            let mut last = Seq(0);
            while !done.load(Ordering::Acquire) {
                last = expect_prefix(&store, last);
            }
        });
        let writer = scope.spawn(|| {
            for clock in 1..APPENDS {
                let seqs = store.append(&[append("a", typed(1, clock, "x")), append("b", "b")]).unwrap();
                assert_eq!(seqs, [Seq(clock + 1), Seq(clock)]);
                // However busy the machine is, half of them are written behind a compaction.
                let deadline = Instant::now() + Duration::from_secs(20);
                while clock == APPENDS / 2 && !compacted.load(Ordering::Acquire) {
                    assert!(Instant::now() < deadline, "nothing was compacted");
                    thread::yield_now();
                }
            }
        });
        // Whatever becomes of the writer, the other two end.
        let written = writer.join();
        done.store(true, Ordering::Release);
        written.unwrap();
        reader.join().unwrap();
        compactor.join().unwrap();
    });
    assert_eq!(expect_prefix(&store, Seq(0)), Seq(APPENDS));
    drop(store);

    let store = home.open();
    assert_eq!(expect_prefix(&store, Seq(0)), Seq(APPENDS));
    let info = store.info(&doc("a")).unwrap().unwrap();
    let stored = store.load(&doc("a")).unwrap().unwrap();
    assert_eq!(info.log_len, stored.updates.len() as u64);
    assert_eq!(info.log_bytes, stored.updates.iter().map(|update| update.len() as u64).sum::<u64>());
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().updates.len() as u64, APPENDS - 1);
}

/// The document consists of exactly its first updates, at least as many as before; says how many.
fn expect_prefix(store: &impl DocumentStore, before: Seq) -> Seq {
    let stored = store.load(&doc("a")).unwrap().unwrap();
    assert!(stored.seq >= before);
    let updates: Vec<Bytes> = (0..stored.seq.0).map(|clock| typed(1, clock, "x")).collect();
    assert_eq!(replica(&stored), united(&updates));
    stored.seq
}
