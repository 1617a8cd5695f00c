//! The engine on a device that fails.

use quire_sync_protocol::DocId;

use super::disk::Disk;
use super::*;
use crate::local::LocalStore;
use crate::store::{Append, DocumentStore, Epoch, Seq};

fn engine(disk: &Disk) -> Result<RedbEngine, EngineError> {
    engine_with(disk, JOURNAL_BYTES)
}

fn engine_with(disk: &Disk, journal_bytes: usize) -> Result<RedbEngine, EngineError> {
    let opened = disk.clone();
    let open = move || {
        let database = Database::builder().create_with_backend(opened.clone()).map_err(Error::from);
        let database = database.and_then(with_table).map_err(|error| engine_error("open its files", error));
        Opened::new(database?, None)
    };
    let database = Reopening::new(NAME, open)?;
    let file = DataFile::Disk(disk.clone());
    Ok(RedbEngine { database, file, journal_bytes, witness: None, _folder: None })
}

fn store(disk: &Disk) -> LocalStore<RedbEngine> {
    LocalStore::open(engine(disk).unwrap()).unwrap()
}

fn doc() -> DocId {
    DocId::new("a").unwrap()
}

/// Client 1 appends one letter to a text that has `clock` letters.
fn letter(clock: u64) -> Bytes {
    typed(clock, 1)
}

/// Client 1 appends letters to a text that has `clock` letters.
fn typed(clock: u64, letters: usize) -> Bytes {
    let mut update = vec![1, 1, 1];
    varint(&mut update, clock);
    if clock == 0 {
        update.extend([0x04, 1, 1, b't']);
    } else {
        update.extend([0x84, 1]);
        varint(&mut update, clock - 1);
    }
    varint(&mut update, letters as u64);
    update.resize(update.len() + letters, b'x');
    update.push(0);
    update.into()
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap());
}

fn append(store: &LocalStore<RedbEngine>, update: Bytes) -> Result<Seq, crate::StoreError> {
    Ok(store.append(&[Append { doc: doc(), epoch: Epoch::FIRST, update }])?[0])
}

#[test]
fn a_full_device_is_survived_without_a_restart() {
    let disk = Disk::new();
    let store = store(&disk);
    append(&store, letter(0)).unwrap();
    disk.set_capacity(disk.size());
    let large = Bytes::from(vec![0; 8 << 20]);
    for _ in 0..3 {
        let error = append(&store, large.clone()).unwrap_err();
        assert!(matches!(&error, crate::StoreError::Engine(error) if error.is_storage_full()), "{error}");
        // Reading goes on, and so does what still has room.
        assert!(store.load(&doc()).unwrap().unwrap().updates.contains(&letter(0)));
        append(&store, letter(1)).unwrap();
    }
    disk.set_capacity(u64::MAX);
    assert_eq!(append(&store, large).unwrap(), Seq(5));
    drop(store);
    let engine = engine(&disk).unwrap();
    assert_eq!(LocalStore::open(engine).unwrap().info(&doc()).unwrap().unwrap().seq, Seq(5));
}

mod power;
mod rows;

#[test]
fn space_behind_which_something_lives_is_given_back_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let engine = RedbEngine::open(dir.path()).unwrap();
    let key = |number: u8| Bytes::copy_from_slice(&[number]);
    let value = Bytes::from(vec![7; engine.chunk_bytes()]);
    for number in 0..80 {
        let mut batch = Batch::new();
        batch.put(key(number), value.clone());
        engine.commit(batch).unwrap();
    }
    let full = engine.disk_bytes().unwrap();
    let mut batch = Batch::new();
    (0..79).for_each(|number| batch.delete(key(number)));
    engine.commit(batch).unwrap();
    engine.reclaim().unwrap();
    let reclaimed = engine.disk_bytes().unwrap();
    assert!(reclaimed < full / 4, "{reclaimed} of {full}");
    assert_eq!(engine.value(&key(79)).unwrap(), Some(value));
}
