//! Verification finds what loads would find, and what no load would.

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, KeyRange};
use quire_persistence::{Checked, DocumentStore, LocalStore};

use crate::homes::Home;
use crate::updates::{CHAIN, append_each, bytes, doc};

/// What a verification finds, a line each: sound documents by their names, everything else as it is told.
fn found(store: &LocalStore<impl Engine>) -> Vec<String> {
    let mut found = Vec::new();
    store
        .inspect()
        .verify(&mut |checked| {
            found.push(match checked {
                Checked::Sound { doc, bytes } => format!("{doc}: {bytes}"),
                Checked::Damaged { doc, error } => {
                    assert_eq!(error.doc(), Some(&doc));
                    error.to_string()
                }
                Checked::Stray(damage) => damage.to_string(),
            });
        })
        .unwrap();
    found
}

fn keys(engine: &impl Engine, space: u8) -> Vec<Bytes> {
    engine.keys(&KeyRange { from: vec![1, space], to: vec![1, space + 1] }, usize::MAX).unwrap()
}

fn filled<H: Home>(home: &H) -> LocalStore<H::Engine> {
    let store = home.store();
    for name in ["a", "b", "c"] {
        append_each(&store, name, &CHAIN.map(bytes));
    }
    store.compact(&doc("b")).unwrap();
    store.delete(&doc("c"), std::time::SystemTime::UNIX_EPOCH).unwrap();
    store
}

pub(crate) fn a_sound_store_has_no_findings(home: &impl Home) {
    let store = filled(home);
    let found = found(&store);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("a: ") && found[1].starts_with("b: "), "{found:?}");
}

pub(crate) fn every_damaged_record_is_found(home: &impl Home) {
    let store = filled(home);
    let engine = store.engine();
    let everything: Vec<_> = [1, 2, 3, 4, 7].into_iter().flat_map(|space| keys(engine, space)).collect();
    assert_eq!(everything.len(), 2 + 2 + 5 + 1 + 1);
    for key in everything {
        let value = engine.value(&key).unwrap().unwrap();
        let put = |value: Bytes| {
            let mut batch = Batch::new();
            batch.put(key.clone(), value);
            engine.commit(batch).unwrap();
        };
        put("nonsense!!".into());
        let bad = found(&store);
        let hex = key.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert!(bad.iter().any(|line| line.contains(&hex)), "{hex}: {bad:?}");
        let mut batch = Batch::new();
        batch.delete(key.clone());
        engine.commit(batch).unwrap();
        // All that can be lost without a word is that a document was ever deleted.
        let bad = found(&store);
        let is_tombstone = key[1] == 7;
        assert_eq!(
            bad.iter().any(|line| line.contains("missing") || line.contains("should not exist")),
            !is_tombstone,
            "{hex}: {bad:?}"
        );
        put(value);
    }
    assert_eq!(found(&store).len(), 2);
}

pub(crate) fn what_belongs_to_no_document_is_found(home: &impl Home) {
    let store = filled(home);
    let mut batch = Batch::new();
    for key in
        [&b"\x00foreign"[..], b"\x01\x03\0\0\0\0\0\0\0\x63\0\0\0\0\0\0\0\x01\0\0\0\0", b"\x01\x05x", b"\x02"]
    {
        batch.put(Bytes::copy_from_slice(key), "x".into());
    }
    store.engine().commit(batch).unwrap();
    let found = found(&store);
    for hex in ["00666f726569676e", "0103000000000000006300", "010578", "key 02:"] {
        assert!(found.iter().any(|line| line.contains(hex)), "{hex}: {found:?}");
    }
    assert_eq!(found.len(), 2 + 4, "{found:?}");
}
