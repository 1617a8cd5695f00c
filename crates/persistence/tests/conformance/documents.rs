//! What can be seen through the trait alone.

use std::thread;

use bytes::Bytes;
use quire_persistence::{Append, DocumentInfo, DocumentStore, Epoch, Seq, StoreError, Stored};
use quire_sync_protocol::StateVector;

use crate::homes::Place;
use crate::updates::{append, doc};

pub(crate) fn an_unknown_document(home: &impl Place) {
    let store = home.open();
    assert_eq!(store.load(&doc("a")).unwrap(), None);
    assert_eq!(store.info(&doc("a")).unwrap(), None);
    assert!(store.list(None, 10).unwrap().is_empty());
    assert!(matches!(store.compact(&doc("a")), Err(StoreError::NotFound { doc: d }) if d == doc("a")));
    assert_eq!(store.append(&[]).unwrap(), []);
    store.flush().unwrap();
}

pub(crate) fn updates_come_back_in_order(home: &impl Place) {
    let store = home.open();
    assert_eq!(store.append(&[append("a", "1")]).unwrap(), [Seq(1)]);
    assert_eq!(store.append(&[append("a", "2"), append("a", "3")]).unwrap(), [Seq(2), Seq(3)]);
    // The same bytes twice are two updates.
    assert_eq!(store.append(&[append("a", "3")]).unwrap(), [Seq(4)]);
    let updates = ["1", "2", "3", "3"].map(Bytes::from).to_vec();
    let dead = StateVector::default();
    let expected = Some(Stored { epoch: Epoch::FIRST, seq: Seq(4), snapshot: None, updates, dead });
    assert_eq!(store.load(&doc("a")).unwrap(), expected);
    drop(store);

    let store = home.open();
    assert_eq!(store.load(&doc("a")).unwrap(), expected);
    assert_eq!(store.append(&[append("a", "5")]).unwrap(), [Seq(5)]);
}

pub(crate) fn one_batch_for_many_documents(home: &impl Place) {
    let store = home.open();
    store.append(&[append("b", "b1")]).unwrap();
    let batch = [append("c", "c1"), append("b", "b2"), append("a", "a1"), append("c", "c2")];
    assert_eq!(store.append(&batch).unwrap(), [Seq(1), Seq(2), Seq(1), Seq(2)]);
    drop(store);

    let store = home.open();
    for (name, updates) in [("a", vec!["a1"]), ("b", vec!["b1", "b2"]), ("c", vec!["c1", "c2"])] {
        let stored = store.load(&doc(name)).unwrap().unwrap();
        assert_eq!(stored.updates, updates, "{name}");
        let info = DocumentInfo {
            doc: doc(name),
            epoch: Epoch::FIRST,
            seq: Seq(updates.len() as u64),
            snapshot_seq: Seq(0),
            snapshot_bytes: 0,
            log_len: updates.len() as u64,
            log_bytes: 2 * updates.len() as u64,
        };
        assert_eq!(store.info(&doc(name)).unwrap(), Some(info));
    }
}

pub(crate) fn payloads_of_all_sizes<P: Place>(home: &P) {
    let store = home.open();
    let chunk = P::chunk_bytes(&store);
    let sizes = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 1_000_000, 20_000_000, 0];
    // No two chunks are equal, so that none can stand for another.
    let payload = |size: usize| -> Bytes { (0_u32..).flat_map(u32::to_be_bytes).take(size).collect() };
    let batch: Vec<Append> = sizes.iter().map(|size| append("sizes", payload(*size))).collect();
    store.append(&batch).unwrap();
    drop(store);

    let stored = home.open().load(&doc("sizes")).unwrap().unwrap();
    assert_eq!(stored.updates.len(), sizes.len());
    for (update, size) in stored.updates.iter().zip(sizes) {
        assert!(*update == payload(size), "{size} bytes came back as {}", update.len());
    }
}

pub(crate) fn names_are_literal(home: &impl Place) {
    let long = "\u{2602}".repeat(85);
    assert_eq!(long.len(), 255);
    let names =
        ["a", "a/", "a/b", "a//b", "/", ".", "..", "%61", "A", "\u{e9}", "e\u{301}", "\u{10ffff}", &long];
    let store = home.open();
    for name in names {
        store.append(&[append(name, name.to_owned())]).unwrap();
    }
    drop(store);

    let store = home.open();
    for name in names {
        assert_eq!(store.load(&doc(name)).unwrap().unwrap().updates, [name], "{name}");
    }
    let mut sorted = names;
    sorted.sort_unstable();
    let listed = store.list(None, 100).unwrap();
    assert_eq!(listed.iter().map(|listed| listed.doc.as_str()).collect::<Vec<_>>(), sorted);
}

pub(crate) fn listing_goes_page_by_page(home: &impl Place) {
    let store = home.open();
    let batch: Vec<Append> = (0..25).map(|number| append(&format!("doc-{number:02}"), "x")).collect();
    store.append(&batch).unwrap();
    assert!(store.list(None, 0).unwrap().is_empty());
    for limit in [1, 7, 25, 26, usize::MAX] {
        let mut seen = Vec::new();
        loop {
            let page = store.list(seen.last(), limit).unwrap();
            let full = page.len() == limit;
            for listed in page {
                assert_eq!(listed.info.unwrap(), store.info(&listed.doc).unwrap().unwrap());
                seen.push(listed.doc);
            }
            if !full {
                break;
            }
        }
        assert_eq!(seen, batch.iter().map(|append| append.doc.clone()).collect::<Vec<_>>(), "limit {limit}");
    }
    // A name that is not there is a place to start from as well.
    assert_eq!(store.list(Some(&doc("doc-1")), 1).unwrap()[0].doc, doc("doc-10"));
}

pub(crate) fn an_update_for_another_epoch_is_refused(home: &impl Place) {
    let store = home.open();
    store.append(&[append("a", "1")]).unwrap();
    for name in ["a", "new"] {
        let stale = Append { epoch: Epoch(2), ..append(name, "2") };
        let error = store.append(&[append("b", "1"), stale]).unwrap_err();
        let (stored, given) = (Epoch::FIRST, Epoch(2));
        assert!(
            matches!(&error, StoreError::StaleEpoch { doc: d, stored: s, given: g }
                if *d == doc(name) && *s == stored && *g == given),
            "{error}"
        );
    }
    // All or none.
    assert_eq!(store.load(&doc("b")).unwrap(), None);
    assert_eq!(store.load(&doc("new")).unwrap(), None);
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().updates, ["1"]);
}

pub(crate) fn parallel_appends_give_every_seq_once(home: &impl Place) {
    const THREADS: u64 = 4;
    const EACH: u64 = 25;
    let store = home.open();
    let mut seqs: Vec<Seq> = thread::scope(|scope| {
        let write = |thread: u64| {
            let store = &store;
            let own = format!("own-{thread}");
            move || -> Vec<Seq> {
                let append = |number| {
                    let text = format!("{thread}.{number}");
                    let batch = [append("shared", text.clone()), append(&own, text)];
                    let seqs = store.append(&batch).unwrap();
                    assert_eq!(seqs[1], Seq(number + 1));
                    seqs[0]
                };
                (0..EACH).map(append).collect()
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(write(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=THREADS * EACH).map(Seq).collect::<Vec<_>>());
    drop(store);

    let mut updates = home.open().load(&doc("shared")).unwrap().unwrap().updates;
    updates.sort_unstable();
    updates.dedup();
    assert_eq!(updates.len() as u64, THREADS * EACH);
}
