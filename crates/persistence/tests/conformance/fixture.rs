//! A store as format 1 has it, byte for byte: what was written once can always be read.

use quire_persistence::engine::{Batch, Engine, Entry, KeyRange};
use quire_persistence::engines::MemoryEngine;
use quire_persistence::{DocumentStore, LocalStore, Seq};

use crate::updates::{CHAIN, append, append_each, bytes, doc, replica, united};

/// Keys and values in the order of the keys.
const ENTRIES: &[(&str, &str)] = &[
    ("00666f726d6174", "0101000000047065b65500000001"),
    ("0101612f62", "010200000008950f52bc010105100101030d"),
    ("0101c3a9", "010200000005e05daffe0201010000"),
    ("01020000000000000001", "01030000000394086cca612f62"),
    ("01020000000000000002", "010300000002c3989041c3a9"),
    ("01030000000000000001000000000000000400000000", "0104000000064ac9142a000101010101"),
    ("01030000000000000001000000000000000500000000", "01040000000a4397b5c401010200840102014500"),
    ("01030000000000000002000000000000000100000000", "010400000000b9b70b63"),
    ("01040000000000000001000000000000000100000000", "01060000000da906ed9801010100040101740361626300"),
];

/// What was done: three updates of `a/b`, a compaction, two more; one update of another document.
fn written() -> LocalStore<MemoryEngine> {
    let store = LocalStore::open(MemoryEngine::new()).unwrap();
    let updates = CHAIN.map(bytes);
    append_each(&store, "a/b", &updates[..3]);
    store.compact(&doc("a/b")).unwrap();
    store
        .append(&[append("a/b", updates[3].clone()), append("\u{e9}", ""), append("a/b", updates[4].clone())])
        .unwrap();
    store
}

#[test]
fn format_1_is_written_as_ever() {
    let everything = KeyRange { from: Vec::new(), to: vec![0xff] };
    let entries = written().engine().page(&everything, usize::MAX).unwrap();
    let expected: Vec<Entry> =
        ENTRIES.iter().map(|(key, value)| Entry { key: bytes(key), value: bytes(value) }).collect();
    assert_eq!(entries, expected);
}

#[test]
fn format_1_is_read_as_ever() {
    let engine = MemoryEngine::new();
    let mut batch = Batch::new();
    for (key, value) in ENTRIES {
        batch.put(bytes(key), bytes(value));
    }
    engine.commit(batch).unwrap();
    let store = LocalStore::open(engine).unwrap();
    let stored = store.load(&doc("a/b")).unwrap().unwrap();
    assert_eq!((stored.seq, stored.updates.len()), (Seq(5), 2));
    assert_eq!(replica(&stored), united(&CHAIN.map(bytes)));
    assert_eq!(store.load(&doc("\u{e9}")).unwrap().unwrap().updates, [""]);
    assert_eq!(store.append(&[append("new", "")]).unwrap(), [Seq(1)]);
    assert_eq!(store.list(None, 10).unwrap().len(), 3);
}
