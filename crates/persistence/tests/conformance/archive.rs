//! Archives: everything comes back, into any engine, or nothing does.

use std::fs;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quire_persistence::archive::{self, ArchiveError, ArchiveReader, RestoreError, Summary};
use quire_persistence::engine::{Batch, Engine as _, KeyRange};
use quire_persistence::engines::MemoryEngine;
use quire_persistence::{DocumentStore, LocalStore, Seq, StoreSpec, Whole};

use crate::homes::Postgres;
use crate::updates::{CHAIN, append, append_each, bytes, doc, typed};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000)
}

/// One document of each kind: log alone, snapshot and log, snapshot alone, large, empty, deleted, made anew.
fn filled(store: &impl DocumentStore) {
    append_each(store, "log", &CHAIN.map(bytes));
    for name in ["both", "snapshot", "deleted", "anew"] {
        append_each(store, name, &CHAIN.map(bytes));
        store.compact(&doc(name)).unwrap();
    }
    append_each(store, "both", &[typed(7, 0, "more"), typed(7, 4, "and more")]);
    append_each(store, "large", &[typed(1, 0, &"x".repeat(3_000_000)), "no update".into(), Bytes::new()]);
    store.create(&doc("empty")).unwrap();
    for name in ["deleted", "anew"] {
        store.delete(&doc(name), now()).unwrap();
    }
    store.create(&doc("anew")).unwrap();
}

const NAMES: [&str; 7] = ["anew", "both", "deleted", "empty", "large", "log", "snapshot"];

fn wholes(store: &dyn DocumentStore) -> Vec<Whole> {
    NAMES.iter().map(|name| store.inspect().whole(&doc(name)).unwrap().unwrap()).collect()
}

fn backed_up(store: &dyn DocumentStore) -> (Vec<u8>, Summary) {
    let mut out = Vec::new();
    let mut names = 0;
    let summary = archive::backup(store, &mut out, 7, &mut |_, _| names += 1).unwrap();
    assert_eq!(names, summary.documents + summary.tombstones + summary.damaged.len() as u64);
    (out, summary)
}

fn restored(spec: &StoreSpec, archive: &[u8]) -> Result<Summary, RestoreError> {
    archive::restore(spec, archive, &mut |_, _| {})
}

#[test]
fn everything_comes_back_in_every_engine() {
    let original = LocalStore::open(MemoryEngine::new()).unwrap();
    filled(&original);
    let (archive, summary) = backed_up(&original);
    assert_eq!(summary, Summary { documents: 6, tombstones: 1, damaged: Vec::new() });
    let folder = tempfile::tempdir().unwrap();
    let database = Postgres::default();
    for spec in [
        StoreSpec::Redb(folder.path().join("r")),
        StoreSpec::Sled(folder.path().join("s")),
        StoreSpec::Postgres(database.url()),
    ] {
        assert_eq!(restored(&spec, &archive).unwrap(), summary);
        let store = quire_persistence::open(&spec).unwrap();
        assert_eq!(wholes(&*store), wholes(&original));
        // An archive of it says the same, and it goes on where it was.
        assert_eq!(backed_up(&*store).0, archive);
        store.append(&[append("log", typed(9, 0, "goes on"))]).unwrap();
        store.compact(&doc("both")).unwrap();
        assert_eq!(store.load(&doc("anew")).unwrap().unwrap().epoch.0, 2);
        assert!(store.load(&doc("deleted")).is_err());
        drop(store);
        let error = restored(&spec, &archive).unwrap_err();
        let expected = matches!(error, RestoreError::NotEmpty { .. } | RestoreError::DatabaseNotEmpty { .. });
        assert!(expected, "{error}");
    }
    assert!(matches!(restored(&StoreSpec::Memory, &archive), Err(RestoreError::Memory)));
}

/// A small archive, and where its records begin.
fn small() -> (Vec<u8>, Vec<usize>) {
    let store = LocalStore::open(MemoryEngine::new()).unwrap();
    append_each(&store, "a", &[bytes(CHAIN[0])]);
    store.delete(&doc("a"), now()).unwrap();
    append_each(&store, "b", &CHAIN.map(bytes));
    let archive = backed_up(&store).0;
    let (mut at, mut begins) = (8, Vec::new());
    while at < archive.len() {
        begins.push(at);
        let length = u32::from_be_bytes(archive[at + 1..at + 5].try_into().unwrap());
        at += 9 + length as usize;
    }
    assert_eq!(at, archive.len());
    (archive, begins)
}

#[test]
fn an_archive_that_is_not_whole_restores_nothing() {
    let (archive, begins) = small();
    let folder = tempfile::tempdir().unwrap();
    let spec = StoreSpec::Redb(folder.path().to_owned());
    let read = |archive: &[u8]| -> Result<Summary, ArchiveError> {
        let mut reader = ArchiveReader::begin(archive)?;
        while reader.next_item()?.is_some() {}
        Ok(reader.summary().clone())
    };
    assert_eq!(read(&archive).unwrap(), Summary { documents: 1, tombstones: 1, damaged: Vec::new() });
    for cut in 0..archive.len() {
        assert!(read(&archive[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..archive.len() {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x10;
        assert!(read(&damaged).is_err(), "byte {at}");
    }
    // A record left out, doubled or added is noticed, though each is sound.
    for pair in begins.windows(2) {
        let (record, rest) = (&archive[pair[0]..pair[1]], &archive[pair[1]..]);
        assert!(read(&[&archive[..pair[0]], rest].concat()).is_err());
        assert!(read(&[&archive[..pair[0]], record, record, rest].concat()).is_err());
    }
    assert!(matches!(read(&[&archive[..], b"x"].concat()), Err(ArchiveError::Damaged { .. })));
    assert!(matches!(read(b"something else"), Err(ArchiveError::NotAnArchive)));

    let error = restored(&spec, &archive[..archive.len() - 1]).unwrap_err();
    assert!(matches!(error, RestoreError::Archive(ArchiveError::Cut { .. })), "{error}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["quire.lock"]);
    // What an attempt that was killed has left does not matter.
    fs::create_dir(folder.path().join("quire.restoring")).unwrap();
    fs::write(folder.path().join("quire.restoring/quire.redb"), "half").unwrap();
    // Nor does the count of commits of a store that was moved away.
    let count = 1_000_u64.to_be_bytes();
    let witness = [&count[..], &crc32fast::hash(&count).to_be_bytes()].concat();
    fs::write(folder.path().join("quire.redb.commits"), witness).unwrap();
    restored(&spec, &archive).unwrap();
    assert_eq!(quire_persistence::open(&spec).unwrap().load(&doc("b")).unwrap().unwrap().seq, Seq(5));
}

#[test]
fn a_damaged_document_is_named_and_the_others_are_there() {
    let engine = MemoryEngine::new();
    let store = LocalStore::open(engine.clone()).unwrap();
    for name in ["a", "b", "c"] {
        append_each(&store, name, &CHAIN.map(bytes));
    }
    let log = KeyRange { from: vec![1, 3], to: vec![1, 4] };
    let mut batch = Batch::new();
    batch.put(engine.keys(&log, 7).unwrap().pop().unwrap(), "nonsense!!".into());
    engine.commit(batch).unwrap();
    let (archive, summary) = backed_up(&store);
    assert_eq!(summary, Summary { documents: 2, tombstones: 0, damaged: vec![doc("b")] });
    let folder = tempfile::tempdir().unwrap();
    let spec = StoreSpec::Redb(folder.path().to_owned());
    assert_eq!(restored(&spec, &archive).unwrap(), summary);
    let store = quire_persistence::open(&spec).unwrap();
    assert_eq!(store.load(&doc("b")).unwrap(), None);
    assert_eq!(store.load(&doc("c")).unwrap().unwrap().seq, Seq(5));
}
