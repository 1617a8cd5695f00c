//! The journal is not to be seen through the engine, and is not silently lost.

use std::path::Path;

use super::*;
use crate::engine::KeyRange;
use crate::engines::MemoryEngine;

/// Xorshift, so that a failure can be told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn key(&mut self) -> Bytes {
        vec![b'a' + u8::try_from(self.below(3)).unwrap(), b'0' + u8::try_from(self.below(10)).unwrap()].into()
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..self.below(6) {
            let key = self.key();
            match self.below(20) {
                0 => batch.put(key, vec![7; LARGE_BATCH].into()),
                1..8 => batch.delete(key),
                length => batch.put(key, vec![b'x'; usize::try_from(length).unwrap()].into()),
            }
        }
        batch
    }

    fn range(&mut self) -> KeyRange {
        KeyRange { from: self.key().into(), to: self.key().into() }
    }
}

fn same(ours: &RedbEngine, model: &MemoryEngine, random: &mut Random, context: &str) {
    let keys: Vec<Bytes> = (0..3).map(|_| random.key()).collect();
    assert_eq!(ours.values(&keys).unwrap(), model.values(&keys).unwrap(), "{context}");
    assert_eq!(ours.value(&keys[0]).unwrap(), model.value(&keys[0]).unwrap(), "{context}");
    let (range, limit) = (random.range(), usize::try_from(random.below(30)).unwrap());
    assert_eq!(ours.keys(&range, limit).unwrap(), model.keys(&range, limit).unwrap(), "{context}");
    assert_eq!(ours.page(&range, limit).unwrap(), model.page(&range, limit).unwrap(), "{context}");
    assert_eq!(ours.last_key(&range).unwrap(), model.last_key(&range).unwrap(), "{context}");
}

#[test]
fn the_engine_reads_as_if_everything_were_in_its_place() {
    for seed in 1..40 {
        let mut random = Random(seed);
        let (disk, model) = (Disk::new(), MemoryEngine::new());
        let mut ours = engine_with(&disk, 1_000).unwrap();
        for step in 0..120 {
            let batch = random.batch();
            model.commit(batch.clone()).unwrap();
            ours.commit(batch).unwrap();
            match random.below(20) {
                0 => {
                    drop(ours);
                    ours = engine_with(&disk, 1_000).unwrap();
                }
                1 => ours.flush().unwrap(),
                2 => ours.reclaim().unwrap(),
                _ => {}
            }
            same(&ours, &model, &mut random, &format!("seed {seed}, step {step}"));
        }
    }
}

#[test]
fn readers_see_whole_batches_in_their_order_while_the_journal_is_emptied() {
    let engine = engine_with(&Disk::new(), 500).unwrap();
    let keys = [Bytes::from_static(b"a"), Bytes::from_static(b"z")];
    let range = KeyRange { from: b"a".to_vec(), to: b"zz".to_vec() };
    let number = |value: &Bytes| u32::from_be_bytes(value.as_ref().try_into().unwrap());
    let commit = |round: u32| {
        let mut batch = Batch::new();
        for key in &keys {
            batch.put(key.clone(), Bytes::copy_from_slice(&round.to_be_bytes()));
        }
        engine.commit(batch).unwrap();
    };
    commit(0);
    std::thread::scope(|scope| {
        let readers = [false, true].map(|by_range| {
            let (engine, keys, range) = (&engine, &keys, &range);
            scope.spawn(move || {
                let mut last = 0;
                while last < 2_000 {
                    let values: Vec<Bytes> = if by_range {
                        engine.page(range, usize::MAX).unwrap().into_iter().map(|entry| entry.value).collect()
                    } else {
                        engine.values(keys).unwrap().into_iter().flatten().collect()
                    };
                    let [left, right] = values.as_slice() else { panic!("{values:?}") };
                    assert_eq!(left, right);
                    assert!(number(left) >= last, "{} after {last}", number(left));
                    last = number(left);
                }
            })
        });
        (1..=2_000).for_each(commit);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

/// What is pending, and how many rows there are.
fn state(engine: &RedbEngine) -> (usize, u64) {
    let of = |opened: &Opened| {
        let rows = match opened.database.begin_read()?.open_table(journal::TABLE) {
            Ok(rows) => ::redb::ReadableTableMetadata::len(&rows)?,
            Err(_) => 0,
        };
        Ok((opened.journal.pending().all().count(), rows))
    };
    engine.call("look", of).unwrap()
}

fn put(engine: &RedbEngine, key: &'static str, value: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(Bytes::from_static(key.as_bytes()), value.into());
    engine.commit(batch).unwrap();
}

#[test]
fn a_full_journal_a_large_batch_and_the_end_empty_the_journal() {
    let disk = Disk::new();
    let engine = engine_with(&disk, 1_000).unwrap();
    put(&engine, "a", vec![1; 400]);
    put(&engine, "b", vec![1; 400]);
    assert_eq!(state(&engine), (2, 2));
    put(&engine, "c", vec![1; 400]);
    assert_eq!(state(&engine), (0, 0));
    put(&engine, "d", vec![1; 400]);
    assert_eq!(state(&engine), (1, 1));
    engine.flush().unwrap();
    assert_eq!(state(&engine), (0, 0));
    // Nothing to do costs no commit.
    let before = disk.actions();
    engine.flush().unwrap();
    assert_eq!(disk.actions(), before);
    let engine = engine_with(&Disk::new(), usize::MAX).unwrap();
    put(&engine, "a", vec![1; 400]);
    put(&engine, "b", vec![1; LARGE_BATCH]);
    assert_eq!(state(&engine), (0, 0));
}

#[test]
fn a_key_that_is_set_again_and_again_does_not_let_the_journal_grow() {
    let disk = Disk::new();
    let mut engine = engine_with(&disk, 1_000).unwrap();
    for round in 0..200 {
        put(&engine, "a", vec![1; 40]);
        let (pending, rows) = state(&engine);
        assert!(pending <= 1 && rows <= 100, "{rows} rows in round {round}");
        if round % 30 == 29 {
            drop(engine);
            engine = engine_with(&disk, 1_000).unwrap();
        }
    }
}

/// Changes the rows of the journal of a store that is closed.
fn alter(path: &Path, change: impl Fn(&mut ::redb::Table<'_, u64, &'static [u8]>)) {
    let database = Database::open(path.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(journal::TABLE).unwrap());
    transaction.commit().unwrap();
}

fn is_refused_until_the_witness_is_gone(
    expected: &str,
    change: impl Fn(&mut ::redb::Table<'_, u64, &'static [u8]>),
) {
    let dir = tempfile::tempdir().unwrap();
    let engine = RedbEngine::open(dir.path()).unwrap();
    for key in ["a", "b", "c"] {
        put(&engine, key, vec![1]);
    }
    drop(engine);
    alter(dir.path(), change);
    let error = RedbEngine::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("restore a backup"), "{error}");
    let witness = dir.path().join("quire.redb.commits");
    assert!(error.contains(&witness.display().to_string()), "{error}");
    fs::remove_file(witness).unwrap();
    let engine = RedbEngine::open(dir.path()).unwrap();
    let left: Vec<_> =
        ["a", "b", "c"].iter().map(|key| engine.value(key.as_bytes()).unwrap().is_some()).collect();
    assert_eq!(left, [true, false, true]);
    put(&engine, "d", vec![1]);
    assert_eq!(state(&engine).0, 3);
}

#[test]
fn a_damaged_row_is_a_lost_commit() {
    is_refused_until_the_witness_is_gone(
        "row 2 of the journal is damaged (the checksum does not match)",
        |rows| {
            let mut row = rows.get(2).unwrap().unwrap().value().to_vec();
            row[12] ^= 1;
            rows.insert(2, &*row).unwrap();
        },
    );
}

#[test]
fn a_missing_row_is_a_lost_commit() {
    is_refused_until_the_witness_is_gone("row 2 of the journal is damaged (the record is missing)", |rows| {
        rows.remove(2).unwrap();
    });
}
