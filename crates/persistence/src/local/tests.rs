//! What happens between two reads of the same call.

use std::fmt;
use std::sync::Mutex;

use quire_sync_protocol::{Replica, Update};

use super::*;
use crate::engine::{Entry, KeyRange};
use crate::engines::MemoryEngine;
use crate::error::EngineError;

/// Does something else just before a range is read.
struct Meanwhile {
    memory: MemoryEngine,
    /// What is done before each of the next reads of a range; the last one first.
    deeds: Mutex<Vec<Deed>>,
}

type Deed = Box<dyn FnOnce(&LocalStore<MemoryEngine>) + Send>;

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Engine for Meanwhile {
    fn chunk_bytes(&self) -> usize {
        self.memory.chunk_bytes()
    }

    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.memory.value(key)
    }

    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        let deed = self.deeds.lock().unwrap().pop();
        if let Some(deed) = deed {
            deed(&LocalStore::open(self.memory.clone()).unwrap());
        }
        self.memory.page(range, bytes)
    }

    fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Bytes>, EngineError> {
        self.memory.keys(range, limit)
    }

    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError> {
        self.memory.last_key(range)
    }

    fn commit(&self, batch: Batch) -> Result<(), EngineError> {
        self.memory.commit(batch)
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.memory.flush()
    }
}

fn doc() -> DocId {
    DocId::new("a").unwrap()
}

/// Client 1 appends a letter to a text that has `clock` letters.
fn letter(clock: u8, letter: u8) -> Bytes {
    match clock {
        0 => vec![1, 1, 1, 0, 0x04, 1, 1, b't', 1, letter, 0].into(),
        _ => vec![1, 1, 1, clock, 0x84, 1, clock - 1, 1, letter, 0].into(),
    }
}

fn append(store: &impl DocumentStore, update: Bytes) {
    store.append(&[Append { doc: doc(), epoch: Epoch::FIRST, update }]).unwrap();
}

/// A store with two updates, and what happens before each of the next reads of a range.
fn store(deeds: Vec<Deed>) -> LocalStore<Meanwhile> {
    let memory = MemoryEngine::new();
    let store = LocalStore::open(memory.clone()).unwrap();
    append(&store, letter(0, b'x'));
    append(&store, letter(1, b'x'));
    let deeds = Mutex::new(deeds.into_iter().rev().collect());
    LocalStore::open(Meanwhile { memory, deeds }).unwrap()
}

fn compacting() -> Deed {
    Box::new(|store| {
        store.compact(&doc()).unwrap();
    })
}

fn appending(clock: u8) -> Deed {
    Box::new(move |store| append(store, letter(clock, b'x')))
}

/// The stored document has this many letters, each an x.
fn expect_letters(store: &impl DocumentStore, count: u8) -> Stored {
    let stored = store.load(&doc()).unwrap().unwrap();
    assert_eq!(stored.seq, Seq(count.into()));
    let united = |updates: &mut dyn Iterator<Item = Bytes>| {
        updates.fold(Replica::new(), |mut replica, update| {
            replica.insert(&Update::parse(update).unwrap());
            replica
        })
    };
    let found = united(&mut stored.snapshot.iter().chain(&stored.updates).cloned());
    assert!(found == united(&mut (0..count).map(|clock| letter(clock, b'x'))));
    stored
}

#[test]
fn a_load_that_a_compaction_overtakes_starts_again() {
    // Before the log is read.
    let store = store(vec![compacting()]);
    assert!(expect_letters(&store, 2).snapshot.is_some());

    // Before the snapshot is read: it is replaced by the next one.
    append(&store, letter(2, b'x'));
    store.engine().deeds.lock().unwrap().push(compacting());
    assert!(expect_letters(&store, 3).updates.is_empty());
}

#[test]
fn a_load_that_an_append_overtakes_ends_where_it_began() {
    let store = store(vec![appending(2)]);
    expect_letters(&store, 2);
    expect_letters(&store, 3);
}

#[test]
fn what_is_appended_during_a_compaction_stays_in_the_log() {
    // While the log is read, and while the new snapshot is compared.
    let store = store(vec![appending(2), appending(3)]);
    let compacted = store.compact(&doc()).unwrap();
    assert_eq!((compacted.seq, compacted.updates), (Seq(2), 2));
    assert!(store.engine().deeds.lock().unwrap().is_empty());
    let stored = expect_letters(&store, 4);
    assert_eq!(stored.updates, [letter(2, b'x'), letter(3, b'x')]);
    let info = store.info(&doc()).unwrap().unwrap();
    let log_bytes = stored.updates.iter().map(|update| update.len() as u64).sum();
    assert_eq!((info.snapshot_seq, info.log_len, info.log_bytes), (Seq(2), 2, log_bytes));
}

#[test]
fn a_snapshot_that_does_not_hold_the_document_is_not_used() {
    // A sound record with another document of the same size takes the place of the new snapshot.
    let replacing: Deed = Box::new(|store| {
        let key = keys::snapshot(1, 1, 0);
        let mut replica = Replica::new();
        for clock in 0..2 {
            replica.insert(&Update::parse(letter(clock, b'y')).unwrap());
        }
        let record = record::seal(Kind::Snapshot, &key, replica.encode().bytes());
        let mut batch = Batch::new();
        batch.put(key, record);
        store.engine().commit(batch).unwrap();
    });
    let store = store(vec![Box::new(|_| {}), replacing]);
    let error = store.compact(&doc()).unwrap_err();
    assert!(matches!(&error, StoreError::SnapshotDiffers { doc: named } if *named == doc()), "{error}");
    assert_eq!(expect_letters(&store, 2).snapshot, None);
    // The next attempt begins anew.
    assert_eq!(store.compact(&doc()).unwrap().updates, 2);
    expect_letters(&store, 2);
}
