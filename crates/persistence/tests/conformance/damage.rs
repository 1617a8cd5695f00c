//! Damage: always an error that names the document and the place, never less content, and never a loss for others.

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, Entry, KeyRange};
use quire_persistence::{DocumentStore, Fault, LocalStore, OpenError, Seq, StoreError};

use crate::homes::Home;
use crate::updates::{append, append_each, doc, typed};

const FORMAT_KEY: &[u8] = b"\0format";

/// Every entry of a store.
fn entries(engine: &impl Engine) -> Vec<Entry> {
    engine.page(&KeyRange { from: Vec::new(), to: vec![0xff] }, usize::MAX).unwrap()
}

fn put(engine: &impl Engine, key: &Bytes, value: impl Into<Bytes>) {
    let mut batch = Batch::new();
    batch.put(key.clone(), value.into());
    engine.commit(batch).unwrap();
}

fn delete(engine: &impl Engine, key: &Bytes) {
    let mut batch = Batch::new();
    batch.delete(key.clone());
    engine.commit(batch).unwrap();
}

/// Two documents, `a` and `b`, each with a snapshot of some chunks and three updates, the second of some chunks as well.
fn filled<H: Home>(home: &H) -> LocalStore<H::Engine> {
    let store = home.store();
    let chunk = store.engine().chunk_bytes();
    for name in ["a", "b"] {
        let mut clock = 0;
        for (number, length) in [2 * chunk + 10, 1, chunk + 10, 1].into_iter().enumerate() {
            append_each(&store, name, &[typed(1, clock as u64, &"x".repeat(length))]);
            clock += length;
            if number == 0 {
                store.compact(&doc(name)).unwrap();
            }
        }
    }
    store
}

/// The keys that belong to `a`: its catalog entry first, then its log, then its snapshot.
fn keys_of_a(engine: &impl Engine) -> Vec<Bytes> {
    let number = 1_u64.to_be_bytes();
    let of_a = |key: &Bytes| match key[..] {
        [1, 1, ref name @ ..] => name == b"a",
        [1, 3 | 4, ref rest @ ..] => rest.starts_with(&number),
        _ => false,
    };
    let keys: Vec<Bytes> = entries(engine).into_iter().map(|entry| entry.key).filter(of_a).collect();
    assert_eq!(keys.len(), 1 + 4 + 3);
    keys
}

/// `a` cannot be loaded because of this key, `b` can, and nothing is changed by trying.
fn expect_damage(store: &LocalStore<impl Engine>, key: &[u8], faults: &[Fault]) {
    let before = entries(store.engine());
    for error in [store.load(&doc("a")).unwrap_err(), store.compact(&doc("a")).unwrap_err()] {
        let StoreError::Damaged { doc: named, what } = &error else { panic!("{error}") };
        assert_eq!(*named, doc("a"));
        assert_eq!(*what.place.key, *key, "{error}");
        assert!(faults.is_empty() || faults.contains(&what.fault), "{error}");
        assert!(error.to_string().starts_with("document \"a\" is damaged: "), "{error}");
    }
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().seq, Seq(4));
    assert_eq!(entries(store.engine()), before);
}

pub(crate) fn every_byte_of_every_record_counts(home: &impl Home) {
    let store = filled(home);
    for key in keys_of_a(store.engine()) {
        let value = store.engine().value(&key).unwrap().unwrap();
        // All of the header, and of the payload as much as there is patience for.
        for at in (0..value.len().min(14)).chain([value.len() / 2, value.len() - 1]) {
            let mut damaged = value.to_vec();
            damaged[at] ^= 0x10;
            put(store.engine(), &key, damaged);
            expect_damage(&store, &key, &[]);
        }
        for cut in [0, 9, value.len() - 1] {
            put(store.engine(), &key, value.slice(..cut));
            expect_damage(&store, &key, &[Fault::Short, Fault::Length]);
        }
        put(store.engine(), &key, value);
        assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(4));
    }
}

pub(crate) fn a_missing_record_is_noticed(home: &impl Home) {
    let store = filled(home);
    // Without its catalog entry nothing says that the document was ever there.
    for key in &keys_of_a(store.engine())[1..] {
        let value = store.engine().value(key).unwrap().unwrap();
        delete(store.engine(), key);
        expect_damage(&store, key, &[Fault::Missing]);
        put(store.engine(), key, value);
    }
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(4));
}

pub(crate) fn a_surplus_record_is_noticed(home: &impl Home) {
    let store = filled(home);
    let keys = keys_of_a(store.engine());
    for (key, next_seq, next_chunk) in [
        (&keys[1], 0, 1), // a second chunk of an update that has one
        (&keys[4], 1, 0), // an update behind the last one
        (&keys[4], 1, 5),
        (&keys[7], 0, 1), // a chunk behind the last one of the snapshot
        (&keys[7], 0, 2),
    ] {
        let mut surplus = key.to_vec();
        surplus[17] += next_seq;
        surplus[21] += next_chunk;
        let surplus = Bytes::from(surplus);
        put(store.engine(), &surplus, store.engine().value(key).unwrap().unwrap());
        expect_damage(&store, &surplus, &[Fault::Unexpected]);
        delete(store.engine(), &surplus);
    }
    for malformed in [&keys[1][..21], &[&keys[1][..], &[0]].concat()] {
        let malformed = Bytes::copy_from_slice(malformed);
        put(store.engine(), &malformed, "x");
        let error = store.load(&doc("a")).err();
        // The shorter key sorts before the log's first one, out of anyone's way.
        assert_eq!(error.is_some(), malformed.len() == 23, "{error:?}");
        delete(store.engine(), &malformed);
    }
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(4));
}

pub(crate) fn a_catalog_entry_older_than_the_log_is_noticed(home: &impl Home) {
    let store = filled(home);
    let catalog = &keys_of_a(store.engine())[0];
    let older = store.engine().value(catalog).unwrap().unwrap();
    append_each(&store, "a", &["5".into()]);
    let newer = store.engine().value(catalog).unwrap().unwrap();
    let mut key = keys_of_a_with_one_more(store.engine());
    put(store.engine(), catalog, older);
    let surplus = key.pop().unwrap();
    expect_damage(&store, &surplus, &[Fault::Unexpected]);
    put(store.engine(), catalog, newer);
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(5));
}

/// The log of `a` after a fifth update.
fn keys_of_a_with_one_more(engine: &impl Engine) -> Vec<Bytes> {
    let from = [&[1, 3][..], &1_u64.to_be_bytes()].concat();
    let to = [&[1, 3][..], &2_u64.to_be_bytes()].concat();
    let keys = engine.keys(&KeyRange { from, to }, usize::MAX).unwrap();
    assert_eq!(keys.len(), 5);
    keys
}

pub(crate) fn a_lost_name_gives_no_number_twice(home: &impl Home) {
    let store = filled(home);
    // The record of the last number, that of `b`.
    let name = Bytes::copy_from_slice(&[&[1, 2][..], &2_u64.to_be_bytes()].concat());
    delete(store.engine(), &name);
    append_each(&store, "c", &["1".into()]);
    assert_eq!(store.load(&doc("c")).unwrap().unwrap().updates, ["1"]);
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().seq, Seq(4));
}

pub(crate) fn a_damaged_document_costs_its_own_appends(home: &impl Home) {
    let store = filled(home);
    let catalog = &keys_of_a(store.engine())[0];
    put(store.engine(), catalog, "nonsense!!");
    let batch = [append("b", "5"), append("a", "5"), append("c", "1")];
    let error = store.append(&batch).unwrap_err();
    assert_eq!(error.doc(), Some(&doc("a")), "{error}");
    assert_eq!(store.info(&doc("b")).unwrap().unwrap().seq, Seq(4));
    assert_eq!(store.info(&doc("c")).unwrap(), None);
    assert!(matches!(store.info(&doc("a")), Err(StoreError::Damaged { .. })));
    let others: Vec<_> = batch.into_iter().filter(|append| Some(&append.doc) != error.doc()).collect();
    assert_eq!(store.append(&others).unwrap(), [Seq(5), Seq(1)]);
}

pub(crate) fn a_damaged_entry_costs_its_own_line(home: &impl Home) {
    let store = filled(home);
    let catalog = &keys_of_a(store.engine())[0];
    put(store.engine(), catalog, "nonsense!!");
    // A key that is no name at all has no line.
    put(store.engine(), &Bytes::from_static(b"\x01\x01\xff"), "x");
    let listed = store.list(None, 10).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].doc, doc("a"));
    assert!(matches!(&listed[0].info, Err(StoreError::Damaged { .. })));
    assert_eq!(listed[1].info.as_ref().unwrap().doc, doc("b"));
}

pub(crate) fn a_store_without_its_format_is_not_new(home: &impl Home) {
    let store = filled(home);
    let key = Bytes::from_static(FORMAT_KEY);
    let value = store.engine().value(&key).unwrap().unwrap();
    drop(store);
    let open = || LocalStore::open(home.engine());

    delete(&home.engine(), &key);
    assert!(matches!(open(), Err(OpenError::Damaged(what)) if what.fault == Fault::Missing));
    put(&home.engine(), &key, "nonsense!!");
    assert!(matches!(open(), Err(OpenError::Damaged(what)) if what.fault == Fault::Version(b'n')));
    put(&home.engine(), &key, value);
    assert_eq!(open().unwrap().load(&doc("a")).unwrap().unwrap().seq, Seq(4));
}

pub(crate) fn a_later_format_is_refused(home: &impl Home) {
    // A format record as FORMAT.md describes it, with format 2.
    let mut record = vec![1, 1, 0, 0, 0, 4];
    let payload = 2_u32.to_be_bytes();
    let checksum = crc32fast::hash(&[FORMAT_KEY, &record, &payload].concat());
    record.extend(checksum.to_be_bytes());
    record.extend(payload);
    put(&home.engine(), &Bytes::from_static(FORMAT_KEY), record);
    assert!(matches!(LocalStore::open(home.engine()), Err(OpenError::Format { found: 2, known: 1 })));
}
