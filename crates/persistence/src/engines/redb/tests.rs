//! The engine on a device that fails.

use quire_sync_protocol::{DocId, Replica, Update};

use super::disk::Disk;
use super::*;
use crate::local::LocalStore;
use crate::store::{Append, DocumentStore, Epoch, Seq};

fn engine(disk: &Disk) -> Result<RedbEngine, EngineError> {
    let disk = disk.clone();
    let open = move || {
        let database = Database::builder().create_with_backend(disk.clone()).map_err(Error::from);
        database.and_then(with_table).map_err(|error| engine_error("open its files", error))
    };
    Ok(RedbEngine { database: Reopening::new(NAME, open)?, _folder: None })
}

fn store(disk: &Disk) -> LocalStore<RedbEngine> {
    LocalStore::open(engine(disk).unwrap()).unwrap()
}

fn doc() -> DocId {
    DocId::new("a").unwrap()
}

/// Client 1 appends one letter to a text that has `clock` letters.
fn letter(clock: u8) -> Bytes {
    match clock {
        0 => vec![1, 1, 1, 0, 0x04, 1, 1, b't', 1, b'x', 0].into(),
        _ => vec![1, 1, 1, clock, 0x84, 1, clock - 1, 1, b'x', 0].into(),
    }
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

/// Splitmix64, so that a failure can be told by its seed.
struct Random(u64);

impl Random {
    fn bit(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) & 1 == 1
    }
}

#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    const UPDATES: u8 = 24;
    let disk = Disk::new();
    // After how many actions on the device each update was acknowledged.
    let mut acknowledged = Vec::new();
    drop(engine(&disk).unwrap());
    // Before that, the file has another name.
    let created = disk.actions();
    {
        let store = store(&disk);
        for clock in 0..UPDATES {
            append(&store, letter(clock)).unwrap();
            acknowledged.push(disk.actions());
            if clock % 8 == 7 {
                store.compact(&doc()).unwrap();
            }
        }
    }

    let actions = disk.actions();
    let mut cuts = 0;
    for action in created..=actions {
        // Just before each sync most is at stake; in between, a sample.
        if action < actions && !disk.is_sync(action) && action % 7 != 0 {
            continue;
        }
        for seed in 0..8 {
            let mut random = Random(seed << 32 | action as u64);
            let after = disk.after_power_cut(action, || random.bit());
            let context = format!("power cut before action {action}, seed {seed}");
            let store = engine(&after).map_err(|error| format!("{context}: {error}")).unwrap();
            let store = LocalStore::open(store).unwrap();
            let stored = store.load(&doc()).map_err(|error| format!("{context}: {error}")).unwrap();
            let expected = acknowledged.iter().filter(|end| **end <= action).count() as u64;
            let seq = stored.as_ref().map_or(0, |stored| stored.seq.0);
            assert!([expected, expected + 1].contains(&seq), "{context}: {seq} of {expected}");
            let mut replica = Replica::new();
            for update in stored.iter().flat_map(|stored| stored.snapshot.iter().chain(&stored.updates)) {
                replica.insert(&Update::parse(update.clone()).unwrap());
            }
            let mut whole = Replica::new();
            for clock in 0..u8::try_from(seq).unwrap() {
                whole.insert(&Update::parse(letter(clock)).unwrap());
            }
            assert!(replica == whole, "{context}");
            append(&store, letter(u8::try_from(seq).unwrap())).unwrap();
            cuts += 1;
        }
    }
    assert!(cuts > 500, "{cuts} cuts only");
}
