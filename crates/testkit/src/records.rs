//! Records of a store that is not what was written.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, Entry, KeyRange};
use quire_persistence::engines::MemoryEngine;
use quire_persistence::{
    Append, DocumentInfo, DocumentStore, Epoch, LocalStore, OpenError, StoreError, Stored,
};
use quire_sync_protocol::DocId;
use quire_sync_protocol::update::id_set::IdSet;

use crate::pieces::Source;

/// Two documents, one with a snapshot and a log, one with a log alone.
const DOCUMENTS: [&str; 2] = ["a", "b"];

/// The version, kind and length of a record, then its checksum.
const HEADER_BYTES: usize = 10;

/// What the keys of tombstones begin with.
const TOMBSTONES: [u8; 2] = [1, 7];

/// What happens to one record.
#[derive(Arbitrary, Debug)]
enum Harm<'a> {
    /// A byte is another one.
    Flip { record: u8, at: u16, with: u8 },
    /// The record ends early.
    Cut { record: u8, at: u16 },
    /// Something else is found there.
    Replace { record: u8, value: &'a [u8] },
    /// Something else is found there, with a checksum that matches.
    Forge { record: u8, kind: u8, payload: &'a [u8] },
    /// The record of another key is found there.
    Swap { record: u8, other: u8 },
    /// The record is gone.
    Lose { record: u8 },
    /// There is one more.
    Add { key: &'a [u8], value: &'a [u8] },
    /// There is one more, next to another and with a checksum that matches.
    AddForged { record: u8, step: u8, kind: u8, payload: &'a [u8] },
}

/// Whatever has become of a store, no call panics, and what is read of a document is what was written, or an error, unless
/// somebody forged a checksum or its catalog entry is gone.
pub fn records(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(harms) = Vec::<Harm<'_>>::arbitrary(&mut data) else { return };
    let (engine, sound) = filled();
    let before = entries(&engine);
    let mut forged = false;
    for harm in harms.iter().take(16) {
        forged |= apply(&engine, &before, harm);
    }
    let is_gone = |doc: &DocId| {
        let key = [&[1, 1], doc.as_str().as_bytes()].concat();
        engine.value(&key).unwrap().is_none()
    };
    let harmed = entries(&engine);
    let store = match LocalStore::open(engine.clone()) {
        Ok(store) => store,
        Err(OpenError::Format { .. } | OpenError::Damaged(_)) => {
            assert_eq!(entries(&engine), harmed, "a store that is not opened is not changed");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    for (doc, stored, info) in &sound {
        match store.load(doc) {
            Ok(Some(found)) => assert!(forged || found == *stored, "{doc} is another document"),
            Ok(None) => assert!(is_gone(doc)),
            Err(StoreError::Damaged { doc: named, .. }) => assert_eq!(named, *doc),
            Err(error) => panic!("{error}"),
        }
        match store.info(doc) {
            Ok(found) => assert!(forged || is_gone(doc) || found.as_ref() == Some(info)),
            Err(StoreError::Damaged { doc: named, .. }) => assert_eq!(named, *doc),
            Err(error) => panic!("{error}"),
        }
    }
    let listed = store.list(None, 100).expect("an entry costs its own line only");
    assert!(listed.len() <= harmed.len());
    assert_eq!(entries(&engine), harmed, "reading changes nothing");
    writes_keep_or_refuse(&store, &sound, forged);
}

/// An append and a compaction work on what is sound, and name the document where it is not.
fn writes_keep_or_refuse(store: &LocalStore<MemoryEngine>, sound: &[Sound], forged: bool) {
    for (doc, stored, _) in sound {
        let loaded = store.load(doc);
        let append = Append { doc: doc.clone(), epoch: stored.epoch, update: Bytes::from_static(&[0, 0]) };
        let appended = store.append(&[append]);
        if let (Ok(seqs), Ok(Some(before))) = (&appended, &loaded) {
            assert!(forged || seqs[0].0 == before.seq.0 + 1);
        }
        match store.compact(doc) {
            Ok(compacted) => match store.load(doc) {
                Ok(after) => assert_eq!(after.expect("what was compacted is there").seq, compacted.seq),
                // Who wrote in an earlier document of this name: a compaction neither reads nor changes that.
                Err(StoreError::Damaged { what, .. }) if what.place.key.starts_with(&TOMBSTONES) => {
                    assert!(loaded.is_err(), "a compaction has damaged the tombstone");
                }
                Err(error) => panic!("a document that was compacted is whole: {error}"),
            },
            Err(error) => assert!(
                error.doc() == Some(doc),
                "the error of a damaged document is about another one: {error}"
            ),
        }
    }
}

type Sound = (DocId, Stored, DocumentInfo);

fn filled() -> (MemoryEngine, Vec<Sound>) {
    let engine = MemoryEngine::new();
    let store = LocalStore::open(engine.clone()).unwrap();
    let source = Source::invented();
    let docs = DOCUMENTS.map(|name| DocId::new(name).unwrap());
    for (at, doc) in docs.iter().enumerate() {
        for (client, ranges) in source.ids().iter().skip(at) {
            let update = source.cut(client, ranges[0], &IdSet::default()).bytes().clone();
            store.append(&[Append { doc: doc.clone(), epoch: Epoch::FIRST, update }]).unwrap();
            if at == 0 && client.value() == 2 {
                store.compact(doc).unwrap();
            }
        }
    }
    let sound = docs.map(|doc| {
        let (stored, info) = (store.load(&doc).unwrap().unwrap(), store.info(&doc).unwrap().unwrap());
        (doc, stored, info)
    });
    (engine, sound.into())
}

fn entries(engine: &MemoryEngine) -> Vec<Entry> {
    engine.page(&KeyRange { from: Vec::new(), to: vec![0xff; 300] }, usize::MAX).unwrap()
}

/// Whether it made a record with a checksum that matches.
fn apply(engine: &MemoryEngine, before: &[Entry], harm: &Harm<'_>) -> bool {
    let entry = |record: u8| &before[usize::from(record) % before.len()];
    let mut batch = Batch::new();
    let mut forged = false;
    match *harm {
        Harm::Flip { record, at, with } => {
            let Entry { key, .. } = entry(record);
            let mut value = engine.value(key).unwrap().unwrap_or_default().to_vec();
            let at = usize::from(at) % value.len().max(1);
            if let Some(byte) = value.get_mut(at) {
                *byte ^= with;
            }
            batch.put(key.clone(), value.into());
        }
        Harm::Cut { record, at } => {
            let Entry { key, value } = entry(record);
            batch.put(key.clone(), value.slice(..usize::from(at) % value.len()));
        }
        Harm::Replace { record, value } => {
            let key = &entry(record).key;
            forged = is_sealed(key, value);
            batch.put(key.clone(), Bytes::copy_from_slice(value));
        }
        Harm::Forge { record, kind, payload } => {
            let key = &entry(record).key;
            forged = true;
            batch.put(key.clone(), sealed(kind, key, payload));
        }
        Harm::Swap { record, other } => batch.put(entry(record).key.clone(), entry(other).value.clone()),
        Harm::Lose { record } => batch.delete(entry(record).key.clone()),
        Harm::Add { key, value } => {
            // The engine's own bound is the end of a range; keys of a store are far below it.
            let key = Bytes::copy_from_slice(&key[..key.len().min(64)]);
            if key.first().is_some_and(|first| *first < 0xff) {
                forged = is_sealed(&key, value);
                batch.put(key, Bytes::copy_from_slice(value));
            }
        }
        Harm::AddForged { record, step, kind, payload } => {
            let mut key = entry(record).key.to_vec();
            if let Some(last) = key.last_mut() {
                *last = last.wrapping_add(step);
            }
            forged = true;
            let value = sealed(kind, &key, payload);
            batch.put(key.into(), value);
        }
    }
    engine.commit(batch).unwrap();
    forged
}

/// A record as FORMAT.md describes it.
fn sealed(kind: u8, key: &[u8], payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).unwrap();
    let head = [&[1, kind][..], &length.to_be_bytes()].concat();
    let checksum = crc32fast::hash(&[key, &head, payload].concat());
    [&head[..], &checksum.to_be_bytes(), payload].concat().into()
}

fn is_sealed(key: &[u8], value: &[u8]) -> bool {
    value.len() >= HEADER_BYTES && sealed(value[1], key, &value[HEADER_BYTES..]) == value
}
