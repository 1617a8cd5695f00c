//! The engine sled 0.34.7, with what its promises lack supplied.
//!
//! - Its `flush` ends in `sync_file_range`, which leaves data in the cache of the device: `fdatasync` follows here.
//! - Its space comes back only from small values: [`SledEngine::chunk_bytes`] keeps tree nodes from becoming files of their own.
//! - It panics where files are damaged: that becomes an error.
//! - What an interrupted start leaves behind keeps it from ever starting again: it is removed before.
//! - Its iterators do not see batches as a whole: a lock here makes them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::sled::{Db, Error, IVec, Mode};
use bytes::Bytes;

use super::reopening::{Failure, Reopening};
use super::witness::{self, Witness};
use crate::engine::{Batch, Change, Engine, Entry, KeyRange};
use crate::error::{EngineError, OpenError};
use crate::folder::{self, Folder};

const NAME: &str = "sled";

/// sled's own folder inside the data folder.
pub(crate) const DATABASE_FOLDER: &str = "quire.sled";

/// Tree nodes held in memory.
const CACHE_BYTES: u64 = 64 << 20;

/// How long a handle that was just dropped may hold its lock: sled's own threads end in their own time.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(5);

/// An ordered map in a folder of files, `quire.sled`.
#[derive(Debug)]
pub struct SledEngine {
    // Before the folder, so that the files are closed before the lock ends.
    database: Reopening<Database>,
    /// Held for writing while a batch is applied in memory, for reading while several entries are read; always taken inside
    /// a call on the database, never around one.
    applying: RwLock<()>,
    /// Shared with what opens the database.
    witness: Arc<Witness>,
    _folder: Folder,
}

struct Database {
    tree: Db,
    /// The file that sled writes its log to, for syncing.
    log: File,
    /// Where sled puts nodes that are too large for its log. There should be none.
    blobs: PathBuf,
}

impl SledEngine {
    /// Opens the database in this folder; makes both if they are not there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let folder = Folder::open(path)?;
        let witness = Witness::open(path, NAME).map(Arc::new);
        let witness = witness.map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
        let opening = (path.join(DATABASE_FOLDER), Arc::clone(&witness));
        let open = move || {
            let opened =
                Database::open(&opening.0).and_then(|database| Ok((commits(&database.tree)?, database)));
            let (count, database) = opened.map_err(|error| engine_error("open its files", error))?;
            opening.1.check(count)?;
            Ok(database)
        };
        let database = Reopening::new(NAME, open)
            .map_err(|source| OpenError::Files { path: path.to_owned(), source })?;
        Ok(Self { database, applying: RwLock::new(()), witness, _folder: folder })
    }

    fn read<R>(&self, call: impl FnOnce(&Db) -> Result<R, Error>) -> Result<R, EngineError> {
        const READING: &str = "read";
        self.database.call(READING, |database| {
            let _whole = self.applying.read().unwrap_or_else(PoisonError::into_inner);
            call(&database.tree)
                .map_err(|error| Failure { error: engine_error(READING, error), broken: false })
        })
    }
}

impl Database {
    fn open(path: &Path) -> Result<Self, Error> {
        folder::make_whole(path, |new| Self::open_folder(new)?.sync())?;
        Self::open_folder(path)
    }

    fn open_folder(path: &Path) -> Result<Self, Error> {
        remove_unfinished(path)?;
        // The background flush stays on: it is what collects garbage. Nothing else relies on it.
        let config = ::sled::Config::new().path(path).cache_capacity(CACHE_BYTES).mode(Mode::LowSpace);
        let deadline = Instant::now() + UNLOCKED_WITHIN;
        let tree = loop {
            match config.open() {
                Ok(tree) => break tree,
                // The folder's lock is ours, so this can only be the handle before.
                Err(Error::Io(error)) if is_lock_error(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error),
            }
        };
        // The names of all files, and sled's settings, before anything relies on them.
        File::open(path.join("conf"))?.sync_all()?;
        folder::sync(path)?;
        Ok(Self { tree, log: File::open(path.join("db"))?, blobs: path.join("blobs") })
    }

    /// Brings everything applied so far to the device.
    fn sync(&self) -> Result<(), Error> {
        self.tree.flush()?;
        let mut blobs = false;
        for entry in fs::read_dir(&self.blobs)? {
            match File::open(entry?.path()) {
                Ok(file) => file.sync_data()?,
                // sled removes those that it no longer needs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            blobs = true;
        }
        if blobs {
            folder::sync(&self.blobs)?;
        }
        Ok(self.log.sync_data()?)
    }
}

impl Engine for SledEngine {
    fn chunk_bytes(&self) -> usize {
        // A leaf holds up to 19 entries for a moment, and one that is larger than a quarter of a segment (128 KiB) becomes a
        // file of its own, which sled hardly ever removes.
        6 << 10
    }

    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.read(|tree| Ok(tree.get(key)?.map(|value| copied(&value))))
    }

    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|tree| {
            let (mut page, mut size) = (Vec::new(), 0);
            for entry in tree.range::<&[u8], _>(range.bounds()) {
                let (key, value) = entry?;
                size += key.len() + value.len();
                page.push(Entry { key: copied(&key), value: copied(&value) });
                if size >= bytes {
                    break;
                }
            }
            Ok(page)
        })
    }

    fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|tree| {
            let keys = tree.range::<&[u8], _>(range.bounds()).keys().take(limit);
            keys.map(|key| Ok(copied(&key?))).collect()
        })
    }

    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(None);
        }
        self.read(|tree| {
            let last = tree.range::<&[u8], _>(range.bounds()).next_back().transpose()?;
            Ok(last.map(|(key, _)| copied(&key)))
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), EngineError> {
        const COMMITTING: &str = "commit";
        let mut sled_batch = ::sled::Batch::default();
        for change in batch {
            match change {
                Change::Put(Entry { key, value }) => sled_batch.insert(&*key, &*value),
                Change::Delete(key) => sled_batch.remove(&*key),
            }
        }
        // After a failed write sled refuses all further ones.
        let failed = |error| Failure { error: engine_error(COMMITTING, error), broken: true };
        self.database.call(COMMITTING, |database| {
            let whole = self.applying.write().unwrap_or_else(PoisonError::into_inner);
            let count = commits(&database.tree).map_err(failed)? + 1;
            sled_batch.insert(witness::KEY, &count.to_be_bytes());
            database.tree.apply_batch(sled_batch).map_err(failed)?;
            drop(whole);
            database.sync().map_err(failed)?;
            self.witness.note(count);
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        const FLUSHING: &str = "flush";
        self.database.call(FLUSHING, |database| {
            database.sync().map_err(|error| Failure { error: engine_error(FLUSHING, error), broken: true })
        })
    }
}

/// Removes what sled was writing to speed up its next start when it was interrupted, by a full disk or a kill. sled would take
/// it for finished and refuse to start; without it, it reads its log instead.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b"snap.") && name.ends_with(b".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// How many commits the database holds.
fn commits(tree: &Db) -> Result<u64, Error> {
    Ok(tree.get(witness::KEY)?.map_or(0, |count| witness::stored(&count)))
}

fn copied(bytes: &IVec) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn is_lock_error(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn engine_error(operation: &'static str, error: Error) -> EngineError {
    match error {
        Error::Io(source) => EngineError::Io { engine: NAME, operation, source },
        Error::Corruption { .. } => {
            EngineError::Failed { engine: NAME, operation, message: "its files are damaged".to_owned() }
        }
        other => EngineError::Failed { engine: NAME, operation, message: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(engine: &SledEngine, key: &'static [u8], value: Vec<u8>) {
        let mut batch = Batch::new();
        batch.put(key.into(), value.into());
        engine.commit(batch).unwrap();
    }

    #[test]
    fn what_an_interrupted_start_leaves_behind_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        put(&SledEngine::open(dir.path()).unwrap(), b"k", b"v".to_vec());
        let unfinished = dir.path().join(DATABASE_FOLDER).join("snap.00000000FFFFFFFF.generating");
        fs::write(&unfinished, b"").unwrap();
        let engine = SledEngine::open(dir.path()).unwrap();
        assert_eq!(engine.value(b"k").unwrap(), Some(Bytes::from_static(b"v")));
        assert!(!unfinished.exists());
    }

    #[test]
    fn damaged_files_are_one_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        drop(SledEngine::open(dir.path()).unwrap());
        fs::write(dir.path().join(DATABASE_FOLDER).join("snap.FFFFFFFFFFFFFFFF"), b"nonsense").unwrap();
        let error = SledEngine::open(dir.path()).unwrap_err().to_string();
        let path = dir.path().display();
        let expected = "sled could not open its files: its files are damaged; if the files are damaged, restore a backup into an empty \
                        folder";
        assert_eq!(error, format!("cannot open the store in {path}: {expected}"));
    }

    #[test]
    fn values_of_the_recommended_size_give_their_space_back() {
        const ROUNDS: usize = 60;
        let dir = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(dir.path()).unwrap();
        let keys: Vec<Bytes> = (0_u8..170).map(|number| vec![number].into()).collect();
        for round in 0..ROUNDS {
            let value = Bytes::from(vec![u8::try_from(round).unwrap(); engine.chunk_bytes()]);
            let mut batch = Batch::new();
            for key in &keys {
                batch.put(key.clone(), value.clone());
            }
            engine.commit(batch).unwrap();
        }
        // One megabyte is alive, sixty were written.
        let database = dir.path().join(DATABASE_FOLDER);
        assert!(fs::metadata(database.join("db")).unwrap().len() < 30 << 20);
        assert_eq!(fs::read_dir(database.join("blobs")).unwrap().count(), 0);
    }
}
