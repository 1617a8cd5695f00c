//! What nodes that share a store ask it: what came after what they have, and how far documents are.

use std::time::SystemTime;

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, KeyRange};
use quire_persistence::{Append, DocumentStore, Epoch, Head, Seq, StoreError, Tail};

use crate::homes::{Home, Place};
use crate::updates::{CHAIN, append, append_each, bytes, doc, replica, typed, united};

pub(crate) fn a_tail_continues_what_is_known(home: &impl Place) {
    let store = home.open();
    let updates: Vec<Bytes> = (0..12).map(|clock| typed(1, clock, "x")).collect();
    for (compact_at, name) in [(0, "log"), (5, "both"), (12, "snapshot")] {
        let (first, last) = updates.split_at(compact_at);
        append_each(&store, name, first);
        if compact_at > 0 {
            store.compact(&doc(name)).unwrap();
        }
        append_each(&store, name, last);
        let stored = store.load(&doc(name)).unwrap().unwrap();
        for after in 0..=updates.len() {
            let tail = store.tail(&doc(name), Epoch::FIRST, Seq(after as u64)).unwrap();
            assert_eq!(tail.seq, Seq(12));
            if after >= compact_at {
                assert_eq!(tail.parts, updates[after..], "{name} after {after}");
            } else {
                assert_eq!(tail.parts.len(), 1 + last.len(), "{name} after {after}");
                assert_eq!(Some(&tail.parts[0]), stored.snapshot.as_ref());
            }
            assert_eq!(united(updates[..after].iter().chain(&tail.parts)), replica(&stored));
        }
        for beyond in [13, u64::MAX] {
            let end = Tail { seq: Seq(12), parts: Vec::new() };
            assert_eq!(store.tail(&doc(name), Epoch::FIRST, Seq(beyond)).unwrap(), end);
        }
    }
}

pub(crate) fn a_tail_of_another_history_is_refused(home: &impl Place) {
    let store = home.open();
    let tail = |epoch| store.tail(&doc("a"), Epoch(epoch), Seq(0));
    assert!(matches!(tail(1), Err(StoreError::NotFound { doc: d }) if d == doc("a")));
    append_each(&store, "a", &CHAIN.map(bytes));
    assert!(matches!(tail(2), Err(StoreError::StaleEpoch { stored: Epoch(1), given: Epoch(2), .. })));
    store.delete(&doc("a"), SystemTime::now()).unwrap();
    assert!(matches!(tail(1), Err(StoreError::Deleted { doc: d }) if d == doc("a")));
    store.create(&doc("a")).unwrap();
    assert!(matches!(tail(1), Err(StoreError::StaleEpoch { stored: Epoch(2), given: Epoch(1), .. })));
    assert_eq!(tail(2).unwrap(), Tail { seq: Seq(0), parts: Vec::new() });
}

pub(crate) fn heads_tell_how_far_documents_are(home: &impl Place) {
    let store = home.open();
    assert!(store.heads(&[]).unwrap().is_empty());
    append_each(&store, "a", &CHAIN.map(bytes));
    store.compact(&doc("a")).unwrap();
    append_each(&store, "b", &["1".into(), "2".into()]);
    append_each(&store, "c", &["1".into()]);
    for name in ["b", "c"] {
        store.delete(&doc(name), SystemTime::now()).unwrap();
    }
    store.create(&doc("c")).unwrap();
    store.append(&[Append { epoch: Epoch(2), ..append("c", "2") }]).unwrap();
    let asked = ["d", "c", "a", "b", "a"].map(doc);
    let heads: Vec<_> = store.heads(&asked).unwrap().into_iter().map(Result::unwrap).collect();
    let head = |epoch, seq| Some(Head { epoch: Epoch(epoch), seq: Seq(seq) });
    assert_eq!(heads, [None, head(2, 1), head(1, 5), None, head(1, 5)]);
}

pub(crate) fn damage_is_an_error_of_its_document_there_too(home: &impl Home) {
    let store = home.store();
    for name in ["a", "b"] {
        append_each(&store, name, &CHAIN.map(bytes));
    }
    let keys = |space: u8| {
        let range = KeyRange { from: vec![1, space], to: vec![1, space + 1] };
        store.engine().keys(&range, usize::MAX).unwrap()
    };
    let damage = |key: &Bytes| {
        let mut batch = Batch::new();
        batch.put(key.clone(), "nonsense!!".into());
        store.engine().commit(batch).unwrap();
    };
    let is_of_b = |error: &StoreError| matches!(error, StoreError::Damaged { doc: d, .. } if *d == doc("b"));
    // The third update of `b`: who has it does not need it.
    damage(&keys(3)[5 + 2]);
    assert!(is_of_b(&store.tail(&doc("b"), Epoch::FIRST, Seq(2)).unwrap_err()));
    assert_eq!(store.tail(&doc("b"), Epoch::FIRST, Seq(3)).unwrap().parts.len(), 2);
    // Its catalog entry.
    damage(&keys(1)[1]);
    let heads = store.heads(&["b", "a"].map(doc)).unwrap();
    assert!(is_of_b(heads[0].as_ref().unwrap_err()));
    assert_eq!(heads[1].as_ref().unwrap().unwrap().seq, Seq(5));
    assert!(is_of_b(&store.tail(&doc("b"), Epoch::FIRST, Seq(3)).unwrap_err()));
}
